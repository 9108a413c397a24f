"""How English is read: what of a text is said otherwise than it is written.

One scan from left to right finds tokens by their first character (`words`, `numbers`, `signs`). Each rule looks at a
bounded piece of text before and behind its token, and gives words for it. Pure; time grows with the length of the text.
`tables` has the facts.
"""

from __future__ import annotations

import re
import unicodedata

from voxwire_server.text.reading.english import numbers, numerals, signs, words
from voxwire_server.text.reading.english.say_as import say_as
from voxwire_server.text.reading.english.scan import Said, Scan
from voxwire_server.text.source_map import Rewrite

__all__ = ["EnglishNormaliser"]

_ORDINARY = re.compile(
    r"(?:[ \n\v]*+(?!(?:vs?|x)\b|a [^\w\s])[a-z]{1,40}+(?:'[a-z]{1,8}+)?(?=[ ,;!?\n])[,;!?]?)*+[ \n\v]*+"
)
"""Words in small letters: nothing of them is read otherwise."""
_BLANK = re.compile(r"[ \n\v]*+")


class EnglishNormaliser:
    """`voxwire_server.text.reading.Normaliser` of English, American or British. Keeps no state."""

    def __init__(self, british: bool = False) -> None:
        self._british = british

    def rewrites(self, text: str, before: str) -> list[Rewrite]:
        """What of `text` is read otherwise than it is written: in the order of the text, disjoint."""
        scan = Scan(text, before, self._british)
        found: list[Rewrite] = []
        ordinary = _ORDINARY if text.isascii() or scan.text == text else _BLANK
        at = ordinary.match(scan.text).end()  # type: ignore[union-attr]
        while at < len(text):
            said = _token(scan, at)
            end = min(max(said.end, at + 1), len(text))
            if said.text is not None:
                left = found[-1].text[-1:] if found and found[-1].end == at else scan.char(at - 1)
                found.append(Rewrite(at, end, _apart(_without_digits(said.text), left, scan.char(end))))
            elif scan.text is not text and scan.text[at:end] != text[at:end].replace("’", "'"):
                found.append(Rewrite(at, end, scan.text[at:end]))
            at = ordinary.match(scan.text, end).end()  # type: ignore[union-attr]
        return found

    def say_as(self, text: str, interpret_as: str, detail: str) -> str | None:
        """`text` as SSML's `say-as` asks; None where that says nothing about it."""
        if interpret_as.strip().lower() == "address":
            said = [Rewrite(*rewrite) for rewrite in self.rewrites(text, "")]
            return _applied(text, said)
        return say_as(text, interpret_as, detail, self._british)


def _token(scan: Scan, at: int) -> Said:
    """The reading of the token at `at`."""
    char = scan.text[at]
    if char.isspace():
        return Said(at + 1, None)
    if char.isdecimal() and char.isascii():
        return numbers.number(scan, at)
    return words.word(scan, at) if char.isalpha() else signs.sign(scan, at)


def _apart(words: str, left: str, right: str) -> str:
    """The words with a space towards a letter or digit that they would be glued to."""
    if left.isalnum() and (words[:1].isalnum() or words[:1] == "["):
        words = f" {words}"
    return f"{words} " if right.isalnum() and (words[-1:].isalnum() or words[-1:] == ")") else words


def _without_digits(words: str) -> str:
    """The words of a rule, in which no digit is left: an index in a name ("x²y" as a hashtag) is said by itself."""
    if not any(map(str.isdigit, words)):
        return words
    said = (f" {numerals.cardinal(int(unicodedata.numeric(char)))} " if char.isdigit() else char for char in words)
    return "".join(said)


def _applied(text: str, rewrites: list[Rewrite]) -> str:
    parts: list[str] = []
    at = 0
    for start, end, said in rewrites:
        parts += (text[at:start], said)
        at = end
    return "".join([*parts, text[at:]])
