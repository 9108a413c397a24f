"""A token that begins with a digit: finds its class (time, date, telephone, money, range, …) and reads it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.reading.english import amounts, calendar, codes, fractions, measures, numerals, phones
from voxwire_server.text.reading.english.amounts import Amount
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import (
    MONTH_BY_NAME,
    NUMBER_CONTEXT_CODES,
    ORDER_CONTEXT,
    ROOM_CONTEXT,
    STATES,
    UNITS,
    VERSION_CONTEXT,
    VULGAR,
    word_set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RUN = re.compile(r"\d+")
_ORDINAL = re.compile(r"(\d[\d,]{0,18})(?:\u00ad)?(st|nd|rd|th|ST|ND|RD|TH)(?![A-Za-z\d])")
_DECADE = re.compile(r"(\d{2}|\d{3}0|\d{2}00)('?)s(?![A-Za-z\d])")
_SCAN_LINES = re.compile(r"(\d{3,4})([pi])(?![A-Za-z\d])")
_SCIENTIFIC = re.compile(r"\d{1,15}(?:\.\d{1,15})?[eE]([-+]?)(\d{1,4})(?![\w])")
_AS_TWO = re.compile(r"(50)-(50)(?![\w-])|(24)-(7)(?![\w-])")
_PARAGRAPH = re.compile(r"(\d{3})\(([a-z])\)(?:\((\d)\))?")
_HALVES_RANGE = re.compile(
    r"(\d{1,2})(?::([0-5]\d))?[ \u00a0]?[-–—][ \u00a0]?(?=\d{1,2}(?::[0-5]\d)?[ \u00a0]?[AaPp]\.?[Mm])"
)
_ORDINAL_RANGE = re.compile(r"[ \u00a0]?[-–—][ \u00a0]?(?=\d{1,18}(?:st|nd|rd|th)(?![A-Za-z\d]))")
_RATING = re.compile(r"(\d{1,3}\.\d{1,2})/(\d{1,3})(?![\d/.]\d|\d)")
_ENDING = frozenset(("ends", "ending", "end"))
_COUNTDOWN = re.compile(r"\d{1,3}(?:-\d{1,3}){2,6}(?![\w-])")
_ERA = re.compile(r"(\d{1,5})(?= ?(?:BC|AD|BCE|CE|B\.C|A\.D)\b)")
_MIXED = re.compile(r"(\d{1,4})(?:[ \u00a0-])(\d{1,3})/(\d{1,3})(?![\d/])")
_MIXED_SIGN = re.compile(r"(\d{1,6})[ \u00a0]?([½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒])")
_RANGE_DASH = re.compile("([ \u00a0\u202f]?)([-–—−~])([ \u00a0\u202f]?)(?=[.\\d$€£¥])")
_EQUATION = re.compile(r"[^.?!\n]{0,24}?(?:[=≈]|equals)")
_LIST_NUMBER = re.compile(r"(?:^|[\n\v])[ \u00a0]{0,8}\(?$")
_YEAR_SPAN = re.compile(r"(\d{4})[-–/](\d{2})(?![\d\w]|[-–/.]\d)")
_CONTEXT_NUMBER = re.compile(r"(\d{1,16})(?![\d.,:/%]\d|\d|[A-Za-z%])")
_MEASURED = re.compile(
    r"[ \u00a0](?:[a-z]{3,20} ){0,1}(?:people|men|women|children|feet"
    r"|(?!(?:is|was|has|this|as|plus|its|does|across|series|les|des)\b)[a-z]{2,20}[^s\W\d_']s)\b"
)
_QUARTER = re.compile(r"[QH][1-4]|FY")
_YEAR_BEFORE = word_set(
    """
    in since from until till during around circa by of late early mid year summer winter spring fall autumn class
    """
)
_COMMA_DECIMAL = re.compile(
    r"(\d{1,6}),(\d{1,2})(?!\d|,\d)(?=[ \u00a0]?(?:%|°|€|\$|£|(?:degrees?|percent|million|billion|thousand|meters?"
    r"|metres?|kilometers?|kilometres?|liters?|litres?|euros?|dollars?|pounds?|grams?|kilos?|seconds?|minutes?|hours?|miles?|feet"
    rf"|inches|points?|volts?|times)\b|(?:{amounts.either(set(UNITS) - {'in', 'A', 'us', 'au', 'st'})})(?![A-Za-z])))"
)
_PI = re.compile(r"3,14(?!\d)")
_CHAPTER_VERSE = re.compile(r"\d{1,3}:\d{1,3}")
_SPORT = word_set(
    """
    won lost win lose beat score scored led lead leads tied draw drew defeated game final victory defeat loss
    """
)


def number(scan: Scan, at: int, sign: str = "") -> Said:
    """The reading of the token at `at`, a digit or a decimal point with a digit; `sign` is said before an amount."""
    text = scan.text
    run = _RUN.match(text, at)
    if run is None:
        return _amount(scan, at, sign)
    follows = text[run.end() : run.end() + 1]
    for rule in _RULES.get(follows, _BY_LETTER if follows.isalpha() else ()):
        said = rule(scan, at)
        if said is not None:
            return said._replace(text=sign + (said.text or "")) if sign else said
    return _amount(scan, at, sign)


# -- rules by what follows the first digits --------------------------------------------------------------------------


def _dotted(scan: Scan, at: int) -> Said | None:
    rating = _RATING.match(scan.text, at)
    if rating is not None:
        whole, _, part = rating[1].partition(".")
        return Said(rating.end(), f"{numerals.decimal(whole, part)} out of {numerals.integer(rating[2])}")
    power = _SCIENTIFIC.match(scan.text, at)
    if power is not None:
        return _scientific(scan, power)
    for rule in (calendar.numeric, codes.address, phones.phone, calendar.hour):
        said = rule(scan, at)
        if said is not None:
            return said
    word = scan.word_before(at)
    named = word.lower().rstrip("-") in VERSION_CONTEXT
    return codes.version(scan, at, named)


def _dashed(scan: Scan, at: int) -> Said | None:
    for rule in (
        calendar.numeric, codes.address, phones.phone, calendar.day_month, _year_span, _half_range, _mixed,
        _hyphened_unit, _countdown, _dashed_range, codes.code,
    ):  # fmt: skip
        said = rule(scan, at)
        if said is not None:
            return said
    return None


def _paragraph(scan: Scan, at: int) -> Said | None:
    """Reads "401(k)", "501(c)(3)"."""
    found = _PARAGRAPH.match(scan.text, at)
    if found is None:
        return None
    said = f"{numerals.pairs(found[1])} {codes.letters(found[2])}"
    return Said(found.end(), said + (f" {numerals.integer(found[3])}" if found[3] else ""))


def _countdown(scan: Scan, at: int) -> Said | None:
    """Reads "3-2-1"."""
    found = _COUNTDOWN.match(scan.text, at)
    return None if found is None else Said(found.end(), " ".join(map(numerals.integer, found[0].split("-"))))


def _dashed_range(scan: Scan, at: int) -> Said | None:
    """Reads "24-70mm": a range with a unit behind it."""
    value = amounts.amount(scan, at)
    assert value is not None, "a digit is there"
    return _range(scan, at, value, _whole_words(scan, at, value))


def _half_range(scan: Scan, at: int) -> Said | None:
    """Reads "5-6pm" and "50-50"."""
    two = _AS_TWO.match(scan.text, at)
    if two is not None:
        return Said(two.end(), " ".join(numerals.cardinal(int(part)) for part in two.groups() if part))
    found = _HALVES_RANGE.match(scan.text, at)
    if found is None or int(found[1]) > 24:
        return None
    until = calendar.clock(scan, found.end()) or calendar.hour(scan, found.end())
    if until is None:
        return None
    first = calendar.clock_words(int(found[1]), int(found[2] or 0), None, "x").removesuffix(" X.M")
    return Said(until.end, f"{first} to {until.text}")


def _hyphened_unit(scan: Scan, at: int) -> Said | None:
    """Reads "a 5-km run"."""
    value = amounts.amount(scan, at)
    assert value is not None, "a digit is there"
    return (
        measures.unit(scan, value.end, value.words(scan.british), True, value) if scan.char(value.end) == "-" else None
    )


def _spaced(scan: Scan, at: int) -> Said | None:
    for rule in (phones.phone, calendar.hour, calendar.day_month, _mixed, calendar.duration, _era, measures.dimensions):
        said = rule(scan, at)
        if said is not None:
            return said
    return None


def _lettered(scan: Scan, at: int) -> Said | None:
    for rule in (
        codes.address, _ordinal, calendar.hour, calendar.day_month, calendar.duration, measures.dimensions, _counted,
        codes.code,
    ):  # fmt: skip
        said = rule(scan, at)
        if said is not None:
            return said
    return None


def _coloned(scan: Scan, at: int) -> Said | None:
    return codes.address(scan, at) or _clock_range(scan, at) or calendar.clock(scan, at)


def _clock_range(scan: Scan, at: int) -> Said | None:
    """Reads "7:30-9:00", "5pm-7pm": each end as a time."""
    first = calendar.clock(scan, at) or calendar.hour(scan, at)
    if first is None:
        return None
    dash = _RANGE_DASH.match(scan.text, first.end)
    if dash is None:
        return None
    second = calendar.clock(scan, dash.end()) or calendar.hour(scan, dash.end())
    return Said(second.end, f"{first.text} to {second.text}") if second is not None else None


def _grouped(scan: Scan, at: int) -> Said | None:
    """A comma behind the digits: a decimal comma where its context says so."""
    found = _COMMA_DECIMAL.match(scan.text, at) or (_PI.match(scan.text, at))
    if found is None:
        return _ordinal(scan, at)
    whole, _, part = found[0].partition(",")
    words = numerals.decimal(whole, part, scan.british)
    return measures.behind(scan, found.end(), words, Amount(found.end(), whole, part)) or Said(found.end(), words)


def _feet(scan: Scan, at: int) -> Said | None:
    return measures.feet(scan, at) or _decade(scan, at)


def _bracketed(scan: Scan, at: int) -> Said | None:
    return _mixed(scan, at)


def _mixed(scan: Scan, at: int) -> Said | None:
    """Reads "2 1/2", "1½"."""
    found = _MIXED.match(scan.text, at)
    if found is not None and 0 < int(found[2]) < int(found[3]) and int(found[3]) in fractions.BOTTOMS:
        words = numerals.mixed(int(found[1]), int(found[2]), int(found[3]), scan.british)
        return with_unit(scan, found.end(), words)
    sign = _MIXED_SIGN.match(scan.text, at)
    if sign is None:
        return None
    return with_unit(scan, sign.end(), numerals.mixed(int(sign[1]), *VULGAR[sign[2]], scan.british))


def with_unit(scan: Scan, end: int, words: str, one: bool = False) -> Said:
    """A fraction that was read as `words` up to `end`, with what it counts; `one`: whether it is less than one."""
    value = Amount(end, "1" if one else "2", None)
    return (
        measures.unit(scan, end, words, one, None)
        or measures.foot_or_inch(scan, end, words, one)
        or measures.behind(scan, end, words, value, plain=False, alone=False)
        or Said(end, words)
    )


def _era(scan: Scan, at: int) -> Said | None:
    """Reads "1200 BC"."""
    found = _ERA.match(scan.text, at)
    return None if found is None else Said(found.end(), numerals.year(int(found[1]), scan.british))


def _ordinal(scan: Scan, at: int) -> Said | None:
    """Reads "21st", "1,000th"."""
    found = _ORDINAL.match(scan.text, at)
    if found is None:
        return None
    date = calendar.day_month(scan, at)
    if date is not None:
        return date
    said = numerals.ordinal(int(found[1].replace(",", "")), scan.british)
    dash = _ORDINAL_RANGE.match(scan.text, found.end())
    until = _ORDINAL.match(scan.text, dash.end()) if dash is not None else None
    if until is None:
        return Said(found.end(), said)
    return Said(until.end(), f"{said} to {numerals.ordinal(int(until[1].replace(',', '')), scan.british)}")


def _decade(scan: Scan, at: int) -> Said | None:
    """Reads "1990s", "90s" where it is no time."""
    found = _DECADE.match(scan.text, at)
    if found is None or (found[2] and not found[1].endswith("0")):
        return None
    short = len(found[1]) == 2 and not found[2]
    if short and not measures.is_decade(scan, found.end(1), Amount(found.end(1), found[1], None)):
        return None
    return Said(found.end(), numerals.decade(int(found[1]), scan.british))


def _counted(scan: Scan, at: int) -> Said | None:
    """Digits with letters behind them that say what they count: "5km", "10x", "5M", "90s", "401k"."""
    decade = _decade(scan, at)
    if decade is not None:
        return decade
    scan_lines = _SCAN_LINES.match(scan.text, at)
    if scan_lines is not None:
        return Said(scan_lines.end(), f"{numerals.pairs(scan_lines[1])} {codes.letters(scan_lines[2])}")
    power = _SCIENTIFIC.match(scan.text, at)
    if power is not None:
        return _scientific(scan, power)
    word = scan.word_before(at).lower()
    if word in ROOM_CONTEXT:
        return None
    value = amounts.amount(scan, at)
    assert value is not None, "a digit is there"
    if word in ("a", "an", "each", "every"):
        value = value._replace(single=True)
    words = _whole_words(scan, at, value)
    factor = measures.factor(scan, value.end, words)
    if factor is not None:
        return factor
    found = measures.behind(scan, value.end, words, value)
    if found is not None and not (scan.char(found.end).isalnum() or scan.char(found.end) == "_"):
        return found
    return None


def _scientific(scan: Scan, found: re.Match[str]) -> Said:
    """Reads "6.02e23": six point zero two times ten to the power of twenty-three."""
    value = amounts.amount(scan, found.start())
    assert value is not None, "a digit is there"
    power = f"{'minus ' if found[1] == '-' else ''}{numerals.integer(found[2], scan.british)}"
    return Said(found.end(), f"{value.words(scan.british)} times ten to the power of {power}")


def _year_span(scan: Scan, at: int) -> Said | None:
    """Reads "2020-21"."""
    found = _YEAR_SPAN.match(scan.text, at)
    if found is None or not 1100 <= int(found[1]) <= 2099 or int(found[2]) <= int(found[1][2:]):
        return None
    return Said(found.end(), f"{numerals.year(int(found[1]), scan.british)} to {numerals.integer(found[2])}")


_RULES: Mapping[str, tuple[Callable[[Scan, int], Said | None], ...]] = {
    ":": (_coloned,),
    "/": (fractions.slashed,),
    "⁄": (fractions.slashed,),
    "-": (_dashed,),
    "–": (_dashed,),
    ".": (_dotted,),
    ",": (_grouped,),
    " ": (_spaced,),
    "\u00a0": (_spaced,),
    "'": (_feet,),
    "′": (_feet,),
    "×": (measures.dimensions,),
    "(": (_paragraph,),
} | dict.fromkeys(VULGAR, (_mixed,))
_BY_LETTER: tuple[Callable[[Scan, int], Said | None], ...] = (_clock_range, _lettered)


# -- amounts ---------------------------------------------------------------------------------------------------------


def _amount(scan: Scan, at: int, sign: str) -> Said:
    """A plain amount: with its range, its unit, or as a year, a code, a count."""
    value = amounts.amount(scan, at)
    assert value is not None, "a digit is there"
    words = _whole_words(scan, at, value)
    if value.fraction is not None or sign or len(value.whole) > 15:
        spoken_alone = None
    else:
        spoken_alone = _in_context(scan, at, value)
    if spoken_alone is not None:
        return Said(value.end, sign + spoken_alone)
    ranged = None if sign else _range(scan, at, value, words)
    if ranged is not None:
        return ranged
    end, power = measures.exponent(scan, value.end)
    if power:
        counted = measures.unit(scan, end, words + power, False, None)
        return Said(counted.end, sign + (counted.text or "")) if counted else Said(end, sign + words + power)
    if scan.word_before(at).lower() in ("a", "an", "each", "every"):
        value = value._replace(single=True)
    said = (
        measures.behind(scan, value.end, words, value)
        or measures.foot_or_inch(scan, value.end, words, value.is_one)
        or measures.factor(scan, value.end, words)
    )
    if said is not None and not scan.char(said.end).isdecimal():
        return Said(said.end, sign + (said.text or ""))
    return Said(value.end, sign + words)


def _whole_words(scan: Scan, at: int, value: Amount) -> str:
    """The words of an amount: a year where it may be one."""
    if value.fraction is not None or len(value.whole) != 4 or value.end - at != 4 or value.whole[0] == "0":
        return value.words(scan.british)
    n = int(value.whole)
    if 1100 <= n <= 2099 and not _counts(scan, value.end):
        return numerals.year(n, scan.british)
    if (
        1000 <= n <= 2999
        and scan.word_before(at).lower() in ("in", "since", "year", "until")
        and not _counts(scan, value.end)
    ):
        return numerals.year(n, scan.british)
    return value.words(scan.british)


def _counts(scan: Scan, end: int) -> bool:
    """Whether what follows a number of four digits is counted by it."""
    if scan.char(end) in ("%", "°", "€", "$", "£", "¥"):
        return True
    if measures.UNIT.match(scan.text, end) and measures.unit(scan, end, "", False, None) is not None:
        return True
    if measures.WORD_MAGNITUDE.match(scan.text, end) is not None:
        return True
    return _MEASURED.match(scan.text, end) is not None


def _in_context(scan: Scan, at: int, value: Amount) -> str | None:
    """A number that is a name: called, a room, a code; digits or pairs of digits."""
    found = _CONTEXT_NUMBER.match(scan.text, at)
    if found is None or found.end() != value.end:
        return None
    digits = found[1]
    if phones.called(scan, at, digits):
        return phones.digits_in_context(digits)
    if scan.continues_number(at):
        return numerals.each_digit(digits)
    if at == 0 and is_month(scan.word_before(at)) and len(digits) < 3 and 1 <= int(digits) <= 31:
        return numerals.ordinal(int(digits), scan.british)
    if len(digits) == 3 and scan.char(at - 1) == "(" and scan.char(value.end) == ")" and phones.is_dialled(scan, at):
        return numerals.each_digit(digits)
    word = scan.word_before(at).lower()
    words = [w.strip(".,:;#") for w in scan.words_before(at, 3)]
    behind_is = len(words) > 1 and words[-1] in ("is", "was", "number", "no", "code") and len(digits) > 2
    name = word if not behind_is else next((w for w in reversed(words[:-1]) if w not in ("code", "number")), word)
    if len(digits) > 1 and (word in NUMBER_CONTEXT_CODES or (behind_is and {*words} & NUMBER_CONTEXT_CODES)):
        return phones.digits_in_context(digits)
    if len(words) > 1 and words[-1] == "in" and words[-2] in _ENDING and len(digits) == 4:
        return numerals.each_digit(digits)
    if word in ("a", "an") and len(digits) == 3 and digits[0] != "0" and not _counts(scan, value.end):
        after = scan.word_after(value.end)
        if (
            not after.islower()
            or after in ("error", "page", "response", "status")
            or scan.char(value.end) not in (" ", "\u00a0")
        ):
            return numerals.pairs(digits, scan.british)
    if _is_year(digits) and _QUARTER.fullmatch(scan.word_before(at)):
        return numerals.year(int(digits), scan.british)
    if len(digits) == 5 and scan.word_before(at) in STATES:
        return numerals.each_digit(digits)
    placed = word in ROOM_CONTEXT or (len(word) == 2 and len(words) > 1 and words[-2] in ROOM_CONTEXT)
    if placed and len(digits) in (3, 4):
        return numerals.each_digit(digits) if digits[0] == "0" else numerals.pairs(digits, scan.british)
    if (
        word in ORDER_CONTEXT or (words and words[-1] in ORDER_CONTEXT) or (behind_is and name in ORDER_CONTEXT)
    ) and len(digits) > 3:
        return phones.digits_in_context(digits)
    return None


def is_month(word: str) -> bool:
    """Whether a word before a number is a month."""
    return word[:1].isupper() and word.lower() in MONTH_BY_NAME


def _is_year(digits: str) -> bool:
    return len(digits) == 4 and "1100" <= digits <= "2099"


def _range(scan: Scan, at: int, value: Amount, words: str) -> Said | None:
    """Reads "5-10 km", "1990–1995", "5%-10%", and "5 - 3 = 2"."""
    end = value.end
    percent = scan.char(end) in ("%", "°")
    dash = _RANGE_DASH.match(scan.text, end + percent)
    if dash is None or bool(dash[1]) != bool(dash[3]):
        return None
    spaced = bool(dash[1])
    until_at = dash.end()
    money = amounts.CURRENCY_BEFORE.match(scan.text, until_at)
    if money is not None:
        return None
    until = amounts.amount(scan, until_at)
    if until is None:
        return None
    after = scan.char(until.end)
    if (
        after in ("-", ":", "/", "_")
        and scan.char(until.end + 1).isalnum()
        and not (after == "-" and scan.char(until.end + 1).isalpha())
    ):
        return None
    if spaced and _subtracts(scan, value, until, dash):
        return None
    if dash[2] == "−":
        return None
    year = _is_year(value.whole) and _is_year(until.whole) and value.end - at == 4
    until_words = until.words(scan.british)
    first = words
    if year and not _counts(scan, until.end):
        first, until_words = numerals.year(value.value, scan.british), numerals.year(until.value, scan.british)
    elif not year and value.fraction is None:
        first = value.words(scan.british)
    if percent and scan.char(until.end) == scan.char(end):
        percent = False
    said = f"{first}{(' percent' if scan.char(end) == '%' else ' degrees') if percent else ''} to {until_words}"
    counted = measures.behind(scan, until.end, said, Amount(until.end, "2", None), plain=True, alone=False)
    counted = counted or measures.foot_or_inch(scan, until.end, said, False)
    if counted is None and scan.char(until.end).isalpha():
        return None
    return counted or Said(until.end, said)


def _subtracts(scan: Scan, value: Amount, until: Amount, dash: re.Match[str]) -> bool:
    """Whether a dash with spaces is a minus: an equation, or the second number is the smaller one."""
    if dash[2] == "−" or _EQUATION.match(scan.text, until.end) is not None:
        return True
    if re.search(r"[=+×÷*] ?$", scan.tail(value.end - len(value.whole), 4)):
        return True
    return dash[2] == "-" and value.value > until.value
