"""Owns one context: its text, the clauses in flight, its ready audio and its playout clock. Pure: no I/O, no clock.

    OPEN --end--> ENDING --last frame sent--> CLOSED (completed, no_speakable_text)
      |             |
      +---error-----+--> FAILING --last frame sent--> CLOSED (error)
      +---cancel----+----------------------------> CLOSED (cancelled)

A clause is cut when the listener will need it, not before, so that it can grow while the model still writes; whether it
is cut at a sentence, at a phrase mark or at a word depends on how soon the listener runs dry (`_urgency`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from voxwire_protocol import messages as m
from voxwire_server.session import effects as fx
from voxwire_server.session.heard import ClauseSpan, HeardLog
from voxwire_server.session.ledger import text_bytes
from voxwire_server.session.playout import Playout
from voxwire_server.session.replay import message_bytes
from voxwire_server.session.timings import ClauseClock, timing, word_spans
from voxwire_server.session.underrun import SEND_SLACK_SECONDS, UnderrunWatch
from voxwire_server.speech import Clause
from voxwire_server.text.intake import Boundary, ClauseText, TextIntake, Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.session.heard import WordSpan
    from voxwire_server.session.underrun import Owed
    from voxwire_server.speech import Voice

HELD_DEADLINE_SECONDS = 3600.0

MESSAGE_BYTES = 64
"""What CPython takes for a text of the client's beside its characters (56 on average, and a place in a list)."""

FLUSH_BYTES = 256
"""What a flush that is still to be answered takes: its id, its terminator, and where it stands in the text."""

ENDINGS_MAX = 16
ENDINGS_SECONDS = 0.005
"""So many flushes of a context are answered in so much time: a client can have tens of thousands wait for one frame."""

FRAME_BYTES = 32
"""What an audio frame that is ready takes beside its samples: the headers, and its part of the block."""


class Phase(Enum):
    """Where a context is in its life."""

    OPEN = "open"
    ENDING = "ending"
    FAILING = "failing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PlayoutPolicy:
    """When clauses are cut and how far generation runs ahead, in seconds.

    `ahead`: the next clause is started when less than this is left to hear, and on a slow engine earlier: when less is
    left than `soon` and the time of `steps_ahead` of its longest clauses, for it may have to wait for somebody else's
    before its own is made (with Kokoro on two cores, every listener who heard more than a few sentences ran dry at 3 s,
    alone too; at 11 s none did at nine tenths of what the engine can feed). `unsent_max`: no clause is started while
    this much audio waits for the socket. `soon` and `dry` (to which an engine's own time is added): less than this left
    allows a cut at a phrase mark, or at a word. `start_wait`: how long the first words wait for a phrase to end.
    `text_idle`: a context that gets no text for so long, and has some unspoken, is flushed.
    """

    ahead: float = 3.0
    steps_ahead: float = 2.0
    unsent_max: float = 20.0
    soon: float = 1.0
    dry: float = 0.25
    start_wait: float = 0.5
    text_idle: float = 120.0
    burst_frames: int = 10

    def ahead_of(self, engine: EngineInfo) -> float:
        """How far generation runs ahead with this engine, by its own guess of its cost."""
        longest = engine.clause_chars_max / engine.chars_per_second * engine.realtime_factor
        return min(max(self.ahead, self.soon + self.steps_ahead * longest), self.unsent_max)


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """What a context was opened with, all defaults resolved."""

    name: str
    serial: int
    number: int
    engine: EngineInfo
    voice: Voice
    language: str
    speed: float
    format: m.AudioFormat
    timings: frozenset[str]
    pacing: m.Pacing
    bulk: bool
    seed: int


@dataclass(slots=True)
class InFlight:
    """A clause between its cut and its last sample. `wanted_at`: when a server that is on time would have cut it."""

    text: ClauseText
    wanted_at: float
    first: bool
    text_at: float
    span: ClauseSpan | None = None
    clock: ClauseClock | None = None


