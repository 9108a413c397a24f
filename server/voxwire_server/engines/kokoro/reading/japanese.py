"""Reads Japanese: words and their sounds by Open JTalk, phonemes by misaki's table of kana."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jaconv
import pyopenjtalk
from misaki.cutlet import HEPBURN, JA_WORDS, Cutlet, Word

from voxwire_server.engines.hibari.reading import Sentence, pieces, sentence_of, sounds
from voxwire_server.engines.kokoro.reading.origins import origins

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SENTENCE = re.compile(r"[^。！？!?\n]*(?:[。！？!?\n]+[」』）)”]*|$)")
_SYMBOL = "記号"
_READ, _MARK = 6, 3  # misaki's kinds of words: what has a reading, what is a symbol
_OPENING, _CLOSING = "「『«([“", "」』»]).,?!:;”"


@dataclass(frozen=True, slots=True)
class _Node:
    """A word as it is written and how it sounds, in hiragana; a mark where it has no sound."""

    surface: str
    sound: str
    mark: bool


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
    """Thread-safe: Open JTalk holds a lock while it analyses."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._table = _Table()

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` that hold a sound, in order."""
        return [
            sentence
            for match in _SENTENCE.finditer(text)
            if match[0].strip()
            for sentence in self._read(match[0], match.start())
        ]

    def _read(self, text: str, offset: int) -> Iterator[Sentence]:
        nodes = _joined(list(_nodes(text)))
        ranges = origins(unicodedata.normalize("NFKC", text), "".join(node.surface for node in nodes))
        if len(unicodedata.normalize("NFKC", text)) != len(text):
            ranges = _through(origins(text, unicodedata.normalize("NFKC", text)), ranges)
        words: list[tuple[int, int]] = []
        symbols: list[tuple[str, int]] = []
        at = 0
        for node in nodes:
            spoken = self._table.phonemes(node)
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
            symbols += [(symbol, owner) for symbol in spoken if symbol in self._vocabulary]
        for piece in pieces(symbols):
            if sounds(piece):
                yield sentence_of(piece, [(offset + a, offset + b) for a, b in words], self._vocabulary)

    @staticmethod
    def _space(symbols: list[tuple[str, int]], spoken: str) -> None:
        """A space between words, none before a closing mark or behind an opening one."""
        if symbols and spoken and symbols[-1][0] not in f" {_OPENING}" and spoken[0] not in f" {_CLOSING}":
            symbols.append((" ", -1))


def _nodes(text: str) -> Iterator[_Node]:
    for node in pyopenjtalk.run_frontend(text):
        surface = unicodedata.normalize("NFKC", node["string"])
        mark = node["pos"] == _SYMBOL or node["mora_size"] == 0
        sound = jaconv.kata2hira(node["pron"].replace("’", "").replace("'", ""))
        yield _Node(_mark(node["string"]) if mark else surface, sound, mark)


def _mark(surface: str) -> str:
    return surface if surface in HEPBURN else unicodedata.normalize("NFKC", surface)


def _joined(nodes: Sequence[_Node]) -> list[_Node]:
    """Join neighbours that misaki's list knows as one word, the longest first."""
    joined: list[_Node] = []
    at = 0
    while at < len(nodes):
        run = next((z for z in range(at + 1, len(nodes)) if nodes[z].mark != nodes[at].mark), len(nodes))
        end = next((z for z in range(run, at + 1, -1) if _surface(nodes[at:z]) in JA_WORDS), at + 1)
        joined.append(_Node(_surface(nodes[at:end]), "".join(n.sound for n in nodes[at:end]), nodes[at].mark))
        at = end
    return joined


def _surface(nodes: Sequence[_Node]) -> str:
    return "".join(node.surface for node in nodes)


def _through(first: Sequence[tuple[int, int]], second: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of ranges: of the text behind the text that `second` speaks of."""
    return [(first[low][0], first[high - 1][1]) if low < high else first[low] for low, high in second]
