"""Turns the network's spectra into samples: hibari's signal processing in blocks that stay in the cache.

Same result as `hibari.dsp.synth` (hibari-tts 0.2.1, Apache-2.0) given the same noise: a harmonic, a noise and a
free-phase branch,

    S = exp(lh) e^{i pi tanh(theta)} STFT(pulses(f0)) + exp(ln) Z + exp(lr) e^{i phi}

then one inverse STFT. What differs: frames are rows throughout, so nothing is transposed; buffers are reused; the
harmonic branch is skipped in unvoiced parts; Z is read from a fixed table instead of drawn for each call.
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
# A unit cosine then peaks at 1 in the excitation's spectrum: a quarter of N_FFT is the window's sum over two, and N_FFT
# is what the transform divides by.
_ANALYSIS = (_WINDOW * (N_FFT / (N_FFT / 4))).astype(np.float32)
# Sum of squared Hann windows at three quarters of overlap.
_WINDOW_SUM = 1.5
_SYNTHESIS = (_WINDOW / _WINDOW_SUM).astype(np.float32)
_GAIN_MAX = np.exp(np.float32(7.0))
_VOICED_HZ = np.float32(40.0)
_HARMONICS_HZ_MAX = np.float32(11000.0)
# Rows per block: few enough for the cache, enough to hide numpy's cost per call (3 MB per thread; measured 24 to 128).
_BLOCK_ROWS = 96
# The noise table: 13.6 s of frames before it repeats; a prime, so that offsets and lengths rarely share a factor.
_NOISE_ROWS = 1087
# The weight of the later of two frames at each sample of a hop, counted from the earlier one's centre.
_LATER = (((np.arange(HOP) + 0.5) / HOP - 0.5) % 1.0).astype(np.float32)
_EARLIER = (1.0 - _LATER).astype(np.float32)
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
        excitation, voiced = _excitation(f0, buffers.excitation)
        rows = np.lib.stride_tricks.sliding_window_view(excitation, N_FFT)[::HOP]
        out = np.zeros((frames + _OVERLAP - 1, HOP), np.float32)
        for start, stop, active in _blocks(_touched(voiced), _BLOCK_ROWS):
            spectrum = buffers.noise_and_free_phase(head[start:stop], self._noise, noise_at + start)
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
        self.excitation = _Source()
        self.windowed, self.time = (np.empty((_BLOCK_ROWS, N_FFT), np.float32) for _ in range(2))

    def noise_and_free_phase(self, head: Floats, noise: tuple[Floats, Floats], at: int) -> Complexes:
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
        # norm="forward" although nothing needs dividing: without a factor numpy 2.4 transforms in double precision.
        rotation *= _rfft(windowed, N_FFT, axis=1, out=self.source[:n], norm="forward")
        spectrum += rotation


def _gain(log: Floats, out: Floats) -> None:
    with np.errstate(over="ignore"):
        np.exp(log, out=out)
    # Testing the maximum is cheaper than clamping, and real spectra are never this loud.
    if out.max() > _GAIN_MAX:
        np.minimum(out, _GAIN_MAX, out=out)


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


def _excitation(f0: Floats, source: _Source) -> tuple[Floats, NDArray[np.bool_]]:
    """A pulse train band-limited to 11 kHz, with half a window of reflection at each end; and which hops may be voiced.

    sum_{h<=H} cos(h t) = sin((H + 1/2) t) / (2 sin(t/2)) - 1/2; t is the phase of F0 between frame centres.
    """
    frames, half = len(f0), N_FFT // 2
    padded = np.concatenate((f0[:1], f0, f0[-1:]))
    # F0 lies between its neighbours' values everywhere in a hop.
    voiced = np.maximum(np.maximum(padded[:-2], padded[2:]), f0) > _VOICED_HZ
    out = np.zeros(frames * HOP + 2 * half, np.float32)
    body = out[half:-half].reshape(frames, HOP)
    cycles = 0.0
    for start, stop, active in _blocks(voiced, _BLOCK_ROWS):
        if active:
            cycles = source.pulses(padded[start : stop + 2], cycles, body[start:stop])
        else:
            cycles += float(_VOICED_HZ) * HOP * (stop - start) / SAMPLE_RATE
    out[:half] = out[2 * half : half : -1]
    out[-half:] = out[-half - 2 : -2 * half - 2 : -1]
    return out, voiced


class _Source:
    """The excitation's temporaries, `_BLOCK_ROWS` hops each."""

    def __init__(self) -> None:
        shape = (_BLOCK_ROWS, HOP)
        self._hertz, self._angle, self._top = (np.empty(shape, np.float32) for _ in range(3))
        self._cycles = np.empty(shape, np.float64)
        self._flags = np.empty(shape, np.bool_)

    def pulses(self, f0: Floats, cycles: float, out: Floats) -> float:
        """Fill `out`, shape [hops, HOP], beginning after `cycles` periods; `f0` has one more value at each end.

        Returns the periods after the last sample. F0 below 40 Hz counts as 40 Hz, but gives silence.
        """
        n = len(out)
        hertz, angle, top, flags = self._hertz[:n], self._angle[:n], self._top[:n], self._flags[:n]
        _interpolate(f0, hertz, top)
        np.maximum(hertz, _VOICED_HZ, out=hertz)
        phase = self._cycles[:n]
        # Converted to float64 first: a cumsum that converts takes more than twice as long.
        np.multiply(hertz, 1.0 / SAMPLE_RATE, out=phase, dtype=np.float64)
        phase[0, 0] += cycles
        flat = phase.reshape(-1)
        np.cumsum(flat, out=flat)
        end = float(flat[-1])
        phase -= np.floor(phase)
        np.multiply(phase, 2 * np.pi, out=angle, casting="same_kind")
        np.divide(_HARMONICS_HZ_MAX, hertz, out=top)
        np.floor(top, out=top)
        top += np.float32(0.5)
        np.multiply(top, angle, out=out)
        np.sin(out, out=out)
        angle *= np.float32(0.5)
        low = np.sin(angle, out=angle)
        low *= np.float32(2.0)
        # Where sin(t/2) vanishes the quotient's limit is H + 1/2; t is in [0, 2 pi), so sin(t/2) is not negative.
        np.less_equal(low, np.float32(2e-3), out=flags)
        np.copyto(low, np.float32(1.0), where=flags)
        np.copyto(out, top, where=flags)
        out /= low
        out -= np.float32(0.5)
        out *= np.greater(hertz, _VOICED_HZ, out=flags)
        return end % 1.0


def _interpolate(f0: Floats, out: Floats, spare: Floats) -> None:
    """F0 at every sample of `out`, shape [hops, HOP]: linear between frame centres; `f0` has one more at each end.

    Rounded as hibari rounds it: the phase would accumulate differences.
    """
    half = HOP // 2
    before, at, after = f0[:-2, None], f0[1:-1, None], f0[2:, None]
    np.multiply(before, _EARLIER[:half], out=out[:, :half])
    np.multiply(at, _EARLIER[half:], out=out[:, half:])
    np.multiply(at, _LATER[:half], out=spare[:, :half])
    np.multiply(after, _LATER[half:], out=spare[:, half:])
    out += spare


def _edge_gains() -> tuple[Floats, Floats, Floats]:
    """The gains of the first and of the last two hops, where fewer than four windows overlap."""
    squares = (_WINDOW * _WINDOW).reshape(_OVERLAP, HOP)
    full = np.float32(_WINDOW_SUM)
    return full / squares[:3].sum(0), full / squares[1:].sum(0), full / squares[2:].sum(0)


_EDGES = _edge_gains()
