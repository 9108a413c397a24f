"""Turns a clause of speakable text into what an engine is given: words, spaces and marks; breaks become pauses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.clauses import speakable
from voxwire_server.text.speakable import CJK, CLOSED, GLUE, HARD_BREAK, SOFT_BREAK

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_BREAKS = re.compile(rf"[ {HARD_BREAK}{SOFT_BREAK}]+")
_CJK_CHAR = re.compile(rf"[{CJK}]")
_CLOSERS = "\"'”’»)]}」』）"
_TO_SPACES = str.maketrans({HARD_BREAK: " ", SOFT_BREAK: " ", GLUE: " "})


def given_text(text: str, origins: list[int]) -> tuple[str, tuple[int, ...], Sequence[int]]:
    """Output as it is given to an engine, its origins, and their indexes in `text`; all empty where nothing is spoken.

    Glue is spaces, a break inside is a comma or full stop where the line has no mark of its own, and no space stands at
    the ends or twice.
    """
    text = text.rstrip(f" {HARD_BREAK}{SOFT_BREAK}{GLUE}")
    if not speakable(text):
        return "", (), ()
    places: Sequence[int] = range(len(text))
    if HARD_BREAK in text or SOFT_BREAK in text:
        text, places = _with_pauses(text)
    kept = text.translate(_TO_SPACES)
    lead = len(kept) - len(kept.lstrip(" "))
    if "  " not in kept[lead:]:
        kept, places = kept[lead:], places[lead:]
    else:
        indexes = [i for i, char in enumerate(kept) if char != " " or (i > lead and kept[i - 1] != " ")]
        kept, places = "".join([kept[i] for i in indexes]), [places[i] for i in indexes]
    return kept, tuple([origins[at] for at in places]), places


def _with_pauses(text: str) -> tuple[str, list[int]]:
    """`text` with a mark before each break that has none, and where each character was: a mark, where it follows."""
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
        places += range(at, end)
        places.append(end - 1)
        at = end
    parts.append(text[at:])
    places += range(at, len(text))
    return "".join(parts), places
