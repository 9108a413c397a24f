"""Carries out what a session core asks for: the only place of a session that does I/O and reads a clock.

A driver belongs to one connection. What it sends goes to an `Outlet` (the native protocol's, or a vendor's), what it
has synthesised goes to the shared `Studio`. `session/registry` knows all drivers and brings each its results.
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
from voxwire_server.audio.lane import EncodeLane, EncodeTask
from voxwire_server.audio.path import AudioPath
from voxwire_server.engines.work import Work
from voxwire_server.session import effects as fx
from voxwire_server.session.mouth import mouth_for
from voxwire_server.session.replay import Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from voxwire_protocol.messages import ClientMessage, ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.path import Shaped
    from voxwire_server.engines.work import Outcome
    from voxwire_server.session.core import SessionCore
    from voxwire_server.session.passes import Passes
    from voxwire_server.session.replay import ReplayLog
    from voxwire_server.session.ticker import Ticker
    from voxwire_server.speech import AudioChunk


logger = logging.getLogger(__name__)


class Outlet(Protocol):
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

    def submit(self, work: Work) -> None:
        """Queue a clause."""

    def cancel(self, owner: Hashable) -> None:
        """Drop an owner's work."""

    def reprioritise(self, owner: Hashable, deadline: float) -> None:
        """Move an owner's deadline."""

    def listener_joined(self, owner: Hashable, engine: str, account: str = "") -> None:
        """Count a listener of an account."""

    def listener_left(self, owner: Hashable, caller: Hashable = None) -> None:
        """Stop counting a listener; keep its place for a while if `caller` is expected to ask for it again."""

    def caller_left(self, caller: Hashable) -> None:
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
class Studio:
    """What all sessions share."""

    synthesis: Synthesis
    encoder: EncodeLane
    ticker: Ticker
    observer: Observer
    clock: Callable[[], float]
    opus_complexity: int = 5


@dataclass(slots=True)
class Path:
    """One context's audio path and, for Opus, its encoder."""

    audio: AudioPath
    opus: OpusStream | None


Owner = tuple[str, int]
"""Session id and context serial: whose work it is."""


@dataclass(slots=True)
class Resumable:
    """What makes a session survive its connection: who may come back, and what they have not got yet."""

    identity: str
    passes: Passes
    log: ReplayLog


