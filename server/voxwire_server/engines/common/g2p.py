"""Grapheme-to-phoneme conversion: English text to phoneme ids, with the characters that each word came from.

`SourceMap` keeps where each character of normalised text came from.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import hibari
from hibari.g2p import G2P, LINK_RE
from hibari.g2p.normalize import normalize
from hibari.g2p.token import Tok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Span = tuple[int, int]

_WORD = re.compile(r"\S+")
# hibari's one-for-one replacements, applied to the source too so that a word with an apostrophe is an anchor.
_ALIKE = str.maketrans("’‒―", "'-—")
# The longest run of source words that one rewriting consumes ("5 $ 20 million" never; "the 3rd of March, 2024" does).
_REWRITE_WORDS_MAX = 5


@dataclass(frozen=True, slots=True)
class SourceMap:
    """`starts[i]`, `ends[i]`: the half-open range of source text behind character i of `text`; neither decreases."""

    text: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> Span:
        """The range of source text behind `text[start:end]`, which is not empty."""
        return self.starts[start], self.ends[end - 1]


def map_rewriting(source: str, rewrite: Callable[[str], str]) -> SourceMap:
    """Rewrite `source`, and map each character of the result to its source range.

    A rewritten word gets the whole range of what it was written as: both words of "seven thirty" get that of "7:30".
    """
    text = rewrite(source)
    alike = source.translate(_ALIKE)
    mapper = _Mapper(alike, text, rewrite)
    mapper.run()
    return SourceMap(text, mapper.starts, mapper.ends)


class _Mapper:
    """The two texts' words and the ranges found so far; each method maps the next piece of `text`, left to right."""

    def __init__(self, source: str, text: str, rewrite: Callable[[str], str]) -> None:
        self.source, self.text, self.rewrite = source, text, rewrite
        self.source_spans = [match.span() for match in _WORD.finditer(source)]
        self.text_spans = [match.span() for match in _WORD.finditer(text)]
        self.source_words = [source[a:b] for a, b in self.source_spans]
        self.words = [text[a:b] for a, b in self.text_spans]
        self.starts: list[int] = []
        self.ends: list[int] = []

    def run(self) -> None:
        if self.source_words == self.words:
            blocks = [("equal", 0, len(self.words), 0, len(self.words))]
        else:
            blocks = list(SequenceMatcher(None, self.source_words, self.words, autojunk=False).get_opcodes())
        for tag, i1, i2, j1, j2 in blocks:
            if j1 == j2:
                continue
            if tag == "equal":
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
                    self._copy(self.source_spans[i][0], j)
            else:
                self._rewritten(i1, i2, j1, j2)

    def _rewritten(self, i1: int, i2: int, j1: int, j2: int) -> None:
        """Map a rewritten block by the smallest runs of source words that, rewritten alone, give the same words."""
        while i1 < i2:
            for taken in range(1, min(_REWRITE_WORDS_MAX, i2 - i1) + 1):
                alone = self.rewrite(" ".join(self.source_words[i1 : i1 + taken])).split()
                if alone and self.words[j1 : j1 + len(alone)] == alone and j1 + len(alone) <= j2:
                    self._whole(i1, i1 + taken, j1, j1 + len(alone))
                    i1, j1 = i1 + taken, j1 + len(alone)
                    break
            else:
                break
        if j1 < j2:
            self._whole(i1, i2, j1, j2)

    def _whole(self, i1: int, i2: int, j1: int, j2: int) -> None:
        """Map words j1..j2 to all of source words i1..i2, but equal punctuation at their ends by itself."""
        if i1 == i2:
            # Words that come from no source word are mapped to the character before them.
            end = self.source_spans[i1 - 1][1] if i1 else 1
            self._fill_to(self.text_spans[j2 - 1][1], end - 1, end)
            return
        a, b = self.source_spans[i1][0], self.source_spans[i2 - 1][1]
        c, d = self.text_spans[j1][0], self.text_spans[j2 - 1][1]
        while a < b and c < d and self.source[a] == self.text[c] and not self.text[c].isalnum():
            self._fill_to(c + 1, a, a + 1)
            a, c = a + 1, c + 1
        tail = 0
        while (
            tail < min(b - a, d - c)
            and self.source[b - 1 - tail] == self.text[d - 1 - tail]
            and not self.text[d - 1 - tail].isalnum()
        ):
            tail += 1
        # If no source character is left, the one before it is taken.
        self._fill_to(d - tail, *((a, b - tail) if a < b - tail else (max(a - 1, 0), max(a, 1))))
        for at in range(b - tail, b):
            self._fill_to(len(self.starts) + 1, at, at + 1)

    def _copy(self, source_at: int, j: int) -> None:
        start, end = self.text_spans[j]
        self._fill_to(start, source_at, source_at)
        self.starts.extend(range(source_at, source_at + end - start))
        self.ends.extend(range(source_at + 1, source_at + end - start + 1))

    def _fill_to(self, text_end: int, start: int, end: int) -> None:
        """Give `[start, end)` to every character up to `text_end` that has no range yet; ranges never decrease."""
        missing = text_end - len(self.starts)
        if self.starts:
            start, end = max(start, self.starts[-1]), max(end, self.ends[-1])
        self.starts += [start] * missing
        self.ends += [end] * missing


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
        return [sentence for start, end in _sentences(text) for sentence in self._read(text, start, end)]

    def _read(self, text: str, start: int, end: int) -> Iterator[Sentence]:
        source = map_rewriting(text[start:end], normalize)
        tokens = self._pronounce(source.text)
        spans = list(_token_spans(source, tokens))
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


def _token_spans(source: SourceMap, tokens: Sequence[Tok]) -> Iterator[tuple[int, int]]:
    """The range of source text behind each token; tokens are in the order of the text."""
    text = LINK_RE.sub(lambda link: f"\0{link[1]}" + "\0" * (len(link[0]) - len(link[1]) - 1), source.text)
    at = 0
    for token in tokens:
        start = text.find(token.text, at) if token.text else -1
        if start < 0:
            start = _nearest(text, at)
        at = min(start + len(token.text), len(text))
        yield source.span(start, max(at, start + 1))


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
