"""What Mandarin and Japanese share: source positions in texts without spaces, word ranges, the Latin words in them."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_server.engines.common.g2p import EnglishReader

    Span = tuple[int, int]


def source_spans(source: str, text: str) -> list[Span]:
    """The half-open range of `source` behind each character of `text`, which `source` was rewritten to.

    The characters of a rewritten part all get the whole range that it replaced.
    """
    spans: list[Span] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, source, text, autojunk=False).get_opcodes():
        if tag == "equal":
            spans += [(i, i + 1) for i in range(i1, i2)]
        elif j2 > j1:
            whole = (i1, i2) if i2 > i1 else (max(i1 - 1, 0), max(i1, 1))
            spans += [whole] * (j2 - j1)
    return spans


def compose(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """The spans of two rewritings in a row: `second` are ranges of the text whose characters have the spans `first`."""
    return [(first[low][0], first[high - 1][1]) if low < high else first[low] for low, high in second]


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
    """(phonemes, start, end) of each word of the English `text`."""
    for sentence in english.read(text):
        for word, (start, end) in enumerate(sentence.words):
            own = [i for i, index in enumerate(sentence.word_indices) if index == word]
            yield sentence.symbols[own[0] : own[-1] + 1], start, end
