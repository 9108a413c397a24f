"""Chooses where the next clause ends, among the marks found in the text that has been read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.text.clauses import (
    SIGNS,
    Boundary,
    count_words,
    first_speakable,
    hard_cut,
    speakable,
    without_weak_end,
    word_cut,
    words_end,
)

if TYPE_CHECKING:
    from voxwire_server.text.clauses import ClauseLimits, MarkFinder
    from voxwire_server.text.markup import Markup
    from voxwire_server.text.ssml import Ssml

DRY_WORDS_MIN = 2  # a lone word said early sounds worse than waiting for the next
WEAK_WORDS_MIN = 3  # "the end of the" is said as "the end" only if this many words are left
CUT_CHARS = 64  # text beyond the limit that a cut at a word looks at


@dataclass(frozen=True, slots=True)
class Cut:
    """Where to cut: an index over all output of the utterance. `releases`: the unfinished token is to be said too.

    `controls`: so many of the text's controls are used up; 0 where the clause does not end because of one.
    """

    end: int
    boundary: Boundary
    releases: bool = False
    controls: int = 0


class CutChooser:
    """Chooses cuts in one utterance's text, as `markup` has read it and `finder` has marked it so far."""

    def __init__(self, markup: Markup | Ssml, finder: MarkFinder, limits: ClauseLimits) -> None:
        self._markup = markup
        self._finder = finder
        self._limits = limits
        self._silent_until = 0  # nothing speakable between the limit and here

    def first(self, text: str, start: int, limit: int, *, final: bool) -> Cut | None:
        """The cut for an utterance's first clause: the first mark, so that speech starts early.

        `text` is what has been read and what is certain to follow it. The clause begins at `text[start]` and has at
        most `limit` characters. `final`: the whole utterance has been read. None: more text is needed.
        """
        base = self._markup.base
        if self._finder.marks:
            spoken_at, phrase_at = first_speakable(text, start), self._phrase_at(text, start)
        for mark in self._finder.marks:
            end = mark.end - base
            if end - start > limit:
                break
            if (0 <= spoken_at < end) if mark.boundary is Boundary.SENTENCE else end >= phrase_at:
                return Cut(mark.end, mark.boundary)
        return self._at_limit(text, start, limit, final=final)

    def later(self, text: str, start: int, limit: int, *, final: bool) -> Cut | None:
        """The cut for a later clause, as `first`: the last sentence end within the limit, else the last phrase mark."""
        base = self._markup.base
        if not final and self._finder.known <= base + start + limit:
            return None
        if final and len(text.rstrip()) - start <= limit:
            return Cut(base + len(text), Boundary.UTTERANCE)
        return self._last_mark(start, limit, limit // 3) or self._at_limit(text, start, limit, final=final)

    def _last_mark(self, start: int, limit: int, phrase_chars_min: int) -> Cut | None:
        """The last sentence end known within the limit, else the last phrase mark that is long enough."""
        text, base = self._markup.text, self._markup.base
        phrase: Cut | None = None
        if self._finder.marks:
            spoken_at = first_speakable(text, start)
            phrase_at = max(self._phrase_at(text, start), start + phrase_chars_min)
        for mark in reversed(self._finder.marks):
            end = mark.end - base
            if end - start > limit:
                continue
            if mark.boundary is Boundary.SENTENCE and 0 <= spoken_at < end:
                return Cut(mark.end, mark.boundary)
            if phrase is None and end >= phrase_at:
                phrase = Cut(mark.end, mark.boundary)
        return phrase

    def _at_limit(self, text: str, start: int, limit: int, *, final: bool) -> Cut | None:
        """No mark will do: the rest if it is short, else a word at the limit, once text beyond it is there."""
        base = self._markup.base
        if final and len(text.rstrip()) - start <= limit:
            return Cut(base + len(text), Boundary.UTTERANCE)
        decided = final or self._finder.known > base + start + limit
        if not decided or not (final or self._goes_on(text, start + limit + 1)):
            return None
        rest = text[start : start + limit + CUT_CHARS]
        end = word_cut(rest, 1, limit) or hard_cut(rest, limit)
        return Cut(base + start + end, Boundary.WORD)

    def _goes_on(self, text: str, at: int) -> bool:
        """Whether something speakable comes after `at`, so that the clause cut there is not the last."""
        base = self._markup.base
        if speakable(text, max(at, self._silent_until - base)):
            return True
        self._silent_until = base + len(text.rstrip(" "))
        return False

    def soon(self, start: int, limit: int) -> Cut | None:
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
                    return Cut(end, guess)
                if guess is Boundary.PHRASE and last is None and self._is_phrase(said):
                    return Cut(end, guess)
        elif markup.line_ended and last is None:
            said = markup.text[start:].rstrip()
            if len(said) <= limit and self._is_phrase(said):
                return Cut(markup.base + start + len(said), Boundary.PHRASE)
        return last or best

    def now(self, text: str, start: int, limit: int, held: str) -> Cut | None:
        """The end of a sentence that nothing follows yet, else the last complete word.

        `held` is the unfinished token behind the text, or "" where it must not be said.
        """
        markup = self._markup
        if (
            held
            and len(markup.text) - start + len(held) <= limit
            and (self._finder.ends_sentence(held) or (held in "。！？" and speakable(markup.text[start:])))
        ):
            # "example." is a word until it is known that no "org" follows it.
            boundary = Boundary.WORD if held[-1] == "." else Boundary.SENTENCE
            return Cut(markup.base + len(markup.text), boundary, releases=True)
        rest = text[start:]
        if held and held[0] in SIGNS:
            rest = rest.rstrip(" ")  # the word before a sign is read with it
        end = word_cut(rest, 1, min(limit, len(rest)), forced=False)
        if end:
            end = without_weak_end(rest, end, WEAK_WORDS_MIN)
        if count_words(rest[:end]) < DRY_WORDS_MIN:
            return None
        return Cut(markup.base + start + end, Boundary.WORD)

    def _is_phrase(self, said: str) -> bool:
        """Whether what a phrase mark ends is long enough to be said alone."""
        return len(said) >= self._limits.first_chars_min and count_words(said) >= DRY_WORDS_MIN

    def _phrase_at(self, text: str, start: int) -> float:
        """The least end of what `_is_phrase` from `start` on."""
        end = words_end(text, start, DRY_WORDS_MIN)
        return math.inf if end < 0 else max(end, start + self._limits.first_chars_min)
