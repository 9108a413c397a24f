"""The third stage: a harmonic source and an iSTFTNet generator, from frames to samples at 24 kHz."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxwire_server.engines.kokoro.model.layers import SnakeBlock, TransposedConvolution
from voxwire_server.engines.kokoro.model.ragged import Rate
from voxwire_server.engines.kokoro.model.spectrum import BINS, SPECTRA, Spectra

if TYPE_CHECKING:
    from voxwire_server.engines.kokoro.model.ragged import Rows

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
