"""Attacks on the native protocol and on connections, by name, for `abuse.py`: each runs some seconds, says what it met.

Those on vendors' endpoints are in `vendor_attacks.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgpack
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from support.hostile_texts import PIECES, WHOLE, repeated
from support.raw_websocket import PING, frame


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
                        await asyncio.sleep(0)  # so that a connection that is closed is noticed
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
