"""Remembers which original characters sound when, and answers what a listener has heard. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

SPANS_MAX = 64
"""Clauses remembered whole. Of older ones, which a client in burst pacing may have received and not played, only where
each word ends."""


@dataclass(frozen=True, slots=True)
class WordSpan:
    """One word: its original characters and its pts, both half-open ranges."""

    text: str
    chars: tuple[int, int]
    pts: int
    end_pts: int


@dataclass(slots=True)
class ClauseSpan:
    """One clause on the context's clock; `end_pts` is None until all of its audio is known."""

    chars: tuple[int, int]
    pts: int
    end_pts: int | None = None
    words: tuple[WordSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class HeardText:
    """`chars` original characters were heard whole; `word` is the one that was sounding, if any."""

    chars: int
    word: str | None


@dataclass(slots=True)
class HeardLog:
    """The clauses of one context in the order in which they sound."""

    _spans: deque[ClauseSpan] = field(default_factory=deque)
    _old_pts: array[int] = field(default_factory=lambda: array("q"))
    _old_chars: array[int] = field(default_factory=lambda: array("q"))
    """Of the clauses before `_spans`: what ended when, and how much had been heard then."""

    def began(self, span: ClauseSpan) -> None:
        """A clause's audio begins at `span.pts`."""
        self._spans.append(span)
        if len(self._spans) > SPANS_MAX:
            self._pack(self._spans.popleft())

    def _pack(self, span: ClauseSpan) -> None:
        ends = [(word.end_pts, word.chars[1]) for word in span.words]
        ends.append((self._spans[0].pts if span.end_pts is None else span.end_pts, span.chars[1]))
        for pts, chars in ends:
            self._old_pts.append(max(pts, self._old_pts[-1] if self._old_pts else 0))
            self._old_chars.append(max(chars, self._old_chars[-1] if self._old_chars else 0))

    @property
    def old_bytes(self) -> int:
        """What the clauses that are not remembered whole take."""
        return len(self._old_pts) * 2 * self._old_pts.itemsize

    def at(self, pts: int, original: str) -> HeardText:
        """What has been heard once playout reached `pts`; `original` is the context's text."""
        old = bisect_right(self._old_pts, pts)
        chars = self._old_chars[old - 1] if old else 0
        if old < len(self._old_pts):
            return HeardText(chars, None)
        for span in self._spans:
            if span.end_pts is not None and pts >= span.end_pts:
                chars = span.chars[1]
                continue
            if pts <= span.pts:
                chars = max(chars, span.chars[0])
                break
            return _inside(span, pts, chars, original)
        return HeardText(chars, None)


def _inside(span: ClauseSpan, pts: int, chars: int, original: str) -> HeardText:
    chars = max(chars, span.chars[0])
    if not span.words:
        return HeardText(_proportional(span, pts, chars, original), None)
    for word in span.words:
        if word.end_pts <= pts:
            chars = max(chars, word.chars[1])
        elif word.pts < pts:
            return HeardText(chars, word.text)
        else:
            break
    return HeardText(chars, None)


def _proportional(span: ClauseSpan, pts: int, chars: int, original: str) -> int:
    """Without word times a clause is taken as spoken evenly, rounded down to a whole word."""
    if span.end_pts is None:
        return chars
    start, end = span.chars
    reached = start + int((end - start) * (pts - span.pts) / max(1, span.end_pts - span.pts))
    while reached > start and not original[reached - 1].isspace():
        reached -= 1
    return max(chars, reached)
