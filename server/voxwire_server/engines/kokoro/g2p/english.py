"""Reads the Latin words inside other scripts with the reader of English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_server.engines.common.g2p import Sentence


class EnglishReader(Protocol):
    """Reads English."""

    def read(self, text: str) -> list[Sentence]:
        """Its sentences that hold a sound."""


def spoken_words(english: EnglishReader, text: str) -> Iterator[tuple[str, int, int]]:
    """(phonemes, start, end) of each word of `text`."""
    for sentence in english.read(text):
        for word, (start, end) in enumerate(sentence.words):
            owned = [i for i, owner in enumerate(sentence.owners) if owner == word]
            yield sentence.symbols[owned[0] : owned[-1] + 1], start, end
