"""Amounts with what they count: money, units, percent, degrees, feet and inches, dimensions. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import (
    ATTACHED_UNITS_NOT,
    CURRENCIES,
    MAGNITUDES,
    NO_CENTS,
    SPACED_UNITS_NOT,
    SUPERSCRIPTS,
    UNITS,
    VULGAR,
    WORD_UNITS,
    word_set,
)


def _either(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


_SP = "[ \u00a0\u202f]"
NUMBER = (
    r"(?:\d{1,3}(?:,\d{3}){1,6}(?!\d)|\d{1,2}(?:,\d{2}){1,4},\d{3}(?!\d)|\d{1,3}(?:[\u00a0\u202f\u2009']\d{3}){1,6}(?!\d)"
    r"|[1-9]\d{0,2}(?: \d{3}){2,6}(?! ?\d)|[1-9]\d{0,2} 000(?![ ,.]?\d)|\d+)"
)
_AMOUNT = re.compile(rf"({NUMBER})(?:\.(\d+))?|\.(\d+)")
_EUROPEAN = re.compile(r"(\d{1,3}(?:\.\d{3}){1,6}|\d{1,15}),(\d{1,2})(?!\d|,\d)")
_NOT_DIGIT = re.compile(r"\D")
DASH = rf"{_SP}?[-–—]{_SP}?"
_DASH = re.compile(DASH)

_SIGNS = [code for code in CURRENCIES if not code[-1].isalpha()]
_CODES = [code for code in CURRENCIES if code[-1].isalpha()]
CURRENCY_SIGNS = frozenset(code for code in _SIGNS if len(code) == 1)
_CURRENCY_BEFORE = re.compile(rf"({_either(_SIGNS)})({_SP}?)([-−+]?)|({_either(_CODES)})\.?{_SP}?([-−+]?)(?=\.?\d)")
_CURRENCY_BEHIND = re.compile(rf"{_SP}?(?:({_either(_SIGNS)})(?!\d)|({_either(_CODES)})(?![A-Za-z\d]))")
_MAGNITUDE = re.compile(
    rf"(?:{_SP}?(hundred|thousand|million|billion|trillion|bn|mn|tn|mil|grand)|{_SP}?([kKmMbBtT]|MM|mm|BN|Bn))(?![A-Za-z\d])"
)
_WORD_MAGNITUDE = re.compile(
    rf"{_SP}?(hundred thousand|hundred million|thousand|million|billion|trillion|hundred)(?![A-Za-z])"
    r"|(bn|mn|tn)(?![A-Za-z\d])"
)
_LETTER_MAGNITUDE = re.compile(r"([kKmMBbT])(?![^\W_])")
_PER = re.compile(rf"/{_SP}?(?:({NUMBER})([kKM](?![A-Za-z]))?{_SP}?)?([A-Za-z]{{1,12}})(?![A-Za-z\d/])")
_PER_NUMBER = re.compile(rf"/({NUMBER})([kKM](?![A-Za-z]))?")
_POWER = r"(?:²|³|\^[23](?!\d))"
_UNIT = re.compile(
    rf"(?P<space>{_SP}?|-)(?:(?P<sq>sq|cu)\.?{_SP})?(?P<unit>{_either(UNITS)})(?P<power>{_POWER}|(?<=[mt])[23](?!\d))?"
    rf"(?:/(?P<per>{_either(set(UNITS) | set(WORD_UNITS))})(?P<perpower>{_POWER})?)?(?![A-Za-z\d'&@])"
)
_FLUID = re.compile(rf"{_SP}?fl\.?{_SP}oz(?:\.(?={_SP}[a-z]))?(?![A-Za-z])")
_DEGREES = re.compile(rf"{_SP}?[°º]{_SP}?(?:([CFKNSEW])(?![A-Za-z\d]))?")
_SCALES = {
    "C": " Celsius", "F": " Fahrenheit", "K": " Kelvin", "N": " north", "S": " south", "E": " east", "W": " west",
}  # fmt: skip
_NEXT_PART = re.compile(r"\. \d{1,2}(?:\.\d)? ?(?:in|oz|min|sec|mins)\b")
_FEET_BEFORE = re.compile(r"(?:ft\.?|feet|foot|yd) ?\d{1,2}(?:\.\d+)?$")
_ARC = re.compile(rf"°{_SP}?(\d{{1,2}})['′]{_SP}?(?:(\d{{1,2}})(?:\.\d{{1,4}})?[\"″]{_SP}?)?")
_FEET = re.compile(r"(\d{1,3})['′][ -]?(\d{1,2})(?:(\.\d{1,2})|[ -]?(\d{1,2})/(\d{1,2})|([½¼¾]))?(?:[\"″”]|''|′′)")
_FOOT = re.compile(r"(['′])(?![\w'])")
_OPEN_QUOTE = re.compile(r"(?:(?:^|[ (\"])'[^']*|‘[^'‘]*)$")
_INCH = re.compile(r"([\"″”]|''|′′)(?!\w)")
_TIMES = re.compile(
    rf"({NUMBER}(?:\.\d+)?)((?:{_SP}?[x×]{_SP}?\.?\d{{1,15}}(?:\.\d{{1,15}})?){{1,4}})(?![\d.]\d|[A-Za-z]{{4}})"
)
_TIMES_SIGN = re.compile(rf"{_SP}?[x×]{_SP}?")
_FACTOR = re.compile(r"[xX×](?![A-Za-z\d_])")
_AFTER_MEASURE = word_set(
    """
    long tall wide deep thick high in by x and or of is was away from to at for per on with than apart more less later
    ago
    """
)
_PLURAL_NOUN = re.compile(
    rf"{_SP}(?:[a-z]{{2,20}}-?{_SP}?)?(?:people|(?!(?:is|was|has|this|vs|as|plus|its|does)\b)[a-z]{{2,20}}s)\b"
)
_COMPARATIVE = re.compile(
    rf"{_SP}(?:as|the|more|less|fewer|better|worse|[a-z]{{2,14}}er|speed|growth|return|improvement|increase|leverage|revenue|size|zoom)\b"
)
_MONEY_CHARS = 24


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
    return Amount(found.end(), _NOT_DIGIT.sub("", found[1]), found[2])


# -- money -----------------------------------------------------------------------------------------------------------


def _sum(value: Amount, currency: str, british: bool) -> str:
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


def _per(scan: Scan, end: int) -> tuple[int, str]:
    """Reads "/month", "/1K tokens" after an amount."""
    found = _PER.match(scan.text, end)
    if found is not None:
        if found[1]:
            number = numerals.integer(_NOT_DIGIT.sub("", found[1]), scan.british)
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
    number = numerals.integer(_NOT_DIGIT.sub("", found[1]), scan.british)
    return found.end(), f" per {number}{' ' + MAGNITUDES[found[2]] if found[2] else ''}"


def money(scan: Scan, at: int, sign: str = "") -> Said | None:
    """An amount behind its currency, from `at` on: "$5bn", "USD 20", "$20-$30", "$0.002/1K tokens"."""
    found = _CURRENCY_BEFORE.match(scan.text, at)
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
        again = _CURRENCY_BEFORE.match(scan.text, dash.end())
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
        said = _sum(value, currency, scan.british)
    end, said = _own_code(scan, end, said, currency)
    end, per = _per(scan, end)
    if scan.char(end) == "+" and not scan.char(end + 1).isdecimal():
        end, per = end + 1, f"{per} plus"
    return Said(end, sign + said + per)


def _own_code(scan: Scan, end: int, said: str, currency: str) -> tuple[int, str]:
    """Reads "$20 USD" is said once."""
    found = _CURRENCY_BEHIND.match(scan.text, end)
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
        said = f"{first.words(british)} to {_sum(until, currency, british)}"
    else:
        said = f"{_sum(first, currency, british)} to {_sum(until, currency, british)}"
    end, per = _per(scan, end)
    return Said(end, sign + said + per)


# -- what stands behind an amount ------------------------------------------------------------------------------------


def behind(scan: Scan, end: int, words: str, value: Amount, plain: bool = True) -> Said | None:
    """What counts an amount that was read as `words` up to `end`: magnitude, currency, unit, percent, degrees."""
    text = scan.text
    magnitude = _WORD_MAGNITUDE.match(text, end)
    big = magnitude is not None
    if magnitude is not None:
        word = magnitude[1] or MAGNITUDES[magnitude[2]]
        end, words = magnitude.end(), f"{words} {word}"
    elif plain:
        letter = _letter_magnitude(scan, end, value)
        if letter is not None:
            end, words, big = letter.end, f"{words} {letter.text}", True
    is_one = value.is_one and not big
    for rule in (_currency_behind, _percent, _degrees, _unit):
        said = rule(scan, end, words, is_one, value if not big else None)
        if said is not None:
            return said
    return Said(end, words) if big else None


def _letter_magnitude(scan: Scan, end: int, value: Amount) -> Said | None:
    """Reads "10k", "5M", "7B": what the letter means depends on what follows."""
    found = _LETTER_MAGNITUDE.match(scan.text, end)
    if found is None:
        return None
    letter, after = found[1], found.end()
    currency = _CURRENCY_BEHIND.match(scan.text, after)
    counts = _PLURAL_NOUN.match(scan.text, after) is not None or currency is not None
    race = scan.word_after(after) in (
        "run",
        "race",
        "training",
        "resolution",
        "tv",
        "monitor",
        "video",
        "screen",
        "display",
    )
    if letter in "kK":
        if value.whole == "401":
            return None
        resolution = letter == "K" and value.whole in ("2", "4", "5", "8", "16") and not currency
        thousand = (
            not race
            and not resolution
            and (letter == "k" or counts or value.fraction is not None or len(value.whole) > 2)
        )
        return Said(after, "thousand" if thousand else "K")
    if letter in "mb":
        nouns = ("people", "users", "views", "downloads", "subscribers", "followers", "customers", "dollars", "copies")
        if currency is None and scan.word_after(after) not in nouns:
            return None
        return Said(after, MAGNITUDES[letter])
    if letter == "M":
        return Said(after, "million")
    return Said(after, MAGNITUDES[letter] if counts or value.fraction is not None else letter)


def _currency_behind(scan: Scan, end: int, words: str, is_one: bool, value: Amount | None) -> Said | None:
    found = _CURRENCY_BEHIND.match(scan.text, end)
    if found is None:
        if scan.char(end) == "¢":
            return Said(end + 1, f"{words} cent{'' if is_one else 's'}")
        if (
            scan.char(end) == "p"
            and scan.british
            and value is not None
            and value.fraction is None
            and len(value.whole) < 3
        ):
            return None if scan.char(end + 1).isalnum() else Said(end + 1, f"{words} {'penny' if is_one else 'pence'}")
        return None
    currency = found[1] or found[2]
    said = _sum(value, currency, scan.british) if value is not None else f"{words} {CURRENCIES[currency][1]}"
    after, per = _per(scan, found.end())
    return Said(after, said + per)


def _percent(scan: Scan, end: int, words: str, _is_one: bool, _value: Amount | None) -> Said | None:
    at = end + (scan.char(end) in (" ", "\u00a0", "\u202f"))
    if scan.char(at) == "%":
        after, per = _per(scan, at + 1)
        return Said(after, f"{words} percent{per}")
    return Said(at + 1, f"{words} per mille") if scan.char(at) == "‰" else None


def _degrees(scan: Scan, end: int, words: str, is_one: bool, _value: Amount | None) -> Said | None:
    arc = _ARC.match(scan.text, end)
    if arc is not None:
        minutes = f" {numerals.cardinal(int(arc[1]))} minute{'s' if arc[1] != '1' else ''}"
        seconds = f" {numerals.cardinal(int(arc[2]))} second{'s' if arc[2] != '1' else ''}" if arc[2] else ""
        compass = {"N": " north", "S": " south", "E": " east", "W": " west"}.get(scan.char(arc.end()), "")
        return Said(arc.end() + bool(compass), f"{words} degree{'' if is_one else 's'}{minutes}{seconds}{compass}")
    found = _DEGREES.match(scan.text, end)
    if found is None:
        alone = scan.char(end)
        if alone in ("℃", "℉"):
            return Said(end + 1, f"{words} degree{'' if is_one else 's'} {'Celsius' if alone == '℃' else 'Fahrenheit'}")
        return None
    scale = _SCALES.get(found[1] or "", "")
    stop = found.end() if found[0].rstrip() == found[0] or scale else end + len(found[0].rstrip())
    stop, per = _per(scan, stop)
    return Said(stop, f"{words} degree{'' if is_one else 's'}{scale}{per}")


def _powered(word: str, power: str | None, square: str | None = None) -> str:
    if power:
        return f"{'square' if power[-1] in '²2' else 'cubic'} {word}"
    return f"{'square' if square == 'sq' else 'cubic'} {word}" if square else word


def _unit(scan: Scan, end: int, words: str, is_one: bool, value: Amount | None) -> Said | None:
    fluid = _FLUID.match(scan.text, end)
    if fluid is not None:
        return Said(fluid.end(), f"{words} fluid ounce{'' if is_one else 's'}")
    found = _UNIT.match(scan.text, end)
    if found is None or not _is_unit(scan, found):
        return None
    if found["space"] == "" and found["unit"] == "s" and value is not None and _is_decade(scan, end, value):
        return None
    one, many = UNITS[found["unit"]]
    if found["unit"] == "pt" and not found["space"]:
        one = many = "point"
    after = found.end()
    single = is_one or found["space"] == "-" or (value is not None and value.single and _noun_follows(scan, after))
    word = _powered(one if single else many, found["power"], found["sq"])
    if found["per"]:
        per = WORD_UNITS.get(found["per"]) or UNITS[found["per"]][0]
        squared = found["perpower"] is not None and per in ("second", "minute", "hour")
        word += f" per {per} squared" if squared else f" per {_powered(per, found['perpower'])}"
    if (
        scan.char(after) == "."
        and scan.char(after + 1) in (" ", "\u00a0")
        and (scan.char(after + 2).islower() or _NEXT_PART.match(scan.text, after, after + 16))
    ):
        after += 1
    return Said(after, f"{words} {word}")


def _noun_follows(scan: Scan, end: int) -> bool:
    word = scan.word_after(end)
    return scan.char(end) == " " and word.islower() and word not in _AFTER_MEASURE


def _is_unit(scan: Scan, found: re.Match[str]) -> bool:
    unit, space = found["unit"], found["space"]
    if found["power"] or found["per"] or found["sq"]:
        return not (space == "-" and len(unit) == 1)
    if unit == "in" and space:
        return scan.char(found.end()) == "." or _FEET_BEFORE.search(scan.tail(found.start(), 12)) is not None
    if unit == "A" and scan.word_after(found.end()) in (
        "fuse",
        "circuit",
        "current",
        "breaker",
        "plug",
        "supply",
        "charger",
    ):
        return True
    if space == "-":
        return len(unit) > 1 and unit not in SPACED_UNITS_NOT and unit not in ("in", "st", "us")
    return unit not in (SPACED_UNITS_NOT if space else ATTACHED_UNITS_NOT)


def _is_decade(scan: Scan, end: int, value: Amount) -> bool:
    """Reads "the 90s", "1990s": not seconds."""
    if len(value.whole) == 4:
        return value.whole.endswith("0")
    if len(value.whole) != 2 or not value.whole.endswith("0"):
        return False
    start = end - 2
    return scan.char(start - 1) == "'" or scan.word_before(start).lower() in (
        "the", "early", "late", "mid", "his", "her", "their", "my", "your", "our"
    )  # fmt: skip


# -- feet, dimensions and factors ------------------------------------------------------------------------------------


def feet(scan: Scan, at: int) -> Said | None:
    """6'2" and the like."""
    found = _FEET.match(scan.text, at)
    if found is None:
        return None
    foot, inches = int(found[1]), int(found[2])
    said = numerals.cardinal(inches)
    if found[3]:
        said = numerals.decimal(found[2], found[3][1:])
    elif found[4]:
        said = numerals.mixed(inches, int(found[4]), int(found[5]))
    elif found[6]:
        said = numerals.mixed(inches, *VULGAR[found[6]])
    return Said(found.end(), f"{numerals.cardinal(foot, scan.british)} foot {said}")


