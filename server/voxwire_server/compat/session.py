"""A session whose events are read one by one, and the format of its audio; every vendor's endpoint speaks through one.

The session core and its driver are those of the native protocol. `CompatSession` queues what they send, writes the
container around the audio in a thread, and returns everything in order. Two things are added that vendors' clients
expect and the native protocol does not do: text without speakable words gives a little silence, and a consumer that
falls behind pauses the synthesis of its audio.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_protocol.messages import AudioFormat, AudioRequest, Codec
from voxwire_server.audio.containers import Container, open_writer
from voxwire_server.audio.framing import RecordBlock, no_prefix
from voxwire_server.session.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.audio.containers import ContainerWriter
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.session.quotas import ClientIdentity

_MEDIA_TYPES = {
    Container.WAV: "audio/wav",
    Container.MP3: "audio/mpeg",
    Container.AAC: "audio/aac",
    Container.FLAC: "audio/flac",
    Container.OGG_OPUS: "audio/ogg",
}
_RAW_MEDIA_TYPES: dict[Codec, str] = {
    "pcm_s16le": "audio/pcm",
    "mulaw": "audio/basic",
    "alaw": "audio/x-alaw-basic",
    "opus": "audio/opus",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """An audio format of a vendor. `bitrate` (bits per second) is that of MP3, AAC and Ogg Opus; None: a usual one.

    `codec` is what the session produces: pcm_s16le for all encoded containers; WAV and RAW may hold G.711 too.

    Raises:
        VoxwireError: client.unsupported_audio; there is no such sample rate.
    """

    codec: Codec = "pcm_s16le"
    sample_rate: int = 24000
    container: Container = Container.RAW
    bitrate: int | None = None

    def __post_init__(self) -> None:
        AudioFormat(codec=self.codec, sample_rate=self.sample_rate)

    @property
    def request(self) -> AudioRequest:
        """The format to request of the session."""
        return AudioRequest(codec=self.codec, sample_rate=self.sample_rate, frame_ms=20)

    @property
    def media_type(self) -> str:
        """The media type of a response body."""
        if self.container is Container.RAW:
            return _RAW_MEDIA_TYPES[self.codec]
        return _MEDIA_TYPES[self.container]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample as the session produces it."""
        return 2 if self.codec == "pcm_s16le" else 1

    def silence(self, samples: int) -> bytes:
        """Silent samples, as the session would produce them (G.711: ITU-T G.711, the code of zero)."""
        codes: dict[Codec, bytes] = {"mulaw": b"\xff", "alaw": b"\xd5"}
        return codes.get(self.codec, b"\0\0") * samples


BACKLOG_HIGH_BYTES = 512 * 1024
BACKLOG_LOW_BYTES = 128 * 1024
"""Queued audio: above the first the session is paused, below the second it is resumed."""

SILENCE_SECONDS = 0.2
"""Silence in place of text without speakable words: vendors' clients take no audio at all for a failure."""

ENCODED_SECONDS_MAX = 0.2
"""Audio encoded at once: MP3 of a whole clause takes 20 ms, and its first frames need not wait for the last."""


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """Audio of a context in its vendor's format, made of the samples [pts, end_pts) at `sample_rate`.

    Encoders delay samples, so `payload` holds the bytes that became ready, not exactly that range.
    """

    context: str
    payload: bytes
    pts: int
    end_pts: int
    sample_rate: int


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """The session has ended; no event follows."""

    code: int
    reason: str


Event = m.ServerMessage | EncodedAudio | SessionClosed


@dataclass(slots=True)
class _Samples:
    """Raw audio of a context, as the session sent it, from sample `pts` on."""

    context: str
    data: bytes
    pts: int


@dataclass(slots=True)
class _ContextOutput:
    """One context's output.

    `flushes`: for each flush that is not answered yet, whether there was text before it. `inserted`: samples of silence
    that the session does not know of. `flushed_seq`: the last audio frame of the last flush.
    """

    format: OutputFormat
    writer: ContainerWriter | None
    open: bool = False
    text: bool = False
    flushes: deque[bool] = field(default_factory=deque)
    flushed_seq: int = -1
    inserted: int = 0
    end_pts: int = 0


