"""The third stage: a harmonic source and an iSTFTNet generator, from frames to samples at 24 kHz.

`Spectra` are short-time spectra of unequal rows: 20-sample Hann windows every 5 samples, reflected at each row's own
end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxwire_server.engines.kokoro.model.layers import Rate, SnakeBlock, TransposedConvolution

if TYPE_CHECKING:
    from voxwire_server.engines.kokoro.model.layers import Rows

WINDOW, HOP = 20, 5
BINS = WINDOW // 2 + 1
_OVERLAP = WINDOW // HOP
_HALF = WINDOW // 2
SAMPLES = Rate(600)
SPECTRA = Rate(120, 1)


class Spectra(nn.Module):
    """The transform and its inverse as matrices: at twenty samples these are as fast as FFTs, and can be batched."""

    forward_matrix: Tensor
    inverse_matrix: Tensor
    window_power: Tensor

    def __init__(self) -> None:
        super().__init__()
        time = torch.arange(WINDOW, dtype=torch.float64)
        window = 0.5 - 0.5 * torch.cos(2 * math.pi * time / WINDOW)
        angle = 2 * math.pi * torch.arange(BINS, dtype=torch.float64)[:, None] * time / WINDOW
        sines = -torch.sin(angle)
        # Exactly real, as an FFT gives them: the sign of rounding errors would decide between phases of pi and -pi.
        sines[0] = sines[-1] = 0
        waves = torch.cat([torch.cos(angle), sines])
        # Every bin but the first and the last stands for its mirror image too.
        share = torch.full((BINS, 1), 2.0, dtype=torch.float64)
        share[0] = share[-1] = 1
        inverse = waves * torch.cat([share, share]) * window / WINDOW
        self.register_buffer("forward_matrix", (waves * window).float()[:, None], persistent=False)
        self.register_buffer("inverse_matrix", inverse.float().T.contiguous(), persistent=False)
        self.register_buffer("window_power", window.square().float()[:, None], persistent=False)

    def analyse(self, samples: Tensor, rows: Rows) -> Tensor:
        """`samples` [B, 600 T] float32 -> magnitudes and phases [B, 22, 120 T + 1], zero in the padding."""
        size = samples.shape[1]
        ends = rows.sizes(SAMPLES)[:, None]
        index = torch.arange(-_HALF, size + _HALF, device=samples.device).abs().expand(len(samples), -1)
        index = torch.where(index >= ends, 2 * (ends - 1) - index, index).clamp(0, size - 1)
        parts = functional.conv1d(samples.gather(1, index)[:, None], self.forward_matrix, stride=HOP)
        real, imaginary = parts[:, :BINS], parts[:, BINS:] + 0.0
        # A row's first window is its own mirror image, so exactly real: rounding, which depends on the batch's size,
        # would choose between pi and -pi in each of its bins.
        imaginary[..., 0] = 0.0
        polar = torch.cat([torch.sqrt(real.square() + imaginary.square()), torch.atan2(imaginary, real)], 1)
        return rows.clear(polar, SPECTRA)

    def synthesise(self, magnitude: Tensor, phase: Tensor, rows: Rows) -> Tensor:
        """Two of [B, 11, 120 T + 1] float32 -> samples [B, 600 T]; what is in the padding means nothing."""
        count = magnitude.shape[-1]
        frames = rows.clear(torch.cat([magnitude * torch.cos(phase), magnitude * torch.sin(phase)], 1), SPECTRA)
        present = rows.mask(SPECTRA, count, frames.dtype)
        samples = _overlap_add(torch.matmul(self.inverse_matrix, frames))
        power = _overlap_add(self.window_power * present)
        return (samples / power.clamp_min(1e-11))[:, _HALF : _HALF + HOP * (count - 1)]


def _overlap_add(frames: Tensor) -> Tensor:
    """[B, 20, n] -> [B, 5 (n + 3)]: frame k begins at sample 5 k."""
    batch, _, count = frames.shape
    parts = frames.view(batch, _OVERLAP, HOP, count)
    out = frames.new_zeros(batch, HOP, count + _OVERLAP - 1)
    for k in range(_OVERLAP):
        out[..., k : k + count] += parts[:, k]
    return out.transpose(1, 2).reshape(batch, -1)


SAMPLE_RATE = 24000
_HARMONICS = 9
_PITCH_SAMPLES = 300  # samples a value of F0
_AMPLITUDE = 0.1
_VOICED_HZ = 10.0
_VOICED_NOISE = 0.003
_UNVOICED_NOISE = _AMPLITUDE / 3
_FRONT = Rate(2)
_MIDDLE = Rate(20)
# SplitMix64's constants as signed 64-bit numbers.
_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15
_FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
_SECOND = -7723592293110705685  # 0x94D049BB133111EB
_UNIFORM_BITS = 24


class HarmonicSource(nn.Module):
    """Sines at the pitch and its overtones, with noise (Wang, Takaki, Yamagishi 2019), mixed to one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.l_linear = nn.Linear(_HARMONICS, 1)

    def forward(self, pitch: Tensor, noise: Tensor | None) -> Tensor:
        """`pitch` [B, 2 T] in Hz, zero in the padding; `noise` [B, 600 T] -> [B, 600 T] float32.

        The phase is summed in float64 cycles at 80 Hz. One Gaussian value a sample stands for the reference's nine
        that are summed by the layer's weights: the same distribution.
        """
        orders = torch.arange(1, _HARMONICS + 1, device=pitch.device, dtype=torch.float32)
        cycles = (pitch.float()[..., None] * orders / SAMPLE_RATE) % 1
        phase = torch.cumsum(cycles.double(), 1) * _PITCH_SAMPLES
        phase = functional.interpolate(phase.transpose(1, 2), scale_factor=_PITCH_SAMPLES, mode="linear")
        sines = torch.sin((phase % 1).float() * (2 * math.pi)) * _AMPLITUDE
        voiced = (pitch > _VOICED_HZ).float().repeat_interleave(_PITCH_SAMPLES, 1)
        weight = self.l_linear.weight.float()
        mixed = torch.einsum("bht,h->bt", sines, weight[0]) * voiced
        if noise is not None:
            mixed = mixed + noise * (voiced * _VOICED_NOISE + (1 - voiced) * _UNVOICED_NOISE) * weight.norm()
        return torch.tanh(mixed + self.l_linear.bias.float())


