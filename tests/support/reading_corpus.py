"""The corpora of right readings (`tests/text/corpus/*.jsonl`), and what the server makes of their texts.

A line of a corpus is a text as a language model writes it, and `reading`: the same with everything written out as plain
words. A case is read right when the phonemes of what the server reads out for the text are those of the reading, or of
one of `also`. Pauses, spaces and stress are not compared.

    read_whole, read_pieces, read_stalled: a case -> Read: the clauses, each read out -> is_right(case, read)
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voxwire_server.text.intake import ClauseText, TextIntake, Urgency
from voxwire_server.text.reading import read_out
from voxwire_server.text.source_map import SourceMap

if TYPE_CHECKING:
    from voxwire_server.engines.kokoro.g2p import Languages

CORPUS = Path(__file__).parents[1] / "text" / "corpus"
LANGUAGES = {"en": "en-us", "pt": "pt-br"}
"""The language tag of a corpus, where it is not the file's name."""

BEFORE_CHARS = 80
"""How much of what an utterance has said so far a clause is read by."""

_NOT_COMPARED = str.maketrans("", "", ' ;:,.!?—…"“”()ˈˌ')
# What a model's tokens are, about: words and marks with the space before them, digits in threes.
_TOKEN = re.compile(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\s\w]+|_+|\s+")
# hibari reads every "A" that stands alone as the article.
_LETTER_A = re.compile(r"(?<![\w'])A(?= [A-Z](?![\w'])|[.,;:!?]|$)|(?<=[^.!?:\s\"“(]\s)A(?![\w'])")
# hibari's lexicon has another weak vowel for some numbers with a hyphen.
_TENS = re.compile(r"\b(twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)-(?=[a-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Case:
    """A text and how it is read. `also` are other readings that are as good."""

    text: str
    reading: str
    category: str
    language: str
    also: tuple[str, ...] = ()

    @property
    def readings(self) -> tuple[str, ...]:
        """All that count as right."""
        return (self.reading, *self.also)


@dataclass(frozen=True, slots=True)
class Read:
    """What came of a case's text: its clauses that have text, and each as an engine is given it."""

    language: str
    clauses: tuple[ClauseText, ...]
    said: tuple[SourceMap, ...]

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(said.text for said in self.said)

    @property
    def shown(self) -> str:
        """What is said, with the places where clauses end, for who reads a list of faults."""
        return " | ".join(said.text for said in self.said)


# -- the corpora ------------------------------------------------------------------------------------------------


def corpora() -> list[str]:
    """The languages that there is a corpus of, by file name."""
    return sorted(path.stem for path in CORPUS.glob("*.jsonl"))


def cases(language: str) -> list[Case]:
    """The corpus of a language ("en", "pt"), in the order of its file."""
    tag = LANGUAGES.get(language, language)
    path = CORPUS / f"{language}.jsonl"
    return [_case(json.loads(line), tag) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _case(line: dict[str, object], language: str) -> Case:
    unknown = line.keys() - {"text", "reading", "category", "language", "also"}
    assert not unknown, f"unknown keys {sorted(unknown)} in {line}"
    text, reading, category = str(line["text"]), str(line["reading"]), str(line["category"])
    also = line.get("also", [])
    assert isinstance(also, list), f"`also` is a list in {line}"
    return Case(text, reading, category, str(line.get("language", language)), tuple(map(str, also)))


# -- what the server reads out ----------------------------------------------------------------------------------


def read_whole(case: Case) -> Read:
    """The text comes at once, with its end."""
    return read_split(case, [case.text])


def read_pieces(case: Case, size: int) -> Read:
    """The text comes in pieces of `size` characters, and clauses are taken as soon as they are certain."""
    return read_split(case, [case.text[at : at + size] for at in range(0, len(case.text), size)])


def read_split(case: Case, pieces: Sequence[str]) -> Read:
    """The text comes in these pieces, and clauses are taken as soon as they are certain."""
    intake = TextIntake(case.language)
    clauses: list[ClauseText] = []
    for piece in pieces:
        intake.feed(piece)
        clauses += _taken(intake, Urgency.RELAXED)
    intake.flush()
    return _read(case, [*clauses, *_taken(intake, Urgency.RELAXED)])


def read_stalled(case: Case, at: int) -> Read:
    """The text stalls before character `at` until everything has been taken that can be; then comes the rest."""
    intake = TextIntake(case.language)
    intake.feed(case.text[:at])
    clauses = [*_taken(intake, Urgency.RELAXED), *_taken(intake, Urgency.SOON, Urgency.DRY)]
    intake.feed(case.text[at:])
    clauses += _taken(intake, Urgency.RELAXED)
    intake.flush()
    return _read(case, [*clauses, *_taken(intake, Urgency.RELAXED)])


def boundaries(text: str) -> list[int]:
    """Where a token of a language model ends within the text: the places at which it may stall."""
    return [token.end() for token in _TOKEN.finditer(text)][:-1]


def _taken(intake: TextIntake, *urgencies: Urgency) -> list[ClauseText]:
    """Every clause that can be had at the first of the urgencies, or at the next ones."""
    clauses: list[ClauseText] = []
    while True:
        clause = next((each for each in map(intake.take, urgencies) if each is not None), None)
        if clause is None:
            return clauses
        clauses.append(clause)


def _read(case: Case, taken: Sequence[ClauseText]) -> Read:
    clauses = tuple(clause for clause in taken if clause.text)
    said: list[SourceMap] = []
    before, end = "", 0
    for clause in clauses:
        if before and end < clause.origins[0]:  # "example." and "org" with nothing between them are one word
            before += " "
        said.append(read_out(clause.text, case.language, before[-BEFORE_CHARS:], getattr(clause, "readings", ())))
        before, end = before + clause.text, clause.origins[-1] + 1
    return Read(case.language, clauses, tuple(said))


# -- what it sounds like ----------------------------------------------------------------------------------------


def is_right(case: Case, read: Read) -> bool:
    """Whether what is said has the phonemes of a right reading.

    Each clause is pronounced by itself. Where a clause ends inside a phrase a word before the cut may have another
    weak form ("the | apple", "to | eat"), so clauses are also pronounced as one text.
    """
    right = {spoken(reading, case.language) for reading in case.readings}
    if "".join(phonemes(said.text, case.language) for said in read.said) in right:
        return True
    return len(read.said) > 1 and phonemes(read.text, case.language) in right


def spoken(reading: str, language: str) -> str:
    """The phonemes of a reading, in which a capital "A" within a sentence is the letter's name: "nine A M"."""
    if language.startswith("en"):
        reading = _LETTER_A.sub("[A](/ˈA/)", reading)
    return phonemes(reading, language)


def register(language: str, pronounce: Callable[[str], str]) -> None:
    """Have texts of `language` pronounced by this function: a text that is words alone, to its phonemes."""
    _PRONOUNCE[language] = pronounce
    phonemes.cache_clear()


@functools.lru_cache(maxsize=50_000)
def phonemes(text: str, language: str) -> str:
    """The phonemes of a text that is words alone, without pauses, spaces and stress."""
    return _pronouncer(language)(text).translate(_NOT_COMPARED)


def missing(language: str) -> str:
    """What has to be installed so that the language can be pronounced here, or ""."""
    if language in _PRONOUNCE or language.startswith("en"):
        return ""
    return "" if language in _kokoro().known else f"the reader of {language}"


_PRONOUNCE: dict[str, Callable[[str], str]] = {}


def _pronouncer(language: str) -> Callable[[str], str]:
    known = _PRONOUNCE.get(language)
    if known is None:
        read = _english(british=language == "en-gb") if language.startswith("en") else _kokoro_reader(language)
        known = _PRONOUNCE[language] = read
    return known


@functools.cache
def _english(*, british: bool) -> Callable[[str], str]:
    from voxwire_server.engines.common.g2p import EnglishReader

    reader = EnglishReader(british=british)
    return lambda text: "".join(sentence.symbols for sentence in reader.read(_TENS.sub(r"\1 ", text)))


def _kokoro_reader(language: str) -> Callable[[str], str]:
    languages = _kokoro()
    return lambda text: "".join(sentence.symbols for sentence in languages.read(text, language))


@functools.cache
def _kokoro() -> Languages:
    from voxwire_server.engines.common.g2p import _own_vocabulary
    from voxwire_server.engines.kokoro.g2p import Languages

    return Languages(_own_vocabulary())
