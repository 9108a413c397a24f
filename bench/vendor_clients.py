"""Clients for benchmarks, one for each endpoint: plain sockets, and the messages that vendors' own clients send."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from host import Host
from load_client import tokens

TURN_SECONDS_MAX = 20.0
RATE = 24000


class Unit(Enum):
    """What a client sends at once."""

    TOKEN = "tokens"
    SENTENCE = "sentences"
    WHOLE = "the whole text"


@dataclass(frozen=True)
class Script:
    """A text as it is being written. `clause_chars` is how much of it makes the first clause."""

    text: str
    clause_chars: int
    token_seconds: float

    @classmethod
    def of(cls, text: str, token_seconds: float) -> Script:
        """Ask the server's own text intake where the first clause is certain."""
        from voxwire_server.text.intake import TextIntake, Urgency

        intake = TextIntake("en-us")
        chars = 0
        for token in tokens(text):
            intake.feed(token)
            chars += len(token)
            if intake.take(Urgency.RELAXED) is not None:
                break
        return cls(text, chars, token_seconds)

    def pieces(self, unit: Unit) -> Iterator[tuple[float, str]]:
        """What is sent, and when: seconds after the first token."""
        waiting, at = "", 0.0
        for index, token in enumerate(tokens(self.text)):
            at = index * self.token_seconds
            waiting += token
            if unit is Unit.TOKEN:
                yield at, waiting
                waiting = ""
            elif unit is Unit.SENTENCE and (end := re.search(r"[.?!] +(?=\S)", waiting)):
                yield at, waiting[: end.end()]
                waiting = waiting[end.end() :]
        if waiting:
            yield at, waiting


@dataclass
class Turn:
    """One turn, in seconds of the monotonic clock."""

    name: str
    began: float = 0.0
    clause_at: float | None = None
    first_at: float | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def audio(self) -> None:
        """Some audio has come."""
        if self.first_at is None:
            self.first_at = time.monotonic()


class Endpoint(ABC):
    """One way to have a text spoken."""

    unit = Unit.TOKEN

    def __init__(self, name: str, host: Host) -> None:
        self.name = name
        self.host = host

    @abstractmethod
    async def prepare(self) -> None:
        """Before a turn: connect, where that has to be done."""

    @abstractmethod
    async def begin(self, turn: Turn) -> None:
        """Say that a turn begins."""

    @abstractmethod
    async def send(self, turn: Turn, text: str) -> None:
        """Say some of the text."""

    @abstractmethod
    async def end(self, turn: Turn) -> None:
        """Say that it was all, and hear the turn out."""

    @abstractmethod
    async def close(self) -> None:
        """Leave."""

    async def speak(self, number: int, script: Script) -> Turn:
        """One turn."""
        await self.prepare()
        turn = Turn(f"turn-{number}", time.monotonic())
        chars = 0
        for index, (at, text) in enumerate(script.pieces(self.unit)):
            await asyncio.sleep(turn.began + at - time.monotonic())
            if not index:
                await self.begin(turn)
            await self.send(turn, text)
            chars += len(text)
            if turn.clause_at is None and (self.unit is not Unit.TOKEN or chars >= script.clause_chars):
                turn.clause_at = time.monotonic()
        async with asyncio.timeout(TURN_SECONDS_MAX):
            await self.end(turn)
        assert turn.first_at is not None, f"{self.name}: no audio"
        return turn


