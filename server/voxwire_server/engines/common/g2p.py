"""Grapheme-to-phoneme conversion: English text to phoneme ids, with the characters that each word came from."""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import hibari
from hibari.g2p import G2P, LINK_RE
from hibari.g2p.token import Tok

from voxwire_server.engines.common.letters import in_known_letters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Signs for which hibari's dictionary has another, one for one.
_ALIKE = str.maketrans("’‒―ʻʼ", "'-—''")


# Symbols that stand for pauses or intonation, not for sounds.
PAUSES = frozenset(' ;:,.!?—…"“”()→↗↘↓')
# The most symbols that a network takes at once: hibari's own limit (`hibari.tts.MAX_PHONEMES`).
SYMBOLS_MAX = 400
_PAD = 0
_BRACKETS = "\"'“”‘’«»()[]{}<>*_"
_CUT_AFTER = frozenset(",;:—")
PARTS_MAX = 12
"""hibari looks up every run of a word's parts ("state-of-the-art" has seven): its time grows with their cube."""


class BoundedG2P(G2P):  # type: ignore[misc]
    """hibari's G2P, but a word of very many parts ("a-a-a-…") is looked up `PARTS_MAX` parts at a time."""

    @staticmethod
    def retokenize(tokens: list[Tok]) -> list[Tok | list[Tok]]:
        """The words: each one token, or a list of tokens that are looked up together."""
        words: list[Tok | list[Tok]] = []
        for word in G2P.retokenize(tokens):
            if not isinstance(word, list) or len(word) <= PARTS_MAX:
                words.append(word)
                continue
            for at in range(0, len(word), PARTS_MAX):
                parts = word[at : at + PARTS_MAX]
                parts[0].is_head = True
                words.append(parts if len(parts) > 1 else parts[0])
        return words


@dataclass(frozen=True, slots=True)
class Sentence:
    """The phonemes of one call of the network, at most a sentence.

    `ids` has a pad at each end; `symbols[k]` is what `ids[k + 1]` stands for; `word_indices[k]` is the index in `words`
    of the word that the symbol belongs to, or -1. `words` are half-open ranges of the clause's characters, ascending
    and disjoint.
    """

    ids: tuple[int, ...]
    symbols: str
    word_indices: tuple[int, ...]
    words: tuple[tuple[int, int], ...]


def sentence_of(
    symbols: Sequence[tuple[str, int]], words: Sequence[tuple[int, int]], vocabulary: Mapping[str, int]
) -> Sentence:
    """The sentence of `symbols`, each with its index in `words` or -1; words without a symbol are left out."""
    used = sorted({word for _, word in symbols if word >= 0})
    index = {word: i for i, word in enumerate(used)} | {-1: -1}
    return Sentence(
        ids=(_PAD, *(vocabulary[symbol] for symbol, _ in symbols), _PAD),
        symbols="".join(symbol for symbol, _ in symbols),
        word_indices=tuple(index[word] for _, word in symbols),
        words=tuple(words[word] for word in used),
    )


def sounds(symbols: Sequence[tuple[str, int]]) -> bool:
    """Whether any of the symbols is more than a pause."""
    return any(symbol not in PAUSES for symbol, _ in symbols)


