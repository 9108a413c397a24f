"""Keeps where each character of a rewritten text came from, so that what sounds can be shown as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    Span = tuple[int, int]


class Rewrite(NamedTuple):
    """`text` is said in place of the source's characters [start, end); a half-open range that is not empty."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class SourceMap:
    """`starts[i]`, `ends[i]`: the half-open range of source text behind character i of `text`; neither decreases.

    A rewritten part's characters all have the whole range of what it was written as: both words of "seven thirty" have
    that of "7:30".
    """

    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> Span:
        """The range of source text behind `text[start:end]`; of an empty range, the place where it stands."""
        if start >= end:
            at = self.starts[start] if start < len(self.starts) else self.ends[-1] if self.ends else 0
            return at, at
        return self.starts[start], self.ends[end - 1]


def unchanged(text: str) -> SourceMap:
    """The map of a text that is not rewritten."""
    return SourceMap(text, list(range(len(text))), list(range(1, len(text) + 1)))


def rewritten(source: str, rewrites: Iterable[Rewrite]) -> SourceMap:
    """`source` with `rewrites` made, which are in the order of the text and do not overlap. Takes linear time."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for start, end, text in rewrites:
        assert at <= start < end, "rewrites are in order, disjoint and of something"
        parts += (source[at:start], text)
        starts.extend(range(at, start))
        ends.extend(range(at + 1, start + 1))
        starts.extend([start] * len(text))
        ends.extend([end] * len(text))
        at = end
    parts.append(source[at:])
    starts.extend(range(at, len(source)))
    ends.extend(range(at + 1, len(source) + 1))
    return SourceMap("".join(parts), starts, ends)
