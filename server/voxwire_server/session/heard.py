"""Places a context's clauses and words on its clock: answers what a listener has heard, makes `timing` messages. Pure.

`ClauseClock` converts an engine's samples to the context's pts.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_server.audio.samples import rescaled

if TYPE_CHECKING:
    from voxwire_server.speech import Alignment
    from voxwire_server.text.intake import ClauseText

SPANS_MAX = 64
"""So many clauses are kept whole. Of older ones, which a client in burst pacing may have received and not played, only
the end of each word is kept."""


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
    """Of the clauses before `_spans`: the pts at which each word ended, and how many characters were heard by then."""

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
        """What the clauses that are not kept whole take in memory."""
        return len(self._old_pts) * 2 * self._old_pts.itemsize

    def at(self, pts: int, original: str) -> HeardText:
        """What has been heard when playout has reached `pts`; `original` is the context's text."""
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
    """Without word times, take a clause as spoken evenly; rounded down to a whole word."""
    if span.end_pts is None:
        return chars
    start, end = span.chars
    reached = start + int((end - start) * (pts - span.pts) / max(1, span.end_pts - span.pts))
    while reached > start and not original[reached - 1].isspace():
        reached -= 1
    return max(chars, reached)


class ClauseClock:
    """Turns a clause's samples, counted at `engine_rate`, into pts at `output_rate`; its sample 0 is at `pts`."""

    __slots__ = ("_engine_rate", "_output_rate", "_pts")

    def __init__(self, pts: int, engine_rate: int, output_rate: int) -> None:
        self._pts = pts
        self._engine_rate = engine_rate
        self._output_rate = output_rate

    def pts(self, sample: int) -> int:
        """The pts of one of the clause's samples."""
        return self._pts + rescaled(sample, self._engine_rate, self._output_rate)


def word_spans(alignment: Alignment, text: ClauseText, clock: ClauseClock) -> tuple[WordSpan, ...]:
    """The words of an alignment with their original characters and pts."""
    return tuple(
        WordSpan(word.text, original_range(text, word.chars), clock.pts(word.start), clock.pts(word.end))
        for word in alignment.words
    )


def timing_message(
    context: str,
    kinds: frozenset[str],
    words: tuple[WordSpan, ...],
    alignment: Alignment | None,
    clock: ClauseClock | None,
    visemes: tuple[m.VisemeTiming, ...],
) -> m.Timing | None:
    """The `timing` message of the kinds that were asked for; None when it would be empty."""
    shown: tuple[m.WordTiming, ...] = ()
    phonemes: tuple[m.PhonemeTiming, ...] = ()
    if "word" in kinds:
        shown = tuple(m.WordTiming(text=w.text, chars=w.chars, pts=w.pts, end_pts=w.end_pts) for w in words)
    if "phoneme" in kinds and alignment is not None and clock is not None:
        phonemes = tuple(
            m.PhonemeTiming(ipa=p.ipa, pts=clock.pts(p.start), end_pts=clock.pts(p.end)) for p in alignment.phonemes
        )
    if not shown and not phonemes and not visemes:
        return None
    return m.Timing(context=context, words=shown, phonemes=phonemes, visemes=visemes)


def original_range(text: ClauseText, chars: tuple[int, int]) -> tuple[int, int]:
    """The original characters behind a range of a clause's text."""
    start, end = chars
    if start >= end:
        at = text.origins[start] if start < len(text.origins) else text.chars[1]
        return at, at
    return text.origins[start], text.origins[end - 1] + 1
