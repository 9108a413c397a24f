"""A number as it is written, and sums of money: "$5bn", "USD 20", "$20-$30". Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import CURRENCIES, MAGNITUDES, NO_CENTS, UNITS, WORD_UNITS, word_set

if TYPE_CHECKING:
    from collections.abc import Iterable


def either(words: Iterable[str]) -> str:
    """A pattern of any of the words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


SP = "[ \u00a0\u202f]"
NUMBER = (
    r"(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d{1,2}(?:,\d{2}){1,4},\d{3}(?!\d)|\d{1,3}(?:[\u00a0\u202f\u2009']\d{3}){1,6}(?!\d)"
    r"|[1-9]\d{0,2}(?: \d{3}){2,6}(?! ?\d)|[1-9]\d{0,2} 000(?![ ,.]?\d)|\d+)"
)
_AMOUNT = re.compile(rf"({NUMBER})(?:\.(\d+))?|\.(\d+)")
_EUROPEAN = re.compile(r"(\d{1,3}(?:\.\d{3}){1,6}|\d{1,15}),(\d{1,2})(?!\d|,\d)")
NOT_DIGIT = re.compile(r"\D")
DASH = rf"{SP}?[-–—]{SP}?"
_DASH = re.compile(DASH)

_SIGNS = [code for code in CURRENCIES if not code[-1].isalpha()]
_CODES = [code for code in CURRENCIES if code[-1].isalpha()]
CURRENCY_SIGNS = frozenset(code for code in _SIGNS if len(code) == 1)
CURRENCY_BEFORE = re.compile(rf"({either(_SIGNS)})({SP}?)([-−+]?)|({either(_CODES)})\.?{SP}?([-−+]?)(?=\.?\d)")
CURRENCY_BEHIND = re.compile(rf"{SP}?(?:({either(_SIGNS)})(?!\d)|({either(_CODES)})(?![A-Za-z\d]))")
_MAGNITUDE = re.compile(
    rf"(?:{SP}?(hundred|thousand|million|billion|trillion|bn|mn|tn|mil|grand)|{SP}?([kKmMbBtT]|MM|mm|BN|Bn))(?![A-Za-z\d])"
)
_PER = re.compile(rf"/{SP}?(?:({NUMBER})([kKM](?![A-Za-z]))?{SP}?)?([A-Za-z]{{1,12}})(?![A-Za-z\d/])")
_PER_NUMBER = re.compile(rf"/({NUMBER})([kKM](?![A-Za-z]))?")


_ARTICLES = frozenset(("a", "an", "another", "each", "every"))
NOT_DESCRIBED = word_set(
    """
    long tall wide deep thick high in by x and or of is was away from to at for per on with than apart more less
    later ago a an the if when that which who but as up down off
    """
)


class Amount(NamedTuple):
    """A number as written: digits of its whole and fractional part, and where it ends."""

    end: int
    whole: str
    fraction: str | None
    single: bool = False  # whether an article stands before it: "a 5 km run" has "kilometer"

    def words(self, british: bool) -> str:
        """The number as it is said."""
        if self.fraction is None:
            return numerals.integer(self.whole, british)
        return numerals.decimal(self.whole, self.fraction, british)

    @property
    def is_one(self) -> bool:
        """Whether what it counts is singular."""
        return self.whole == "1" and self.fraction is None

    @property
    def value(self) -> int:
        """Its whole part."""
        return int(self.whole[:18] or "0")


def amount(scan: Scan, at: int, comma: bool = False) -> Amount | None:
    """The number at `at`. `comma`: whether "12,5" is one number."""
    if comma:
        found = _EUROPEAN.match(scan.text, at)
        if found is not None:
            return Amount(found.end(), found[1].replace(".", ""), found[2])
    found = _AMOUNT.match(scan.text, at)
    if found is None:
        return None
    if found[3] is not None:
        return Amount(found.end(), "", found[3])
    return Amount(found.end(), NOT_DIGIT.sub("", found[1]), found[2])


def sum_words(value: Amount, currency: str, british: bool) -> str:
    """A sum without "million": "twenty dollars and fifty cents"."""
    one, many, cent, cents = CURRENCIES[currency]
    if value.fraction is None:
        return f"{value.words(british)} {one if value.is_one else many}"
    if len(value.fraction) != 2 or currency in NO_CENTS:
        return f"{value.words(british) if value.whole else 'zero ' + value.words(british)} {many}"
    minor = int(value.fraction)
    minor_words = f"{numerals.cardinal(minor, british)} {cent if minor == 1 else cents}"
    if not int(value.whole or "0"):
        return minor_words if minor else f"zero {many}"
    major = f"{numerals.integer(value.whole, british)} {one if value.whole == '1' else many}"
    return f"{major} and {minor_words}" if minor else major


