"""How a sentence is read: its phonemes as the model's ids, and which words of the text each of them belongs to.

hibari's G2P expands numbers, times, dates and abbreviations before it looks words up ("7:30" is read "seven thirty"),
so words are led back: text before and after expansion are compared word by word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hibari.g2p.normalize import normalize
from hibari.tts import MAX_PHONEMES, Hibari

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hibari.g2p import G2P

STRESSES = "ˈˌ"
PAD = 0
_WORD = re.compile(r"\S+")
_LINK = re.compile(r"\[([^\]]+)\]\(/[^)]*/\)")
"""A pronunciation given inline: `[word](/wˈɜɹd/)`."""
_EDGES = re.compile(r"^[^\w]*(.*?)[^\w]*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Symbol:
    """One id of the model's input: its phoneme, and which word of the reading it belongs to (-1: none)."""

    ipa: str
    word: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One call of the model. `ids` has a pad at each end; `symbols[i]` stands behind `ids[i + 1]`.

    `words` are ranges of characters in the clause's text.
    """

    ids: tuple[int, ...]
    symbols: tuple[Symbol, ...]
    words: tuple[tuple[int, int], ...]


def readings(text: str, g2p: G2P, vocabulary: Mapping[str, int]) -> list[Reading]:
    """The sentences of `text`, each as one call of the model; a very long one as several."""
    found = []
    at = 0
    for sentence in Hibari.split_sentences(text):
        start = text.index(sentence, at)
        at = start + len(sentence)
        found += _read_sentence(sentence, start, g2p, vocabulary)
    return found


def _read_sentence(sentence: str, offset: int, g2p: G2P, vocabulary: Mapping[str, int]) -> list[Reading]:
    expanded = normalize(sentence)
    origins = word_origins(sentence, expanded)
    symbols: list[Symbol] = []
    spoken: list[tuple[int, int]] = []
    for phonemes, start in _tokens(expanded, g2p):
        word = -1
        if any(c.isalpha() for c in phonemes):
            chars = _trimmed(sentence, origins(start))
            chars = (chars[0] + offset, chars[1] + offset)
            if not spoken or spoken[-1] != chars:
                spoken.append(chars)
            word = len(spoken) - 1
        symbols += [Symbol(c, word if c.isalpha() or c in STRESSES else -1) for c in phonemes if c in vocabulary]
    while symbols and symbols[-1].ipa == " ":
        symbols.pop()
    return [_reading(part, spoken, vocabulary) for part in _parts(symbols)]


def _tokens(expanded: str, g2p: G2P) -> Iterator[tuple[str, int]]:
    """Each token's phonemes, the space after it included, and where its text begins in `expanded`."""
    at = 0
    tokens: list[Any] = g2p.phonemize_tokens(g2p.tokenize(expanded))
    for token in tokens:
        found = expanded.find(token.text, at)
        start = found if found >= 0 else at
        at = max(at, start + len(token.text)) if found >= 0 else at
        yield (token.phonemes or "") + (" " if token.whitespace else ""), start


def _parts(symbols: list[Symbol]) -> list[list[Symbol]]:
    """Symbols in calls of at most MAX_PHONEMES, parted at spaces."""
    parts = []
    while len(symbols) > MAX_PHONEMES:
        spaces = [i for i in range(1, MAX_PHONEMES) if symbols[i].ipa == " "]
        marked = [i for i in spaces if symbols[i - 1].ipa in ",;:—"]
        cut = (marked or spaces or [MAX_PHONEMES])[-1]
        parts.append(symbols[:cut])
        symbols = symbols[cut:]
        while symbols and symbols[0].ipa == " ":
            symbols = symbols[1:]
    return [*parts, symbols] if any(s.word >= 0 for s in symbols) else parts


def _reading(symbols: list[Symbol], words: list[tuple[int, int]], vocabulary: Mapping[str, int]) -> Reading:
    ids = (PAD, *(vocabulary[s.ipa] for s in symbols), PAD)
    return Reading(ids, tuple(symbols), tuple(words))


def word_origins(sentence: str, expanded: str) -> Any:
    """A function from a position in `expanded` to the range of `sentence` that was expanded to what stands there."""
    theirs = [(m.start(), m.end()) for m in _WORD.finditer(expanded)]
    ours = [(m.start(), m.end()) for m in _WORD.finditer(sentence)]
    ranges = _matched([sentence[a:b] for a, b in ours], [expanded[a:b] for a, b in theirs], ours)

    def origin(position: int) -> tuple[int, int]:
        low, high = 0, len(theirs)
        while low < high:
            middle = (low + high) // 2
            if theirs[middle][1] <= position:
                low = middle + 1
            else:
                high = middle
        return ranges[min(low, len(ranges) - 1)] if ranges else (0, len(sentence))

    return origin


def _matched(ours: list[str], theirs: list[str], spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """For each expanded word the range of the text behind it."""
    if ours == theirs:
        return spans
    ranges: list[tuple[int, int]] = []
    for _, i1, i2, j1, j2 in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if i2 - i1 == j2 - j1:
            ranges += spans[i1:i2]
        elif i2 > i1:
            ranges += _shared_out(ours[i1:i2], spans[i1:i2], j2 - j1)
        else:
            # A word that came out of nothing belongs to the one before it.
            at = spans[max(0, i1 - 1)] if spans else (0, 0)
            ranges += [at] * (j2 - j1)
    assert all(a[0] <= b[0] for a, b in pairwise(ranges))
    return ranges


def _shared_out(ours: list[str], spans: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The ranges of `count` expanded words, where the words of the text, each expanded alone, give as many."""
    shares = [len(normalize(word).split()) for word in ours]
    if sum(shares) == count:
        return [span for span, share in zip(spans, shares, strict=True) for _ in range(share)]
    return [(spans[0][0], spans[-1][1])] * count


def _trimmed(sentence: str, chars: tuple[int, int]) -> tuple[int, int]:
    """Without the marks around it, unless it is nothing but marks."""
    start, end = chars
    link = _LINK.search(sentence, start, end)
    if link is not None:
        return link.span(1)
    found = _EDGES.match(sentence[start:end])
    if found is None or not found.group(1):
        return chars
    return start + found.start(1), start + found.end(1)
