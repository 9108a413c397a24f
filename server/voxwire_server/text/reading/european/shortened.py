"""Tells abbreviations and initialisms from words that are written alike. Pure."""

from __future__ import annotations

import re

_PRONOUNCEABLE_END = re.compile(r"(?:[AEIOUYÀ-Ü].?|[LNRS][TDKP])$")
_SPELLED_START = re.compile(r"(?:[B-DFGKPTV][^AEIOUYÀ-ÜLRH]|[HJLMNQRWXZ][^AEIOUYÀ-Ü]|S[^AEIOUYÀ-ÜTPCLMNKQH])")
_VOWEL = re.compile(r"[AEIOUYÀ-Ü]")


def is_abbreviation(written: str, before: str, after: str) -> bool:
    """Whether an abbreviation's letters are one where they stand: "a. m." is, "d." of "opción d." is none."""
    bare = written.rstrip(".")
    if len(bare) > 1 and not (written.isalpha() and written.isascii()):
        return True
    name = after[:1].isspace() and (after[1:].isupper() or "\u0900" <= after[1:] <= "\u097f")
    if len(bare) == 1:
        return name if bare.isupper() else after.strip()[:1].isdecimal()
    if bare.lower() in ("am", "pm"):
        return before.strip()[-1:].isdecimal()
    return len(bare) > 2 or (name and written[0].isupper())


def closes_sentence(key: str, text: str, end: int) -> bool:
    """Whether an abbreviation that may end a sentence ends one: a capital follows."""
    return (
        key in ("etc.", "ecc.", "p. m.", "a. m.", "p.m.", "a.m.")
        and text[end : end + 1].isspace()
        and text[end + 1 : end + 2].isupper()
    )


def is_spelled(word: str) -> bool:
    """Whether a word of capitals has vowels, and yet can't be pronounced; those without, espeak-ng spells itself."""
    if not 2 < len(word) < 7 or not word.isupper() or not _VOWEL.search(word):
        return False
    return _SPELLED_START.match(word) is not None or _PRONOUNCEABLE_END.search(word) is None
