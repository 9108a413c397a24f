"""A session over one WebSocket, and the utterances spoken on it.

One task reads the socket and sorts what comes by context. Each utterance has a queue of its own with a bound: a caller
that does not consume one utterance holds back the whole connection, as TCP would, and loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from voxwire_client.playout import PlayoutClock
from voxwire_protocol import messages as m
from voxwire_protocol.audio import Flag, is_audio_frame, unpack_frame
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_protocol.errors import CloseCode, VoxwireError

if TYPE_CHECKING:
    from types import TracebackType

    from websockets.asyncio.client import ClientConnection

    from voxwire_protocol.codec import Codec
    from voxwire_protocol.messages import ClientMessage, ServerMessage

QUEUE_EVENTS_MAX = 4096
"""Some eighty seconds of audio frames."""
ACK_SECONDS = 0.2
PING_SECONDS = 10.0
CONNECT_SECONDS_MAX = 10.0

Tokens = str | Iterable[str] | AsyncIterable[str]


class ConnectionLost(Exception):
    """The connection is gone: `code` and `reason` are those of the WebSocket close, or 1006 without one."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"connection lost ({code}{': ' + reason if reason else ''})")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Audio:
    """One audio frame: `payload` in `codec`, its first sample at `pts` of the context's clock."""

    payload: bytes
    pts: int
    seq: int
    flags: Flag
    codec: m.Codec
    sample_rate: int
    frame_samples: int


Event = (
    Audio | m.Started | m.Accepted | m.ClauseStarted | m.Timing | m.Flushed | m.Done | m.Cancelled | m.WarningMessage
)


class Utterance:
    """One context: text goes in, events come out. Iterate over it for the events; it ends after `Done`.

    An `error` of the server's about this context is raised as `VoxwireError` where the iteration stands; a lost
    connection as `ConnectionLost`.
    """

    def __init__(self, session: Session, start: m.Start, tokens: Tokens | None) -> None:
        self.context = start.context
        self.playout: PlayoutClock | None = None
        self.started: m.Started | None = None
        self.done: m.Done | None = None
        self._session = session
        self._start = start
        self._tokens = tokens
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue(QUEUE_EVENTS_MAX)
        self._cancelled: asyncio.Future[m.Cancelled] = asyncio.get_running_loop().create_future()
        self._writer: asyncio.Task[None] | None = None
        self._opened = False
        self._acked_at = 0.0

    # -- text in --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the context; done by the first iteration otherwise."""
        if not self._opened:
            self._opened = True
            self._session._register(self)
            await self._session.send(self._start)
            if self._tokens is not None:
                self._writer = asyncio.create_task(self._write(self._tokens), name="voxwire-write")

    async def text(self, text: str, *, flush: bool = False) -> None:
        """Append text, in pieces of any size."""
        await self.open()
        if text:
            await self._session.send(m.Text(context=self.context, text=text, flush=flush))

    async def flush(self, id: str | None = None) -> None:
        """Speak all that is buffered; a `Flushed` event follows its last frame."""
        await self.open()
        await self._session.send(m.Flush(context=self.context, id=id))

    async def end(self) -> None:
        """No more text."""
        await self.open()
        await self._session.send(m.End(context=self.context))

    # -- control --------------------------------------------------------------------------------------------------

    async def cancel(self, played_pts: int | None = None) -> m.Cancelled | None:
        """Barge-in: stop now. Returns what was heard and what was not; None when everything was over already.

        Drop what the player holds before you call it. `played_pts` is what the player played; the playout clock's
        position otherwise.
        """
        if not self._opened or self.done is not None:
            return None
        if self._writer is not None:
            self._writer.cancel()
        if played_pts is None and self.playout is not None:
            played_pts = self.playout.position(time.monotonic())
        await self._session.send(m.Cancel(context=self.context, played_pts=played_pts))
        with contextlib.suppress(asyncio.CancelledError):
            return await asyncio.shield(self._cancelled)
        return None

    async def hold(self) -> None:
        """Let the server pause; nothing is lost."""
        await self._session.send(m.Hold(context=self.context))

    async def release(self) -> None:
        """Go on after `hold`."""
        await self._session.send(m.Release(context=self.context))

    async def retract(self, from_char: int) -> None:
        """Drop text that is not being spoken yet, from a character on."""
        await self._session.send(m.Retract(context=self.context, from_char=from_char))

    async def configure(self, *, bitrate: int | None = None, pacing: m.PacingRequest | None = None) -> None:
        """Change Opus' bitrate or the pacing while it speaks."""
        audio = None if bitrate is None else m.BitrateRequest(bitrate=bitrate)
        await self._session.send(m.Configure(context=self.context, audio=audio, pacing=pacing))

    # -- events out -----------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Event]:
        try:
            await self.open()
            while True:
                event = await self._events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, m.Done):
                    return
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """The caller stops listening: nobody needs the rest."""
        if self._writer is not None:
            self._writer.cancel()
        if self._opened and self.done is None and not self._session.closed:
            with contextlib.suppress(ConnectionLost):
                await self._session.send(m.Cancel(context=self.context))
        self._session._forget(self)

    async def _write(self, tokens: Tokens) -> None:
        try:
            if isinstance(tokens, str):
                tokens = [tokens]
            if isinstance(tokens, AsyncIterable):
                async for token in tokens:
                    await self.text(token)
            else:
                for token in tokens:
                    await self.text(token)
            await self.end()
        except ConnectionLost:
            pass
        except Exception as error:
            # The writer of the text failed: its listener learns why, and the server stops speaking.
            await self._put(error)

    async def _put(self, event: Event | Exception) -> None:
        await self._events.put(event)

    async def _take(self, message: Any, now: float) -> None:
        """A message of this context, from the session's reader."""
        match message:
            case m.Started():
                self.started = message
                self.playout = PlayoutClock(message.audio.sample_rate)
            case m.Done():
                self.done = message
                if not self._cancelled.done():
                    self._cancelled.cancel()
                self._session._forget(self)
            case m.Cancelled() if not self._cancelled.done():
                self._cancelled.set_result(message)
            case m.ErrorMessage():
                await self._put(VoxwireError.from_message(message))
                if self.started is None:
                    self._session._forget(self)
                return
            case Audio() if self.playout is not None:
                self.playout.received(message.pts + message.frame_samples, now)
                await self._acknowledge(message, now)
        await self._put(message)

    async def _acknowledge(self, audio: Audio, now: float) -> None:
        if now - self._acked_at >= ACK_SECONDS and self.playout is not None:
            self._acked_at = now
            played = self.playout.position(now)
            with contextlib.suppress(ConnectionLost):
                await self._session.send(m.Ack(context=self.context, seq=audio.seq, played_pts=played))

    def _lost(self, error: ConnectionLost) -> None:
        if not self._cancelled.done():
            self._cancelled.cancel()
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(error)


