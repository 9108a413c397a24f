"""Gives an engine a clause as words, and its marks back the characters that were written. Pure; runs on the workers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from voxwire_server.speech import Alignment, Clause, PhonemeMark, WordMark
from voxwire_server.text.reading import read_out
from voxwire_server.text.scripts import foreign_letters
from voxwire_server.text.source_map import Rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_server.text.source_map import SourceMap

ALIAS_GROWTH_MAX = 4
ALIAS_CHARS = 256
"""A lexicon may add so many times a clause's length to it, and so many characters. The rest stays as it is."""
# espeak-ng, which reads all other languages, names the letters of other scripts.
_STRICT = ("en", "zh", "ja")
# `[word](/IPA/)`: IPA has Greek letters.
_PRONUNCIATION = re.compile(r"(?<=\])\(/[^()/]{1,256}+/\)")


def as_words(clause: Clause) -> tuple[Clause, SourceMap]:
    """The clause with numbers and signs read out, and the map to its own text."""
    said = read_out(clause.text, clause.language, clause.before, clause.readings, _aliases(clause))
    origins = [clause.origins[start] for start in said.starts]
    return replace(clause, text=said.text, origins=origins, readings=(), lexicon=None), said


def _aliases(clause: Clause) -> list[Rewrite]:
    """What the lexicon says of the clause, as far as the clause stays of a length that an engine is meant for."""
    if clause.lexicon is None:
        return []
    found: list[Rewrite] = []
    room = ALIAS_GROWTH_MAX * len(clause.text) + ALIAS_CHARS
    for start, end, text in clause.lexicon.aliases(clause.text, clause.language):
        room -= len(text) - (end - start)
        if room < 0:
            break
        found.append(Rewrite(start, end, text))
    return found


def without_unreadable(clause: Clause, said: SourceMap) -> tuple[Clause, tuple[tuple[int, int], ...]]:
    """The clause, as `as_words` gave it, without letters of scripts that its reader does not know; and where they were
    written. hibari would guess at them, readers of Chinese and Japanese pass over them."""
    if clause.language.partition("-")[0] not in _STRICT:
        return clause, ()
    text = _PRONUNCIATION.sub(lambda found: " " * len(found[0]), clause.text)
    found = foreign_letters(text, clause.language)
    if not found:
        return clause, ()
    readable = list(clause.text)
    for start, end in found:
        readable[start:end] = " " * (end - start)
    return replace(clause, text="".join(readable)), tuple(said.span(*letters) for letters in found)


def as_written(alignment: Alignment, said: SourceMap, written: str) -> Alignment:
    """Marks of what was said, as marks of `written`: words that were written as one ("$20.50") are one."""
    phonemes = tuple(
        PhonemeMark(mark.ipa, mark.start, mark.end, _span(said, mark.chars)) for mark in alignment.phonemes
    )
    return Alignment(tuple(_words(alignment.words, said, written)), phonemes)


def _words(words: Iterable[WordMark], said: SourceMap, written: str) -> Iterable[WordMark]:
    last: WordMark | None = None
    for word in words:
        start, end = _span(said, word.chars)
        if last is not None and start < last.chars[1]:
            chars = (last.chars[0], max(end, last.chars[1]))
            last = WordMark(written[slice(*chars)], last.start, word.end, chars)
            continue
        if last is not None:
            yield last
        last = WordMark(written[start:end], word.start, word.end, (start, end))
    if last is not None:
        yield last


def _span(said: SourceMap, chars: tuple[int, int]) -> tuple[int, int]:
    """The written characters of a range of what was said, which an engine may have got too long."""
    length = len(said.text)
    return said.span(min(chars[0], length), min(chars[1], length))
