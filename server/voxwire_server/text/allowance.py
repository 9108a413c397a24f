"""How much text may be read at once, and what reading it costs. Pure: times are given."""

from __future__ import annotations

import math
from dataclasses import dataclass

CHAR_WORK = 0.75
STEP_WORK = 4.0
PLAN_WORK = 30.0
"""The cost of an input character, of a decision of the markup and of a search for a cut, in an allowance's units."""


@dataclass(slots=True)
class Allowance:
    """How much text may be read, in units of about a microsecond of work: `rate` per second, `size` at once. Pure.

    The last slice may cost more than what is left; `left` is negative then, and is paid back first.
    """

    rate: float = math.inf
    size: float = math.inf
    left: float = math.inf
    at: float = 0.0

    def renew(self, now: float) -> None:
        """Add what the time since the last call brings; `now` is in seconds."""
        if now > self.at:
            if self.left < self.size:
                self.left = min(self.size, self.left + (now - self.at) * self.rate)
            self.at = now

    def spend(self, units: float) -> None:
        """Count units that were used."""
        self.left -= units

    def ready_at(self) -> float:
        """When reading goes on: half of the size will be there."""
        return self.at + max(0.0, self.size / 2 - self.left) / self.rate
