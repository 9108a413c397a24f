"""Carries out what a session core asks for: the only place of a session that does I/O and reads a clock.

A driver belongs to one connection. What it sends goes to an `Sink` (the native protocol's, or a vendor's), what it
has synthesised goes to the shared `SessionServices`. `session/registry` knows all drivers and brings each its results.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, assert_never

from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_protocol.messages import ErrorMessage, Ready, error_to_message
from voxwire_server.audio.encode import OpusStream
from voxwire_server.audio.encoder_pool import EncoderPool, EncodeTask
from voxwire_server.audio.pipeline import AudioPipeline
from voxwire_server.scheduling.request import SynthesisRequest
from voxwire_server.session import effects as fx
from voxwire_server.session.replay import Frames
from voxwire_server.session.visemes import viseme_track_for

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from voxwire_protocol.messages import ClientMessage, ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.scheduling.request import RequestOutput
    from voxwire_server.session.core import SessionCore
    from voxwire_server.session.replay import ReplayLog
    from voxwire_server.session.resume_tokens import ResumeTokens
    from voxwire_server.session.ticker import Ticker
    from voxwire_server.speech import AudioChunk


logger = logging.getLogger(__name__)


class Sink(Protocol):
    """Where a session's messages and audio frames leave. Calls never wait; `flush` writes what was gathered."""

    def message(self, message: ServerMessage) -> None:
        """Gather a message."""

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """Gather the audio frames [start, stop) of a block."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection after everything gathered so far."""

    def flush(self) -> None:
        """Write what was gathered."""

    def prefix(self, length: int) -> bytes:
        """What goes in front of an audio frame of `length` bytes; nothing where the transport adds it itself."""


class Synthesis(Protocol):
    """Where work is submitted; thread-safe, never waits."""

    def submit(self, request: SynthesisRequest) -> None:
        """Queue a clause."""

    def cancel(self, context_key: Hashable) -> None:
        """Drop an owner's work."""

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        """Move an owner's deadline."""

    def stream_started(self, context_key: Hashable, engine: str, account: str = "") -> None:
        """Count a listener of an account."""

    def stream_ended(self, context_key: Hashable, session_id: Hashable = None) -> None:
        """Stop counting a listener; keep its place for a while if `session_id` is expected to ask for it again."""

    def session_ended(self, session_id: Hashable) -> None:
        """Keep no places for a caller any more."""


class Observer(Protocol):
    """What is counted. Text and audio never reach it."""

    def first_audio(self, engine: str, ttfa_seconds: float) -> None:
        """An utterance's first audio frame was sent."""

    def underrun_began(self) -> None:
        """A listener has run dry."""

    def underrun_ended(self, seconds: float) -> None:
        """A listener who had run dry waits no more, after so long."""

    def frames_sent(self, frames: int) -> None:
        """Audio frames were handed to the transport."""

    def bytes_sent(self, count: int) -> None:
        """Bytes were handed to a socket."""

    def clause_spoken(self, engine: str, queue_seconds: float, synth_seconds: float) -> None:
        """A clause is finished."""

    def refused(self, code: str) -> None:
        """A session was turned away."""

    def resumed(self, result: str) -> None:
        """A client came back: "resumed", or why it could not."""

    def error_sent(self, code: str) -> None:
        """A client was told of an error."""

    def contexts_changed(self, change: int) -> None:
        """Contexts were opened or closed."""

    def session_failed(self) -> None:
        """A session was ended by an error of the server's own."""


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What all sessions share."""

    synthesis: Synthesis
    encoder: EncoderPool
    ticker: Ticker
    observer: Observer
    clock: Callable[[], float]
    opus_complexity: int = 5


@dataclass(slots=True)
class ContextAudio:
    """One context's audio path and, for Opus, its encoder."""

    audio: AudioPipeline
    opus: OpusStream | None


ContextKey = tuple[str, int]
"""Session id and context serial: whose work it is."""


@dataclass(slots=True)
class Resumable:
    """What makes a session survive its connection: who may come back, and what they have not got yet."""

    identity: str
    resume_tokens: ResumeTokens
    log: ReplayLog


