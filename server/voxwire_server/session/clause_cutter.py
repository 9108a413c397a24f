"""Owns one context's text: cuts it into clauses when the listener needs them, and has them synthesised. Pure.

A clause is cut when the listener will need it, not before, so that it can grow while the model still writes. Whether it
is cut at a sentence, at a phrase mark or at a word depends on how soon the listener runs dry (`_urgency`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxwire_protocol.messages import WarningMessage
from voxwire_server.session import effects as fx
from voxwire_server.session.playout import SEND_SLACK_SECONDS
from voxwire_server.session.ports import ResolvedVoice
from voxwire_server.session.quotas import text_bytes
from voxwire_server.session.styles import spoken_by, styled_speed
from voxwire_server.speech import Clause
from voxwire_server.text.intake import Boundary, ClauseText, Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voxwire_server.session.heard import ClauseClock, ClauseSpan
    from voxwire_server.session.playout import Playout, UnderrunWatch
    from voxwire_server.session.settings import ContextSpec, PlayoutPolicy
    from voxwire_server.session.stretches import ClausePart, ClauseSplitter
    from voxwire_server.text.controls import Style
    from voxwire_server.text.intake import TextIntake

MESSAGE_BYTES = 64
"""What CPython takes for a client's text beside its characters (56 on average, and a place in a list)."""

FLUSH_BYTES = 256
"""What a flush that is still to be answered takes: its id, its `UtteranceEnd`, and where it stands in the text."""

BEFORE_CHARS = 80
"""How much of what was said before a clause is told to its engine."""

WISHES_MAX = 16
"""So many voices and languages that can't be had are warned of in a context."""

CLAUSE_SECONDS = 4.0
"""The length of clause by which an engine's time for the next clause is guessed."""


@dataclass(slots=True)
class ClauseInFlight:
    """A clause between its cut and its last sample; of one in several languages, the part in one of them.

    `speaker` is who speaks it; None: it has no text. `wanted_at`: when a server that is on time would have cut it.
    `first`: it begins to speak after silence. `text_at`: since when its text had been waiting. `span` and `clock` are
    there once it has audio. `marks_told`: of so many of its marks the client was told.
    """

    text: ClauseText
    wanted_at: float
    first: bool
    text_at: float
    speaker: ResolvedVoice | None = None
    span: ClauseSpan | None = None
    clock: ClauseClock | None = None
    marks_told: int = 0


@dataclass(slots=True)
class UtteranceEnd:
    """A flush (with the client's id) or the end of a context, waiting for the last frame before it."""

    flush_id: str | None
    ends: bool


