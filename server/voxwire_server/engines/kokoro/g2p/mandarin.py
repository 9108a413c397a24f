"""Mandarin, and the English in it, to phonemes: wetext for numbers and signs, jieba for words, misaki for phonemes."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import jieba
from misaki.zh import ZHG2P
from wetext import Normalizer

from voxwire_server.engines.common.g2p import Sentence, pieces, sentence_of, sounds
from voxwire_server.engines.kokoro.g2p.cjk import add_word, english_words, source_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voxwire_server.engines.common.g2p import EnglishReader

# A sentence with its closing marks, and in it: Chinese, Latin words with the spaces between them, anything else.
_SENTENCE = re.compile(r"[^。！？!?…\n]*(?:[。！？!?…\n]+[”’」』）)]*|$)")
_RUN = re.compile(
    r"(?P<han>[\u4E00-\u9FFF]+)|(?P<latin>[A-Za-z]+(?:[ '’.-]*[A-Za-z]+)*(?:\+\+)?)|(?P<mark>.)", re.DOTALL
)
# As misaki writes Chinese marks.
_MARKS = {
    "、": ", ", "，": ", ", "。": ". ", "．": ". ", "！": "! ", "：": ": ", "；": "; ", "？": "? ",
    "《": " “", "》": "” ", "「": " “", "」": "” ", "『": " “", "』": "” ", "【": " “", "】": "” ",
    "（": " (", "）": ") ", "\n": " ", "～": "—", "·": " ",
}  # fmt: skip
# wetext reads "1,234" as two numbers.
_THOUSANDS = re.compile(r"(?<=\d)[,，](?=\d{3}(?!\d))")
_SYLLABLE_BREAK = "\u032f"


class MandarinReader:
    """Thread-safe once it has read a text: the first one loads jieba's dictionary. `english` reads the Latin words."""

    def __init__(self, vocabulary: Mapping[str, int], english: EnglishReader) -> None:
        jieba.setLogLevel(logging.WARNING)
        self._vocabulary = vocabulary
        self._english = english
        self._normalizer = Normalizer(lang="zh", operator="tn")

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order."""
        return [
            sentence
            for match in _SENTENCE.finditer(text)
            if match[0].strip()
            for sentence in self._read(match[0], match.start())
        ]

    def _read(self, text: str, offset: int) -> Iterator[Sentence]:
        plain = self._normalizer.normalize(_THOUSANDS.sub("", text))
        spans = source_spans(text, plain)
        words: list[tuple[int, int]] = []
        symbols: list[tuple[str, int]] = []
        for phonemes, start, end in self._runs(plain):
            word = add_word(words, spans[start][0], spans[end - 1][1]) if start < end else -1
            symbols += [(symbol, word if symbol != " " else -1) for symbol in phonemes if symbol in self._vocabulary]
        for piece in pieces(_single_spaces(symbols)):
            if sounds(piece):
                yield sentence_of(piece, [(offset + a, offset + b) for a, b in words], self._vocabulary)

    def _runs(self, text: str) -> Iterator[tuple[str, int, int]]:
        """(phonemes, start, end) of each word of `text`; start and end are equal for a pause or a mark."""
        for match in _RUN.finditer(text):
            match match.lastgroup:
                case "han":
                    yield from self._chinese(match[0], match.start())
                case "latin":
                    yield from self._latin(match[0], match.start())
                case _:
                    yield _MARKS.get(match[0], match[0]), match.start(), match.start()

    def _chinese(self, text: str, offset: int) -> Iterator[tuple[str, int, int]]:
        for word, start, end in jieba.tokenize(text):
            if start:
                yield " ", offset + start, offset + start
            yield ZHG2P.word2ipa(word).replace(_SYLLABLE_BREAK, ""), offset + start, offset + end

    def _latin(self, text: str, offset: int) -> Iterator[tuple[str, int, int]]:
        yield " ", offset, offset
        for phonemes, start, end in english_words(self._english, text):
            yield phonemes, offset + start, offset + end
            yield " ", offset + end, offset + end


def _single_spaces(symbols: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [pair for i, pair in enumerate(symbols) if pair[0] != " " or i == 0 or symbols[i - 1][0] != " "]
