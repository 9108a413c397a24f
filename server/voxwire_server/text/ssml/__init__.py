"""Turns SSML into speakable text, with its pauses, marks, styles and readings, while it is still being written.

`Ssml` stands where `markup.Markup` does for other text, and gives the same output for any split of its input. It reads
W3C SSML 1.1, or fragments of it without `speak`; inside is plain text. What is broken is read as well as can be, with a
warning that says where: a `<` or `&` that begins nothing is text, an end tag without its start is passed over.

It reads tags itself: an XML parser stops at the first error, can't be copied for a `retract`, and gives text when its
buffer pleases. Documents that are well-formed are read as expat reads them (`tests/unit/text/test_ssml.py`). A document
type declaration is passed over, and with it all entities but XML's and HTML's own: nothing expands.

    pieces -> Ssml (tags, references) -> SsmlElements (what they do) -> SsmlOutput (text, controls, readings)
"""

from __future__ import annotations

import copy
import re
from html.entities import html5

from voxwire_server.text.controls import NAME, PLAIN, VALUE, StyleChange
from voxwire_server.text.ssml.elements import SsmlElements

__all__ = ["Ssml"]

TAG_CHARS_MAX = 2048

_TAG = re.compile(rf"<(?P<close>/?)(?P<name>{NAME})(?P<attributes>(?:\s++{NAME}\s*+=\s*+{VALUE})*+)\s*+(?P<empty>/?)>")
_TAG_BEGUN = re.compile(
    rf"</?(?:{NAME}(?:\s++{NAME}\s*+=\s*+{VALUE})*+"
    rf"(?:\s++(?:{NAME}\s*+(?:=\s*+(?:\"[^\"<]*+|'[^'<]*+|[^\s\"'<>=/]++)?+)?+)?+)?+\s*+/?)?+"
)
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9._-]{0,30});")
_REFERENCE_BEGUN = re.compile(r"&(?:#(?:\d{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z][A-Za-z0-9._-]{0,30})?")
_DECLARED = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<!DOCTYPE", ">"), ("<?", "?>"))
_DECLARED_CHARS = max(len(opens) for opens, _ in _DECLARED)
_DOCTYPE_SIGN = re.compile(r"[\"'\[\]>]")
_TAG_STARTS = re.compile("[A-Za-z_/]")
_SPECIAL = re.compile("[<&]")


