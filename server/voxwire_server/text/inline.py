"""Turns the inline markup of one token into speakable text: links, addresses, code spans, emphasis, formulas, emoji."""

from __future__ import annotations

import html
import math
import re
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from voxwire_server.speech import Reading
from voxwire_server.text.controls import (
    PLAIN,
    Pause,
    Style,
    StyleChange,
    attributes_of,
    break_seconds,
    rate_of,
    seconds_of,
)
from voxwire_server.text.formulas import formula_at, piece_end
from voxwire_server.text.mathematics import spoken_parts, symbols
from voxwire_server.text.speakable import CJK, CLOSED, EMOJI, GLUE, INVISIBLE, SOFT_BREAK, SPACE, SpeakableText

if TYPE_CHECKING:
    from voxwire_server.text.formulas import Formula

LABEL_CHARS_MAX = 300
CARTESIA = "cartesia"
DIALECT_TAGS = {CARTESIA: ("break", "speed", "volume", "spell")}
"""The tags that a vendor's clients may write into text that is no SSML."""
SPELL_CHARS_MAX = 100
"""The longest text that a tag has spelled."""
SIGN_STEPS = 2  # reading one sign of a formula takes as long as so many decisions
COMMAND_STEPS = 5  # and looking for one
FORMULA_SUFFIXED_CHARS_MAX = 3  # what may go on as a word, with the space before it: the nth
COMMENT, COMMENT_END = "<!--", "-->"

_EMOJI_RUN = (
    rf"[{EMOJI}][{EMOJI}\u200d\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]*|\ufe0f?\u20e3"
    r"|[\ufe0e\ufe0f\u20e3\u200d]+(?![\w])"
)
_BREAKING_TAGS = re.compile(
    r"(?P<soft>br|t[dh]|wbr)|blockquote|article|section|caption|figcaption|d[dlt]|div|h[1-6r]|header|footer|li|ol|p|pre"
    r"|table|tbody|thead|tr|ul",
    re.IGNORECASE,
)
_TAG_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9-]*)")
_ATTRIBUTES = r"(?:\s+[\w:@-]+\s*=\s*(?:\"[^\"<>\n]*\"|'[^'<>\n]*'|[^\s\"'<>=]+))*"
TAG = re.compile(rf"</?[A-Za-z][\w:-]*{_ATTRIBUTES}\s*/?>|<\|[\w ]{{1,40}}\|>")
TAG_BEGUN = re.compile(
    rf"</?(?:[A-Za-z][\w:-]*{_ATTRIBUTES}(?:\s+(?:[\w:@-]+\s*(?:=\s*(?:\"[^\"<>\n]*|'[^'<>\n]*|[^\s\"'<>=]+)?)?)?)?\s*/?)?"
    r"|<\|[\w ]{0,40}\|?|<!-?"
)
_NUMBER_DOMAIN = re.compile(r"[\d.]+\.[A-Za-z]{2,}\Z")  # "no. 5.in all"
_UNSPEAKABLE = re.compile(rf"[{SPACE}{INVISIBLE}]")
_BACKTICKS = re.compile("`+")

_DESTINATION = r"\((?:/[^/\n]+/|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'))?)\)"
_PATH = rf"[^\s<>\"”’`|*\]{CJK}]*[^\s<>\"”’`|*\].,;:!?'…_~)}}{CJK}]"
# Usual top-level domains (IANA), less those that are also common words or endings of file names.
TOP_DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|dev|ai|app|tv|me|co|us|ca|uk|ie|au|nz|za|de|at|ch|nl|lu|fr|es|pt|it|gr|eu"
    "|pl|cz|sk|hu|ro|bg|hr|si|se|dk|fi|ee|lv|lt|ru|ua|tr|il|ae|in|cn|jp|kr|tw|hk|sg|vn|th|ph|br|mx|ar|cl|pe|ng|ke|gg|fm"
    "|xyz|online|shop|blog|cloud|tech|wiki|museum|travel"
)
_TOP_DOMAIN = rf"(?-i:{TOP_DOMAINS})(?![\w-]|\.\w|\()"