@dataclass(slots=True)
class UtteranceEnd:
    """A flush (with the client's id) or the end of a context, waiting for the last frame before it."""

    flush_id: str | None
    ends: bool


@dataclass(slots=True)
class PendingMessage:
    """A message that must not be later than the audio at `pts`; `ttfa_from` is set for the first of an utterance."""

    pts: int
    message: m.ServerMessage
    ttfa_from: float | None


@dataclass(slots=True)
class FrameCursor:
    """A block of frames and how many of them have been passed on."""

    block: FrameBlock
    cursor: int = 0

    @property
    def left(self) -> int:
        """Frames not passed on yet."""
        return self.block.count - self.cursor


@dataclass(slots=True)
class Times:
    """Seconds for `done.timings`."""

    queue: float | None = None
    ttfa: float | None = None
    synth: float = 0.0


@dataclass(slots=True, eq=False)
class Context:
    """One stream of text and its audio. Every method that changes something ends in `advance`."""

    spec: ContextSpec
    policy: PlayoutPolicy
    intake: TextIntake
    emit: Callable[[fx.Effect], None]
    opened_at: float
    phase: Phase = Phase.OPEN
    text_seq: int | None = None
    writable: bool = True
    playout: Playout = field(init=False)
    heard_log: HeardLog = field(default_factory=HeardLog)
    times: Times = field(default_factory=Times)
    last_text_at: float = 0.0
    _told_at: float = 0.0
    _waiting_since: float = 0.0
    _next_index: int = 0
    _utterance_clauses: int = 0
    _inflight: dict[int, InFlight] = field(default_factory=dict)
    _terminators: deque[UtteranceEnd] = field(default_factory=deque)
    _endings: deque[tuple[int, UtteranceEnd]] = field(default_factory=deque)
    _announcements: deque[PendingMessage] = field(default_factory=deque)
    _raw: deque[FrameCursor] = field(default_factory=deque)
    _ready: deque[FrameCursor] = field(default_factory=deque)
    _ready_frames: int = 0
    _ending_at: float = -math.inf
    _endings_left: int = ENDINGS_MAX
    _encoding: bool = False
    _early: dict[int, EncodedChunk] = field(default_factory=dict)
    _next_order: int = 0
    _samples: int = 0
    _has_text: bool = False
    _listening: bool = False
    _complete: bool = False
    _ahead: float = 0.0
    _underruns: UnderrunWatch = field(init=False)
    frugal: bool = False
    """Make no audio while any is left to send: the session holds too much."""
    counted_bytes: int = 0
    """What the session has counted of this context's `held_bytes`."""
    _text_bytes: int = 0
    _told_bytes: int = 0
    _sample_bytes: int = 2

    def __post_init__(self) -> None:
        spec = self.spec
        self._ahead = self.policy.ahead_of(spec.engine)
        self._sample_bytes = 1 if spec.format.codec in ("mulaw", "alaw") else 2
        self.playout = Playout(
            sample_rate=spec.format.sample_rate,
            frame_samples=spec.format.frame_samples,
            pacing=spec.pacing,
            burst_frames=self.policy.burst_frames,
        )
        self._underruns = UnderrunWatch(self.playout, self.emit)
        self.last_text_at = self._told_at = self._waiting_since = self.opened_at
        self.emit(fx.OpenPipeline(spec.serial, spec.number, spec.engine, spec.format, "viseme" in spec.timings))

    # -- what the client says ---------------------------------------------------------------------------------

    def feed(self, text: str, now: float) -> None:
        """Append text."""
        if not self.intake.pending_chars:
            self._waiting_since = now
        self._has_text = self._has_text or not text.isspace()
        self.last_text_at = self._told_at = now
        self._text_bytes += fed_bytes(text)
        self.intake.feed(text)

    def flush(self, flush_id: str | None, now: float) -> None:
        """Speak all that has been fed; `flushed` follows its last frame."""
        self.last_text_at = self._told_at = now
        self.intake.flush()
        self._terminators.append(UtteranceEnd(flush_id, ends=False))

    @property
    def flushes_waiting(self) -> int:
        """Flushes (and the end) whose answers have not been sent."""
        return len(self._terminators) + len(self._endings)

    def end(self, now: float) -> None:
        """No more text will come."""
        self.phase = Phase.ENDING
        self._told_at = now
        self.intake.flush()
        self._terminators.append(UtteranceEnd(None, ends=True))

    def hold(self, now: float) -> None:
        """Stop sending; nothing is lost."""
        self._watch_listener(now)
        self.playout.hold(now)
        self._reprioritise(now + HELD_DEADLINE_SECONDS)

    def release(self, now: float) -> None:
        """Go on where `hold` stopped."""
        self.playout.release(now)
        self._reprioritise(self.playout.dry_at(now))

    def set_writable(self, writable: bool, now: float) -> None:
        """The socket takes more, or does not; `advance` is to follow where it does."""
        self._watch_listener(now)
        self.writable = writable
        if not writable:
            self._underruns.blocked = True
            self._end_underrun(now)

    def configure(self, *, bitrate: int | None, pacing: m.Pacing | None) -> None:
        """Change the encoder's bitrate or the pacing, from the next frame on."""
        if bitrate is not None:
            self.emit(fx.SetBitrate(self.spec.serial, bitrate))
        if pacing is not None:
            self.playout.pacing = pacing

    def cancel(self, played_pts: int | None, now: float) -> None:
        """Barge-in: drop everything unsent and report what was heard. The context is closed afterwards."""
        self._watch_listener(now)
        self._end_underrun(now)
        playout = self.playout
        pts = playout.heard_pts(now, played_pts)
        original = self.intake.original(0, self.intake.chars)
        heard = self.heard_log.at(pts, original)
        self.emit(
            fx.Send(
                m.Cancelled(
                    context=self.spec.name,
                    sent_seq=self.sent_seq,
                    heard=m.Heard(pts=pts, chars=heard.chars, text=original[: heard.chars], word=heard.word),
                    unheard=m.Unheard(chars=len(original) - heard.chars, text=original[heard.chars :]),
                )
            )
        )
        self._close(m.DoneReason.CANCELLED)

    @property
    def held_bytes(self) -> int:
        """What the context holds in memory, about: its text, the audio that is ready, what is to be said with it."""
        if self.phase is Phase.CLOSED:
            return 0
        playout = self.playout
        samples = playout.ready_pts - playout.sent_pts
        audio = samples * self._sample_bytes + samples // playout.frame_samples * FRAME_BYTES
        flushes = self.flushes_waiting * FLUSH_BYTES
        return self._text_bytes + audio + self._told_bytes + flushes + self.heard_log.old_bytes

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
        """What the context is doing, for `state`."""
        if self.playout.held_at is not None:
            return m.ContextState.HELD
        if self.playout.remaining(now) > 0:
            return m.ContextState.SPEAKING
        if self._inflight or self.intake.has_speakable:
            return m.ContextState.QUEUED
        return m.ContextState.WAITING_FOR_TEXT

    @property
    def idle(self) -> bool:
        """Nothing is in flight, unsent or ready to be cut."""
        return not (self._inflight or self._ready or self._raw or self._encoding or self.intake.has_speakable)

    # -- what the engine and the encoder say --------------------------------------------------------------------

    def produced(self, index: int, pieces: Sequence[EncodedChunk], now: float) -> None:
        """Take the audio that a step of clause `index` made ready.

        Steps of two clauses may run at once in two threads, so pieces can arrive out of their order; they wait for it.
        """
        self._watch_listener(now)
        if self.phase is Phase.FAILING:
            self._salvage(index, pieces, now)
            return
        for piece in pieces:
            self._early[piece.order] = piece
        while (next_piece := self._early.pop(self._next_order, None)) is not None:
            self._next_order += 1
            self._take_piece(next_piece, now)

    def _salvage(self, index: int, pieces: Sequence[EncodedChunk], now: float) -> None:
        """Of a failing context, take what joins on to the audio that is there; some of it may have been abandoned."""
        for piece in pieces:
            self._take_piece(piece, now)
        if index in self._inflight and self._terminators and not pieces:
            del self._inflight[index]
            self._endings.append((self.playout.ready_pts, self._terminators.popleft()))

    def step_times(self, queue_seconds: float, synth_seconds: float) -> None:
        """Add what a clause's work cost to the context's times."""
        if self.times.queue is None:
            self.times.queue = queue_seconds
        self.times.synth += synth_seconds

    def encoded(self, block: FrameBlock) -> None:
        """Take packets that an `Encode` effect asked for."""
        self._encoding = False
        self._append_ready(block)

    def failed(self, error: VoxwireError) -> None:
        """A clause failed: what is ready is still sent, then the context ends with reason error."""
        if self.phase in (Phase.FAILING, Phase.CLOSED):
            return
        self.emit(fx.Send(m.error_to_message(error, context=self.spec.name)))
        self.phase = Phase.FAILING
        self.emit(fx.Abandon(self.spec.serial))
        index = min(self._inflight, default=self._next_index)
        text = ClauseText("", (), (self.intake.taken_chars,) * 2, ends_utterance=True, boundary=Boundary.UTTERANCE)
        self._inflight = {index: self._inflight.get(index) or InFlight(text, 0.0, first=False, text_at=0.0)}
        self._terminators.clear()
        self._terminators.append(UtteranceEnd(None, ends=True))
        self._end_utterance(index)

    # -- progress -----------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Cut, encode, send and settle whatever is due at `now`."""
        if self.phase is Phase.CLOSED:
            return
        self._watch_listener(now)
        self._cut(now)
        self._encode(now)
        self._send(now)
        if not self._ready_frames and (self.frugal or not self.playout.paced):
            # What was left to send kept the next clause from being asked for, and nothing else wakes the context.
            self._cut(now)
        self._underruns.blocked = self._is_blocked
        self._settle(now)

    def next_due(self, now: float) -> float | None:
        """When `advance` has something to do, if nothing else happens first; None when nothing will."""
        if self.phase is Phase.CLOSED:
            return None
        moments: list[float] = []
        # Asked of every context at every message: most have nothing to send.
        send_at = self.playout.next_send_at(self._ready_frames) if self._ready_frames and self.writable else None
        if send_at is not None:
            moments.append(max(send_at, now))
        if self._owes_endings and self.writable:
            moments.append(max(now, self._ending_at + ENDINGS_SECONDS))
        if self.intake.behind and self.phase is not Phase.FAILING:
            moments.append(max(now, self.intake.ready_at))
        if self._inflight or self._raw or self._encoding:
            owed = self._owed() if self._underruns.dry_since is None else None
            if owed is not None:
                moments.append(max(owed.counts_at, now))
        if self.intake.pending_chars and self.phase is not Phase.FAILING:
            moments += [at for at in self._cut_moments(now) if at > now]
        elif self._listening and not self._inflight and self.playout.held_at is None:
            moments.append(max(self.playout.dry_at(now), now + self.playout.frame_seconds))
        return min(moments) if moments else None

    def _cut_moments(self, now: float) -> tuple[float, ...]:
        """When the urgency of the pending text changes."""
        idle_at = self.last_text_at + self.policy.text_idle
        if len(self._inflight) >= self._clauses_ahead():
            return ()
        start_at = self._waiting_since + self.policy.start_wait
        if self.playout.held_at is not None:
            return (idle_at, start_at)
        dry_at = self.playout.dry_at(now)
        engine = self._engine_seconds()
        policy = self.policy
        return (
            idle_at,
            start_at,
            dry_at - self._ahead,
            dry_at - policy.soon - engine,
            dry_at - policy.dry - engine,
            dry_at + 0.001,
        )

    def _clauses_ahead(self) -> int:
        if self.frugal or self.playout.held_at is not None:
            return 1
        return 1 if self.playout.paced and not self.spec.bulk else 2

    def _engine_seconds(self) -> float:
        """What a clause of four seconds takes the engine, at its first guess."""
        return 4.0 * self.spec.engine.realtime_factor

    def _wants_clause(self, now: float) -> bool:
        if self.phase is Phase.FAILING or len(self._inflight) >= self._clauses_ahead():
            return False
        if self._terminators and not self.intake.has_speakable:
            # An end or a flush after which nothing is left to speak costs nothing: its answer follows the last frame.
            return True
        if self.frugal and self.playout.unsent_seconds() > 0:
            return False
        flowing = self.writable and not self.playout.starved and self.playout.held_at is None
        if self.playout.unsent_seconds() >= (self.policy.unsent_max if flowing else self.policy.ahead):
            return False
        return not self.playout.paced or self.playout.remaining(now) < self._ahead

    def _urgency(self, now: float) -> Urgency:
        if self._inflight:
            return Urgency.RELAXED
        remaining = self.playout.remaining(now)
        if remaining <= 0:
            if now - self._waiting_since >= self.policy.start_wait:
                return Urgency.DRY
            return Urgency.SOON if self._utterance_clauses else Urgency.RELAXED
        if not self.playout.paced:
            # Bulk and burst listeners get whole sentences for as long as audio is left.
            return Urgency.SOON if remaining < self.policy.soon + self._engine_seconds() else Urgency.RELAXED
        if remaining < self.policy.dry + self._engine_seconds():
            return Urgency.DRY
        if remaining < self.policy.soon + self._engine_seconds():
            return Urgency.SOON
        return Urgency.RELAXED

    def _cut(self, now: float) -> None:
        while (self.intake.pending_chars or self._terminators) and self._wants_clause(now):
            text = self.intake.take(self._urgency(now))
            if text is None:
                break
            self._waiting_since, waited_since = now, self._waiting_since
            if text.text:
                self._speak(text, waited_since, now)
            else:
                self._inflight[self._next_index] = InFlight(text, now, first=False, text_at=now)
                self._end_utterance(self._next_index)
                self._next_index += 1
            self._utterance_clauses = 0 if text.ends_utterance else self._utterance_clauses + 1
        if self.intake.behind and self.phase is not Phase.FAILING:
            self._read_on()
        for warning in self.intake.drain_warnings():
            self._warn(warning.code, warning.message)
        if self.phase is Phase.OPEN and self.intake.pending_chars and now - self.last_text_at >= self.policy.text_idle:
            self._flush_idle(now)

    def _read_on(self) -> None:
        """Go on reading also when no clause is wanted yet: whether there will be one must become known."""
        _ = self.intake.has_speakable

    def _flush_idle(self, now: float) -> None:
        """Nobody waits for ever: the last words of a text that neither goes on nor ends are spoken after a while."""
        if not self.intake.original(self.intake.taken_chars, self.intake.chars).isspace():
            self._warn("text_idle", "no text came for a long time; what was left is spoken now, as after a flush")
        self.flush(None, now)
        self._cut(now)

    def _speak(self, text: ClauseText, text_at: float, now: float) -> None:
        spec = self.spec
        first = not self._inflight and self.playout.remaining(now) <= 0
        clause = Clause(
            text=text.text,
            chars=text.chars,
            origins=text.origins,
            voice=spec.voice.name,
            language=spec.language,
            speed=spec.speed,
            seed=clause_seed(spec.seed, self._next_index),
        )
        if first:
            deadline = text_at
        else:
            ahead = sum(len(f.text.text) for f in self._inflight.values()) / spec.engine.chars_per_second
            deadline = self.playout.dry_at(now) + ahead
        self._inflight[self._next_index] = InFlight(text, self._wanted_at(now), first, text_at)
        self.emit(
            fx.Speak(
                serial=spec.serial,
                index=self._next_index,
                engine=spec.engine.name,
                clause=clause,
                deadline=deadline,
                bulk=spec.bulk,
                first=first,
                ends_utterance=text.ends_utterance,
            )
        )
        self._next_index += 1

    def _end_utterance(self, index: int) -> None:
        self.emit(fx.EndUtterance(self.spec.serial, index))

    def _reprioritise(self, deadline: float) -> None:
        if self._inflight:
            self.emit(fx.Reprioritise(self.spec.serial, deadline))

    def _take_piece(self, piece: EncodedChunk, now: float) -> None:
        job = self._inflight.get(piece.index)
        if job is None:
            return
        words: tuple[WordSpan, ...] = ()
        if job.text.text and piece.samples:
            if job.span is None:
                self._begin_clause(job, piece)
            words = self._time_words(job, piece)
        self._announce_timing(job, piece, words)
        if piece.block is not None:
            self._take_block(piece.block, now)
        self._samples += piece.samples
        if piece.finished:
            if job.span is not None:
                job.span.end_pts = piece.end_pts
            del self._inflight[piece.index]
            if job.text.ends_utterance or self.phase is Phase.FAILING:
                self._endings.append((self.playout.ready_pts, self._terminators.popleft()))

    def _take_block(self, block: FrameBlock, now: float) -> None:
        if block.first_pts != self.playout.ready_pts:
            assert self.phase is Phase.FAILING, "blocks join on"
            return
        if self.playout.ready_pts == self.playout.sent_pts:
            self._underruns.ready_since = now
        self.playout.ready_pts += block.count * self.playout.frame_samples
        if self.spec.format.codec == "opus":
            self._raw.append(FrameCursor(block))
        else:
            self._append_ready(block)

    def _append_ready(self, block: FrameBlock) -> None:
        self._ready.append(FrameCursor(block))
        self._ready_frames += block.count

    def _begin_clause(self, job: InFlight, piece: EncodedChunk) -> None:
        spec, text = self.spec, job.text
        job.span = ClauseSpan(text.chars, piece.clause_pts)
        job.clock = ClauseClock(piece.clause_pts, spec.engine.sample_rate, spec.format.sample_rate)
        self.heard_log.began(job.span)
        message = m.ClauseStarted(context=spec.name, chars=text.chars, pts=piece.clause_pts)
        self._announce_later(PendingMessage(piece.clause_pts, message, job.text_at if job.first else None))

    def _time_words(self, job: InFlight, piece: EncodedChunk) -> tuple[WordSpan, ...]:
        """Note the words that came with a piece."""
        assert job.span is not None
        assert job.clock is not None
        if piece.alignment is None:
            return ()
        words = word_spans(piece.alignment, job.text, job.clock)
        job.span.words += words
        return words

    def _announce_timing(self, job: InFlight, piece: EncodedChunk, words: tuple[WordSpan, ...]) -> None:
        """Say what sounds when, no later than the piece's own audio."""
        alignment = piece.alignment if piece.samples else None
        message = timing(self.spec.name, self.spec.timings, words, alignment, job.clock, piece.visemes)
        if message is not None:
            # A piece without samples ends an utterance, whose last sample has not been sent yet.
            pts = piece.end_pts - (piece.samples or 1)
            self._announce_later(PendingMessage(pts, message, None))

    def _announce_later(self, announcement: PendingMessage) -> None:
        self._announcements.append(announcement)
        self._told_bytes += message_bytes(announcement.message)

    # -- underruns ----------------------------------------------------------------------------------------------

    def _watch_listener(self, now: float) -> None:
        """Notice that the listener has run dry through the server's doing, or that it is no longer the server's.

        Called before anything changes at `now`: after a frozen loop too, what was ready or asked for in time shows.
        """
        watch = self._underruns
        if watch.blocked:
            watch.free_at = now
        if watch.dry_since is None:
            owed = self._owed()
            if owed is not None and now >= owed.counts_at:
                watch.begin(owed.since)
        elif self._is_blocked or self.phase is Phase.FAILING or not self._has_to_come:
            self._end_underrun(now)

    @property
    def _is_blocked(self) -> bool:
        """Whether nothing may be sent, for reasons of the client's."""
        return not self.writable or self.playout.held_at is not None or self.playout.starved

    @property
    def _has_to_come(self) -> bool:
        """Whether audio is to come, made or not."""
        return self.playout.ready_pts > self.playout.sent_pts or any(f.text.text for f in self._inflight.values())

    def _owed(self) -> Owed | None:
        """What the server owes a listener that has run dry; None while its client blocks, and for bulk work."""
        if self.spec.bulk or self.phase is Phase.FAILING or self._is_blocked:
            return None
        return self._underruns.owed(
            self._ready_frames, (clause.wanted_at for clause in self._inflight.values() if clause.text.text)
        )

    def _wanted_at(self, now: float) -> float:
        """When a clause that is cut at `now` was due: earlier where the loop was late and its text had long been there.

        Before a paced listener runs dry whatever can be spoken is cut (`_urgency`).
        """
        dry_at = self.playout.heard_out_at
        if dry_at is None or not self.playout.paced or self._has_to_come or self._underruns.free_at > dry_at:
            return now
        return self._told_at if now > dry_at + SEND_SLACK_SECONDS else now

    def _end_underrun(self, now: float) -> None:
        seconds = self._underruns.end(now)
        if seconds is not None:
            self._warn("underrun", f"the listener ran dry for {seconds * 1000:.0f} ms")

    # -- sending ------------------------------------------------------------------------------------------------

    def _encode(self, now: float) -> None:
        """Keep two bursts of packets ahead of the sender; a later change of bitrate then takes effect soon."""
        playout = self.playout
        if self._encoding or not self._raw:
            return
        burst = max(1, self.policy.burst_frames)
        if playout.paced and self._ready_frames >= 2 * burst:
            return
        head = self._raw[0]
        limit = burst // 2 if playout.origin is None and not self._ready_frames else 2 * burst
        count = min(head.left, max(1, limit))
        self._encoding = True
        self.emit(fx.Encode(self.spec.serial, head.block, head.cursor, head.cursor + count, self._due_at(head, now)))
        head.cursor += count
        if not head.left:
            self._raw.popleft()

    def _due_at(self, head: FrameCursor, now: float) -> float:
        """When the next frame of a block has to leave."""
        playout = self.playout
        if playout.origin is None or not playout.paced:
            return now
        pts = head.block.first_pts + head.cursor * playout.frame_samples
        return playout.origin + pts / playout.sample_rate - playout.lead_seconds

    def _send(self, now: float) -> None:
        if not self.writable:
            return
        playout = self.playout
        pts = playout.sent_pts
        if now - self._ending_at >= ENDINGS_SECONDS:
            self._ending_at, self._endings_left = now, ENDINGS_MAX
        self._end_what_is_sent(pts)
        if self._owes_endings:
            return
        count = playout.frames_due(now, self._ready_frames)
        if len(self._endings) > self._endings_left:
            count = min(count, (self._endings[self._endings_left][0] - pts) // playout.frame_samples)
        if count:
            self._announce(pts + count * playout.frame_samples, now)
            playout.sent(count, now)
            self._end_underrun(now)
            self._ready_frames -= count
            self._pass_on(count, pts)
            self._encode(now)
        self._end_what_is_sent(playout.sent_pts)

    def _pass_on(self, count: int, pts: int) -> None:
        """Send `count` frames from `pts` on; what follows an utterance's last frame is said right after it."""
        size = self.playout.frame_samples
        while count:
            head = self._ready[0]
            part = min(count, head.left)
            if self._endings:
                part = min(part, max(1, (self._endings[0][0] - pts) // size))
            self.emit(fx.SendFrames(head.block, head.cursor, head.cursor + part))
            head.cursor += part
            count -= part
            pts += part * size
            if not head.left:
                self._ready.popleft()
            self._end_what_is_sent(pts)

    @property
    def _owes_endings(self) -> bool:
        """Whether flushes are to be answered before anything else is sent."""
        return bool(self._endings) and self._endings[0][0] <= self.playout.sent_pts

    def _end_what_is_sent(self, pts: int) -> None:
        while self._endings_left and self._endings and self._endings[0][0] <= pts:
            self._endings_left -= 1
            end_pts, terminator = self._endings.popleft()
            if terminator.ends:
                self._complete = True
            else:
                seq = end_pts // self.playout.frame_samples - 1
                self.emit(
                    fx.Send(m.Flushed(context=self.spec.name, id=terminator.flush_id, seq=seq if seq >= 0 else None))
                )

    def _announce(self, end_pts: int, now: float) -> None:
        while self._announcements and self._announcements[0].pts < end_pts:
            announcement = self._announcements.popleft()
            self._told_bytes -= message_bytes(announcement.message)
            if announcement.ttfa_from is not None:
                ttfa = now - announcement.ttfa_from
                if self.times.ttfa is None:
                    self.times.ttfa = ttfa
                self.emit(fx.FirstAudio(self.spec.engine.name, ttfa))
            self.emit(fx.Send(announcement.message))

    def _settle(self, now: float) -> None:
        if self._complete:
            match self.phase:
                case Phase.FAILING:
                    self._close(m.DoneReason.ERROR)
                case Phase.OPEN | Phase.ENDING:
                    silent = self._has_text and not self._samples
                    self._close(m.DoneReason.NO_SPEAKABLE_TEXT if silent else m.DoneReason.COMPLETED)
                case Phase.CLOSED:
                    pass
                case _:
                    assert_never(self.phase)
            return
        # Bulk takes what listeners leave, and is not counted among them.
        listening = not self.spec.bulk and (not self.idle or self.playout.remaining(now) > 0)
        if listening != self._listening:
            self._listening = listening
            serial = self.spec.serial
            self.emit(fx.StreamStarted(serial, self.spec.engine.name) if listening else fx.StreamEnded(serial))

    def _close(self, reason: m.DoneReason) -> None:
        spec, times = self.spec, self.times
        if reason in (m.DoneReason.CANCELLED, m.DoneReason.ERROR):
            self.emit(fx.Abandon(spec.serial))
        self.emit(
            fx.Send(
                m.Done(
                    context=spec.name,
                    reason=reason,
                    frames=self.playout.sent_pts // self.playout.frame_samples,
                    samples=min(self._samples, self.playout.sent_pts),
                    chars=self.intake.chars,
                    timings=m.PipelineTimes(
                        queue_ms=_ms(times.queue), ttfa_ms=_ms(times.ttfa), synth_ms=_ms(times.synth)
                    ),
                )
            )
        )
        self.discard(interrupted=reason is m.DoneReason.CANCELLED)

    def discard(self, *, interrupted: bool = False) -> None:
        """Let go of everything, silently: the context is over or its session is."""
        if self._underruns.dry_since is not None:
            self.emit(fx.UnderrunEnded(self._underruns.dry_since))
            self._underruns.dry_since = None
        if self._listening:
            self.emit(fx.StreamEnded(self.spec.serial, interrupted))
            self._listening = False
        self.emit(fx.ClosePipeline(self.spec.serial))
        self.phase = Phase.CLOSED
        self._ready.clear()
        self._raw.clear()
        self._early.clear()
        self._inflight.clear()
        self._announcements.clear()

    def _warn(self, code: str, message: str) -> None:
        self.emit(fx.Send(m.WarningMessage(code=code, message=message, context=self.spec.name)))


def fed_bytes(text: str) -> int:
    """What a text of the client's takes for as long as its context is open."""
    return text_bytes(text) + MESSAGE_BYTES


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def clause_seed(seed: int, index: int) -> int:
    """The seed of clause `index`: one step of SplitMix64 (Steele, Lea, Flood 2014), so that neighbours differ."""
    mask = (1 << 64) - 1
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)
