"""Turns the network's durations into marks at exact samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxwire_server.engines.common.g2p import PAUSES
from voxwire_server.speech import Alignment, PhonemeMark, WordMark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voxwire_server.engines.common.g2p import Sentence

# One unit of the duration tensor: two spectral frames of 300 samples at 24 kHz, 25 ms.
DURATION_SAMPLES = 600
_STRESS = frozenset("ˈˌ")
_LENGTH = frozenset("ː̃ʰʲ")
# The letters of misaki's English alphabet that are not IPA (https://github.com/hexgrad/misaki/blob/main/EN_PHONES.md).
_IPA = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ",
    "ʤ": "dʒ", "ʧ": "tʃ", "ᵊ": "ə", "ᵻ": "ɪ",
}  # fmt: skip


def align(sentence: Sentence, durations: NDArray[np.int64], text: str, offset: int) -> Alignment:
    """Marks of one sentence, `offset` samples into its clause.

    `durations` has one value an id, pads included, in units of `DURATION_SAMPLES`. Pads, spaces and punctuation belong
    to no phoneme; a word lasts from its first phoneme to its last. A stress mark's time goes to the phoneme after it.
    """
    assert len(durations) == len(sentence.ids), "one duration an id"
    bounds = [offset, *(offset + DURATION_SAMPLES * np.cumsum(durations)).tolist()]
    phonemes: list[PhonemeMark] = []
    reach: dict[int, tuple[int, int]] = {}
    for ipa, owner, first, last in _phonemes(sentence):
        start, end = bounds[first], bounds[last]
        phonemes.append(PhonemeMark(ipa, start, end, sentence.words[owner]))
        reach[owner] = (reach[owner][0] if owner in reach else start, end)
    words = (
        WordMark(text[chars[0] : chars[1]], *reach[i], chars) for i, chars in enumerate(sentence.words) if i in reach
    )
    return Alignment(tuple(words), tuple(phonemes))


def _phonemes(sentence: Sentence) -> Iterator[tuple[str, int, int, int]]:
    """(IPA, owner, first id, id after the last) of each phoneme: stress joined from before, length from behind."""
    pending: int | None = None
    current: tuple[str, int, int, int] | None = None
    for k, (symbol, owner) in enumerate(zip(sentence.symbols, sentence.owners, strict=True)):
        at = k + 1
        if symbol in _LENGTH and current is not None and current[3] == at:
            current = (current[0] + symbol, current[1], current[2], at + 1)
            continue
        if current is not None:
            yield current
            current = None
        if symbol in _STRESS:
            pending = at if pending is None else pending
        elif symbol in PAUSES:
            pending = None
        else:
            stress = "" if pending is None else sentence.symbols[pending - 1 : k]
            current = (stress + _IPA.get(symbol, symbol), owner, at if pending is None else pending, at + 1)
            pending = None
    if current is not None:
        yield current
