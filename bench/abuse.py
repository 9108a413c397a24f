"""What one client that means harm costs the others: the longest that the event loop is held, and whether they hear it.

    python bench/abuse.py [--only WORD ...] [--seconds 5] [--save bench/results/abuse.json]

A server with two API keys speaks hibari. With one key a listener hears one answer after the other at playout speed, and
a probe asks for a `pong` every 10 ms. With the other key, or without any, each attack runs in a process of its own for
`--seconds`. Beside each attack stand: the probe's longest answer, which is how long the loop was held at most; the same
in times of the quiet row; how near the listener, which plays on the first byte, came to running dry (above 0: for so
long it was dry); the underruns that the server counted; the server's CPU and memory; and what the attack met.

On a machine with two cores the attacker, the probe and the server share them: the quiet row and the row of a client
that only burns CPU say how much of a figure is the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx
import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from host import Host, machine, serving
from load_client import Listener, Plan, percentile
from support.hostile_texts import PIECES, WHOLE, repeated
from support.ports import free_port
from support.raw_websocket import PING, frame
from voxwire_server.ops.auth import generate_key, hash_key

PROBE_SECONDS = 0.01
WARM_SECONDS = 1.5


@dataclass(frozen=True)
class Site:
    """The server as an attacker sees it."""

    port: int
    wyoming_port: int
    key: str

    @property
    def http(self) -> str:
        """Where the HTTP side is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What lets a request in."""
        return {"Authorization": f"Bearer {self.key}"}

    def socket(self, path: str, **options):
        """A WebSocket with the key."""
        url = f"ws://127.0.0.1:{self.port}{path}"
        return connect(url, additional_headers=self.headers, max_size=None, ping_interval=None, **options)


Attack = Callable[[Site, float], Awaitable[object]]
ATTACKS: dict[str, Attack] = {}


def attack(name: str) -> Callable[[Attack], Attack]:
    """Enter an attack under its name."""

    def enter(function: Attack) -> Attack:
        ATTACKS[name] = function
        return function

    return enter


async def drain(ws) -> None:
    """Read and forget, as a client does that wants to be served on."""
    with contextlib.suppress(WebSocketException):
        async for _ in ws:
            pass


@contextlib.asynccontextmanager
async def native(site: Site):
    """A native session whose messages are read and forgotten."""
    async with site.socket("/v1/stream") as ws:
        reader = asyncio.create_task(drain(ws))
        try:
            yield ws
        finally:
            reader.cancel()


async def texts(site: Site, pieces: list[str], seconds: float, rate: float = 0.0) -> str:
    """Send texts in one context, at so many a second (0: at once); then wait."""
    until = time.monotonic() + seconds
    sent = 0
    async with native(site) as ws:
        for piece in pieces:
            if time.monotonic() > until:
                break
            await ws.send(json.dumps({"type": "text", "text": piece}))
            sent += 1
            if rate:
                await asyncio.sleep(1 / rate)
        await asyncio.sleep(max(0.0, until - time.monotonic()))
    return f"{sent} texts"


for _name, _text in WHOLE.items():
    ATTACKS[f"text, {_name}"] = lambda site, seconds, text=_text: texts(site, [text], seconds)
for _name, _piece in PIECES.items():
    ATTACKS[f"2,000 texts, {_name}"] = lambda site, seconds, piece=_piece: texts(site, [piece] * 2000, seconds)
ATTACKS["500 tokens a second, full stops"] = lambda site, seconds: texts(
    site, [". "] * int(500 * seconds), seconds, 500
)


@attack("nothing")
async def nothing(site: Site, seconds: float) -> str:
    """The quiet row."""
    await asyncio.sleep(seconds)
    return ""


@attack("a core burnt")
async def burn(site: Site, seconds: float) -> str:
    """What it costs that another process takes a core."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(10_000))
    return ""


# -- native messages ------------------------------------------------------------------------------------------------


@attack("start and cancel, 1,000 at once")
async def start_cancel(site: Site, seconds: float) -> str:
    async with native(site) as ws:
        until, sent = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            await ws.send(json.dumps({"type": "start", "context": f"c{sent}"}))
            await ws.send(json.dumps({"type": "cancel", "context": f"c{sent}"}))
            sent += 1
    return f"{sent} starts"


@attack("pings of empty arrays, 1 MB")
async def arrays(site: Site, seconds: float) -> str:
    return await repeat_raw(site, b'{"type":"ping","t":1,"x":[' + b",".join([b"[]"] * 340_000) + b"]}", seconds)