_URL = rf"(?:https?://|www\.){_PATH}|https?://"
_INLINE = re.compile(
    r"(?P<silence>\[pause:\s{0,4}(?P<seconds>[\d.]{1,8}\s{0,4}m?s)\s{0,4}\])"
    rf"|(?P<link>!?\[(?P<label>[^\[\]\n]{{0,{LABEL_CHARS_MAX}}})\](?P<dest>{_DESTINATION}))"
    r"|(?P<note>\[\^[^\]\n]{1,40}\]|(?<=[^\W_])\[[1-9]\d{0,2}\](?:\[\d{1,3}\])*|(?<=[.,;!?)\"”])\[\d{1,3}\](?:\[\d{1,3}\])*|【[^【】†\n]*†[^【】\n]*】)"
    rf"|(?P<reference>\[(?P<name>[^\[\]\n]{{1,{LABEL_CHARS_MAX}}})\]\[[^\[\]\n]{{0,{LABEL_CHARS_MAX}}}\])"
    r"|(?P<autolink><(?:https?://[^\s<>]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+)>)"
    rf"|(?P<tag>{TAG.pattern})"
    rf"|(?P<comment>{COMMENT})"
    r"|(?P<email>(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,})"
    rf"|(?P<url>{_URL})"
    rf"|(?P<domain>(?<![\w./@-])(?:[\w-]+\.)+(?:[A-Za-z]{{2,}}/{_PATH}|{_TOP_DOMAIN}/?))"
    r"|(?P<code>`+)"
    r"|(?P<escape>\\[!-/:-@\[-`{-~])"
    r"|(?P<dunder>(?<![\w*])__(?:init|main|name|str|repr|call|new|del|eq|ne|lt|gt|le|ge|hash|len|iter|next|enter|exit|get|set"
    r"|getitem|setitem|delitem|contains|getattr|setattr|dict|doc|file|all|slots|class|module|version|add|sub|mul|bool"
    r"|post_init|future|annotations|pycache|aenter|aexit|await|import|path|package|author|format)__(?!\w))"
    r"|(?P<emphasis>\*+|_+|~~+)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});)"
    rf"|(?P<emoji>{_EMOJI_RUN})"
    rf"|(?P<invisible>[{INVISIBLE}]+)"
    rf"|(?P<emoticon>(?<![^{SPACE}])[:;=][-']?[()DPp](?![^{SPACE}]))"
    r"|(?P<pipe>\|+)",
    re.IGNORECASE,
)

