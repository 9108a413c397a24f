"""Roman numerals: "Charles III", "Chapter IV", "XXI century", and words that only look like them. Pure."""

from __future__ import annotations

import re

from voxwire_server.text.reading.english import numerals
from voxwire_server.text.reading.english.scan import SENTENCE_START, Said, Scan
from voxwire_server.text.reading.english.tables import CHAPTERS, RULERS, word_set

_ROMAN = re.compile(r"[IVXLCDM]{1,12}(?![\w])")
_STRONG_RULERS = word_set(
    """
    King Queen Pope Emperor Tsar Czar Emperor King's Prince Saint
    """
)
_ROMAN_WORDS = word_set(
    """
    MIX MILD DIM CIVIL LIVID VIVID MD CD DC CV MC CC MM DI LI XL DVI CI CL ID MI LCD DVD DIV LID MID MIC VIM CIV
    MV IV VI CM MCI DL ML DM XX LL CID CDC
    """
)
_VERBS = word_set(
    """
    am was have had will would shall should can could may might must do did don think thought want wanted like
    liked love loved know knew need needed read wrote saw see said say told hate hated enjoyed found find mean
    meant missed played took take made make got get went go remember forgot prefer feel felt believe hope guess
    just really never always also
    """
)
"""Before them "I" is the speaker: "Part I liked"."""
_YEAR_CHARS_MIN = 5
_CENTURIES = frozenset(["century", "centuries", "olympiad", "Olympiad", "Olympics", "Century"])
_AFTER_FIRST = word_set(
    """
    of was and is ruled reigned died became the had
    """
)


def numeral(scan: Scan, at: int, form: str, end: int) -> Said | None:
    """Reads `form`, in capitals, up to `end`; None where it is no numeral."""
    value = numerals.roman(form) if _ROMAN.fullmatch(form) else 0
    if not value:
        return None
    before, after = scan.word_before(at), scan.word_after(end)
    if after in _CENTURIES and form not in ("I",):
        return Said(end, numerals.ordinal(value))
    if before in RULERS and len(form) < 6:
        return _ruler(scan, at, form, end, value)
    if before.lower() in CHAPTERS and before.lower() != before.upper():
        if len(form) == 1 and (form not in "IVX" or (form == "I" and not before[0].isupper())):
            return None
        if form == "I" and after in _VERBS:
            return None
        return Said(end, numerals.cardinal(value))
    if len(form) == 1 or (
        form in _ROMAN_WORDS and not (form in ("IV", "VI") and before[:1].isupper() and len(before) > 2)
    ):
        return None
    if (
        before[:1].isupper()
        and before[1:].islower()
        and set(form) <= set("IVX")
        and not SENTENCE_START.search(scan.tail(at - len(before) - 1, 12))
    ):
        named = form in ("II", "III", "IV") and _two_names(scan, at)
        return Said(end, f"the {numerals.ordinal(value)}" if named else numerals.cardinal(value))
    if len(form) >= _YEAR_CHARS_MIN and 1000 < value < 2100:
        return Said(end, numerals.year(value, scan.british))
    if form not in ("IV", "VI") and set(form) <= set("IVX") and value < 40:
        return Said(end, numerals.cardinal(value))
    return None


def _two_names(scan: Scan, at: int) -> bool:
    return bool(re.search(r"[A-Z][a-z]+ [A-Z][a-z]+ ?$", scan.tail(at, 40)))


def _ruler(scan: Scan, at: int, form: str, end: int, value: int) -> Said | None:
    after = scan.word_after(end)
    if form == "I" and after and scan.char(end) == " ":
        titled = any(word.strip(".,").capitalize() in _STRONG_RULERS for word in scan.words_before(at, 3)[:-1])
        titled = titled or (scan.word_before(at) == "Elizabeth" and after in _AFTER_FIRST)
        if after not in _AFTER_FIRST - {"was", "had"} and not titled and not after[:1].isupper():
            return None
        if after in ("am", "think", "have", "will", "know"):
            return None
    if len(form) == 1 and form not in "IVX":
        return None
    return Said(end, f"the {numerals.ordinal(value)}")
