"""Turns the network's spectra into samples: hibari's signal processing in blocks that stay in the cache.

Same result as `hibari.dsp.synth` (hibari-tts 0.2.1, Apache-2.0) given the same noise:

    S = exp(lh) e^{i pi tanh(theta)} STFT(pulses(f0)) + exp(ln) Z + exp(lr) e^{i phi}

then one inverse STFT. What differs: frames are rows from end to end, so nothing is transposed; buffers are kept; the
harmonic branch is left out where there is no voice; Z is read from a fixed table instead of drawn anew.
"""

from __future__ import annotations

import threading
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Complexes = NDArray[np.complex64]

SAMPLE_RATE = 24000
HOP = 300
N_FFT = 1200
BINS = N_FFT // 2 + 1
# lh, theta, ln, lr, phi side by side in one row.
HEAD = 5 * BINS
_OVERLAP = N_FFT // HOP
_WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
# A unit cosine then peaks at 1 in the excitation's spectrum.
_ANALYSIS = (_WINDOW / (N_FFT / 4)).astype(np.float32)
# Sum of squared Hann windows at three quarters of overlap.
_WINDOW_SUM = 1.5
_SYNTHESIS = (_WINDOW / _WINDOW_SUM).astype(np.float32)
_LOG_MAX = np.float32(7.0)
_VOICED_HZ = np.float32(40.0)
_HARMONICS_HZ_MAX = np.float32(11000.0)
# Rows worked on at once: 48 of them and their temporaries fit into 1 MiB of level-2 cache.
_BLOCK_ROWS = 48
# The noise table: 13.6 s of frames before it repeats; a prime, so that offsets and lengths rarely share a factor.
_NOISE_ROWS = 1087
_NOISE_SEED = 0x68696261
# numpy 2 transforms single precision as such; its stubs know double precision only.
_rfft: Any = np.fft.rfft
_irfft: Any = np.fft.irfft


@cache
def _noise_table() -> tuple[Floats, Floats]:
    """Real and imaginary parts of standard complex noise, shape [_NOISE_ROWS, BINS] each."""
    generator = np.random.Generator(np.random.PCG64(_NOISE_SEED))
    shape = (_NOISE_ROWS, BINS)
    return generator.standard_normal(shape, np.float32), generator.standard_normal(shape, np.float32)


class Vocoder:
    """Thread-safe: each thread has buffers of its own."""

    def __init__(self, noise: tuple[Floats, Floats] | None = None) -> None:
        """`noise`: real and imaginary table of shape [rows, BINS] in place of the fixed one."""
        self._noise = noise if noise is not None else _noise_table()
        self._local = threading.local()

    def samples(self, head: Floats, f0: Floats, noise_at: int) -> Floats:
        """Synthesise `len(f0) * HOP` samples.

        `head` has shape [frames, HEAD], `f0` [frames] in Hz (below 40 is unvoiced), at least three frames. `noise_at`
        is the row of the noise table to begin at, taken modulo its length.
        """
        frames = len(f0)
        assert head.shape == (frames, HEAD)
        assert frames >= _OVERLAP - 1, "reflection at the ends needs half a window"
        buffers = self._buffers()
        excitation, voiced = _excitation(f0)
        rows = np.lib.stride_tricks.sliding_window_view(excitation, N_FFT)[::HOP]
        out = np.zeros((frames + _OVERLAP - 1, HOP), np.float32)
        for start, stop, active in _blocks(_touched(voiced), _BLOCK_ROWS):
            spectrum = buffers.noise_and_free(head[start:stop], self._noise, noise_at + start)
            if active:
                buffers.add_harmonics(spectrum, head[start:stop], rows[start:stop])
            time: Floats = _irfft(spectrum, N_FFT, axis=1, out=buffers.time[: stop - start])
            time *= _SYNTHESIS
            parts = time.reshape(stop - start, _OVERLAP, HOP)
            for k in range(_OVERLAP):
                out[start + k : stop + k] += parts[:, k]
        out[2] *= _EDGES[0]
        out[frames] *= _EDGES[1]
        out[frames + 1] *= _EDGES[2]
        return out[2 : frames + 2].reshape(-1)

    def _buffers(self) -> _Buffers:
        try:
            return self._local.buffers  # type: ignore[no-any-return]
        except AttributeError:
            self._local.buffers = buffers = _Buffers()
            return buffers


