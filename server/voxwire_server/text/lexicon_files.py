"""Reads lexicons from files: the W3C's Pronunciation Lexicon Specification (PLS) 1.0, and TOML; mistakes have a line.

PLS (`.pls`, `.xml`; https://www.w3.org/TR/pronunciation-lexicon/): of several pronunciations of a word the first that
is preferred is used, else the first; roles, examples and metadata are passed over. A DTD or an entity of its own is
refused.

TOML (`.toml`): a word, and what is said in its place. A table named by a language holds the words of that language.

    kubectl = "kube control"
    Nguyen = { ipa = "wɪn" }
    "Live" = { alias = "lyve", case = "exact" }

    [en-gb]
    "San Jose" = { x-sampa = "s{n h@Uzei" }
"""

from __future__ import annotations

import importlib
import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from xml.parsers import expat

from voxwire_server.text.lexicon import LANGUAGE_TAG, Entry, LexiconError, make_entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE_BYTES_MAX = 64 << 20
"""A megabyte holds some ten thousand words."""

NAMESPACE = "http://www.w3.org/2005/01/pronunciation-lexicon"
_XML = "http://www.w3.org/XML/1998/namespace"
_FIELDS = frozenset({"alias", "ipa", "x-sampa", "case"})
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")


def read_lexicon(path: Path) -> list[Entry]:
    """The entries of a file, in its order.

    Raises:
        LexiconError: it can't be read or has a mistake; `line` says where. The message does not name the file.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise LexiconError(f"it has more than {FILE_BYTES_MAX} bytes")
        raw = path.read_bytes()
    except OSError as error:
        raise LexiconError(f"it can't be read: {error.strerror}") from error
    match path.suffix.lower():
        case ".pls" | ".xml":
            return parse_pls(raw)
        case ".toml":
            return parse_toml(raw)
        case _:
            raise LexiconError("its name must end in .pls, .xml or .toml")


# -- TOML -------------------------------------------------------------------------------------------------------------


def parse_toml(raw: bytes) -> list[Entry]:
    """The entries of a TOML document.

    Raises:
        LexiconError: it has a mistake.
    """
    try:
        source = raw.decode("utf-8-sig")
        document = tomllib.loads(source)
    except UnicodeDecodeError as error:
        raise LexiconError("it is not UTF-8", raw.count(b"\n", 0, error.start) + 1) from error
    except tomllib.TOMLDecodeError as error:
        line = _AT_LINE.search(str(error))
        number = int(line[1]) if line and line[1] else source.count("\n") + 1
        raise LexiconError(f"it is no TOML: {_AT_LINE.sub('', str(error))}", number) from error
    entries = []
    for name, value in document.items():
        table = value if isinstance(value, dict) and not _is_entry(value) else None
        if table is not None and not LANGUAGE_TAG.fullmatch(name):
            problem = f"{name!r} is no language; a word with a full stop or a sign needs quotes"
            raise LexiconError(problem, _line_of(name, source))
        for word, said in ({name: value} if table is None else table).items():
            try:
                entries.append(entry_of(word, said, "" if table is None else name))
            except LexiconError as error:
                raise LexiconError(str(error), _line_of(word, source)) from None
    return entries


def _is_entry(table: Mapping[str, object]) -> bool:
    """Whether a table says how its name is said, rather than how the words in it are."""
    return bool(table) and table.keys() <= _FIELDS


def entry_of(word: str, said: object, language: str = "") -> Entry:
    """The entry of a word: `said` is its alias, or a map with `alias`, `ipa` or `x-sampa`, and `case` ("any", "exact").

    Raises:
        LexiconError: `said` is something else, or can't be used.
    """
    if isinstance(said, str):
        return make_entry(word, alias=said, language=language)
    if not isinstance(said, dict) or not _is_entry(said) or not all(isinstance(each, str) for each in said.values()):
        raise LexiconError(f"{word!r} must be other words for it, or a table with alias, ipa or x-sampa, and case")
    case: Literal["any", "exact"] | None = None
    if "case" in said:
        if said["case"] not in ("any", "exact"):
            raise LexiconError(f"the case of {word!r} must be any or exact")
        case = said["case"]
    ipa = said.get("ipa", "")
    if "x-sampa" in said:
        if ipa:
            raise LexiconError(f"{word!r} has two pronunciations")
        ipa = _ipa_of(said["x-sampa"])
    return make_entry(word, alias=said.get("alias", ""), ipa=ipa, language=language, case=case)


def _line_of(word: str, source: str) -> int:
    """The first line of a TOML document that begins with a word; 0: none does."""
    begins = tuple(f"{quote}{word}{quote}" for quote in ('"', "'", ""))
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().removeprefix("[").startswith(begins):
            return number
    return 0


# -- PLS --------------------------------------------------------------------------------------------------------------


def parse_pls(raw: bytes) -> list[Entry]:
    """The entries of a PLS document.

    Raises:
        LexiconError: it is no PLS document, or has a mistake.
    """
    reader = _PlsReader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reader.started
    parser.EndElementHandler = reader.ended
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise LexiconError(f"it is no XML: {expat.errors.messages[error.code]}", error.lineno) from error
    except (LexiconError, ValueError, LookupError) as error:
        raise LexiconError(str(error), parser.CurrentLineNumber) from error
    return reader.entries


def _refuse_doctype(*_: object) -> None:
    raise LexiconError("a DTD is not read; remove the DOCTYPE")


@dataclass(slots=True)
class _Said:
    """One pronunciation or alias of a lexeme."""

    element: str
    text: str
    alphabet: str
    preferred: bool


@dataclass(slots=True)
class _PlsReader:
    """What expat calls as it reads a document."""

    entries: list[Entry] = field(default_factory=list)
    _language: str = ""
    _alphabet: str = ""
    _open: list[str] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _graphemes: list[str] = field(default_factory=list)
    _said: list[_Said] = field(default_factory=list)

    def started(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        element = _local(tag)
        if not self._open:
            if element != "lexicon":
                raise LexiconError(f"its first element is {element}, and must be lexicon")
            self._language = attributes.get(f"{_XML} lang", "")
            self._alphabet = attributes.get("alphabet", "ipa")
        elif element == "lexeme":
            self._graphemes.clear()
            self._said.clear()
        elif element in ("phoneme", "alias"):
            alphabet = attributes.get("alphabet", self._alphabet)
            self._said.append(_Said(element, "", alphabet, attributes.get("prefer") == "true"))
        self._text.clear()
        self._open.append(element)

    def characters(self, text: str) -> None:
        """Text, in pieces."""
        self._text.append(text)

    def ended(self, tag: str) -> None:
        """An element ends."""
        del tag
        element, text = self._open.pop(), "".join(self._text)
        if self._open[-1:] == ["lexeme"]:
            if element == "grapheme":
                self._graphemes.append(text)
            elif element in ("phoneme", "alias"):
                self._said[-1].text = text
        elif element == "lexeme":
            self.entries.extend(self._lexeme())
        self._text.clear()

    def _lexeme(self) -> Iterator[Entry]:
        if not self._graphemes:
            raise LexiconError("a lexeme has no grapheme")
        if not self._said:
            raise LexiconError(f"{self._graphemes[0]!r} has neither a phoneme nor an alias")
        said = next((each for each in self._said if each.preferred), self._said[0])
        alias = said.text if said.element == "alias" else ""
        ipa = "" if said.element == "alias" else _phonemes(said)
        for grapheme in self._graphemes:
            yield make_entry(grapheme, alias=alias, ipa=ipa, language=self._language)


def _local(tag: str) -> str:
    """An element's name: in the namespace of PLS, or in none. Others have a name that no element of PLS has."""
    namespace, _, name = tag.rpartition(" ")
    return name if namespace in ("", NAMESPACE) else tag


def _phonemes(said: _Said) -> str:
    match said.alphabet.lower():
        case "ipa":
            return said.text
        case "x-sampa" | "xsampa":
            return _ipa_of(said.text)
        case other:
            raise LexiconError(f"alphabet {other!r} is not known; write ipa or x-sampa")


def _ipa_of(text: str) -> str:
    """X-SAMPA as IPA.

    Raises:
        LexiconError: it is none, or can't be read here.
    """
    try:
        to_ipa = importlib.import_module("voxwire_server.text.xsampa").to_ipa
    except (ImportError, AttributeError) as missing:
        raise LexiconError("X-SAMPA can't be read here; write IPA") from missing
    try:
        ipa: str = to_ipa(text)
    except ValueError as error:
        raise LexiconError(f"{text!r} is no X-SAMPA: {error}") from error
    return ipa
