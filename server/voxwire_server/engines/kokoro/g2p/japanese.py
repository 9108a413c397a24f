"""Japanese, and the English in it, to phonemes: Open JTalk finds words and their kana, misaki has a table for kana."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jaconv
import pyopenjtalk
from misaki.cutlet import HEPBURN, JA_WORDS, Cutlet, Word

from voxwire_server.engines.common.g2p import Sentence, pieces, sentence_of, sounds
from voxwire_server.engines.common.pronunciations import LINK, split_links
from voxwire_server.engines.kokoro.g2p.cjk import add_word, aligned, english_words, single_spaces, spoken_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from voxwire_server.engines.common.g2p import EnglishReader

_SENTENCE = re.compile(r"[^。！？!?\n]*(?:[。！？!?\n]+[」』）)”]*|$)")
_SYMBOL = "記号"
_READ, _MARK = 6, 3  # misaki's kinds of words: one with a reading, a symbol
_OPENING, _CLOSING = "「『«([“", "」』»]).,?!:;”"
_JOINED_MAX = 8
"""So many neighbours are looked up as one word: the time grows with the square of this."""
_SPELLED = "フィラー"  # Open JTalk's name for a word that it does not know and spells


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
        if word.surface.isdigit():  # "²": Open JTalk has no sound for it
            return ""
        phonemes: str = self._romaji_word(word)
        return phonemes.replace("っ", "").replace("[", "(").replace("]", ")")


class JapaneseReader:
    """Thread-safe: Open JTalk locks while it analyses. `english` reads the Latin words that it does not know."""

    def __init__(self, vocabulary: Mapping[str, int], english: EnglishReader) -> None:
        self._vocabulary = vocabulary
        self._english = english
        self._table = _Table()

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order. Of numbers it knows plain digits."""
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
            self._space(symbols, phonemes)
            word = add_word(words, offset + start, offset + end) if start < end else -1
            symbols += [(symbol, word if symbol != " " else -1) for symbol in phonemes if symbol in self._vocabulary]
        for piece in pieces(single_spaces(symbols)):
            if sounds(piece):
                yield sentence_of(piece, words, self._vocabulary)

    def _parts(self, text: str) -> Iterator[tuple[str, int, int]]:
        """(phonemes, start, end) of each word of `text`; start and end are equal for a pause or a mark."""
        for start, end, ipa in split_links(text):
            if ipa is None:
                yield from self._words(text[start:end], start)
            else:
                yield from spoken_link(ipa, start, end)

    def _words(self, text: str, offset: int) -> Iterator[tuple[str, int, int]]:
        nodes = _joined(list(_nodes(text)))
        spans = aligned(text, "".join(node.surface for node in nodes))
        at = 0
        for node in nodes:
            start, at = at, at + len(node.surface)
            low = offset + (spans[start][0] if start < at else 0)
            yield self._phonemes(node), low, low if node.mark or start == at else offset + spans[at - 1][1]

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
        last = min(at + _JOINED_MAX, len(nodes))
        run = next((z for z in range(at + 1, last) if (nodes[z].mark, nodes[z].english) != kind), last)
        end = next((z for z in range(run, at + 1, -1) if _surface(nodes[at:z]) in JA_WORDS), at + 1)
        joined.append(_Node(_surface(nodes[at:end]), "".join(n.sound for n in nodes[at:end]), nodes[at].mark))
        at = end
    return joined


def _surface(nodes: Sequence[_Node]) -> str:
    return "".join(node.surface for node in nodes)
