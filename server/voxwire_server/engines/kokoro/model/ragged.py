"""How long each row of a padded batch really is, at every rate of the network; `Rows.clear` keeps padding at zero."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


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
