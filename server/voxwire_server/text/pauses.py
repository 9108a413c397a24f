"""Turns a clause of speakable text into what an engine is given: words, spaces and marks, the breaks heard as pauses."""

from __future__ import annotations

import re

from voxwire_server.text.clauses import speakable
from voxwire_server.text.speakable import CJK, CLOSED, GLUE, HARD_BREAK, SOFT_BREAK

_LINE_BREAKS = re.compile(rf"[ {HARD_BREAK}{SOFT_BREAK}]+")
_CJK_CHAR = re.compile(rf"[{CJK}]")
_CLOSERS = "\"'”’»)]}」』）"
_TO_SPACES = str.maketrans({HARD_BREAK: " ", SOFT_BREAK: " ", GLUE: " "})


def given_text(text: str, origins: list[int]) -> tuple[str, tuple[int, ...]]:
    """Output as it is given to an engine, and its origins; ("", ()) where nothing can be spoken.

    Glue is spaces, a break inside is a comma or full stop where the line has no mark of its own, and no space stands at
    the ends or twice.
    """
    text = text.rstrip(f" {HARD_BREAK}{SOFT_BREAK}{GLUE}")
    if HARD_BREAK in text or SOFT_BREAK in text:
        text, origins = _with_pauses(text, origins)
    kept = text.translate(_TO_SPACES)
    if kept[:1] == " ":
        lead = len(kept) - len(kept.lstrip(" "))
        kept, origins = kept[lead:], origins[lead:]
    if not speakable(kept):
        return "", ()
    if "  " not in kept:
        return kept, tuple(origins[: len(kept)])
    indexes = [i for i, char in enumerate(kept) if char != " " or kept[i - 1] != " "]
    return "".join([kept[i] for i in indexes]), tuple([origins[i] for i in indexes])


def _with_pauses(text: str, origins: list[int]) -> tuple[str, list[int]]:
    """`text` with a mark before each break that has none; it has the origin of the character it follows."""
    parts: list[str] = []
    places: list[int] = []
    at = 0
    for found in _LINE_BREAKS.finditer(text):
        end = found.start()
        if not end or not (HARD_BREAK in found[0] or SOFT_BREAK in found[0]):
            continue
        said = text[max(0, end - 8) : end].rstrip(_CLOSERS)
        if not said or said[-1] in CLOSED:
            continue
        marks = ",." if not _CJK_CHAR.match(said[-1]) else "，。"
        parts += (text[at:end], marks[HARD_BREAK in found[0]])
        places += origins[at:end]
        places.append(origins[end - 1])
        at = end
    parts.append(text[at:])
    places += origins[at:]
    return "".join(parts), places