def per_words(scan: Scan, end: int) -> tuple[int, str]:
    """Reads "/month", "/1K tokens" after an amount."""
    found = _PER.match(scan.text, end)
    if found is not None:
        if found[1]:
            number = numerals.integer(NOT_DIGIT.sub("", found[1]), scan.british)
            return found.end(3), f" per {number}{' ' + MAGNITUDES[found[2]] if found[2] else ''} {found[3]}"
        stop = found.end()
        if (
            scan.char(stop) == "."
            and found[3] in ("mo", "yr", "hr", "wk", "min", "sec")
            and not scan.ends_sentence(stop + 1)
        ):
            stop += 1
        return stop, f" per {WORD_UNITS.get(found[3]) or UNITS.get(found[3], (found[3],))[0]}"
    found = _PER_NUMBER.match(scan.text, end)
    if found is None:
        return end, ""
    number = numerals.integer(NOT_DIGIT.sub("", found[1]), scan.british)
    return found.end(), f" per {number}{' ' + MAGNITUDES[found[2]] if found[2] else ''}"


def describes(scan: Scan, at: int, end: int) -> bool:
    """Whether an amount describes the noun behind it: "a $20 bill", "a 5 km run"."""
    word = scan.word_after(end)
    return (
        scan.char(end) in (" ", "\u00a0", "-")
        and word.islower()
        and word not in NOT_DESCRIBED
        and scan.word_before(at).lower() in _ARTICLES
    )


def money(scan: Scan, at: int, sign: str = "") -> Said | None:
    """An amount behind its currency, from `at` on: "$5bn", "USD 20", "$20-$30", "$0.002/1K tokens"."""
    found = CURRENCY_BEFORE.match(scan.text, at)
    if found is None:
        return None
    currency = found[1] or found[4]
    value = amount(scan, found.end(), comma=True)
    if value is None:
        return None
    sign = {"-": "minus ", "−": "minus ", "+": "plus "}.get(found[3] or found[5] or "", sign)
    until: Amount | None = None
    end = value.end
    magnitude = _MAGNITUDE.match(scan.text, end)
    middle = magnitude.end() if magnitude else end
    dash = _DASH.match(scan.text, middle)
    repeated = False
    if dash is not None:
        again = CURRENCY_BEFORE.match(scan.text, dash.end())
        repeated = again is not None and (again[1] or again[4]) == currency
        until = amount(scan, again.end() if again is not None and repeated else dash.end(), comma=True)
        if until is not None and (
            scan.char(until.end) == "-"
            or (scan.char(until.end).isalpha() and not _MAGNITUDE.match(scan.text, until.end))
        ):
            until = None
    if until is not None:
        return _money_range(scan, value, until, currency, sign, magnitude)
    if magnitude is not None:
        end = magnitude.end()
        said = f"{value.words(scan.british)} {MAGNITUDES[magnitude[1] or magnitude[2]]} {CURRENCIES[currency][1]}"
    else:
        said = sum_words(value, currency, scan.british)
    end, said = _own_code(scan, end, said, currency)
    if describes(scan, at, end):
        said = (
            said.removesuffix(CURRENCIES[currency][1]) + CURRENCIES[currency][0]
            if said.endswith(CURRENCIES[currency][1])
            else said
        )
    end, per = per_words(scan, end)
    if scan.char(end) == "+" and not scan.char(end + 1).isdecimal():
        end, per = end + 1, f"{per} plus"
    return Said(end, sign + said + per)


def _own_code(scan: Scan, end: int, said: str, currency: str) -> tuple[int, str]:
    """Reads "$20 USD" is said once."""
    found = CURRENCY_BEHIND.match(scan.text, end)
    if found is None or not found[2] or currency != "$":
        return end, said
    code = CURRENCIES[found[2]]
    return found.end(), said.replace("dollar", code[0]) if code[0].endswith("dollar") else said


def _money_range(
    scan: Scan, first: Amount, until: Amount, currency: str, sign: str, magnitude: re.Match[str] | None
) -> Said:
    behind = _MAGNITUDE.match(scan.text, until.end)
    end = behind.end() if behind else until.end
    british = scan.british
    whole = first.fraction is None and until.fraction is None
    if behind is not None or magnitude is not None:
        last = MAGNITUDES[behind[1] or behind[2]] if behind is not None else ""
        own = MAGNITUDES[magnitude[1] or magnitude[2]] if magnitude is not None else ""
        start = first.words(british) + (f" {own}" if own and own != last else "")
        said = f"{start} to {until.words(british)} {last}".rstrip() + f" {CURRENCIES[currency][1]}"
    elif whole:
        said = f"{first.words(british)} to {sum_words(until, currency, british)}"
    else:
        said = f"{sum_words(first, currency, british)} to {sum_words(until, currency, british)}"
    end, per = per_words(scan, end)
    return Said(end, sign + said + per)