class SocketEndpoint(Endpoint):
    """Over a WebSocket. Subclasses say what is sent, and take what comes."""

    path: str
    turns_per_connection = 10**9

    def __init__(self, name: str, host: Host, path: str = "") -> None:
        super().__init__(name, host)
        self.path = path or self.path
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._turn: Turn | None = None
        self._left = 0

    async def prepare(self) -> None:
        if self._socket is None or self._left == 0:
            await self.close()
            self._socket = await connect(f"ws://127.0.0.1:{self.host.port}{self.path}", max_size=None, compression=None)
            self._reader = asyncio.create_task(self._read(self._socket))
            self._left = self.turns_per_connection
        self._left -= 1

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
            await asyncio.gather(self._reader)
            self._socket = None

    async def _read(self, socket: ClientConnection) -> None:
        async for raw in socket:
            turn = self._turn
            if turn is not None:
                message = {} if isinstance(raw, bytes) else json.loads(raw)
                assert message.get("type") not in ("error", "Error"), f"{self.name}: {raw}"
                self.heard(turn, message, raw)
        if self._turn is not None:
            self._turn.over.set()

    async def begin(self, turn: Turn) -> None:
        self._turn = turn
        await self.say(*self.opening(turn))

    async def send(self, turn: Turn, text: str) -> None:
        await self.say(*self.spoken(turn, text))

    async def end(self, turn: Turn) -> None:
        await self.say(*self.ending(turn))
        await turn.over.wait()
        self._turn = None

    async def say(self, *messages: dict[str, Any]) -> None:
        assert self._socket is not None
        for message in messages:
            await self._socket.send(json.dumps(message))

    def opening(self, turn: Turn) -> list[dict[str, Any]]:
        return []

    @abstractmethod
    def spoken(self, turn: Turn, text: str) -> list[dict[str, Any]]:
        """The messages with some text."""

    @abstractmethod
    def ending(self, turn: Turn) -> list[dict[str, Any]]:
        """The messages after the text."""

    @abstractmethod
    def heard(self, turn: Turn, message: dict[str, Any], raw: str | bytes) -> None:
        """A message has come: {} if it was binary."""


class Native(SocketEndpoint):
    """The server's own protocol."""

    path = "/v1/stream"

    def opening(self, turn: Turn) -> list[dict[str, Any]]:
        audio = {"codec": "pcm_s16le", "sample_rate": RATE}
        return [{"type": "start", "context": turn.name, "audio": audio, "pacing": {"lead_ms": 10_000}}]

    def spoken(self, turn: Turn, text: str) -> list[dict[str, Any]]:
        return [{"type": "text", "context": turn.name, "text": text}]

    def ending(self, turn: Turn) -> list[dict[str, Any]]:
        return [{"type": "end", "context": turn.name}]

    def heard(self, turn: Turn, message: dict[str, Any], raw: str | bytes) -> None:
        if isinstance(raw, bytes):
            turn.audio()
        elif message["type"] == "done":
            turn.over.set()


class ElevenLabsContexts(SocketEndpoint):
    """multi-stream-input, as LiveKit's plugin uses it: each sentence spoken at once."""

    unit = Unit.SENTENCE
    path = "/v1/text-to-speech/heart/multi-stream-input?auto_mode=true&output_format=pcm_24000"

    def opening(self, turn: Turn) -> list[dict[str, Any]]:
        return [{"text": " ", "context_id": turn.name}]

    def spoken(self, turn: Turn, text: str) -> list[dict[str, Any]]:
        return [{"text": text, "context_id": turn.name, "flush": True}]

    def ending(self, turn: Turn) -> list[dict[str, Any]]:
        return [
            {"text": "", "context_id": turn.name, "flush": True},
            {"context_id": turn.name, "close_context": True},
        ]

    def heard(self, turn: Turn, message: dict[str, Any], raw: str | bytes) -> None:
        if message.get("audio"):
            assert base64.b64decode(message["audio"])
            turn.audio()
        if message.get("isFinal"):
            turn.over.set()


class ElevenLabsStream(ElevenLabsContexts):
    """stream-input: one stream a connection, tokens, spoken from 50 characters on."""

    unit = Unit.TOKEN
    turns_per_connection = 1
    path = "/v1/text-to-speech/heart/stream-input?output_format=pcm_24000"

    def opening(self, turn: Turn) -> list[dict[str, Any]]:
        return [{"text": " ", "generation_config": {"chunk_length_schedule": [50]}}]

    def spoken(self, turn: Turn, text: str) -> list[dict[str, Any]]:
        return [{"text": text}]

    def ending(self, turn: Turn) -> list[dict[str, Any]]:
        return [{"text": ""}]