class CompatSession:
    """One session. All methods are called on the event loop, `next_event` by exactly one consumer.

    A context's name is used once in a session. Messages to a context that is done are dropped: the translator learns of
    its end by `Done`, which may still be queued.
    """

    def __init__(self, host: CompatHost, identity: ClientIdentity, dialect: str = "") -> None:
        """Open a session of `identity`; `dialect` is the vendor whose tags its text has.

        Raises:
            VoxwireError: server.not_ready, server.draining or server.too_many_sessions.
        """
        host.admit_session(identity)
        self._host = host
        self._queue: deque[m.ServerMessage | _Samples | SessionClosed] = deque()
        self._ready: deque[Event] = deque()
        self._events_pending = asyncio.Event()
        self.backlog_bytes = 0
        """Bytes of queued audio."""
        self._paused = False
        self._socket_writable = True
        self._outputs: dict[str, _ContextOutput] = {}
        self._names: dict[int, str] = {}
        self._ended = False
        self._reported_code: str | None = None
        core = host.new_core(secrets.token_urlsafe(9), secrets.token_urlsafe(24), identity, dialect)
        self.driver = Driver(core, self, host.services)
        host.sessions.add(self.driver)
        self.driver.open()

    # -- to the session -------------------------------------------------------------------------------------------

    def start(self, start: m.Start, format: OutputFormat, *, paced: bool) -> None:
        """Open a context; its audio comes in `format`. `start.audio` and `start.pacing` are replaced.

        `paced`: audio is synthesised at playout speed and little ahead of it, because the user may interrupt. If the
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
        output = self._outputs[start.context] = _ContextOutput(format, writer)
        self.driver.receive(dataclasses.replace(start, audio=format.request, pacing=pacing))
        if not output.open:
            del self._outputs[start.context]

    def is_open(self, context: str) -> bool:
        """Whether a context takes messages: it was started and is not done."""
        output = self._outputs.get(context)
        return output is not None and output.open

    def forward(self, *messages: m.Text | m.Flush | m.End | m.Cancel | m.Hold | m.Release | m.Ack) -> None:
        """Pass messages to the session, in order. A long text is split."""
        for message in messages:
            if not self.is_open(message.context):
                continue
            match message:
                case m.Text():
                    self._forward_text(message)
                case m.Flush() | m.End():
                    self._note_flush(message.context)
                    self.driver.receive(message)
                case m.Cancel():
                    self.driver.receive(message)
                    self._drop_samples(message.context)
                case _:
                    self.driver.receive(message)

    def reject(self, error: VoxwireError) -> None:
        """Count an invalid message, to which the translator has replied: too many end the session."""
        self._reported_code = error.raw_code
        self.driver.reject(error)
        self._reported_code = None

    def writable(self, writable: bool) -> None:
        """The connection's write buffer has room again, or is full from now on."""
        self._socket_writable = writable
        self._update_pause()

    def disconnect(self) -> None:
        """End the session and drop its requests and audio. Idempotent."""
        if not self._ended:
            self._ended = True
            self.driver.disconnected()
            self._host.sessions.remove(self.driver)
            self._queue.clear()
            self._ready.clear()
            self._outputs.clear()
            self._events_pending.set()

    def _forward_text(self, message: m.Text) -> None:
        output = self._outputs[message.context]
        output.text = output.text or not (not message.text or message.text.isspace())
        size = self._host.config.limits.text_chars_max
        for at in range(0, len(message.text), size):
            self.driver.receive(m.Text(context=message.context, text=message.text[at : at + size]))
        if message.flush:
            self.forward(m.Flush(context=message.context))

    def _note_flush(self, context: str) -> None:
        output = self._outputs[context]
        output.flushes.append(output.text)
        output.text = False

    def _drop_samples(self, context: str) -> None:
        kept: deque[m.ServerMessage | _Samples | SessionClosed] = deque()
        for item in self._queue:
            if isinstance(item, _Samples) and item.context == context:
                self.backlog_bytes -= len(item.data)
            else:
                kept.append(item)
        self._queue = kept
        self._update_pause()

    # -- from the session -----------------------------------------------------------------------------------------

    async def next_event(self) -> Event:
        """The next event; always `SessionClosed` once the session has ended."""
        while not self._ready:
            while not self._queue and not self._ended:
                self._events_pending.clear()
                await self._events_pending.wait()
            if self._ended:
                return SessionClosed(1000, "")
            item = self._queue.popleft()
            if isinstance(item, _Samples):
                item = self._first_part(item)
                self.backlog_bytes -= len(item.data)
                self._update_pause()
                await self._encode(item)
            elif isinstance(item, SessionClosed):
                self.disconnect()
                return item
            else:
                await self._handle(item)
        return self._ready.popleft()

    def _first_part(self, item: _Samples) -> _Samples:
        """The part that is encoded at once; the rest goes back to the front of the queue."""
        output = self._outputs.get(item.context)
        if output is None or output.writer is None:
            return item
        samples = int(ENCODED_SECONDS_MAX * output.format.sample_rate)
        size = samples * output.format.sample_bytes
        if len(item.data) > size:
            self._queue.appendleft(_Samples(item.context, item.data[size:], item.pts + samples))
        return _Samples(item.context, item.data[:size], item.pts)

    async def _encode(self, item: _Samples) -> None:
        """Encode samples and queue the result."""
        output = self._outputs.get(item.context)
        if output is None:
            return
        pts = item.pts + output.inserted
        output.end_pts = pts + len(item.data) // output.format.sample_bytes
        data = item.data
        if output.writer is not None:
            data = await self._in_thread(output.writer.push, data)
        self._emit_audio(item.context, output, data, pts)

    def _emit_audio(self, context: str, output: _ContextOutput, data: bytes, pts: int) -> None:
        if data and not self._ended:
            self._ready.append(EncodedAudio(context, data, pts, output.end_pts, output.format.sample_rate))

    async def _handle(self, message: m.ServerMessage) -> None:
        match message:
            case m.Timing():
                message = self._shift_timings(message)
            case m.Flushed():
                await self._flushed(message.context, -1 if message.seq is None else message.seq)
            case m.Done():
                if message.reason in (m.DoneReason.COMPLETED, m.DoneReason.NO_SPEAKABLE_TEXT):
                    await self._flushed(message.context, message.frames - 1)
                    await self._finish(message.context)
                self._outputs.pop(message.context, None)
            case _:
                pass
        if not self._ended:
            self._ready.append(message)

    def _shift_timings(self, timing: m.Timing) -> m.Timing:
        """Timings, shifted by the silence that was inserted."""
        output = self._outputs.get(timing.context)
        if output is None or not output.inserted:
            return timing
        by = output.inserted
        return dataclasses.replace(
            timing,
            words=tuple(dataclasses.replace(w, pts=w.pts + by, end_pts=w.end_pts + by) for w in timing.words),
            phonemes=tuple(dataclasses.replace(p, pts=p.pts + by, end_pts=p.end_pts + by) for p in timing.phonemes),
            visemes=tuple(dataclasses.replace(v, pts=v.pts + by) for v in timing.visemes),
        )

    async def _flushed(self, context: str, seq: int) -> None:
        """A flush has been spoken, up to audio frame `seq`: insert silence if nothing of its text was speakable."""
        output = self._outputs.get(context)
        if output is None or not output.flushes:
            return
        silent = output.flushes.popleft() and seq <= output.flushed_seq
        output.flushed_seq = max(seq, output.flushed_seq)
        if silent:
            samples = int(SILENCE_SECONDS * output.format.sample_rate)
            await self._encode(_Samples(context, output.format.silence(samples), output.end_pts - output.inserted))
            output.inserted += samples

    async def _finish(self, context: str) -> None:
        output = self._outputs.get(context)
        if output is not None and output.writer is not None:
            writer = output.writer
            data = await self._in_thread(lambda _: writer.finish(), b"")
            self._emit_audio(context, output, data, output.end_pts)

    async def _in_thread(self, function: Callable[[bytes], bytes], data: bytes) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self._host.containers, function, data)

    def _update_pause(self) -> None:
        if self._ended:
            return
        full = self.backlog_bytes > (BACKLOG_LOW_BYTES if self._paused else BACKLOG_HIGH_BYTES)
        paused = full or not self._socket_writable
        if paused != self._paused:
            self._paused = paused
            self.driver.writable(not paused)

    # -- the driver's sink ----------------------------------------------------------------------------------------

    def message(self, message: m.ServerMessage) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        if isinstance(message, m.Started):
            self._names[message.number] = message.context
            self._outputs[message.context].open = True
        elif isinstance(message, m.Done):
            self._outputs[message.context].open = False
        elif isinstance(message, m.ErrorMessage) and message.code == self._reported_code:
            return
        self._queue.append(message)

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        assert isinstance(block, RecordBlock), "vendors' sessions ask for PCM and G.711 alone"
        data = block.payloads(start, stop).tobytes()
        self.backlog_bytes += len(data)
        pts = block.first_pts + start * block.frame_samples
        self._queue.append(_Samples(self._names[block.context_number], data, pts))

    def prefix(self, length: int) -> bytes:
        """See `voxwire_server.session.ports.Sink`."""
        return no_prefix(length)

    def close(self, code: int, reason: str) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        self._queue.append(SessionClosed(code, reason))

    def flush(self) -> None:
        """See `voxwire_server.session.ports.Sink`."""
        if self._queue:
            self._events_pending.set()
            if self.backlog_bytes > BACKLOG_HIGH_BYTES and not self._paused:
                # Not from here: the driver is still carrying out effects.
                asyncio.get_running_loop().call_soon(self._update_pause)