@attack("pings of nested arrays")
async def nested(site: Site, seconds: float) -> str:
    return await repeat_raw(site, b'{"type":"ping","t":' + b"[" * 400_000 + b"]" * 400_000 + b"}", seconds)


@attack("pings of empty arrays, 5 MB")
async def more_arrays(site: Site, seconds: float) -> str:
    return await repeat_raw(site, b'{"type":"ping","t":1,"x":[' + b",".join([b"[]"] * 1_700_000) + b"]}", seconds)


@attack("pings of small numbers")
async def numbers(site: Site, seconds: float) -> str:
    return await repeat_raw(site, b'{"type":"ping","t":[' + b",".join([b"1"] * 500_000) + b"]}", seconds)


@attack("maps with many keys")
async def keys(site: Site, seconds: float) -> str:
    fields = ",".join(f'"{i}":{i}' for i in range(70_000))
    return await repeat_raw(site, f'{{"type":"ping","t":1,{fields}}}'.encode(), seconds)


@attack("resumes of 60,000 contexts")
async def resumes(site: Site, seconds: float) -> str:
    contexts = ",".join(f'"{i}":{i}' for i in range(60_000))
    message = f'{{"type":"resume","session":"x","token":"y","contexts":{{{contexts}}}}}'
    return await repeat_raw(site, message.encode(), seconds)


@attack("starts with a voice of 900 kB")
async def voices(site: Site, seconds: float) -> str:
    return await repeat_raw(site, b'{"type":"start","voice":"' + b"heart(1)+" * 100_000 + b'"}', seconds)


@attack("starts with 100,000 timings")
async def timings(site: Site, seconds: float) -> str:
    names = b",".join([b'"word"'] * 100_000)
    return await repeat_raw(site, b'{"type":"start","timings":[' + names + b"]}", seconds)


@attack("msgpack of empty arrays")
async def packed(site: Site, seconds: float) -> str:
    body = b"\x83" + msgpack.packb("type") + msgpack.packb("ping") + msgpack.packb("t") + b"\x01" + msgpack.packb("x")
    body += b"\xdd" + (900_000).to_bytes(4, "big") + b"\x90" * 900_000
    return await repeat_raw(site, body, seconds, binary=True)


@attack("msgpack, nested")
async def packed_deep(site: Site, seconds: float) -> str:
    body = b"\x82" + msgpack.packb("type") + msgpack.packb("ping") + msgpack.packb("t") + b"\x91" * 900_000 + b"\x01"
    return await repeat_raw(site, body, seconds, binary=True)


async def repeat_raw(site: Site, message: bytes, seconds: float, *, binary: bool = False) -> str:
    """Send one message again and again, on new connections where the old one is closed."""
    until, sent, closed = time.monotonic() + seconds, 0, {}
    while time.monotonic() < until:
        try:
            async with site.socket("/v1/stream", subprotocols=["voxwire.v1.msgpack"] if binary else None) as ws:
                reader = asyncio.create_task(drain(ws))
                try:
                    while time.monotonic() < until:
                        await ws.send(message if binary else message.decode())
                        sent += 1
                finally:
                    reader.cancel()
        except (WebSocketException, OSError) as error:
            code = getattr(getattr(error, "rcvd", None), "code", type(error).__name__)
            closed[code] = closed.get(code, 0) + 1
            await asyncio.sleep(0.05)
    return f"{sent} sent, closed {closed}"


async def burst(site: Site, seconds: float, text: str) -> str:
    """Sixteen contexts have a text spoken as fast as it can be."""
    async with native(site) as ws:
        for i in range(16):
            await ws.send(json.dumps({"type": "start", "context": str(i), "pacing": {"mode": "burst"}}))
            await ws.send(json.dumps({"type": "text", "context": str(i), "text": text}))
            await ws.send(json.dumps({"type": "end", "context": str(i)}))
        await asyncio.sleep(seconds)
    return ""


ATTACKS["16 contexts of prose"] = lambda site, seconds: burst(
    site, seconds, repeated("Glue the sheet to the dark blue background. ")
)
ATTACKS["16 contexts of a-a-a-"] = lambda site, seconds: burst(site, seconds, repeated("a-"))
ATTACKS["16 contexts of digits"] = lambda site, seconds: burst(site, seconds, repeated("1"))


