"""Turns what language models write (Markdown, HTML, URLs, emoji) into speakable text, piece by piece.

`Markup` gives the same output for any split of its input: a token is decided only when what follows it can no longer
change it. Knows nothing of clauses.

In the output a line end is `HARD_BREAK` (a sentence ends there: heading, list item, paragraph) or `SOFT_BREAK` (a line
of verse), and `GLUE` stands for a space at which nothing may be cut ("example dot com"). Of a long run of what cannot
be spoken the output has the beginning only (`SILENT_CHARS_MAX`).

Each character of input is looked at a bounded number of times, whatever it is: what was looked for in vain (the end of
a comment, of a link) is not looked for in the same place again.
"""

from __future__ import annotations

import copy
import html
import math
import re
from dataclasses import dataclass
from enum import Enum

HARD_BREAK = "\n"
SOFT_BREAK = "\v"
GLUE = "\u00a0"

TOKEN_CHARS_MAX = 2048
SILENT_CHARS_MAX = 32  # so many characters without letter or digit are kept of a run
STEPS_MAX = 120  # what one call decides at most
PART_STEPS = 64  # places in one token at which markup is looked for at once
LABEL_CHARS_MAX = 300
TAG_CHARS_MAX = 400

# Whitespace that ends a token; the no-break spaces (00a0, 2007, 202f) do not.
SPACE = " \t\n\r\x0b\x0c\x1c-\x1f\x85\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000"
# Scripts written without spaces, with their punctuation: each character is a token of its own.
CJK = "\u2e80-\u2fdf\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff65\U00020000-\U0003fffd"
FIRST_CJK = CJK[0]
_JOINING = "\u0300-\u036f\u200c\u200d\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef"
_INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\uffff\ud800-\udfff"
)
# After Unicode's emoji-data.txt: the blocks of pictographs, without arrows and mathematical signs.
_EMOJI = (
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u24c2\u25aa-\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u27bf"
    "\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_EMOJI_RUN = rf"[{_EMOJI}][{_EMOJI}\u200d\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]*|[\ufe0e\ufe0f\u20e3\u200d]+(?![\w])"

_SPECIAL = re.compile(
    rf"[\n\t\r\x0b\x0c\x1c-\x1f\x85\u2000-\u2006\u2008-\u200a\u2028\u2029\u1680\u205f\u3000*_`~\[\]<>&|\\@【{_INVISIBLE}{_EMOJI}\u200d\ufe0e\ufe0f\u20e3]"
    rf"|://|www\.|[a-z]/|(?<![^{SPACE}])[:;=][-']?[()DPp](?![^{SPACE}])",
    re.IGNORECASE,
)
_ENDS_TOKEN = re.compile(rf"[{SPACE}{CJK}]")
_SPACES = re.compile(rf"[{SPACE}]*")
_LAST_SAFE = re.compile(rf"(?s:.*)(?:[{SPACE}]|[{CJK}](?=[^{_JOINING}]))")
_TOKEN_END = re.compile(rf"(?=[{SPACE}])|(?<=[{CJK}])(?=[^{_JOINING}])")
_TOKEN_START = re.compile(rf"(?s:.*)(?:[{SPACE}]|[{CJK}](?=[^{_JOINING}]))")

_RULE = re.compile(r"[-*_=]{3,}|[-*+•‣▪◦·]")
_HEADING = re.compile(r"#{1,6}")
_ORDERED = re.compile(r"\d{1,3}[.)]")
_TABLE_RULE = re.compile(r"[|:]*-[-|:]*")
_FENCE = re.compile(r"(`{3,}|~{3,})([^`\n]*)")

_BREAKING_TAGS = re.compile(r"blockquote|br|d[dlt]|div|h[1-6r]|li|ol|p|pre|table|t[dhr]|ul", re.IGNORECASE)
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
_ATTRIBUTES = r"(?:\s+[\w:@-]+\s*=\s*(?:\"[^\"<>\n]*\"|'[^'<>\n]*'|[^\s\"'<>=]+))*"
_TAG = re.compile(rf"</?[A-Za-z][\w:-]*{_ATTRIBUTES}\s*/?>|<\|[\w ]{{1,40}}\|>")
_COMMENT, _COMMENT_END = "<!--", "-->"
_TAG_BEGUN = re.compile(
    rf"</?(?:[A-Za-z][\w:-]*{_ATTRIBUTES}(?:\s+(?:[\w:@-]+\s*(?:=\s*(?:\"[^\"<>\n]*|'[^'<>\n]*|[^\s\"'<>=]+)?)?)?)?\s*/?)?"
    r"|<\|[\w ]{0,40}\|?|<!-?"
)
_OPENER = re.compile(r"[\[<【`]")
_TASK = re.compile(r"\[[ xX]\](?=\s)")
_TASK_START = re.compile(r"\[(?:[ xX](?:\])?)?$")
_UNSPEAKABLE = re.compile(rf"[{SPACE}{_INVISIBLE}]")
_BACKTICKS = re.compile("`+")
_QUOTE_MARKS = re.compile(">+")
_SILENCE = re.compile(r"[\W_]+")  # what str.isalnum calls neither letter nor digit
_LONG_SILENCE = re.compile(rf"[^\W_][\W_]{{{SILENT_CHARS_MAX + 1}}}")
_BREAK_RANKS = {"": 0, " ": 1, SOFT_BREAK: 2, HARD_BREAK: 3}

_DESTINATION = r"\((?:/[^/\n]+/|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?)\)"
_PATH = rf"[^\s<>\"”’`|*\]{CJK}]*[^\s<>\"”’`|*\].,;:!?'…_~)}}{CJK}]"
_URL = rf"(?:https?://|www\.){_PATH}|https?://"
_INLINE = re.compile(
    rf"(?P<link>!?\[(?P<label>[^\[\]\n]{{0,{LABEL_CHARS_MAX}}})\](?P<dest>{_DESTINATION}))"
    r"|(?P<note>\[\^[^\]\n]{1,40}\]|(?<=[^\W_])\[\d{1,3}\](?:\[\d{1,3}\])*|(?<=[.,;!?)\"”])\[\d{1,3}\](?:\[\d{1,3}\])*|【[^【】†\n]*†[^【】\n]*】)"
    rf"|(?P<reference>\[(?P<name>[^\[\]\n]{{1,{LABEL_CHARS_MAX}}})\]\[[^\[\]\n]{{0,{LABEL_CHARS_MAX}}}\])"
    r"|(?P<autolink><(?:https?://[^\s<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)>)"
    rf"|(?P<tag>{_TAG.pattern})"
    rf"|(?P<comment>{_COMMENT})"
    r"|(?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,})"
    rf"|(?P<url>{_URL})"
    rf"|(?P<domain>(?<![\w./@-])(?:[\w-]+\.)+(?:[A-Za-z]{{2,}}/{_PATH}|(?:com|org|net|io|dev|ai|edu|gov)/))"
    r"|(?P<code>`+)"
    r"|(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<emphasis>\*+|_+|~~+)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});)"
    rf"|(?P<emoji>{_EMOJI_RUN})"
    rf"|(?P<invisible>[{_INVISIBLE}]+)"
    rf"|(?P<emoticon>(?<![^{SPACE}])[:;=][-']?[()DPp](?![^{SPACE}]))"
    r"|(?P<pipe>\|+)",
    re.IGNORECASE,
)

# Where `_INLINE` may match: a glance, where the whole takes a microsecond a character.
_INLINE_START = re.compile(
    rf"(?i:http|www\.)|[\[<\\*_`&|【{_EMOJI}\ufe0e\ufe0f\u20e3\u200d{_INVISIBLE}]|!\[|~~|(?<![\w.-])[\w.+-]|(?<![^{SPACE}])[:;=]"
)

_SPOKEN = {  # how "." and "@" are read inside addresses
    "en": ("dot", "at"),
    "de": ("Punkt", "at"),
    "es": ("punto", "arroba"),
    "fr": ("point", "arobase"),
    "it": ("punto", "chiocciola"),
    "pt": ("ponto", "arroba"),
    "hi": ("डॉट", "एट"),
    "ja": ("ドット", "アット"),
    "zh": ("点", "艾特"),
}
_URL_STARTS = ("https://", "http://", "www.")
_CLOSED = frozenset('.!?…:;,؟۔।،؛。！？：；，、—–-("')  # after these a line end needs no full stop of its own


class Block(Enum):
    """What kind of line is being read."""

    PARAGRAPH = "paragraph"
    ITEM = "item"  # heading, list item: ends like a sentence
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Text that is not spoken: what it was, and its half-open range in the input."""

    what: str
    chars: tuple[int, int]


class Markup:
    """The speakable text of one utterance, growing.

    `text` is what is decided and not yet dropped, `origins[i]` the input index behind `text[i]`, `base` the number of
    characters dropped before `text[0]`. `tails` maps an index of all output to the end of the input that belongs to
    it, where that is more than the character itself (a URL's path, a closing `**`). `steps` counts what was decided: a
    measure of work, next to the number of characters.

    `text` is copied for each token, and what was fed for each decision: feed slices, and drop what is used up. `feed`,
    `finish` and `go_on` stop after `STEPS_MAX` steps; while `busy`, `go_on` before anything else.
    """

    def __init__(self, language: str, start: int = 0) -> None:
        self._dot, self._at = _SPOKEN.get(language.partition("-")[0].lower(), _SPOKEN["en"])
        self.text = ""
        self.origins: list[int] = []
        self.base = 0
        self.tails: dict[int, int] = {}
        self.skipped: list[Skipped] = []
        self.steps = 0
        self.busy = False
        self._finishing = False
        self._silent = 0  # how many characters without letter or digit `text` ends in, as far as that matters
        self._pause: str | None = None  # what was left out behind them held this break; None where nothing was
        self._pause_at = start
        self._raw = ""
        self._start = start  # input index of _raw[0]
        self._before = " "  # the character before _raw[0]
        self._line_start = True
        self._line_ends = 0  # newlines since the last token
        self._line_end_at = start
        self._block = Block.PARAGRAPH
        self._marked = False  # a heading's or list item's marker was taken away on this line
        self._code = 0  # length of the backtick run that is open
        self._fence = ""
        self._fence_at = 0
        self._code_line = False  # the line at hand cannot close the fence
        self._token_left = 0  # characters of the token at hand, part of which has been given out
        self._token_from = 0  # where its output begins
        self._steps_max = 0
        self._opened: tuple[int, int, int] | None = (
            None  # where `_extent` goes on: for which token, from where, its end
        )
        self._comment_open = start  # no comment ends before this input index
        self._pipe_at = -1  # where the last table cell's comma came from
        self._emoji_said = False

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
        return "" if self._fence or self._line_start else self._raw

    @property
    def peek(self) -> str:
        """What will follow `text` up to the first letter or digit, if that is certain and is here; else ""."""
        raw = self._raw
        if not raw or self.busy or self._fence or self._line_start or not raw[0].isalnum():
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
        held = self._raw
        if held and held[-1] < FIRST_CJK and not _ENDS_TOKEN.search(piece) and len(held) + len(piece) < TOKEN_CHARS_MAX:
            self._raw += piece  # the token goes on
            return
        self._raw = held + piece if held else piece
        assert not self.busy, "what was fed before is decided first"
        if not self._line_start and not self._fence:
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

    def release(self) -> None:
        """Give out the unfinished token as it stands."""
        self._inline(len(self._raw))
        while self._token_left:
            self._inline_part()

    def copy(self) -> Markup:
        """A copy with the same state, independent from now on."""
        twin = copy.copy(self)
        twin.origins, twin.tails, twin.skipped = self.origins[:], self.tails.copy(), []
        return twin

    def drop(self, count: int) -> None:
        """Forget the first `count` characters of `text`."""
        self.text = self.text[count:]
        del self.origins[:count]
        self.base += count
        if self.tails:
            self.tails = {at: end for at, end in self.tails.items() if at >= self.base}

    # -- deciding -------------------------------------------------------------------------

    def _plain_until(self) -> int:
        """How much of `_raw` is whole tokens, if none of them is special; else 0."""
        raw = self._raw
        if self._code or _SPECIAL.search(raw):
            return 0
        if raw.isascii():
            return raw.rfind(" ") + 1  # other ASCII whitespace is special
        safe = _LAST_SAFE.match(raw)
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
            last = _TOKEN_START.match(raw, 0, until + 1 if until < len(raw) else until)
            plain = min(last.end(), until) if last else 0
            if final and special is None:
                plain = len(raw)
            if plain:
                self._copy(plain)
                return True
        end = self._extent(final)
        if end is None:
            return False
        self._inline(end)
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
        if raw[0].isalpha():
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
        """A line of this kind begins: give out the line end before it, now that its kind is known."""
        self._line_start = False
        if self._marked:
            block, self._marked = Block.ITEM, False
        prior = self._block
        if not self._line_ends:
            self._block = block
            return
        hard = self._line_ends > 1 or prior is not Block.PARAGRAPH or block is not Block.PARAGRAPH
        self._line_ends = 0
        self._end_row()
        self._block = block
        self._trim_spaces()
        if not hard:
            soft = bool(self._raw) and self._raw[0].isupper()
            self._emit(SOFT_BREAK if soft else " ", (self._line_end_at,))
            return
        self._code = 0
        last = self.text[-1:]
        if last and last not in _CLOSED and last not in " \n\v":
            self._emit(".", (self._line_end_at,))
        self._emit(HARD_BREAK, (self._line_end_at,))

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

    # -- tokens ---------------------------------------------------------------------------

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

    def _closing_tag(self, at: int, final: bool) -> int | None:
        raw = self._raw
        if raw.startswith(_COMMENT, at):
            return self._closing_comment(at, final)
        tag = _TAG.match(raw, at, TOKEN_CHARS_MAX)
        if tag is not None:
            return tag.end()
        if final or len(raw) >= min(at + TAG_CHARS_MAX, TOKEN_CHARS_MAX):
            return at + 1
        return None if _TAG_BEGUN.fullmatch(raw, at) else at + 1

    def _closing_comment(self, at: int, final: bool) -> int | None:
        raw = self._raw
        look_from = max(at + len(_COMMENT), self._comment_open - self._start)
        end = raw.find(_COMMENT_END, look_from, TOKEN_CHARS_MAX)
        if end >= 0:
            return end + len(_COMMENT_END)
        looked_to = min(len(raw), TOKEN_CHARS_MAX) - len(_COMMENT_END) + 1
        self._comment_open = self._start + max(look_from, looked_to)
        return at + 1 if final or len(raw) >= TOKEN_CHARS_MAX else None

    def _inline(self, end: int) -> None:
        """Give out the token `_raw[:end]` without its markup."""
        if self._block is Block.TABLE and _TABLE_RULE.fullmatch(self._raw, 0, end):
            self._advance(end)
            return
        self._token_left = end
        self._token_from = len(self.text) + self.base
        self._inline_part()

    def _inline_part(self) -> None:
        """Give out more of the token at hand; how much depends on nothing but the token."""
        end = self._token_left
        context = self._before + self._raw[: end + 1]  # flanks and lookbehinds see the neighbours
        done = self._transform(context, 1, end + 1, self._start - 1, PART_STEPS) - 1
        after = len(self.text) + self.base
        if done == end and after > self._token_from and self.origins[-1] + 1 != self._start + end:
            self.tails[after - 1] = self._start + end
        self._token_left = end - done
        self._advance(done)

    def _transform(self, context: str, at: int, end: int, start: int, steps: float = math.inf) -> int:
        """Give out `context[at:end]`, or what takes so many steps; `context[0]` is input index `start`.

        Returns the index in `context` behind what was given out.
        """
        closes = True  # whether a comment may end before `end`
        given = at  # everything before it has been given out
        while at < end:
            if steps <= 0:
                break
            steps -= 1
            self.steps += 1
            if self._code:
                at = given = self._code_span(context, at, end, start)
                continue
            place = _INLINE_START.search(context, at, end)
            if place is None:
                at = end
                break
            at = place.start()
            found = _INLINE.match(context, at, min(len(context), end + 1))
            if found is not None and found.end() > end:
                found = _INLINE.match(context, at, end)
            if found is None:
                at += 1
                continue
            close = found.end()
            if found.lastgroup == "comment":
                close = context.find(_COMMENT_END, close, end) + len(_COMMENT_END) if closes else 0
                closes = close >= len(_COMMENT_END)
                if not closes:
                    at += 1
                    continue
            self._verbatim(context, given, at, start)
            self._replace(found, context, start)
            at = given = close
        self._verbatim(context, given, at, start)
        return at

    def _code_span(self, context: str, at: int, end: int, start: int) -> int:
        """Give out code up to the run of backticks that is as long as the one that opened it; returns where it ends."""
        for run in _BACKTICKS.finditer(context, at, end):
            if len(run[0]) == self._code and context[run.start() - 1] != "`":
                self._verbatim(context, at, run.start(), start)
                self._code = 0
                return run.end()
        self._verbatim(context, at, end, start)
        return end

    def _verbatim(self, context: str, at: int, end: int, start: int) -> None:
        if end <= at:
            return
        piece = context[at:end]
        if not piece.isprintable():
            piece = _UNSPEAKABLE.sub(" ", piece)
        self._emit(piece, range(start + at, start + end))

    def _replace(self, found: re.Match[str], context: str, start: int) -> None:
        """Give out what stands for one piece of markup."""
        kind = found.lastgroup
        at, end = start + found.start(), start + found.end()
        match kind:
            case "link":
                self._link(found, start)
            case "reference":
                self._label(found["name"], start + found.start("name"))
            case "autolink" | "url" | "domain" | "email":
                self._address(found[0], at, end)
            case "tag":
                name = _TAG_NAME.match(found[0])
                if name and _BREAKING_TAGS.fullmatch(name[1]):
                    self._emit(SOFT_BREAK, (at,))
            case "code":
                self._code = len(found[0])
            case "escape":
                if found[0][1] not in "()[]":
                    self._emit(found[0][1], (at,))
            case "emphasis":
                if _is_literal(found, context):
                    self._emit(found[0], range(at, end))
            case "entity":
                plain = _UNSPEAKABLE.sub(" ", html.unescape(found[0]))
                self._emit(plain, (at,) * len(plain))
            case "emoji":
                if not self._emoji_said:
                    self._emoji_said = True
                    self._skip("an emoji", at, end)
                self._close_up(context, found.end())
            case "pipe":
                self._pipe(found[0], at)
            case "note":
                self._close_up(context, found.end())
            case _:
                pass  # comments, emoticons and invisible characters leave nothing

    def _close_up(self, context: str, at: int) -> None:
        """After something left out: no space before the punctuation that follows."""
        if context[at : at + 1] in tuple(".,;:!?"):
            self._trim_spaces()

    def _link(self, found: re.Match[str], start: int) -> None:
        destination = found["dest"]
        if len(destination) > 4 and destination.startswith("(/") and destination.endswith("/)"):
            whole = found[0].lstrip("!").replace(" ", GLUE)  # a pronunciation: the engine reads it
            self._emit(whole, range(start + found.end() - len(whole), start + found.end()))
        elif found["label"].strip():
            self._label(found["label"], start + found.start("label"))

    def _label(self, label: str, at: int) -> None:
        """Give out the text of a link, which may have markup of its own."""
        self._transform(f" {label} ", 1, len(label) + 1, at - 1)
        self._code = 0

    def _address(self, address: str, at: int, end: int) -> None:
        """Read a URL as its host, an e-mail address whole: "ann at example dot com"."""
        host = re.sub(r"^(?:https?://)?(?:[^/@]*@)?(?:www\.)?", "", address.strip("<>"), flags=re.IGNORECASE)
        if "://" not in address and "@" in address:
            host = address.strip("<>")
        host = re.split(r"[/?#:\\]", host, maxsplit=1)[0].strip(".")
        if not host:
            self._skip("a link", at, end)
            return
        first = at + address.index(host)
        spoken: list[str] = []
        origins: list[int] = []
        for i, char in enumerate(host):
            word = self._dot if char == "." else self._at if char == "@" else ""
            said = f"{GLUE}{word}{GLUE}" if word else char
            spoken.append(said)
            origins.extend([first + i] * len(said))
        self._emit("".join(spoken), origins)

    def _end_row(self) -> None:
        """The comma after the last cell of a table's row is a full stop."""
        kept = len(self.text.rstrip(" "))
        if self._block is Block.TABLE and self.text[:kept].endswith(",") and self.origins[kept - 1] == self._pipe_at:
            self.text = self.text[: kept - 1] + "." + self.text[kept:]

    def _pipe(self, pipes: str, at: int) -> None:
        """A cell ends: a comma in a table, itself elsewhere."""
        if self._block is not Block.TABLE:
            self._emit(pipes, range(at, at + len(pipes)))
            return
        kept = len(self.text.rstrip(" "))
        if kept and self.text[kept - 1] not in _CLOSED and self.text[kept - 1] not in "\n\v":
            self._trim(kept)
            self._emit(",", (at,))
            self._pipe_at = at
            if self._raw[at - self._start + 1 : at - self._start + 2] not in (" ", "\n", ""):
                self._emit(" ", (at,))

    # -- bookkeeping ----------------------------------------------------------------------

    def _copy(self, count: int) -> None:
        self._emit(self._raw[:count], range(self._start, self._start + count))
        self._advance(count)

    def _emit(self, text: str, origins: range | list[int] | tuple[int, ...]) -> None:
        """Give out `text`, but for what makes a run of silent characters too long."""
        if self._pause is None and (len(text) + self._silent <= SILENT_CHARS_MAX or not self._is_silent(text)):
            self._append(text, origins)
            return
        at = 0
        for run in _SILENCE.finditer(text):
            if run.start() > at:
                self._append(text[at : run.start()], origins[at : run.start()])
            at = run.end()
            room = 0 if self._pause is not None else max(0, SILENT_CHARS_MAX - self._silent)
            kept = min(run.start() + room, at)
            if kept > run.start():
                self._append(text[run.start() : kept], origins[run.start() : kept])
            if kept < at:
                self._leave_out(text[kept:at], origins[kept:at])
        if at < len(text):
            self._append(text[at:], origins[at:])

    def _is_silent(self, text: str) -> bool:
        """Whether there is a run of silent characters in `text` that is too long, with those before it."""
        leading = _SILENCE.match(text)
        if leading and leading.end() + self._silent > SILENT_CHARS_MAX:
            return True
        return _LONG_SILENCE.search(text) is not None

    def _append(self, text: str, origins: range | list[int] | tuple[int, ...]) -> None:
        """Append what is all kept; before it comes the break of what was left out."""
        if self._pause:
            text, origins = self._pause + text, (self._pause_at, *origins)
        self._pause = None
        self.text += text
        self.origins.extend(origins)
        if text[-1:].isalnum():
            self._silent = 0
            return
        silent = 0
        for char in reversed(text):
            if char.isalnum():
                self._silent = silent
                return
            silent += 1
        self._silent += silent

    def _leave_out(self, text: str, origins: range | list[int] | tuple[int, ...]) -> None:
        """Note what is left out: up to a break at its end it belongs to the character before it."""
        pause = self._pause or ""
        for char in (HARD_BREAK, SOFT_BREAK, " "):
            if char in text:
                pause = max(pause, char, key=_BREAK_RANKS.__getitem__)
                break
        self._pause, self._pause_at = pause, origins[-1]
        signs = len(text.rstrip(f" {HARD_BREAK}{SOFT_BREAK}"))
        if signs:
            self.tails[self.base + len(self.text) - 1] = origins[signs - 1] + 1

    def _trim_spaces(self) -> None:
        """Take back the spaces that the output ends in."""
        if self._pause is not None:
            self._pause = "" if self._pause == " " else self._pause
            return
        kept = len(self.text)
        while kept and self.text[kept - 1] == " ":
            kept -= 1
        if kept < len(self.text):
            self._trim(kept)

    def _trim(self, length: int) -> None:
        """Take back the output from `text[length]` on."""
        for at in range(length, len(self.text)):
            self.tails.pop(self.base + at, None)
        self._silent = max(0, self._silent - (len(self.text) - length))
        self.text = self.text[:length]
        del self.origins[length:]

    def _advance(self, count: int) -> None:
        if count:
            self._before = self._raw[count - 1]
            self._raw = self._raw[count:]
            self._start += count

    def _skip(self, what: str, at: int, end: int) -> None:
        self.skipped.append(Skipped(what, (at, end)))


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


def _is_literal(run: re.Match[str], context: str) -> bool:
    """Whether a run of `*`, `_` or `~` is text rather than emphasis (after CommonMark's flanking rules)."""
    before = context[run.start() - 1 : run.start()] or " "
    after = context[run.end() : run.end() + 1] or " "
    if before.isspace() and after.isspace():
        return True
    if run[0][0] == "_":
        return before.isalnum() and after.isalnum()
    inside = before.isascii() and after.isascii() and before.isalnum() and after.isalnum()
    if run[0] == "*":
        return inside
    return inside and before.isdigit() and after.isdigit()