# Where `_INLINE` may match: a glance, where the whole takes a microsecond a character.
_INLINE_START = re.compile(
    rf"(?i:http|www\.)|[\[<\\$*_`&|【{EMOJI}\ufe0e\ufe0f\u20e3\u200d{INVISIBLE}]|!\[|~~|(?<![\w.-])[\w.+-]|(?<![^{SPACE}])[:;=]"
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
FORMULA_GLUE_CHARS_MAX = 60  # a formula of no more characters of speech is not cut
_CJK_CHAR = re.compile(rf"[{CJK}]")


class Block(Enum):
    """What kind of line is being read."""

    PARAGRAPH = "paragraph"
    ITEM = "item"  # heading, list item: ends like a sentence
    TABLE = "table"


class InlineMarkup(SpeakableText):
    """Appends tokens of a line without their inline markup.

    `steps` counts what was decided: a measure of work, next to the number of characters.
    """

    def __init__(self, language: str, start: int = 0, tags: frozenset[str] = frozenset()) -> None:
        super().__init__(start)
        self._language = language
        self._tags = tags
        self._style = PLAIN
        self._spell_at = -1  # output index at which what is to be spelled begins
        base = language.partition("-")[0].lower()
        self._dot, self._at = _SPOKEN.get(base, _SPOKEN["en"])
        self._reads_formulas = base == "en"
        self.steps = 0
        self._raw = ""
        self._start = start  # input index of _raw[0]
        self._block = Block.PARAGRAPH
        self._code = 0  # length of the backtick run that is open
        self._formula: tuple[int, int, bool] | None = (
            None  # where the open formula ends, and its delimiter; if it is short
        )
        self._pipe_at = -1  # where the last table cell's comma came from
        self._emoji_skipped = False  # one warning an utterance is enough

    def _transform(self, context: str, at: int, end: int, start: int, steps: float = math.inf) -> int:
        """Append `context[at:end]` to the output without its markup, or as much of it as takes `steps` steps.

        `context[0]` is input index `start`. Returns the index in `context` behind what was appended.
        """
        closes = True  # whether a comment may end before `end`
        given = at  # everything before it has been appended
        while at < end:
            if steps <= 0:
                break
            steps -= 1
            self.steps += 1
            if self._code:
                at = given = self._code_span(context, at, end, start)
                continue
            if self._formula is not None:
                work = self.steps
                at = given = self._formula_piece(context, at, start)
                steps -= self.steps - work
                continue
            place = _INLINE_START.search(context, at, end)
            if place is None:
                at = end
                break
            at = place.start()
            if context[at] in "$\\":
                self.steps += COMMAND_STEPS
                formula = formula_at(context, at, context[at - 1 : at], end, final=True)
                if formula:
                    self._verbatim(context, given, at, start)
                    self._open_formula(context, formula, start)
                    at = given = formula.body
                    continue
            found = _INLINE.match(context, at, min(len(context), end + 1))
            if found is not None and found.end() > end:
                found = _INLINE.match(context, at, end)
            if found is None:
                at += 1
                continue
            close = found.end()
            if found.lastgroup == "comment":
                close = context.find(COMMENT_END, close, end) + len(COMMENT_END) if closes else 0
                closes = close >= len(COMMENT_END)
                if not closes:
                    at += 1
                    continue
            self._verbatim(context, given, at, start)
            self._replace(found, context, start)
            at = given = close
        self._verbatim(context, given, at, start)
        return at

    def _open_formula(self, context: str, formula: Formula, start: int) -> None:
        is_short = formula.body_end - formula.body <= FORMULA_GLUE_CHARS_MAX
        self._formula = (start + formula.body_end, start + formula.end, is_short)
        if self._is_joined(context[formula.start - 1 : formula.start]):
            self._emit(" ", (start + formula.start,))

    def _formula_piece(self, context: str, at: int, start: int) -> int:
        """Append what is said for the formula at hand, or for as much of it as is read at once; returns its end."""
        assert self._formula is not None, "a formula is open"
        body_end, formula_end, is_short = self._formula
        end, signs = piece_end(context, at, body_end - start)
        latex = context[at:end]
        self.steps += SIGN_STEPS * signs
        pieces = spoken_parts(latex) if self._reads_formulas else symbols(latex)
        glues = is_short and sum(len(text) for text, _ in pieces) <= FORMULA_GLUE_CHARS_MAX
        if pieces and self.text[-1:].isalnum():
            self._emit(GLUE if is_short else " ", (start + at,))
        before = -1
        for text, position in pieces:
            # A cut needs another origin behind it.
            lead = "" if text[0] != " " else GLUE if glues or position <= before else " "
            said = lead + text.lstrip(" ").replace(" ", GLUE)
            self._emit(said, (start + at + position,) * len(said))
            before = position
        if end < body_end - start:
            return end
        self._formula = None
        if pieces:
            self.tails[self.base + len(self.text) - 1] = formula_end
            following = context[formula_end - start : formula_end - start + 1]
            if self._is_joined(following) and len(pieces[-1][0]) > FORMULA_SUFFIXED_CHARS_MAX:
                self._emit(" ", (formula_end - 1,))
        return formula_end - start

    def _is_joined(self, neighbour: str) -> bool:
        """Whether the output so far would become one word with `neighbour`, a character beside something replaced."""
        last = self.text[-1:]
        return last.isalnum() and neighbour.isalnum() and not (_CJK_CHAR.match(last) and _CJK_CHAR.match(neighbour))

    def _code_span(self, context: str, at: int, end: int, start: int) -> int:
        """Append code to the output, up to the run of backticks that is as long as the opening one; returns its end."""
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
        """Append to the output what is spoken for one piece of markup."""
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
                breaking = _BREAKING_TAGS.fullmatch(name[1]) if name else None
                if breaking and breaking["soft"]:
                    self._emit(SOFT_BREAK, (at,))
                elif breaking:
                    self._hard_break(at)
                elif name and name[1].lower() in self._tags:
                    self._follow(name[1].lower(), found[0], end)
            case "silence":
                seconds = seconds_of(found["seconds"]) if "pause" in self._tags else None
                if seconds:
                    self._control(Pause(seconds), end)
                elif seconds is None:
                    self._emit(found[0], range(at, end))
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
                if not self._emoji_skipped:
                    self._emoji_skipped = True
                    self._skip("an emoji", at, end)
                self._close_up(context, found.end())
                if self._is_joined(context[found.end() : found.end() + 1]):
                    self._emit(" ", (at,))
            case "dunder":
                self._emit(found[0], range(at, end))
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

    def _follow(self, name: str, tag: str, end: int) -> None:
        """Do what a tag says that is followed in this text: a pause, or what some vendors have."""
        attributes = attributes_of(tag)
        match name:
            case "break":
                seconds = break_seconds(attributes.get("time"), attributes.get("strength"))
                if seconds and not tag.startswith("</"):
                    self._control(Pause(seconds), end)
            case "speed":
                rate = rate_of(attributes.get("ratio", ""), self._style.rate)
                self._set_style(replace(self._style, rate=self._style.rate if rate is None else rate), end)
            case "volume":
                gain = rate_of(attributes.get("ratio", ""), self._style.gain)
                self._set_style(replace(self._style, gain=self._style.gain if gain is None else gain), end)
            case "spell":
                at = self.base + len(self.text)
                if tag.startswith("</") and 0 <= self._spell_at < at <= self._spell_at + SPELL_CHARS_MAX:
                    self.readings.append(Reading(self._spell_at, at, "say-as", "characters"))
                self._spell_at = -1 if tag.startswith("</") else at
            case _:
                pass

    def _set_style(self, style: Style, end: int) -> None:
        """Say what follows in a style; `end` is where the input ends that says so."""
        if style != self._style:
            self._style = style
            self._control(StyleChange(style), end)

    def _link(self, found: re.Match[str], start: int) -> None:
        destination = found["dest"]
        if len(destination) > 4 and destination.startswith("(/") and destination.endswith("/)"):
            whole = found[0].lstrip("!").replace(" ", GLUE)  # a pronunciation: the engine reads it
            self._emit(whole, range(start + found.end() - len(whole), start + found.end()))
        elif found["label"].strip():
            self._label(found["label"], start + found.start("label"))

    def _label(self, label: str, at: int) -> None:
        """Append the text of a link, which may have markup of its own, to the output."""
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
        if _NUMBER_DOMAIN.match(host):
            self._emit(address, range(at, end))
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
        if kept and self.text[kept - 1] not in CLOSED and self.text[kept - 1] not in "\n\v":
            self._trim(kept)
            self._emit(",", (at,))
            self._pipe_at = at
            if self._raw[at - self._start + 1 : at - self._start + 2] not in (" ", "\n", ""):
                self._emit(" ", (at,))


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
        return inside or (before in ")0123456789" and (after == "(" or (before == ")" and after.isalnum())))
    return inside and before.isdigit() and after.isdigit()