class EnglishReader:
    """English text to phonemes. Thread-safe: hibari's G2P keeps no state between calls once it is warm.

    The symbols are those of misaki and Kokoro; `vocabulary` gives their ids, by default hibari's.
    """

    def __init__(self, vocabulary: Mapping[str, int] | None = None, *, british: bool = False) -> None:
        self._g2p = BoundedG2P(british=british)
        self._vocabulary = _own_vocabulary() if vocabulary is None else vocabulary

    def warm_up(self) -> None:
        """Load the network for unknown words, which is otherwise loaded at first use."""
        self.read("Zqorvy flimmed 12 glorbs at 7:30.")

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order."""
        plain = in_known_letters(text)
        found = [sentence for start, end in _sentences(plain.text) for sentence in self._read(plain.text, start, end)]
        if plain.text == text:
            return found
        return [replace(each, words=tuple(plain.span(*word) for word in each.words)) for each in found]

    def _read(self, text: str, start: int, end: int) -> Iterator[Sentence]:
        said = text[start:end].translate(_ALIKE)
        tokens = self._pronounce(said)
        spans = list(_token_spans(said, tokens))
        words, word_of_token = _words(text[start:end], tokens, spans)
        symbols = [
            (symbol, word_of_token[i] if symbol not in PAUSES else -1)
            for i, token in enumerate(tokens)
            for symbol in (token.phonemes or "") + (" " if token.whitespace else "")
            if symbol in self._vocabulary
        ]
        for piece in pieces(symbols):
            if sounds(piece):
                yield sentence_of(piece, [(start + a, start + b) for a, b in words], self._vocabulary)

    def _pronounce(self, text: str) -> list[Tok]:
        try:
            return self._tokens(text)
        except Exception:
            return [token for word in text.split() for token in self._pronounce_alone(word)]

    def _pronounce_alone(self, word: str) -> list[Tok]:
        """One word without its sentence; silent if hibari fails on it, as it does on numerals of other scripts."""
        try:
            return self._tokens(word + " ")
        except Exception:
            return [Tok(word, whitespace=" ", phonemes="")]

    def _tokens(self, text: str) -> list[Tok]:
        tokens: list[Tok] = self._g2p.phonemize_tokens(self._g2p.tokenize(text))
        return tokens


def _own_vocabulary() -> dict[str, int]:
    assets = os.path.join(os.path.dirname(hibari.__file__), "assets")
    with open(os.path.join(assets, "vocab.json"), encoding="utf-8") as file:
        vocabulary: dict[str, int] = json.load(file)
    return vocabulary


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """The character ranges of the sentences that hibari splits `text` into."""
    at = 0
    for sentence in hibari.Hibari.split_sentences(text):
        start = text.index(sentence, at)
        at = start + len(sentence)
        yield start, at


def _token_spans(text: str, tokens: Sequence[Tok]) -> Iterator[tuple[int, int]]:
    """The range of `text` that each token is; tokens are in the order of the text."""
    text = LINK_RE.sub(lambda link: f"\0{link[1]}" + "\0" * (len(link[0]) - len(link[1]) - 1), text)
    at = 0
    for token in tokens:
        start = text.find(token.text, at) if token.text else -1
        if start < 0:
            start = _nearest(text, at)
        at = min(start + len(token.text), len(text))
        yield start, max(at, start + 1)


def _nearest(text: str, at: int) -> int:
    """Where, from `at` on, a token begins that is not in the text literally: hibari drops some marks inside words."""
    while at < len(text) - 1 and text[at].isspace():
        at += 1
    return min(at, len(text) - 1)


def _words(
    text: str, tokens: Sequence[Tok], spans: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[int]]:
    """Join tokens to words: the words' ranges, and for each token the index of its word or -1.

    Tokens that sound share a word when they come from the same characters ("seven", "thirty" from "7:30") or when
    nothing lies between them ("50", "%"). A currency sign belongs to the amount that follows it.
    """
    words: list[tuple[int, int]] = []
    indices: list[int] = []
    sign_at = -1
    joined = False
    for token, (start, end) in zip(tokens, spans, strict=True):
        sounding = any(symbol not in PAUSES for symbol in token.phonemes or "")
        if sounding:
            start = sign_at if sign_at >= 0 else start
            if words and (start < words[-1][1] or (joined and start == words[-1][1])):
                words[-1] = (words[-1][0], max(end, words[-1][1]))
            else:
                words.append((start, end))
        indices.append(len(words) - 1 if sounding else -1)
        sign_at = start if not sounding and not token.whitespace and _is_sign(token.text) else -1
        joined = sounding and not token.whitespace
    return [_without_brackets(text, start, end) for start, end in words], indices


def _is_sign(text: str) -> bool:
    return all(unicodedata.category(character) == "Sc" for character in text)


def _without_brackets(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without quotes, brackets and space around the word, unless there is nothing else in it."""
    word = text[start:end]
    bare = word.strip(_BRACKETS + " ")
    if not bare:
        return start, end
    first = start + word.index(bare)
    return first, first + len(bare)


def pieces(symbols: list[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    """Cut symbols into pieces of `SYMBOLS_MAX`: after the last phrase mark that fits, else at a space, else hard."""
    symbols = _stripped(symbols)
    while len(symbols) > SYMBOLS_MAX:
        spaces = [i for i in range(1, SYMBOLS_MAX + 1) if symbols[i][0] == " "]
        marks = [i for i in spaces if symbols[i - 1][0] in _CUT_AFTER]
        cut = (marks or spaces or [SYMBOLS_MAX])[-1]
        yield _stripped(symbols[:cut])
        symbols = _stripped(symbols[cut:])
    if symbols:
        yield symbols


def _stripped(symbols: list[tuple[str, int]]) -> list[tuple[str, int]]:
    start, end = 0, len(symbols)
    while start < end and symbols[start][0] == " ":
        start += 1
    while end > start and symbols[end - 1][0] == " ":
        end -= 1
    return symbols[start:end]
