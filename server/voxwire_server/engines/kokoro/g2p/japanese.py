"""Japanese, and the English in it, to phonemes: wetext for signs, Open JTalk for words, misaki's table for kana."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jaconv
import pyopenjtalk
from misaki.cutlet import HEPBURN, JA_WORDS, Cutlet, Word
from wetext import Normalizer

from voxwire_server.engines.common.g2p import Sentence, pieces, sentence_of, sounds
from voxwire_server.engines.kokoro.g2p.cjk import add_word, compose, english_words, source_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voxwire_server.engines.common.g2p import EnglishReader

_SENTENCE = re.compile(r"[^。！？!?\n]*(?:[。！？!?\n]+[」』）)”]*|$)")
_SYMBOL = "記号"
_READ, _MARK = 6, 3  # misaki's kinds of words: one with a reading, a symbol
_OPENING, _CLOSING = "「『«([“", "」』»]).,?!:;”"
_SPELLED = "フィラー"  # Open JTalk's name for a word that it does not know and spells
_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
# What Open JTalk skips or reads sign by sign, and wetext therefore normalises first; other digits Open JTalk reads.
# Numbers in three or more groups are telephone numbers and the like, and stay as they are.
_SIGNED = re.compile(
    rf"""(?<![A-Za-z\d.-])(?:
        \d{{4}}[/-]\d{{1,2}}[/-]\d{{1,2}}(?![\d/-])   # 2026/11/21
      | [$€£¥₩]{_DIGITS}(?![\d-])                     # $1,200
      | \d{{1,2}}:\d{{2}}(?![\d:])                    # 3:45
      | \d+/\d+(?![\d/-])                           # 1/2
      | {_DIGITS}(?:[+×÷=]{_DIGITS})+(?![\d/-])      # 1+1=2
      | -{_DIGITS}(?![\d-])                          # -5
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Node:
    """A word: its written form and its sound in hiragana. `mark`: it has none. `english`: a Latin word unknown here."""

    surface: str
    sound: str
    mark: bool
    english: bool = False


class _Table(Cutlet):  # type: ignore[misc]
    """misaki's kana rules without its own analyser, whose dictionary is in no package."""

    def __init__(self) -> None:
        self.table = dict(HEPBURN)
        self.exceptions: dict[str, str] = {}

    def phonemes(self, node: _Node) -> str:
        """The phonemes of a word, or a mark as it is in Kokoro's vocabulary."""
        word = Word(node.surface, "", _MARK) if node.mark else Word(node.sound, node.sound, _READ)
        phonemes: str = self._romaji_word(word)
        return phonemes.replace("っ", "").replace("[", "(").replace("]", ")")


class JapaneseReader:
    """Thread-safe: Open JTalk locks while it analyses. `english` reads the Latin words that it does not know."""

    def __init__(self, vocabulary: Mapping[str, int], english: EnglishReader) -> None:
        self._vocabulary = vocabulary
        self._english = english
        self._table = _Table()
        self._normalizer = Normalizer(lang="ja", operator="tn")

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order."""
        return [
            sentence
            for match in _SENTENCE.finditer(text)
            if match[0].strip()
            for sentence in self._read(match[0], match.start())
        ]

    def _read(self, text: str, offset: int) -> Iterator[Sentence]:
        plain = _SIGNED.sub(lambda match: self._normalizer.normalize(match[0]), _half_width(text))
        nodes = _joined(list(_nodes(plain)))
        composed = unicodedata.normalize("NFKC", plain)
        spans = compose(source_spans(_half_width(text), plain), source_spans(plain, composed))
        spans = compose(spans, source_spans(composed, "".join(node.surface for node in nodes)))
        words: list[tuple[int, int]] = []
        symbols: list[tuple[str, int]] = []
        at = 0
        for node in nodes:
            phonemes = self._phonemes(node)
            start, at = at, at + len(node.surface)
            self._space(symbols, phonemes)
            is_word = not node.mark and start < at
            word = add_word(words, spans[start][0], spans[at - 1][1]) if is_word else -1
            symbols += [(symbol, word if symbol != " " else -1) for symbol in phonemes if symbol in self._vocabulary]
        for piece in pieces(symbols):
            if sounds(piece):
                yield sentence_of(piece, [(offset + a, offset + b) for a, b in words], self._vocabulary)

    def _phonemes(self, node: _Node) -> str:
        if node.english:
            return " ".join(phonemes for phonemes, _, _ in english_words(self._english, node.surface))
        return self._table.phonemes(node)

    @staticmethod
    def _space(symbols: list[tuple[str, int]], phonemes: str) -> None:
        """Add a space between words, but not before a closing mark or after an opening one."""
        if symbols and phonemes and symbols[-1][0] not in f" {_OPENING}" and phonemes[0] not in f" {_CLOSING}":
            symbols.append((" ", -1))


def _nodes(text: str) -> Iterator[_Node]:
    for node in pyopenjtalk.run_frontend(text):
        surface = unicodedata.normalize("NFKC", node["string"])
        # Open JTalk calls a single letter a symbol too.
        mark = node["mora_size"] == 0 or (node["pos"] == _SYMBOL and not surface.isalnum())
        sound = jaconv.kata2hira(node["pron"].replace("’", "").replace("'", ""))
        english = node["pos"] == _SPELLED and surface.isascii() and surface.isalpha() and not surface.isupper()
        yield _Node(_mark(node["string"]) if mark else surface, sound, mark, english)


def _half_width(text: str) -> str:
    """`text` with the usual forms of full-width letters, digits and signs; as long as it was."""
    usual = (unicodedata.normalize("NFKC", character) for character in text)
    return "".join(new if len(new) == 1 else old for old, new in zip(text, usual, strict=True)).replace("\u2212", "-")


def _mark(surface: str) -> str:
    return surface if surface in HEPBURN else unicodedata.normalize("NFKC", surface)


def _joined(nodes: Sequence[_Node]) -> list[_Node]:
    """Join neighbours that are one word in misaki's list, the longest first."""
    joined: list[_Node] = []
    at = 0
    while at < len(nodes):
        if nodes[at].english:
            joined.append(nodes[at])
            at += 1
            continue
        kind = (nodes[at].mark, False)
        run = next((z for z in range(at + 1, len(nodes)) if (nodes[z].mark, nodes[z].english) != kind), len(nodes))
        end = next((z for z in range(run, at + 1, -1) if _surface(nodes[at:z]) in JA_WORDS), at + 1)
        joined.append(_Node(_surface(nodes[at:end]), "".join(n.sound for n in nodes[at:end]), nodes[at].mark))
        at = end
    return joined


def _surface(nodes: Sequence[_Node]) -> str:
    return "".join(node.surface for node in nodes)