@attack("32 held contexts of 48,000 characters")
async def held(site: Site, seconds: float) -> str:
    async with native(site) as ws:
        for i in range(32):
            await ws.send(json.dumps({"type": "start", "context": str(i)}))
            await ws.send(json.dumps({"type": "hold", "context": str(i)}))
            for _ in range(3):
                text = repeated("Glue the sheet to the dark blue background. ", 16_000)
                await ws.send(json.dumps({"type": "text", "context": str(i), "text": text}))
        await asyncio.sleep(seconds)
    return ""


@attack("32 contexts in each of 20 sessions")
async def crowd(site: Site, seconds: float) -> str:
    async def one() -> None:
        async with native(site) as ws:
            for i in range(32):
                text = repeated("Glue the sheet to the dark blue background. ", 2000)
                await ws.send(json.dumps({"type": "start", "context": str(i), "pacing": {"mode": "burst"}}))
                await ws.send(json.dumps({"type": "text", "context": str(i), "text": text}))
            await asyncio.sleep(seconds)

    results = await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)
    return f"{sum(isinstance(each, Exception) for each in results)} of 20 sessions ended"


@attack("retractions of 200,000 characters")
async def retractions(site: Site, seconds: float) -> str:
    until, sent = time.monotonic() + seconds, 0
    async with native(site) as ws:
        await ws.send(json.dumps({"type": "hold"}))
        for _ in range(2):
            await ws.send(json.dumps({"type": "text", "text": repeated("one two three four ")}))
        while time.monotonic() < until:
            await ws.send(json.dumps({"type": "retract", "context": "0", "from_char": 39_000}))
            await ws.send(json.dumps({"type": "text", "text": repeated("a. ", 1000)}))
            sent += 1
    return f"{sent} retractions"


# -- connections ----------------------------------------------------------------------------------------------------


def raw_socket(site: Site, path: str = "/v1/stream", key: str = "") -> socket.socket:
    """A connection after its handshake was sent."""
    sock = socket.create_connection(("127.0.0.1", site.port), timeout=5)
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    sock.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"{authorization}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return sock


async def flood(site: Site, data: bytes, seconds: float) -> str:
    """Send the same bytes for a while after a handshake, from a thread; again where the connection is closed."""

    def run() -> str:
        until, sent, closed = time.monotonic() + seconds, 0, 0
        while time.monotonic() < until:
            with contextlib.suppress(OSError), contextlib.closing(raw_socket(site, key=site.key)) as sock:
                sock.recv(1000)
                while time.monotonic() < until:
                    sock.sendall(data)
                    sent += len(data)
            closed += 1
            time.sleep(0.02)
        return f"{sent / 1e6:.1f} MB, closed {closed - 1}"

    return await asyncio.to_thread(run)


def many(*messages: dict) -> bytes:
    """Messages as frames, a thousand times."""
    return b"".join(frame(0x1, json.dumps(message).encode()) for message in messages) * 1000


ATTACKS["pings"] = lambda site, seconds: flood(site, many({"type": "ping", "t": 1}), seconds)
ATTACKS["holds and releases"] = lambda site, seconds: flood(
    site, many({"type": "start"}) + many({"type": "hold"}, {"type": "release"}), seconds
)
ATTACKS["texts refused for their seq"] = lambda site, seconds: flood(
    site, many({"type": "text", "seq": 7, "text": "x" * 1000}), seconds
)
ATTACKS["empty pings"] = lambda site, seconds: flood(site, frame(PING) * 10_000, seconds)
ATTACKS["empty pongs"] = lambda site, seconds: flood(site, frame(0xA) * 10_000, seconds)
ATTACKS["empty texts"] = lambda site, seconds: flood(site, frame(0x1) * 10_000, seconds)
ATTACKS["empty fragments"] = lambda site, seconds: flood(
    site, frame(0x1, fin=False) + frame(0, fin=False) * 10_000, seconds
)
ATTACKS["one-byte fragments"] = lambda site, seconds: flood(
    site, frame(0x1, b"{", fin=False) + frame(0, b" ", fin=False) * 10_000 + frame(0, b"}"), seconds
)
ATTACKS["texts of two bytes"] = lambda site, seconds: flood(site, frame(0x1, b"{}") * 10_000, seconds)


@attack("connect and abort")
async def abort(site: Site, seconds: float) -> str:
    def run() -> str:
        until, count, failed = time.monotonic() + seconds, 0, 0
        while time.monotonic() < until:
            try:
                sock = raw_socket(site, key=site.key)
                sock.recv(100)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.close()
            except OSError:
                failed += 1
            count += 1
        return f"{count} connections, {failed} failed"

    return await asyncio.to_thread(run)


