"""The TCP server of the Wyoming protocol: its port, its connections, and the speech that answers their events.

    synthesize-start -> synthesize-chunk* -> [synthesize: ignored] -> synthesize-stop
    synthesize

are both answered by audio-start, audio-chunk*, audio-stop; the first also by synthesize-stopped. A connection is closed
after an error: clients that do not know the error event wait for the end of the audio.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import async_write_event
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.session import CompatSession, EncodedAudio, OutputFormat, SessionClosed
from voxwire_server.compat.wyoming.messages import LINE_BYTES_MAX, info, read_event, sample_rate_of, text_of, voice_of
from voxwire_server.session.quotas import ClientIdentity, TokenBucket
from voxwire_server.transport.connection_limiter import ConnectionState

if TYPE_CHECKING:
    from collections.abc import Callable

    from wyoming.event import Eventable

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.wyoming.messages import WyomingEvent
    from voxwire_server.speech import Voice

log = logging.getLogger("voxwire.wyoming")

WRITE_BUFFER_BYTES = 256 * 1024

FIRST_EVENT_SECONDS = 10.0
"""How long a connection may take to send its first event."""

CHUNK_BYTES = 4096
"""Audio in one event: satellites have little memory."""

UTTERANCES_MAX = 16
"""Utterances of one connection that may wait to be spoken."""

CONTEXT = "wyoming"


class WyomingServer:
    """Listens from `start` to `stop`. Accepts at most as many connections as the server has sessions."""

    def __init__(self, host: CompatHost) -> None:
        self._host = host
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the address is not one of this machine.
        """
        compat = self._host.config.compat
        self._server = await asyncio.start_server(
            self._connected, compat.wyoming_host, compat.wyoming_port, limit=LINE_BYTES_MAX
        )
        log.info("listening: tcp://%s:%d (Wyoming)", compat.wyoming_host, compat.wyoming_port)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        connection = WyomingConnection(self._host, writer)
        if connection.slot is None:
            writer.close()
            return
        if len(self._tasks) >= self._host.config.server.sessions_max:
            log.warning("%d connections are open, one more is refused", len(self._tasks))
            connection.release()
            writer.close()
            return
        self._tasks.add(task)
        try:
            writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
            await WyomingHandler(self._host, reader, writer, connection.slot.mark_authenticated).run()
        except Exception:
            log.exception("a connection failed")
        finally:
            self._tasks.discard(task)
            connection.release()
            writer.close()


class WyomingConnection:
    """The `LimitedConnection` of a TCP connection.

    The protocol has no keys: a client counts as authenticated once it has sent a whole event.
    """

    def __init__(self, host: CompatHost, writer: asyncio.StreamWriter) -> None:
        self._transport = writer.transport
        self._close_reason = "gone"
        peer = writer.get_extra_info("peername")
        now = asyncio.get_running_loop().time()
        address = peer[0] if peer else ""
        self.slot = host.connection_limiter.acquire(self, address, now + FIRST_EVENT_SECONDS, now)
        if self.slot is not None:
            self.slot.authenticated_state = ConnectionState.WEBSOCKET

    def deadline_passed(self, now: float) -> None:  # noqa: ARG002
        """See `LimitedConnection`."""
        assert self.slot is not None, "only connections with a slot are swept"
        self.slot.deadline = math.inf
        if self.slot.state is ConnectionState.UNAUTHENTICATED:
            self._close_reason = "silent"
            self._transport.abort()

    def evict(self) -> None:
        """See `LimitedConnection`."""
        self._transport.abort()

    def release(self) -> None:
        """Release the slot: the connection has ended."""
        if self.slot is not None:
            self.slot.release(self._close_reason)


@dataclass(slots=True, eq=False)
class Utterance:
    """A text to speak. Parts of it may come before and after its session is open."""

    voice: Voice
    streamed: bool
    chars_max: int
    ended: bool = False
    session: CompatSession | None = None
    pending: list[str] = field(default_factory=list)

    def add_text(self, text: str) -> None:
        """Append text.

        Raises:
            VoxwireError: client.text_buffer_full.
        """
        if self.session is not None:
            self.session.forward(m.Text(context=CONTEXT, text=text))
            return
        if sum(map(len, self.pending)) + len(text) > self.chars_max:
            raise VoxwireError(ErrorCode.TEXT_BUFFER_FULL, "too much text waits to be spoken")
        self.pending.append(text)

    def end(self) -> None:
        """No more text comes."""
        self.ended = True
        if self.session is not None:
            self.session.forward(m.End(context=CONTEXT))

    def start(self, session: CompatSession, format: OutputFormat) -> None:
        """Start to speak in a session of its own."""
        self.session = session
        name = f"{self.voice.engine}/{self.voice.name}"
        session.start(m.Start(context=CONTEXT, voice=name, timings=()), format, paced=False)
        session.forward(*(m.Text(context=CONTEXT, text=text) for text in self.pending))
        self.pending.clear()
        if self.ended:
            session.forward(m.End(context=CONTEXT))