class Generator(nn.Module):
    """Upsamples frames at 80 Hz to spectra at 4.8 kHz, conditioned on the source's own spectra (iSTFTNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.m_source = HarmonicSource()
        self.spectra = Spectra()
        self.ups = nn.ModuleList(
            [TransposedConvolution(512, 256, 20, 10, padding=5), TransposedConvolution(256, 128, 12, 6, padding=3)]
        )
        self.noise_convs = nn.ModuleList([nn.Conv1d(2 * BINS, 256, 12, 6, padding=3), nn.Conv1d(2 * BINS, 128, 1)])
        self.noise_res = nn.ModuleList([SnakeBlock(256, 7), SnakeBlock(128, 11)])
        self.resblocks = nn.ModuleList(SnakeBlock(channels, k) for channels in (256, 128) for k in (3, 7, 11))
        self.conv_post = nn.Conv1d(128, 2 * BINS, 7, padding=3)

    def source(self, pitch: Tensor, seeds: Tensor | None) -> Tensor:
        """The harmonic source [B, 600 T] of `pitch` [B, 2 T]; without `seeds` no noise is in it."""
        noise = None if seeds is None else gaussian(seeds, pitch.shape[1] * _PITCH_SAMPLES)
        excitation: Tensor = self.m_source(pitch, noise)
        return excitation

    def forward(self, x: Tensor, source: Tensor, style: Tensor, rows: Rows) -> Tensor:
        """`x` [B, 512, 2 T], `source` [B, 600 T], `style` [B, 128] -> samples [B, 600 T] float32."""
        polar = self.spectra.analyse(source, rows)
        for i, (rate, upsampled) in enumerate(((_FRONT, _MIDDLE), (_MIDDLE, SPECTRA))):
            x = self.ups[i](rows.clear(functional.leaky_relu(x, 0.1), rate))
            if upsampled is SPECTRA:
                x = functional.pad(x, (1, 0), mode="reflect")
            x = x + self.noise_res[i](self.noise_convs[i](polar), style, rows, upsampled)
            blocks = [self.resblocks[3 * i + j](x, style, rows, upsampled) for j in range(3)]
            x = (blocks[0] + blocks[1] + blocks[2]) / 3
        out = self.conv_post(rows.clear(functional.leaky_relu(x, 0.01), SPECTRA))
        samples: Tensor = self.spectra.synthesise(torch.exp(out[:, :BINS]), torch.sin(out[:, BINS:]), rows)
        return samples


def gaussian(seeds: Tensor, size: int) -> Tensor:
    """Gaussian noise [B, size] float32: row b is the start of the endless sequence of `seeds[b]` (int64 [B]).

    A value depends on its seed and position alone: not on the batch, nor on a generator's state.

    SplitMix64 (Steele, Lea, Flood 2014) numbers the positions, Box and Muller (1958) make two normal values of two
    uniform ones. Same on every device up to the rounding of log, cos and sin.
    """
    pairs = torch.arange((size + 1) // 2, device=seeds.device, dtype=torch.int64)
    state = seeds[:, None] + (2 * pairs + 1) * _GOLDEN
    radius = torch.sqrt(-2 * torch.log(1 - _uniform(state)))
    angle = (2 * math.pi) * _uniform(state + _GOLDEN)
    both = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], -1)
    return both.flatten(1)[:, :size]


def _uniform(state: Tensor) -> Tensor:
    """Float32 in [0, 1): the finaliser of SplitMix64 over int64 that wraps round."""
    mixed = (state ^ _shifted(state, 30)) * _FIRST
    mixed = (mixed ^ _shifted(mixed, 27)) * _SECOND
    mixed = mixed ^ _shifted(mixed, 31)
    return _shifted(mixed, 64 - _UNIFORM_BITS).to(torch.float32) * 2.0**-_UNIFORM_BITS


def _shifted(value: Tensor, bits: int) -> Tensor:
    """A shift to the right that brings in zeros, also for negative numbers."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)
