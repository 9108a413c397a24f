"""How far apart two renderings of one text sound, in decibels: the distance of their log mel spectra."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

BANDS, WINDOW_MS, HOP_MS = 80, 25, 10
RANGE_DB = 80.0
"""What lies further below the loudest band of the first rendering is not heard, and counts as just there."""


def distance_db(first: NDArray[np.float32], second: NDArray[np.float32], rate: int) -> float:
    """Mean over 10 ms frames t of sqrt(mean over 80 mel bands b of (L1[t, b] - L2[t, b])^2).

    L is 10 log10 of the power in a band, of 25 ms Hann windows, not below the first rendering's loudest less 80 dB.
    Both have the same durations; silence may be cut elsewhere at their edges.
    """
    powers = [_mel_powers(each, rate) for each in _aligned(first, second)]
    floor = powers[0].max() * 10 ** (-RANGE_DB / 10)
    levels = [10 * np.log10(np.maximum(power, floor)) for power in powers]
    return float(np.sqrt(((levels[0] - levels[1]) ** 2).mean(1)).mean())


def _aligned(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What both have, where they are most alike."""
    size = len(first) + len(second)
    alike = np.fft.irfft(np.fft.rfft(first, size) * np.fft.rfft(second, size).conj(), size)
    lag = int(np.argmax(alike))
    lag -= size if lag >= len(first) else 0
    first, second = first[max(lag, 0) :], second[max(-lag, 0) :]
    shared = min(len(first), len(second))
    return first[:shared], second[:shared]


def _mel_powers(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    size, hop = rate * WINDOW_MS // 1000, rate * HOP_MS // 1000
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), size)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size))) ** 2
    return power @ _filters(rate, size)


@functools.cache
def _filters(rate: int, size: int) -> NDArray[np.float64]:
    """[bins, bands]: triangles of equal width on the scale mel = 2595 log10(1 + Hz / 700) (O'Shaughnessy 1987)."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), BANDS + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(size, 1 / rate)[:, None]
    rising = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)
