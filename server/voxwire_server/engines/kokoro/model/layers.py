"""The layers that stages share: style-dependent norms, residual blocks, a bidirectional LSTM over unequal rows.

`Rows` says how long each row of a padded batch is, at every rate of the network, and clears the padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate of the network: a row of n units has `factor * n + extra` positions there."""

    factor: int
    extra: int = 0


UNIT = Rate(1)


@dataclass(slots=True)
class Rows:
    """The rows of one batch: `lengths` [B], int64, in units (tokens, or frames of 25 ms), on the device.

    `even` says that no row is padded: masks are skipped then. It is set on the host when the batch is made, so that a
    step never waits for the device.
    """

    lengths: Tensor
    even: bool
    _masks: dict[tuple[Rate, int, torch.dtype], Tensor] = field(default_factory=dict)

    def mask(self, rate: Rate, size: int, dtype: torch.dtype) -> Tensor:
        """[B, 1, size]: 1 where a row's own positions are, 0 in the padding."""
        key = (rate, size, dtype)
        if key not in self._masks:
            positions = torch.arange(size, device=self.lengths.device)
            self._masks[key] = (positions < self.sizes(rate)[:, None]).unsqueeze(1).to(dtype)
        return self._masks[key]

    def sizes(self, rate: Rate) -> Tensor:
        """[B]: how many positions each row has at `rate`."""
        return self.lengths * rate.factor + rate.extra

    def count(self, rate: Rate, size: int) -> Tensor | int:
        """[B, 1, 1]: `sizes` to divide sums by, or just `size` where no row is padded."""
        return size if self.even else self.sizes(rate)[:, None, None]

    def clear(self, x: Tensor, rate: Rate) -> Tensor:
        """`x` [B, C, size] with zeros in the padding, as a convolution over a row alone finds them beyond its end."""
        return x if self.even else x * self.mask(rate, x.shape[-1], x.dtype)

    def clear_tokens(self, x: Tensor) -> Tensor:
        """`x` [B, size, C] with zeros in the padding."""
        return x if self.even else x * self.mask(UNIT, x.shape[1], x.dtype).transpose(1, 2)

    def reversal(self, size: int) -> Tensor:
        """[B, size]: the index that reverses each row within its own length; padding stays where it is."""
        positions = torch.arange(size, device=self.lengths.device).expand(len(self.lengths), -1)
        turned = self.lengths[:, None] - 1 - positions
        return torch.where(turned >= 0, turned, positions)


STYLE = 128
_NORM_EPSILON = 1e-5


class Convolution(nn.Conv1d):
    """A convolution in the precision of its own weights, whatever it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, C, size]."""
        return super().forward(x.to(self.weight.dtype))


class TransposedConvolution(nn.ConvTranspose1d):
    """A transposed convolution in the precision of its own weights, whatever it is given."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """`x` [B, C, size]."""
        return super().forward(x.to(self.weight.dtype), output_size)


class AdaptiveInstanceNorm(nn.Module):
    """Instance norm over each row's own positions, scaled and shifted by the style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(STYLE, 2 * channels)

    def forward(self, x: Tensor, style: Tensor, rows: Rows, rate: Rate) -> Tensor:
        """`x` [B, C, size] -> float32.

        The mean is taken away before anything is squared: some channels' is thousands of times their deviation.
        `torch.var_mean` does the same and takes twenty times as long on a CPU.
        """
        gain, shift = self.fc(style).unsqueeze(-1).chunk(2, 1)
        count = rows.count(rate, x.shape[-1])
        mean = rows.clear(x, rate).sum(-1, keepdim=True, dtype=torch.float32) / count
        centred = rows.clear(x - mean, rate)
        variance = torch.linalg.vector_norm(centred, dim=-1, keepdim=True).square() / count
        scale = (1 + gain) * torch.rsqrt(variance + _NORM_EPSILON)
        # Two passes in place: torch.addcmul over rows that one number scales takes longer on a CPU.
        return centred.mul_(scale).add_(shift)


class AdaptiveLayerNorm(nn.Module):
    """Layer norm over the channels, scaled and shifted by the style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.fc = nn.Linear(STYLE, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """`x` [B, size, C]."""
        gain, shift = self.fc(style)[:, None].chunk(2, -1)
        normed: Tensor = (1 + gain) * functional.layer_norm(x, (self.channels,)) + shift
        return normed


class ChannelNorm(nn.Module):
    """Layer norm over the channels of [B, size, C], with parameters of its own names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """`x` [B, size, C]."""
        return functional.layer_norm(x, self.gamma.shape, self.gamma, self.beta, _NORM_EPSILON)


