"""Carries out what a session core asks for: the only part of a session that does I/O and reads a clock.

What a driver sends goes to a `Sink` (the native protocol's, or a vendor's); what it has synthesised and encoded goes
through the shared `SessionServices`. `session/registry` knows all drivers and brings each the output of its requests.
`ChunkProcessor` is the exception: as the sink of its session's requests it runs in the worker threads.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, assert_never

from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_protocol.messages import ErrorMessage, Ready, error_to_message
from voxwire_server.audio.encoder_pool import EncodeTask, OpusStream
from voxwire_server.audio.pipeline import AudioPipeline
from voxwire_server.scheduling.request import SynthesisRequest
from voxwire_server.session import effects as fx
from voxwire_server.session.ports import NullSink
from voxwire_server.session.resume import Frames
from voxwire_server.session.visemes import viseme_track_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_protocol.messages import ClientMessage, ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.scheduling.request import RequestOutput
    from voxwire_server.session.core import SessionCore
    from voxwire_server.session.ports import SessionServices, Sink
    from voxwire_server.session.resume import ReplayLog, ResumeTokens
    from voxwire_server.speech import AudioChunk


logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ContextPipeline:
    """One context's audio pipeline and, for Opus, its encoder."""

    audio: AudioPipeline
    opus: OpusStream | None


ContextKey = tuple[str, int]
"""Session id and the context's serial: names a context to the scheduler."""


@dataclass(slots=True)
class Resumable:
    """What a session needs to survive its connection. Only `account` may resume it, with one of
    `resume_tokens`; `log` holds what its client may have missed."""

    account: str
    resume_tokens: ResumeTokens
    log: ReplayLog


