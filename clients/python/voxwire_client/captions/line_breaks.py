"""Where text may be broken into lines, how wide it is on a screen, and where punctuation ends a sentence. Pure."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto

NO_BREAK = "\u00a0\u2007\u202f"
BLANK = re.compile(rf"[^\S{NO_BREAK}]+")
PARAGRAPH = re.compile(r"\n\s*\n|\u2029")

SENTENCE_END = re.compile(r"[.!?…।؟۔][\"'”’»)\]*_`]*(?:\s|$)|[。！？]")
CERTAIN_END = re.compile(r"[!?؟][\"'”’»)\]*_`]*(?:\s|$)|[。！？]")
CLAUSE_END = re.compile(r"[,;:)\]”»،؛、，；：）」』—–…]")
QUOTE = re.compile(r"[\"'”’»」』]")
DASH = re.compile(r"[—–…]|\.\.\.")
CLOSING = re.compile(r"[.,;:!?…)\]}»”’\"'。、，！？；：）」』】]*")
NOT_FIRST = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮー々ゝゞヽヾ")
"""What may not begin a line (JIS X 4051)."""
OPENING = ("Ps", "Pi")


class Break(Enum):
    """What kind of break a place allows."""

    SPACE = auto()
    BETWEEN = auto()
    """Between characters of a script without spaces, or after a dash."""
    INSIDE = auto()
    """Inside a word: only where no other break is possible."""


def wide(char: str) -> bool:
    """Whether a character is wide (UAX #11): two columns on a terminal, about one and a half on a screen."""
    return unicodedata.east_asian_width(char) in "WF"


def spaceless(char: str) -> bool:
    """Whether its script has no spaces and may be broken between any characters; Korean has spaces."""
    return wide(char) and not "\uac00" <= char <= "\ud7a3" and not unicodedata.category(char).startswith("S")


def columns(text: str, wide_columns: float) -> float:
    """The width of a text, where a narrow character is 1."""
    if text.isascii():
        return len(text)
    return sum(
        wide_columns if wide(each) else 0 if unicodedata.category(each) in ("Mn", "Me", "Cf") else 1 for each in text
    )


def flat(text: str) -> str:
    """The text in one line: white space as single spaces, without control characters."""
    text = BLANK.sub(" ", text)
    return (
        text if text.isprintable() else "".join(each for each in text if unicodedata.category(each) not in ("Cc", "Cs"))
    )


def break_in(text: str, start: int, end: int) -> tuple[int, Break]:
    """Where to break between two words, the first ending at `start`, the second beginning at `end`; and the kind.

    Text before the break is shown with the first word, text after it with the second.
    """
    gap = text[start:end]
    blanks = list(BLANK.finditer(gap))
    if blanks:
        return start + _after_blank(gap, blanks), Break.SPACE
    if any(spaceless(each) for each in text[max(0, start - 1) : end + 1]):
        place = next((i for i, each in enumerate(gap) if unicodedata.category(each) in OPENING), len(gap))
        place += start
        return place, Break.INSIDE if text[place : place + 1] in NOT_FIRST else Break.BETWEEN
    dashes = list(DASH.finditer(gap))
    if dashes:
        return start + dashes[-1].end(), Break.BETWEEN
    return end, Break.INSIDE


def _after_blank(gap: str, blanks: list[re.Match[str]]) -> int:
    """After the last new line, so that a list marker stays with its item; otherwise after the last space."""
    for blank in reversed(blanks):
        if "\n" in blank.group():
            return blank.end()
    place = len(blanks) - 1
    while place and all(
        unicodedata.category(each) in OPENING for each in gap[blanks[place - 1].end() : blanks[place].start()]
    ):
        place -= 1
    return blanks[place].end()


def shortened_after(tail: str, limit: float, wide_columns: float) -> str:
    """Unspoken text after a word, as it is shown: where it is long, its punctuation and an ellipsis."""
    shown = flat(tail)
    if columns(shown.strip(), wide_columns) <= limit:
        return shown
    mark = CLOSING.match(shown)
    return f"{mark.group() if mark else ''} … "


def shortened_before(lead: str, limit: float, wide_columns: float) -> str:
    """Unspoken text before a word, as it is shown: where it is long, an ellipsis."""
    shown = flat(lead)
    if columns(shown.strip(), wide_columns) <= limit:
        return shown
    opening = len(shown)
    while opening and unicodedata.category(shown[opening - 1]) in OPENING:
        opening -= 1
    return f"… {shown[opening:]}"
