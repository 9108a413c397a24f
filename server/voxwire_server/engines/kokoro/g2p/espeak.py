"""Spanish, French, Hindi, Italian and Portuguese to phonemes, by espeak-ng (GPL, an extra of its own)."""

from __future__ import annotations

import re
import threading
import unicodedata
from typing import TYPE_CHECKING

from misaki.espeak import EspeakG2P

from voxwire_server.engines.common.g2p import PAUSES, Sentence, pieces, sentence_of, sounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES = {"es": "es", "fr": "fr-fr", "hi": "hi", "it": "it", "pt-br": "pt-br"}
"""BCP 47 tags and espeak-ng's names of the languages."""

_SENTENCE = re.compile(r"[^.!?…।\n]*(?:[.!?…।\n]+[\"”’»)]*|$)")
_WORD = re.compile(r"\S*[\w€$£¥₹%]\S*")
_LOCK = threading.Lock()
"""espeak-ng has one current voice for the whole process."""


class EspeakReader:
    """Text of one language to phonemes. Thread-safe."""

    def __init__(self, vocabulary: Mapping[str, int], language: str) -> None:
        """`language` is one of `NAMES`."""
        self._vocabulary = vocabulary
        self._g2p = EspeakG2P(language=NAMES[language])

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order."""
        return [
            sentence
            for match in _SENTENCE.finditer(text)
            if any(character.isalnum() for character in match[0])
            for sentence in self._read(match[0], match.start())
        ]

    def _read(self, text: str, offset: int) -> Iterator[Sentence]:
        words = [match.span() for match in _WORD.finditer(text)]
        symbols = self._aligned(text, words)
        for piece in pieces(symbols):
            if sounds(piece):
                yield sentence_of(piece, [_bare(text, *word, offset) for word in words], self._vocabulary)

    def _aligned(self, text: str, words: list[tuple[int, int]]) -> list[tuple[str, int]]:
        """Each symbol and its word's index. If espeak-ng joined or split words, each word is pronounced by itself."""
        groups = self._phonemes(text).split(" ")
        if sum(map(_sounds, groups)) == len(words):
            return self._numbered(groups)
        return self._numbered([group for a, b in words for group in [self._phonemes(text[a:b]).replace(" ", "")]])

    def _numbered(self, groups: list[str]) -> list[tuple[str, int]]:
        symbols: list[tuple[str, int]] = []
        word = -1
        for group in groups:
            word += _sounds(group)
            if symbols:
                symbols.append((" ", -1))
            symbols += [(s, -1 if s in PAUSES else max(word, 0)) for s in group if s in self._vocabulary]
        return symbols

    def _phonemes(self, text: str) -> str:
        with _LOCK:
            phonemes: str = self._g2p(text)[0]
        return " ".join(phonemes.split())


def _sounds(group: str) -> bool:
    return any(character.isalpha() for character in group)


def _bare(text: str, start: int, end: int, offset: int) -> tuple[int, int]:
    """A word without the marks around it."""
    while start < end - 1 and unicodedata.category(text[start])[0] == "P":
        start += 1
    while end > start + 1 and unicodedata.category(text[end - 1])[0] == "P":
        end -= 1
    return offset + start, offset + end
