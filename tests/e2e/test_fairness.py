"""A listener hears on, frame by frame, whatever another key sends, natively or as another vendor's client.

On virtual time: every callback of the event loop costs what its work counts for (`support.virtual_server`), so a text
that takes the loop for too long makes the listener's frames late, by as much on every machine. `bench/abuse.py` does
the same in real time over real sockets.
"""

from __future__ import annotations

import asyncio
import json
import struct
import urllib.parse
import warnings
from collections.abc import Awaitable, Callable, Iterable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.hostile_texts import ALPHABET, CHARS, PIECES, WHOLE, repeated
from support.virtual_server import Socket, VirtualLoop, VirtualServer, virtual_loop
from voxwire_server.ops.auth import generate_key, hash_key

with warnings.catch_warnings():
    # The package wyoming imports audioop, which Python 3.13 no longer has.
    warnings.simplefilter("ignore", DeprecationWarning)
    from voxwire_server.compat.wyoming.server import WyomingHandler

LISTENER, ATTACKER = generate_key(), generate_key()
KEYS = f"listener={hash_key(LISTENER)},attacker={hash_key(ATTACKER)}"

GAP_SECONDS_MAX = 0.05
"""What the listener may be late beyond its lead."""

HOLD_SECONDS_MAX = 0.0075
"""What one callback may take of the event loop: the ticker five milliseconds, and the call that ends them."""

WATCHED_SECONDS = 3.0

AUDIO_HEADER = struct.Struct("<BBHIQ")

SENTENCES = "the quick brown fox jumps over the lazy dog while the rain keeps falling on the roof. " * 40


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


Attack = Callable[[VirtualServer, str], Awaitable[None]]


async def native(server: VirtualServer, text: str) -> None:
    socket = server.connect("/v1/stream", bearer(ATTACKER))
    socket.send({"type": "text", "text": text})
    socket.send({"type": "end", "context": "0"})
    await asyncio.sleep(WATCHED_SECONDS)


async def in_pieces(server: VirtualServer, text: str) -> None:
    socket = server.connect("/v1/stream", bearer(ATTACKER))
    for at in range(0, len(text), 10):
        socket.send({"type": "text", "text": text[at : at + 10]})
    await asyncio.sleep(WATCHED_SECONDS)


async def deepgram(server: VirtualServer, text: str) -> None:
    socket = server.connect("/v1/speak?encoding=linear16", {"Authorization": f"Token {ATTACKER}"})
    for at in range(0, len(text), 2000):
        socket.send({"type": "Speak", "text": text[at : at + 2000]})
    socket.send({"type": "Flush"})
    await asyncio.sleep(WATCHED_SECONDS)


async def elevenlabs(server: VirtualServer, text: str) -> None:
    path = "/v1/text-to-speech/tone-low/multi-stream-input?output_format=pcm_24000"
    socket = server.connect(path, {"xi-api-key": ATTACKER})
    socket.send({"text": text, "context_id": "a", "flush": True})
    await asyncio.sleep(WATCHED_SECONDS)


async def cartesia(server: VirtualServer, text: str) -> None:
    socket = server.connect("/tts/websocket?cartesia_version=2025-04-16", {"X-API-Key": ATTACKER})
    raw = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
    asked = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "tone-low"}, "output_format": raw}
    socket.send(asked | {"transcript": text, "context_id": "a", "continue": True})
    await asyncio.sleep(WATCHED_SECONDS)


async def openai(server: VirtualServer, text: str) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"}
    headers = bearer(ATTACKER) | {"content-type": "application/json"}
    await server.post("/v1/audio/speech", json.dumps(body).encode(), headers)


async def gpt_sovits(server: VirtualServer, text: str) -> None:
    body = {"text": text, "text_lang": "en", "voice": "tone-low", "streaming_mode": True}
    await server.post("/tts", json.dumps(body).encode(), bearer(ATTACKER) | {"content-type": "application/json"})


async def cosyvoice(server: VirtualServer, text: str) -> None:
    form = urllib.parse.urlencode({"tts_text": text, "spk_id": "tone-low"}).encode()
    headers = bearer(ATTACKER) | {"content-type": "application/x-www-form-urlencoded"}
    await server.post("/inference_sft", form, headers)


async def wyoming(server: VirtualServer, text: str) -> None:
    reader, writer = asyncio.StreamReader(), Writer()
    reader.feed_data(json.dumps({"type": "synthesize", "data": {"text": text}}).encode() + b"\n")
    await WyomingHandler(server.application, reader, writer).run()  # type: ignore[arg-type]


