"""A server on loopback that says what a test's script says, and keeps what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame, Flag, pack_frame
from voxwire_protocol.codec import JSON, MSGPACK, Codec, codec_for
from voxwire_protocol.errors import ErrorCode, VoxwireError

TIMEOUT_SECONDS = 20
"""A test that waits so long has failed."""

FRAME_SAMPLES = 480
LIMITS = m.Limits(
    message_bytes_max=1 << 20, contexts_max=32, text_chars_max=100, unspoken_chars_max=200, context_chars_max=100_000
)

T = TypeVar("T")


@dataclass
class Peer:
    """The server's side of one connection."""

    socket: ServerConnection
    codec: Codec
    ready: m.Ready
    received: list[m.ClientMessage] = field(default_factory=list)

    async def send(self, *messages: m.ServerMessage) -> None:
        """Say something."""
        for message in messages:
            await self.socket.send(self.codec.encode(message))

    async def next(self) -> m.ClientMessage:
        """What the client says next; its acks and pings are dealt with."""
        while True:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                message = self.codec.decode_client(await self.socket.recv())
            self.received.append(message)
            if isinstance(message, m.Ping):
                await self.send(m.Pong(t=message.t, server_ms=0))
            elif not isinstance(message, m.Ack):
                return message

    async def expect(self, type_: type[T]) -> T:
        """What the client says next, which must be a `type_`."""
        message = await self.next()
        assert isinstance(message, type_), f"expected {type_.__name__}, got {message}"
        return message

    async def until(self, type_: type[T]) -> T:
        """Listen until the client says a `type_`; texts are accepted on the way."""
        chars: dict[str, int] = {}
        while True:
            message = await self.next()
            if isinstance(message, type_):
                return message
            if isinstance(message, m.Text):
                chars[message.context] = chars.get(message.context, 0) + len(message.text)
                await self.accept(message, chars[message.context])

    async def accept(self, text: m.Text, chars: int) -> None:
        """Acknowledge a text."""
        await self.send(m.Accepted(context=text.context, text_seq=text.seq, chars=chars))

    async def start(self, number: int = 0, **audio) -> m.Start:
        """Wait for `start`, and grant it."""
        start = await self.expect(m.Start)
        await self.send(started(start.context, number, **audio))
        return start

    async def frames(self, number: int, count: int, first_seq: int = 0) -> None:
        """Send audio."""
        for seq in range(first_seq, first_seq + count):
            payload = seq.to_bytes(4, "little") * (FRAME_SAMPLES // 2)
            await self.socket.send(pack_frame(AudioFrame(number, seq, seq * FRAME_SAMPLES, payload, Flag(0))))

    async def refuse(self, code: ErrorCode, context: str | None = None, **facts) -> None:
        """Say that something is wrong."""
        await self.send(m.error_to_message(VoxwireError(code, "as the script wants it", context=context, **facts)))

    async def resumed(self, received: int | None = None, **contexts: m.ResumedContext) -> m.Resume:
        """Wait for `resume`, and grant it; `received` are the client's messages that came before."""
        resume = await self.expect(m.Resume)
        count = 0 if received is None else received
        await self.send(m.Resumed(token=f"{resume.token}+", received=count, contexts=contexts))
        return resume

    async def resume_failed(self, reason: str = "unknown") -> m.Resume:
        """Wait for `resume`, and refuse it."""
        resume = await self.expect(m.Resume)
        await self.send(m.ResumeFailed(reason=reason))
        return resume

    def drop(self) -> None:
        """Let the connection end without a word."""
        self.socket.transport.abort()

    async def cancelled(self, context: str, heard: str = "", unheard: str = "", pts: int = 0) -> None:
        """Answer a `cancel`."""
        await self.send(
            m.Cancelled(
                context=context,
                heard=m.Heard(pts=pts, chars=len(heard), text=heard),
                unheard=m.Unheard(chars=len(unheard), text=unheard),
            ),
            done(context, m.DoneReason.CANCELLED),
        )

    async def rest(self) -> None:
        """Do no more than answer pings, until the client goes."""
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            while True:
                await self.next()

    async def silence(self) -> None:
        """Say nothing more, until the client goes."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.received.append(self.codec.decode_client(await self.socket.recv()))


Script = Callable[[Peer], Awaitable[None]]


def started(context: str, number: int = 0, **audio) -> m.Started:
    """A granted `start`."""
    facts = {"codec": "pcm_s16le", "sample_rate": 24000, "frame_ms": 20, "frame_samples": FRAME_SAMPLES} | audio
    return m.Started(context=context, number=number, voice="heart", engine="tone", audio=m.AudioInfo(**facts))


def done(context: str, reason: m.DoneReason = m.DoneReason.COMPLETED, frames: int = 0, chars: int = 0) -> m.Done:
    """The end of a context."""
    return m.Done(context=context, reason=reason, frames=frames, samples=frames * FRAME_SAMPLES, chars=chars)


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Script,
    ready: bool = True,
    heartbeat_ms: int = 60_000,
    limits: m.Limits = LIMITS,
    resume_window_ms: int = 0,
) -> AsyncIterator[str]:
    """Serve a script on every connection, the n-th on the n-th and the last on all that follow.

    Sessions are s1, s2 …, with tokens t1, t2 …. Yields the URL, and raises at the end what a script raised.
    """
    problems: list[BaseException] = []
    numbers = itertools.count()

    async def handle(socket: ServerConnection) -> None:
        number = next(numbers)
        greeting = m.Ready(
            session=f"s{number + 1}",
            token=f"t{number + 1}",
            heartbeat_ms=heartbeat_ms,
            resume_window_ms=resume_window_ms,
            limits=limits,
        )
        peer = Peer(socket, codec_for(socket.subprotocol or "") or JSON, greeting)
        try:
            if ready:
                await peer.send(greeting)
            await scripts[min(number, len(scripts) - 1)](peer)
            await peer.rest()
        except ConnectionClosed as error:
            problems.append(AssertionError(f"the client left in the middle of script {number}: {error}"))
        except Exception as error:
            problems.append(error)

    subprotocols = [JSON.subprotocol, MSGPACK.subprotocol]
    async with serve(handle, "127.0.0.1", 0, subprotocols=subprotocols, compression=None, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        try:
            yield f"ws://127.0.0.1:{port}"
        except Exception as error:
            # Where the script has gone wrong, what the client made of it matters less.
            raise (problems[0] if problems else error) from None
    for problem in problems:
        raise problem


def play(action: Callable[[], Awaitable[T]]) -> T:
    """Run a test's coroutine; it fails rather than hangs."""

    async def run() -> T:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await action()

    return asyncio.run(run())