class Cartesia(SocketEndpoint):
    """/tts/websocket, contexts with `continue`."""

    path = "/tts/websocket?cartesia_version=2025-04-16"

    def spoken(self, turn: Turn, text: str, more: bool = True) -> list[dict[str, Any]]:
        message = {
            "model_id": "sonic-2",
            "transcript": text,
            "voice": {"mode": "id", "id": "heart"},
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE},
            "context_id": turn.name,
            "continue": more,
        }
        return [message]

    def ending(self, turn: Turn) -> list[dict[str, Any]]:
        return self.spoken(turn, "", more=False)

    def heard(self, turn: Turn, message: dict[str, Any], raw: str | bytes) -> None:
        if message["type"] == "chunk":
            turn.audio()
        elif message["type"] == "done":
            turn.over.set()


class Deepgram(SocketEndpoint):
    """/v1/speak and /v2/speak: `last` is the message that ends a turn."""

    def __init__(self, name: str, host: Host, path: str, last: str) -> None:
        super().__init__(name, host, f"{path}&encoding=linear16&sample_rate={RATE}")
        self._last = last

    def spoken(self, turn: Turn, text: str) -> list[dict[str, Any]]:
        return [{"type": "Speak", "text": text}]

    def ending(self, turn: Turn) -> list[dict[str, Any]]:
        return [{"type": "Flush"}]

    def heard(self, turn: Turn, message: dict[str, Any], raw: str | bytes) -> None:
        if isinstance(raw, bytes):
            turn.audio()
        elif message["type"] == self._last:
            turn.over.set()


class OpenAI(Endpoint):
    """POST /v1/audio/speech, once the whole text is there."""

    unit = Unit.WHOLE

    def __init__(self, name: str, host: Host, fields: dict[str, str]) -> None:
        super().__init__(name, host)
        self._fields = fields
        self._client = httpx.AsyncClient(base_url=host.http, timeout=TURN_SECONDS_MAX)
        self._answer: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        await self._client.get("/v1/models")

    async def begin(self, turn: Turn) -> None:
        pass

    async def send(self, turn: Turn, text: str) -> None:
        self._answer = asyncio.create_task(self._request(turn, text))
        await asyncio.sleep(0)

    async def end(self, turn: Turn) -> None:
        await asyncio.gather(self._answer)

    async def close(self) -> None:
        await self._client.aclose()

    async def _request(self, turn: Turn, text: str) -> None:
        fields = {"model": "tts-1", "voice": "alloy", "input": text} | self._fields
        async with self._client.stream("POST", "/v1/audio/speech", json=fields) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_raw():
                if part:
                    turn.audio()


class Wyoming(Endpoint):
    """Home Assistant's protocol over TCP: a line of JSON, then `data_length` bytes of more, then the payload."""

    def __init__(self, name: str, host: Host, port: int) -> None:
        super().__init__(name, host)
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self._answer: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        await self.close()
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def begin(self, turn: Turn) -> None:
        self._answer = asyncio.create_task(self._hear(turn))
        self._say("synthesize-start", {"voice": {"name": "heart"}})

    async def send(self, turn: Turn, text: str) -> None:
        self._say("synthesize-chunk", {"text": text})

    async def end(self, turn: Turn) -> None:
        self._say("synthesize-stop", {})
        await asyncio.gather(self._answer)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            await self._writer.wait_closed()
            self._writer = None

    def _say(self, kind: str, data: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps({"type": kind, "data": data}).encode() + b"\n")

    async def _hear(self, turn: Turn) -> None:
        while True:
            header = json.loads(await self._reader.readline())
            for part in ("data_length", "payload_length"):
                await self._reader.readexactly(header.get(part) or 0)
            match header["type"]:
                case "audio-chunk":
                    turn.audio()
                case "synthesize-stopped":
                    return