class _Buffers:
    """One thread's temporaries, `_BLOCK_ROWS` rows each."""

    def __init__(self) -> None:
        shape = (_BLOCK_ROWS, BINS)
        self.gain, self.real, self.imaginary, self.turn = (np.empty(shape, np.float32) for _ in range(4))
        self.spectrum, self.rotation = np.empty(shape, np.complex64), np.empty(shape, np.complex64)
        self.source = np.empty(shape, np.complex64)
        self.windowed, self.time = (np.empty((_BLOCK_ROWS, N_FFT), np.float32) for _ in range(2))

    def noise_and_free(self, head: Floats, noise: tuple[Floats, Floats], at: int) -> Complexes:
        """exp(ln) Z + exp(lr) e^{i phi}, shape [rows, BINS]; valid until the next call."""
        n = len(head)
        gain, real, imaginary, turn = self.gain[:n], self.real[:n], self.imaginary[:n], self.turn[:n]
        _gain(head[:, 2 * BINS : 3 * BINS], gain)
        for first, last, row in _wrapped(at, n, len(noise[0])):
            np.multiply(noise[0][row : row + last - first], gain[first:last], out=real[first:last])
            np.multiply(noise[1][row : row + last - first], gain[first:last], out=imaginary[first:last])
        _gain(head[:, 3 * BINS : 4 * BINS], gain)
        phi = head[:, 4 * BINS :]
        spectrum = self.spectrum[:n]
        np.cos(phi, out=turn)
        turn *= gain
        np.add(real, turn, out=spectrum.real)
        np.sin(phi, out=turn)
        turn *= gain
        np.add(imaginary, turn, out=spectrum.imag)
        return spectrum

    def add_harmonics(self, spectrum: Complexes, head: Floats, rows: Floats) -> None:
        """Add exp(lh) e^{i pi tanh(theta)} STFT(excitation) to `spectrum`; `rows` are the excitation's windows."""
        n = len(head)
        gain, angle, part = self.gain[:n], self.turn[:n], self.real[:n]
        rotation = self.rotation[:n]
        _gain(head[:, :BINS], gain)
        np.tanh(head[:, BINS : 2 * BINS], out=angle)
        angle *= np.float32(np.pi)
        np.cos(angle, out=part)
        np.multiply(part, gain, out=rotation.real)
        np.sin(angle, out=part)
        np.multiply(part, gain, out=rotation.imag)
        windowed = np.multiply(rows, _ANALYSIS, out=self.windowed[:n])
        rotation *= _rfft(windowed, N_FFT, axis=1, out=self.source[:n])
        spectrum += rotation


def _gain(log: Floats, out: Floats) -> None:
    np.minimum(log, _LOG_MAX, out=out)
    np.exp(out, out=out)


def _wrapped(at: int, count: int, period: int) -> Iterator[tuple[int, int, int]]:
    """(first, last, row): cut `count` rows beginning at table row `at` where the table ends."""
    first = 0
    while first < count:
        row = (at + first) % period
        last = min(count, first + period - row)
        yield first, last, row
        first = last


