"""Counts the steps that a backtracking matcher takes for a pattern, for tests of complexity: an upper bound.

The tree comes from `re`'s parser; what it matches is not asked for, only how often a character or a place is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]

Rest = Callable[[int], int]
"""Goes on at a place: the end of the match, or -1."""

_CATEGORIES = {
    op.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    op.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
    op.CATEGORY_DIGIT: str.isdecimal,
    op.CATEGORY_NOT_DIGIT: lambda c: not c.isdecimal(),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
}
_ONE = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)


class StepCounter:
    """Matches one pattern and counts in `steps`."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.tree = parser.parse(pattern.pattern, pattern.flags)
        self.folds = bool(pattern.flags & re.IGNORECASE)
        self.steps = 0
        self.text = ""

    def count(self, text: str, method: str) -> int:
        """The steps of `method` on all of `text`; what finds goes on behind each match, as finditer does."""
        self.text, self.steps = text, 0
        at = 0
        while at <= len(text):
            end = self._sequence(list(self.tree), 0, at, lambda end: end)
            if method in ("match", "fullmatch"):
                break
            at = max(end, at + 1)
        return self.steps

    def _sequence(self, nodes: list, index: int, at: int, rest: Rest) -> int:
        if index == len(nodes):
            return rest(at)
        self.steps += 1
        kind, value = nodes[index]

        def go_on(end: int) -> int:
            return self._sequence(nodes, index + 1, end, rest)

        if kind in _ONE:
            return go_on(at + 1) if self._is_one(kind, value, at) else -1
        if kind is op.AT:
            return go_on(at) if self._is_place(value, at) else -1
        if kind is op.SUBPATTERN:
            return self._sequence(list(value[3]), 0, at, go_on)
        if kind is op.ATOMIC_GROUP:
            end = self._sequence(list(value), 0, at, lambda end: end)
            return go_on(end) if end >= 0 else -1
        if kind is op.BRANCH:
            return next((end for each in value[1] if (end := self._sequence(list(each), 0, at, go_on)) >= 0), -1)
        if kind in (op.ASSERT, op.ASSERT_NOT):
            direction, tree = value
            start = at if direction > 0 else at - tree.getwidth()[0]
            holds = start >= 0 and self._sequence(list(tree), 0, start, lambda end: end) >= 0
            return go_on(at) if holds == (kind is op.ASSERT) else -1
        return self._repeat(kind, value, at, go_on)

    def _repeat(self, kind: object, value: tuple, at: int, rest: Rest) -> int:
        least, most, tree = value
        nodes = list(tree)
        if len(nodes) == 1 and nodes[0][0] in _ONE:
            return self._repeat_one(kind, nodes[0], int(least), min(int(most), len(self.text)), at, rest)

        def once_more(count: int, at: int) -> int:
            def again(end: int) -> int:
                return once_more(count + 1, end) if end > at or count < least else -1

            self.steps += 1
            if kind is op.MIN_REPEAT and count >= least and (end := rest(at)) >= 0:
                return end
            if count < most and (end := self._sequence(nodes, 0, at, again)) >= 0:
                return end
            return rest(at) if kind is not op.MIN_REPEAT and count >= least else -1

        return once_more(0, at)

    def _repeat_one(self, kind: object, node: tuple, least: int, most: int, at: int, rest: Rest) -> int:
        count = 0
        if kind is op.MIN_REPEAT:
            while True:
                if count >= least and (end := rest(at + count)) >= 0:
                    return end
                self.steps += 1
                if count == most or not self._is_one(*node, at + count):
                    return -1
                count += 1
        while count < most and self._is_one(*node, at + count):
            count += 1
            self.steps += 1
        if kind is op.POSSESSIVE_REPEAT:
            return rest(at + count) if count >= least else -1
        while count >= least:
            if (end := rest(at + count)) >= 0:
                return end
            self.steps += 1
            count -= 1
        return -1

    def _is_one(self, kind: object, value: object, at: int) -> bool:
        if at >= len(self.text):
            return False
        char = self.text[at]
        if kind is op.ANY:
            return True
        if kind is op.IN:
            return self._is_in(value, char)  # type: ignore[arg-type]
        return self._same(value, char) == (kind is op.LITERAL)

    def _same(self, code: object, char: str) -> bool:
        return ord(char) == code or (self.folds and char.lower() == chr(code).lower())  # type: ignore[arg-type]

    def _is_in(self, items: list, char: str) -> bool:
        chars = {char, char.lower(), char.upper()[:1]} if self.folds else {char}
        found = False
        for kind, value in items:
            if kind is op.LITERAL:
                found = found or any(ord(c) == value for c in chars)
            elif kind is op.RANGE:
                found = found or any(value[0] <= ord(c) <= value[1] for c in chars)
            elif kind is op.CATEGORY:
                found = found or _CATEGORIES[value](char)
        return found != (items[0][0] is op.NEGATE)

    def _is_place(self, place: object, at: int) -> bool:
        if place in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return at == 0
        assert place in (op.AT_END, op.AT_END_STRING), f"{place} is not counted yet"
        return at == len(self.text)
