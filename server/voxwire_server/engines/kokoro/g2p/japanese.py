"""Reads Japanese, and the English in it: signs by wetext, words by Open JTalk, phonemes by misaki's table of kana."""

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
from voxwire_server.engines.kokoro.g2p.english import EnglishReader, spoken_words
from voxwire_server.engines.kokoro.g2p.origins import origins, through

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SENTENCE = re.compile(r"[^。！？!?\n]*(?:[。！？!?\n]+[」』）)”]*|$)")
_SYMBOL = "記号"
_READ, _MARK = 6, 3  # misaki's kinds of words: what has a reading, what is a symbol
_OPENING, _CLOSING = "「『«([“", "」』»]).,?!:;”"
_SPELLED = "フィラー"  # what Open JTalk calls a word that it does not know and reads letter by letter
_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
# What Open JTalk passes over or reads sign by sign; everything else that has digits in it is left to it. Numbers in
# three or more groups are telephone numbers and alike, and stay as they are.
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
    """A word as it is written and how it sounds, in hiragana; a mark where it has no sound; `english` where unknown."""

    surface: str
    sound: str
    mark: bool
    english: bool = False


class _Table(Cutlet):  # type: ignore[misc]
    """misaki's rules without its own analyser, whose dictionary does not come in a package."""

    def __init__(self) -> None:
        self.table = dict(HEPBURN)
        self.exceptions: dict[str, str] = {}

    def phonemes(self, node: _Node) -> str:
        """The phonemes of a word, or a mark as Kokoro knows it."""
        word = Word(node.surface, "", _MARK) if node.mark else Word(node.sound, node.sound, _READ)
        spoken: str = self._romaji_word(word)
        return spoken.replace("っ", "").replace("[", "(").replace("]", ")")


class JapaneseReader:
    """Thread-safe: Open JTalk holds a lock while it analyses. `english` reads the Latin words that it does not know."""

    def __init__(self, vocabulary: Mapping[str, int], english: EnglishReader) -> None:
        self._vocabulary = vocabulary
        self._english = english
        self._table = _Table()
        self._normalizer = Normalizer(lang="ja", operator="tn")

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` that hold a sound, in order."""
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
        ranges = origins(composed, "".join(node.surface for node in nodes))
        ranges = through(through(origins(_half_width(text), plain), origins(plain, composed)), ranges)
        words: list[tuple[int, int]] = []
        symbols: list[tuple[str, int]] = []
        at = 0
        for node in nodes:
            spoken = self._phonemes(node)
            start, at = at, at + len(node.surface)
            self._space(symbols, spoken)
            owner = -1
            if not node.mark and start < at:
                low, high = ranges[start][0], ranges[at - 1][1]
                if words and low < words[-1][1]:
                    words[-1] = (words[-1][0], max(high, words[-1][1]))
                else:
                    words.append((low, high))
                owner = len(words) - 1
            symbols += [(symbol, owner if symbol != " " else -1) for symbol in spoken if symbol in self._vocabulary]
        for piece in pieces(symbols):
            if sounds(piece):
                yield sentence_of(piece, [(offset + a, offset + b) for a, b in words], self._vocabulary)

    def _phonemes(self, node: _Node) -> str:
        if node.english:
            return " ".join(spoken for spoken, _, _ in spoken_words(self._english, node.surface))
        return self._table.phonemes(node)

    @staticmethod
    def _space(symbols: list[tuple[str, int]], spoken: str) -> None:
        """A space between words, none before a closing mark or behind an opening one."""
        if symbols and spoken and symbols[-1][0] not in f" {_OPENING}" and spoken[0] not in f" {_CLOSING}":
            symbols.append((" ", -1))


def _nodes(text: str) -> Iterator[_Node]:
    for node in pyopenjtalk.run_frontend(text):
        surface = unicodedata.normalize("NFKC", node["string"])
        # A letter by itself is called a symbol too.
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
    """Join neighbours that misaki's list knows as one word, the longest first."""
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
