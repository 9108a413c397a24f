"""Estimates visemes from the audio alone, for engines without phoneme times; one `VisemeEstimator` per context.

Every 20 ms: the levels of ten bands and the tilt of the spectrum, each beside the loudest moment so far. From these and
those of its neighbours a small network (32 units) gives the shares of the fifteen shapes. Its coefficients stand in
`viseme_estimator.json`; `bench/visemes_fit.py` fits them to speech whose phonemes are known. Audio that is too quiet
closes the mouth, whatever the network says.
"""

from __future__ import annotations

import json
from functools import lru_cache
from operator import sub
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voxwire_protocol.visemes import COUNT, SIL
from voxwire_server.speech import CLOSED, Move

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxwire_server.speech import Pose

FRAME_SECONDS = 0.02
ANALYSIS_RATE_LEAST = 11025
"""Hz. Samples are averaged in groups, down to no lower rate than this; higher frequencies count by the tilt."""
BAND_EDGES_HZ = (80, 250, 450, 700, 1000, 1400, 1900, 2500, 3300, 4300, 8000)
FEATURES = len(BAND_EDGES_HZ)
CONTEXT = 6
"""Frames that an estimate is made from: four before, its own, and the next, which shows the burst of a closure."""

# Decibels. PEAK_FADES: how fast the loudest moment fades, per second, so that a speaker may become quieter. SILENT: a
# frame this far below it is silent.
PEAK_FIRST = -30.0
PEAK_FADES = 6.0
SILENT = 34.0
QUIET = 4
"""So many silent frames in a row close the mouth; fewer may be a stop consonant, which the network knows."""

# A pose is kept until the estimate differs from it by CHANGE, summed over all shapes; shapes below LEAST are left out.
CHANGE = 0.85
LEAST = 0.12
# A move begins this long before the frame that it is for, but never before audio that may have been sent.
MOVE_SECONDS = 0.04