class Session:
    """One connection. `connect` makes it; many utterances can be spoken on it, one after another or at once."""

    def __init__(self, socket: ClientConnection, codec: Codec) -> None:
        self.ready: m.Ready
        self.draining: m.Draining | None = None
        self.states: dict[str, m.ContextState] = {}
        self.closed = False
        self._socket = socket
        self._codec = codec
        self._names = itertools.count(1)
        self._utterances: dict[str, Utterance] = {}
        self._numbers: dict[int, Utterance] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._pong_at = time.monotonic()

    def speak(
        self,
        text: Tokens,
        *,
        voice: str | None = None,
        language: str | None = None,
        speed: float | None = None,
        codec: m.Codec | None = None,
        sample_rate: int | None = None,
        frame_ms: int | None = None,
        bitrate: int | None = None,
        timings: Iterable[m.TimingKind] | None = None,
        pacing: m.PacingRequest | m.PacingMode | None = None,
        priority: m.Priority | None = None,
        seed: int | None = None,
        context: str | None = None,
    ) -> Utterance:
        """Speak a text, or pieces of text as they come. Iterate over the result for its events."""
        if isinstance(pacing, str):
            pacing = m.PacingRequest(mode=pacing)
        audio = m.AudioRequest(codec=codec, sample_rate=sample_rate, frame_ms=frame_ms, bitrate=bitrate)
        start = m.Start(
            context=context or f"u{next(self._names)}",
            voice=voice,
            language=language,
            speed=speed,
            audio=None if audio == m.AudioRequest() else audio,
            timings=None if timings is None else tuple(timings),
            pacing=pacing,
            priority=priority,
            seed=seed,
        )
        return Utterance(self, start, text)

    def utterance(self, **options: Any) -> Utterance:
        """A context whose text you write yourself: `text`, `flush`, `end`. Options as in `speak`."""
        utterance = self.speak("", **options)
        utterance._tokens = None
        return utterance

    async def send(self, message: ClientMessage) -> None:
        """Send any message.

        Raises:
            ConnectionLost: there is nobody to send it to.
        """
        try:
            await self._socket.send(self._codec.encode(message))
        except ConnectionClosed as error:
            raise _lost(error) from None

    async def close(self) -> None:
        """Close the connection."""
        self.closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    # -- the reader -----------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        raw = await self._socket.recv()
        first = self._codec.decode_server(raw)
        if isinstance(first, m.ErrorMessage):
            raise VoxwireError.from_message(first)
        assert isinstance(first, m.Ready), "a server says ready first"
        self.ready = first
        self._tasks = [
            asyncio.create_task(self._read(), name="voxwire-read"),
            asyncio.create_task(self._ping(), name="voxwire-ping"),
        ]

    async def _read(self) -> None:
        error = ConnectionLost(CloseCode.INTERNAL, "the reader failed")
        try:
            while True:
                raw = await self._socket.recv()
                now = time.monotonic()
                if isinstance(raw, bytes) and is_audio_frame(raw):
                    await self._frame(raw, now)
                else:
                    await self._message(self._codec.decode_server(raw), now)
        except ConnectionClosed as closed:
            error = _lost(closed)
        finally:
            self.closed = True
            for utterance in list(self._utterances.values()):
                utterance._lost(error)

    async def _frame(self, raw: bytes, now: float) -> None:
        frame = unpack_frame(raw)
        utterance = self._numbers.get(frame.context_number)
        if utterance is None or utterance.started is None:
            return
        audio = utterance.started.audio
        event = Audio(
            frame.payload, frame.pts, frame.seq, frame.flags, audio.codec, audio.sample_rate, audio.frame_samples
        )
        await utterance._take(event, now)

    async def _message(self, message: ServerMessage, now: float) -> None:
        match message:
            case m.Pong():
                self._pong_at = now
                return
            case m.State():
                self.states = dict(message.contexts)
                return
            case m.Draining():
                self.draining = message
                return
            case _:
                pass
        context: str | None = getattr(message, "context", None)
        utterance = self._utterances.get(context) if context is not None else None
        if isinstance(message, m.ErrorMessage) and context is None:
            for each in list(self._utterances.values()):
                await each._take(message, now)
        if utterance is None:
            return
        if isinstance(message, m.Started):
            self._numbers[message.number] = utterance
        await utterance._take(message, now)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            if time.monotonic() - self._pong_at > 2 * PING_SECONDS + 1:
                await self._socket.close(CloseCode.GOING_AWAY, "the server does not answer")
                return
            with contextlib.suppress(ConnectionLost):
                await self.send(m.Ping(t=time.monotonic()))

    def _register(self, utterance: Utterance) -> None:
        assert utterance.context not in self._utterances, f"context {utterance.context!r} is in use"
        self._utterances[utterance.context] = utterance

    def _forget(self, utterance: Utterance) -> None:
        if self._utterances.get(utterance.context) is utterance:
            del self._utterances[utterance.context]
        if utterance.started is not None and self._numbers.get(utterance.started.number) is utterance:
            del self._numbers[utterance.started.number]


