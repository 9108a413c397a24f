"""What is said of the text: stretches in their order, each with its time. Pure.

A stretch is what one word stands for; several spoken words may stand for one ("five dollars" for "$5"), and then they
are one stretch. Where an engine has no word times, a clause's words are taken to share its time by their length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxwire_client.captions.script import spaceless

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_protocol.messages import ClauseStarted, WordTiming


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text that is said in one. `words` is empty where its time is a guess."""

    chars: tuple[int, int]
    pts: int
    end_pts: int
    words: tuple[WordTiming, ...] = ()
    ends_clause: bool = False
    ends_utterance: bool = False

    @property
    def empty(self) -> bool:
        """It stands for no text."""
        return self.chars[0] >= self.chars[1]


def joined(first: Span, second: Span) -> Span:
    """One stretch of two."""
    return replace(
        second,
        chars=(min(first.chars[0], second.chars[0]), max(first.chars[1], second.chars[1])),
        pts=min(first.pts, second.pts),
        end_pts=max(first.end_pts, second.end_pts),
        words=first.words + second.words,
    )


def append(spans: list[Span], span: Span) -> None:
    """Add a stretch; what overlaps becomes one with it, however the words are ordered in the text.

    What is said without standing in the text belongs to what was said before it, or else after it.
    """
    while spans and (span.empty or spans[-1].empty or span.chars[0] < spans[-1].chars[1]):
        last = spans.pop()
        if last.empty:
            last = replace(last, chars=span.chars)
        elif span.empty:
            span = replace(span, chars=last.chars)
        span = joined(last, span)
    spans.append(span)


def shared_out(clause: ClauseStarted, text: str, end_pts: int) -> Iterator[Span]:
    """The words of a clause whose words have no times: each has as much time as it has characters."""
    end = min(clause.chars[1], len(text))
    words = list(_written_words(text, clause.chars[0], end))
    # What stands before the first word is not spoken; the pause after the last belongs to its punctuation.
    begin = words[0][0] if words else end
    length, samples = max(1, end - begin), max(0, end_pts - clause.pts)
    for first, last in words:
        pts, until = (clause.pts + samples * (place - begin) // length for place in (first, last))
        yield Span((first, last), pts, until)


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


def cut(spans: list[Span], pts: int, chars: int | None) -> list[Span]:
    """What is left where audio from `pts` on, and text from `chars` on, is said anew."""
    kept: list[Span] = []
    for span in spans:
        if span.words:
            words = tuple(each for each in span.words if _counts(each.chars, each.pts, each.end_pts, pts, chars))
            if words == span.words:
                kept.append(span)
            else:
                for word in words:
                    append(kept, Span(word.chars, word.pts, word.end_pts, (word,)))
        elif _counts(span.chars, span.pts, span.end_pts, pts, chars):
            kept.append(span)
    return kept


def _counts(own: tuple[int, int], own_pts: int, own_end_pts: int, pts: int, chars: int | None) -> bool:
    if chars is None:
        return own_pts < pts
    return own_pts < pts and own_end_pts <= pts and own[1] <= chars
