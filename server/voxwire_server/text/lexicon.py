"""Owns pronunciations of words: finds the words of a lexicon in a text, and says what is spoken in their place.

A word stands at word boundaries; in scripts without spaces (`UNSPACED`), anywhere. Of several words that begin at one
place the longest is taken, and what it covers is not looked at again. A word is not found within a pronunciation that
the text has itself (`[word](/ipa/)`), nor within a name with a full stop inside ("example.com", "1.2"), unless it has a
full stop itself, nor before an apostrophe ("don't"), unless an "s" follows it.

Case: a word written without capitals is found in any case; one with capitals only as it is written. An entry may say
otherwise. Language: an entry is for one BCP 47 tag and all below it ("en" for "en-us"), or for all languages; a voice
that names no region ("en") takes those of any ("en-us"), too. Of several entries for one word the one of the later
layer is used, then the one whose tag is the most exact, then the one whose case is exact.

Finding takes time that grows with the text alone: for each of its words one look-up, and one more for each number of
words that an entry which begins with it has.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from voxwire_server.text.source_map import Rewrite
from voxwire_server.text.speakable import CJK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WORD_CHARS_MAX = 256
SPOKEN_CHARS_MAX = 1024

UNSPACED = rf"{CJK}\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3130-\u318f\uac00-\ud7a3"
"""Scripts whose words are not parted by spaces, or take endings without one: Chinese, Japanese, Thai, Lao, Burmese,
Khmer, Korean."""

LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")

_TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|\s+|.", re.DOTALL)
_GIVEN = re.compile(r"\[[^\[\]\n]*+\]\(/[^/\n]*+/\)")
_ONE_UNSPACED = re.compile(rf"[{UNSPACED}]")
_ALIKE = str.maketrans("’ʼ＇‐‑", "'''--")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IPA = re.compile(r"[\[\]()/\\<>{}\n]")
_MARKUP = str.maketrans("", "", "[]()/")

Case = Literal["any", "exact"]


class LexiconError(ValueError):
    """An entry, or a file, that can't be used. `line` counts from 1; 0: not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Entry:
    """How `word` is said: as other words (`alias`), or as `ipa`; exactly one of them is given.

    `word` may have several words, and signs. `language` is a BCP 47 tag in lower case, "" for all languages. `exact`:
    only in the case of `word`.
    """

    word: str
    alias: str = ""
    ipa: str = ""
    language: str = ""
    exact: bool = False

    def said(self, source: str, before: str, after: str) -> str:
        """What is spoken in place of `source`, between the characters `before` and `after` ("" at the text's ends)."""
        if self.ipa:
            text, first, last = f"[{source.translate(_MARKUP) or '-'}](/{self.ipa}/)", "a", "a"
        else:
            text, first, last = self.alias, self.alias[0], self.alias[-1]
        return f"{' ' * _joins(before, first)}{text}{' ' * _joins(last, after)}"


def make_entry(word: str, *, alias: str = "", ipa: str = "", language: str = "", case: Case | None = None) -> Entry:
    """An entry, checked and in the form in which words are compared.

    Raises:
        LexiconError: the word, or what is said, can't be used.
    """
    word = _normal(word)
    alias, ipa = " ".join(alias.split()), " ".join(ipa.split()).strip("/[] ")
    language = language.replace("_", "-").lower()
    if not word:
        raise LexiconError("a word is empty")
    if len(word) > WORD_CHARS_MAX:
        raise LexiconError(f"{word[:32]!r}… is longer than {WORD_CHARS_MAX} characters")
    if bool(alias) == bool(ipa):
        raise LexiconError(f"{word!r} needs an alias or a pronunciation, and not both")
    if len(alias) > SPOKEN_CHARS_MAX or len(ipa) > SPOKEN_CHARS_MAX:
        raise LexiconError(f"what is said for {word!r} is longer than {SPOKEN_CHARS_MAX} characters")
    if _CONTROL.search(word + alias + ipa) or _NOT_IPA.search(ipa):
        raise LexiconError(f"{word!r}, or what is said for it, has characters that can't be spoken")
    if language and not LANGUAGE_TAG.fullmatch(language):
        raise LexiconError(f"{language!r} is no language: write a tag such as en or en-GB")
    return Entry(word, alias, ipa, language, word != word.lower() if case is None else case == "exact")


Candidates = tuple[tuple[int, Entry], ...]
"""The entries of one word, each with the number of its layer."""


class _Index:
    """Layers of entries, by their words; made at first use, so that a worker does it."""

    __slots__ = ("_layers", "_tables")

    def __init__(self, layers: Sequence[Sequence[Entry]]) -> None:
        self._layers = layers
        self._tables: tuple[dict[str, tuple[int, ...]], dict[str, Candidates]] | None = None

    def tables(self) -> tuple[dict[str, tuple[int, ...]], dict[str, Candidates]]:
        """How many tokens the words have that begin with a token, the most first; the entries of each whole word."""
        if self._tables is None:
            self._tables = self._make()
        return self._tables

    def _make(self) -> tuple[dict[str, tuple[int, ...]], dict[str, Candidates]]:
        lengths: dict[str, tuple[int, ...]] = {}
        words: dict[str, Candidates] = {}
        for order, layer in enumerate(self._layers):
            for entry in layer:
                tokens, _ = _tokens(entry.word)
                known = lengths.get(tokens[0], ())
                if len(tokens) not in known:
                    lengths[tokens[0]] = tuple(sorted((*known, len(tokens)), reverse=True))
                word = "".join(tokens)
                words[word] = (*words.get(word, ()), (order, entry))
        return lengths, words


