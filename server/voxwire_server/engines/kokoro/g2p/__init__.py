"""Grapheme-to-phoneme conversion for Kokoro's languages, with the characters that each word came from."""

from __future__ import annotations

import functools
import importlib.util
import threading
import warnings
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxwire_server.engines.common.g2p import EnglishReader, Sentence

AMERICAN, BRITISH, JAPANESE, MANDARIN = "en-us", "en-gb", "ja", "zh"
_NEEDS = {
    AMERICAN: ("hibari",),
    BRITISH: ("hibari",),
    JAPANESE: ("hibari", "misaki", "pyopenjtalk", "fugashi", "jaconv", "mojimoji"),
    MANDARIN: ("hibari", "jieba", "misaki", "cn2an"),
}
_ESPEAK = ("es", "fr", "hi", "it", "pt-br")
_ESPEAK_NEEDS = ("misaki", "phonemizer", "espeakng_loader")
"""The packages that a language needs."""


class LanguageReader(Protocol):
    """Text of one language to phonemes."""

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order."""


class Languages:
    """Text of any installed language to phonemes. Thread-safe."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._readers: dict[str, LanguageReader] = {}
        self._makers: dict[str, Callable[[], LanguageReader]] = {
            AMERICAN: lambda: self._english(british=False),
            BRITISH: lambda: self._english(british=True),
            JAPANESE: self._japanese,
            MANDARIN: self._mandarin,
        } | {tag: functools.partial(self._espeak, tag) for tag in _ESPEAK}

    @property
    def known(self) -> tuple[str, ...]:
        """The languages whose packages are installed, as BCP 47 tags."""
        needs = _NEEDS | dict.fromkeys(_ESPEAK, _ESPEAK_NEEDS)
        return tuple(tag for tag, packages in needs.items() if all(importlib.util.find_spec(name) for name in packages))

    def warm_up(self) -> None:
        """Create every reader, so that no clause waits for dictionaries to be loaded."""
        for language in self.known:
            self.read("a", language)

    def read(self, text: str, language: str) -> list[Sentence]:
        """The sentences of `text` in which something sounds, in order.

        Raises:
            KeyError: `language` is not known here.
        """
        reader = self._readers.get(language)
        if reader is None:
            with self._lock:
                reader = self._readers.get(language) or self._makers[language]()
                self._readers[language] = reader
        return reader.read(text)

    def _english(self, *, british: bool) -> EnglishReader:
        from voxwire_server.engines.common.g2p import EnglishReader

        reader = EnglishReader(self._vocabulary, british=british)
        reader.warm_up()
        return reader

    def _mandarin(self) -> LanguageReader:
        from voxwire_server.engines.kokoro.g2p.mandarin import MandarinReader

        reader = MandarinReader(self._vocabulary, self._english(british=False))
        reader.read("你好。")
        return reader

    def _japanese(self) -> LanguageReader:
        with warnings.catch_warnings():
            # misaki opens its word list by a deprecated function.
            warnings.simplefilter("ignore", DeprecationWarning)
            from voxwire_server.engines.kokoro.g2p.japanese import JapaneseReader

        reader = JapaneseReader(self._vocabulary, self._english(british=False))
        reader.read("こんにちは。")
        return reader

    def _espeak(self, language: str) -> LanguageReader:
        from voxwire_server.engines.kokoro.g2p.espeak import EspeakReader

        return EspeakReader(self._vocabulary, language)
