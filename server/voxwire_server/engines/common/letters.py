"""Writes letters that hibari does not know as those that they are made from, so that it reads what it would leave out.

hibari's network for unknown words reads each letter that it was trained with; of others nothing sounds.
"""

from __future__ import annotations

import functools
import re
import unicodedata

from voxwire_server.text.source_map import Rewrite, SourceMap, rewritten, unchanged

# Accented letters of that network (`assets/oov.json` and `oov_gb.json`), which it reads better than bare ones.
ACCENTED = frozenset(
    "ÀÁÂÃÄÅÆÇÉÊÌÍÎÏÑÒÓÔÕÖØÚÜàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿĀāĂăąĆćČčĎďĐđĒēĕĖėęěĞğģīĭİıļĽľŁłńņňōŏőŒœŘřŚśŞşŠšţťūŭŮůŰųŵźŻżŽž"
)
_SPELT = {
    "ß": "ss", "ẞ": "SS", "ð": "th", "Ð": "Th", "þ": "th", "Þ": "Th", "ŋ": "ng", "Ŋ": "Ng", "ħ": "h", "Ħ": "H",
    "ŉ": "'n",
}  # fmt: skip
_SOUNDS = {
    "SCHWA": "e", "ESH": "sh", "EZH": "zh", "ETH": "th", "THORN": "th", "ENG": "ng", "ALPHA": "a", "BETA": "b",
    "GAMMA": "g", "DELTA": "d", "IOTA": "i", "LAMBDA": "l", "UPSILON": "u", "PHI": "f", "CHI": "ch",
}  # fmt: skip
"""What Latin letters with a name of their own are read as."""

_LETTER_NAME = re.compile(
    r"(?:LATIN|MODIFIER) (?:(?:SMALL|CAPITAL|LETTER|LIGATURE|SUBSCRIPT|OPEN|CLOSED|TURNED|REVERSED|INVERTED|SIDEWAYS"
    r"|DOTLESS|LONG|INSULAR|SCRIPT|BLACKLETTER|BARRED|AFRICAN|BOTTOM|TOP|HALF|EPIGRAPHIC|ARCHAIC|VOLAPUK|MIDDLE-WELSH"
    r"|STIRRUP) )+(?P<letters>[A-Z]{1,2})(?: |$)"
)
# A pronunciation (`[word](/IPA/)`) stays as it is.
_UNUSUAL = re.compile(r"(?<=\])\(/[^()/]{1,256}+/\)|[^\W_][\u0300-\u036f]+|[^\W_\x00-\x7f]")


def in_known_letters(text: str) -> SourceMap:
    """`text` with every Latin letter as one or more that hibari knows, and European digits. Takes linear time."""
    if text.isascii():
        return unchanged(text)
    rewrites = []
    for found in _UNUSUAL.finditer(text):
        plain = found[0] if found[0][0] == "(" else _plain(found[0])
        if plain != found[0]:
            rewrites.append(Rewrite(*found.span(), plain))
    return rewritten(text, rewrites) if rewrites else unchanged(text)


@functools.lru_cache(maxsize=4096)
def _plain(letter: str) -> str:
    """A letter with its combining marks as hibari knows it; one of another script as it was."""
    composed = unicodedata.normalize("NFC", letter)
    if composed in ACCENTED or composed in _SPELT:
        return _SPELT.get(composed, composed)
    parts = unicodedata.normalize("NFKD", composed)
    bare = "".join(each for each in parts if not unicodedata.combining(each)).replace("\u2044", "/")
    if bare and bare.isascii():
        return bare
    if composed[0].isdecimal():
        return str(unicodedata.decimal(composed[0]))
    return _named(bare[:1]) or letter


def _named(letter: str) -> str:
    """A Latin letter by its name: "LATIN SMALL LETTER B WITH HOOK" is a b; empty for others."""
    name = unicodedata.name(letter, "")
    if not name.startswith(("LATIN ", "MODIFIER LETTER ")):
        return ""
    found = _LETTER_NAME.match(name)
    sound = next((letters for word, letters in _SOUNDS.items() if word in name.split()), "")
    plain = sound or (found["letters"].lower() if found else "")
    return plain.capitalize() if "CAPITAL" in name and "SMALL" not in name else plain
