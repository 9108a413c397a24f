"""Turns what language models write (Markdown, HTML, URLs, emoji) into speakable text, piece by piece.

`Markup` gives the same output for any split of its input: a token is decided only when what follows it can no longer
change it. This module reads lines; `extents` finds where a token ends, `inline` renders it, `speakable` has the output.

Each character of input is looked at a bounded number of times, whatever it is: what was looked for in vain (the end of
a comment, of a link) is not looked for in the same place again.
"""

from __future__ import annotations

import copy
import re

from voxwire_server.text.extents import JOINING, TOKEN_CHARS_MAX, TokenExtents
from voxwire_server.text.inline import TOP_DOMAINS, Block
from voxwire_server.text.skipping import SKIPPED_NAMES
from voxwire_server.text.speakable import CJK, EMOJI, GLUE, INVISIBLE, SOFT_BREAK, SPACE

STEPS_MAX = 120  # what one call decides at most
PART_STEPS = 64  # places in one token at which markup is looked for at once
FIRST_CJK = CJK[0]
_SPECIAL = re.compile(
    rf"[\n\t\r\x0b\x0c\x1c-\x1f\x85\u2000-\u2006\u2008-\u200a\u2028\u2029\u1680\u205f\u3000*_`~\[\]<>&|\\$@【◁{INVISIBLE}{EMOJI}\u200d\ufe0e\ufe0f\u20e3]"
    rf"|://|www\.|[a-z]/|\.(?:{TOP_DOMAINS})(?![\w-])|(?<![^{SPACE}])[:;=][-']?[()DPp](?![^{SPACE}])",
    re.IGNORECASE,
)
_ENDS_TOKEN = re.compile(rf"[{SPACE}{CJK}]")
_SPACES = re.compile(rf"[{SPACE}]*")
_LAST_TOKEN_START = re.compile(rf"(?s:.*)(?:[{SPACE}]|[{CJK}](?=[^{JOINING}]))")
_RULE = re.compile(r"[-*_=]{3,}|[-*+•‣▪◦·]")
_HEADING = re.compile(r"#{1,6}")
_AMOUNT = re.compile(r"(?P<first>\$\d)[\d,.]*\s")
_ORDERED = re.compile(r"\d{1,3}[.)]|\(\d{1,3}\)|\(?(?:[A-Za-z]|[ivx]{2,5})\)")
_PAUSES_BEFORE = re.compile(r"[*_~]{0,3}[\"'“‘«¿¡「『]?(?P<first>.)")
_TABLE_RULE = re.compile(r"[|:]*-[-|:]*")
_LETTERED = re.compile(r"(?:[A-Za-z]|[ivx]{2,5})\)(?=\s)")
_MAY_BE_LETTERED = re.compile(r"[A-Za-z]\)?|[ivx]{2,5}\)?")
_FENCE = re.compile(r"(`{3,}|~{3,})([^`\n]*)")

_TASK = re.compile(r"\[[ xX]\](?=\s)")
_TASK_START = re.compile(r"\[(?:[ xX](?:\])?)?$")
_QUOTE_MARKS = re.compile(">+")
_URL_STARTS = ("https://", "http://", "www.")