class Spectrum:
    """Cuts samples at `rate` into frames and measures them. Keeps what is left of a frame for the next call."""

    def __init__(self, rate: int) -> None:
        self._group = max(1, rate // ANALYSIS_RATE_LEAST)
        size = round(rate * FRAME_SECONDS / self._group)
        self.frame_samples = size * self._group
        self._seconds = self.frame_samples / rate
        # Doubles: numpy's transform of those is four times as fast as that of single floats.
        self._window = np.hanning(size + 2)[1:-1] / self.frame_samples
        self._bands = _bands(size, rate / self._group)
        self._tilt = np.float32((rate / 24000) ** 2)
        self._rest = np.zeros(0, np.float32)
        self._peak = PEAK_FIRST

    @property
    def pending(self) -> int:
        """How many samples wait for a frame to be whole."""
        return len(self._rest)

    def forget_pending(self) -> None:
        """Drop the samples that wait: what follows is not continuous with them."""
        self._rest = self._rest[:0]

    def push(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The frames that are now whole: features, shape [n, FEATURES], and whether each is silent, shape [n]."""
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        count = len(samples) // self.frame_samples
        self._rest = samples[count * self.frame_samples :].copy()
        if not count:
            return np.zeros((0, FEATURES), np.float32), np.zeros(0, np.bool_)
        return self._measure(samples[: count * self.frame_samples].reshape(count, -1))

    def _measure(self, frames: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        count = len(frames)
        grouped = frames[:, :: self._group]
        for k in range(1, self._group):
            grouped = grouped + frames[:, k :: self._group]
        spectrum = np.fft.rfft(grouped * self._window)
        power = spectrum.real**2 + spectrum.imag**2
        bands = 10.0 * np.log10(power.astype(np.float32) @ self._bands + 1e-12)
        level = 10.0 * np.log10(np.einsum("ij,ij->i", frames, frames) / self.frame_samples + 1e-12)
        steps = frames[:, 1:] - frames[:, :-1]
        tilt = np.einsum("ij,ij->i", steps, steps) * self._tilt / self.frame_samples
        peak = self._peaks(level)
        features = np.empty((count, FEATURES), np.float32)
        features[:, :-1] = np.clip((bands - peak[:, None] + 30.0) / 20.0, -2.0, 2.0)
        features[:, -1] = np.clip((10.0 * np.log10(tilt + 1e-12) - level + 10.0) / 10.0, -2.0, 2.0)
        return features, level < peak - SILENT

    def _peaks(self, level: NDArray[np.float32]) -> NDArray[np.float32]:
        """The loudest moment so far at each frame, faded."""
        fade = PEAK_FADES * self._seconds * np.arange(1, len(level) + 1)
        peaks = np.maximum(np.maximum.accumulate(level + fade), self._peak) - fade
        self._peak = float(peaks[-1])
        faded: NDArray[np.float32] = peaks.astype(np.float32)
        return faded


class VisemeEstimator:
    """Makes one context's moves from its audio, utterance after utterance. `rate`: samples per second of the audio."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._spectrum = Spectrum(rate)
        self._move = round(MOVE_SECONDS * rate)
        self._begin()

    def _begin(self) -> None:
        self._before = np.full((CONTEXT - 1, FEATURES), -2.0, np.float32)
        self._was_silent = np.ones(QUIET, np.bool_)
        self._pose: Pose = CLOSED
        self._shares = [float(id == SIL) for id in range(COUNT)]
        self._position = 0
        self._free = 0

    def push(self, samples: NDArray[np.float32], *, ends_utterance: bool) -> list[Move]:
        """The moves for more samples, shape [n], in samples of the utterance; none is before these samples.

        With `ends_utterance` the mouth is closed by the last sample, and the next call begins a new utterance.
        """
        start, end = self._position, self._position + len(samples)
        self._free = max(self._free, start)
        first = start - self._spectrum.pending
        features, silent = self._spectrum.push(samples)
        self._position = end
        moves: list[Move] = []
        if len(features):
            self._follow(first - self._spectrum.frame_samples, self._estimate(features, silent), moves)
        if ends_utterance:
            reach = max(self._free, end)
            self._go(max(self._free, reach - self._move), reach, CLOSED, moves)
            self._spectrum.forget_pending()
            self._begin()
        return moves

    def _estimate(self, features: NDArray[np.float32], silent: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The shares of the shapes at the frame before each, shape [n, COUNT]; each row adds up to 1."""
        whole = np.concatenate([self._before, features])
        silent = np.concatenate([self._was_silent, silent])
        self._before, self._was_silent = whole[1 - CONTEXT :].copy(), silent[-QUIET:].copy()
        return shares(stacked(whole), lasting(silent[:-1]))

    def _follow(self, first: int, estimated: NDArray[np.float32], moves: list[Move]) -> None:
        """Move where an estimate is far enough from the current pose; the first estimate is of the frame at `first`."""
        size, kept = self._spectrum.frame_samples, self._shares
        for k, row in enumerate(estimated.tolist()):
            if sum(map(abs, map(sub, row, kept))) > CHANGE:
                kept = row
                reach = max(self._free, first + k * size + size // 2)
                self._go(max(self._free, reach - self._move), reach, pose_of(row), moves)
        self._shares = kept

    def _go(self, leave: int, reach: int, pose: Pose, moves: list[Move]) -> None:
        if pose != self._pose:
            moves.append(Move(leave, reach, pose))
            self._pose, self._free = pose, reach


def stacked(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every frame with those before it, shape [n - CONTEXT + 1, CONTEXT * FEATURES]."""
    count = len(features) - CONTEXT + 1
    return np.concatenate([features[k : k + count] for k in range(CONTEXT)], axis=1)


def lasting(silent: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each frame and the QUIET - 1 before it are silent, shape [n - QUIET + 1]."""
    count = len(silent) - QUIET + 1
    quiet: NDArray[np.bool_] = np.logical_and.reduce([silent[k : k + count] for k in range(QUIET)])
    return quiet


def shares(near: NDArray[np.float32], quiet: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The network's output, shape [n, COUNT]; `sil` alone where it is quiet."""
    hidden, hidden_bias, out, out_bias = _coefficients()
    logits = np.tanh(near @ hidden + hidden_bias) @ out + out_bias
    logits -= logits.max(1, keepdims=True)
    likely: NDArray[np.float32] = np.exp(logits)
    likely /= likely.sum(1, keepdims=True)
    likely[quiet] = np.eye(1, COUNT, SIL, dtype=np.float32)
    return likely


def pose_of(weights: list[float]) -> Pose:
    """The shapes that count, in twentieths."""
    kept = [(weight, id) for id, weight in enumerate(weights) if weight >= LEAST]
    if len(kept) < 2:
        return ((kept[0][1] if kept else SIL, 1.0),)
    scale = 20.0 / sum([weight for weight, _ in kept])
    whole = [round(weight * scale) for weight, _ in kept]
    whole[kept.index(max(kept))] += 20 - sum(whole)
    return tuple([(id, count / 20) for (_, id), count in zip(kept, whole, strict=True)])


def _bands(size: int, rate: float) -> NDArray[np.float32]:
    """The matrix that sums a spectrum of `size` samples into bands, shape [size // 2 + 1, bands]."""
    bins = np.arange(size // 2 + 1) * rate / size
    edges = np.array(BAND_EDGES_HZ)
    return ((bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])).astype(np.float32)


@lru_cache(maxsize=1)
def _coefficients() -> tuple[NDArray[np.float32], ...]:
    """Weights and bias of the hidden layer, [CONTEXT * FEATURES, units] and [units]; of the other, to COUNT shapes."""
    stored = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    layers = tuple(np.array(stored[name], np.float32) for name in ("hidden", "hidden_bias", "out", "out_bias"))
    assert layers[0].shape[0] == CONTEXT * FEATURES
    assert layers[3].shape == (COUNT,)
    return layers
