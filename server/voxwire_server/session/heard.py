"""Remembers which original characters sound when, and answers what a listener has heard. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SPANS_MAX = 64
"""Clauses remembered; what is older is taken as heard. At two seconds a clause this is two minutes of speech."""


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

    _spans: deque[ClauseSpan] = field(default_factory=lambda: deque(maxlen=SPANS_MAX))

    def began(self, span: ClauseSpan) -> None:
        """A clause's audio begins at `span.pts`."""
        self._spans.append(span)

    def at(self, pts: int, original: str) -> HeardText:
        """What has been heard once playout reached `pts`; `original` is the context's text."""
        chars = 0
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