@dataclass(slots=True, eq=False)
class ClauseCutter:
    """The text of one context and the clauses made of it. Times are in seconds on the clock of `now`.

    `in_flight` are the clauses that are cut and not fully received, by index; `utterance_ends` belong to the utterances
    of which a clause is still to be finished, in their order. `splitter` divides clauses by language.
    """

    spec: ContextSpec
    policy: PlayoutPolicy
    intake: TextIntake
    splitter: ClauseSplitter
    playout: Playout
    underruns: UnderrunWatch
    emit: Callable[[fx.Effect], None]
    last_text_at: float
    in_flight: dict[int, ClauseInFlight] = field(default_factory=dict)
    utterance_ends: deque[UtteranceEnd] = field(default_factory=deque)
    has_text: bool = False
    """Whether anything but spaces came."""
    text_bytes: int = 0
    """What the client's texts take in memory."""
    frugal: bool = False
    """Make no audio while any is left to send: the session holds too much."""
    stopped: bool = False
    """Cut nothing more: the context has failed."""
    _parts: deque[ClausePart] = field(default_factory=deque)
    """What is left to synthesise of a clause that was cut."""
    _ended: bool = False
    _asked_at: float = field(init=False)
    """When the client last gave text, or asked for all of it to be spoken."""
    _waiting_since: float = field(init=False)
    _ahead: float = field(init=False)
    _next_index: int = 0
    _utterance_clauses: int = 0
    _said: str = ""
    """The end of what the utterance has said."""
    _unspoken_wishes: set[str] = field(default_factory=set)
    """The voices and languages that were asked for and are not to be had: each is warned of once."""

    def __post_init__(self) -> None:
        self._asked_at = self._waiting_since = self.last_text_at
        self._ahead = self.policy.ahead_of(self.spec.engine)

    # -- what the client says ---------------------------------------------------------------------------------

    def feed(self, text: str, now: float) -> None:
        """Append text."""
        if not self.intake.pending_chars:
            self._waiting_since = now
        self.has_text = self.has_text or not text.isspace()
        self.last_text_at = self._asked_at = now
        self.text_bytes += fed_bytes(text)
        self.intake.feed(text)

    def flush(self, flush_id: str | None, now: float) -> None:
        """Speak all that has been fed."""
        self.last_text_at = self._asked_at = now
        self.intake.flush()
        self.utterance_ends.append(UtteranceEnd(flush_id, ends=False))

    def end(self, now: float) -> None:
        """Speak all that has been fed; no more will come."""
        self._ended = True
        self._asked_at = now
        self.intake.flush()
        self.utterance_ends.append(UtteranceEnd(None, ends=True))

    def stop(self) -> None:
        """Cut nothing more: the context has failed. One clause stays in flight; its end is the context's."""
        self.stopped = True
        self._parts.clear()
        index = min(self.in_flight, default=self._next_index)
        text = ClauseText("", (), (self.intake.taken_chars,) * 2, ends_utterance=True, boundary=Boundary.UTTERANCE)
        clause = self.in_flight.get(index) or ClauseInFlight(text, 0.0, first=False, text_at=0.0)
        self.in_flight = {index: clause}
        self.utterance_ends.clear()
        self.utterance_ends.append(UtteranceEnd(None, ends=True))
        self._end_utterance(index)

    def reprioritise(self, deadline: float) -> None:
        """Move the deadline of the clauses in flight."""
        if self.in_flight:
            self.emit(fx.Reprioritise(self.spec.serial, deadline))

    # -- questions --------------------------------------------------------------------------------------------

    def wanted_times(self) -> list[float]:
        """When each clause in flight that has audio to come was due to be cut."""
        return [clause.wanted_at for clause in self.in_flight.values() if clause.text.text]

    @property
    def has_pending_text(self) -> bool:
        """Whether there is text that may yet be cut."""
        return bool(self._parts or self.intake.pending_chars) and not self.stopped

    @property
    def has_speakable(self) -> bool:
        """Whether there is text that can be spoken now; true also while that is not known."""
        return bool(self._parts) or self.intake.has_speakable

    def next_due(self, now: float) -> float:
        """When `cut` may have something to do, if nothing else happens first; infinity: not before."""
        due = math.inf
        if self.stopped:
            return due
        if self.intake.behind:
            due = max(now, self.intake.ready_at)
        if self._parts or self.intake.pending_chars:
            due = min((at for at in self._cut_moments(now) if now < at < due), default=due)
        return due

    def _cut_moments(self, now: float) -> tuple[float, ...]:
        """When the urgency of the pending text changes."""
        if len(self.in_flight) >= self._clauses_ahead():
            return ()
        policy = self.policy
        idle_at = self.last_text_at + policy.text_idle
        start_at = self._waiting_since + policy.start_wait
        if self.playout.held_at is not None:
            return (idle_at, start_at)
        dry_at = self.playout.dry_at(now)
        engine = self._engine_seconds()
        return (
            idle_at,
            start_at,
            dry_at - self._ahead,
            dry_at - policy.soon - engine,
            dry_at - policy.dry - engine,
            dry_at + 0.001,
        )

    # -- cutting ----------------------------------------------------------------------------------------------

    def cut(self, now: float) -> None:
        """Cut the clauses that are wanted at `now`, and have them synthesised."""
        while (self._parts or self.intake.pending_chars or self.utterance_ends) and self._wants_clause(now):
            if not self._parts and not self._take(now):
                break
            if self._parts:
                self._begin(self._parts.popleft(), now)
        if self.intake.behind and not self.stopped:
            # Reading goes on also when no clause is wanted yet: whether there will be one must become known.
            _ = self.intake.has_speakable
        for warning in self.intake.drain_warnings():
            self._warn(warning.code, warning.message)
        if self._is_idle(now):
            self._flush_idle(now)

    def _take(self, now: float) -> bool:
        """Cut the next clause and divide it by language; False where it is too early for one."""
        text = self.intake.take(self._urgency(now))
        if text is None:
            return False
        self._parts.extend(self.splitter.split(text, self._styled_speaker(text.style)))
        self._warn_of_left_out()
        return True

    def _styled_speaker(self, style: Style) -> ResolvedVoice:
        """Who speaks text in a style; what of its wishes can't be had is told."""
        voice, language, missing = spoken_by(self.spec, style)
        found = ResolvedVoice(self.spec.engine, voice, language)
        other = self.splitter.speaker_of(style.language, found) if missing and style.language else None
        if other is not None:
            return other
        if missing and missing not in self._unspoken_wishes and len(self._unspoken_wishes) < WISHES_MAX:
            self._unspoken_wishes.add(missing)
            self._warn("ssml_unsupported", missing)
        return found

    def unspoken(self, index: int, ranges: Sequence[tuple[int, int]]) -> None:
        """The engine could pronounce nothing of these ranges of a clause's text."""
        clause = self.in_flight.get(index)
        if clause is not None and clause.speaker is not None:
            self.splitter.unspoken(clause.text, clause.speaker, ranges)
            self._warn_of_left_out()

    def _warn_of_left_out(self) -> None:
        left_out, self.splitter.left_out = self.splitter.left_out, []
        for each in left_out:
            self._warn("unreadable_text", each.message, each.details)

    def _is_idle(self, now: float) -> bool:
        """Whether text is left and none has come for a long time."""
        over = self._ended or self.stopped
        return not over and self.intake.pending_chars > 0 and now - self.last_text_at >= self.policy.text_idle

    def _flush_idle(self, now: float) -> None:
        """Speak the last words of a text that neither goes on nor ends."""
        if not self.intake.original(self.intake.taken_chars, self.intake.chars).isspace():
            self._warn("text_idle", "no text came for a long time; what was left is spoken now, as after a flush")
        self.flush(None, now)
        self.cut(now)

    def _clauses_ahead(self) -> int:
        """How many clauses may be in flight."""
        if self.frugal or self.playout.held_at is not None:
            return 1
        return 1 if self.playout.paced and not self.spec.bulk else 2

    def _engine_seconds(self) -> float:
        """Seconds that the engine takes for a clause of CLAUSE_SECONDS, by its `realtime_factor`."""
        return CLAUSE_SECONDS * self.spec.engine.realtime_factor

    def _wants_clause(self, now: float) -> bool:
        playout = self.playout
        if self.stopped or len(self.in_flight) >= self._clauses_ahead():
            return False
        if self.utterance_ends and not self.has_speakable:
            # An end or a flush after which nothing is left to speak costs nothing: its answer follows the last frame.
            return True
        if self.frugal and playout.unsent_seconds() > 0:
            return False
        if playout.unsent_seconds() >= (self.policy.ahead if playout.blocked else self.policy.unsent_max):
            return False
        return not playout.paced or playout.remaining(now) < self._ahead

    def _urgency(self, now: float) -> Urgency:
        if self.in_flight:
            return Urgency.RELAXED
        remaining = self.playout.remaining(now)
        if remaining <= 0:
            if now - self._waiting_since >= self.policy.start_wait:
                return Urgency.DRY
            return Urgency.SOON if self._utterance_clauses else Urgency.RELAXED
        # In burst pacing clauses are whole sentences for as long as audio is left.
        if self.playout.paced and remaining < self.policy.dry + self._engine_seconds():
            return Urgency.DRY
        if remaining < self.policy.soon + self._engine_seconds():
            return Urgency.SOON
        return Urgency.RELAXED

    def _begin(self, part: ClausePart, now: float) -> None:
        """Put a clause that has just been cut in flight."""
        text = part.text
        waited_since, self._waiting_since = self._waiting_since, now
        index = self._next_index
        if text.text:
            self._synthesise(index, part, waited_since, now)
        else:
            self.in_flight[index] = ClauseInFlight(text, now, first=False, text_at=now)
            if text.ends_utterance:
                self._end_utterance(index)
            else:
                self.emit(fx.Silence(self.spec.serial, self._request(index, part, waited_since, now, first=False)))
        self._said = "" if text.ends_utterance else f"{self._said} {text.text}"[-BEFORE_CHARS:].lstrip()
        self._next_index += 1
        self._utterance_clauses = 0 if text.ends_utterance else self._utterance_clauses + 1

    def _synthesise(self, index: int, part: ClausePart, text_at: float, now: float) -> None:
        spec = self.spec
        first = not self.in_flight and self.playout.remaining(now) <= 0
        request = self._request(index, part, text_at, now, first=first)
        self.in_flight[index] = ClauseInFlight(part.text, self._wanted_at(now), first, text_at, part.speaker)
        self.emit(fx.Synthesise(spec.serial, request))

    def _request(self, index: int, part: ClausePart, text_at: float, now: float, *, first: bool) -> fx.ClauseSpec:
        return fx.ClauseSpec(
            engine=part.speaker.engine.name,
            clause=self._clause(index, part),
            index=index,
            deadline=text_at if first else self.playout.dry_at(now) + self._seconds_in_flight(),
            bulk=self.spec.bulk,
            first=first,
            ends_utterance=part.text.ends_utterance,
        )

    def _clause(self, index: int, part: ClausePart) -> Clause:
        spec, text, style = self.spec, part.text, part.text.style
        return Clause(
            text=text.text,
            chars=text.chars,
            origins=text.origins,
            voice=part.speaker.voice.name,
            language=part.speaker.language,
            speed=styled_speed(spec, style),
            seed=clause_seed(spec.seed, index),
            before=self._said,
            readings=text.readings,
            gain=style.gain,
            pitch=style.pitch,
            pause_after=text.pause_after,
            lexicon=spec.lexicon,
        )

    def _seconds_in_flight(self) -> float:
        """The estimated duration of the audio of the clauses in flight, in seconds."""
        chars = sum(len(clause.text.text) for clause in self.in_flight.values())
        return chars / self.spec.engine.chars_per_second

    def _wanted_at(self, now: float) -> float:
        """When a clause that is cut at `now` was due: earlier where the loop was late and its text had long been there.

        Before a paced listener runs dry whatever can be spoken is cut (`_urgency`).
        """
        playout, dry_at = self.playout, self.playout.heard_out_at
        if dry_at is None or not playout.paced or playout.ready_pts > playout.sent_pts or self.wanted_times():
            return now
        if self.underruns.free_at > dry_at:
            return now
        return self._asked_at if now > dry_at + SEND_SLACK_SECONDS else now

    def _end_utterance(self, index: int) -> None:
        self.emit(fx.EndUtterance(self.spec.serial, index))

    def _warn(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        self.emit(fx.Send(WarningMessage(code=code, message=message, context=self.spec.name, details=details)))


def fed_bytes(text: str) -> int:
    """What a client's text takes in memory for as long as its context is open."""
    return text_bytes(text) + MESSAGE_BYTES


def clause_seed(seed: int, index: int) -> int:
    """The seed of clause `index`: one step of SplitMix64 (Steele, Lea, Flood 2014), so that neighbours differ."""
    mask = (1 << 64) - 1
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)
