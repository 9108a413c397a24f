"""Finds given pronunciations in a clause's text: `[word](/ipa/)` is the word, spoken as `ipa`. Pure."""

from __future__ import annotations

import re

LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\(/([^/\n]{1,300})/\)")
"""The word and its IPA. Both are bounded, so that a text of brackets is searched in linear time."""


def split_links(text: str) -> list[tuple[int, int, str | None]]:
    """The parts of `text`, in order: (start, end, None) is text, (start, end, ipa) a word that is spoken as `ipa`.

    The range of a link is its word's: the brackets and the IPA lie in no part's range.
    """
    parts: list[tuple[int, int, str | None]] = []
    at = 0
    for link in LINK.finditer(text):
        if at < link.start():
            parts.append((at, link.start(), None))
        parts.append((*link.span(1), link[2]))
        at = link.end()
    if at < len(text):
        parts.append((at, len(text), None))
    return parts


_SYMBOLS = {"t\u0361s": "ʦ", "d\u0361z": "ʣ", "\u0361": "", "dʒ": "ʤ", "tʃ": "ʧ", "g": "ɡ", ".": "", ":": "ː", "'": "ˈ"}
"""What IPA is written with, and Kokoro's vocabulary has otherwise; replaced in this order."""


def kokoro_symbols(ipa: str) -> str:
    """IPA in the symbols of Kokoro's vocabulary, as misaki writes espeak-ng's; symbols that it lacks are left."""
    ipa = ipa.replace("\u035c", "\u0361")
    for written, symbol in _SYMBOLS.items():
        ipa = ipa.replace(written, symbol)
    return ipa