class Writer:
    """A socket that takes everything."""

    def __init__(self) -> None:
        self.size = 0

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return ("127.0.0.1", 50_000) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.size += len(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        self.size += sum(map(len, lines))

    async def drain(self) -> None:
        await asyncio.sleep(0)


async def start_and_cancel(server: VirtualServer, text: str) -> None:
    """A context is opened for each ten characters, and interrupted."""
    socket = server.connect("/v1/stream", bearer(ATTACKER))
    for at in range(0, len(text), 10):
        socket.send({"type": "text", "context": f"c{at}", "text": text[at : at + 10]})
        socket.send({"type": "cancel", "context": f"c{at}"})
    await asyncio.sleep(WATCHED_SECONDS)


async def flushes(server: VirtualServer, text: str) -> None:
    """A Flush of Deepgram's for each character."""
    socket = server.connect("/v1/speak?encoding=linear16", {"Authorization": f"Token {ATTACKER}"})
    for _ in text:
        socket.send('{"type":"Flush"}')
    await asyncio.sleep(WATCHED_SECONDS)


async def crowd(server: VirtualServer, text: str) -> None:
    """Thirty-two contexts in each of ten sessions share the text."""
    part = len(text) // 320
    for number in range(10):
        socket = server.connect("/v1/stream", bearer(ATTACKER))
        for context in range(32):
            at = (32 * number + context) * part
            socket.send({"type": "text", "context": str(context), "text": text[at : at + part]})
    await asyncio.sleep(WATCHED_SECONDS)


async def many_sessions(server: VirtualServer, text: str) -> None:
    """Ten sessions send the whole text each."""
    for _ in range(10):
        socket = server.connect("/v1/stream", bearer(ATTACKER))
        socket.send({"type": "text", "text": text})
    await asyncio.sleep(WATCHED_SECONDS)


async def retractions(server: VirtualServer, text: str) -> None:
    """Half of a text is taken back again and again."""
    socket = server.connect("/v1/stream", bearer(ATTACKER))
    socket.send({"type": "start", "context": "0"})
    socket.send({"type": "hold", "context": "0"})
    for _ in range(500):
        socket.send({"type": "text", "context": "0", "text": text})
        socket.send({"type": "retract", "context": "0", "from_char": len(text) // 2})
    await asyncio.sleep(WATCHED_SECONDS)


WAYS: dict[str, Attack] = {
    "native": native,
    "in pieces": in_pieces,
    "deepgram": deepgram,
    "elevenlabs": elevenlabs,
    "cartesia": cartesia,
    "openai": openai,
    "gpt-sovits": gpt_sovits,
    "cosyvoice": cosyvoice,
    "wyoming": wyoming,
}

OTHERS: dict[str, tuple[Attack, str]] = {
    "start and cancel": (start_and_cancel, repeated("Yes. ")),
    "flushes": (flushes, repeated(".", 60_000)),
    "a crowd": (crowd, repeated("The birch canoe slid on the smooth planks. ", 64_000)),
    "many sessions, plain": (many_sessions, repeated("The birch canoe slid on the smooth planks. ")),
    "many sessions, marks": (many_sessions, repeated("[ ~~ <!-- > ")),
    "retractions": (retractions, repeated("one two [three] ")),
}


def listen(loop: VirtualLoop, server: VirtualServer) -> Socket:
    """A listener to whom a model writes 25 tokens a second, at playout speed."""
    socket = server.connect("/v1/stream", bearer(LISTENER))
    socket.send({"type": "start", "context": "c", "pacing": {"mode": "realtime", "lead_ms": 500}})
    for at in range(0, len(SENTENCES), 4):
        piece = SENTENCES[at : at + 4]
        loop.call_at(loop.time() + at / 100, socket.send, {"type": "text", "context": "c", "text": piece})
    return socket


def latest(socket: Socket) -> tuple[int, float]:
    """How many audio frames the listener got, and by how many seconds it ran dry at most."""
    dry_at, late, count = None, 0.0, 0
    for at, opcode, payload in socket.wire.frames():
        if opcode != 2:
            continue
        if dry_at is None:
            dry_at = at
        late, dry_at = max(late, at - dry_at), max(at, dry_at) + 0.02
        assert AUDIO_HEADER.unpack_from(payload)[3] == count, "frames come in order, none is left out"
        count += 1
    return count, late


def messages_of_attackers(server: VirtualServer) -> int:
    """How many messages the sessions of the other key were told."""
    drivers = server.application.sessions.of_accounts(["attacker"])
    return sum(driver.core.received for driver in drivers)


def watch(attack: Attack, text: str) -> tuple[int, float, float, str]:
    """Let a listener hear while another key attacks: its frames, its longest gap, the loop's longest hold."""
    with virtual_loop() as loop:
        server = VirtualServer(loop, **{"auth.keys": KEYS})

        async def run() -> Socket:
            socket = listen(loop, server)
            await asyncio.sleep(1.0)
            loop.holds.clear()
            attacking = asyncio.create_task(attack(server, text))
            await asyncio.sleep(WATCHED_SECONDS)
            assert attacking.done() or messages_of_attackers(server), "the attack is heard"
            attacking.cancel()
            return socket

        socket = loop.run_until_complete(run())
        count, late = latest(socket)
        return count, late, *loop.longest_hold


def assert_heard(attack: Attack, text: str) -> None:
    count, late, hold, what = watch(attack, text)
    assert count >= 50 * WATCHED_SECONDS, "it hears on"
    assert late <= GAP_SECONDS_MAX, f"the listener ran dry for {late:.3f} s"
    assert hold <= HOLD_SECONDS_MAX, f"{what} took {hold * 1000:.1f} ms"


@pytest.mark.parametrize("name", WHOLE)
def test_a_text_that_repeats_itself_keeps_no_one_waiting(name):
    assert_heard(native, WHOLE[name])


@pytest.mark.parametrize("name", PIECES)
def test_two_thousand_pieces_that_repeat_themselves_keep_no_one_waiting(name):
    assert_heard(in_pieces, repeated(PIECES[name]))


@pytest.mark.parametrize("way", [name for name in WAYS if name not in ("native", "in pieces")])
@pytest.mark.parametrize("name", ["full stops", "quotes", "commas, whole", "comments, whole"])
def test_no_vendors_client_keeps_anyone_waiting(way, name):
    assert_heard(WAYS[way], WHOLE[name])


@pytest.mark.parametrize("name", OTHERS)
def test_no_flood_keeps_anyone_waiting(name):
    assert_heard(*OTHERS[name])


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pieces=st.lists(st.text(ALPHABET, min_size=1, max_size=12), min_size=1, max_size=4), way=st.sampled_from(list(WAYS))
)
def test_no_text_of_marks_keeps_anyone_waiting(pieces, way):
    assert_heard(WAYS[way], repeated("".join(pieces), CHARS))