class Markup(TokenExtents):
    """The speakable text of one utterance, growing.

    Feed slices: what was fed is copied for each decision. `feed`, `finish` and `go_on` stop after `STEPS_MAX` steps;
    while `busy`, `go_on` before anything else.
    """

    def __init__(
        self,
        language: str,
        start: int = 0,
        tags: frozenset[str] = frozenset(),
        skip: tuple[str, ...] = SKIPPED_NAMES,
    ) -> None:
        """`tags` are the names of those that are followed, beside "pause" for "[pause:1s]"; `skip` those of blocks that
        are not said."""
        super().__init__(language, start, tags, skip)
        self._skip_names = skip
        self._hidden = ""  # the name of the block at hand that is not said
        self._hidden_at = 0
        self._finishing = False
        self._line_start = True
        self._line_ends = 0  # newlines since the last token
        self._line_end_at = start
        self._marked = False  # a heading's or list item's marker was taken away on this line
        self._fence = ""
        self._fence_at = 0
        self._code_line = False  # the line at hand cannot close the fence
        self._token_left = 0  # characters of the token at hand, part of which has been given out
        self._token_from = 0  # where its output begins
        self._released_dot = False  # the token before ended in a full stop that may yet be one of an address

    @property
    def held_chars(self) -> int:
        """Input characters not decided yet."""
        return len(self._raw)

    @property
    def read_to(self) -> int:
        """The input index behind everything fed."""
        return self._start + len(self._raw)

    @property
    def line_ended(self) -> bool:
        """Whether a line end follows `text` (its kind depends on what comes next)."""
        return self._line_ends > 0

    @property
    def held(self) -> str:
        """The unfinished token after `text`, or "" where nothing is known of it."""
        return "" if self._fence or self._hidden or self._line_start else self._raw

    @property
    def peek(self) -> str:
        """What will follow `text` up to the first letter or digit, if that is certain and is here; else ""."""
        raw = self._raw
        if not raw or self.busy or self._fence or self._hidden or self._line_start:
            return ""
        if amount := _AMOUNT.match(raw):  # of money or of a formula
            return (self._pause or "") + amount["first"]
        if not raw[0].isalnum():
            return ""
        if raw[0] in "hHwW" and len(raw) < 8:
            lowered = raw.lower()
            if any(start.startswith(lowered) for start in _URL_STARTS):
                return ""
        if raw[0] in "hHwW" and raw[:8].lower().startswith(_URL_STARTS):
            return ""
        return (self._pause or "") + raw[0]

    def feed(self, piece: str) -> None:
        """Append input and decide what can be decided."""
        if self._released_dot and piece:
            self._go_on_after_dot(piece[0])
        held = self._raw
        if held and held[-1] < FIRST_CJK and not _ENDS_TOKEN.search(piece) and len(held) + len(piece) < TOKEN_CHARS_MAX:
            self._raw += piece  # the token goes on
            return
        self._raw = held + piece if held else piece
        assert not self.busy, "what was fed before is decided first"
        if not self._line_start and not self._fence and not self._hidden:
            safe = self._plain_until()
            if safe:
                self._copy(safe)
                return
        self._decide(final=False)

    def finish(self) -> None:
        """Decide everything: no more input comes."""
        self._finishing = True
        self.go_on()

    def go_on(self) -> None:
        """Decide more of what was fed."""
        self._decide(self._finishing)
        if self._finishing and not self.busy:
            self._end()

    def _end(self) -> None:
        self._end_row()
        if self._fence:
            self._skip("a code block", self._fence_at, self._start)
            self._fence = ""
        if self._hidden:
            self._skip(f"<{self._hidden}>", self._hidden_at, self._start)
            self._hidden = ""

    def release(self) -> None:
        """Append the unfinished token to the output as it stands."""
        self._released_dot = self._raw.endswith(".")
        self._inline(len(self._raw))
        while self._token_left:
            self._inline_part()

    def _go_on_after_dot(self, char: str) -> None:
        """After a token released at its full stop comes `char`: of "example." and "org" the dot is read now."""
        self._released_dot = False
        if char.isascii() and char.islower():
            said = f"{GLUE}{self._dot}{GLUE}"
            self._emit(said, (self._start,) * len(said))
            self._before = " "

    def copy(self) -> Markup:
        """A copy with the same state, independent from now on."""
        twin = copy.copy(self)
        twin.origins, twin.tails, twin.skipped = self.origins[:], self.tails.copy(), []
        twin.controls, twin.readings = self.controls[:], self.readings[:]
        return twin

    def next_utterance(self, start: int) -> Markup:
        """The text of the utterance that begins at input index `start`."""
        following = Markup(self._language, start, self._tags, self._skip_names)
        following._set_style(self._style, start)
        return following

    def _plain_until(self) -> int:
        """How much of `_raw` is whole tokens, if none of them is special; else 0."""
        raw = self._raw
        if self._code or _SPECIAL.search(raw):
            return 0
        if raw.isascii():
            return raw.rfind(" ") + 1  # other ASCII whitespace is special
        safe = _LAST_TOKEN_START.match(raw)
        return safe.end() if safe else 0

    def _decide(self, final: bool) -> None:
        self._steps_max = self.steps + STEPS_MAX
        self.busy = False
        while self._raw:
            if self.steps >= self._steps_max:
                self.busy = True
                return
            self.steps += 1
            if self._token_left:
                self._inline_part()
                moved = True
            elif self._hidden:
                moved = self._skip_hidden(final)
            elif self._fence:
                moved = self._skip_fenced(final)
            elif self._line_start:
                moved = self._start_line(final)
            else:
                moved = self._run_inline(final)
            if not moved:
                return

    def _run_inline(self, final: bool) -> bool:
        """Take plain tokens up to the next special one, or that one."""
        raw = self._raw
        spaces = self._spaces()
        if spaces:
            self._take_space(spaces)
            return True
        special = None if self._code else _SPECIAL.search(raw)
        until = special.start() if special else len(raw)
        if not self._code:
            last = _LAST_TOKEN_START.match(raw, 0, until + 1 if until < len(raw) else until)
            plain = min(last.end(), until) if last else 0
            if final and special is None:
                plain = len(raw)
            if plain:
                self._copy(plain)
                return True
        if not self._code and raw[0] in "<[◁":
            hides = self._hide(final)
            if hides is not False:
                return hides is True
        end = self._extent(final)
        if end is None:
            return False
        self._inline(end)
        return True

    def _hide(self, final: bool) -> bool | None:
        """Pass a tag at hand that begins or ends what is not said; None while it can't be told."""
        raw = self._raw
        found = self._skips.tag.match(raw)
        if found is None:
            return None if not final and self._skips.may_begin(raw, 0) else False
        name = next((name for name in (found["tag"], found["square"], found["triangle"]) if name), "").lower()
        if name:
            self._hidden, self._hidden_at = name, self._start
        self._advance(found.end())
        return True

    def _skip_hidden(self, final: bool) -> bool:
        """Skip up to the tag that ends what is not said, and look at what follows it."""
        raw = self._raw
        self.steps += len(raw) // 64
        closer = self._skips.closer(self._hidden)
        found = closer.search(raw)
        if found is None:
            self._advance(len(raw) if final else max(0, len(raw) - self._skips.closer_chars))
            return False
        if found.end() == len(raw) and not final:
            self._advance(found.start())
            return False
        self._advance(found.end())
        self._skip(f"<{self._hidden}>", self._hidden_at, self._start)
        self._hidden = ""
        if not self._line_start and self._is_joined(self._raw[:1]):
            self._emit(" ", (self._start - 1,))
        return True

    def _spaces(self) -> int:
        found = _SPACES.match(self._raw)
        return found.end() if found else 0

    def _take_space(self, count: int) -> None:
        """Whitespace after a token: one space each in the output; from the first newline on, a line end."""
        newline = self._raw.find("\n", 0, count)
        if newline < 0:
            self._emit(" " * count, range(self._start, self._start + count))
            self._advance(count)
            return
        self._line_ends = 1
        self._has_bars = None
        self._line_end_at = self._start + newline
        self._line_start = True
        self._advance(newline + 1)

    def _start_line(self, final: bool) -> bool:
        """Look for a block marker at the start of a line; False while it can't be told."""
        raw = self._raw
        indent = self._spaces()
        if indent:
            newlines = raw.count("\n", 0, indent)
            if newlines:
                self._line_ends += newlines if self._line_ends else 0
                self._marked = False
            self._advance(indent)
            return True
        if self._rule[0] <= self._start < self._rule[1]:
            self._advance(self._rule[1] - self._start)
            return True
        if raw[0] in "<[◁":
            hides = self._hide(final)
            if hides is not False:
                return hides is True
        if raw[0].isalpha():
            if not final and _MAY_BE_LETTERED.fullmatch(raw):
                return False
            if not _LETTERED.match(raw):
                self._begin(Block.PARAGRAPH)
                return True
        if raw[0] == ">":
            quoted = self._quote_marks(final)
            if quoted is not None:
                return quoted
        if self._marked and raw[0] == "[" and not final and _TASK_START.fullmatch(raw):
            return False
        task = _TASK.match(raw) if self._marked else None
        end = task.end() if task else self._token_end(0, final)
        if end is None:
            return False
        return self._start_with(raw[:end], is_task=task is not None, final=final)

    def _start_with(self, token: str, *, is_task: bool, final: bool) -> bool:
        """Begin a line with this token: take a marker away, or leave the token for the inline rules."""
        if token.startswith(("```", "~~~")):
            return self._open_fence(final)
        if is_task or _HEADING.fullmatch(token) or _RULE.fullmatch(token):
            self._hard_next()
            self._marked = True
            self._advance(len(token))
        elif _ORDERED.fullmatch(token):
            self._begin(Block.ITEM)
            self._copy(len(token))
            if self._raw and self._raw[0] != "\n":
                self._emit(GLUE, (self._start,))
                self._advance(1)
        else:
            self._begin(Block.TABLE if token[0] == "|" else Block.PARAGRAPH)
        return True

    def _quote_marks(self, final: bool) -> bool | None:
        """Pass the marks of a quotation; None where the sign is one of comparison, False while it can't be told."""
        marks = _QUOTE_MARKS.match(self._raw)
        count = marks.end() if marks else 0
        following = self._raw[count : count + 1]
        if not following and not final:
            count -= 1  # the last one may stand before a digit
        elif following.isdigit() or following == "=":
            count -= 1
            if not count:
                return None
        if count:
            self._hard_next()
            self._advance(count)
        return count > 0

    def _hard_next(self) -> None:
        """Make the line end before the next token a hard one."""
        if self._line_ends == 1:
            self._line_ends = 2

    def _begin(self, block: Block) -> None:
        """A line of this kind begins: append the line end before it, whose kind is known now."""
        self._line_start = False
        if self._marked:
            block, self._marked = Block.ITEM, False
        prior = self._block
        self._bare_rows = self._bare_rows and self._line_ends == 1 and block is Block.PARAGRAPH
        if self._bare_rows:
            block = Block.TABLE
        if not self._line_ends:
            self._block = block
            return
        hard = self._line_ends > 1 or prior is not Block.PARAGRAPH or block is not Block.PARAGRAPH
        self._line_ends = 0
        self._end_row()
        self._block = block
        self._trim_spaces()
        if not hard:
            first = _PAUSES_BEFORE.match(self._raw)
            soft = first is not None and first["first"].isalnum() and not first["first"].islower()
            self._emit(SOFT_BREAK if soft else " ", (self._line_end_at,))
            return
        self._code = 0
        self._hard_break(self._line_end_at)

    def _open_fence(self, final: bool) -> bool:
        raw = self._raw
        newline = raw.find("\n")
        if newline < 0 and not final and len(raw) < TOKEN_CHARS_MAX:
            return False
        line = raw if newline < 0 else raw[: newline + 1]
        fence = _FENCE.match(line)
        if fence is None or fence.end() < len(line.rstrip("\n")):
            self._begin(Block.PARAGRAPH)
            return True
        self._hard_next()
        self._fence = fence[1]
        self._fence_at = self._start
        self._advance(len(line))
        return True

    def _skip_fenced(self, final: bool) -> bool:
        """Skip lines up to the one that closes the code block, which is held back until it is whole."""
        raw, at = self._raw, 0
        while at < len(raw):
            newline = raw.find("\n", at)
            end = len(raw) if newline < 0 else newline
            if not self._code_line:
                line = raw[at:end].strip()
                if line.strip(self._fence[0]) or end - at > TOKEN_CHARS_MAX:
                    self._code_line = True
                elif newline < 0 and not final:
                    break
                elif len(line) >= len(self._fence):
                    self._close_fence(end)
                    return True
            if newline < 0:
                at = len(raw)
            else:
                at = newline + 1
                self._code_line = False
            self.steps += 1
        self._advance(at)
        return False

    def _close_fence(self, end: int) -> None:
        self._advance(end)
        self._skip("a code block", self._fence_at, self._start)
        self._fence = ""
        self._code_line = False
        self._block = Block.ITEM
        self._line_ends = 2
        self._line_end_at = self._start

    def _inline(self, end: int) -> None:
        """Append the token `_raw[:end]` to the output without its markup."""
        if self._block is Block.TABLE and _TABLE_RULE.fullmatch(self._raw, 0, end):
            self._advance(end)
            return
        self._token_left = end
        self._token_from = len(self.text) + self.base
        self._inline_part()

    def _inline_part(self) -> None:
        """Append more of the token at hand to the output; how much depends on nothing but the token."""
        end = self._token_left
        context = self._before + self._raw[: end + 1]  # flanks and lookbehinds see the neighbours
        done = self._transform(context, 1, end + 1, self._start - 1, PART_STEPS) - 1
        after = len(self.text) + self.base
        if done == end and after > self._token_from and self.origins[-1] + 1 != self._start + end:
            self.tails[after - 1] = self._start + end
        self._token_left = end - done
        self._advance(done)

    def _copy(self, count: int) -> None:
        self._emit(self._raw[:count], range(self._start, self._start + count))
        self._advance(count)

    def _advance(self, count: int) -> None:
        if count:
            self._before = self._raw[count - 1]
            self._raw = self._raw[count:]
            self._start += count
