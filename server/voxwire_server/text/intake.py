"""Turns a context's text, in pieces of any size, into clauses to speak. Holds back what may still change.

Knows nothing of time: the caller says how badly text is needed (`Urgency`). As long as the text needed for the best cut
is there, the clauses are a function of the text and of where it was flushed, whatever pieces it came in and whenever
`take` was called; a higher urgency changes only what would otherwise have to wait.

    feed, flush -> queue -> Markup (speakable text) -> MarkFinder (places to cut) -> take
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from voxwire_server.text.clauses import (
    JUDGED_CHARS_MAX,
    Boundary,
    ClauseLimits,
    MarkFinder,
    complete_words,
    count_words,
    hard_cut,
    speakable,
    without_weak_end,
    word_cut,
)
from voxwire_server.text.markup import GLUE, HARD_BREAK, SOFT_BREAK, Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Boundary", "ClauseLimits", "ClauseText", "IntakeWarning", "TextIntake", "Urgency"]

DRY_WORDS_MIN = 2  # a lone word said early sounds worse than waiting for the next
WEAK_WORDS_MIN = 3  # "the end of the" is said as "the end" only if this many words are left
_CONTEXT_CHARS = JUDGED_CHARS_MAX + 16  # taken text kept, so that a mark is judged alike before and after a take
_SPACES = re.compile(rf"[ {HARD_BREAK}{SOFT_BREAK}]*")
_TO_SPACES = str.maketrans({HARD_BREAK: " ", SOFT_BREAK: " ", GLUE: " "})


class Urgency(Enum):
    """How badly a clause is needed.

    RELAXED: wait for the best cut. SOON: cut at a sentence end or phrase mark that is there. DRY: also at a word.
    """

    RELAXED = 0
    SOON = 1
    DRY = 2


@dataclass(frozen=True, slots=True)
class ClauseText:
    """A clause, ready to speak.

    `text` has no markup; it is empty when nothing in `chars` can be spoken. `origins[i]` is the index in the context's
    original text behind `text[i]`: same length, never decreasing. `chars` is the half-open range of original text that
    the clause uses up; the ranges of consecutive clauses touch.
    """

    text: str
    origins: Sequence[int]
    chars: tuple[int, int]
    ends_utterance: bool
    boundary: Boundary


@dataclass(frozen=True, slots=True)
class IntakeWarning:
    """Something in the text is not spoken; `chars` is its half-open range in the original text."""

    code: str
    message: str
    chars: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where to cut: an index over all output of the utterance. `releases`: the unfinished token is to be said too."""

    end: int
    boundary: Boundary
    releases: bool = False


