"""Spanish, French, Hindi, Italian and Portuguese to phonemes, by espeak-ng (GPL, an extra of its own)."""

from __future__ import annotations

import re
import threading
import unicodedata
from typing import TYPE_CHECKING

from misaki.espeak import EspeakG2P

from voxwire_server.engines.common.g2p import PAUSES, Sentence, pieces, sentence_of, sounds
from voxwire_server.engines.common.pronunciations import LINK, kokoro_symbols, split_links

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
        masked = LINK.sub(lambda link: "x" * len(link[0]), text)  # an IPA's full stop ends no sentence
        return [
            sentence
            for match in _SENTENCE.finditer(masked)
            if any(character.isalnum() for character in match[0])
            for sentence in self._read(text[match.start() : match.end()], match.start())
        ]

    def _read(self, text: str, offset: int) -> Iterator[Sentence]:
        symbols: list[tuple[str, int]] = []
        words: list[tuple[int, int]] = []
        for start, end, ipa in split_links(text):
            if ipa is None:
                found = [(start + a, start + b) for a, b in (m.span() for m in _WORD.finditer(text[start:end]))]
                said = self._aligned(text[start:end], [(a - start, b - start) for a, b in found])
            else:
                found = [(start, end)]
                said = [
                    (symbol, -1 if symbol in PAUSES else 0)
                    for symbol in kokoro_symbols(ipa)
                    if symbol in self._vocabulary
                ]
            if text[start].isspace() and symbols[-1:] != [(" ", -1)]:
                symbols.append((" ", -1))
            symbols += [(symbol, word + len(words) if word >= 0 else -1) for symbol, word in said]
            if text[end - 1].isspace() and symbols[-1:] != [(" ", -1)]:
                symbols.append((" ", -1))
            words += found
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
