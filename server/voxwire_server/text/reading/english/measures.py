"""What an amount counts: magnitudes, currencies, units, percent, degrees, feet and inches, dimensions. Pure."""

from __future__ import annotations

import re
import unicodedata

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.amounts import (
    CURRENCY_BEHIND,
    NOT_DESCRIBED,
    NOT_DIGIT,
    NUMBER,
    SP,
    Amount,
    either,
    per_words,
    sum_words,
)
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import (
    ATTACHED_UNITS_NOT,
    CURRENCIES,
    MAGNITUDES,
    SPACED_UNITS_NOT,
    SUPERSCRIPTS,
    UNITS,
    VULGAR,
    WORD_UNITS,
)

_DECIMAL_BEFORE = re.compile(r"\d\.\d{1,4}$")
WORD_MAGNITUDE = re.compile(
    rf"{SP}?(hundred thousand|hundred million|thousand|million|billion|trillion|hundred)(?![A-Za-z])"
    r"|(bn|mn|tn)(?![A-Za-z\d])"
)
_LETTER_MAGNITUDE = re.compile(r"([kKmMBbT])(?![^\W_])")
_POWER = r"(?:²|³|\^[23](?!\d))"
UNIT = re.compile(
    rf"(?P<space>{SP}?|-)(?:(?P<sq>sq|cu)\.?{SP})?(?P<unit>{either(UNITS)})(?P<power>{_POWER}|(?<=[mt])[23](?!\d))?"
    rf"(?:/(?P<per>{either(set(UNITS) | set(WORD_UNITS))})(?P<perpower>{_POWER})?)?(?![A-Za-z\d'&@])"
)
_UNIT_SIGNS = {
    chr(code): written
    for code in range(0x3380, 0x33E0)
    if (written := unicodedata.normalize("NFKC", chr(code))).rstrip("23") in UNITS
}
_BASIS_POINTS_MAX = 1000
"""From here on "bps" is bits per second."""
_FLUID = re.compile(rf"{SP}?fl\.?{SP}oz(?:\.(?={SP}[a-z]))?(?![A-Za-z])")
_DEGREES = re.compile(rf"{SP}?[°º]{SP}?(?:([CFKNSEW])(?![A-Za-z\d]))?")
_SCALES = {
    "C": " Celsius", "F": " Fahrenheit", "K": " Kelvin", "N": " north", "S": " south", "E": " east", "W": " west",
}  # fmt: skip
_NEXT_PART = re.compile(r"\. \d{1,2}(?:\.\d)? ?(?:in|oz|min|sec|mins)\b")
_FEET_BEFORE = re.compile(r"(?:ft\.?|feet|foot|yd) ?\d{1,2}(?:\.\d+)?$")
_ARC = re.compile(rf"°{SP}?(\d{{1,2}})['′]{SP}?(?:(\d{{1,2}})(?:\.\d{{1,4}})?[\"″]{SP}?)?")
_FEET = re.compile(r"(\d{1,3})['′][ -]?(\d{1,2})(?:(\.\d{1,2})|[ -]?(\d{1,2})/(\d{1,2})|([½¼¾]))?(?:[\"″”]|''|′′)")
_FEET_OPEN = re.compile(r"([1-8])['′](\d|1[01])(?![\w'\"″”])")
_FOOT = re.compile(r"(['′])(?![\w'])")
_OPEN_QUOTE = re.compile(r"(?:(?:^|[ (\"])'[^']*|‘[^'‘]*)$")
_INCH = re.compile(r"([\"″”]|''|′′)(?!\w)")
_TIMES = re.compile(
    rf"({NUMBER}(?:\.\d+)?)((?:{SP}?[x×]{SP}?\.?\d{{1,15}}(?:\.\d{{1,15}})?){{1,4}})(?![\d./]\d|[A-Za-z]{{4}})"
)
_TIMES_SIGN = re.compile(rf"{SP}?[x×]{SP}?")
_FACTOR = re.compile(r"[xX×](?![A-Za-z\d_])")
_PLURAL_NOUN = re.compile(
    rf"{SP}(?:[a-z]{{2,20}}-?{SP}?)?(?:people|(?!(?:is|was|has|this|vs|as|plus|its|does)\b)[a-z]{{2,20}}s)\b"
)
_COMPARATIVE = re.compile(
    rf"{SP}(?:as|the|more|less|fewer|better|worse|[a-z]{{2,14}}er|speed|growth|return|improvement|increase|leverage|revenue|size|zoom)\b"
)