class TextIntake:
    """The text of one context: `feed` and `flush` in, `take` clauses out.

    `language` is a BCP 47 tag. Memory: the original text, and the text not yet taken.
    """

    def __init__(self, language: str = "en", limits: ClauseLimits | None = None) -> None:
        self._language = language
        self._limits = (limits or ClauseLimits()).for_language(language)
        self._pieces: list[str] = []
        self._chars = 0
        self._taken = 0
        self._flushes: deque[int] = deque()  # where utterances end, those not yet taken
        self._queue: deque[str | None] = deque()  # text not yet read; None is a flush
        self._warnings: list[IntakeWarning] = []
        self._warned_until = 0
        self._begin_utterance(0)

    def _begin_utterance(self, at: int) -> None:
        self._utterance_at = at
        self._markup = Markup(self._language, at)
        self._finder = MarkFinder(self._language)
        self._final = False  # the whole utterance has been read
        self._from = 0  # output before this index is taken
        self._rereads = False  # the input at hand was taken before a retract: its output is not given again
        self._silent_until = 0  # nothing speakable between the limit and here
        self._spoken = 0  # characters the utterance has said
        self._changed()

    def _changed(self) -> None:
        """What was found out about the next clause no longer holds."""
        self._waits: Urgency | None = None  # the highest urgency known to get nothing
        self._ready: bool | None = None  # has_speakable

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
        waiting = sum(len(piece) for piece in self._queue if piece)
        return waiting + self._markup.held_chars + self._markup.base + len(self._markup.text) - self._from

    @property
    def has_speakable(self) -> bool:
        """Whether `take(Urgency.DRY)` would return a clause with text."""
        if self._ready is None:
            cut = self._plan(Urgency.DRY)
            self._ready = cut is not None and (
                cut.releases or speakable(self._markup.text[self._start() : self._local(cut.end)])
            )
        return self._ready

    @property
    def words_ready(self) -> int:
        """Complete words pending in the current utterance."""
        self._read()
        return complete_words(self._markup.text[self._start() :], self._final or self._markup.line_ended)

    def original(self, start: int, end: int) -> str:
        """The original text in [start, end)."""
        return self._whole()[start:end]

    def drain_warnings(self) -> list[IntakeWarning]:
        """The warnings since the last call."""
        drained, self._warnings = self._warnings, []
        return drained

    # -- text in --------------------------------------------------------------------------

    def feed(self, text: str) -> None:
        """Append `text`."""
        if not text:
            return
        self._pieces.append(text)
        self._chars += len(text)
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
        whole = self._whole()[:kept]
        self._pieces = [whole]
        self._chars = kept
        self._flushes = deque(min(at, kept) for at in self._flushes)
        self._queue.clear()
        at = self._utterance_at
        for flush in self._flushes:
            self._queue.extend((whole[at:flush], None))
            at = flush
        self._queue.append(whole[at:])
        spoken = self._spoken
        self._begin_utterance(self._utterance_at)
        self._spoken = spoken
        self._rereads = self._taken > self._utterance_at
        self._warned_until = min(self._warned_until, kept)
        return kept

    # -- clauses out ----------------------------------------------------------------------

    def take(self, urgency: Urgency) -> ClauseText | None:
        """The next clause, or None when it is too early for one at this urgency.

        Every flush is answered by one clause with `ends_utterance`, whose text is empty if nothing is left to speak.
        """
        cut = self._plan(urgency)
        if cut is None:
            return None
        markup = self._markup
        if cut.releases:
            markup.release()
        start, end = self._start(), len(markup.text) if cut.releases else self._local(cut.end)
        chars_end = self._chars_end(end) if cut.boundary is not Boundary.UTTERANCE else self._flushes[0]
        text, origins = _plain(markup.text[start:end], markup.origins[start:end])
        clause = ClauseText(text, origins, (self._taken, chars_end), cut.boundary is Boundary.UTTERANCE, cut.boundary)
        self._taken = chars_end
        self._changed()
        if clause.ends_utterance:
            self._flushes.popleft()
            self._begin_utterance(chars_end)
        else:
            self._spoken += len(text)
            self._from = markup.base + end
            self._finder.drop(self._from)
            surplus = end - _CONTEXT_CHARS
            if surplus > 0:
                markup.drop(surplus)
        return clause

    def _chars_end(self, end: int) -> int:
        """Where the original of the output before `text[end]` ends."""
        last = end - 1
        return self._markup.tails.get(self._markup.base + last, self._markup.origins[last] + 1)

    # -- choosing -------------------------------------------------------------------------

    def _plan(self, urgency: Urgency) -> _Cut | None:
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
        self._read()
        markup = self._markup
        ahead = markup.text if self._final else markup.text + markup.peek
        self._finder.scan(ahead, markup.base, self._final)
        start = self._start()
        first = self._spoken == 0
        limit = self._limits.first_chars_max if first else self._limits.clause_chars(self._spoken)
        cut = self._first_cut(ahead, start, limit) if first else self._later_cut(ahead, start, limit)
        if cut is None:
            match urgency:
                case Urgency.RELAXED:
                    pass
                case Urgency.SOON:
                    cut = self._cut_soon(start, limit)
                case Urgency.DRY:
                    cut = self._cut_soon(start, limit) or self._cut_now(ahead, start, limit)
                case _:
                    assert_never(urgency)
        if cut is None:
            self._waits = urgency
        return cut

    def _first_cut(self, text: str, start: int, limit: int) -> _Cut | None:
        """The first mark, so that speech starts early."""
        base = self._markup.base
        for mark in self._finder.marks:
            length = mark.end - base - start
            if length > limit:
                break
            said = text[start : mark.end - base]
            if mark.boundary is Boundary.SENTENCE:
                if speakable(said):
                    return _Cut(mark.end, mark.boundary)
            elif self._is_phrase(said):
                return _Cut(mark.end, mark.boundary)
        return self._at_limit(text, start, limit)

    def _later_cut(self, text: str, start: int, limit: int) -> _Cut | None:
        """The last sentence end within the limit, else the last phrase mark."""
        base = self._markup.base
        if not self._final and self._finder.known <= base + start + limit:
            return None
        if self._final and len(text.rstrip()) - start <= limit:
            return _Cut(base + len(text), Boundary.UTTERANCE)
        return self._last_mark(start, limit, limit // 3) or self._at_limit(text, start, limit)

    def _last_mark(self, start: int, limit: int, phrase_chars_min: int) -> _Cut | None:
        """The last sentence end known within the limit, else the last phrase mark that is long enough."""
        markup = self._markup
        phrase: _Cut | None = None
        for mark in reversed(self._finder.marks):
            length = mark.end - markup.base - start
            if length > limit:
                continue
            said = markup.text[start : mark.end - markup.base]
            if mark.boundary is Boundary.SENTENCE and speakable(said):
                return _Cut(mark.end, mark.boundary)
            if phrase is None and length >= phrase_chars_min and self._is_phrase(said):
                phrase = _Cut(mark.end, mark.boundary)
        return phrase

    def _at_limit(self, text: str, start: int, limit: int) -> _Cut | None:
        """No mark will do: the rest if it is short, else a word at the limit, once text beyond it is there."""
        base = self._markup.base
        if self._final and len(text.rstrip()) - start <= limit:
            return _Cut(base + len(text), Boundary.UTTERANCE)
        decided = self._final or self._finder.known > base + start + limit
        if not decided or not (self._final or self._goes_on(text, start + limit + 1)):
            return None
        rest = text[start : start + limit + 64]
        end = word_cut(rest, 1, limit) or hard_cut(rest, limit)
        return _Cut(base + start + end, Boundary.WORD)

    def _goes_on(self, text: str, at: int) -> bool:
        """Whether something speakable comes after `at`, so that the clause cut there is not the last."""
        base = self._markup.base
        if speakable(text, max(at, self._silent_until - base)):
            return True
        self._silent_until = base + len(text.rstrip(" "))
        return False

    def _cut_soon(self, start: int, limit: int) -> _Cut | None:
        """The best mark there is now, counting the one at the end of the text."""
        markup, finder = self._markup, self._finder
        best = self._last_mark(start, limit, self._limits.first_chars_min)
        if best is not None and best.boundary is Boundary.SENTENCE:
            last = best
        else:
            last = None
        if finder.open is not None and finder.open[0] >= markup.base + start:
            end = finder.open[1]
            guess = finder.guess(markup.text, markup.base)
            said = markup.text[start : end - markup.base]
            if end - markup.base - start <= limit:
                if guess is Boundary.SENTENCE and speakable(said):
                    return _Cut(end, guess)
                if guess is Boundary.PHRASE and last is None and self._is_phrase(said):
                    return _Cut(end, guess)
        elif markup.line_ended and last is None:
            said = markup.text[start:].rstrip()
            if len(said) <= limit and self._is_phrase(said):
                return _Cut(markup.base + start + len(said), Boundary.PHRASE)
        return last or best

    def _cut_now(self, text: str, start: int, limit: int) -> _Cut | None:
        """The end of a sentence that nothing follows yet, else the last complete word."""
        markup = self._markup
        held = "" if self._rereads else markup.held
        if (
            held
            and len(markup.text) - start + len(held) <= limit
            and (self._finder.ends_sentence(held) or (held in "。！？" and speakable(markup.text[start:])))
        ):
            return _Cut(markup.base + len(markup.text), Boundary.SENTENCE, releases=True)
        rest = text[start:]
        end = word_cut(rest, 1, min(limit, len(rest)))
        if end:
            end = without_weak_end(rest, end, WEAK_WORDS_MIN)
        if count_words(rest[:end]) < DRY_WORDS_MIN:
            return None
        return _Cut(markup.base + start + end, Boundary.WORD)

    def _is_phrase(self, said: str) -> bool:
        """Whether what a phrase mark ends is long enough to be said alone."""
        return len(said) >= self._limits.first_chars_min and count_words(said) >= DRY_WORDS_MIN

    # -- reading --------------------------------------------------------------------------

    def _read(self) -> None:
        """Read the queue up to the end of the current utterance."""
        queue = self._queue
        while queue and not self._final:
            piece = queue.popleft()
            if piece is None:
                self._markup.finish()
                self._final = True
                break
            if queue and queue[0] is not None:
                pieces = [piece]
                while queue and (more := queue[0]) is not None:
                    pieces.append(more)
                    queue.popleft()
                piece = "".join(pieces)
            self._markup.feed(piece)
        if self._markup.skipped:
            self._warn()
        if self._rereads:
            self._pass_taken()

    def _pass_taken(self) -> None:
        """Pass over output that was taken before the text behind it was retracted."""
        markup = self._markup
        at = next((i for i, origin in enumerate(markup.origins) if origin >= self._taken), len(markup.origins))
        self._from = markup.base + at
        self._finder.drop(self._from)
        self._rereads = at == len(markup.origins)

    def _warn(self) -> None:
        for skipped in self._markup.skipped:
            if skipped.chars[1] > self._warned_until:
                self._warned_until = skipped.chars[1]
                message = f"{skipped.what} in the text was skipped"
                self._warnings.append(IntakeWarning("text_without_speech", message, skipped.chars))
        self._markup.skipped.clear()

    def _start(self) -> int:
        """The index in the markup's text where the next clause begins."""
        spaces = _SPACES.match(self._markup.text, self._from - self._markup.base)
        return spaces.end() if spaces else 0

    def _local(self, end: int) -> int:
        return end - self._markup.base

    def _whole(self) -> str:
        if len(self._pieces) != 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


def _plain(text: str, origins: list[int]) -> tuple[str, tuple[int, ...]]:
    """Output as it is given to an engine: breaks and glue are spaces, no space at the ends or twice."""
    kept = text.translate(_TO_SPACES).rstrip(" ")
    if kept[:1] == " ":
        lead = len(kept) - len(kept.lstrip(" "))
        kept, origins = kept[lead:], origins[lead:]
    if not speakable(kept):
        return "", ()
    if "  " not in kept:
        return kept, tuple(origins[: len(kept)])
    indexes = [i for i, char in enumerate(kept) if char != " " or kept[i - 1] != " "]
    return "".join([kept[i] for i in indexes]), tuple([origins[i] for i in indexes])