class connect:  # noqa: N801 - used like a function
    """Connect to a server: `async with connect(url) as session`, or `session = await connect(url)` and `close`.

    Raises:
        VoxwireError: the server refused (client.not_authenticated, server.too_many_sessions, …).
        ConnectionLost: there is no server, or it is not one of ours.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        encoding: str = "msgpack",
        timeout: float = CONNECT_SECONDS_MAX,
    ) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._codec: Codec = MSGPACK if encoding == "msgpack" else JSON
        self._timeout = timeout
        self._session: Session | None = None

    def __await__(self) -> Any:
        return self._connect().__await__()

    async def __aenter__(self) -> Session:
        return await self._connect()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def _connect(self) -> Session:
        try:
            async with asyncio.timeout(self._timeout):
                socket = await connect_socket(
                    self._url,
                    subprotocols=[self._codec.subprotocol],  # type: ignore[list-item]
                    additional_headers=self._headers,
                    compression=None,
                    max_size=None,
                    open_timeout=None,
                )
                session = Session(socket, self._codec)
                try:
                    await session._begin()
                except BaseException:
                    await socket.close()
                    raise
        except ConnectionClosed as error:
            raise _lost(error) from None
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise ConnectionLost(1006, f"{self._url}: {str(error) or 'timed out'}") from error
        self._session = session
        return session


def _lost(error: ConnectionClosed) -> ConnectionLost:
    received = error.rcvd
    return ConnectionLost(received.code if received else 1006, received.reason if received else "")
