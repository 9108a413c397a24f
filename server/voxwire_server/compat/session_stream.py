"""A session whose events are taken one by one: what every vendor's endpoint speaks through.

The session core and its driver are those of the native protocol. A line gathers what they send, writes the container
around the audio in a thread, and hands everything out in order. It also sees to two things that vendors' clients want
and the native protocol does not do: text that has nothing to speak still gives a little silence, and a consumer that
falls behind pauses its own audio.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_server.audio.containers import Container, open_writer
from voxwire_server.audio.framing import RecordBlock, no_prefix
from voxwire_server.session.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.audio.containers import ContainerWriter
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.compat.formats import OutputFormat
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.session.quotas import ClientIdentity

BACKLOG_HIGH_BYTES = 512 * 1024
BACKLOG_LOW_BYTES = 128 * 1024
"""Audio that waits to be taken: above the first the session sends no more, below the second it goes on."""

SILENCE_SECONDS = 0.2
"""How much silence stands for text that has nothing to speak: vendors' clients take none at all for a failure."""

ENCODED_SECONDS_MAX = 0.2
"""How much is encoded at once: MP3 of a whole clause takes 20 ms, and its first frames need not wait for the last."""


@dataclass(frozen=True, slots=True)
class AudioPiece:
    """Audio of a context in its vendor's format. Samples [pts, end_pts) at `sample_rate` went into it.

    A container's writer holds some samples back, so `payload` is the bytes that became ready, not exactly that range.
    """

    context: str
    payload: bytes
    pts: int
    end_pts: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; nothing follows."""

    code: int
    reason: str


Event = m.ServerMessage | AudioPiece | Closed


@dataclass(slots=True)
class _Samples:
    context: str
    data: bytes
    pts: int


@dataclass(slots=True)
class _Stream:
    """One context's output. `flushes` says of each flush to come whether there was text before it."""

    format: OutputFormat
    writer: ContainerWriter | None
    open: bool = False
    text: bool = False
    flushes: deque[bool] = field(default_factory=deque)
    flushed_seq: int = -1
    shift: int = 0
    end_pts: int = 0


