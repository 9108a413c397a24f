"""Forced alignment from the network's own durations: word and phoneme marks at exact samples."""

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

    `durations` has one value for each id, pads included, in units of `DURATION_SAMPLES`. Pads, spaces and punctuation
    belong to no phoneme; a word lasts from its first phoneme to its last. A phoneme's time includes its stress mark's.
    """
    assert len(durations) == len(sentence.ids), "one duration for each id"
    bounds = [offset, *(offset + DURATION_SAMPLES * np.cumsum(durations)).tolist()]
    phonemes: list[PhonemeMark] = []
    spans: dict[int, tuple[int, int]] = {}
    for ipa, word, first, last in _phonemes(sentence):
        start, end = bounds[first], bounds[last]
        phonemes.append(PhonemeMark(ipa, start, end, sentence.words[word]))
        spans[word] = (spans[word][0] if word in spans else start, end)
    words = (
        WordMark(text[chars[0] : chars[1]], *spans[i], chars) for i, chars in enumerate(sentence.words) if i in spans
    )
    return Alignment(tuple(words), tuple(phonemes))


def _phonemes(sentence: Sentence) -> Iterator[tuple[str, int, int, int]]:
    """(IPA, word index, first id, id after the last) of each phoneme, with its stress and length marks."""
    pending: int | None = None
    current: tuple[str, int, int, int] | None = None
    for k, (symbol, word) in enumerate(zip(sentence.symbols, sentence.word_indices, strict=True)):
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
            current = (stress + _IPA.get(symbol, symbol), word, at if pending is None else pending, at + 1)
            pending = None
    if current is not None:
        yield current
