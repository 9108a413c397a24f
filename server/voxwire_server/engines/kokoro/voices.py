"""Kokoro's voices: language and gender by name, and the styles of single and mixed voices."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from voxwire_server.engines.mixing import parse_mix
from voxwire_server.speech import Voice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

DEFAULT = "af_heart"
_MIXTURES_KEPT = 64
# A name's first letter is its language, the second its gender: VOICES.md of https://huggingface.co/hexgrad/Kokoro-82M.
_LANGUAGES = {
    "a": ("en-us", "American English"),
    "b": ("en-gb", "British English"),
    "e": ("es", "Spanish"),
    "f": ("fr", "French"),
    "h": ("hi", "Hindi"),
    "i": ("it", "Italian"),
    "j": ("ja", "Japanese"),
    "p": ("pt-br", "Brazilian Portuguese"),
    "z": ("zh", "Mandarin"),
}
_GENDERS = {"f": "female", "m": "male"}


def voices_of(engine: str, names: Iterable[str], languages: tuple[str, ...]) -> tuple[Voice, ...]:
    """The voices whose own language is among `languages`, the default voice first; each has the other languages too."""
    voices = []
    for name in sorted(names, key=lambda name: (name != DEFAULT, name)):
        own, described = _LANGUAGES.get(name[:1], ("", ""))
        if own in languages:
            tags = (own, *(tag for tag in languages if tag != own))
            gender = _GENDERS.get(name[1:2], "")
            voices.append(Voice(name, engine, tags, described, gender))
    return tuple(voices)


class Styles:
    """The styles of a voice or a mixture of voices: [510, 256], one for each number of phonemes. Thread-safe."""

    def __init__(self, voices: Mapping[str, NDArray[np.float32]]) -> None:
        self._voices = voices
        self._mixtures: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """The styles of `name`; a mixture's are the weighted mean of its voices'.

        Raises:
            KeyError: there is no such voice.
        """
        single = self._voices.get(name)
        if single is not None:
            return single
        known = self._mixtures.get(name)
        return self._mixed(name) if known is None else known

    def _mixed(self, name: str) -> NDArray[np.float32]:
        parts = parse_mix(name)
        if parts is None:
            raise KeyError(name)
        rows = min(len(self._voices[voice]) for voice, _ in parts)
        first, *others = [self._voices[voice][:rows] * share for voice, share in parts]
        style: NDArray[np.float32] = sum(others, start=first).astype("float32")
        self._mixtures[name] = style
        if len(self._mixtures) > _MIXTURES_KEPT:
            self._mixtures.popitem(last=False)
        return style
