"""Text read as SSML's `say-as` asks, whatever it looks like. Pure.

Values and formats after the W3C note "SSML 1.0 say-as attribute values" and what vendors add to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.reading.english import amounts, calendar, codes, measures, numbers, numerals, phones
from voxwire_server.text.reading.english.scan import Scan
from voxwire_server.text.reading.english.tables import CURRENCIES, MONTH_BY_NAME, SIGNS

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = re.compile(r"\d+")
_PARTS = re.compile(r"\d+|[^\W\d_]+")
_TIME = re.compile(r"(\d{1,2})(?:[:.h]?(\d{2}))?(?:[:.m]?(\d{2}))?\s*([aApP])?")
_FRACTION = re.compile(r"\s*(?:(\d{1,9})[\s+]+)?(\d{1,9})\s*[/⁄]\s*(\d{1,9})\s*")
_CODE = re.compile(r"[A-Z]{3}")
_BLEEP = "bleep"
_SPELLED_SIGNS = SIGNS | {
    "-": "dash", ".": "dot", ",": "comma", ":": "colon", ";": "semicolon", "!": "exclamation mark",
    "?": "question mark",
    "_": "underscore", "(": "open parenthesis", ")": "close parenthesis", "'": "apostrophe", '"': "quote",
    "*": "asterisk",
    "~": "tilde", "^": "caret", "|": "pipe", "$": "dollar sign", "€": "euro sign", "£": "pound sign",
}  # fmt: skip


def _number(text: str, detail: str, british: bool) -> str | None:
    if detail == "ordinal":
        return _ordinal(text, "", british)
    if detail in ("digits", "telephone"):
        return _digits(text, "", british)
    scan = Scan(text.strip(), "", british)
    sign = {"-": "minus ", "−": "minus ", "+": "plus "}.get(scan.text[:1], "")
    at = 1 if sign else 0
    value = amounts.amount(scan, at, comma=False)
    if value is None:
        value_of = numerals.roman(scan.text.upper())
        return numerals.cardinal(value_of, british) if value_of else None
    if value.end < len(scan.text):
        fraction = _FRACTION.fullmatch(scan.text)
        return _fraction(text, "", british) if fraction else None
    return sign + value.words(british)


def _ordinal(text: str, _detail: str, british: bool) -> str | None:
    found = re.fullmatch(r"\s*(\d[\d,]{0,18})(?:st|nd|rd|th)?\.?\s*", Scan(text, "", british).text)
    if found is not None:
        return numerals.ordinal(int(found[1].replace(",", "")), british)
    value = numerals.roman(text.strip().upper())
    return numerals.ordinal(value, british) if value else None


def _digits(text: str, _detail: str, british: bool) -> str | None:
    groups = _DIGITS.findall(Scan(text, "", british).text)
    return ", ".join(numerals.each_digit(group) for group in groups) or None


def _characters(text: str, _detail: str, british: bool) -> str | None:
    said = []
    for char in Scan(text, "", british).text:
        if char.isdecimal() and char.isascii():
            said.append(numerals.DIGITS[int(char)])
        elif char.isalpha():
            said.append(codes.letters(char))
        elif not char.isspace():
            name = _SPELLED_SIGNS.get(char)
            if name:
                said.append(name)
    return " ".join(said) or None


def _date(text: str, detail: str, british: bool) -> str | None:
    order = re.sub(r"[^mdy]", "", detail.lower().replace("yyyy", "y").replace("mm", "m").replace("dd", "d"))
    parts = _PARTS.findall(Scan(text, "", british).text)
    if not order:
        order = ("ymd" if len(parts[0]) == 4 else "dmy" if british else "mdy")[: len(parts)] if parts else ""
        if len(parts) == 1:
            order = "y"
    if len(parts) == 1 and len(order) > 1 and parts[0].isdecimal():
        parts = _split_date(parts[0], order)
    if len(parts) != len(order):
        return None
    given = dict(zip(order, parts, strict=True))
    year, month, day = _part(given.get("y")), _month(given.get("m")), _part(given.get("d"))
    if (
        (month is not None and not 1 <= month <= 12)
        or (day is not None and not 1 <= day <= 31)
        or ("m" in given and month is None)
    ):
        return None
    if year is not None and len(given["y"]) == 2:
        year = calendar.century(year)
    if month is not None:
        return calendar.date_words(year, month, day, british)
    if day is not None:
        return numerals.ordinal(day, british) if year is None else None
    return numerals.year(year, british) if year is not None else None


def _split_date(digits: str, order: str) -> list[str]:
    """Reads "20240305" as its parts."""
    years = len(digits) - 2 * (len(order) - 1) if "y" in order else 2
    parts, at = [], 0
    for what in order:
        size = years if what == "y" else 2
        parts.append(digits[at : at + size])
        at += size
    return parts if at == len(digits) and all(parts) else []


def _part(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _month(text: str | None) -> int | None:
    if text is None or text.isdecimal():
        return _part(text)
    name = MONTH_BY_NAME.get(text.lower())
    return list(dict.fromkeys(MONTH_BY_NAME.values())).index(name) + 1 if name else None


def _time(text: str, detail: str, british: bool) -> str | None:
    plain = Scan(text, "", british).text.strip()
    found = _TIME.match(plain)
    if found is None or int(found[1]) > 24 or int(found[2] or 0) > 59:
        duration = calendar.duration(Scan(plain, "", british), 0)
        return duration.text if duration else None
    second = int(found[3]) if found[3] and int(found[3]) else None
    hour, half = int(found[1]), found[4] or ""
    if detail == "hms12" and not half and hour > 12:
        hour -= 12
    return calendar.clock_words(hour, int(found[2] or 0), second, half)


def _telephone(text: str, _detail: str, british: bool) -> str | None:
    plain = Scan(text, "", british).text
    groups = _DIGITS.findall(plain)
    if not groups:
        return None
    extension = re.search(r"(?:ext\.?|x|extension)\s*(\d{1,6})\s*$", plain, re.IGNORECASE)
    if extension is not None and len(groups) > 1:
        groups = groups[:-1]
    if len(groups) == 1 and len(groups[0]) in (7, 10, 11):
        digits = groups[0]
        head = [digits[0]] if len(digits) == 11 else []
        rest = digits[len(head) :]
        groups = head + ([rest[:3], rest[3:6], rest[6:]] if len(rest) == 10 else [rest[:3], rest[3:]])
    return phones.phone_words(groups, plain.lstrip().startswith("+"), extension[1] if extension else None)


def _currency(text: str, detail: str, british: bool) -> str | None:
    scan = Scan(text.strip(), "", british)
    code = detail.strip().upper()
    if code in CURRENCIES and scan.text[:1].isdecimal():
        value = amounts.amount(scan, 0, comma=True)
        if value is not None and value.end == len(scan.text):
            return amounts.sum_words(value, code, british)
    said = amounts.money(scan, 0)
    if said is None and scan.text[:1].isdecimal():
        said = numbers.number(scan, 0)
    return said.text if said is not None and said.end == len(scan.text) else None


def _unit(text: str, _detail: str, british: bool) -> str | None:
    scan = Scan(text.strip(), "", british)
    sign = {"-": "minus ", "−": "minus ", "+": "plus "}.get(scan.text[:1], "")
    at = 1 if sign else 0
    value = amounts.amount(scan, at)
    if value is None:
        return None
    words = sign + value.words(british)
    said = (
        measures.feet(scan, at)
        or measures.behind(scan, value.end, words, value)
        or measures.foot_or_inch(scan, value.end, words, value.is_one)
    )
    return said.text if said is not None and said.end == len(scan.text) else None


def _fraction(text: str, _detail: str, british: bool) -> str | None:
    found = _FRACTION.fullmatch(Scan(text, "", british).text)
    if found is None:
        return None
    whole, top, bottom = int(found[1] or 0), int(found[2]), int(found[3])
    return numerals.mixed(whole, top, bottom, british) if whole else numerals.fraction(top, bottom, british)


_READERS: dict[str, Callable[[str, str, bool], str | None]] = {
    "cardinal": _number,
    "number": _number,
    "ordinal": _ordinal,
    "digits": _digits,
    "number:digits": _digits,
    "characters": _characters,
    "spell-out": _characters,
    "verbatim": _characters,
    "date": _date,
    "time": _time,
    "telephone": _telephone,
    "currency": _currency,
    "unit": _unit,
    "measure": _unit,
    "fraction": _fraction,
}


def say_as(text: str, interpret_as: str, detail: str, british: bool) -> str | None:
    """The words, or None where `interpret_as` says nothing about `text`."""
    kind = interpret_as.strip().lower()
    if kind in ("expletive", "bleep"):
        return _BLEEP
    reader = _READERS.get(kind)
    return None if reader is None or not text.strip() else reader(text, detail.strip(), british)
