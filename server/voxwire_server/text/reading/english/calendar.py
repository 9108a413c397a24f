"""Dates and times: "Nov. 21", "2024-03-05", "7:05 a.m.", "Mon-Fri", durations. Pure."""

from __future__ import annotations

import re

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import DATE_CONTEXT, MONTH_BY_NAME, MONTHS, WEEKDAY_BY_NAME, word_set

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)"
)
_WEEKDAY = (
    r"(?:Mon(?:day)?|Tue(?:s(?:day)?)?|Wed(?:s|nesday)?|Thu(?:rs?(?:day)?)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)"
)
_SEP = "[ \u00a0\u202f]"
_AMPM = rf"{_SEP}?(?P<ap>[AaPp])(?:\.{_SEP}?[Mm](?P<dot>\.)?|[Mm])(?![A-Za-z0-9])"
_CLOCK = re.compile(r"(?P<h>\d{1,2}):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d)(?:\.\d{1,6})?)?(?![\d:])(?:" + _AMPM + ")?")
_HOUR = re.compile(r"(?P<h>\d{1,2})(?![\d:])(?:\.(?P<m>[0-5]\d))?(?:" + _AMPM + ")")
_RATIO = re.compile(r"(\d{1,6}):(\d{1,6})(?![\d:])")
_ISO = re.compile(
    r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?!\d|[-/.]\d)"
    r"(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?(?![\d:]))?"
)
_NUMERIC = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{2})(?!\d|[-/.]\d)")
_SHORT = re.compile(r"(\d{1,2})/(\d{1,2})(?![\d/]|\.\d)")
_MONTH_YEAR = re.compile(r"(\d{4})-(0[1-9]|1[0-2])(?![\d-])")
_MONTH_DAY = re.compile(
    rf"({_MONTH})(\.?){_SEP}?(?:the )?(\d{{1,2}})(st|nd|rd|th)?(?:{_SEP}?[-–]{_SEP}?(\d{{1,2}})(?:st|nd|rd|th)?)?"
    rf"(?![\d%]|[:.,/]\d|{_SEP}?[AaPp]\.?[Mm]\b)(?:(,?){_SEP}(\d{{4}})(?![\d:%]|[.,]\d))?"
)
_MONTH_ALONE = re.compile(rf"({_MONTH})(\.?)(?:{_SEP}'?(\d{{4}})(?!\d))?(?![A-Za-z\d])")
_DAY_MONTH = re.compile(
    rf"(\d{{1,2}})(st|nd|rd|th)?(?:{_SEP}?[-–]{_SEP}?(\d{{1,2}})(?:st|nd|rd|th)?)?(?:{_SEP}(of))?(?:{_SEP}|-)({_MONTH})(\.?)"
    rf"(?![A-Za-z])(?:(?:,?{_SEP}|-)(\d{{4}})(?![\d:%]|[.,]\d))?"
)
_WEEKDAYS = re.compile(rf"({_WEEKDAY})(\.?)(?:(?:{_SEP}?[-–—]{_SEP}?|/)({_WEEKDAY})(\.?))?(?![A-Za-z])")
_DURATION = re.compile(
    rf"(?:(\d{{1,4}}){_SEP}?(?:d|days?){_SEP}?)?(?:(\d{{1,4}}){_SEP}?(?:h|hrs?){_SEP}?)?(?:(\d{{1,4}}){_SEP}?(?:m|mins?){_SEP}?)?(?:(\d{{1,4}}){_SEP}?(?:s|secs?))?(?![A-Za-z\d])"
)
_DURATION_UNITS = ("day", "hour", "minute", "second")
_AMBIGUOUS_MONTHS = word_set(
    """
    may mar march jan dec june sep jun august april
    """
)
_AMBIGUOUS_DAYS = frozenset(["mon", "wed", "sat", "sun"])
_BOOKS = word_set(
    """
    Genesis Exodus Leviticus Numbers Deuteronomy Joshua Judges Ruth Samuel Kings Chronicles Ezra Nehemiah Esther
    Job Psalm Psalms Proverbs Ecclesiastes Isaiah Jeremiah Lamentations Ezekiel Daniel Hosea Joel Amos Micah
    Malachi Matthew Mark Luke John Acts Romans Corinthians Galatians Ephesians Philippians Colossians
    Thessalonians Timothy Titus Hebrews James Peter Jude Revelation Surah Quran
    """
)
_CLOCK_CONTEXT = word_set(
    """
    at by until till from since around before after and to time clock
    """
)
_MONTH_CHARS_MAX = 40


def century(n: int) -> int:
    """The year that two digits stand for, as POSIX has it."""
    return n + (2000 if n < 69 else 1900)


def date_words(year: int | None, month: int, day: int | None, british: bool) -> str:
    """Reads "March fourth, twenty twenty-four"; "the fourth of March, …" in British."""
    name = MONTHS[month - 1]
    if day is None:
        said = name
        return f"{said} {numerals.year(year, british)}" if year is not None else said
    said = f"the {numerals.ordinal(day)} of {name}" if british else f"{name} {numerals.ordinal(day)}"
    return f"{said}, {numerals.year(year, british)}" if year is not None else said


