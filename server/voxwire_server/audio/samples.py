"""Samples: float to 16-bit PCM and to G.711, and sample rate conversion of a stream without seams between chunks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import soxr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxwire_protocol.messages import Codec

Codes = np.ndarray[tuple[int], np.dtype[Any]]
"""One code a sample, shape [n]: "<i2" for linear PCM (also what Opus is made from), uint8 for G.711."""


def pcm_s16le(samples: NDArray[np.float32]) -> Codes:
    """Samples in [-1, 1), shape [n], as little-endian 16-bit integers; what lies outside saturates.

    The scale is 32768, so audio that was 16-bit before comes back bit by bit.
    """
    scaled = samples * np.float32(32768)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -32768, 32767, out=scaled)
    return scaled.astype("<i2")


def mulaw(samples: NDArray[np.float32]) -> Codes:
    """Samples as mu-law bytes (G.711)."""
    codes: Codes = mulaw_table()[pcm_s16le(samples).view("<u2")]
    return codes


def alaw(samples: NDArray[np.float32]) -> Codes:
    """Samples as A-law bytes (G.711)."""
    codes: Codes = alaw_table()[pcm_s16le(samples).view("<u2")]
    return codes


def to_codes(codec: Codec, samples: NDArray[np.float32]) -> Codes:
    """Samples as the codes of a codec; for Opus its input, 16-bit PCM."""
    match codec:
        case "mulaw":
            return mulaw(samples)
        case "alaw":
            return alaw(samples)
        case "pcm_s16le" | "opus":
            return pcm_s16le(samples)


@cache
def mulaw_table() -> NDArray[np.uint8]:
    """The mu-law byte of every 16-bit sample, at the sample's unsigned value; shape [65536].

    ITU-T G.711 (11/88), table 2: 14-bit magnitude, clipped, plus a bias of 33; all bits inverted.
    """
    linear = _every_sample() >> 2
    magnitude = np.minimum(np.abs(linear), 8158) + 33
    segment = _bit_length(magnitude) - 6
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F)
    table: NDArray[np.uint8] = (code ^ np.where(linear < 0, 0x7F, 0xFF)).astype(np.uint8)
    return table


@cache
def alaw_table() -> NDArray[np.uint8]:
    """The A-law byte of every 16-bit sample, at the sample's unsigned value; shape [65536].

    ITU-T G.711 (11/88), table 1: 13-bit, the negative half mirrored about -1/2; even bits inverted.
    """
    linear = _every_sample() >> 3
    magnitude = np.where(linear < 0, -linear - 1, linear)
    segment = np.maximum(_bit_length(magnitude) - 5, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 0x0F)
    table: NDArray[np.uint8] = (code ^ np.where(linear < 0, 0x55, 0xD5)).astype(np.uint8)
    return table


def _every_sample() -> NDArray[np.int64]:
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)


def _bit_length(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


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


def silence(seconds: float, rate: int) -> NDArray[np.float32]:
    """So much silence at a sample rate, shape [n]."""
    return np.zeros(round(seconds * rate), np.float32)


LIMIT_KNEE = 0.8
"""Above this, louder samples are bent towards 1, which they do not reach."""


def amplified(samples: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    """Samples multiplied by a gain, shape [n]; with a gain above 1 what would be clipped is limited softly.

    Each sample is limited by itself (tanh above LIMIT_KNEE), so it does not matter how audio is cut into chunks.
    """
    louder = samples * np.float32(gain)
    if gain <= 1.0:
        return louder
    over = np.abs(louder) - LIMIT_KNEE
    room = 1.0 - LIMIT_KNEE
    bent = np.copysign(LIMIT_KNEE + room * np.tanh(over / room), louder)
    return np.where(over > 0.0, bent, louder).astype(np.float32)
