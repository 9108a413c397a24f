"""The spoken parts of a text, in their order, each with its time. Pure.

A span is the text of one spoken word. Several spoken words may stand for one written word ("five dollars" for "$5");
they share one span. Where an engine has no word times, the words of a clause share its time by their length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxwire_client.captions.line_breaks import spaceless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_protocol.messages import ClauseStarted, WordTiming


@dataclass(frozen=True, slots=True)
class TimedSpan:
    """A part of the text, from `pts` to before `end_pts`. `words` is empty where the time is estimated."""

    chars: tuple[int, int]
    pts: int
    end_pts: int
    words: tuple[WordTiming, ...] = ()
    ends_clause: bool = False
    ends_utterance: bool = False

    @property
    def empty(self) -> bool:
        """Whether it has no text."""
        return self.chars[0] >= self.chars[1]


def joined(first: TimedSpan, second: TimedSpan) -> TimedSpan:
    """Two spans as one."""
    return replace(
        second,
        chars=(min(first.chars[0], second.chars[0]), max(first.chars[1], second.chars[1])),
        pts=min(first.pts, second.pts),
        end_pts=max(first.end_pts, second.end_pts),
        words=first.words + second.words,
    )


def append(spans: list[TimedSpan], span: TimedSpan) -> None:
    """Append a span; spans that overlap are joined, as spoken words may come in another order than the text's.

    A span without text is joined to the one before it, or else to the one after it.
    """
    while spans and (span.empty or spans[-1].empty or span.chars[0] < spans[-1].chars[1]):
        last = spans.pop()
        if last.empty:
            last = replace(last, chars=span.chars)
        elif span.empty:
            span = replace(span, chars=last.chars)
        span = joined(last, span)
    spans.append(span)


def estimated(clause: ClauseStarted, text: str, end_pts: int) -> Iterator[TimedSpan]:
    """Spans of a clause without word times: each written word gets time in proportion to its length."""
    end = min(clause.chars[1], len(text))
    words = list(_written_words(text, clause.chars[0], end))
    # Text before the first word is not spoken; the pause after the last word is given to its punctuation.
    begin = words[0][0] if words else end
    length, samples = max(1, end - begin), max(0, end_pts - clause.pts)
    for first, last in words:
        pts, until = (clause.pts + samples * (place - begin) // length for place in (first, last))
        yield TimedSpan((first, last), pts, until)


def _written_words(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    first: int | None = None
    for place in range(start, end):
        char = text[place]
        part = not char.isspace() and (first is not None or char.isalnum())
        if first is not None and (not part or spaceless(char)):
            yield first, _spoken_end(text, first, place)
            first = None
        if part and spaceless(char):
            if char.isalnum():
                yield place, place + 1
        elif part and first is None:
            first = place
    if first is not None:
        yield first, _spoken_end(text, first, end)


def _spoken_end(text: str, first: int, end: int) -> int:
    while end > first + 1 and not text[end - 1].isalnum():
        end -= 1
    return end


def cut(spans: list[TimedSpan], pts: int, chars: int | None) -> list[TimedSpan]:
    """The spans that remain where audio from `pts` on, and text from `chars` on, is spoken again."""
    kept: list[TimedSpan] = []
    for span in spans:
        if span.words:
            words = tuple(each for each in span.words if _remains(each.chars, each.pts, each.end_pts, pts, chars))
            if words == span.words:
                kept.append(span)
            else:
                for word in words:
                    append(kept, TimedSpan(word.chars, word.pts, word.end_pts, (word,)))
        elif _remains(span.chars, span.pts, span.end_pts, pts, chars):
            kept.append(span)
    return kept


def _remains(own: tuple[int, int], own_pts: int, own_end_pts: int, pts: int, chars: int | None) -> bool:
    if chars is None:
        return own_pts < pts
    return own_pts < pts and own_end_pts <= pts and own[1] <= chars
