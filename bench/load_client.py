"""Listeners for benchmarks: many WebSocket clients in one process that cost little, and judge what they hear.

A listener plays on the first byte, as the strictest player would: audio that comes after it ran dry is a stall. Frames
are looked at where they lie in the socket's buffer; no WebSocket library is between.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import struct
import time
from dataclasses import dataclass, field

HEADER = struct.Struct("<BBHIQ")

TEXTS = [
    "I can help you book a table for two tonight at seven thirty. The place on Elm Street still has room, and it is "
    "only a ten minute walk from your hotel. They ask for a small deposit, which comes off the bill. Shall I go "
    "ahead, or would you rather hear about two more that your friend recommended?",
    "The morning train leaves at a quarter past eight and gets there just before noon. There is a later one, but you "
    "would have to change twice, and the second connection is rather tight. If I were you I would take the first, buy "
    "breakfast on board, and read the report on the way. Do you want a seat by the window?",
    "Let me explain how this works. Every sentence you write is cut into short pieces, and each piece is spoken while "
    "the next one is still being prepared. Nobody has to wait for the whole answer, and when you interrupt, the voice "
    "stops at once and remembers exactly how far it got. That is really all there is to it.",
]


@dataclass
class Turn:
    """One answer as it was heard. `counted_seconds`: the part that came while all listeners were there."""

    text_at: float
    first_at: float | None = None
    seconds: float = 0.0
    counted_seconds: float = 0.0
    stalls: list[float] = field(default_factory=list)
    refused: bool = False
    server_ttfa_ms: float | None = None
    words: int = 0

    @property
    def ttfa(self) -> float | None:
        """Seconds from the first text sent to the first audio frame received."""
        return None if self.first_at is None else self.first_at - self.text_at


@dataclass
class Plan:
    """What every listener asks for. `rate` is tokens a second (0: the whole text at once); `pause` is between turns.

    `duty`: the share of the time that a listener is spoken to, if it is not always: the next turn begins so long after
    this one began that the speech of this one is that share of it. Texts then come by turns, not by chance.
    """

    url_host: str = "127.0.0.1"
    url_port: int = 8765
    audio: dict = field(default_factory=dict)
    pacing: dict = field(default_factory=dict)
    timings: list[str] = field(default_factory=lambda: ["word"])
    rate: float = 30.0
    pause: float = 0.2
    duty: float = 0.0
    texts: list[str] = field(default_factory=lambda: TEXTS)
    key: str = ""


def tokens(text: str) -> list[str]:
    """Pieces of some four characters, as a language model writes."""
    return [text[i : i + 4] for i in range(0, len(text), 4)]


def mask_text(data: bytes) -> bytes:
    """A client's text frame (RFC 6455, 5.3); the mask is zero, which is a mask like any other."""
    size = len(data)
    head = b"\x81" + (bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big"))
    return head + b"\0\0\0\0" + data


class Listener(asyncio.Protocol):
    """One session: turn after turn until `until`."""

    def __init__(self, plan: Plan, name: int, until: float, since: float = 0.0) -> None:
        self.plan = plan
        self.name = name
        self.random = random.Random(name)
        self.since = since
        self.until = until
        self.turns: list[Turn] = []
        self.bytes = 0
        self.frames = 0
        self.errors: list[str] = []
        self._buffer = bytearray()
        self._open = False
        self._rate = 24000
        self._frame_seconds = 0.02
        self._turn: Turn | None = None
        self._dry_at = 0.0
        self._number = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport = transport
        nonce = base64.b64encode(os.urandom(16)).decode()
        key = f"Authorization: Bearer {self.plan.key}\r\n" if self.plan.key else ""
        transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: {self.plan.url_host}:{self.plan.url_port}\r\nUpgrade: websocket\r\n{key}"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, exc) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        buffer = self._buffer
        buffer += data
        self.bytes += len(data)
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert buffer.startswith(b"HTTP/1.1 101"), bytes(buffer[:200])
            del buffer[: end + 4]
            self._open = True
        at, size = 0, len(buffer)
        while size - at >= 2:
            length, head = buffer[at + 1], 2
            if length == 126:
                if size - at < 4:
                    break
                length, head = int.from_bytes(buffer[at + 2 : at + 4], "big"), 4
            elif length == 127:
                length, head = int.from_bytes(buffer[at + 2 : at + 10], "big"), 10
            if size - at < head + length:
                break
            opcode = buffer[at] & 15
            if opcode == 2:
                self._frame(now)
            elif opcode == 1:
                self._message(json.loads(bytes(buffer[at + head : at + head + length])), now)
            elif opcode == 9:
                # A pong without its ping's payload is none (RFC 6455, 5.5.3): the server would let go of this client.
                self.transport.write(
                    bytes((0x8A, 0x80 | length)) + bytes(4) + bytes(buffer[at + head : at + head + length])
                )
            at += head + length
        del buffer[:at]

    def _frame(self, now: float) -> None:
        turn = self._turn
        self.frames += 1
        if turn is None:
            return
        if turn.first_at is None:
            turn.first_at = now
            self._dry_at = now
        if now > self._dry_at:
            turn.stalls.append(now - self._dry_at)
            self._dry_at = now
        self._dry_at += self._frame_seconds
        turn.seconds += self._frame_seconds
        if self.since <= now < self.until:
            turn.counted_seconds += self._frame_seconds

    def _message(self, message: dict, now: float) -> None:
        match message["type"]:
            case "ready":
                self._next_turn()
            case "started":
                self._frame_seconds = message["audio"]["frame_samples"] / message["audio"]["sample_rate"]
            case "timing" if self._turn is not None:
                self._turn.words += len(message.get("words", ()))
            case "done":
                assert self._turn is not None
                self._turn.server_ttfa_ms = message["timings"].get("ttfa_ms")
                self._end_turn(max(0.0, self._dry_at - now))
            case "error":
                self.errors.append(message["code"] + ": " + message["message"])
                if self._turn is not None:
                    self._turn.refused = True
                    self._end_turn(message.get("retry_after_ms", 500) / 1000)

    def give_up(self, now: float) -> None:
        """Count the answer that has not come to its end: a first word that never came, or silence until now."""
        turn, self._turn = self._turn, None
        if turn is not None:
            self.turns.append(turn)
            if turn.first_at is not None and now > self._dry_at:
                turn.stalls.append(now - self._dry_at)

    def _end_turn(self, wait: float) -> None:
        self.turns.append(self._turn)
        turn, self._turn = self._turn, None
        wait += self.plan.pause * self.random.random() * 2
        if self.plan.duty:
            wait = max(wait, turn.text_at + turn.seconds / self.plan.duty - time.monotonic())
        asyncio.get_running_loop().call_later(wait, self._next_turn)

    def _next_turn(self) -> None:
        if time.monotonic() >= self.until or self.transport.is_closing():
            self.transport.close()
            return
        self._number += 1
        name = str(self._number)
        plan = self.plan
        start = {"type": "start", "context": name, "audio": plan.audio, "pacing": plan.pacing, "seed": self._number}
        start["timings"] = plan.timings
        self._send(start)
        self._turn = Turn(time.monotonic())
        text = self._text()
        if not plan.rate:
            self._send({"type": "text", "context": name, "text": text}, {"type": "end", "context": name})
            return
        self._write_tokens(self._turn, name, tokens(text), 0)

    def _text(self) -> str:
        texts = self.plan.texts
        return texts[(self.name + self._number) % len(texts)] if self.plan.duty else self.random.choice(texts)

    def _write_tokens(self, turn: Turn, name: str, pieces: list[str], at: int) -> None:
        """Tokens come a few at a time, as over a network."""
        if turn is not self._turn:
            return
        few = 1 + self.random.randrange(4)
        self._send(*({"type": "text", "context": name, "text": piece} for piece in pieces[at : at + few]))
        if at + few >= len(pieces):
            self._send({"type": "end", "context": name})
            return
        wait = self.random.expovariate(self.plan.rate / few)
        asyncio.get_running_loop().call_later(wait, self._write_tokens, turn, name, pieces, at + few)

    def _send(self, *messages: dict) -> None:
        self.transport.write(b"".join(mask_text(json.dumps(message).encode()) for message in messages))


async def listen(plan: Plan, sessions: int, seconds: float, ramp: float) -> list[Listener]:
    """Run `sessions` listeners, begun evenly over `ramp` seconds, for `seconds` more; returns what they heard."""
    loop = asyncio.get_running_loop()
    until = time.monotonic() + ramp + seconds
    listeners = []
    for i in range(sessions):
        _, listener = await loop.create_connection(
            lambda i=i: Listener(plan, i, until, until - seconds), plan.url_host, plan.url_port
        )
        listeners.append(listener)
        await asyncio.sleep(ramp / sessions)
    await asyncio.wait([each.over for each in listeners], timeout=ramp + seconds + 30)
    for each in listeners:
        each.give_up(time.monotonic())
    return listeners


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
