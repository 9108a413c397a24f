"""Sample rate conversion of a stream, chunk by chunk, with no seam between chunks (libsoxr).

The output never depends on how the input was split, and an utterance of n samples gives exactly
`rescaled(n, from_rate, to_rate)` samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import soxr

if TYPE_CHECKING:
    from numpy.typing import NDArray

Quality = Literal["LQ", "MQ", "HQ"]

NOTHING: NDArray[np.float32] = np.zeros(0, np.float32)
NOTHING.flags.writeable = False


def rescaled(samples: int, from_rate: int, to_rate: int) -> int:
    """A number of samples, or a position, at another rate; half a sample rounds up. Exact for any length."""
    return (2 * samples * to_rate + from_rate) // (2 * from_rate)


def quality_for(to_rate: int) -> Quality:
    """The recipe that suits a rate.

    HQ (20 bits) everywhere but at 8 kHz. There the signal is telephony, companded to 13 or 14 bits, and soxr's filters
    get long: in real time HQ keeps 52 ms of a 24 kHz stream back, MQ (16 bits) 20 ms, LQ (16 bits, wide transition
    band) 10 ms at the price of the top of the band.
    """
    return "MQ" if to_rate <= 8000 else "HQ"


class Resampler:
    """One stream from one rate to another. Not thread-safe.

    `push` may give fewer samples than are due: the filter needs to see what follows. `finish` gives the rest.
    """

    __slots__ = ("_from_rate", "_given", "_stream", "_taken", "_to_rate")

    def __init__(self, from_rate: int, to_rate: int, quality: Quality | None = None) -> None:
        assert from_rate > 0
        assert to_rate > 0
        self._from_rate = from_rate
        self._to_rate = to_rate
        self._taken = 0
        self._given = 0
        self._stream: soxr.ResampleStream | None = None
        if from_rate != to_rate:
            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, "float32", quality or quality_for(to_rate))

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples at the first rate, shape [n]; returns those that are ready at the second, shape [m]."""
        if self._stream is None or not len(samples):
            return samples
        self._taken += len(samples)
        ready: NDArray[np.float32] = self._stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
        self._given += len(ready)
        return ready

    def finish(self) -> NDArray[np.float32]:
        """End the utterance: returns what was held back, and is then ready for a new one."""
        if self._stream is None or not self._taken:
            return NOTHING
        rest: NDArray[np.float32] = self._stream.resample_chunk(NOTHING, last=True)
        due = rescaled(self._taken, self._from_rate, self._to_rate) - self._given
        self._stream.clear()
        self._taken = self._given = 0
        if len(rest) < due:
            return np.concatenate([rest, np.zeros(due - len(rest), np.float32)])
        return rest[:due]
