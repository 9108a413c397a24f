"""Float samples to linear 16-bit PCM and to G.711: one code a sample, so a stream may be split anywhere.

Deterministic: rounded, saturated, no dither.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

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