class Driver:
    """One session's driver. All methods are called on the event loop.

    `due` is when the ticker calls `tick`. A session with `resumable` can be detached from its connection, and attached
    to another.
    """

    def __init__(
        self, core: SessionCore, sink: Sink, services: SessionServices, resumable: Resumable | None = None
    ) -> None:
        self.core = core
        self.due = math.inf
        self.resumable = resumable
        self.on_over: Callable[[], None] | None = None
        """Called when the session ends while its client is away."""
        self.on_superseded: Callable[[], None] | None = None
        """Called when the session goes over to another connection."""
        self._sink = sink
        self._services = services
        self._pipelines: dict[int, ContextPipeline] = {}
        self._queue: deque[fx.Effect] = deque()
        self._executing = False

    # -- what happens -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The session begins: its client is sent `ready`."""
        self._execute(self.core.open(self._now()))

    def receive(self, message: ClientMessage) -> None:
        """Handle a message of the client."""
        if self.resumable is not None:
            self.resumable.resume_tokens.confirm()
        self._execute(self.core.receive(message, self._now()))

    def reject(self, error: VoxwireError) -> None:
        """Handle input that is no valid message."""
        self._execute(self.core.reject(error, self._now()))

    def fail(self, error: VoxwireError) -> None:
        """End the session with an error."""
        self._execute(self.core.fail(error))

    def drain(self, deadline_ms: int) -> None:
        """The server goes away. Never raises: see `deliver`."""
        try:
            self._execute(self.core.drain(deadline_ms, self._now()))
        except Exception as error:
            self._crash(error)

    def writable(self, writable: bool) -> None:
        """The socket takes more, or does not. Never raises: see `deliver`."""
        try:
            self._execute(self.core.writable(writable, self._now()))
        except Exception as error:
            self._crash(error)

    def tick(self, now: float) -> None:
        """Called by the ticker when `due` has come. Never raises: see `deliver`."""
        try:
            self._execute(self.core.tick(now))
        except Exception as error:
            self._crash(error)

    def disconnected(self) -> None:
        """The connection is gone for good. Never raises: see `deliver`."""
        try:
            self._execute(self.core.disconnected())
        except Exception as error:
            self._crash(error)
        self._services.ticker.forget(self)
        self._release()

    def _release(self) -> None:
        """Drop what is large, and callbacks that refer back here: memory need not wait for the garbage collector."""
        self.on_over = self.on_superseded = None
        self._services.synthesis.session_ended(self.core.session_id)
        self._pipelines.clear()
        if self.resumable is not None:
            self.resumable.log.clear()

    @property
    def worth_keeping(self) -> bool:
        """Whether its client may come back to it once its connection is gone."""
        return self.resumable is not None and not self.core.closed and self.core.worth_resuming

    def displace(self) -> None:
        """End the session because a new one gets its place (see `session/quotas`)."""
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
        self._execute(self.core.detached(self._now()))

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
        self._execute(self.core.attached(self._now()))

    def deliver(self, serial: int, output: RequestOutput) -> None:
        """Take what a step did for one of this session's requests.

        Never raises: an error in here ends this session with `server.internal`, and no other.
        """
        try:
            self._take_output(serial, output)
        except Exception as error:
            self._crash(error)

    def _take_output(self, serial: int, output: RequestOutput) -> None:
        if output.finished:
            self._services.observer.clause_spoken(output.request.engine, output.queue_seconds, output.synth_seconds)
        if output.error is not None:
            self._execute(self.core.failed(serial, output.error, self._now()))
            return
        self._execute(
            self.core.produced(
                serial,
                output.request.index,
                output.encoded or (),
                self._now(),
                # A request's sums are complete with its last output.
                queue_seconds=output.queue_seconds if output.finished else None,
                synth_seconds=output.synth_seconds if output.finished else None,
                unspoken=output.request.unspoken,
            )
        )

    def _encoded(self, serial: int, block: FrameBlock | None, error: Exception | None) -> None:
        try:
            if block is not None:
                self._execute(self.core.encoded(serial, block, self._now()))
            elif error is not None:
                problem = VoxwireError(ErrorCode.INTERNAL, f"audio could not be encoded: {error}")
                self._execute(self.core.failed(serial, problem, self._now()))
        except Exception as problem:
            self._crash(problem)

    def _crash(self, error: Exception) -> None:
        """End the session after an error of the server's own: tell the client, close, free what the session holds."""
        logger.error("session %s failed: %s", self.core.session_id, _origin_of(error))
        self._services.observer.session_failed()
        self._queue.clear()
        # What failed may fail again; each effect is tried on its own, so that the rest is freed all the same.
        for effect in self._closing_effects():
            self._attempt(partial(self._execute_effect, effect))
        self._attempt(self._sink.flush)
        self.core.closed = True
        self._services.ticker.forget(self)
        for serial in list(self._pipelines):
            for effect in (fx.CancelSynthesis(serial), fx.StreamEnded(serial), fx.ClosePipeline(serial)):
                self._attempt(partial(self._execute_effect, effect))
        self._queue.clear()
        on_over = self.on_over
        if on_over is not None:
            self._release()
            on_over()

    def _closing_effects(self) -> Sequence[fx.Effect]:
        """What ends the session with `server.internal`; where the core fails too, only an error and a close."""
        problem = VoxwireError(ErrorCode.INTERNAL, "the session failed")
        try:
            return self.core.fail(problem)
        except Exception as error:
            logger.error("a failed session could not be ended in full: %s", _origin_of(error))
            return fx.Send(error_to_message(problem)), fx.Close(CloseCode.INTERNAL, problem.code.value)

    @staticmethod
    def _attempt(action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            logger.error("a failed session could not be ended in full: %s", _origin_of(error))

    # -- effects ----------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._services.clock()

    def _execute(self, effects: Sequence[fx.Effect]) -> None:
        """Carry out effects, in order; those that they lead to come after them."""
        self._queue.extend(effects)
        if self._executing:
            return
        self._executing = True
        try:
            while self._queue:
                self._execute_effect(self._queue.popleft())
        finally:
            self._executing = False
        self._sink.flush()
        if self.resumable is not None:
            self.core.memory.kept_bytes = self.resumable.log.bytes
        if not self.core.closed:
            self._services.ticker.schedule(self, self.core.next_due(self._now()))
        elif self.on_over is not None:
            on_over = self.on_over
            self._release()
            on_over()

    def _execute_effect(self, effect: fx.Effect) -> None:
        services, context_key = self._services, self._context_key
        match effect:
            case fx.SendFrames(block, start, stop):
                self._sink.frames(block, start, stop)
                if self.resumable is not None:
                    self.resumable.log.frames(block, start, stop, self._now())
                services.observer.frames_sent(stop - start)
            case fx.Send(message):
                self._send(message)
            case fx.Synthesise() | fx.Silence():
                self._synthesise(effect)
            case fx.EndUtterance(serial, index):
                self._end_utterance(serial, index)
            case fx.Encode():
                self._encode(effect)
            case fx.OpenPipeline():
                self._open_pipeline(effect)
            case fx.ClosePipeline(serial):
                self._pipelines.pop(serial, None)
                services.observer.contexts_changed(-1)
            case fx.SetBitrate(serial, bitrate):
                self._set_bitrate(serial, bitrate)
            case fx.CancelSynthesis(serial):
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

    def _open_pipeline(self, effect: fx.OpenPipeline) -> None:
        visemes = viseme_track_for(effect.engine, effect.format) if effect.visemes else None
        audio = AudioPipeline(effect.engine.sample_rate, effect.format, effect.number, self._sink.prefix, visemes)
        opus = None
        if effect.format.codec == "opus":
            opus = OpusStream(effect.format, self._services.opus_complexity, self._sink.prefix)
        self._pipelines[effect.serial] = ContextPipeline(audio, opus)
        self._services.observer.contexts_changed(+1)

    def _synthesise(self, effect: fx.Synthesise | fx.Silence) -> None:
        pipeline = self._pipelines.get(effect.serial)
        if pipeline is None:
            return
        request = SynthesisRequest(
            **effect.spec.by_name(),
            context_key=self._context_key(effect.serial),
            sink=ChunkProcessor(pipeline.audio),
            account=self.core.identity.account,
        )
        try:
            self._services.synthesis.submit(request)
        except VoxwireError as error:
            self._queue.extend(self.core.failed(effect.serial, error, self._now()))

    def _end_utterance(self, serial: int, index: int) -> None:
        pipeline = self._pipelines.get(serial)
        if pipeline is not None:
            chunks = pipeline.audio.skip(index, ends_utterance=True)
            self._queue.extend(self.core.produced(serial, index, chunks, self._now()))

    def _encode(self, effect: fx.Encode) -> None:
        pipeline = self._pipelines.get(effect.serial)
        if pipeline is None or pipeline.opus is None:
            return
        serial = effect.serial

        def done(block: FrameBlock | None, error: Exception | None) -> None:
            self._encoded(serial, block, error)

        account = self.core.identity.account
        task = EncodeTask(pipeline.opus, effect.block, effect.start, effect.stop, done, account)
        self._services.encoder.submit(task, effect.deadline)

    def _set_bitrate(self, serial: int, bitrate: int) -> None:
        pipeline = self._pipelines.get(serial)
        if pipeline is not None and pipeline.opus is not None:
            pipeline.opus.set_bitrate(bitrate)


class ChunkProcessor:
    """A request's sink: called in a worker thread right after each step, it brings the audio through a pipeline."""

    __slots__ = ("_pipeline",)

    def __init__(self, pipeline: AudioPipeline) -> None:
        self._pipeline = pipeline

    def __call__(self, request: SynthesisRequest, chunk: AudioChunk | None, finished: bool) -> Sequence[EncodedChunk]:
        """Resample, frame and convert `chunk`."""
        if chunk is None:
            return self._pipeline.skip(request.index, ends_utterance=request.ends_utterance) if finished else ()
        return self._pipeline.push(
            request.index,
            chunk.samples,
            finished=finished,
            ends_utterance=request.ends_utterance,
            alignment=chunk.alignment,
        )


def _origin_of(error: Exception) -> str:
    """The type of an error and where it was raised. Its own text may quote what a user wrote, and is not logged."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
