"""What Mandarin and Japanese share: source positions in texts without spaces, word ranges, the Latin words in them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from voxwire_server.engines.common.pronunciations import kokoro_symbols

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_server.engines.common.g2p import EnglishReader

    Span = tuple[int, int]

_NUMERAL = re.compile("[0-9〇零一二三四五六七八九十百千万億兆,.]+")
_AHEAD_MAX = 12
"""So far a character of one text is looked for in the other."""


def aligned(source: str, text: str) -> list[Span]:
    """The half-open range of `source` behind each character of `text`, an analyser's writing of it. Takes linear time.

    The analyser drops spaces and some marks, has other forms of characters, and writes numbers in other numerals: then
    the numeral's characters all have the range of the whole number.
    """
    usual, origins = _usual(source)
    spans: list[Span] = []
    at = 0
    while len(spans) < len(text):
        here = len(spans)
        numeral, said = _NUMERAL.match(usual, at), _NUMERAL.match(text, here)
        if numeral is not None and said is not None:
            spans += _of_numeral(numeral, said, origins)
            at = numeral.end()
            continue
        found = usual.find(text[here], at, at + _AHEAD_MAX)
        if found >= 0:
            at = found + 1
            spans.append((origins[found], origins[found] + 1))
        else:
            near = origins[min(at, len(origins) - 1)]
            spans.append((near, near + 1))
    return spans


def _usual(source: str) -> tuple[str, list[int]]:
    """`source` in the usual forms of its characters, without spaces, and where each character came from."""
    forms = [unicodedata.normalize("NFKC", char) for char in source]
    origins = [i for i, form in enumerate(forms) for char in form if not char.isspace()]
    usual = "".join(char for form in forms for char in form if not char.isspace())
    return (usual, origins) if usual else (" ", [0])


def _of_numeral(numeral: re.Match[str], said: re.Match[str], origins: Sequence[int]) -> list[Span]:
    low, high = origins[numeral.start()], origins[numeral.end() - 1] + 1
    if numeral[0] == said[0] and not numeral[0][0].isascii():
        return [(origin, origin + 1) for origin in origins[numeral.start() : numeral.end()]]
    return [(low, high)] * len(said[0])


def add_word(words: list[Span], low: int, high: int) -> int:
    """Add the word of the source range [low, high) to `words`; its index.

    A range that overlaps the last word's extends that word: the words of one written number are one word.
    """
    if words and low < words[-1][1]:
        words[-1] = (words[-1][0], max(high, words[-1][1]))
    else:
        words.append((low, high))
    return len(words) - 1


def english_words(english: EnglishReader, text: str) -> Iterator[tuple[str, int, int]]:
    """(phonemes, start, end) of each word of the English `text`. A letter alone is a letter: "A4"."""
    if text in ("A", "a"):
        yield "ˈA", 0, 1
        return
    for sentence in english.read(text):
        for word, (start, end) in enumerate(sentence.words):
            own = [i for i, index in enumerate(sentence.word_indices) if index == word]
            yield sentence.symbols[own[0] : own[-1] + 1], start, end


def spoken_link(ipa: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """(phonemes, start, end) of a word with a given pronunciation, between two pauses."""
    yield " ", start, start
    yield kokoro_symbols(ipa), start, end
    yield " ", end, end


def single_spaces(symbols: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The symbols, of neighbouring spaces only one."""
    return [pair for i, pair in enumerate(symbols) if pair[0] != " " or i == 0 or symbols[i - 1][0] != " "]
