"""Learns how far first clauses have to stand back so that those who listen already do not run dry.

While a lane keeps up, first clauses come first: a listener with speech left to hear loses nothing by waiting. Past
what a lane can do everybody waits longer and longer, and what comes first then decides who goes without. A first word
that comes late is heard late; a gap in the middle is a fault. So a clause that had plenty of time and yet came at the
last moment, or too late, moves first clauses back, until such clauses come in time again.
"""

from __future__ import annotations

MARGIN_SECONDS = 0.25
"""A clause that comes with less than this left to hear came at the last moment."""

DELAY_SECONDS_MAX = 4.0

RISE = 0.1
"""Each clause that came at the last moment moves first clauses back by this share of what it was short of."""

FALL_PER_SECOND = 0.25
"""Below 1, so that first clauses keep their order among themselves."""


class Newcomers:
    """By how many seconds first clauses stand back on one lane, now."""

    __slots__ = ("_at", "_delay_seconds")

    def __init__(self) -> None:
        self._delay_seconds = self._at = 0.0

    def delay_seconds(self, now: float) -> float:
        """What is added to the deadline of a first clause that is queued now."""
        return max(0.0, self._delay_seconds - FALL_PER_SECOND * max(0.0, now - self._at))

    def fed(self, left_seconds: float, now: float) -> None:
        """A clause that had plenty of time came when its listener had so much left to hear; below 0: had run dry."""
        short = MARGIN_SECONDS - left_seconds
        if short > 0.0:
            self._delay_seconds = min(DELAY_SECONDS_MAX, self.delay_seconds(now) + RISE * short)
            self._at = max(self._at, now)
