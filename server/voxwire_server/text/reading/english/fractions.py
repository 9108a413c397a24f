"""Digits with a slash between them: fractions, "five out of five", dates, "one twenty over eighty". Pure."""

from __future__ import annotations

import re

from voxwire_server.text.reading.english import calendar, measures, numerals
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.reading.english.tables import word_set

_FRACTION = re.compile(r"(\d{1,9})[/⁄∕](\d{1,9})(?![/⁄∕]?\d)")
_CHAIN = re.compile(r"\d{1,9}(?:/\d{1,9}){1,8}")
_OUT_OF = re.compile(
    r" ?(?:stars?|points?|marks?|rating|score|people|users|students|correct|questions|dentists|answers|times|tests"
    r"|passed|votes|stages|steps|chapters|done|complete)",
    re.IGNORECASE,
)
_RATED = word_set(
    """
    scored score rated rate rating gave got give stars review solid
    """
)
BOTTOMS = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100, 1000))
_SUFFIX = re.compile(r"(?:ths?|rds?|nds?)(?![A-Za-z])")
_SAID_AS_TWO = frozenset(("24/7", "50/50", "9/11", "7/11", "20/20"))
_TENTHS_OF = frozenset(("of", "mile", "inch", "second"))
_ODD_HALVES_MAX = 15
"""Up to here an odd number over a smaller one ("15/16", "5/4") is a fraction."""


def slashed(scan: Scan, at: int) -> Said | None:
    """Reads digits, a slash and digits, at `at`."""
    said = calendar.numeric(scan, at)
    if said is not None:
        return said
    found = _FRACTION.match(scan.text, at)
    if found is None:
        chain = _CHAIN.match(scan.text, at)
        if chain is None or "/" not in chain[0]:
            return None
        return Said(chain.end(), " slash ".join(numerals.integer(part, scan.british) for part in chain[0].split("/")))
    if found[0] in _SAID_AS_TWO:
        return Said(found.end(), f"{numerals.cardinal(int(found[1]))} {numerals.cardinal(int(found[2]))}")
    padded = found[1][0] == "0" or (found[2][0] == "0" and len(found[2]) > 1)
    counts = measures.unit(scan, found.end(), "", True, None) is not None
    if not padded and _is_score(scan, found, counts):
        return _out_of(scan, found)
    date = None if counts else calendar.short(scan, at, padded)
    if date is not None:
        return date
    if len(found[1]) == 4 and len(found[2]) == 2:
        return Said(found.end(), f"{numerals.year(int(found[1]), scan.british)} {numerals.integer(found[2])}")
    return _fraction(scan, found, counts) or _over(scan, found)


def _is_score(scan: Scan, found: re.Match[str], counts: bool) -> bool:
    """Whether "4/5" is four out of five."""
    top, bottom = int(found[1]), int(found[2])
    rated = _OUT_OF.match(scan.text, found.end()) or any(word in _RATED for word in scan.words_before(found.start(), 3))
    return bottom > 1 and (top == bottom or (bool(rated) and (top > bottom or not counts)))


def _out_of(scan: Scan, found: re.Match[str]) -> Said:
    top, bottom = numerals.integer(found[1], scan.british), numerals.integer(found[2], scan.british)
    return Said(found.end(), f"{top} out of {bottom}")


def _fraction(scan: Scan, found: re.Match[str], counts: bool) -> Said | None:
    top, bottom, end = int(found[1]), int(found[2]), found.end()
    proper = 0 < top < bottom or (top % 2 == 1 and top <= _ODD_HALVES_MAX)
    if (bottom not in BOTTOMS and top != 1) or bottom > 1000 or not proper or found[2][0] == "0":
        return None
    if bottom == 10 and top > 1 and not counts and scan.word_after(end) not in _TENTHS_OF:
        return _out_of(scan, found)
    words = numerals.fraction(top, bottom, scan.british)
    suffix = _SUFFIX.match(scan.text, end)
    if suffix is not None:
        end = suffix.end()
    one = top < bottom
    return (
        measures.unit(scan, end, words, one, None) or measures.foot_or_inch(scan, end, words, one) or Said(end, words)
    )


def _over(scan: Scan, found: re.Match[str]) -> Said:
    """Reads "120/80 mmHg", and what is nothing else."""
    top, bottom, end = int(found[1]), int(found[2]), found.end()
    british = scan.british
    if top >= bottom and len(found[1]) <= 3:
        head = numerals.pairs(found[1], british) if len(found[1]) == 3 else numerals.integer(found[1], british)
        words = f"{head} over {numerals.integer(found[2], british)}"
        return measures.unit(scan, end, words, False, None) or Said(end, words)
    if bottom < 2 or bottom > 1000 or top > bottom or top == 0:
        return Said(end, f"{numerals.integer(found[1], british)} slash {numerals.integer(found[2], british)}")
    return _out_of(scan, found)
