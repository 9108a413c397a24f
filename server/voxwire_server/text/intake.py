"""Turns a context's text, in pieces of any size, into clauses to speak. Holds back what may still change.

Knows nothing of time: the caller says how badly text is needed (`Urgency`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+\S)|[。！？]+")


class Urgency(Enum):
    """How badly a clause is needed.

    RELAXED: wait for the best cut. SOON: cut at a sentence end or phrase mark that is there. DRY: also at a word.
    """

    RELAXED = "relaxed"
    SOON = "soon"
    DRY = "dry"


class Boundary(Enum):
    """What a clause ends at."""

    SENTENCE = "sentence"
    PHRASE = "phrase"
    WORD = "word"
    UTTERANCE = "utterance"


@dataclass(frozen=True, slots=True)
class ClauseLimits:
    """How long clauses may be, in characters of speakable text.

    The first clause of an utterance ends at the first sentence end, or at the first phrase mark from `first_chars_min`
    on, or at a word before `first_chars_max`. A later one may be `growth` times as long as what the utterance
    has said so far, but at least `clause_chars_min` and at most `clause_chars_max`.
    """

    first_chars_min: int = 10
    first_chars_max: int = 100
    growth: float = 1.5
    clause_chars_min: int = 80
    clause_chars_max: int = 220
    chars_per_second: float = 15.0


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
    """Something in the text could not be spoken as it stands; `chars` is its half-open range in the original text."""

    code: str
    message: str
    chars: tuple[int, int]


class TextIntake:
    """The text of one context: `feed` and `flush` in, `take` clauses out."""

    def __init__(self, language: str = "en", limits: ClauseLimits | None = None) -> None:
        self._language = language
        self._limits = limits or ClauseLimits()
        self._original = ""
        self._taken = 0
        self._flushes: list[int] = []
        self._warnings: list[IntakeWarning] = []

    @property
    def chars(self) -> int:
        """Characters accepted so far."""
        return len(self._original)

    @property
    def taken_chars(self) -> int:
        """Characters of original text that the clauses taken so far use up."""
        return self._taken

    @property
    def pending_chars(self) -> int:
        """Characters fed and not yet taken."""
        return self.chars - self._taken

    @property
    def has_speakable(self) -> bool:
        """Whether `take(Urgency.DRY)` would return a clause with text."""
        return bool(re.search(r"\w\s", self._original[self._taken :]))

    @property
    def words_ready(self) -> int:
        """Complete words pending."""
        return len(re.findall(r"\w+(?=\s)", self._original[self._taken :]))

    def feed(self, text: str) -> None:
        """Append `text`."""
        self._original += text

    def flush(self) -> None:
        """End an utterance here: everything fed so far is complete."""
        self._flushes.append(self.chars)

    def take(self, urgency: Urgency) -> ClauseText | None:
        """The next clause, or None when it is too early for one at this urgency."""
        end = self._flushes[0] if self._flushes else self.chars
        found = _SENTENCE_END.search(self._original, self._taken, end)
        if found is not None:
            return self._cut(found.end(), Boundary.SENTENCE)
        if self._flushes:
            self._flushes.pop(0)
            return self._cut(end, Boundary.UTTERANCE)
        if urgency is Urgency.DRY and self.words_ready > 1:
            return self._cut(self._original.rindex(" "), Boundary.WORD)
        return None

    def retract(self, from_char: int) -> int:
        """Drop the text not yet taken from `from_char` on; returns the new number of accepted characters."""
        at = min(max(from_char, self._taken), self.chars)
        self._original = self._original[:at]
        self._flushes = [min(f, at) for f in self._flushes]
        return at

    def drain_warnings(self) -> list[IntakeWarning]:
        """The warnings since the last call."""
        drained, self._warnings = self._warnings, []
        return drained

    def original(self, start: int, end: int) -> str:
        """The original text in [start, end)."""
        return self._original[start:end]

    def _cut(self, end: int, boundary: Boundary) -> ClauseText:
        start, self._taken = self._taken, end
        piece = self._original[start:end]
        text = piece.strip()
        first = start + len(piece) - len(piece.lstrip())
        return ClauseText(
            text, range(first, first + len(text)), (start, end), boundary is Boundary.UTTERANCE, boundary
        )