# -- what stands behind an amount ------------------------------------------------------------------------------------


def behind(scan: Scan, end: int, words: str, value: Amount, plain: bool = True, alone: bool = True) -> Said | None:
    """What counts an amount that was read as `words` up to `end`: magnitude, currency, unit, percent, degrees."""
    text = scan.text
    magnitude = WORD_MAGNITUDE.match(text, end)
    big = magnitude is not None
    if magnitude is not None:
        word = magnitude[1] or MAGNITUDES[magnitude[2]]
        end, words = magnitude.end(), f"{words} {word}"
    elif plain:
        letter = _letter_magnitude(scan, end, value)
        if letter is not None:
            end, words, big = letter.end, f"{words} {letter.text}", True
    is_one = value.is_one and not big
    for rule in (_currency_behind, _percent, _degrees, unit):
        said = rule(scan, end, words, is_one, value if alone and not big else None)
        if said is not None:
            return said
    return Said(end, words) if big else None


def _letter_magnitude(scan: Scan, end: int, value: Amount) -> Said | None:
    """Reads "10k", "5M", "7B": what the letter means depends on what follows."""
    found = _LETTER_MAGNITUDE.match(scan.text, end)
    if found is None:
        return None
    letter, after = found[1], found.end()
    currency = CURRENCY_BEHIND.match(scan.text, after)
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
    found = CURRENCY_BEHIND.match(scan.text, end)
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
    said = sum_words(value, currency, scan.british) if value is not None else f"{words} {CURRENCIES[currency][1]}"
    after, per = per_words(scan, found.end())
    return Said(after, said + per)


def _percent(scan: Scan, end: int, words: str, _is_one: bool, _value: Amount | None) -> Said | None:
    at = end + (scan.char(end) in (" ", "\u00a0", "\u202f"))
    if scan.char(at) == "%":
        after, per = per_words(scan, at + 1)
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
    stop, per = per_words(scan, stop)
    return Said(stop, f"{words} degree{'' if is_one else 's'}{scale}{per}")


def powered(word: str, power: str | None, square: str | None = None) -> str:
    """Gives "square meters", "cubic feet"."""
    if power:
        return f"{'square' if power[-1] in '²2' else 'cubic'} {word}"
    return f"{'square' if square == 'sq' else 'cubic'} {word}" if square else word


