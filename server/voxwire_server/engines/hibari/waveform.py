"""Turns the network's spectra into samples: hibari's own formula, with noise that costs next to nothing.

    S = exp(lh) e^(i pi tanh theta) STFT(pulses(f0)) + exp(ln) Z + exp(lr) e^(i phi)        (hibari.dsp)

Z is complex white noise. Drawing it anew is 45 % of hibari's signal processing, so it is cut from a table of normal
numbers instead, at a place that the clause's seed chooses: the ear can't tell, and the seed still fixes every sample.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from hibari import dsp

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE_VALUES = 1 << 22
"""Enough for 43 seconds; 16 MB."""


@functools.lru_cache(maxsize=1)
def noise_table() -> NDArray[np.float32]:
    """Normal numbers, shape [TABLE_VALUES]; the same in every process."""
    table = np.random.default_rng(0).standard_normal(TABLE_VALUES, dtype=np.float32)
    table.setflags(write=False)
    return table


def white(bins: int, frames: int, place: np.random.Generator) -> NDArray[np.complex64]:
    """Complex white noise, shape [bins, frames], the real and imaginary parts of variance 1."""
    count = bins * frames * 2
    if count >= TABLE_VALUES:
        values = place.standard_normal(count, dtype=np.float32)
    else:
        # An even offset: pairs of values are complex numbers.
        start = 2 * int(place.integers(0, (TABLE_VALUES - count) // 2))
        values = noise_table()[start : start + count]
    return values.view(np.complex64).reshape(bins, frames)


def synthesise(spectra: list[NDArray[np.float32]], place: np.random.Generator) -> NDArray[np.float32]:
    """Samples, shape [300 * frames], of the network's five spectra [601, frames] and f0 [frames]."""
    lh, theta, ln, lr, phi, f0 = spectra
    bins, frames = lh.shape
    spectrum = dsp.stft(dsp.pulses(f0), frames)
    turned = np.empty((bins, frames), np.complex64)
    angle = np.tanh(theta)
    angle *= np.pi
    np.cos(angle, out=turned.real)
    np.sin(angle, out=turned.imag)
    turned *= dsp.ex(lh)
    spectrum *= turned
    np.multiply(white(bins, frames, place), dsp.ex(ln), out=turned)
    spectrum += turned
    np.cos(phi, out=turned.real)
    np.sin(phi, out=turned.imag)
    turned *= dsp.ex(lr)
    spectrum += turned
    samples: NDArray[np.float32] = dsp.ola(spectrum)
    return samples
