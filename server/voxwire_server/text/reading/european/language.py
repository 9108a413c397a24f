"""What the engine is told about a language: its words, its marks in numbers, and how its numbers agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping, Sequence


class Noun(NamedTuple):
    """What is counted: its singular, its plural, and its gender, "m" or "f"."""

    one: str
    many: str
    gender: str = "m"


class Currency(NamedTuple):
    """A currency and its hundredth part."""

    whole: Noun
    part: Noun


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """The tables of one language.

    A gender is "m" or "f" of the noun that a number stands before, or "" where it only counts.
    `cardinal(n, gender)` takes 0 <= n < 10 ** 15, `ordinal(n, gender)` 1 <= n.
    `gender(n, word)` is that of the word behind a number. `clock(hour, minute, second, marker)` says a time of which
    `second` may be -1, and that was written with ":" or "h". `fraction(a, b)` says a / b, 0 < a.
    `roman(n, word)` says a Roman numeral behind `word`, in lower case.
    """

    cardinal: Callable[[int, str], str]
    ordinal: Callable[[int, str], str]
    gender: Callable[[int, str], str]
    clock: Callable[[int, int, int, str], str]
    date: Callable[[int, int, int], str]  # day or 0, month or 0, year or -1
    fraction: Callable[[int, int], str]
    roman: Callable[[int, str], str]

    point_is_decimal: bool  # "1.234" is 1 and a part, "1,234" a thousand and more
    marks: Mapping[str, str]  # how "," and "." are said before decimals
    decimals_as_cardinal_max: int  # so many decimals are said as one number
    point: str  # between the parts of a version, or of an address
    minus: str
    plus: str
    per: str  # between an amount and what it is for: "5 €/kg"
    to: str  # between the ends of a range
    and_half: str  # between a number and the fraction behind it
    half_behind: str  # 1/2 behind a number
    percent: str
    per_mille: str
    version: str
    number: str  # "#5", "nº 5"
    number_sign: str  # "#" before a word
    at: str
    of: Callable[[str], str]  # "euros" behind a million: "de euros"
    and_cents: str  # between whole and part of money
    degree: Noun
    singular_below_two: bool = False

    currencies: Mapping[str, Currency]
    scales: Mapping[str, Noun]  # "M", "millones" and their like behind a number: million
    scale_values: Mapping[str, int]
    units: Mapping[str, Noun]
    months: Sequence[str]
    first_of_month: str  # how the 1st is said before a month, or ""
    letters: Mapping[str, str]
    signs: Mapping[str, str]
    address_signs: Mapping[str, str]
    abbreviations: Mapping[str, str]
    spelled: frozenset[str]  # words of capitals that are spelled though they could be pronounced

    ordinals: re.Pattern[str]  # behind a number: what makes it an ordinal
    ordinal_of: Callable[[int, str], str]  # number and what `ordinals` found
    phone: re.Pattern[str]
    phone_groups: Callable[[str], Sequence[str]]  # how the digits of a number without groups are grouped
    phone_pairs: bool  # groups of a telephone number are said as numbers
    day_words: frozenset[str]  # before "21/11", which else is a fraction
    time_words: frozenset[str]  # before "14.30", which else is a number
    counted_words: frozenset[str]  # before a number that counts nothing: "página 1"
    code_words: frozenset[str]  # before a code that is said digit by digit
    roman_words: frozenset[str]  # before a Roman numeral of one letter
    year: Callable[[int, str, str], str | None]  # a number of four digits, the words before and behind it


def word_list(text: str) -> list[str]:
    """The words of a list that is written as a text."""
    return text.split()


def letter_names(letters: str, names: str) -> dict[str, str]:
    """The name of each letter, in which "_" stands for a space."""
    return {letter: name.replace("_", " ") for letter, name in zip(letters, names.split(), strict=True)}