class Lexicon:
    """Words and how they are said. Immutable, and safe for any number of threads."""

    __slots__ = ("_layers", "size")

    def __init__(self, *layers: Iterable[Entry]) -> None:
        """Made of `layers` of entries, of which later ones win; within one the first entry of a word wins."""
        given = tuple(tuple(layer) for layer in layers)
        self.size = sum(map(len, given))
        """How many entries there are."""
        self._layers: tuple[_Index, ...] = (_Index(given),) if self.size else ()

    def warm_up(self) -> None:
        """Do now what is else done at first use: some microseconds for each entry."""
        for layer in self._layers:
            layer.tables()

    def under(self, other: Lexicon) -> Lexicon:
        """Both; entries of `other` win. Takes no time."""
        both = Lexicon()
        both._layers = self._layers + other._layers
        both.size = self.size + other.size
        return both

    def aliases(self, text: str, language: str) -> Sequence[Rewrite]:
        """What of `text` is said otherwise: in the order of the text, disjoint. `language` is a BCP 47 tag."""
        tokens, starts = _tokens(text)
        language = language.replace("_", "-").lower()
        given = _given(text)
        found: list[Rewrite] = []
        at = 0
        while at < len(tokens):
            while given and given[-1][1] <= starts[at]:
                given.pop()
            end, entry = self._longest(text, tokens, starts, at, language)
            if entry is None:
                at += 1
                continue
            start, stop = starts[at], starts[end]
            if not given or stop <= given[-1][0]:
                said = entry.said(text[start:stop], text[start - 1 : start], text[stop : stop + 1])
                found.append(Rewrite(start, stop, said))
            at = end
        return found

    def _longest(
        self, text: str, tokens: Sequence[str], starts: Sequence[int], at: int, language: str
    ) -> tuple[int, Entry | None]:
        """The entry of the longest word that begins with token `at`, and the token behind it; of later layers first."""
        best_end, best = at, None
        for layer in reversed(self._layers):
            lengths, words = layer.tables()
            for length in lengths.get(tokens[at], ()):
                end = at + length
                if end <= best_end:
                    break
                entries = words.get("".join(tokens[at:end])) if end <= len(tokens) else None
                if entries is None or not _stands_alone(tokens, at, end):
                    continue
                entry = _best(entries, text[starts[at] : starts[end]], language)
                if entry is not None:
                    best_end, best = end, entry
                    break
        return best_end, best


def _best(entries: Iterable[tuple[int, Entry]], written: str, language: str) -> Entry | None:
    """The entry for a word as it is written, in a language."""
    best, best_rank = None, (-1, 0, False)
    normal = ""
    for order, entry in entries:
        specificity = _specificity(entry.language, language)
        if not specificity:
            continue
        if entry.exact:
            normal = normal or _normal(written)
            if entry.word != normal:
                continue
        rank = (order, specificity, entry.exact)
        if rank > best_rank:
            best, best_rank = entry, rank
    return best


def _specificity(tag: str, language: str) -> int:
    """How exactly an entry's language tag says `language`; 0: it does not."""
    if not tag:
        return 1
    if tag == language or language.startswith(f"{tag}-"):
        return 3 + len(tag)
    return 2 if tag.startswith(f"{language}-") else 0


def _stands_alone(tokens: Sequence[str], at: int, end: int) -> bool:
    """Whether the tokens [at, end) are words of their own, not a part of "don't" or of "example.com"."""
    after = tokens[end : end + 2]
    if len(after) == 2 and after[0] == "'" and _is_word(after[1]) and after[1] != "s":
        return False
    if "." in tokens[at:end]:
        return True
    followed = len(after) == 2 and after[0] == "." and _is_word(after[1])
    return not followed and not (at > 1 and tokens[at - 1] == "." and _is_word(tokens[at - 2]))


def _is_word(token: str) -> bool:
    """Whether a token is a word of a script with spaces."""
    return token[0].isalnum() and _ONE_UNSPACED.match(token) is None


def _joins(left: str, right: str) -> bool:
    """Whether two characters would become one word beside each other."""
    return bool(left and right) and _is_word(left) and _is_word(right)


def _given(text: str) -> list[tuple[int, int]]:
    """The ranges of a text's own pronunciations, the last one first."""
    return [found.span() for found in _GIVEN.finditer(text)][::-1] if "](/" in text else []


def _normal(text: str) -> str:
    """A text with one form of each character, apostrophe and hyphen, and one space between words."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).translate(_ALIKE)
    return " ".join(text.split())


def _tokens(text: str) -> tuple[list[str], list[int]]:
    """The words, spaces and single signs of a text as they are compared, and where each begins; then the text's end.

    A character of a script without spaces is a token; combining marks belong to the word that they stand in.
    """
    tokens: list[str] = []
    starts: list[int] = []
    for start, token in _parts(text):
        if token.isascii():
            tokens.append(" " if token.isspace() else token.lower())
        else:
            tokens.append(" " if token.isspace() else unicodedata.normalize("NFC", token).translate(_ALIKE).casefold())
        starts.append(start)
    starts.append(len(text))
    return tokens, starts


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """What `_TOKEN` finds and where, combining marks joined with the words beside them."""
    if text.isascii():
        for found in _TOKEN.finditer(text):
            yield found.start(), found[0]
        return
    start, open_word = 0, False  # `open_word`: the last part was a mark, which a word may follow
    parts: list[str] = []
    for found in _TOKEN.finditer(text):
        part = found[0]
        mark = len(part) == 1 and part > "\u02ff" and unicodedata.category(part)[0] == "M"
        if parts and ((mark and _is_word(parts[0])) or (open_word and _is_word(part))):
            parts.append(part)
        else:
            if parts:
                yield start, "".join(parts)
            start, parts = found.start(), [part]
        open_word = mark and _is_word(parts[0])
    if parts:
        yield start, "".join(parts)
