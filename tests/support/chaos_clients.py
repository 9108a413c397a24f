"""Visits to a server: each connects, does what some client does, and leaves as that client would.

A visit says how it went; `Visits.unexpected` keeps what should not have happened.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import orjson

from support.raw_websocket import BINARY, CLOSE, TEXT, frame

TIMEOUT_SECONDS = 60.0

SHORT = "Glue the sheet to the dark blue background."
LONG = " ".join(
    (
        "The birch canoe slid on the smooth planks.",
        "It is easy to tell the depth of a well, and these days a chicken leg is a rare dish.",
        "Rice is often served in round bowls, and the juice of lemons makes fine punch.",
        "The box was thrown beside the parked truck.",
    )
)


class Unexpected(Exception):
    """A visit did not go as it should."""


class Visitor:
    """One connection. `ready` is the server's first message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ready: dict = {}
        self.frames = 0
        self.counted = 0
        """Messages and frames that count for resuming."""

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int | None = None) -> Visitor:
        """Connect as far as `ready`."""
        plug = socket.socket()
        plug.setblocking(False)
        if receive_buffer is not None:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", port))
        visitor = cls(*await asyncio.open_connection(sock=plug))
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            visitor.writer.write(
                f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            answer = await visitor.reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 101"):
                raise Unexpected(answer[:60].decode())
            visitor.ready = await visitor.until("ready")
        except BaseException:
            visitor.vanish()
            raise
        visitor.counted = 0
        return visitor

    def send(self, *messages: dict) -> None:
        """Send messages."""
        self.writer.write(b"".join(frame(TEXT, orjson.dumps(message)) for message in messages))

    def say(self, text: str, *, pacing: str = "burst", codec: str = "pcm_s16le", end: bool = True) -> None:
        """Open a context and have a text spoken."""
        start = {"type": "start", "context": "c", "audio": {"codec": codec}, "pacing": {"mode": pacing}}
        self.send(start, {"type": "text", "context": "c", "text": text})
        if end:
            self.send({"type": "end", "context": "c"})

    async def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        head = await self.reader.readexactly(2)
        size = head[1]
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        payload = await self.reader.readexactly(size)
        opcode = head[0] & 15
        if opcode == BINARY:
            self.frames += 1
        self.counted += opcode in (BINARY, TEXT)
        return opcode, payload

    async def until(self, *types: str) -> dict:
        """Read until a message of one of these types comes."""
        while True:
            opcode, payload = await self.read()
            if opcode == CLOSE:
                raise Unexpected(f"closed: {payload!r}")
            if opcode == TEXT:
                message: dict = orjson.loads(payload)
                if message["type"] in types:
                    return message
                if message["type"] == "error" and "error" not in types:
                    raise Unexpected(f"{message['code']}: {message['message']}")

    async def first_frame(self) -> None:
        """Read until audio comes."""
        while (await self.read())[0] != BINARY:
            pass

    async def spoken(self, reason: str = "completed") -> None:
        """Read until the context is over, for this reason."""
        done = await self.until("done")
        if done["reason"] != reason:
            raise Unexpected(f"done: {done['reason']}")
        if reason == "completed" and not self.frames:
            raise Unexpected("no audio")

    async def to_the_end(self) -> None:
        """Read whatever comes until the connection is over."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self.read()

    async def goodbye(self) -> None:
        """Close the session by a close frame, as clients should."""
        self.writer.write(frame(CLOSE, (1000).to_bytes(2, "big")))
        await self.to_the_end()
        self.writer.close()

    def vanish(self) -> None:
        """Drop the connection; the peer gets a reset."""
        plug = self.writer.get_extra_info("socket")
        if plug is not None:  # the peer may have closed it already
            with suppress(OSError):
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Visits:
    """Visits of every kind to the server at `port`, drawn by `rng`. `window_seconds`: its resume window."""

    def __init__(self, port: int, rng: random.Random, *, window_seconds: float, slow_reader_seconds: float) -> None:
        self.port = port
        self.counts: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self._random = rng
        self._window_seconds = window_seconds
        self._slow_reader_seconds = slow_reader_seconds
        self.kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.turn: 36,
            self.three_turns: 6,
            self.cancel: 12,
            self.quit: 10,
            self.drop: 12,
            self.resume: 12,
            self.resume_too_late: 2,
            self.resume_another: 2,
            self.read_slowly: 2,
            self.talk_nonsense: 3,
            self.break_the_framing: 1,
            self.half_a_handshake: 2,
        }

    async def one(self, kind: Callable[[], Awaitable[None]] | None = None) -> None:
        """Make a visit, of a kind drawn at random unless given."""
        kind = kind or self._random.choices(list(self.kinds), list(self.kinds.values()))[0]
        name: str = kind.__name__  # type: ignore[attr-defined]
        self.counts[name] += 1
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await kind()
        except (Unexpected, TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            self.unexpected.append(f"{name}: {type(error).__name__} {error}")

    async def turn(self) -> None:
        """A sentence, heard whole."""
        visitor = await self._connect()
        visitor.say(SHORT, codec=self._random.choice(("pcm_s16le", "pcm_s16le", "mulaw", "opus")))
        await visitor.spoken()
        await visitor.goodbye()

    async def three_turns(self) -> None:
        """Sentences one after the other."""
        visitor = await self._connect()
        for _ in range(3):
            visitor.say(SHORT)
            await visitor.spoken()
        await visitor.goodbye()

    async def cancel(self) -> None:
        """Barge in."""
        visitor = await self._connect()
        visitor.say(LONG, pacing=self._pacing())
        await visitor.first_frame()
        visitor.send({"type": "cancel", "context": "c"})
        await visitor.until("done", "error")
        await visitor.goodbye()

    async def quit(self) -> None:
        """Leave in mid sentence, with a close frame."""
        visitor = await self._connect()
        visitor.say(LONG, pacing=self._pacing())
        await visitor.first_frame()
        await visitor.goodbye()

    async def drop(self) -> None:
        """Be gone, and not come back."""
        visitor = await self._connect()
        visitor.say(LONG, pacing=self._pacing(), end=self._random.random() < 0.5)
        if self._random.random() < 0.7:
            await visitor.first_frame()
        visitor.vanish()

    async def resume(self) -> None:
        """Be gone, come back in time, and hear the rest."""
        lost = await self._connect()
        lost.say(SHORT, pacing=self._pacing())
        await lost.first_frame()
        lost.vanish()
        gone_at = asyncio.get_running_loop().time()
        await asyncio.sleep(self._random.uniform(0.0, 0.25 * self._window_seconds))
        back = await self._come_back(lost)
        message = await back.until("resumed", "resume_failed")
        if message["type"] != "resumed":
            away_seconds = asyncio.get_running_loop().time() - gone_at
            raise Unexpected(f"resume_failed: {message['reason']} after {away_seconds:.2f} s")
        back.frames = lost.frames
        await back.spoken()
        await back.goodbye()

    async def resume_too_late(self) -> None:
        """Come back when the session is gone; the fresh one takes its place."""
        lost = await self._connect()
        lost.say(SHORT, pacing=self._pacing())
        await lost.first_frame()
        lost.vanish()
        await asyncio.sleep(self._window_seconds + 0.5)
        back = await self._come_back(lost)
        await back.until("resume_failed")
        back.say(SHORT)
        await back.spoken()
        await back.goodbye()

    async def resume_another(self) -> None:
        """Try to take a session over with a token that is not its own."""
        victim = await self._connect()
        victim.say(SHORT, pacing=self._pacing())
        await victim.first_frame()
        thief = await self._connect()
        thief.send({"type": "resume", "session": victim.ready["session"], "token": "guessed", "received": 0})
        await thief.until("resume_failed")
        await victim.spoken()
        await thief.goodbye()
        await victim.goodbye()

    async def read_slowly(self) -> None:
        """Not read until the server has had enough, and then what is left."""
        visitor = await Visitor.connect(self.port, receive_buffer=8192)
        visitor.say(LONG * 6)
        await visitor.first_frame()
        await asyncio.sleep(self._slow_reader_seconds * self._random.uniform(0.5, 2.0))
        visitor.writer.write(frame(CLOSE, (1000).to_bytes(2, "big")))
        await visitor.to_the_end()
        visitor.vanish()

    async def talk_nonsense(self) -> None:
        """Messages that are none; the session goes on, or ends for abuse."""
        visitor = await self._connect()
        nonsense = [
            b"{",
            b"[]",
            b'{"type":"nothing"}',
            b'{"type":"text"}',
            b"\xff\xfe",
            b'{"type":"end","context":"?"}',
        ]
        count = self._random.choice((3, 300))
        for _ in range(count):
            opcode = self._random.choice((TEXT, TEXT, TEXT, BINARY))
            pick = self._random.choice(nonsense[:4] + nonsense[5:] if opcode == TEXT else nonsense)
            visitor.writer.write(frame(opcode, pick))
        if count > 100:
            await visitor.to_the_end()
            visitor.vanish()
        else:
            for _ in range(count):
                await visitor.until("error")
            await visitor.goodbye()

    async def break_the_framing(self) -> None:
        """A WebSocket frame that no client may send."""
        visitor = await self._connect()
        visitor.say(SHORT)
        visitor.writer.write(frame(TEXT, b"{}", mask=False))
        await visitor.to_the_end()
        visitor.vanish()

    async def half_a_handshake(self) -> None:
        """Go away before there is a session."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\n")
        await writer.drain()
        writer.transport.abort()

    async def _connect(self) -> Visitor:
        return await Visitor.connect(self.port)

    async def _come_back(self, lost: Visitor) -> Visitor:
        back = await self._connect()
        ready = lost.ready
        token = {"session": ready["session"], "token": ready["token"]}
        back.send({"type": "resume", "received": lost.counted, **token})
        return back

    def _pacing(self) -> str:
        return self._random.choice(("burst", "burst", "realtime"))
