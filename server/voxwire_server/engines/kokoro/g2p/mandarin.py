"""Mandarin in words, and the English in it, to phonemes: jieba finds the words, misaki has their phonemes."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import jieba
from misaki.zh import ZHG2P

from voxwire_server.engines.common.g2p import Sentence, pieces, sentence_of, sounds
from voxwire_server.engines.common.pronunciations import LINK, split_links
from voxwire_server.engines.kokoro.g2p.cjk import add_word, english_words, single_spaces, spoken_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from voxwire_server.engines.common.g2p import EnglishReader

# A sentence with its closing marks, and in it: Chinese, Latin words with the spaces between them, anything else.
_SENTENCE = re.compile(r"[^。！？!?…\n]*(?:[。！？!?…\n]+[”’」』）)]*|$)")
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_RUN = re.compile(
    rf"(?P<han>[\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U0003FFFD]+)"
    rf"|(?P<latin>[{_LATIN}]+(?:[ '’.-]{{0,4}}[{_LATIN}]+)*(?:\+\+)?)|(?P<mark>.)",
    re.DOTALL,
)
# As misaki writes Chinese marks.
_MARKS = {
    "、": ", ", "，": ", ", "。": ". ", "．": ". ", "！": "! ", "：": ": ", "；": "; ", "？": "? ",
    "《": " “", "》": "” ", "「": " “", "」": "” ", "『": " “", "』": "” ", "【": " “", "】": "” ",
    "（": " (", "）": ") ", "\n": " ", "～": "—", "·": " ",
}  # fmt: skip
_SYLLABLE_BREAK = "\u032f"


class MandarinReader:
    """Thread-safe once it has read a text: the first one loads jieba's dictionary. `english` reads the Latin words."""

    def __init__(self, vocabulary: Mapping[str, int], english: EnglishReader) -> None:
        jieba.setLogLevel(logging.WARNING)
        self._vocabulary = vocabulary
        self._english = english

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text`, which has no digits and signs, in which something sounds; in order."""
        masked = LINK.sub(lambda link: "x" * len(link[0]), text)  # an IPA's full stop ends no sentence
        return [
            sentence
            for match in _SENTENCE.finditer(masked)
            if match[0].strip()
            for sentence in self._read(text[match.start() : match.end()], match.start())
        ]

    def _read(self, text: str, offset: int) -> Iterator[Sentence]:
        words: list[tuple[int, int]] = []
        symbols: list[tuple[str, int]] = []
        for phonemes, start, end in self._parts(text):
            word = add_word(words, offset + start, offset + end) if start < end else -1
            symbols += [(symbol, word if symbol != " " else -1) for symbol in phonemes if symbol in self._vocabulary]
        for piece in pieces(single_spaces(symbols)):
            if sounds(piece):
                yield sentence_of(piece, words, self._vocabulary)

    def _parts(self, text: str) -> Iterator[tuple[str, int, int]]:
        """(phonemes, start, end) of each word of `text`; start and end are equal for a pause or a mark."""
        for start, end, ipa in split_links(text):
            if ipa is None:
                yield from self._runs(text[start:end], start)
            else:
                yield from spoken_link(ipa, start, end)

    def _runs(self, text: str, offset: int) -> Iterator[tuple[str, int, int]]:
        for match in _RUN.finditer(text):
            at = offset + match.start()
            match match.lastgroup:
                case "han":
                    yield from self._chinese(match[0], at)
                case "latin":
                    yield from self._latin(match[0], at)
                case _:
                    yield _MARKS.get(match[0], match[0]), at, at

    def _chinese(self, text: str, offset: int) -> Iterator[tuple[str, int, int]]:
        for word, start, end in jieba.tokenize(text):
            if start:
                yield " ", offset + start, offset + start
            yield _phonemes(word), offset + start, offset + end

    def _latin(self, text: str, offset: int) -> Iterator[tuple[str, int, int]]:
        yield " ", offset, offset
        for phonemes, start, end in english_words(self._english, text):
            yield phonemes, offset + start, offset + end
            yield " ", offset + end, offset + end


def _phonemes(word: str) -> str:
    """The phonemes of a word; of a rare one, of those of its characters that misaki knows."""
    try:
        ipa: str = ZHG2P.word2ipa(word)
    except ValueError:
        return "".join(map(_phonemes, word)) if len(word) > 1 else ""
    return ipa.replace(_SYLLABLE_BREAK, "")