class NullSink:
    """The outlet of a session whose client is away. What is sent meanwhile stays in the replay log."""

    def message(self, message: ServerMessage) -> None:
        """Nobody hears it."""

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """Nobody hears them."""

    def close(self, code: int, reason: str) -> None:
        """Nobody is there."""

    def flush(self) -> None:
        """Nothing was gathered."""

    def prefix(self, length: int) -> bytes:
        """Contexts are opened by clients that are there."""
        raise AssertionError(f"a context was opened while the client was away ({length} bytes)")


class Driver:
    """One session's driver. All methods are called on the event loop.

    A session with `resumable` can be detached from its connection and attached to another.
    """

    def __init__(
        self, core: SessionCore, sink: Sink, services: SessionServices, resumable: Resumable | None = None
    ) -> None:
        self.core = core
        self.due = math.inf
        self.resumable = resumable
        self.on_over: Callable[[], None] | None = None
        """Called when the session ends while no connection is there to see it."""
        self.on_superseded: Callable[[], None] | None = None
        """Called when the session goes over to another connection."""
        self._sink = sink
        self._services = services
        self._paths: dict[int, ContextAudio] = {}
        self._queue: deque[fx.Effect] = deque()
        self._applying = False

    # -- facts ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Say `ready`."""
        self._apply(self.core.open(self._now()))

    def receive(self, message: ClientMessage) -> None:
        """A message came."""
        if self.resumable is not None:
            self.resumable.resume_tokens.confirm()
        self._apply(self.core.receive(message, self._now()))

    def reject(self, error: VoxwireError) -> None:
        """Something came that is no message."""
        self._apply(self.core.reject(error, self._now()))

    def fail(self, error: VoxwireError) -> None:
        """End the session with an error."""
        self._apply(self.core.fail(error))

    def drain(self, deadline_ms: int) -> None:
        """The server goes away. Never raises: see `output`."""
        try:
            self._apply(self.core.drain(deadline_ms, self._now()))
        except Exception as error:
            self._crash(error)

    def writable(self, writable: bool) -> None:
        """The socket takes more, or does not. Never raises: see `output`."""
        try:
            self._apply(self.core.writable(writable, self._now()))
        except Exception as error:
            self._crash(error)

    def tick(self, now: float) -> None:
        """It is `due`. Never raises: see `output`."""
        try:
            self._apply(self.core.tick(now))
        except Exception as error:
            self._crash(error)

    def disconnected(self) -> None:
        """The connection is gone, for good. Never raises: see `output`."""
        try:
            self._apply(self.core.disconnected())
        except Exception as error:
            self._crash(error)
        self._services.ticker.forget(self)
        self._let_go()

    def _let_go(self) -> None:
        """Drop what is large, and what leads back here: a session that is over need not wait for the collector."""
        self.on_over = self.on_superseded = None
        self._services.synthesis.session_ended(self.core.session_id)
        self._paths.clear()
        if self.resumable is not None:
            self.resumable.log.clear()

    @property
    def worth_keeping(self) -> bool:
        """Whether its client may come back to it once its connection is gone."""
        return self.resumable is not None and not self.core.closed and self.core.worth_resuming

    def displace(self) -> None:
        """End the session because a new one gets its place (`ops/admission`)."""
        if self.away:
            on_over = self.on_over
            self.abandon()
            if on_over is not None:
                on_over()
        else:
            self.fail(VoxwireError(ErrorCode.IDLE, "the server is full, and nothing was open here"))

    def detach(self, on_over: Callable[[], None]) -> None:
        """The connection dropped, but the client may come back; `on_over` is called if it does not."""
        self._sink = NullSink()
        self.on_superseded = None
        self.on_over = on_over
        self._apply(self.core.detached(self._now()))

    @property
    def away(self) -> bool:
        """Whether its client is away."""
        return isinstance(self._sink, NullSink)

    def abandon(self) -> None:
        """End the session wherever its connection is."""
        if self.on_superseded is not None:
            self.on_superseded()
        self.on_over = self.on_superseded = None
        self.disconnected()

    def attach(self, sink: Sink, position: int, resumed: ServerMessage, on_superseded: Callable[[], None]) -> None:
        """Go on at another connection: say `resumed`, send what was sent from `position` on again, then what is new."""
        assert self.resumable is not None
        if self.on_superseded is not None:
            self.on_superseded()
        self.on_over, self.on_superseded = None, on_superseded
        sink.message(resumed)
        for item in self.resumable.log.since(position):
            if isinstance(item, Frames):
                sink.frames(item.block.again(item.start, item.stop), 0, item.stop - item.start)
            else:
                sink.message(item)
        self._sink = sink
        self._apply(self.core.attached(self._now()))

    def output(self, serial: int, output: RequestOutput) -> None:
        """A step of one of this session's clauses is over.

        Never raises: an error in here ends this session with `server.internal`, and no other.
        """
        try:
            self._take_outcome(serial, output)
        except Exception as error:
            self._crash(error)

    def _take_outcome(self, serial: int, output: RequestOutput) -> None:
        if output.finished:
            self._services.observer.clause_spoken(output.request.engine, output.queue_seconds, output.synth_seconds)
        if output.error is not None:
            self._apply(self.core.failed(serial, output.error, self._now()))
            return
        self._apply(
            self.core.produced(
                serial,
                output.request.index,
                output.encoded or (),
                self._now(),
                # The sums of a clause are whole with its last outcome.
                queue_seconds=output.queue_seconds if output.finished else None,
                synth_seconds=output.synth_seconds if output.finished else None,
            )
        )

    def _encoded(self, serial: int, block: FrameBlock | None, error: Exception | None) -> None:
        try:
            if block is not None:
                self._apply(self.core.encoded(serial, block, self._now()))
            elif error is not None:
                problem = VoxwireError(ErrorCode.INTERNAL, f"audio could not be encoded: {error}")
                self._apply(self.core.failed(serial, problem, self._now()))
        except Exception as problem:
            self._crash(problem)

    def _crash(self, error: Exception) -> None:
        """End the session after an error of the server's own: tell the client, close, give back all that it holds."""
        logger.error("session %s failed: %s", self.core.session_id, _place_of(error))
        self._services.observer.session_failed()
        self._queue.clear()
        # What failed may fail again; each effect is tried on its own, so that the rest is given back all the same.
        for effect in self._farewell():
            self._attempt(partial(self._carry_out, effect))
        self._attempt(self._sink.flush)
        self.core.closed = True
        self._services.ticker.forget(self)
        for serial in list(self._paths):
            for effect in (fx.Abandon(serial), fx.StreamEnded(serial), fx.ClosePipeline(serial)):
                self._attempt(partial(self._carry_out, effect))
        self._queue.clear()
        on_over = self.on_over
        if on_over is not None:
            self._let_go()
            on_over()

    def _farewell(self) -> Sequence[fx.Effect]:
        """What ends the session with `server.internal`; where the core can't say, the least."""
        problem = VoxwireError(ErrorCode.INTERNAL, "the session failed")
        try:
            return self.core.fail(problem)
        except Exception as error:
            logger.error("a failed session could not be ended in full: %s", _place_of(error))
            return fx.Send(error_to_message(problem)), fx.Close(CloseCode.INTERNAL, problem.code.value)

    @staticmethod
    def _attempt(action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            logger.error("a failed session could not be ended in full: %s", _place_of(error))

    # -- effects ----------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._services.clock()

    def _apply(self, effects: Sequence[fx.Effect]) -> None:
        """Carry out effects; those that they lead to come after them, in order."""
        self._queue.extend(effects)
        if self._applying:
            return
        self._applying = True
        try:
            while self._queue:
                self._carry_out(self._queue.popleft())
        finally:
            self._applying = False
        self._sink.flush()
        if self.resumable is not None:
            self.core.kept_bytes = self.resumable.log.bytes
        if not self.core.closed:
            self._services.ticker.schedule(self, self.core.next_due(self._now()))
        elif self.on_over is not None:
            on_over = self.on_over
            self._let_go()
            on_over()

    def _carry_out(self, effect: fx.Effect) -> None:
        services, context_key = self._services, self._context_key
        match effect:
            case fx.SendFrames(block, start, stop):
                self._sink.frames(block, start, stop)
                if self.resumable is not None:
                    self.resumable.log.frames(block, start, stop, self._now())
                services.observer.frames_sent(stop - start)
            case fx.Send(message):
                self._send(message)
            case fx.Speak():
                self._speak(effect)
            case fx.EndUtterance(serial, index):
                self._end_utterance(serial, index)
            case fx.Encode():
                self._encode(effect)
            case fx.OpenPipeline():
                self._open_path(effect)
            case fx.ClosePipeline(serial):
                self._paths.pop(serial, None)
                services.observer.contexts_changed(-1)
            case fx.SetBitrate(serial, bitrate):
                self._set_bitrate(serial, bitrate)
            case fx.Abandon(serial):
                services.synthesis.cancel(context_key(serial))
            case fx.Reprioritise(serial, deadline):
                services.synthesis.reprioritise(context_key(serial), deadline)
            case fx.StreamStarted(serial, engine):
                services.synthesis.stream_started(context_key(serial), engine, self.core.identity.account)
            case fx.StreamEnded(serial, interrupted):
                services.synthesis.stream_ended(context_key(serial), self.core.session_id if interrupted else None)
            case fx.FirstAudio(engine, ttfa_seconds):
                services.observer.first_audio(engine, ttfa_seconds)
            case fx.UnderrunBegan():
                services.observer.underrun_began()
            case fx.UnderrunEnded(since):
                services.observer.underrun_ended(self._now() - since)
            case fx.Acknowledged(number, seq):
                if self.resumable is not None:
                    self.resumable.log.acknowledged(number, seq)
            case fx.Close(code, reason):
                self._sink.close(code, reason)
            case _:
                assert_never(effect)

    def _context_key(self, serial: int) -> ContextKey:
        return self.core.session_id, serial

    def _send(self, message: ServerMessage) -> None:
        if isinstance(message, ErrorMessage):
            self._services.observer.error_sent(message.code)
        self._sink.message(message)
        if self.resumable is not None and not isinstance(message, Ready):
            self.resumable.log.message(message, self._now())

    def _open_path(self, effect: fx.OpenPipeline) -> None:
        mouth = viseme_track_for(effect.engine, effect.format) if effect.visemes else None
        audio = AudioPipeline(effect.engine.sample_rate, effect.format, effect.number, self._sink.prefix, mouth)
        opus = None
        if effect.format.codec == "opus":
            opus = OpusStream(effect.format, self._services.opus_complexity, self._sink.prefix)
        self._paths[effect.serial] = ContextAudio(audio, opus)
        self._services.observer.contexts_changed(+1)

    def _speak(self, effect: fx.Speak) -> None:
        path = self._paths.get(effect.serial)
        if path is None:
            return
        request = SynthesisRequest(
            context_key=self._context_key(effect.serial),
            engine=effect.engine,
            clause=effect.clause,
            index=effect.index,
            deadline=effect.deadline,
            bulk=effect.bulk,
            first=effect.first,
            ends_utterance=effect.ends_utterance,
            sink=ChunkProcessor(path.audio),
            account=self.core.identity.account,
        )
        try:
            self._services.synthesis.submit(request)
        except VoxwireError as error:
            self._queue.extend(self.core.failed(effect.serial, error, self._now()))

    def _end_utterance(self, serial: int, index: int) -> None:
        path = self._paths.get(serial)
        if path is not None:
            pieces = path.audio.skip(index, ends_utterance=True)
            self._queue.extend(self.core.produced(serial, index, pieces, self._now()))

    def _encode(self, effect: fx.Encode) -> None:
        path = self._paths.get(effect.serial)
        if path is None or path.opus is None:
            return
        serial = effect.serial

        def done(block: FrameBlock | None, error: Exception | None) -> None:
            self._encoded(serial, block, error)

        account = self.core.identity.account
        task = EncodeTask(path.opus, effect.block, effect.start, effect.stop, done, account)
        self._services.encoder.submit(task, effect.deadline)

    def _set_bitrate(self, serial: int, bitrate: int) -> None:
        path = self._paths.get(serial)
        if path is not None and path.opus is not None:
            path.opus.set_bitrate(bitrate)


def _place_of(error: Exception) -> str:
    """The kind of an error and where it was raised. Its own text may quote what a user wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


class ChunkProcessor:
    """A work's sink: called in a worker thread right after each step, it gives the audio its final shape."""

    __slots__ = ("_path",)

    def __init__(self, path: AudioPipeline) -> None:
        self._path = path

    def __call__(self, request: SynthesisRequest, chunk: AudioChunk | None, finished: bool) -> Sequence[EncodedChunk]:
        """Resample, frame and convert `chunk`."""
        if chunk is None:
            return self._path.skip(request.index, ends_utterance=request.ends_utterance) if finished else ()
        return self._path.push(
            request.index,
            chunk.samples,
            finished=finished,
            ends_utterance=request.ends_utterance,
            alignment=chunk.alignment,
        )
