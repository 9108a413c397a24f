"""Short-time spectra of unequal rows: 20-sample Hann windows every 5 samples, reflected at each row's own end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from voxwire_server.engines.kokoro.model.ragged import Rate

if TYPE_CHECKING:
    from voxwire_server.engines.kokoro.model.ragged import Rows

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