class CompatSession:
    """One session. All methods are called on the event loop, `next` by exactly one consumer.

    A context's name is used once in the life of a line. What is told to a context that is over is dropped: the
    translator learns of its end by `Done` in due course.
    """

    def __init__(self, host: CompatHost, identity: ClientIdentity) -> None:
        """Open a session of `identity`.

        Raises:
            VoxwireError: server.not_ready, server.draining or server.too_many_sessions.
        """
        host.admit_session(identity)
        self._host = host
        self._queue: deque[m.ServerMessage | _Samples | Closed] = deque()
        self._ready: deque[Event] = deque()
        self._wanted = asyncio.Event()
        self.backlog_bytes = 0
        """Audio that waits to be taken."""
        self._paused = False
        self._socket_writable = True
        self._streams: dict[str, _Stream] = {}
        self._names: dict[int, str] = {}
        self._over = False
        self._told: str | None = None
        core = host.new_core(secrets.token_urlsafe(9), secrets.token_urlsafe(24), identity)
        self.driver = Driver(core, self, host.services)
        host.sessions.add(self.driver)
        self.driver.open()

    # -- to the session -------------------------------------------------------------------------------------------

    def start(self, start: m.Start, format: OutputFormat, *, paced: bool) -> None:
        """Open a context; its audio comes in `format`. `start.audio` and `start.pacing` are replaced.

        `paced`: audio is made as it will be heard, not much ahead of it, because the listener may interrupt. If the
        session refuses, an `ErrorMessage` that names the context follows, and the context does not exist.

        Raises:
            VoxwireError: client.unsupported_audio; the container can't be written here.
        """
        writer = None
        if format.container is not Container.RAW:
            writer = open_writer(format.container, format.codec, format.sample_rate, format.bitrate)
        pacing = m.PacingRequest(mode="burst")
        if paced:
            pacing = m.PacingRequest(mode="realtime", lead_ms=self._host.config.compat.lead_ms)
        stream = self._streams[start.context] = _Stream(format, writer)
        self.driver.receive(dataclasses.replace(start, audio=format.request, pacing=pacing))
        if not stream.open:
            del self._streams[start.context]

    def is_open(self, context: str) -> bool:
        """Whether a context takes messages: it was started and is not over."""
        stream = self._streams.get(context)
        return stream is not None and stream.open

    def tell(self, *messages: m.Text | m.Flush | m.End | m.Cancel | m.Hold | m.Release | m.Ack) -> None:
        """Pass messages to the session, in order. A long text is passed in pieces."""
        for message in messages:
            if not self.is_open(message.context):
                continue
            match message:
                case m.Text():
                    self._tell_text(message)
                case m.Flush() | m.End():
                    self._note_flush(message.context)
                    self.driver.receive(message)
                case m.Cancel():
                    self.driver.receive(message)
                    self._drop_samples(message.context)
                case _:
                    self.driver.receive(message)

    def reject(self, error: VoxwireError) -> None:
        """The client sent something that can't be understood, and was told so: the session counts it."""
        self._told = error.raw_code
        self.driver.reject(error)
        self._told = None

    def writable(self, writable: bool) -> None:
        """The socket takes more, or does not."""
        self._socket_writable = writable
        self._pause_or_go_on()

    def hang_up(self) -> None:
        """Drop everything: work, audio, the session. Idempotent."""
        if not self._over:
            self._over = True
            self.driver.disconnected()
            self._host.sessions.remove(self.driver)
            self._queue.clear()
            self._ready.clear()
            self._streams.clear()
            self._wanted.set()

    def _tell_text(self, message: m.Text) -> None:
        stream = self._streams[message.context]
        stream.text = stream.text or not (not message.text or message.text.isspace())
        size = self._host.config.limits.text_chars_max
        for at in range(0, len(message.text), size):
            self.driver.receive(m.Text(context=message.context, text=message.text[at : at + size]))
        if message.flush:
            self.tell(m.Flush(context=message.context))

    def _note_flush(self, context: str) -> None:
        stream = self._streams[context]
        stream.flushes.append(stream.text)
        stream.text = False

    def _drop_samples(self, context: str) -> None:
        kept: deque[m.ServerMessage | _Samples | Closed] = deque()
        for item in self._queue:
            if isinstance(item, _Samples) and item.context == context:
                self.backlog_bytes -= len(item.data)
            else:
                kept.append(item)
        self._queue = kept
        self._pause_or_go_on()

    # -- from the session -----------------------------------------------------------------------------------------

    async def next(self) -> Event:
        """The next event; `Closed` for ever once the session is over."""
        while not self._ready:
            while not self._queue and not self._over:
                self._wanted.clear()
                await self._wanted.wait()
            if self._over:
                return Closed(1000, "")
            item = self._queue.popleft()
            if isinstance(item, _Samples):
                item = self._first_part(item)
                self.backlog_bytes -= len(item.data)
                self._pause_or_go_on()
                await self._shape(item)
            elif isinstance(item, Closed):
                self.hang_up()
                return item
            else:
                await self._take(item)
        return self._ready.popleft()

    def _first_part(self, item: _Samples) -> _Samples:
        """As much as is encoded at once; the rest goes back to the front of the queue."""
        stream = self._streams.get(item.context)
        if stream is None or stream.writer is None:
            return item
        samples = int(ENCODED_SECONDS_MAX * stream.format.sample_rate)
        size = samples * stream.format.sample_bytes
        if len(item.data) > size:
            self._queue.appendleft(_Samples(item.context, item.data[size:], item.pts + samples))
        return _Samples(item.context, item.data[:size], item.pts)

    async def _shape(self, item: _Samples) -> None:
        """Make a piece of samples."""
        stream = self._streams.get(item.context)
        if stream is None:
            return
        pts = item.pts + stream.shift
        stream.end_pts = pts + len(item.data) // stream.format.sample_bytes
        data = item.data
        if stream.writer is not None:
            data = await self._in_thread(stream.writer.push, data)
        self._hand_out(item.context, stream, data, pts)

    def _hand_out(self, context: str, stream: _Stream, data: bytes, pts: int) -> None:
        if data and not self._over:
            self._ready.append(AudioPiece(context, data, pts, stream.end_pts, stream.format.sample_rate))

    async def _take(self, message: m.ServerMessage) -> None:
        match message:
            case m.Timing():
                message = self._shifted(message)
            case m.Flushed():
                await self._flushed(message.context, -1 if message.seq is None else message.seq)
            case m.Done():
                if message.reason in (m.DoneReason.COMPLETED, m.DoneReason.NO_SPEAKABLE_TEXT):
                    await self._flushed(message.context, message.frames - 1)
                    await self._finish(message.context)
                self._streams.pop(message.context, None)
            case _:
                pass
        if not self._over:
            self._ready.append(message)

    def _shifted(self, timing: m.Timing) -> m.Timing:
        """Timings as they are after silence that the session knows nothing of."""
        stream = self._streams.get(timing.context)
        if stream is None or not stream.shift:
            return timing
        by = stream.shift
        return dataclasses.replace(
            timing,
            words=tuple(dataclasses.replace(w, pts=w.pts + by, end_pts=w.end_pts + by) for w in timing.words),
            phonemes=tuple(dataclasses.replace(p, pts=p.pts + by, end_pts=p.end_pts + by) for p in timing.phonemes),
            visemes=tuple(dataclasses.replace(v, pts=v.pts + by) for v in timing.visemes),
        )

    async def _flushed(self, context: str, seq: int) -> None:
        """Text up to a flush has been spoken up to frame `seq`; if none of it could be, there is silence instead."""
        stream = self._streams.get(context)
        if stream is None or not stream.flushes:
            return
        silent = stream.flushes.popleft() and seq <= stream.flushed_seq
        stream.flushed_seq = max(seq, stream.flushed_seq)
        if silent:
            samples = int(SILENCE_SECONDS * stream.format.sample_rate)
            await self._shape(_Samples(context, stream.format.silence(samples), stream.end_pts - stream.shift))
            stream.shift += samples

    async def _finish(self, context: str) -> None:
        stream = self._streams.get(context)
        if stream is not None and stream.writer is not None:
            writer = stream.writer
            data = await self._in_thread(lambda _: writer.finish(), b"")
            self._hand_out(context, stream, data, stream.end_pts)

    async def _in_thread(self, work: Callable[[bytes], bytes], data: bytes) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._host.containers, work, data)

    def _pause_or_go_on(self) -> None:
        if self._over:
            return
        full = self.backlog_bytes > (BACKLOG_LOW_BYTES if self._paused else BACKLOG_HIGH_BYTES)
        paused = full or not self._socket_writable
        if paused != self._paused:
            self._paused = paused
            self.driver.writable(not paused)

    # -- the driver's outlet --------------------------------------------------------------------------------------

    def message(self, message: m.ServerMessage) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        if isinstance(message, m.Started):
            self._names[message.number] = message.context
            self._streams[message.context].open = True
        elif isinstance(message, m.Done):
            self._streams[message.context].open = False
        elif isinstance(message, m.ErrorMessage) and message.code == self._told:
            return
        self._queue.append(message)

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        assert isinstance(block, RecordBlock), "lines ask for PCM and G.711 alone"
        data = block.payloads(start, stop).tobytes()
        self.backlog_bytes += len(data)
        pts = block.first_pts + start * block.frame_samples
        self._queue.append(_Samples(self._names[block.context_number], data, pts))

    def prefix(self, length: int) -> bytes:
        """See `voxwire_server.session.ports.Sink`."""
        return no_prefix(length)

    def close(self, code: int, reason: str) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        self._queue.append(Closed(code, reason))

    def flush(self) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        if self._queue:
            self._wanted.set()
            if self.backlog_bytes > BACKLOG_HIGH_BYTES and not self._paused:
                # Not from here: the driver is in the middle of what it does.
                asyncio.get_running_loop().call_soon(self._pause_or_go_on)
