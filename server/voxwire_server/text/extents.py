"""Finds where the token at hand ends: links, tags, comments and formulas with spaces inside are parts of one token.

What may still go on as one of them is held back, but for a bounded number of characters.
"""

from __future__ import annotations

import re

from voxwire_server.text.formulas import formula_at
from voxwire_server.text.inline import (
    COMMAND_STEPS,
    COMMENT,
    COMMENT_END,
    LABEL_CHARS_MAX,
    TAG,
    TAG_BEGUN,
    Block,
    InlineMarkup,
)
from voxwire_server.text.skipping import skipping
from voxwire_server.text.speakable import CJK, SPACE

TOKEN_CHARS_MAX = 2048
TAG_CHARS_MAX = 400
_TABLE_CHARS_MAX = 300  # so far away may be the end of a line with a bar, and of the rule below it

JOINING = "\u0300-\u036f\u200c\u200d\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef"
_TOKEN_END = re.compile(rf"(?=[{SPACE}])|(?<=[{CJK}])(?=[^{JOINING}])")
_OPENER = re.compile(r"[\[<【`$\\◁|]")
_ROWS = re.compile(r"[ \t|:-]*")


class TokenExtents(InlineMarkup):
    """Where tokens of the input at hand end."""

    def __init__(self, language: str, start: int, tags: frozenset[str], skip: tuple[str, ...]) -> None:
        super().__init__(language, start, tags)
        self._skips = skipping(skip)
        self.busy = False
        self._before = " "  # the character before _raw[0]
        self._steps_max = 0
        self._opened: tuple[int, int, int] | None = None  # where `_extent` goes on: of which token, from where, its end
        self._comment_open = start  # no comment ends before this input index
        self._has_bars: bool | None = None  # whether the line at hand is the head of a table; None: no bar in it so far
        self._rule = (-1, -1)  # the input range of the rule below the head of the last table
        self._bare_rows = False  # a table is open whose rows need not begin with a bar

    def _token_end(self, at: int, final: bool) -> int | None:
        """Where the token at `at` ends; None while that is not known."""
        found = _TOKEN_END.search(self._raw, at + 1)
        if found is not None and found.start() - at <= TOKEN_CHARS_MAX:
            return found.start()
        if len(self._raw) - at >= TOKEN_CHARS_MAX:
            return at + TOKEN_CHARS_MAX
        return len(self._raw) if final else None

    def _extent(self, final: bool) -> int | None:
        """Where the token at hand ends, counting links and tags with spaces inside as part of it."""
        end: int | None
        if self._opened is not None and self._opened[0] == self._start:
            _, at, end = self._opened
        else:
            at, end = 0, self._token_end(0, final)
        while end is not None and not self._code:
            if self.steps >= self._steps_max:
                self._opened = (self._start, at, end)
                self.busy = True
                return None
            self.steps += 1
            opener = _OPENER.search(self._raw, at, end)
            if opener is None or opener[0] == "`":
                break
            if opener[0] in "<[◁" and opener.start():
                if self._skips.tag.match(self._raw, opener.start()):
                    return opener.start()
                if not final and self._skips.may_begin(self._raw, opener.start()):
                    self._opened = (self._start, opener.start(), end)
                    return None
            closed = self._closing(opener.start(), final)
            if closed is None:
                self._opened = (self._start, opener.start(), end)
                return None
            at = closed
            if at > end:
                end = self._token_end(at - 1, final)
        return end

    def _closing(self, at: int, final: bool) -> int | None:
        """Past the end of the link or tag that may open at `at`; `at + 1` if none does, None while unknown."""
        raw = self._raw
        if raw[at] in "$\\":
            return self._closing_formula(at, final)
        if raw[at] == "|":
            return None if self._is_text_bar(at, final) is None else at + 1
        if raw[at] == "◁":
            return at + 1
        if raw[at] == "<":
            return self._closing_tag(at, final)
        if raw[at] == "【":
            noted = _bounded_find(raw, "】", at + 1, LABEL_CHARS_MAX, final)
            return noted if noted is None else noted + 1 if noted > 0 else at + 1
        label = _bounded_find(raw, "]", at + 1, LABEL_CHARS_MAX, final)
        if label is None or label < 0:
            return at + 1 if label is not None else None
        following = raw[label + 1 : label + 2]
        if not following:
            return label + 1 if final else None
        if following not in "([":
            return label + 1
        closing = ")" if following == "(" else "]"
        end = _bounded_find(raw, closing, label + 2, TOKEN_CHARS_MAX // 2, final)
        if end is None:
            return None
        if end < 0:
            return at + 1
        if closing == ")" and "(" in raw[label + 2 : end]:  # a destination with brackets of its own
            second = _bounded_find(raw, ")", end + 1, LABEL_CHARS_MAX, final)
            if second is None:
                return None
            if second > 0 and not re.search(r"\s", raw[end:second]):
                return second + 1
        return end + 1

    def _closing_formula(self, at: int, final: bool) -> int | None:
        raw = self._raw
        self.steps += COMMAND_STEPS
        found = formula_at(raw, at, raw[at - 1] if at else self._before, TOKEN_CHARS_MAX, final=final)
        if found is None:
            return None
        return found.end if found else at + (1 if raw[at] == "$" else 2)

    def _is_text_bar(self, at: int, final: bool) -> bool | None:
        """Whether the bar at `at` is text, and not between the cells of a table; None while that can't be told.

        A line with a bar is the head of a table if the next one is a rule (---|---); the first bar decides for all.
        """
        if self._block is Block.TABLE:
            return False
        if self._has_bars is None:
            self._has_bars = self._rule_follows(at, final)
            if self._has_bars:
                self._block = Block.TABLE
                self._bare_rows = True
        return None if self._has_bars is None else not self._has_bars

    def _rule_follows(self, at: int, final: bool) -> bool | None:
        raw = self._raw
        newline = _line_end(raw, at, final)
        if newline is None or newline < 0:
            return None if newline is None else False
        rule = _ROWS.match(raw, newline + 1)
        stop = rule.end() if rule else newline + 1
        if stop - newline > _TABLE_CHARS_MAX:
            return False
        if stop == len(raw) and not final:
            return None if len(raw) < TOKEN_CHARS_MAX else False
        line = raw[newline + 1 : stop]
        if (stop < len(raw) and raw[stop] != "\n") or "-" not in line or "|" not in line:
            return False
        self._rule = (self._start + newline + 1, self._start + min(stop + 1, len(raw)))
        return True

    def _closing_tag(self, at: int, final: bool) -> int | None:
        raw = self._raw
        if raw.startswith(COMMENT, at):
            return self._closing_comment(at, final)
        tag = TAG.match(raw, at, TOKEN_CHARS_MAX)
        if tag is not None:
            return tag.end()
        if final or len(raw) >= min(at + TAG_CHARS_MAX, TOKEN_CHARS_MAX):
            return at + 1
        return None if TAG_BEGUN.fullmatch(raw, at) else at + 1

    def _closing_comment(self, at: int, final: bool) -> int | None:
        raw = self._raw
        look_from = max(at + len(COMMENT), self._comment_open - self._start)
        end = raw.find(COMMENT_END, look_from, TOKEN_CHARS_MAX)
        if end >= 0:
            return end + len(COMMENT_END)
        looked_to = min(len(raw), TOKEN_CHARS_MAX) - len(COMMENT_END) + 1
        self._comment_open = self._start + max(look_from, looked_to)
        return at + 1 if final or len(raw) >= TOKEN_CHARS_MAX else None


def _line_end(raw: str, at: int, final: bool) -> int | None:
    """Where the line ends; -1 if that is too far away; None while it may still come."""
    limit = min(at + _TABLE_CHARS_MAX, TOKEN_CHARS_MAX)
    end = raw.find("\n", at, limit)
    if end >= 0:
        return end
    return -1 if final or len(raw) >= limit else None


def _bounded_find(raw: str, char: str, at: int, chars_max: int, final: bool) -> int | None:
    """Where `char` is on this line within `chars_max`; -1 if it is not; None while it may still come."""
    limit = min(at + chars_max, TOKEN_CHARS_MAX)
    end = raw.find(char, at, limit)
    newline = raw.find("\n", at, limit if end < 0 else end)
    if newline >= 0:
        return -1
    if end >= 0:
        return end
    return -1 if final or len(raw) >= limit else None
