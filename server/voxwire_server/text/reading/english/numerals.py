"""English number words: cardinals, ordinals, years, decades, decimals, digits, fractions, Roman numerals. Pure."""

from __future__ import annotations

import re

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SMALL = (
    *DIGITS,
    *(["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
DIGITS_MAX = 16
"""A number of more digits is read digit by digit."""
_DIGITS_PER_GROUP = 4
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip
_ROMAN = re.compile(r"(?=[MDCLXVI])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def _below_hundred(n: int) -> str:
    if n < 20:
        return _SMALL[n]
    tens, ones = divmod(n, 10)
    return _TENS[tens] + (f"-{DIGITS[ones]}" if ones else "")


def _below_thousand(n: int, british: bool) -> str:
    hundreds, rest = divmod(n, 100)
    if not hundreds:
        return _below_hundred(rest)
    words = f"{DIGITS[hundreds]} hundred"
    if not rest:
        return words
    return f"{words} {'and ' if british else ''}{_below_hundred(rest)}"


def cardinal(n: int, british: bool = False) -> str:
    """Gives "one hundred five", "one hundred and five" in British; digit by digit from 10^16 on."""
    if n < 0:
        return f"minus {cardinal(-n, british)}"
    if n < 1000:
        return _below_thousand(n, british)
    if n >= 10**DIGITS_MAX:
        return digit_groups(str(n))
    words = []
    rest = n
    for scale in range(len(_SCALES) - 1, -1, -1):
        part, rest = divmod(rest, 1000**scale)
        if not part:
            continue
        said = _below_thousand(part, british)
        if british and scale == 0 and part < 100:
            said = f"and {said}"
        words.append(f"{said} {_SCALES[scale]}".rstrip())
    return " ".join(words)


def integer(digits: str, british: bool = False) -> str:
    """The digits of a whole number as a cardinal; very many of them, or with zeros before, one by one."""
    if len(digits) > DIGITS_MAX or (len(digits) == DIGITS_MAX and digits[0] != "0"):
        return digit_groups(digits)
    if len(digits) > 1 and digits[0] == "0":
        return each_digit(digits)
    return cardinal(int(digits), british)


def as_ordinal(words: str) -> str:
    """The ordinal of a cardinal's words: "twenty-one" to "twenty-first"."""
    head = re.match(r"(.*[ -])?(\w+)$", words)
    if head is None:
        return words
    start, last = head[1] or "", head[2]
    if last in _ORDINALS:
        return start + _ORDINALS[last]
    return start + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def ordinal(n: int, british: bool = False) -> str:
    """Gives "twenty-first"."""
    return as_ordinal(cardinal(n, british))


def each_digit(digits: str) -> str:
    """Gives "zero zero four two"."""
    return " ".join(DIGITS[int(digit)] for digit in digits)


def digit_groups(digits: str) -> str:
    """A long run of digits: four at a time, with pauses."""
    groups = [digits[at : at + _DIGITS_PER_GROUP] for at in range(0, len(digits), _DIGITS_PER_GROUP)]
    return ", ".join(each_digit(group) for group in groups)


def pairs(digits: str, british: bool = False) -> str:
    """Three or four digits as rooms and flights are said: "three oh five", "three twelve", "fifteen forty-nine"."""
    if len(digits) not in (3, 4) or digits[0] == "0":
        return integer(digits, british)
    head, tail = int(digits[:-2]), int(digits[-2:])
    if not tail:
        return cardinal(int(digits), british) if digits[-3] == "0" else f"{_below_hundred(head)} hundred"
    return f"{_below_hundred(head)} {_below_hundred(tail) if tail > 9 else f'oh {DIGITS[tail]}'}"


def year(n: int, british: bool = False) -> str:
    """Gives "nineteen oh five", "two thousand five", "twenty twenty-four"."""
    if n % 1000 < 10 or not 1000 <= n <= 9999:
        return cardinal(n, british)
    return pairs(str(n), british)


def plural(word: str) -> str:
    """The plural of the last word: "nineties", "sixths", "hundreds"."""
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith(("x", "s", "ch", "sh")):
        return word + "es"
    return word + "s"


def decade(n: int, british: bool = False) -> str:
    """Gives "nineteen nineties", "two thousands", "nineties" of 90."""
    return plural(year(n, british) if n >= 1000 else cardinal(n, british))


def decimal(whole: str, fraction: str, british: bool = False) -> str:
    """Gives "three point one four"; an empty whole part (".5") is not said."""
    said = f"point {each_digit(fraction)}" if len(fraction) <= DIGITS_MAX else f"point {digit_groups(fraction)}"
    return f"{integer(whole, british)} {said}" if whole else said


def denominator(n: int, many: bool, british: bool = False) -> str:
    """Gives "half", "quarters", "tenth"."""
    if n == 2:
        return "halves" if many else "half"
    word = "quarter" if n == 4 else ordinal(n, british)
    return word + ("s" if many else "")


def fraction(top: int, bottom: int, british: bool = False) -> str:
    """Gives "one half", "three quarters"; "seven over zero" where there are no such words."""
    if bottom < 2 or bottom > 1000 or top < 1:
        return f"{cardinal(top, british)} over {cardinal(bottom, british)}"
    return f"{cardinal(top, british)} {denominator(bottom, top != 1, british)}"


def mixed(whole: int, top: int, bottom: int, british: bool = False) -> str:
    """Gives "two and a half", "one and three quarters"."""
    if not whole:
        return fraction(top, bottom, british)
    part = fraction(top, bottom, british)
    if top == 1 and bottom >= 2:
        part = f"{'an' if bottom in (8, 11, 18) else 'a'} {denominator(bottom, False, british)}"
    return f"{cardinal(whole, british)} and {part}"


def roman(letters: str) -> int:
    """The value of a Roman numeral; 0 where it is none."""
    if _ROMAN.fullmatch(letters) is None:
        return 0
    total = 0
    for letter, after in zip(letters, letters[1:] + " ", strict=True):
        value = _ROMAN_VALUES[letter]
        total += -value if _ROMAN_VALUES.get(after, 0) > value else value
    return total
