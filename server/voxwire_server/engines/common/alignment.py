"""Turns a network's durations into marks at exact samples, and trims the silence at the ends of a clause."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from voxwire_server.engines.common.g2p import PAUSES
from voxwire_server.speech import Alignment, PhonemeMark, WordMark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeVar

    from numpy.typing import NDArray

    from voxwire_server.engines.common.g2p import Sentence
    from voxwire_server.speech import PhonemeMark, WordMark

    Mark = TypeVar("Mark", PhonemeMark, WordMark)

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


LOUD = 0.003
"""-50 dBFS: the network's silence stays below a tenth of it, the softest onset of a consonant is above."""
LEAD_SAMPLES = 960
"""40 ms before the first sound, in which that fades in."""
MARK_SAMPLES_MIN = 240

_SENTENCE_MARKS = frozenset(".?!…")
_PHRASE_MARKS = frozenset(",;:—–()\n")
_PHRASE_PAUSE_SAMPLES = 3840
"""160 ms: with the lead of what follows as long as the network's own pause at a comma or a bracket, 50 to 200 ms."""
_WORD_PAUSE_SAMPLES = 720
"""30 ms: a gap between words is 50 to 80 ms."""


def pause_after(sentences: Sequence[Sentence], index: int, text: str) -> int | None:
    """How many samples of silence at 24 kHz may follow a sentence of the clause `text`; None: all that there are.

    It depends on the punctuation between the sentence's last word and the next sentence's first, or the clause's end.
    After a mark that ends a sentence the network's own silence stays.
    """
    words = sentences[index].words
    following = sentences[index + 1].words if index + 1 < len(sentences) else ()
    marks = set(text[words[-1][1] if words else 0 : following[0][0] if following else len(text)])
    if marks & _SENTENCE_MARKS:
        return None
    return _PHRASE_PAUSE_SAMPLES if marks & _PHRASE_MARKS else _WORD_PAUSE_SAMPLES


def trim(
    samples: NDArray[np.float32], alignment: Alignment, offset: int, pause: int | None
) -> tuple[NDArray[np.float32], Alignment]:
    """Samples [n] at 24 kHz and their marks, which begin `offset` samples into the clause, without needless silence.

    `LEAD_SAMPLES` of silence stay at the start, at most `pause` at the end. Every phoneme keeps a part of its time.
    """
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    if not len(loud) or not alignment.phonemes:
        return samples, alignment
    first, last = alignment.phonemes[0], alignment.phonemes[-1]
    start = max(0, min(int(loud[0]), first.end - offset - MARK_SAMPLES_MIN) - LEAD_SAMPLES)
    end = len(samples)
    if pause is not None:
        end = min(end, max(int(loud[-1]) + 1, last.start - offset + MARK_SAMPLES_MIN) + pause)
    low, high = offset, offset + end - start

    def moved(mark: Mark) -> Mark:
        return replace(mark, start=max(low, mark.start - start), end=min(high, mark.end - start))

    marks = Alignment(
        tuple(moved(word) for word in alignment.words), tuple(moved(phoneme) for phoneme in alignment.phonemes)
    )
    return samples[start:end], marks
