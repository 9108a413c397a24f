"""What the readings of Chinese and Japanese share: plain characters, rules tried at each place, addresses. Pure.

A language is a list of rules, each a pattern of bounded length and what it is said as. The scan goes from left to right
and tries the rules in order wherever one may begin, so that its time grows with the length of the text.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from voxwire_server.text.source_map import Rewrite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Say = Callable[[re.Match[str]], str | None]

BEFORE_CHARS = 32
"""So much of what was said before a text is looked at."""
DIGITS_MAX = 16
"""Longer numbers are read digit by digit."""

LINK = re.compile(r"\[[^\[\]\n]{1,300}\]\(/[^/\n]{1,300}/\)")
"""A word with its pronunciation, which engines are given as it is."""

HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
KANA = r"\u3041-\u30ff\u31f0-\u31ff"
NO_SIGN = r"(?<![A-Za-z0-9)\]%.²³+])"
"""In front of a dash or plus that is the sign of the number behind it."""
TIMES = r"(\d{1,5})\s?[xX]\s?(\d{1,5})(?:\s?[xX]\s?(\d{1,5}))?(?![A-Za-z\d])"
"""Width, height and perhaps depth."""
INTEGER = rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,5}}(?!\d)|\d{{1,{DIGITS_MAX}}}(?!\d))"
NUMBER = rf"(?:{INTEGER}(?:\.\d{{1,40}}(?!\d))?)"
DASH = r"[-\u2010-\u2015~]"
JOIN = r"(?:-{1,2}|[\u2010-\u2015]{1,2}|~)"
"""What stands between the ends of a range."""
LETTER_OR_ODD = rf"[A-Za-z\[]|[^\x00-\x7f{HAN}{KANA}\u3000-\u3020\uff0c\uff01\uff1f]"
"""Where a Latin word, a link or a character begins that has another form."""

_ENDINGS = (
    "com|org|net|edu|gov|info|cn|jp|tw|hk|io|ai|co|app|dev|me|tv|cc|uk|de|fr|us|eu|kr|sg|top|xyz|shop|cloud|gg|"
    "pdf|docx?|xlsx?|pptx?|txt|csv|json|xml|ya?ml|html?|md|py|ts|js|java|cpp|go|rs|sh|exe|zip|png|jpe?g|gif|svg|mp[34]|wav"
)
_LABEL = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
_PATH = r"(?:[/?#][A-Za-z0-9._~%/?#=&+:@-]{0,300})?"
_NO_WORD = r"(?<![A-Za-z0-9._%+@/-])"
MAIL = re.compile(
    rf"{_NO_WORD}[A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}@(?:{_LABEL}\.){{1,6}}[A-Za-z]{{2,24}}(?![A-Za-z0-9])"
)
URL = re.compile(
    rf"{_NO_WORD}(?:(?:https?|ftp)://(?:{_LABEL}\.){{0,6}}{_LABEL}(?::\d{{1,5}})?{_PATH}"
    rf"|(?:{_LABEL}\.){{1,6}}(?:{_ENDINGS})(?![A-Za-z0-9])(?::\d{{1,5}})?{_PATH})",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"^[a-z]{3,5}://", re.IGNORECASE)
_ADDRESS_PART = re.compile(r"[A-Za-z]+|\d|.", re.DOTALL)

_FULL_WIDTH_COMMA = re.compile(r"(?<=[\uff10-\uff19])\uff0c(?=[\uff10-\uff19]{3}(?![\uff10-\uff19]))")
# A colon between digits that are full-width, or that are a time of day or a score: "步骤1：30分钟" is neither.
_FULL_WIDTH_COLON = re.compile(
    r"(?<=[\uff10-\uff19])\uff1a(?=[\uff10-\uff19])|(?<=\d)\uff1a(?=[0-5]\d(?!\d|\s?[分秒个個元块天年月件名人]))"
    r"|(?<=[分为為率果]\d)\uff1a(?=\d(?!\d))"
)
_TO_DASH = "\u2212\ufe63\uff0d"
_TO_TILDE = "\u301c\uff5e\u223c"
_KEPT = "\uff0c\uff1a"


_WORDS_MEET = re.compile("[A-Za-z0-9]{2}")


class Rule(NamedTuple):
    """`say` gives the words for a match of `pattern`, or None where it is something else after all."""

    pattern: re.Pattern[str]
    say: Say


def rule(pattern: str, say: Say | str) -> Rule:
    """A rule of a pattern, in which spaces count, and words that are always the same or that a function gives."""
    return Rule(re.compile(pattern), say if callable(say) else lambda _: say)


def behind(before: str) -> str:
    """The pattern of a place behind `before`, which is one character's pattern, or behind it and a space."""
    return rf"(?:(?<={before})|(?<={before} ))"