@attack("half-sent headers without a key")
async def slow_headers(site: Site, seconds: float) -> str:
    def run() -> str:
        until, sockets, sent = time.monotonic() + seconds, [], 0
        line = b"X-A: " + b"a" * 4000 + b"\r\n"
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                sock = socket.create_connection(("127.0.0.1", site.port), timeout=1)
                sockets.append(sock)
                sock.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n")
                for _ in range(100):
                    sock.sendall(line)
                    sent += len(line)
        for sock in sockets:
            sock.close()
        return f"{len(sockets)} connections, {sent / 1e6:.0f} MB"

    return await asyncio.to_thread(run)


@attack("requests in a pipeline without a key")
async def pipeline(site: Site, seconds: float) -> str:
    def run() -> str:
        until, sent = time.monotonic() + seconds, 0
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000
        while time.monotonic() < until:
            with (
                contextlib.suppress(OSError),
                contextlib.closing(socket.create_connection(("127.0.0.1", site.port), timeout=1)) as sock,
            ):
                while time.monotonic() < until:
                    sock.sendall(request)
                    sent += 1000
        return f"{sent} requests"

    return await asyncio.to_thread(run)


# -- vendors --------------------------------------------------------------------------------------------------------


async def post(site: Site, path: str, seconds: float, **request) -> str:
    """One request again and again, its answers read to the end."""
    until, statuses = time.monotonic() + seconds, {}
    async with httpx.AsyncClient(base_url=site.http, headers=site.headers, timeout=seconds + 5) as client:
        while time.monotonic() < until:
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                    answer = await client.post(path, **request)
                    statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            except (httpx.HTTPError, TimeoutError) as error:
                statuses[type(error).__name__] = statuses.get(type(error).__name__, 0) + 1
    return str(statuses)


def openai(text: str, **more: object) -> dict:
    """An OpenAI request for a text."""
    return {"json": {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"} | more}


for _name, _text in {"full stops": ".", "commas": ", ", "quotes": "> ", "comments": "<!-- ", "a dash": "a-"}.items():
    ATTACKS[f"OpenAI, 50,000 characters, {_name}"] = lambda site, seconds, text=_text: post(
        site, "/v1/audio/speech", seconds, **openai(repeated(text, 50_000))
    )
ATTACKS["OpenAI, a body of arrays"] = lambda site, seconds: post(
    site,
    "/v1/audio/speech",
    seconds,
    content=b'{"input":[' + b",".join([b"[]"] * 340_000) + b"]}",
    headers={"content-type": "application/json"},
)
ATTACKS["a form of ampersands"] = lambda site, seconds: post(
    site,
    "/inference_sft",
    seconds,
    content=b"&" * 1_000_000,
    headers={"content-type": "application/x-www-form-urlencoded"},
)
ATTACKS["a form of percents"] = lambda site, seconds: post(
    site,
    "/inference_sft",
    seconds,
    content=b"tts_text=" + b"%41" * 340_000,
    headers={"content-type": "application/x-www-form-urlencoded"},
)
ATTACKS["a multipart of line ends"] = lambda site, seconds: post(
    site,
    "/inference_sft",
    seconds,
    content=b'--x\r\nContent-Disposition: form-data; name="tts_text"\r\n\r\n' + b"\r\n-" * 330_000 + b"\r\n--x--\r\n",
    headers={"content-type": "multipart/form-data; boundary=x"},
)
ATTACKS["GPT-SoVITS, full stops"] = lambda site, seconds: post(
    site, "/tts", seconds, json={"text": repeated("."), "text_lang": "en", "voice": "heart"}
)
ATTACKS["CosyVoice, full stops"] = lambda site, seconds: post(
    site, "/inference_sft", seconds, data={"tts_text": repeated("."), "spk_id": "heart"}
)


async def vendor(site: Site, path: str, messages: list[str], seconds: float) -> str:
    """Messages on a vendor's WebSocket, then silence."""
    until, sent, ended = time.monotonic() + seconds, 0, ""
    try:
        async with site.socket(path) as ws:
            reader = asyncio.create_task(drain(ws))
            try:
                for message in messages:
                    await ws.send(message)
                    sent += 1
                    if time.monotonic() > until:
                        break
                await asyncio.sleep(max(0.0, until - time.monotonic()))
            finally:
                reader.cancel()
    except (WebSocketException, OSError) as error:
        ended = f", {type(error).__name__}: {error}"[:100]
    return f"{sent} messages{ended}"


DEEPGRAM = "/v1/speak?encoding=linear16&sample_rate=24000"
ELEVENLABS = "/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_16000"
CARTESIA = "/tts/websocket?cartesia_version=2025-04-16"


def cartesia(text: str, *, context: str = "a", more: bool = True) -> str:
    """A generation request."""
    raw = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000}
    asked = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "heart"}, "output_format": raw}
    return json.dumps(asked | {"transcript": text, "context_id": context, "continue": more})