def clock_words(hour: int, minute: int, second: int | None = None, half: str = "") -> str:
    """Reads "seven oh five", "twelve o'clock", "nine A.M", "fifteen hundred"."""
    said = numerals.cardinal(hour)
    if minute:
        said += f" {numerals.cardinal(minute)}" if minute > 9 else f" oh {numerals.cardinal(minute)}"
    elif not half and second is None:
        said = "zero hundred" if not hour else f"{said} hundred" if hour > 12 else f"{said} o'clock"
    if second is not None:
        said += f" and {numerals.cardinal(second)} second{'s' if second != 1 else ''}"
    return f"{said} {half.upper()}.M" if half else said


def _end(found: re.Match[str], scan: Scan) -> int:
    """Where a time ends: a sentence's full stop after "a.m." is not part of it."""
    return found.end() - 1 if found["dot"] and scan.ends_here(found.end()) else found.end()


def _valid(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def pair_words(digits: str) -> str:
    """Minutes or seconds: "oh five", "thirty"."""
    return f"oh {numerals.DIGITS[int(digits)]}" if digits[0] == "0" else numerals.cardinal(int(digits))


def clock(scan: Scan, at: int) -> Said | None:
    """Reads "7:30", "7:05 p.m.", "1:02:03", "16:9"."""
    found = _CLOCK.match(scan.text, at)
    if found is not None and int(found["h"]) <= 24:
        hour, minute = int(found["h"]), int(found["m"])
        second = None if found["s"] is None else int(found["s"])
        if second is not None and not found["ap"] and scan.word_before(at).lower() not in _CLOCK_CONTEXT:
            return Said(found.end(), duration_words((0, hour, minute, second)))
        if found["h"] == "0" and minute and not found["ap"]:
            return Said(found.end(), f"zero {numerals.cardinal(minute)}")
        return Said(_end(found, scan), clock_words(hour, minute, second, found["ap"] or ""))
    found = _RATIO.match(scan.text, at)
    if found is None:
        return None
    if found[0] == "50:50":
        return Said(found.end(), "fifty fifty")
    minutes = len(found[2]) == 2 and int(found[2]) < 60 and int(found[1]) < 60 and found[2] != "00"
    if minutes and not (len(found[1]) == 1 or int(found[1]) < 25):
        return Said(found.end(), f"{numerals.cardinal(int(found[1]))} {pair_words(found[2])}")
    if scan.word_before(at) in _BOOKS:
        return Said(found.end(), f"{numerals.integer(found[1])} {numerals.integer(found[2])}")
    return Said(
        found.end(), f"{numerals.integer(found[1], scan.british)} to {numerals.integer(found[2], scan.british)}"
    )


def hour(scan: Scan, at: int) -> Said | None:
    """Reads "9am", "9 a.m.", "5.30pm"."""
    found = _HOUR.match(scan.text, at)
    if found is None or int(found["h"]) > 24:
        return None
    return Said(_end(found, scan), clock_words(int(found["h"]), int(found["m"] or 0), None, found["ap"]))


def duration_words(parts: tuple[int, int, int, int]) -> str:
    """Reads "two hours thirty minutes" of (days, hours, minutes, seconds)."""
    said = [
        f"{numerals.cardinal(n)} {unit}{'s' if n != 1 else ''}"
        for n, unit in zip(parts, _DURATION_UNITS, strict=True)
        if n
    ]
    return " ".join(said) or "zero seconds"


def duration(scan: Scan, at: int) -> Said | None:
    """Reads "2h 30m", "1d 4h", "5m 10s": two units at least."""
    found = _DURATION.match(scan.text, at)
    if found is None or sum(part is not None for part in found.groups()) < 2:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return Said(found.end(), duration_words((days, hours, minutes, seconds)))


def numeric(scan: Scan, at: int) -> Said | None:
    """Reads "2024-03-05", "3/4/2024", "21.11.2024"."""
    found = _ISO.match(scan.text, at)
    if found is not None and _valid(int(found[3]), int(found[4])):
        said = date_words(int(found[1]), int(found[3]), int(found[4]), scan.british)
        if found[5]:
            hours, minutes, *seconds = (int(part) for part in found[5].split(":"))
            said += f", {clock_words(hours, minutes, seconds[0] if seconds and seconds[0] else None)}"
            said += " U T C" if found[6] == "Z" else ""
        return Said(found.end() if not found[6] or found[6] == "Z" else found.start(6), said)
    found = _NUMERIC.match(scan.text, at)
    if found is None or (found[2] == "." and len(found[4]) == 2):
        return None
    first, second, year = int(found[1]), int(found[3]), int(found[4])
    day_first = (scan.british or found[2] == ".") if first <= 12 and second <= 12 else first > 12
    month, day = (second, first) if day_first else (first, second)
    if not _valid(month, day) or (found[2] == "-" and len(found[4]) == 2):
        return None
    return Said(found.end(), date_words(year if len(found[4]) == 4 else century(year), month, day, scan.british))


def short(scan: Scan, at: int, padded: bool = False) -> Said | None:
    """Reads "12/25", "05/06" (`padded`: with a zero before a figure), and "3/4" where a date is expected."""
    found = _SHORT.match(scan.text, at)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2])
    month, day = (second, first) if scan.british or first > 12 else (first, second)
    if not _valid(month, day):
        return None
    if padded:
        return Said(found.end(), date_words(None, month, day, scan.british))
    expected = scan.word_before(at).lower() in DATE_CONTEXT - {"of", "to", "through"} and not scan.word_after(
        found.end()
    )
    weekday = scan.word_before(at).lower() in WEEKDAY_BY_NAME
    if (expected and scan.char(found.end()) not in tuple("%\"'")) or weekday:
        return Said(found.end(), date_words(None, month, day, scan.british))
    if first < second and day > 12 and day not in (16, 20, 24, 30) and first not in (0,):
        return Said(found.end(), date_words(None, month, day, scan.british))
    if scan.word_before(at).lower() in DATE_CONTEXT and day > 10 and first < second:
        return Said(found.end(), date_words(None, month, day, scan.british))
    return None