class Nowhere:
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

    def __init__(self, core: SessionCore, outlet: Outlet, studio: Studio, resumable: Resumable | None = None) -> None:
        self.core = core
        self.due = math.inf
        self.resumable = resumable
        self.on_over: Callable[[], None] | None = None
        """Called when the session ends while no connection is there to see it."""
        self.on_superseded: Callable[[], None] | None = None
        """Called when the session goes over to another connection."""
        self._outlet = outlet
        self._studio = studio
        self._paths: dict[int, Path] = {}
        self._queue: deque[fx.Effect] = deque()
        self._applying = False

    # -- facts ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Say `ready`."""
        self._apply(self.core.open(self._now()))

    def receive(self, message: ClientMessage) -> None:
        """A message came."""
        if self.resumable is not None:
            self.resumable.passes.confirm()
        self._apply(self.core.receive(message, self._now()))

    def reject(self, error: VoxwireError) -> None:
        """Something came that is no message."""
        self._apply(self.core.reject(error, self._now()))

    def fail(self, error: VoxwireError) -> None:
        """End the session with an error."""
        self._apply(self.core.fail(error))

    def drain(self, deadline_ms: int) -> None:
        """The server goes away. Never raises: see `outcome`."""
        try:
            self._apply(self.core.drain(deadline_ms, self._now()))
        except Exception as error:
            self._crash(error)

    def writable(self, writable: bool) -> None:
        """The socket takes more, or does not. Never raises: see `outcome`."""
        try:
            self._apply(self.core.writable(writable, self._now()))
        except Exception as error:
            self._crash(error)

    def tick(self, now: float) -> None:
        """It is `due`. Never raises: see `outcome`."""
        try:
            self._apply(self.core.tick(now))
        except Exception as error:
            self._crash(error)

    def disconnected(self) -> None:
        """The connection is gone, for good. Never raises: see `outcome`."""
        try:
            self._apply(self.core.disconnected())
        except Exception as error:
            self._crash(error)
        self._studio.ticker.forget(self)
        self._let_go()

    def _let_go(self) -> None:
        """Drop what is large, and what leads back here: a session that is over need not wait for the collector."""
        self.on_over = self.on_superseded = None
        self._studio.synthesis.caller_left(self.core.session_id)
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
        self._outlet = Nowhere()
        self.on_superseded = None
        self.on_over = on_over
        self._apply(self.core.detached(self._now()))

    @property
    def away(self) -> bool:
        """Whether its client is away."""
        return isinstance(self._outlet, Nowhere)

    def abandon(self) -> None:
        """End the session wherever its connection is."""
        if self.on_superseded is not None:
            self.on_superseded()
        self.on_over = self.on_superseded = None
        self.disconnected()

    def attach(self, outlet: Outlet, position: int, resumed: ServerMessage, on_superseded: Callable[[], None]) -> None:
        """Go on at another connection: say `resumed`, send what was sent from `position` on again, then what is new."""
        assert self.resumable is not None
        if self.on_superseded is not None:
            self.on_superseded()
        self.on_over, self.on_superseded = None, on_superseded
        outlet.message(resumed)
        for item in self.resumable.log.since(position):
            if isinstance(item, Frames):
                outlet.frames(item.block.again(item.start, item.stop), 0, item.stop - item.start)
            else:
                outlet.message(item)
        self._outlet = outlet
        self._apply(self.core.attached(self._now()))

    def outcome(self, serial: int, outcome: Outcome) -> None:
        """A step of one of this session's clauses is over.

        Never raises: an error in here ends this session with `server.internal`, and no other.
        """
        try:
            self._take_outcome(serial, outcome)
        except Exception as error:
            self._crash(error)

    def _take_outcome(self, serial: int, outcome: Outcome) -> None:
        if outcome.finished:
            self._studio.observer.clause_spoken(outcome.work.engine, outcome.queue_seconds, outcome.synth_seconds)
        if outcome.error is not None:
            self._apply(self.core.failed(serial, outcome.error, self._now()))
            return
        self._apply(
            self.core.produced(
                serial,
                outcome.work.index,
                outcome.shaped or (),
                self._now(),
                # The sums of a clause are whole with its last outcome.
                queue_seconds=outcome.queue_seconds if outcome.finished else None,
                synth_seconds=outcome.synth_seconds if outcome.finished else None,
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
        self._studio.observer.session_failed()
        self._queue.clear()
        # What failed may fail again; each effect is tried on its own, so that the rest is given back all the same.
        for effect in self._farewell():
            self._attempt(partial(self._carry_out, effect))
        self._attempt(self._outlet.flush)
        self.core.closed = True
        self._studio.ticker.forget(self)
        for serial in list(self._paths):
            for effect in (fx.Abandon(serial), fx.ListenerLeft(serial), fx.ClosePath(serial)):
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
        return self._studio.clock()

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
        self._outlet.flush()
        if self.resumable is not None:
            self.core.kept_bytes = self.resumable.log.bytes
        if not self.core.closed:
            self._studio.ticker.schedule(self, self.core.next_due(self._now()))
        elif self.on_over is not None:
            on_over = self.on_over
            self._let_go()
            on_over()

    def _carry_out(self, effect: fx.Effect) -> None:
        studio, owner = self._studio, self._owner
        match effect:
            case fx.SendFrames(block, start, stop):
                self._outlet.frames(block, start, stop)
                if self.resumable is not None:
                    self.resumable.log.frames(block, start, stop, self._now())
                studio.observer.frames_sent(stop - start)
            case fx.Send(message):
                self._send(message)
            case fx.Speak():
                self._speak(effect)
            case fx.EndUtterance(serial, index):
                self._end_utterance(serial, index)
            case fx.Encode():
                self._encode(effect)
            case fx.OpenPath():
                self._open_path(effect)
            case fx.ClosePath(serial):
                self._paths.pop(serial, None)
                studio.observer.contexts_changed(-1)
            case fx.SetBitrate(serial, bitrate):
                self._set_bitrate(serial, bitrate)
            case fx.Abandon(serial):
                studio.synthesis.cancel(owner(serial))
            case fx.Reprioritise(serial, deadline):
                studio.synthesis.reprioritise(owner(serial), deadline)
            case fx.ListenerJoined(serial, engine):
                studio.synthesis.listener_joined(owner(serial), engine, self.core.caller.account)
            case fx.ListenerLeft(serial, interrupted):
                studio.synthesis.listener_left(owner(serial), self.core.session_id if interrupted else None)
            case fx.FirstAudio(engine, ttfa_seconds):
                studio.observer.first_audio(engine, ttfa_seconds)
            case fx.UnderrunBegan():
                studio.observer.underrun_began()
            case fx.UnderrunEnded(since):
                studio.observer.underrun_ended(self._now() - since)
            case fx.Acknowledged(number, seq):
                if self.resumable is not None:
                    self.resumable.log.acknowledged(number, seq)
            case fx.Close(code, reason):
                self._outlet.close(code, reason)
            case _:
                assert_never(effect)

    def _owner(self, serial: int) -> Owner:
        return self.core.session_id, serial

    def _send(self, message: ServerMessage) -> None:
        if isinstance(message, ErrorMessage):
            self._studio.observer.error_sent(message.code)
        self._outlet.message(message)
        if self.resumable is not None and not isinstance(message, Ready):
            self.resumable.log.message(message, self._now())

    def _open_path(self, effect: fx.OpenPath) -> None:
        mouth = mouth_for(effect.engine, effect.format) if effect.visemes else None
        audio = AudioPath(effect.engine.sample_rate, effect.format, effect.number, self._outlet.prefix, mouth)
        opus = None
        if effect.format.codec == "opus":
            opus = OpusStream(effect.format, self._studio.opus_complexity, self._outlet.prefix)
        self._paths[effect.serial] = Path(audio, opus)
        self._studio.observer.contexts_changed(+1)

    def _speak(self, effect: fx.Speak) -> None:
        path = self._paths.get(effect.serial)
        if path is None:
            return
        work = Work(
            owner=self._owner(effect.serial),
            engine=effect.engine,
            clause=effect.clause,
            index=effect.index,
            deadline=effect.deadline,
            bulk=effect.bulk,
            first=effect.first,
            ends_utterance=effect.ends_utterance,
            sink=Shaper(path.audio),
            account=self.core.caller.account,
        )
        try:
            self._studio.synthesis.submit(work)
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

        account = self.core.caller.account
        task = EncodeTask(path.opus, effect.block, effect.start, effect.stop, done, account)
        self._studio.encoder.submit(task, effect.deadline)

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


class Shaper:
    """A work's sink: called in a worker thread right after each step, it gives the audio its final shape."""

    __slots__ = ("_path",)

    def __init__(self, path: AudioPath) -> None:
        self._path = path

    def __call__(self, work: Work, chunk: AudioChunk | None, finished: bool) -> Sequence[Shaped]:
        """Resample, frame and convert `chunk`."""
        if chunk is None:
            return self._path.skip(work.index, ends_utterance=work.ends_utterance) if finished else ()
        return self._path.push(
            work.index,
            chunk.samples,
            finished=finished,
            ends_utterance=work.ends_utterance,
            alignment=chunk.alignment,
        )