def _quote_open(scan: Scan, at: int, sign: str) -> bool:
    """Whether the quotation mark at `at` closes a quotation."""
    tail = scan.tail(at)
    if sign in ('"', "''"):
        return tail.count('"') % 2 == 1
    return tail.count("“") > tail.count("”")


def foot_or_inch(scan: Scan, end: int, words: str, is_one: bool) -> Said | None:
    """12", 6'."""
    found = _INCH.match(scan.text, end)
    if found is not None and not _quote_open(scan, end, found[1]):
        single = is_one or _noun_follows(scan, found.end())
        return Said(found.end(), f"{words} inch{'' if single else 'es'}")
    found = _FOOT.match(scan.text, end)
    if found is None or (found[1] == "'" and _OPEN_QUOTE.search(scan.tail(end))):
        return None
    return Said(found.end(), f"{words} {'foot' if is_one else 'feet'}")


def dimensions(scan: Scan, at: int) -> Said | None:
    """Reads "1920x1080", "10 x 5", "2 × 3 × 4 cm"."""
    found = _TIMES.match(scan.text, at)
    if found is None:
        return None
    sides = [_NOT_DIGIT.sub("", part) if "." not in part else part for part in _TIMES_SIGN.split(found[0])]
    equation = scan.text[found.end() : found.end() + 2].strip()[:1] == "=" or scan.tail(at, 3).strip().endswith("=")
    joint = " times " if equation or ("×" in found[0] and " " in found[0] and len(sides) == 2) else " by "
    pixels = joint == " by " and all(len(side) in (3, 4) and side.isdecimal() for side in sides)
    said = joint.join(_side(side, pixels, scan.british) for side in sides)
    counted = _unit(scan, found.end(), said, False, None)
    return counted or Said(found.end(), said)


