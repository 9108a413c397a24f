"""Owns one context's life: what its client asks of it, its progress, and how it ends. Pure: no I/O, no clock.

text -> ClauseCutter --Synthesise--> engine --chunks--> ChunkReceiver -> FrameSender -> client

OPEN --end--> ENDING --last frame sent--> CLOSED (completed, no_speakable_text)
  |             |
  +---error-----+--> FAILING --last frame sent--> CLOSED (error)
  +---cancel----+----------------------------> CLOSED (cancelled)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from voxwire_protocol import messages as m
from voxwire_server.session import effects as fx
from voxwire_server.session.chunk_receiver import ChunkReceiver
from voxwire_server.session.clause_cutter import FLUSH_BYTES, ClauseCutter
from voxwire_server.session.frame_sender import FrameSender
from voxwire_server.session.playout import Playout, UnderrunWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.session.settings import ContextSpec, PlayoutPolicy
    from voxwire_server.session.stretches import ClauseSplitter
    from voxwire_server.text.intake import TextIntake

HELD_DEADLINE_SECONDS = 3600.0
"""The clauses of a held context are due in so many seconds: after those of all others."""


class Phase(Enum):
    """Where a context is in its life."""

    OPEN = "open"
    ENDING = "ending"
    FAILING = "failing"
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class Context:
    """One stream of text and its audio. After each method that changes something, `advance` is to be called.

    `emit` takes the effects, in order. Times are in seconds on the clock of `now`.
    """

    spec: ContextSpec
    policy: PlayoutPolicy
    intake: TextIntake
    splitter: ClauseSplitter
    emit: Callable[[fx.Effect], None]
    opened_at: float
    phase: Phase = Phase.OPEN
    text_seq: int | None = None
    """The newest numbered text that was accepted."""
    counted_bytes: int = 0
    """What the session has counted of this context's `held_bytes`."""
    playout: Playout = field(init=False)
    _underruns: UnderrunWatch = field(init=False)
    _cutter: ClauseCutter = field(init=False)
    _sender: FrameSender = field(init=False)
    _receiver: ChunkReceiver = field(init=False)
    _queue_seconds: float | None = None
    _synth_seconds: float = 0.0
    _streaming: bool = False
    """Whether the context counts as an active stream."""

    def __post_init__(self) -> None:
        spec, emit = self.spec, self.emit
        self.playout = Playout(
            sample_rate=spec.format.sample_rate,
            frame_samples=spec.format.frame_samples,
            pacing=spec.pacing,
            burst_frames=self.policy.burst_frames,
        )
        self._underruns = UnderrunWatch(spec.name, self.playout, emit, enabled=not spec.bulk)
        self._cutter = ClauseCutter(
            spec, self.policy, self.intake, self.splitter, self.playout, self._underruns, emit, self.opened_at
        )
        self._sender = FrameSender(spec, self.policy.burst_frames, self.playout, self._underruns, emit)
        self._receiver = ChunkReceiver(spec, self._cutter, self._sender)
        emit(fx.OpenPipeline(spec.serial, spec.number, spec.engine, spec.format, "viseme" in spec.timings))

    # -- what the client says ---------------------------------------------------------------------------------

    def feed(self, text: str, now: float) -> None:
        """Append text."""
        self._cutter.feed(text, now)

    def flush(self, flush_id: str | None, now: float) -> None:
        """Speak all that has been fed; `flushed` follows its last frame."""
        self._cutter.flush(flush_id, now)

    def end(self, now: float) -> None:
        """No more text will come."""
        self.phase = Phase.ENDING
        self._cutter.end(now)

    def hold(self, now: float) -> None:
        """Stop sending; nothing is lost."""
        self._observe(now)
        self.playout.hold(now)
        self._cutter.reprioritise(now + HELD_DEADLINE_SECONDS)

    def release(self, now: float) -> None:
        """Go on where `hold` stopped."""
        self.playout.release(now)
        self._cutter.reprioritise(self.playout.dry_at(now))

    def set_writable(self, writable: bool, now: float) -> None:
        """The socket takes more, or does not; `advance` need follow only where it does."""
        self._observe(now)
        self.playout.writable = writable
        if not writable:
            self._underruns.blocked = True
            self._underruns.end(now)

    def set_frugal(self, frugal: bool) -> None:
        """Make no audio while any is left to send, or no longer so: the session holds too much."""
        self._cutter.frugal = frugal

    def configure(self, *, bitrate: int | None, pacing: m.Pacing | None) -> None:
        """Change the encoder's bitrate or the pacing, from the next frame on."""
        if bitrate is not None:
            self.emit(fx.SetBitrate(self.spec.serial, bitrate))
        if pacing is not None:
            self.playout.pacing = pacing

    def cancel(self, played_pts: int | None, now: float) -> None:
        """Barge-in: drop everything unsent and report what was heard. The context is closed afterwards."""
        self._observe(now)
        self._underruns.end(now)
        pts = self.playout.heard_pts(now, played_pts)
        original = self.intake.original(0, self.intake.chars)
        heard = self._receiver.heard_log.at(pts, original)
        cancelled = m.Cancelled(
            context=self.spec.name,
            sent_seq=self.sent_seq,
            heard=m.Heard(pts=pts, chars=heard.chars, text=original[: heard.chars], word=heard.word),
            unheard=m.Unheard(chars=len(original) - heard.chars, text=original[heard.chars :]),
        )
        self.emit(fx.Send(cancelled))
        self._close(m.DoneReason.CANCELLED)

    # -- questions --------------------------------------------------------------------------------------------

    @property
    def last_text_at(self) -> float:
        """When the client last gave or flushed text."""
        return self._cutter.last_text_at

    @property
    def flushes_waiting(self) -> int:
        """Flushes (and the end) whose answers have not been sent."""
        return len(self._cutter.utterance_ends) + self._sender.answers_waiting

    @property
    def held_bytes(self) -> int:
        """What the context holds in memory, about: its text, the audio that is ready, what is to be said with it."""
        if self.phase is Phase.CLOSED:
            return 0
        flushes = self.flushes_waiting * FLUSH_BYTES
        given = self._cutter.text_bytes + self.spec.lexicon_bytes
        return given + self._sender.held_bytes + flushes + self._receiver.heard_log.old_bytes

    def held_seconds(self, now: float) -> float:
        """For how long the client has held the context; 0 while it does not."""
        return 0.0 if self.playout.held_at is None else now - self.playout.held_at

    @property
    def frames_sent(self) -> int:
        """How many frames were sent: the next one's sequence number."""
        return self.playout.sent_pts // self.playout.frame_samples

    @property
    def sent_seq(self) -> int | None:
        """The newest sequence number sent, None before the first."""
        return self.frames_sent - 1 if self.frames_sent else None

    def state(self, now: float) -> m.ContextState:
        """What the context is doing, for the message `state`."""
        if self.playout.held_at is not None:
            return m.ContextState.HELD
        if self.playout.remaining(now) > 0:
            return m.ContextState.SPEAKING
        if self._cutter.in_flight or self._cutter.has_speakable:
            return m.ContextState.QUEUED
        return m.ContextState.WAITING_FOR_TEXT

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight, unsent or ready to be cut."""
        return not self._cutter.in_flight and self._sender.empty and not self._cutter.has_speakable

    # -- what the engine and the encoder say --------------------------------------------------------------------

    def produced(self, index: int, chunks: Sequence[EncodedChunk], now: float) -> None:
        """Take the audio that a step of clause `index` made."""
        self._observe(now)
        self._receiver.take(index, chunks, now)

    def unspoken(self, index: int, ranges: Sequence[tuple[int, int]]) -> None:
        """Warn the client: the engine could pronounce nothing of these ranges of clause `index`."""
        self._cutter.unspoken(index, ranges)

    def add_times(self, queue_seconds: float, synth_seconds: float) -> None:
        """Add what a clause cost to the context's times."""
        if self._queue_seconds is None:
            self._queue_seconds = queue_seconds
        self._synth_seconds += synth_seconds

    def encoded(self, block: FrameBlock) -> None:
        """Take the packets that an `Encode` effect asked for."""
        self._sender.encoded(block)

    def failed(self, error: VoxwireError) -> None:
        """A clause failed: what is ready is still sent, then the context ends with reason error."""
        if self.phase in (Phase.FAILING, Phase.CLOSED):
            return
        self.emit(fx.Send(m.error_to_message(error, context=self.spec.name)))
        self.phase = Phase.FAILING
        self._underruns.enabled = False
        self.emit(fx.CancelSynthesis(self.spec.serial))
        self._cutter.stop()

    # -- progress -----------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Cut, encode and send whatever is due at `now`; close the context if that was all."""
        if self.phase is Phase.CLOSED:
            return
        cutter, sender = self._cutter, self._sender
        self._observe(now)
        cutter.cut(now)
        sender.encode(now)
        sender.send(now)
        if not sender.ready_frames and (cutter.frugal or not self.playout.paced):
            # What was left to send kept the next clause from being asked for, and nothing else wakes the context.
            cutter.cut(now)
        self._underruns.blocked = self.playout.blocked
        if sender.complete:
            self._close(self._final_reason())
        else:
            self._count_stream(now)

    def next_due(self, now: float) -> float:
        """When `advance` has something to do, if nothing else happens first; infinity: not before."""
        if self.phase is Phase.CLOSED:
            return math.inf
        cutter, sender, playout = self._cutter, self._sender, self.playout
        due = min(sender.next_due(now), cutter.next_due(now))
        if (cutter.in_flight or sender.encoding) and self._underruns.dry_since is None:
            overdue = self._underruns.overdue(sender.ready_frames, cutter.wanted_times())
            if overdue is not None:
                due = min(due, max(overdue.counts_at, now))
        silent = not cutter.has_pending_text and not cutter.in_flight
        if self._streaming and silent and playout.held_at is None:
            due = min(due, max(playout.dry_at(now), now + playout.frame_seconds))
        return due

    def _observe(self, now: float) -> None:
        """Update the underrun watch. Called before anything changes at `now`, so that after the event loop was blocked
        it still sees what was ready or submitted in time."""
        self._underruns.observe(now, self._sender.ready_frames, self._cutter.wanted_times())

    def _count_stream(self, now: float) -> None:
        """Emit `StreamStarted` or `StreamEnded` where the context becomes an active stream or ceases to be one.

        A bulk context never is one.
        """
        streaming = not self.spec.bulk and (not self.idle or self.playout.remaining(now) > 0)
        if streaming != self._streaming:
            self._streaming = streaming
            serial = self.spec.serial
            self.emit(fx.StreamStarted(serial, self.spec.engine.name) if streaming else fx.StreamEnded(serial))

    # -- the end ------------------------------------------------------------------------------------------------

    def _final_reason(self) -> m.DoneReason:
        """How a context ends whose last frame was sent."""
        match self.phase:
            case Phase.FAILING:
                return m.DoneReason.ERROR
            case Phase.OPEN | Phase.ENDING:
                silent = self._cutter.has_text and not self._receiver.samples
                return m.DoneReason.NO_SPEAKABLE_TEXT if silent else m.DoneReason.COMPLETED
            case Phase.CLOSED:
                raise AssertionError("a closed context does not end again")
            case _:
                assert_never(self.phase)

    def _close(self, reason: m.DoneReason) -> None:
        if reason in (m.DoneReason.CANCELLED, m.DoneReason.ERROR):
            self.emit(fx.CancelSynthesis(self.spec.serial))
        times = m.PipelineTimes(
            queue_ms=_ms(self._queue_seconds),
            ttfa_ms=_ms(self._sender.ttfa_seconds),
            synth_ms=_ms(self._synth_seconds),
        )
        done = m.Done(
            context=self.spec.name,
            reason=reason,
            frames=self.frames_sent,
            samples=min(self._receiver.samples, self.playout.sent_pts),
            chars=self.intake.chars,
            timings=times,
        )
        self.emit(fx.Send(done))
        self.discard(interrupted=reason is m.DoneReason.CANCELLED)

    def discard(self, *, interrupted: bool = False) -> None:
        """Drop everything and send nothing: the context is over, or its session is."""
        self._underruns.discard()
        if self._streaming:
            self.emit(fx.StreamEnded(self.spec.serial, interrupted))
            self._streaming = False
        self.emit(fx.ClosePipeline(self.spec.serial))
        self.phase = Phase.CLOSED
        self._sender.clear()
        self._receiver.clear()
        self._cutter.in_flight.clear()


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
