"""A text as the rules look at it: in plain letters and digits, with what stands before and behind a place. Pure."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import NamedTuple

from voxwire_server.text.reading.english.tables import STARTERS, SUBSCRIPTS, SUPERSCRIPTS, VULGAR

BEFORE_CHARS_MAX = 80
"""So far back a rule looks."""
WORD_CHARS_MAX = 200
"""A run of characters without a space is looked at in pieces of so many."""

LETTER = (
    r"[^\W\d_\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209c\u2150-\u218b\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
    r"\u3192-\u3195\u3220-\u3229]"
)
"""A letter: a character of a word that is no digit, superscript, subscript or fraction."""

_SPACES = " \t\n\v\r\u00a0\u2007\u2009\u200a\u202f"
_OPENERS = " \t\n\v\u00a0:#\"'“‘([=~≈"
_WORD_BEFORE = re.compile(r"[^\W\d_][\w'+-]*\Z")
_NEXT_WORD = re.compile(r"[ \u00a0\u202f]{0,2}([^\W\d_]+)")
_ENDS_SENTENCE = re.compile(r"[\"'”’)\]]{0,4}(?:\s+[\"'“‘(\[]{0,4}[A-Z]|\s*\Z|\s*\n)")
SENTENCE_START = re.compile(r"(?:^|[.!?:\n\v]['\"”’)\]]*\s*)['\"“‘(\[]*$")
"""Whether a text that ends so begins a sentence."""


class Said(NamedTuple):
    """What a rule found: the characters up to `end` are said as `text`; as they are written where that is None."""

    end: int
    text: str | None


@functools.lru_cache(maxsize=4096)
def _plain_char(char: str) -> str:
    """The plain form of a character that is a letter or digit in another guise ("Ｆ", "𝐛", "٣"), else itself."""
    if char in "ºª":
        return char
    if char in "’‘´ʼ`":
        return "'" if char in "’ʼ" else char
    if char in SUPERSCRIPTS or char in SUBSCRIPTS or char in VULGAR:
        return char
    category = unicodedata.category(char)
    if char.isdigit():
        return str(unicodedata.digit(char))
    if category in ("Lu", "Ll", "Lo", "Lm", "No", "Nl", "So") or "\uff01" <= char <= "\uff5e":
        folded = unicodedata.normalize("NFKC", char)
        if len(folded) == 1 and (folded.isalnum() or "!" <= folded <= "~") and not "\u1100" <= char <= "\u11ff":
            return folded
    return char


def plain(text: str) -> str:
    """`text` with every character in its plain form: of the same length."""
    if text.isascii():
        return text
    return "".join([char if char < "\x80" else _plain_char(char) for char in text])


class Scan:
    """One text being read. `text` is plain, as long as what was written."""

    def __init__(self, text: str, before: str, british: bool) -> None:
        self.text = plain(text)
        self.before = plain(before[-BEFORE_CHARS_MAX:])
        self.british = british

    def char(self, at: int) -> str:
        """The character at `at`, or "" outside of the text."""
        return self.text[at] if 0 <= at < len(self.text) else ""

    def tail(self, at: int, chars: int = BEFORE_CHARS_MAX) -> str:
        """The last characters before `at`, what was said earlier included."""
        tail = self.text[max(0, at - chars) : at]
        if len(tail) < chars and self.before:
            joint = "" if tail[:1] in (" ", "\u00a0") or self.before[-1] in _SPACES else " "
            tail = (self.before + joint + tail)[-chars:]
        return tail

    def word_before(self, at: int) -> str:
        """The word before `at`, as it is written; "" where a mark or number stands between."""
        found = _WORD_BEFORE.search(self.tail(at, 40).rstrip(_OPENERS).removesuffix(".").rpartition(" ")[2])
        return found[0] if found else ""

    def words_before(self, at: int, count: int) -> list[str]:
        """The last words before `at` with their marks, lower-case."""
        return self.tail(at).lower().split()[-count:]

    def word_after(self, at: int) -> str:
        """The word that follows at once or behind a space, as it is written."""
        found = _NEXT_WORD.match(self.text, at, at + 40)
        return found[1] if found else ""

    def continues_number(self, at: int) -> bool:
        """Whether what is at `at` begins the text, and what was said before ended in a digit: "30" before " sec"."""
        return self.before.rstrip(_SPACES)[-1:].isdecimal() and not self.text[:at].strip(_SPACES)

    def starts_token(self, at: int) -> bool:
        """Whether nothing is glued to the left of `at`."""
        return at == 0 or self.text[at - 1] in " \t\n\v\u00a0\u2007\u2009\u202f(\"'“‘[{<,;:=>|—–/~"

    def ends_sentence(self, at: int) -> bool:
        """Whether what follows `at` begins a new sentence, or nothing follows."""
        return _ENDS_SENTENCE.match(self.text, at, at + 12) is not None

    def ends_here(self, at: int) -> bool:
        """Whether the sentence ends behind an abbreviation that names may follow ("U.S. Army", "4 p.m. EST")."""
        if not self.ends_sentence(at):
            return False
        after = _NEXT_WORD.match(self.text, at, at + 40)
        return after is None or after[1] in STARTERS
