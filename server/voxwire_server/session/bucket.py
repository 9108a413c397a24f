"""Owns the token bucket by which rates are bounded. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Allows `rate` tokens per second and `size` at once; `level` tokens were left at the time `at`, in seconds."""

    rate: float
    size: float
    level: float
    at: float

    def take(self, now: float) -> bool:
        """Use one token; False when there was none. The level then goes below zero, and later tokens pay it back."""
        self.level = min(self.size, self.level + (now - self.at) * self.rate) - 1
        self.at = now
        return self.level >= 0

    def delay(self) -> float:
        """Seconds until the level is back at zero."""
        return max(0.0, -self.level / self.rate)
