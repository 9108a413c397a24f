"""Which characters of the source text each character of the normalised text came from.

hibari normalises text ("7:30" -> "seven thirty") without keeping positions. Words that stay the same anchor the two
texts to each other; what lies between anchors is mapped as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Span = tuple[int, int]

_WORD = re.compile(r"\S+")
# hibari's one-for-one replacements, applied to the source too so that a word with an apostrophe is an anchor.
_ALIKE = str.maketrans("’‒―", "'-—")
# The longest run of source words that one rewriting consumes ("5 $ 20 million" never; "the 3rd of March, 2024" does).
_REWRITE_WORDS_MAX = 5


@dataclass(frozen=True, slots=True)
class SourceMap:
    """`starts[i]`, `ends[i]`: the half-open range of source text behind character i of `text`; neither decreases."""

    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> Span:
        """The range of source text behind `text[start:end]`, which is not empty."""
        return self.starts[start], self.ends[end - 1]


def map_rewriting(source: str, rewrite: Callable[[str], str]) -> SourceMap:
    """Rewrite `source`, and map each character of the result to its source range.

    A rewritten word gets the whole range of what it was written as: both words of "seven thirty" get that of "7:30".
    """
    text = rewrite(source)
    alike = source.translate(_ALIKE)
    mapper = _Mapper(alike, text, rewrite)
    mapper.run()
    return SourceMap(text, mapper.starts, mapper.ends)


class _Mapper:
    """The two texts' words and the ranges found so far; each method maps the next piece of `text`, left to right."""

    def __init__(self, source: str, text: str, rewrite: Callable[[str], str]) -> None:
        self.source, self.text, self.rewrite = source, text, rewrite
        self.source_spans = [match.span() for match in _WORD.finditer(source)]
        self.text_spans = [match.span() for match in _WORD.finditer(text)]
        self.source_words = [source[a:b] for a, b in self.source_spans]
        self.words = [text[a:b] for a, b in self.text_spans]
        self.starts: list[int] = []
        self.ends: list[int] = []

    def run(self) -> None:
        if self.source_words == self.words:
            blocks = [("equal", 0, len(self.words), 0, len(self.words))]
        else:
            blocks = list(SequenceMatcher(None, self.source_words, self.words, autojunk=False).get_opcodes())
        for tag, i1, i2, j1, j2 in blocks:
            if j1 == j2:
                continue
            if tag == "equal":
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                    self._copy(self.source_spans[i][0], j)
            else:
                self._rewritten(i1, i2, j1, j2)

    def _rewritten(self, i1: int, i2: int, j1: int, j2: int) -> None:
        """Map a rewritten block by the smallest runs of source words that, rewritten alone, give the same words."""
        while i1 < i2:
            for taken in range(1, min(_REWRITE_WORDS_MAX, i2 - i1) + 1):
                alone = self.rewrite(" ".join(self.source_words[i1 : i1 + taken])).split()
                if alone and self.words[j1 : j1 + len(alone)] == alone and j1 + len(alone) <= j2:
                    self._whole(i1, i1 + taken, j1, j1 + len(alone))
                    i1, j1 = i1 + taken, j1 + len(alone)
                    break
            else:
                break
        if j1 < j2:
            self._whole(i1, i2, j1, j2)

    def _whole(self, i1: int, i2: int, j1: int, j2: int) -> None:
        """Map words j1..j2 to all of source words i1..i2, but equal punctuation at their ends by itself."""
        if i1 == i2:
            # Words that come from no source word are mapped to the character before them.
            end = self.source_spans[i1 - 1][1] if i1 else 1
            self._fill_to(self.text_spans[j2 - 1][1], end - 1, end)
            return
        a, b = self.source_spans[i1][0], self.source_spans[i2 - 1][1]
        c, d = self.text_spans[j1][0], self.text_spans[j2 - 1][1]
        while a < b and c < d and self.source[a] == self.text[c] and not self.text[c].isalnum():
            self._fill_to(c + 1, a, a + 1)
            a, c = a + 1, c + 1
        tail = 0
        while (
            tail < min(b - a, d - c)
            and self.source[b - 1 - tail] == self.text[d - 1 - tail]
            and not self.text[d - 1 - tail].isalnum()
        ):
            tail += 1
        # If no source character is left, the one before it is taken.
        self._fill_to(d - tail, *((a, b - tail) if a < b - tail else (max(a - 1, 0), max(a, 1))))
        for at in range(b - tail, b):
            self._fill_to(len(self.starts) + 1, at, at + 1)

    def _copy(self, source_at: int, j: int) -> None:
        start, end = self.text_spans[j]
        self._fill_to(start, source_at, source_at)
        self.starts.extend(range(source_at, source_at + end - start))
        self.ends.extend(range(source_at + 1, source_at + end - start + 1))

    def _fill_to(self, text_end: int, start: int, end: int) -> None:
        """Give `[start, end)` to every character up to `text_end` that has no range yet; ranges never decrease."""
        missing = text_end - len(self.starts)
        if self.starts:
            start, end = max(start, self.starts[-1]), max(end, self.ends[-1])
        self.starts += [start] * missing
        self.ends += [end] * missing