ATTACKS["Deepgram, 60,000 Flush"] = lambda site, seconds: vendor(site, DEEPGRAM, ['{"type":"Flush"}'] * 60_000, seconds)
ATTACKS["Deepgram, garbage"] = lambda site, seconds: vendor(site, DEEPGRAM, ["{"] * 60_000, seconds)
for _name in ("full stops", "quotes", "comments, whole", "commas, whole", "strikes, whole"):
    _text = WHOLE[_name][:2000]
    ATTACKS[f"Deepgram, {_name}"] = lambda site, seconds, text=_text: vendor(
        site, DEEPGRAM, [json.dumps({"type": "Speak", "text": text})] * 10 + ['{"type":"Flush"}'], seconds
    )
    ATTACKS[f"ElevenLabs, {_name}"] = lambda site, seconds, text=WHOLE[_name]: vendor(
        site, ELEVENLABS, [json.dumps({"text": text, "context_id": "a", "flush": True})], seconds
    )
    ATTACKS[f"Cartesia, {_name}"] = lambda site, seconds, text=WHOLE[_name]: vendor(
        site, CARTESIA, [cartesia(text)], seconds
    )
ATTACKS["ElevenLabs, 20,000 single characters"] = lambda site, seconds: vendor(
    site, ELEVENLABS, [json.dumps({"text": ".", "context_id": "a"})] * 20_000, seconds
)
ATTACKS["Cartesia, 20,000 contexts"] = lambda site, seconds: vendor(
    site, CARTESIA, [cartesia("a", context=str(i)) for i in range(20_000)], seconds
)


@attack("Wyoming, full stops")
async def wyoming(site: Site, seconds: float) -> str:
    async with asyncio.timeout(seconds + 1):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.wyoming_port)
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(json.dumps({"type": "synthesize", "data": {"text": repeated(".")}}).encode() + b"\n")
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                async with asyncio.timeout(until - time.monotonic()):
                    if not await reader.read(1 << 16):
                        break
        writer.close()
    return ""


# -- measuring ------------------------------------------------------------------------------------------------------


class Probe(Listener):
    """Asks for a pong every PROBE_SECONDS; `answers` are (when asked, seconds until answered)."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, 0, float("inf"))
        self.answers: list[tuple[float, float]] = []

    def _message(self, message: dict, now: float) -> None:
        match message["type"]:
            case "ready":
                self._ask()
            case "pong":
                asked = message["t"] / 1e6
                self.answers.append((asked, now - asked))
            case "error":
                self.errors.append(message["code"])

    def _ask(self) -> None:
        if not self.transport.is_closing():
            self._send({"type": "ping", "t": int(time.monotonic() * 1e6)})
            asyncio.get_running_loop().call_later(PROBE_SECONDS, self._ask)


@dataclass
class Row:
    """What one attack did. Milliseconds and megabytes."""

    attack: str
    hold_ms: float
    hold_p99_ms: float
    ratio: float
    dry_ms: float
    underruns: int
    cpu_seconds: float
    memory_mb: float
    met: str
    errors: list[str] = field(default_factory=list)


class Ear(Listener):
    """A listener that notes when it ran dry, and for how long."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, 1, float("inf"))
        self.dry: list[tuple[float, float]] = []

    def _frame(self, now: float) -> None:
        turn = self._turn
        stalls = len(turn.stalls) if turn is not None else 0
        super()._frame(now)
        if turn is not None and len(turn.stalls) > stalls:
            self.dry.append((now, turn.stalls[-1]))

    def dry_seconds(self, since: float) -> float:
        """The longest that it was dry since then, still or again."""
        turn, now = self._turn, time.monotonic()
        waits = turn is not None and turn.first_at is not None and turn.text_at < since
        still = now - self._dry_at if waits else 0.0
        return max([still, *(seconds for at, seconds in self.dry if at >= since)])


def run_attack(name: str, site: Site, seconds: float, answer) -> None:
    """In a process of its own."""
    try:
        met = asyncio.run(ATTACKS[name](site, seconds))
    except BaseException as error:
        met = f"{type(error).__name__}: {error}"
    answer.put(str(met)[:200])