def day_month(scan: Scan, at: int) -> Said | None:
    """Reads "21 November 2024", "21st of May", "5-7 June"."""
    found = _DAY_MONTH.match(scan.text, at)
    if found is None or not 1 <= int(found[1]) <= 31 or (found[3] and not 1 <= int(found[3]) <= 31):
        return None
    day, until, month = int(found[1]), found[3], MONTH_BY_NAME[found[5].lower()]
    end = found.end()
    if found[6] and not found[7]:
        end -= scan.ends_sentence(end)
    the = "" if found[2] or scan.word_before(at).lower() == "the" else "the "
    said = f"{the}{numerals.ordinal(day)}"
    if until:
        said += f" to {'the ' if the else ''}{numerals.ordinal(int(until))}"
    said += f" of {month}"
    return Said(end, said + (f", {numerals.year(int(found[7]), scan.british)}" if found[7] else ""))


def month(scan: Scan, at: int) -> Said | None:
    """Reads "Nov. 21", "July 4, 2024", "Jan 5–7", "Sept. 2024", "Nov."; `at` is at a capital letter."""
    text = scan.text
    found = _MONTH_DAY.match(text, at, at + _MONTH_CHARS_MAX)
    if found is not None and 1 <= int(found[3]) <= 31 and not (found[5] and not 1 <= int(found[5]) <= 31):
        said = f"{MONTH_BY_NAME[found[1].lower()]} {'the ' if scan.british else ''}{numerals.ordinal(int(found[3]))}"
        if found[5]:
            said += f" to {numerals.ordinal(int(found[5]))}"
        return Said(
            found.end(), said + (f"{found[6]} {numerals.year(int(found[7]), scan.british)}" if found[7] else "")
        )
    found = _MONTH_ALONE.match(text, at, at + _MONTH_CHARS_MAX)
    if found is None:
        return None
    name = MONTH_BY_NAME[found[1].lower()]
    year = f" {numerals.year(int(found[3]), scan.british)}" if found[3] else ""
    if not year and name == found[1]:
        return None
    if not year and not found[2] and found[1].lower() in _AMBIGUOUS_MONTHS:
        return None
    end = found.end()
    if found[2] and not year:
        end -= scan.ends_sentence(end)
    return Said(end, name + year)


def weekday(scan: Scan, at: int) -> Said | None:
    """Reads "Mon-Fri", "Mon.", "Tue"; `at` is at a capital letter."""
    found = _WEEKDAYS.match(scan.text, at, at + _MONTH_CHARS_MAX)
    if found is None:
        return None
    first = WEEKDAY_BY_NAME[found[1].lower()]
    end = found.end()
    if found[3]:
        end -= bool(found[4]) and scan.ends_sentence(end)
        joint = " to " if "/" not in found[0] else " "
        return Said(end, f"{first}{joint}{WEEKDAY_BY_NAME[found[3].lower()]}")
    if first == found[1]:
        return None
    follows = scan.text[end : end + 2]
    if found[1].lower() in _AMBIGUOUS_DAYS:
        timed = (
            follows[:1] in (",", "")
            or follows[1:].isdecimal()
            or scan.word_after(end) in ("at", "and", "to", "through")
        )
        timed = timed or scan.word_after(end).lower() in MONTH_BY_NAME
        if not found[2] and not timed:
            return None
        if found[2] and scan.ends_sentence(end) and found[1].lower() in ("sat", "sun") and not scan.tail(at).strip():
            return None
    return Said(end - (bool(found[2]) and scan.ends_sentence(end)), first)