class BidirectionalLSTM(nn.Module):
    """Two LSTMs, one of which reads each row from its own end.

    A bidirectional LSTM over packed rows needs the lengths on the host and can't be captured in a CUDA graph; reversing
    the rows gives the same result without either.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.ahead = nn.LSTM(inputs, outputs // 2, batch_first=True)
        self.back = nn.LSTM(inputs, outputs // 2, batch_first=True)

    def forward(self, x: Tensor, rows: Rows) -> Tensor:
        """`x` [B, size, inputs] -> [B, size, outputs]; what is in the padding means nothing."""
        ahead, _ = self.ahead(x)
        if rows.even:
            back, _ = self.back(x.flip(1))
            return torch.cat([ahead, back.flip(1)], -1)
        turn = rows.reversal(x.shape[1])[..., None]
        back, _ = self.back(x.gather(1, turn.expand(-1, -1, x.shape[-1])))
        return torch.cat([ahead, back.gather(1, turn.expand(-1, -1, back.shape[-1]))], -1)


class StyledBlock(nn.Module):
    """Two convolutions with adaptive norms beside a shortcut; `doubles` the rate on the way (AdainResBlk1d)."""

    def __init__(self, inputs: int, outputs: int, *, doubles: bool = False) -> None:
        super().__init__()
        self.doubles = doubles
        self.conv1 = Convolution(inputs, outputs, 3, padding=1)
        self.conv2 = Convolution(outputs, outputs, 3, padding=1)
        self.norm1 = AdaptiveInstanceNorm(inputs)
        self.norm2 = AdaptiveInstanceNorm(outputs)
        self.conv1x1 = Convolution(inputs, outputs, 1, bias=False) if inputs != outputs else None
        self.pool = (
            nn.ConvTranspose1d(inputs, inputs, 3, 2, groups=inputs, padding=1, output_padding=1) if doubles else None
        )

    def forward(self, x: Tensor, style: Tensor, rows: Rows, rate: Rate, doubled: Rate) -> Tensor:
        """`x` [B, inputs, size at rate] -> [B, outputs, size at doubled]; `doubled` is `rate` where nothing doubles."""
        inner = rows.clear(functional.leaky_relu(self.norm1(x, style, rows, rate), 0.2), rate)
        if self.pool is not None:
            inner = rows.clear(self.pool(inner), doubled)
            x = x.repeat_interleave(2, -1)
        inner = self.conv1(inner)
        inner = rows.clear(functional.leaky_relu(self.norm2(inner, style, rows, doubled), 0.2), doubled)
        inner = self.conv2(inner)
        if self.conv1x1 is not None:
            x = self.conv1x1(x)
        joined: Tensor = (inner + x) * (1 / math.sqrt(2))
        return joined


class SnakeBlock(nn.Module):
    """Three pairs of convolutions with adaptive norms and snake activations (AdaINResBlock1; Ziyin et al. 2020)."""

    DILATIONS = (1, 3, 5)

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            Convolution(channels, channels, kernel, dilation=d, padding=d * (kernel - 1) // 2) for d in self.DILATIONS
        )
        self.convs2 = nn.ModuleList(
            Convolution(channels, channels, kernel, padding=(kernel - 1) // 2) for _ in self.DILATIONS
        )
        self.adain1 = nn.ModuleList(AdaptiveInstanceNorm(channels) for _ in self.DILATIONS)
        self.adain2 = nn.ModuleList(AdaptiveInstanceNorm(channels) for _ in self.DILATIONS)
        self.alpha1 = nn.ParameterList(nn.Parameter(torch.ones(1, channels, 1)) for _ in self.DILATIONS)
        self.alpha2 = nn.ParameterList(nn.Parameter(torch.ones(1, channels, 1)) for _ in self.DILATIONS)

    def forward(self, x: Tensor, style: Tensor, rows: Rows, rate: Rate) -> Tensor:
        """`x` [B, channels, size at rate], the same out."""
        for i in range(len(self.DILATIONS)):
            inner = _snake(self.adain1[i](x, style, rows, rate), self.alpha1[i])
            inner = self.convs1[i](rows.clear(inner, rate))
            inner = _snake(self.adain2[i](inner, style, rows, rate), self.alpha2[i])
            x = x + self.convs2[i](rows.clear(inner, rate))
        return x


def _snake(x: Tensor, alpha: Tensor) -> Tensor:
    return torch.addcdiv(x, (alpha * x).sin_().square_(), alpha)
