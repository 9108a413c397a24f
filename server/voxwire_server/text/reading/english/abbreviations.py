"""Abbreviations with a full stop: titles, streets, "No. 7", "U.S.", "etc.", points of the compass. Pure."""

from __future__ import annotations

import re

from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import (
    ABBREVIATIONS,
    BEFORE_NUMBERS,
    NEVER_ENDS,
    NOT_ALONE,
    STREETS,
    TITLES,
    word_set,
)

_ABBREVIATION = re.compile(r"(?:[A-Za-z]{1,7}\.){1,5}")
_INITIALS = re.compile(r"(?:[A-Z]\.){2,6}|(?:[a-z]\.){2,4}")
COMPASS = {"N": "North", "S": "South", "E": "East", "W": "West"}
_ORDINAL_BEHIND = re.compile(r"[ \u00a0]\d{1,3}(?:st|nd|rd|th)\b")
_YEAR_BEHIND = re.compile(r"[ \u00a0](?:in )?1?\d{3,4}(?![\d,.]\d)(?! ?[a-z])|[ \u00a0]in\b")
_NAME_BEFORE = re.compile(r"(?:[A-Z][a-z]+(?:'s)?|\d+(?:st|nd|rd|th))$")
_NO_NAMES = word_set("The And In At On To From Near With But When Mr Saw Ask Call See If Is")


def abbreviation(scan: Scan, at: int) -> Said | None:
    """The reading of the abbreviation at `at`; None where it is a word at the end of a sentence."""
    found = _ABBREVIATION.match(scan.text, at)
    if found is None:
        return None
    written, end = found[0], found.end()
    name = written[:-1]
    if scan.char(end).isalnum() and name.count(".") == 0:
        glued = scan.char(end).isdecimal() and name in BEFORE_NUMBERS
        if not glued:
            return None
    final = scan.ends_sentence(end)
    after = scan.word_after(end)
    if name in ("no", "temp", "min", "max") and after in ("of", "is", "was", "for"):
        return Said(end, ABBREVIATIONS[name])
    if name in ("est", "Est") and not _YEAR_BEHIND.match(scan.text, end):
        return Said(end, "estimated") if not final or scan.text[end : end + 2].strip(" ~$").isdecimal() else None
    if len(name) == 1:
        return compass(scan, at, end)
    numbered = (
        scan.text[end : end + 5].strip()[:1] in tuple("IVX") and name in ("ch", "Ch", "pt", "Pt", "art", "Art")
    ) or scan.text[end : end + 2].strip(" \u00a0#")[:1].isdecimal()
    if name in TITLES and after[:1].isupper() and not (name in STREETS and is_street(scan, at, end)):
        return Said(end, TITLES[name])
    if name in BEFORE_NUMBERS and numbered:
        words = {"p": "page", "pp": "pages", "v": "version", "c": "circa"}.get(name, ABBREVIATIONS[name])
        return Said(end, words + (" " if scan.char(end).isdecimal() else ""))
    initials = _INITIALS.match(scan.text, at)
    if name in ABBREVIATIONS:
        if name in STREETS:
            if not is_street(scan, at, end):
                return None
        elif (
            name in NOT_ALONE
            and not (numbered and name in ("fig", "Fig", "sec", "Sec"))
            and (name not in ("est", "Est", "al", "ft", "oz", "lb") or final)
        ):
            return None
        ends = scan.ends_here(end) and not (name in NEVER_ENDS and scan.char(end))
        return Said(end - ends, ABBREVIATIONS[name])
    if initials is not None and initials.end() == end:
        return Said(end - scan.ends_here(end), name.upper())
    return None


def compass(scan: Scan, at: int, end: int) -> Said | None:
    """Reads "123 N. Main", "W. 4th St.", and "p. 5"; None of an initial."""
    name = scan.text[at]
    if name in ("p", "v", "c") and scan.text[end : end + 2].strip(" \u00a0#")[:1].isdecimal():
        return Said(end, {"p": "page", "v": "version", "c": "circa"}[name])
    if name not in COMPASS:
        return None
    numbered = re.search(r"\d $", scan.tail(at, 4)) is not None and scan.word_after(end)[:1].isupper()
    ordinal = _ORDINAL_BEHIND.match(scan.text, end) is not None
    return Said(end, COMPASS[name]) if numbered or ordinal else None


def is_street(scan: Scan, at: int, end: int) -> bool:
    """Reads "Main St. is" and "5 Oak Dr.": a name before it; "on St. Paul" is a saint."""
    before = scan.tail(at, 24).rstrip()
    named = _NAME_BEFORE.search(before) is not None and before.rpartition(" ")[2] not in _NO_NAMES
    if not named:
        return False
    after = scan.word_after(end)
    return (
        not after[:1].isupper()
        or (scan.ends_sentence(end) and scan.text[end : end + 1] in ("", ","))
        or bool(re.search(r"\d[\w ]{1,20}$", before))
    )