def _side(side: str, pixels: bool, british: bool) -> str:
    if pixels:
        return numerals.pairs(side, british)
    whole, point, part = side.partition(".")
    return numerals.decimal(whole, part, british) if point else numerals.integer(whole, british)


def factor(scan: Scan, end: int, words: str) -> Said | None:
    """Reads "2x", "10x faster"."""
    found = _FACTOR.match(scan.text, end)
    if found is None:
        return None
    times = _COMPARATIVE.match(scan.text, found.end()) is not None or found[0] == "×"
    return Said(found.end(), f"{words} {'times' if times else 'x'}")


def exponent(scan: Scan, end: int) -> tuple[int, str]:
    """What a superscript says: " squared", " to the minus three"; "" where there is none."""
    stop = end
    while stop < len(scan.text) and scan.text[stop] in SUPERSCRIPTS and stop - end < 8:
        stop += 1
    written = "".join(SUPERSCRIPTS[char] for char in scan.text[end:stop])
    if not written:
        caret = re.compile(r"\^(-?)\(?(?:(\d{1,6})|([A-Za-z])(?![A-Za-z]))\)?").match(scan.text, end)
        if caret is None:
            return end, ""
        stop, written = caret.end(), caret[1] + (caret[2] or caret[3])
        if "(" not in caret[0] and caret[0].endswith(")"):
            stop -= 1
    return stop, exponent_words(written, scan.british)


def exponent_words(written: str, british: bool) -> str:
    """Reads " squared", " cubed", " to the power of minus three" for "2", "3", "-3"."""
    if written in ("2", "3"):
        return " squared" if written == "2" else " cubed"
    minus = "minus " if written.startswith("-") else ""
    rest = written.lstrip("+-")
    if rest.isdecimal():
        return f" to the power of {minus}{numerals.integer(rest, british)}"
    return f" to the power of {minus}{rest}" if rest else ""