def _touched(voiced: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames whose window reaches a voiced hop: the window of frame k covers hops k-2 to k+1."""
    touched = voiced.copy()
    touched[1:] |= voiced[:-1]
    touched[2:] |= voiced[:-2]
    touched[:-1] |= voiced[1:]
    return touched


def _blocks(active: NDArray[np.bool_], rows_max: int) -> Iterator[tuple[int, int, bool]]:
    """Cut rows into runs that are active or not, of at most `rows_max`."""
    bounds = [0, *(np.flatnonzero(active[1:] != active[:-1]) + 1).tolist(), len(active)]
    for low, high in pairwise(bounds):
        for start in range(low, high, rows_max):
            yield start, min(start + rows_max, high), bool(active[low])


def _excitation(f0: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """A pulse train band-limited to 11 kHz, with half a window of reflection at each end; and which hops are voiced.

    sum_{h<=H} cos(h t) = sin((H + 1/2) t) / (2 sin(t/2)) - 1/2; t is the phase of F0 between frame centres.
    """
    frames, half = len(f0), N_FFT // 2
    hertz = _interpolated(f0)
    is_voiced = np.greater(hertz, _VOICED_HZ)
    voiced: NDArray[np.bool_] = np.asarray(is_voiced.any(axis=1))
    np.maximum(hertz, _VOICED_HZ, out=hertz)
    # Widened first: cumsum that widens as it goes takes more than twice as long.
    phase = hertz.astype(np.float64).reshape(-1)
    np.cumsum(phase, out=phase)
    phase *= 1.0 / SAMPLE_RATE
    phase -= np.floor(phase)
    out = np.zeros(frames * HOP + 2 * half, np.float32)
    body = out[half:-half].reshape(frames, HOP)
    turns = phase.reshape(frames, HOP)
    for start, stop, active in _blocks(voiced, frames):
        if active:
            angle = (turns[start:stop] * (2 * np.pi)).astype(np.float32)
            _pulses(angle, hertz[start:stop], is_voiced[start:stop], body[start:stop])
    out[:half] = out[2 * half : half : -1]
    out[-half:] = out[-half - 2 : -2 * half - 2 : -1]
    return out, voiced


def _pulses(angle: Floats, hertz: Floats, is_voiced: NDArray[np.bool_], out: Floats) -> None:
    top = np.divide(_HARMONICS_HZ_MAX, hertz)
    np.floor(top, out=top)
    top += np.float32(0.5)
    np.multiply(top, angle, out=out)
    np.sin(out, out=out)
    angle *= np.float32(0.5)
    low = np.sin(angle, out=angle)
    low *= np.float32(2.0)
    # Where sin(t/2) vanishes the quotient's limit is H + 1/2.
    flat = np.abs(low) <= np.float32(2e-3)
    np.copyto(low, np.float32(1.0), where=flat)
    np.copyto(out, top, where=flat)
    out /= low
    out -= np.float32(0.5)
    out *= is_voiced


def _interpolated(f0: Floats) -> Floats:
    """F0 at every sample, shape [frames, HOP]: linear between frame centres, constant beyond the outer ones."""
    half = HOP // 2
    weight = ((np.arange(HOP, dtype=np.float64) + 0.5) / HOP - 0.5) % 1.0
    later, earlier = weight.astype(np.float32), (1.0 - weight).astype(np.float32)
    padded = np.concatenate((f0[:1], f0, f0[-1:]))
    out = np.empty((len(f0), HOP), np.float32)
    np.multiply(padded[:-2, None], earlier[:half], out=out[:, :half])
    out[:, :half] += padded[1:-1, None] * later[:half]
    np.multiply(padded[1:-1, None], earlier[half:], out=out[:, half:])
    out[:, half:] += padded[2:, None] * later[half:]
    return out


def _edge_gains() -> tuple[Floats, Floats, Floats]:
    """What the first and the last two hops lack: there not all four windows overlap."""
    squares = (_WINDOW * _WINDOW).reshape(_OVERLAP, HOP)
    full = np.float32(_WINDOW_SUM)
    return full / squares[:3].sum(0), full / squares[1:].sum(0), full / squares[2:].sum(0)


_EDGES = _edge_gains()
