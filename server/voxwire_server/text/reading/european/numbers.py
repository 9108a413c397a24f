"""Written numbers and their words: groups, decimals, digit by digit, Roman numerals. Pure; one language at a time."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from voxwire_server.text.reading.european.language import Language

_DIGITS_MAX = 15
"""The longest number that is said as one; longer ones are said digit by digit."""
_RUN_MAX = 6
"""The longest number without groups that is said as one, unless it ends in thousands."""

NUMBER = re.compile(
    r"(?>\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+(?!\d|[.,]\d))?(?![.,]\d)"
    r"|\d{1,3}(?:['’]\d{3})+(?!\d)(?:[.,]\d+)?|\d++(?:[.,]\d++)*+)"
)
_POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_COMMAS = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}")
_ROMAN = re.compile(r"(X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "": 0}


class Number(NamedTuple):
    """A written number: its whole part and its decimals, as digits 0-9, and the mark between; or many `parts`."""

    whole: str
    mark: str = ""
    decimals: str = ""
    parts: tuple[str, ...] = ()
    grouped: bool = False

    @property
    def n(self) -> int:
        """The whole part; of one that is too long to be said as a number, a number as large."""
        return int(self.whole) if len(self.whole) <= _DIGITS_MAX else 10**_DIGITS_MAX

    @property
    def is_count(self) -> bool:
        """Whether it is a whole number that is said as one."""
        return not self.mark and not self.parts and not self.is_digits

    @property
    def is_digits(self) -> bool:
        """Whether its whole part is said digit by digit."""
        long = len(self.whole) > _RUN_MAX and not self.grouped and not self.whole.endswith("000")
        return long or len(self.whole) > _DIGITS_MAX or (len(self.whole) > 1 and self.whole[0] == "0")


def ascii_digits(text: str) -> str:
    """`text` with the digits of all scripts as 0 to 9."""
    return text if text.isascii() else "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text)


def parse(written: str, language: Language) -> Number:
    """What `NUMBER` found, as the language writes numbers; as English does, where it can be nothing else."""
    text = re.sub(r"[ \u00a0\u202f'’]", "", ascii_digits(written))
    spaced = len(text) < len(written)
    comma, point = text.count(","), text.count(".")
    if not comma and not point:
        return Number(text, grouped=spaced)
    last = max(text.rfind(","), text.rfind("."))
    whole, mark, decimals = text[:last], text[last], text[last + 1 :]
    if comma and point:
        other = "," if mark == "." else "."
        pattern = _COMMAS if other == "," else _POINTS
        if text.count(mark) == 1 and pattern.fullmatch(whole):
            return Number(whole.replace(other, ""), mark, decimals, grouped=True)
        return Number("0", parts=tuple(re.split("[.,]", text)))
    if comma + point > 1:
        if (_COMMAS if comma else _POINTS).fullmatch(text) and text[0] != "0":
            return Number(text.replace(mark, ""), grouped=True)
        return Number("0", mark, parts=tuple(text.split(mark)))
    groups = "," if language.point_is_decimal else "."
    if mark == groups and len(decimals) == 3 and len(whole) <= 3 and whole[0] != "0" and not spaced:
        return Number(whole + decimals, grouped=True)
    return Number(whole, mark, decimals, grouped=spaced)


def digits(text: str, language: Language) -> str:
    """The digits of `text`, one by one."""
    return " ".join(language.cardinal(int(digit), "") for digit in ascii_digits(text) if digit.isdecimal())


def say(number: Number, language: Language, gender: str = "") -> str:
    """The words of a number."""
    if number.parts:
        between = ", " if number.mark == "," else f" {language.point} "
        return between.join(integer(part, language) for part in number.parts)
    whole = digits(number.whole, language) if number.is_digits else language.cardinal(number.n, gender)
    if not number.mark:
        return whole
    return f"{whole} {language.marks[number.mark]} {_decimals(number.decimals, language)}"


def integer(text: str, language: Language) -> str:
    """The words of a run of digits."""
    return say(Number(text), language)


def _decimals(text: str, language: Language) -> str:
    bare = text.lstrip("0")
    if len(bare) > language.decimals_as_cardinal_max or len(text) - len(bare) > 2 or not bare:
        return digits(text, language)
    zeros = [language.cardinal(0, "")] * (len(text) - len(bare))
    return " ".join((*zeros, language.cardinal(int(bare), "")))


def roman(text: str) -> int:
    """The value of a Roman numeral up to 39, in capitals; 0 for any other text."""
    found = _ROMAN.fullmatch(text)
    return 10 * len(found[1]) + _ROMAN_VALUES[found[2]] if found else 0


def vulgar(sign: str) -> tuple[int, int]:
    """The numerator and denominator of "½" and its like; of "⅟", 1 and 1."""
    a, _, b = unicodedata.normalize("NFKC", sign).partition("⁄")
    return int(a), int(b or 1)
