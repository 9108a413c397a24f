"""Owns the readers by language, each made when it is first needed, and says which languages there are."""

from __future__ import annotations

import functools
import importlib.util
import threading
import warnings
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxwire_server.engines.common.g2p import Reader, Sentence

AMERICAN, BRITISH, JAPANESE, MANDARIN = "en-us", "en-gb", "ja", "zh"
_NEEDS = {
    AMERICAN: ("hibari",),
    BRITISH: ("hibari",),
    JAPANESE: ("hibari", "misaki", "pyopenjtalk", "fugashi", "jaconv", "mojimoji", "wetext"),
    MANDARIN: ("hibari", "jieba", "misaki", "wetext"),
}
_ESPEAK = ("es", "fr", "hi", "it", "pt-br")
_ESPEAK_NEEDS = ("misaki", "phonemizer", "espeakng_loader")
"""The packages that reading a language takes."""


class LanguageReader(Protocol):
    """Reads one language."""

    def read(self, text: str) -> list[Sentence]:
        """The sentences of `text` that hold a sound, in order."""


class Languages:
    """Reads text by its language. Thread-safe."""

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
        """Make every reader, so that nobody waits for dictionaries to be loaded."""
        for language in self.known:
            self.read("a", language)

    def read(self, text: str, language: str) -> list[Sentence]:
        """The sentences of `text` that hold a sound, in order.

        Raises:
            KeyError: nobody here reads `language`.
        """
        reader = self._readers.get(language)
        if reader is None:
            with self._lock:
                reader = self._readers.get(language) or self._makers[language]()
                self._readers[language] = reader
        return reader.read(text)

    def _english(self, *, british: bool) -> Reader:
        from voxwire_server.engines.common.g2p import Reader

        reader = Reader(self._vocabulary, british=british)
        reader.warm_up()
        return reader

    def _mandarin(self) -> LanguageReader:
        from voxwire_server.engines.kokoro.g2p.mandarin import MandarinReader

        reader = MandarinReader(self._vocabulary, self._english(british=False))
        reader.read("你好。")
        return reader

    def _japanese(self) -> LanguageReader:
        with warnings.catch_warnings():
            # misaki opens its list of words the old way.
            warnings.simplefilter("ignore", DeprecationWarning)
            from voxwire_server.engines.kokoro.g2p.japanese import JapaneseReader

        reader = JapaneseReader(self._vocabulary, self._english(british=False))
        reader.read("こんにちは。")
        return reader

    def _espeak(self, language: str) -> LanguageReader:
        from voxwire_server.engines.kokoro.g2p.espeak import EspeakReader

        return EspeakReader(self._vocabulary, language)
