"""Cuts the silence before and after a sentence to the length that fits its place in the speech.

A network speaks every text as an utterance of its own: 0.25 to 0.35 s of silence, the words, 0.3 to 0.5 s of silence.
Untrimmed, the first word would come a third of a second later, and two clauses of one sentence would be three quarters
of a second apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from voxwire_server.speech import Alignment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from numpy.typing import NDArray

    from voxwire_server.engines.common.g2p import Sentence
    from voxwire_server.speech import PhonemeMark, WordMark

    Mark = TypeVar("Mark", PhonemeMark, WordMark)

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
