"""Turns a context's text, in pieces of any size, into clauses to speak. Holds back what may still change.

Knows nothing of time: `take` is told how badly text is needed (`Urgency`). As long as the text needed for the best cut
is there, the clauses are a function of the text and of where it was flushed, whatever pieces it came in and whenever
`take` was called; a higher urgency changes only what would otherwise have to wait.

    feed, flush -> queue -> Markup or Ssml (speakable text) -> MarkFinder (places to cut) -> take

A pause and a change of style end a clause, as the end of the text would; so what follows one can't change that clause.

The queue is read in slices, and no further than the next clause needs, so that the whole takes time in proportion to
the text. What one clause needs may be much (a block of code is skipped before it): an `Allowance`, which the contexts
of a session share, bounds how much is read at once; `behind` says that reading goes on when it is renewed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import deque
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from voxwire_server.text.allowance import CHAR_WORK, PLAN_WORK, STEP_WORK, Allowance
from voxwire_server.text.clause_text import ClauseText, ControlSearch, IntakeWarning, with_controls
from voxwire_server.text.clauses import JUDGED_CHARS_MAX, Boundary, ClauseLimits, MarkFinder, speakable
from voxwire_server.text.controls import PLAIN, Pause
from voxwire_server.text.cuts import CUT_CHARS, Cut, CutChooser
from voxwire_server.text.markup import Markup
from voxwire_server.text.pauses import given_text
from voxwire_server.text.speakable import HARD_BREAK, SILENT_CHARS_MAX, SOFT_BREAK
from voxwire_server.text.ssml import Ssml

if TYPE_CHECKING:
    pass

__all__ = ["Allowance", "Boundary", "ClauseLimits", "ClauseText", "IntakeWarning", "TextIntake", "Urgency"]

SLICE_CHARS = 256  # what is read at once
_AHEAD_CHARS = CUT_CHARS + SILENT_CHARS_MAX + JUDGED_CHARS_MAX  # what is read at first beyond the limit of a clause
_PIECE_CHARS = 1024  # shorter pieces are joined
_STATES_MAX = 16
_CONTEXT_CHARS = JUDGED_CHARS_MAX + 16  # taken text kept, so that a mark is judged alike before and after a take
_STRAY = re.compile(rf"[ {HARD_BREAK}{SOFT_BREAK}.,;:!?…)»”’]*[ {HARD_BREAK}{SOFT_BREAK}]")
"""Signs that a pause or a change of style has cut off from the words before them."""
_BREAKS = f" {HARD_BREAK}{SOFT_BREAK}"
_SPACES = re.compile(f"[{_BREAKS}]*")


class Urgency(Enum):
    """How badly a clause is needed.

    RELAXED: wait for the best cut. SOON: cut at a sentence end or phrase mark that is there. DRY: also at a word.
    """

    RELAXED = 0
    SOON = 1
    DRY = 2


class TextIntake:
    """The text of one context: `feed` and `flush` in, `take` clauses out.

    `language` is a BCP 47 tag. Memory: the original text, what is not read yet, and some clauses' length of what is.
    """

    def __init__(
        self,
        language: str = "en",
        limits: ClauseLimits | None = None,
        allowance: Allowance | None = None,
        opening: Markup | Ssml | None = None,
    ) -> None:
        """`opening` reads the text: a fresh `Markup` or `Ssml`."""
        self._language = language
        self._limits = (limits or ClauseLimits()).for_language(language)
        self._allowance = allowance or Allowance()
        self._pieces: list[str] = []
        self._chars = 0
        self._taken = 0
        self._flushes: deque[int] = deque()  # where utterances end, those not yet taken
        self._queue: deque[str | None] = deque()  # text not yet read; None is a flush
        self._queued = 0  # characters in it
        self._offset = 0  # characters of its first piece that are read
        self._warnings: list[IntakeWarning] = []
        self._warned_until = 0
        self._begin_utterance(opening or Markup(language))

    def _begin_utterance(self, opening: Markup | Ssml) -> None:
        at = opening.read_to
        self._utterance_at = at
        self._opening = opening
        self._states: list[Markup | Ssml] = []  # as it was after each slice: for a retract
        self._style = PLAIN  # of what was taken last
        self._controlled_end = False  # the clause before ended because of a control
        self._kept_to = at  # what the last of them had read
        self._spoken = 0  # characters the utterance has said
        self._read_from(opening.copy())

    def _read_from(self, markup: Markup | Ssml) -> None:
        self._markup = markup
        self._finder = MarkFinder(self._language)
        self._cuts = CutChooser(markup, self._finder, self._limits)
        self._final = False  # the whole utterance has been read
        self._finishing = False  # its flush has been
        self._from = markup.base  # output before this index is taken
        self._begin_clause()
        self._rereads = False  # the input at hand was taken before a retract: its output is not given again
        self._changed()

    def _begin_clause(self) -> None:
        """Look for the control that ends the next clause from here on."""
        self._search = ControlSearch(self._from, self._style)

    def _changed(self) -> None:
        """Forget what is cached about the next clause."""
        self._waits: Urgency | None = None  # the highest urgency known to get nothing
        self._ready: bool | None = None  # has_speakable
        self._behind = False

    # -- what is there --------------------------------------------------------------------

    @property
    def chars(self) -> int:
        """Characters accepted so far."""
        return self._chars

    @property
    def taken_chars(self) -> int:
        """Characters of original text that the clauses taken so far use up."""
        return self._taken

    @property
    def pending_chars(self) -> int:
        """Characters fed and not yet taken."""
        return self._chars - self._taken

    @property
    def unspoken_chars(self) -> int:
        """Characters held in memory to be spoken: `pending_chars` less what was skipped."""
        markup = self._markup
        return self._queued + markup.held_chars + markup.base + len(markup.text) - self._from

    @property
    def behind(self) -> bool:
        """Whether reading stopped because the allowance was used up; more text may then give a clause."""
        return self._behind

    @property
    def ready_at(self) -> float:
        """When the allowance suffices to read on."""
        return self._allowance.ready_at()

    @property
    def has_speakable(self) -> bool:
        """Whether `take(Urgency.DRY)` would return a clause with text or a pause; true also while `behind`."""
        if self._ready is None or self._behind:
            cut = self._plan(Urgency.DRY)
            if self._behind:
                return True
            self._ready = cut is not None and (
                cut.releases
                or speakable(self._markup.text[self._start() : self._local(cut.end)])
                or (cut.controls > 0 and isinstance(self._markup.controls[cut.controls - 1].does, Pause))
            )
        return self._ready

    def original(self, start: int, end: int) -> str:
        """The original text in [start, end)."""
        return "".join(self._pieces)[start:end]

    def drain_warnings(self) -> list[IntakeWarning]:
        """The warnings since the last call."""
        drained, self._warnings = self._warnings, []
        return drained

    # -- text in --------------------------------------------------------------------------

    def feed(self, text: str) -> None:
        """Append `text`."""
        if not text:
            return
        self._chars += len(text)
        self._queued += len(text)
        if self._pieces and len(self._pieces[-1]) < _PIECE_CHARS:
            self._pieces[-1] += text
        else:
            self._pieces.append(text)
        last = self._queue[-1] if self._queue else None
        if last is not None and len(last) < _PIECE_CHARS:
            self._queue[-1] = last + text
        else:
            self._queue.append(text)
        self._changed()

    def flush(self) -> None:
        """End an utterance here: everything fed so far is complete."""
        self._flushes.append(self._chars)
        self._queue.append(None)
        self._changed()

    def retract(self, from_char: int) -> int:
        """Drop the text not yet taken from `from_char` on; returns the new number of accepted characters.

        Flushes stay: one that stood behind dropped text now stands at its beginning. What is fed next continues there.
        """
        kept = min(max(from_char, self._taken), self._chars)
        dropped, self._chars = self._chars - kept, kept
        self._shorten(dropped)
        flushes = 0
        while self._flushes and self._flushes[-1] > kept:
            self._flushes.pop()
            flushes += 1
        self._flushes.extend([kept] * flushes)
        if self._markup.read_to <= kept:
            self._unqueue(dropped)
        else:
            self._rewind(kept)
        self._warned_until = min(self._warned_until, kept)
        self._changed()
        return kept

    def _shorten(self, count: int) -> None:
        """Forget the last `count` characters of the original text."""
        while count:
            last = self._pieces.pop()
            if len(last) > count:
                self._pieces.append(last[:-count])
            count -= min(count, len(last))

    def _unqueue(self, count: int) -> None:
        """Drop the last `count` characters of what is not read yet; flushes stay."""
        self._queued -= count
        if self._offset:
            first = self._queue.popleft()
            assert first is not None
            self._queue.appendleft(first[self._offset :])
            self._offset = 0
        flushes = 0
        while count:
            last = self._queue.pop()
            if last is None:
                flushes += 1
                continue
            if len(last) > count:
                self._queue.append(last[:-count])
            count -= min(count, len(last))
        self._queue.extend([None] * flushes)

    def _rewind(self, kept: int) -> None:
        """Go back to what was read when it was no more than `kept`, and read on to there."""
        while self._states and self._states[-1].read_to > kept:
            self._states.pop()
        self._kept_to = self._states[-1].read_to if self._states else self._utterance_at
        markup = (self._states[-1] if self._states else self._opening).copy()
        again = self.original(markup.read_to, kept)
        self._read_from(markup)
        self._queue = deque([again] if again else [])
        self._queued, self._offset = len(again), 0
        self._queue.extend([None] * len(self._flushes))
        if self._taken > self._utterance_at:
            self._pass_taken()

    # -- clauses out ----------------------------------------------------------------------

    def take(self, urgency: Urgency) -> ClauseText | None:
        """The next clause, or None when it is too early for one at this urgency.

        Every flush is answered by one clause with `ends_utterance`, whose text is empty if nothing is left to speak.
        None also while `behind`.
        """
        cut = self._plan(urgency)
        if cut is None:
            return None
        markup = self._markup
        if cut.releases:
            markup.release()
        start, end = self._start(), len(markup.text) if cut.releases else self._local(cut.end)
        if cut.boundary is Boundary.WORD and not cut.controls:
            end = self._between_origins(start, end)
        start = min(start, end)
        if self._controlled_end and (stray := _STRAY.match(markup.text, start, end)):
            start = stray.end()
        text, origins, kept = given_text(markup.text[start:end], markup.origins[start:end])
        clause = ClauseText(
            text, origins, (self._taken, self._chars_end(cut, end)), cut.boundary is Boundary.UTTERANCE, cut.boundary
        )
        if markup.controls or markup.readings or self._style != PLAIN:
            span = markup.base + start, markup.base + end
            clause, self._style = with_controls(clause, markup, self._search, span, kept, cut.controls)
        self._taken = clause.chars[1]
        self._controlled_end = cut.controls > 0
        self._changed()
        if clause.ends_utterance:
            self._flushes.popleft()
            self._begin_utterance(markup.next_utterance(self._taken))
        else:
            self._spoken += len(text)
            self._from = markup.base + end
            self._begin_clause()
            self._finder.drop(self._from)
            surplus = end - _CONTEXT_CHARS
            if surplus > 0:
                markup.drop(surplus)
            while len(self._states) > 1 and self._states[1].read_to <= self._taken:
                del self._states[0]
        return clause

    def _between_origins(self, start: int, end: int) -> int:
        """`end` moved back to where a character of the original ends: the dot of an address stands for several."""
        text, origins = self._markup.text, self._markup.origins
        at = end
        while start < at < len(text) and origins[at] == origins[at - 1] and text[at] not in _BREAKS:
            at -= 1
        return at if at > start else end

    def _chars_end(self, cut: Cut, end: int) -> int:
        """Where the original of a clause ends whose output ends before `text[end]`."""
        markup, last = self._markup, end - 1
        if cut.boundary is Boundary.UTTERANCE:
            return self._flushes[0]
        said_to = markup.tails.get(markup.base + last, markup.origins[last] + 1) if last >= 0 else 0
        return max(said_to, self._taken, markup.controls[cut.controls - 1].end) if cut.controls else said_to

    # -- choosing -------------------------------------------------------------------------

    def _plan(self, urgency: Urgency) -> Cut | None:
        """Where the next clause ends, or None."""
        if self._waits is not None and urgency.value <= self._waits.value:
            return None
        if (
            urgency is Urgency.RELAXED
            and self._spoken
            and not self._flushes
            and self.pending_chars <= self._limits.clause_chars(self._spoken)
        ):
            return None  # too little to decide: more is read at once later
        if self._allowance.left <= 0:
            self._behind = True
            return None
        self._behind = False
        cut = None if self._waits is not None else self._best_cut()  # it was asked for at a lower urgency already
        if cut is None and not self._behind:
            cut = self._hasty_cut(urgency)
            if cut is None:
                self._waits = urgency
        return cut

    def _best_cut(self) -> Cut | None:
        """Where the next clause ends best, reading as far as that takes; None when the text does not suffice yet."""
        limit = self._limit()
        while (
            len(self._markup.text) - self._local(self._from) < limit + _AHEAD_CHARS
            and self._search.next(self._markup) < 0
            and self._read_slice()
        ):
            pass
        while True:
            cut = self._cut_within(limit)
            if cut is not None:
                return cut
            if not self._read_slice():
                self._behind = not self._final and (self._markup.busy or bool(self._queue))
                return None

    def _cut_within(self, limit: int) -> Cut | None:
        ahead, steps, final, start = self._ahead(), self._finder.steps, self._final, self._start()
        controls = self._markup.controls
        ends_at = self._search.next(self._markup)
        if ends_at >= 0:
            ahead, final = ahead[: self._local(controls[ends_at].at)], True
            start = min(start, len(ahead))
        self._finder.scan(ahead, self._markup.base, final)
        self._allowance.spend(PLAN_WORK + STEP_WORK * (self._finder.steps - steps))
        choose = self._cuts.later if self._spoken else self._cuts.first
        cut = choose(ahead, start, limit, final=final)
        if cut is None:
            return None
        if ends_at >= 0 and cut.boundary is Boundary.UTTERANCE:
            boundary = Boundary.SENTENCE if isinstance(controls[ends_at].does, Pause) else Boundary.PHRASE
            return Cut(cut.end, boundary, controls=ends_at + 1)
        return self._around_readings(cut)

    def _around_readings(self, cut: Cut) -> Cut:
        """A cut that is not inside a reading: before it, or where the clause begins with it, behind it."""
        for reading in self._markup.readings:
            if reading.start < cut.end < reading.end:
                before = speakable(self._markup.text[self._start() : self._local(reading.start)])
                return replace(cut, end=reading.start if before else reading.end)
        return cut

    def _hasty_cut(self, urgency: Urgency) -> Cut | None:
        """The best cut of the text that is there, for when text is late; None if it can still wait."""
        match urgency:
            case Urgency.RELAXED:
                return None
            case Urgency.SOON:
                cut = self._cuts.soon(self._start(), self._limit())
            case Urgency.DRY:
                start, limit = self._start(), self._limit()
                held = "" if self._rereads else self._markup.held
                cut = self._cuts.soon(start, limit) or self._cuts.now(self._ahead(), start, limit, held)
            case _:
                assert_never(urgency)
        return None if cut is None else self._around_readings(cut)

    def _limit(self) -> int:
        """The longest next clause."""
        return self._limits.clause_chars(self._spoken) if self._spoken else self._limits.first_chars_max

    def _ahead(self) -> str:
        """What has been read, and what is certain to follow it."""
        return self._markup.text if self._final else self._markup.text + self._markup.peek

    # -- reading --------------------------------------------------------------------------

    def _read_slice(self) -> bool:
        """Read on in the current utterance; False when there is no more of it, or the allowance is used up."""
        markup, allowance = self._markup, self._allowance
        if self._final or allowance.left <= 0 or not (self._queue or markup.busy):
            return False
        steps = markup.steps
        if markup.busy:
            markup.go_on()
        elif self._queue[0] is None:
            self._queue.popleft()
            markup.finish()
            self._finishing = True
        else:
            self._keep_state()
            piece = self._next_slice()
            allowance.spend(CHAR_WORK * len(piece))
            markup.feed(piece)
        self._final = self._finishing and not markup.busy
        allowance.spend(STEP_WORK * (1 + markup.steps - steps))
        if markup.skipped:
            self._warn()
        if self._rereads:
            self._pass_taken()
        return True

    def _next_slice(self) -> str:
        piece = self._queue[0]
        assert piece is not None
        end = self._offset + SLICE_CHARS
        slice_ = piece[self._offset : end]
        self._offset = end
        if end >= len(piece):
            self._queue.popleft()
            self._offset = 0
        self._queued -= len(slice_)
        return slice_

    def _keep_state(self) -> None:
        """Keep what has been read so far, once every slice, so that a retract need not read the utterance again."""
        states, read_to = self._states, self._markup.read_to
        if read_to - self._kept_to < SLICE_CHARS:
            return
        self._kept_to = read_to
        states.append(self._markup.copy())
        if len(states) > _STATES_MAX:
            del states[1:-1:2]

    def _pass_taken(self) -> None:
        """Pass over output that was taken before the text behind it was retracted."""
        markup = self._markup
        at = bisect_left(markup.origins, self._taken)
        self._from = markup.base + at
        markup.controls = [each for each in markup.controls if each.end > self._taken]
        markup.readings = [each for each in markup.readings if each.end > self._from]
        self._begin_clause()
        self._finder.drop(self._from)
        self._rereads = at == len(markup.origins)

    def _warn(self) -> None:
        until = self._warned_until
        for skipped in self._markup.skipped:
            if skipped.chars[1] > until:
                self._warned_until = max(self._warned_until, skipped.chars[1])
                message = skipped.what if skipped.code else f"{skipped.what} in the text was skipped"
                self._warnings.append(IntakeWarning(skipped.code or "text_without_speech", message, skipped.chars))
        self._markup.skipped.clear()

    def _start(self) -> int:
        """The index in the markup's text where the next clause begins."""
        spaces = _SPACES.match(self._markup.text, self._from - self._markup.base)
        return spaces.end() if spaces else 0

    def _local(self, end: int) -> int:
        return end - self._markup.base