async def measure(name: str, host: Host, site: Site, plan: Plan, seconds: float, quiet: float) -> Row:
    """Run one attack beside a listener and a probe of another key."""
    loop = asyncio.get_running_loop()
    make = multiprocessing.get_context("spawn")
    _, probe = await loop.create_connection(lambda: Probe(plan), "127.0.0.1", site.port)
    _, ear = await loop.create_connection(lambda: Ear(plan), "127.0.0.1", site.port)
    await asyncio.sleep(WARM_SECONDS)
    before = await asyncio.to_thread(host.metrics)
    cpu, memory, since = host.cpu_seconds(), host.memory(), time.monotonic()
    queue = make.Queue()
    process = make.Process(target=run_attack, args=(name, site, seconds, queue), daemon=True)
    process.start()
    met = await asyncio.to_thread(queue.get)
    await asyncio.sleep(1.0)
    # A loop that is still held is waited for: what it costs is the longest of all.
    waited = time.monotonic()
    while not probe.answers or time.monotonic() - probe.answers[-1][0] > 0.5:
        await asyncio.sleep(0.1)
        if time.monotonic() - waited > 120:
            met += " - the server did not come back"
            break
    seconds_by = [took for asked, took in probe.answers if asked >= since]
    dry = ear.dry_seconds(since)
    after = await asyncio.to_thread(host.metrics)
    ear._turn = None  # it writes no more
    for each in (probe, ear):
        each.transport.abort()
    process.terminate()
    longest = max(seconds_by, default=float("inf"))
    return Row(
        name,
        1000 * longest,
        1000 * percentile(seconds_by, 0.99),
        longest / quiet if quiet else 1.0,
        1000 * dry,
        int(after["voxwire_underruns_total"] - before["voxwire_underruns_total"]),
        host.cpu_seconds() - cpu,
        (host.memory() - memory) / 1e6,
        met,
        probe.errors + ear.errors,
    )


HEAD = (
    f"{'attack':44} {'hold ms':>8} {'p99':>6} {'x quiet':>8} {'dry ms':>7} {'underruns':>9} {'cpu s':>6} {'MB':>6}  met"
)


def shown(row: Row) -> str:
    """A row of the table."""
    return (
        f"{row.attack:44} {row.hold_ms:8.1f} {row.hold_p99_ms:6.1f} {row.ratio:8.1f} {row.dry_ms:7.1f} "
        f"{row.underruns:9d} {row.cpu_seconds:6.1f} {row.memory_mb:6.1f}  {row.met} {' '.join(row.errors[:3])}"
    )


async def run(names: list[str], seconds: float) -> list[Row]:
    """Measure attacks in turn, each on a server that the one before has used."""
    keys = {"listener": generate_key(), "attacker": generate_key()}
    settings = [f"auth.keys={','.join(f'{name}={hash_key(key)}' for name, key in keys.items())}"]
    settings += ["engines.enabled=hibari", "server.metrics_public=true"]
    wyoming_port = free_port()
    rows: list[Row] = []
    with serving(*settings, f"compat.wyoming_port={wyoming_port}") as host:
        site = Site(host.port, wyoming_port, keys["attacker"])
        plan = Plan(url_port=host.port, key=keys["listener"], rate=25.0)
        print(HEAD, flush=True)
        quiet = 0.0
        for name in names:
            row = await measure(name, host, site, plan, seconds, quiet)
            if name == "nothing":
                quiet = row.hold_ms / 1000
                row = replace(row, ratio=1.0)
            rows.append(row)
            print(shown(row), flush=True)
            if not host.process.is_running():
                print("the server is gone")
                break
    worst = sorted(rows, key=lambda row: -row.hold_ms)[:5]
    print("\nlongest holds:", ", ".join(f"{row.attack} {row.hold_ms:.0f} ms" for row in worst))
    print("median hold:", f"{statistics.median(row.hold_ms for row in rows):.1f} ms")
    return rows


def main() -> None:
    """Choose attacks and measure them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="attacks whose name holds one of these words")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--save", default="")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    chosen = [name for name in ATTACKS if not given.only or any(word in name for word in given.only)]
    names = ["nothing", "a core burnt", *(name for name in chosen if name not in ("nothing", "a core burnt"))]
    if given.list:
        print("\n".join(names))
        return
    print(machine())
    rows = asyncio.run(run(names, given.seconds))
    if given.save:
        document = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "seconds": given.seconds}
        document["rows"] = [asdict(row) for row in rows]
        Path(given.save).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