def plain(text: str) -> str:
    """`text` in the usual forms of letters, digits and signs; as long as it was."""
    if text.isascii():
        return text
    text = _FULL_WIDTH_COLON.sub(":", _FULL_WIDTH_COMMA.sub(",", text))
    return "".join([char if char < "\x80" else _plain(char) for char in text])


@functools.lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    if char in _TO_DASH or char in _TO_TILDE:
        return "-" if char in _TO_DASH else "~"
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    usual = unicodedata.normalize("NFKC", char)
    kept = len(usual) != 1 or char in _KEPT or unicodedata.category(char) in ("No", "Nl")
    return char if kept else usual


class Scanner:
    """Finds what is read otherwise than it is written."""

    def __init__(
        self, starts: str, rules: Sequence[Rule], word_rules: Sequence[Rule], char: Callable[[str], str | None]
    ) -> None:
        """`starts` matches one character at which one of `rules` may begin; `word_rules` begin where a Latin word does.

        `char` says a single character that no rule knows, or gives None.
        """
        self._starts = re.compile(starts)
        self._rules = rules
        self._word_rules = word_rules
        self._char = char

    def rewrites(self, text: str, before: str) -> list[Rewrite]:
        """What is rewritten, in the order of the text, disjoint."""
        tail = before[-BEFORE_CHARS:]
        if _WORDS_MEET.fullmatch(tail[-1:] + text[:1]):
            tail += " "
        whole = plain(tail + text)
        return list(self._found(whole, tail + text, len(tail)))

    def _found(self, whole: str, written: str, offset: int) -> Iterator[Rewrite]:
        at = offset
        while (start := self._starts.search(whole, at)) is not None:
            at = start.start()
            link = LINK.match(whole, at)
            end, said = (link.end(), None) if link is not None else self._said(whole, written, at)
            if said is not None and said != written[at:end]:
                yield Rewrite(at - offset, end - offset, said)
            at = end

    def _said(self, whole: str, written: str, at: int) -> tuple[int, str | None]:
        """Where what begins at `at` ends, and how it is said."""
        rules = self._rules
        if whole[at].isascii() and whole[at].isalpha():
            rules = () if at and whole[at - 1].isascii() and whole[at - 1].isalnum() else self._word_rules
        for pattern, say in rules:
            match = pattern.match(whole, at)
            if match is not None and match.end() > at:
                said = say(match)
                if said is not None:
                    return match.end(), said
        return at + 1, self._char(written[at])


def usual_char(char: str) -> str | None:
    """The usual form of a letter, digit or unit in one character ("Ａ", "㌔"), or None where there is no other."""
    if char < "\x80" or char in "\u3000":
        return None
    if unicodedata.category(char) in ("No", "Nl", "Nd"):
        value = unicodedata.numeric(char, None)
        if value is not None and value == int(value):
            return str(int(value))
    usual = unicodedata.normalize("NFKC", char)
    if usual == char or not usual.isalnum() or "\uac00" <= usual[0] <= "\ud7ff" or "\u1100" <= char <= "\u11ff":
        return None
    return usual


def fraction_of(char: str) -> tuple[int, int] | None:
    """The numerator and denominator of a character such as "½"."""
    top, slash, bottom = unicodedata.normalize("NFKC", char).partition("\u2044")
    return (int(top), int(bottom)) if slash and top.isdecimal() and bottom.isdecimal() else None


def address(text: str, names: dict[str, str], digits: Sequence[str]) -> str:
    """A URL or e-mail address with its signs and digits as words; without its scheme and last slash."""
    text = _SCHEME.sub("", text).rstrip("/")
    return "".join(
        digits[int(part)] if part.isdecimal() else part if part.isalpha() else f" {names.get(part, '')} "
        for part in _ADDRESS_PART.findall(text)
    ).strip()


def whole(text: str) -> int:
    """The value of an integer that may have commas."""
    return int(text.replace(",", ""))


def near(match: re.Match[str], words: re.Pattern[str], before: int, after: int = 0) -> bool:
    """Whether one of `words` stands in so many characters before the match or after it."""
    text = match.string
    if before and words.search(text, max(0, match.start() - before), match.start()):
        return True
    return bool(after) and words.search(text, match.end(), match.end() + after) is not None
