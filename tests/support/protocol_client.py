"""A bare client of the protocol on a real socket: sends messages, keeps everything that comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame, is_audio_frame, unpack_frame
from voxwire_protocol.codec import JSON, Codec

TIMEOUT_SECONDS = 60


@dataclass
class Wire:
    """One connection. `received` holds messages and audio frames in the order in which they came."""

    socket: ClientConnection
    codec: Codec
    received: list[m.ServerMessage | AudioFrame] = field(default_factory=list)

    async def send(self, *messages: m.ClientMessage) -> None:
        """Send messages."""
        for message in messages:
            await self.socket.send(self.codec.encode(message))

    async def next(self) -> m.ServerMessage | AudioFrame:
        """What comes next."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            raw = await self.socket.recv()
        if isinstance(raw, bytes) and is_audio_frame(raw):
            self.received.append(unpack_frame(raw))
        else:
            self.received.append(self.codec.decode_server(raw))
        return self.received[-1]

    async def until(self, *types: type, context: str | None = None):
        """Read until a message of one of `types` (of `context`) comes; returns it."""
        while True:
            message = await self.next()
            if isinstance(message, types) and (context is None or getattr(message, "context", None) == context):
                return message

    def frames(self, context: str = "0") -> list[AudioFrame]:
        """The audio frames of a context so far (of its newest opening)."""
        numbers = [each.number for each in self.of(m.Started) if each.context == context]
        return [f for f in self.of(AudioFrame) if numbers and f.context_number == numbers[-1]]

    def of(self, type_):
        """Everything of one type so far."""
        return [each for each in self.received if isinstance(each, type_)]

    def pcm(self, context: str = "0") -> bytes:
        """A context's payloads, joined."""
        return b"".join(frame.payload for frame in self.frames(context))

    def samples(self, context: str = "0") -> np.ndarray:
        """A context's 16-bit PCM as float32."""
        return np.frombuffer(self.pcm(context), "<i2").astype(np.float32) / 32768


@contextlib.asynccontextmanager
async def wire(url: str, codec: Codec = JSON, headers: dict[str, str] | None = None, **options) -> AsyncIterator[Wire]:
    """Connect and read `ready`."""
    async with connect(
        url,
        subprotocols=[codec.subprotocol],
        compression=None,
        max_size=None,
        max_queue=None,
        additional_headers=headers,
        proxy=None,
        **options,
    ) as socket:
        client = Wire(socket, codec)
        await client.next()
        yield client


async def say(url: str, text: str, *, pieces: int | None = None, codec: Codec = JSON, **start) -> Wire:
    """Speak one text, in pieces of `pieces` characters, and end; returns everything that came."""
    async with wire(url, codec) as client:
        await client.send(m.Start(**start))
        step = pieces or max(1, len(text))
        await client.send(*(m.Text(text=text[i : i + step]) for i in range(0, len(text), step)), m.End())
        await client.until(m.Done)
        return client
