"""Gaussian noise of a seed and a position alone: no generator to keep, no companion that could change it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number
_FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
_SECOND = -7723592293110705685  # 0x94D049BB133111EB
_UNIFORM_BITS = 24


def gaussian(seeds: Tensor, size: int) -> Tensor:
    """[B, size] float32: row b is the beginning of the endless sequence of `seeds[b]` (int64 [B], on any device).

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