class Ssml(SsmlElements):
    """The speakable text of one utterance, growing; the interface is that of `Markup`."""

    busy = False  # a slice is read at once
    line_ended = False

    def __init__(self, language: str, start: int = 0, dialect: str = "") -> None:
        super().__init__(start, dialect)
        self._language = language
        self._raw = ""  # input from _start on, not decided yet
        self._until = ""  # what ends the comment, CDATA section, instruction or declaration that is open
        self._brackets = 0  # of a document type declaration
        self._quote = ""

    @property
    def held_chars(self) -> int:
        """Input characters not decided yet."""
        return len(self._raw) + len(self._token) + len(self._reading or ())

    @property
    def read_to(self) -> int:
        """The input index behind everything fed."""
        return self._start + len(self._raw)

    @property
    def held(self) -> str:
        """The unfinished token after `text`, or "" where nothing is known of it."""
        return self._token if not self._raw and self._reading is None and self._style_due is None else ""

    @property
    def peek(self) -> str:
        """What will follow `text` up to the first letter or digit, if that is certain and is here; else ""."""
        token = self._token
        if not token or not token[0].isalnum() or self._style_due is not None or self._gap:
            return ""
        return (self._pause or "") + token[0]

    def feed(self, piece: str) -> None:
        """Append input and decide what can be decided."""
        self._raw += piece
        self._decide(final=False)

    def finish(self) -> None:
        """Decide everything: no more input comes."""
        self._decide(final=True)
        self._end_token()
        if self._reading is not None:
            self._end_reading(self._start)
            self._reading = []
        self._change_style()

    def go_on(self) -> None:
        """Do nothing: everything fed has been decided."""

    def release(self) -> None:
        """Append the unfinished token to the output as it stands."""
        self._end_token()

    def copy(self) -> Ssml:
        """A copy with the same state, independent from now on."""
        twin = copy.copy(self)
        twin.origins, twin.tails, twin.skipped = self.origins[:], self.tails.copy(), []
        twin.controls, twin.readings = self.controls[:], self.readings[:]
        twin._origins, twin._ends = self._origins[:], self._ends.copy()
        twin._reading = None if self._reading is None else self._reading[:]
        return twin

    def next_utterance(self, start: int) -> Ssml:
        """The text of the utterance that begins at input index `start`: elements that are open go on."""
        following = Ssml(self._language, start, self._dialect)
        following._open, following._too_deep, following._muted = self._open, self._too_deep, self._muted
        following._style, following._told, following._faults = self._style, self._told, self._faults
        following._until, following._brackets, following._quote = self._until, self._brackets, self._quote
        following._reading, following._reading_at = None if self._reading is None else [], self._reading_at
        if following._style != PLAIN:
            following._control(StyleChange(following._style), start)
        return following

    # -- tokens ----------------------------------------------------------------------------

    def _decide(self, *, final: bool) -> None:
        while self._raw:
            self.steps += 1
            if self._until:
                moved = self._pass_declared()
            elif self._raw[0] == "<":
                moved = self._markup(final=final)
            elif self._raw[0] == "&":
                moved = self._reference(final=final)
            else:
                special = _SPECIAL.search(self._raw)
                self._text(self._advance(len(self._raw) if special is None else special.start()))
                moved = True
            if not moved:
                return

    def _advance(self, count: int) -> str:
        taken, self._raw = self._raw[:count], self._raw[count:]
        self._start += count
        return taken

    def _markup(self, *, final: bool) -> bool:
        """Read the tag or declaration at hand; False while it can't be told what it is."""
        raw = self._raw
        for opens, closes in _DECLARED:
            if raw.startswith(opens):
                self._declared(opens, closes)
                return True
            if not final and len(raw) < _DECLARED_CHARS and opens.startswith(raw):
                return False
        if len(raw) > 1 and not _TAG_STARTS.match(raw, 1):
            self._broken("a '<' begins no tag", self._start)
            self._text(self._advance(1))
            return True
        tag = _TAG.match(raw, 0, TAG_CHARS_MAX)
        if tag is not None:
            at = self._start
            self._advance(tag.end())
            self._tag(tag, at)
            return True
        begun = len(raw) < TAG_CHARS_MAX and _TAG_BEGUN.fullmatch(raw) is not None
        if begun and not final:
            return False
        if begun and len(raw) > 1:
            self._broken("a tag has no end", self._start)
            self._advance(len(raw))
            return True
        self._broken("a '<' begins no tag", self._start)
        self._text(self._advance(1))
        return True

    def _declared(self, opens: str, closes: str) -> None:
        if opens == "<!DOCTYPE":
            self._tell("doctype", "a document type declaration is not read, nor the entities in it", self._start)
            self._brackets, self._quote = 0, ""
        self._until = closes
        self._advance(len(opens))

    def _pass_declared(self) -> bool:
        """Pass over what is in a comment, instruction or declaration; of a CDATA section it is text."""
        closes = self._until
        if closes == ">":
            return self._pass_doctype()
        end = self._raw.find(closes)
        count = end if end >= 0 else len(self._raw) - _overlap(self._raw, closes)
        if closes == "]]>":
            self._text(self._advance(count))
        else:
            self._advance(count)
        if end < 0:
            return False
        self._advance(len(closes))
        self._until = ""
        return True

    def _pass_doctype(self) -> bool:
        at = 0
        while sign := _DOCTYPE_SIGN.search(self._raw, at):
            at = sign.end()
            if self._quote:
                self._quote = "" if sign[0] == self._quote else self._quote
            elif sign[0] in "\"'":
                self._quote = sign[0]
            elif sign[0] != ">":
                self._brackets += 1 if sign[0] == "[" else -1
            elif self._brackets <= 0:
                self._until = ""
                break
        self._advance(at if not self._until else len(self._raw))
        return not self._until

    def _reference(self, *, final: bool) -> bool:
        """Read the reference at hand; False while it can't be told whether it is one."""
        found = _REFERENCE.match(self._raw)
        if found is None:
            if not final and _REFERENCE_BEGUN.fullmatch(self._raw):
                return False
            self._broken("an '&' begins no reference", self._start)
            self._text(self._advance(1))
            return True
        at = self._start
        self._advance(found.end())
        plain = _character(found[0][1:])
        if not plain:
            self._broken("a reference is to an entity that is not known", at)
            return True
        self._append_token(plain, [at] * len(plain), self._start)
        return True


def _character(reference: str) -> str:
    """What a reference ("#65;", "amp;") stands for, or ""."""
    if reference[0] != "#":
        return html5.get(reference, "")
    code = int(reference[2:-1], 16) if reference[1] in "xX" else int(reference[1:-1])
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""


def _overlap(text: str, closes: str) -> int:
    """How many characters at the end of `text` may be the beginning of `closes`."""
    return next((n for n in range(min(len(closes) - 1, len(text)), 0, -1) if text.endswith(closes[:n])), 0)
