"""Telephone numbers and other digits that are said one by one, in groups: cards, codes, "call 911". Pure."""

from __future__ import annotations

import re

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import CALL_CONTEXT, word_set

_EXTENSION = r"(?:,? ?(?:ext\.?|extension|x) ?(?P<ext>\d{1,6}))?(?![\w-]|\.\d)"
_PHONES = tuple(
    re.compile(pattern + _EXTENSION)
    for pattern in (
        r"\+\d{1,3}(?:[ \u00a0.-]?(?:\(\d{1,5}\)|\d{1,5})){2,6}",
        r"(?:1[ .-])?\(\d{2,5}\)[ \u00a0-]?\d{3,4}[ \u00a0.-]\d{3,4}",
        r"(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}",
        r"0\d{2,4}[ \u00a0-]\d{3,4}[ \u00a0-]\d{3,4}",
        r"0\d{4}[ \u00a0-]\d{6}",
        r"\d{3}-\d{4}",
        r"\d{1,8}(?:-\d{2,8}){2,6}",
        r"\d{4}(?: \d{4}){2,4}",
    )
)
_SEVEN_DIGITS = re.compile(r"[+(]?\d(?:[ \u00a0().+-]{0,2}\d){6}")
_TOLL_FREE = re.compile(r"1-(8\d\d)-(?=[A-Z])")
_DIGITS = re.compile(r"\d+")
_REACHED = word_set("call phone number reach contact whatsapp text dial fax mobile cell")


def phone(scan: Scan, at: int) -> Said | None:
    """A telephone number, or another run of digits in groups (cards, social security numbers)."""
    toll_free = _TOLL_FREE.match(scan.text, at)
    if toll_free is not None:
        return Said(toll_free.end(), f"one, {_group(toll_free[1])}, ")
    if _SEVEN_DIGITS.match(scan.text, at) is None:
        return None
    for pattern in _PHONES:
        found = pattern.match(scan.text, at)
        if found is None:
            continue
        ext = found["ext"]
        stop = found.start("ext") if ext else found.end()
        groups = [group[0] for group in _DIGITS.finditer(scan.text, at, stop)]
        if sum(map(len, groups)) > 20:
            return None
        return Said(found.end(), phone_words(groups, plus=found[0].startswith("+"), extension=ext))
    return None


def _group(digits: str) -> str:
    return f"{numerals.DIGITS[int(digits[0])]} hundred" if digits in ("800", "900") else numerals.each_digit(digits)


def phone_words(groups: list[str], plus: bool = False, extension: str | None = None) -> str:
    """Groups of digits with a pause behind each; a long group is said in parts."""
    said: list[str] = []
    for group in groups:
        if len(group) <= 5:
            said.append(_group(group))
            continue
        half = 3 if len(group) != 8 else 4
        parts = [group[:half], group[half : 2 * half], group[2 * half :]]
        said += [numerals.each_digit(part) for part in parts if part]
    words = ("plus " if plus else "") + ", ".join(said)
    return f"{words}, extension {numerals.each_digit(extension)}" if extension else words


def called(scan: Scan, at: int, digits: str) -> bool:
    """Whether the digits at `at` are a number that is called: "call 911"."""
    if digits == "911":
        return scan.word_before(at).lower() not in ("porsche", "carrera")
    if digits in ("112", "999", "000", "411", "311", "211", "711", "811", "988", "101", "111"):
        return scan.word_before(at).lower() in CALL_CONTEXT
    if 5 <= len(digits) <= 12:
        words = {word.strip(".,:") for word in scan.words_before(at, 4)}
        return scan.word_before(at).lower() in CALL_CONTEXT or (len(digits) > 6 and bool(words & _REACHED))
    return False


def is_dialled(scan: Scan, at: int) -> bool:
    """Whether an area code in brackets is expected: "Call +1 (212)"."""
    words = {word.strip(".,:") for word in scan.words_before(at, 6)}
    return bool(words & (_REACHED | CALL_CONTEXT)) or any(word[:1] == "+" and word[1:].isdecimal() for word in words)


def digits_in_context(digits: str) -> str:
    """A number that is called, a PIN, a code: digit by digit, in groups where there are many."""
    if len(digits) == 10:
        return phone_words([digits[:3], digits[3:6], digits[6:]])
    if len(digits) == 7:
        return phone_words([digits[:3], digits[3:]])
    return numerals.each_digit(digits) if len(digits) <= 6 else numerals.digit_groups(digits)