def unit(scan: Scan, end: int, words: str, is_one: bool, value: Amount | None) -> Said | None:
    """The unit behind an amount that was read as `words` up to `end`; `value` is None where that has other parts."""
    fluid = _FLUID.match(scan.text, end)
    if fluid is not None:
        return Said(fluid.end(), f"{words} fluid ounce{'' if is_one else 's'}")
    sign = scan.char(end + (scan.char(end) in (" ", "\u00a0")))
    if sign in _UNIT_SIGNS:
        written = _UNIT_SIGNS[sign]
        one, many = UNITS[written.rstrip("23")]
        power = written[-1] if written[-1].isdecimal() else None
        return Said(scan.text.index(sign, end) + 1, f"{words} {powered(one if is_one else many, power)}")
    found = UNIT.match(scan.text, end)
    if found is None or not _is_unit(scan, found):
        return None
    if found["space"] == "" and found["unit"] == "s" and value is not None and is_decade(scan, end, value):
        return None
    one, many = UNITS[found["unit"]]
    if found["unit"] == "bps" and value is not None and value.value < _BASIS_POINTS_MAX:
        one, many = "basis point", "basis points"
    if found["unit"] == "pt" and not found["space"]:
        one = many = "point"
    after = found.end()
    single = is_one or found["space"] == "-" or (value is not None and value.single and _noun_follows(scan, after))
    word = powered(one if single else many, found["power"], found["sq"])
    if found["per"]:
        per = WORD_UNITS.get(found["per"]) or UNITS[found["per"]][0]
        squared = found["perpower"] is not None and per in ("second", "minute", "hour")
        word += f" per {per} squared" if squared else f" per {powered(per, found['perpower'])}"
    if (
        scan.char(after) == "."
        and scan.char(after + 1) in (" ", "\u00a0")
        and (scan.char(after + 2).islower() or _NEXT_PART.match(scan.text, after, after + 16))
    ):
        after += 1
    return Said(after, f"{words} {word}")


def _noun_follows(scan: Scan, end: int) -> bool:
    word = scan.word_after(end)
    return scan.char(end) == " " and word.islower() and word not in NOT_DESCRIBED


def _is_unit(scan: Scan, found: re.Match[str]) -> bool:
    unit, space = found["unit"], found["space"]
    if found["power"] or found["per"] or found["sq"]:
        return not (space == "-" and len(unit) == 1)
    if unit == "in" and space:
        return scan.char(found.end()) == "." or _FEET_BEFORE.search(scan.tail(found.start(), 12)) is not None
    if unit == "st" and scan.british:
        return bool(space)
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
    if unit == "s" and space == " ":
        return _DECIMAL_BEFORE.search(scan.tail(found.start(), 6)) is not None
    if space == "-":
        return len(unit) > 1 and unit not in SPACED_UNITS_NOT and unit not in ("in", "st", "us")
    return unit not in (SPACED_UNITS_NOT if space else ATTACHED_UNITS_NOT)


def is_decade(scan: Scan, end: int, value: Amount) -> bool:
    """Reads "the 90s", "1990s": not seconds."""
    if len(value.whole) == 4:
        return value.whole.endswith("0")
    if len(value.whole) != 2 or not value.whole.endswith("0"):
        return False
    start = end - 2
    if scan.word_after(end + 1) in (
        "music",
        "fashion",
        "kid",
        "kids",
        "style",
        "rock",
        "movie",
        "movies",
        "song",
        "songs",
        "today",
        "tonight",
        "tomorrow",
        "hip",
        "nostalgia",
    ):
        return True
    return scan.char(start - 1) == "'" or scan.word_before(start).lower().rstrip("-") in (
        "the", "early", "late", "mid", "his", "her", "their", "my", "your", "our"
    )  # fmt: skip


# -- feet, dimensions and factors ------------------------------------------------------------------------------------


def feet(scan: Scan, at: int) -> Said | None:
    """6'2" and the like."""
    found = _FEET.match(scan.text, at)
    if found is None:
        short = _FEET_OPEN.match(scan.text, at)
        if short is None:
            return None
        return Said(short.end(), f"{numerals.cardinal(int(short[1]))} foot {numerals.cardinal(int(short[2]))}")
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
    sides = [NOT_DIGIT.sub("", part) if "." not in part else part for part in _TIMES_SIGN.split(found[0])]
    equation = scan.text[found.end() : found.end() + 2].strip()[:1] == "=" or scan.tail(at, 3).strip().endswith("=")
    joint = " times " if equation or ("×" in found[0] and " " in found[0] and len(sides) == 2) else " by "
    pixels = joint == " by " and all(len(side) in (3, 4) and side.isdecimal() for side in sides)
    said = joint.join(_side(side, pixels, scan.british) for side in sides)
    counted = unit(scan, found.end(), said, False, None)
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
