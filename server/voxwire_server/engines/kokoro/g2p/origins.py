"""Where each character of a rewritten text came from, for scripts without spaces."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def origins(source: str, text: str) -> list[tuple[int, int]]:
    """The half-open range of `source` behind each character of `text`: what was rewritten shares what it replaces."""
    ranges: list[tuple[int, int]] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, source, text, autojunk=False).get_opcodes():
        if tag == "equal":
            ranges += [(i, i + 1) for i in range(i1, i2)]
        elif j2 > j1:
            whole = (i1, i2) if i2 > i1 else (max(i1 - 1, 0), max(i1, 1))
            ranges += [whole] * (j2 - j1)
    return ranges


def through(first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of ranges: of the text behind the text that `second` speaks of."""
    return [(first[low][0], first[high - 1][1]) if low < high else first[low] for low, high in second]
