"""Says how long to wait before the next attempt to connect: at once, then longer and longer, never in step. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS = 0.05
"""The first attempt: at once, but not all clients of a node in the same instant."""
STEP_SECONDS = 0.1
SECONDS_MAX = 5.0
"""The most without a word of the server's."""
ASKED_SECONDS_MAX = 60.0
"""Nobody is believed who asks for more."""


class Backoff:
    """Delays of one row of attempts. `draw` gives numbers in [0, 1).

    Full jitter: each delay is drawn from zero to a bound that doubles (Brooker, "Exponential Backoff And Jitter",
    2015), so that clients that lost their server together do not come back together.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._attempts = 0

    def succeeded(self) -> None:
        """The connection was good for something: begin again with short delays."""
        self._attempts = 0

    def next_seconds(self, asked_seconds: float | None = None) -> float:
        """How long to wait before the next attempt; not before `asked_seconds`, if the server said so."""
        bound = FIRST_SECONDS if self._attempts == 0 else min(SECONDS_MAX, STEP_SECONDS * 2 ** (self._attempts - 1))
        # Beyond ten doublings nothing changes any more.
        self._attempts = min(self._attempts + 1, 10)
        asked = min(max(0.0, asked_seconds or 0.0), ASKED_SECONDS_MAX)
        return asked + self._draw() * bound