class WyomingHandler:
    """One connection. `run` serves it until it ends."""

    def __init__(
        self,
        host: CompatHost,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_event: Callable[[], None],
    ) -> None:
        """`on_event` is called after each event."""
        self._host = host
        self._on_event = on_event
        self._limits = host.config.limits
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()
        self._utterances: asyncio.Queue[Utterance] = asyncio.Queue(UTTERANCES_MAX)
        self._current: Utterance | None = None
        self._speaking = False
        limits, now = self._limits, host.services.clock()
        burst = limits.messages_burst
        self._messages = TokenBucket(limits.messages_per_second, burst, burst, now)
        peer = writer.get_extra_info("peername")
        self._identity = ClientIdentity(address=peer[0] if peer else "")
        self._share = host.fair_share_of(self._identity)

    async def run(self) -> None:
        """Serve until the client disconnects, makes an error, or does not read."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._speak())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            error = next((task.exception() for task in done if task.exception() is not None), None)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        match error:
            case VoxwireError():
                self._host.services.observer.error_sent(error.raw_code)
                with contextlib.suppress(VoxwireError, OSError):
                    await self._write(Error(error.message, error.raw_code))
            case None | OSError() | asyncio.IncompleteReadError():
                log.debug("a client went away")
            case _:
                raise error

    # -- events of the client ------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_seconds):
                    first = await self._reader.read(1)
            except TimeoutError:
                if self._speaking and self._current is None:
                    continue
                return
            if not first:
                return
            event = await read_event(self._reader, first, self._limits.message_bytes_max)
            self._on_event()
            wait = self._share.wait(self._host.services.clock())
            if wait > 0:
                await asyncio.sleep(wait)
            await self._handle(event)
            self._messages.take(self._host.services.clock())
            if self._messages.delay() > 0:
                await asyncio.sleep(self._messages.delay())

    async def _handle(self, event: WyomingEvent) -> None:
        chars_max = self._limits.unspoken_chars_max
        match event.type:
            case "describe":
                await self._write(info(self._host))
            case "ping":
                text = event.data.get("text")
                await self._write(Pong(text if isinstance(text, str) else None))
            case "synthesize-start":
                if self._current is not None:
                    self._current.end()
                self._current = Utterance(voice_of(self._host, event), streamed=True, chars_max=chars_max)
                self._queue(self._current)
            case "synthesize-chunk" if self._current is not None:
                self._current.add_text(text_of(event, chars_max))
            case "synthesize-stop" if self._current is not None:
                self._current.end()
                self._current = None
            case "synthesize" if self._current is None:
                utterance = Utterance(voice_of(self._host, event), streamed=False, chars_max=chars_max)
                utterance.add_text(text_of(event, chars_max))
                utterance.end()
                self._queue(utterance)
            case _:
                # Ignored: the whole text again during a stream, for servers without streaming; unknown events.
                pass

    def _queue(self, utterance: Utterance) -> None:
        try:
            self._utterances.put_nowait(utterance)
        except asyncio.QueueFull as error:
            raise VoxwireError(ErrorCode.TEXT_BUFFER_FULL, f"{UTTERANCES_MAX} utterances wait to be spoken") from error

    # -- speech -------------------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        while True:
            utterance = await self._utterances.get()
            self._speaking = True
            session = CompatSession(self._host, self._identity)
            try:
                rate = sample_rate_of(self._host, utterance.voice)
                utterance.start(session, OutputFormat(sample_rate=rate))
                await self._send_speech(session, rate)
            finally:
                session.disconnect()
            if utterance.streamed:
                await self._write(SynthesizeStopped())
            self._speaking = False

    async def _send_speech(self, session: CompatSession, rate: int) -> None:
        while True:
            match await session.next_event():
                case m.Started():
                    await self._write(AudioStart(rate=rate, width=2, channels=1))
                case EncodedAudio(payload=pcm):
                    for at in range(0, len(pcm), CHUNK_BYTES):
                        await self._write(AudioChunk(rate, 2, 1, pcm[at : at + CHUNK_BYTES]))
                case m.ErrorMessage() as error:
                    raise m.error_from_message(error)
                case m.Done(reason=m.DoneReason.ERROR):
                    raise VoxwireError(ErrorCode.ENGINE_FAILED, "the text could not be spoken to its end")
                case m.Done():
                    await self._write(AudioStop())
                    return
                case SessionClosed(_, reason):
                    raise VoxwireError(ErrorCode.DRAINING, reason or "the session is over")
                case _:
                    pass

    async def _write(self, event: Eventable) -> None:
        """Send an event once the write buffer has room.

        Raises:
            VoxwireError: client.slow_reader; the connection is aborted.
        """
        try:
            async with asyncio.timeout(self._limits.slow_reader_seconds), self._writing:
                await async_write_event(event.event(), self._writer)
        except TimeoutError as error:
            self._writer.transport.abort()
            raise VoxwireError(ErrorCode.SLOW_READER, "the client does not read what it is sent") from error
