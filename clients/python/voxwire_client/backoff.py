"""How long to wait before the next attempt to connect: exponential backoff with full jitter. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_SECONDS = 0.05
"""The first attempt follows almost at once, spread over this time for all clients of a server that is gone."""
STEP_SECONDS = 0.1
SECONDS_MAX = 5.0
"""The largest bound of a delay for which the server has not asked."""
ASKED_SECONDS_MAX = 60.0
"""A server that asks for more is given no more than this."""


class Backoff:
    """The delays of one series of attempts. `draw` returns random numbers in [0, 1).

    Full jitter: each delay is drawn from zero to a bound that doubles (Brooker, "Exponential Backoff And Jitter",
    2015), so that clients that lost their server together do not come back together.
    """

    def __init__(self, draw: Callable[[], float]) -> None:
        self._draw = draw
        self._attempts = 0

    def succeeded(self) -> None:
        """Messages were exchanged on a connection: begin again with short delays."""
        self._attempts = 0

    def next_seconds(self, asked_seconds: float | None = None) -> float:
        """How long to wait before the next attempt: at least `asked_seconds`, where the server asked for a pause."""
        bound = FIRST_SECONDS if self._attempts == 0 else min(SECONDS_MAX, STEP_SECONDS * 2 ** (self._attempts - 1))
        # SECONDS_MAX is reached long before ten doublings.
        self._attempts = min(self._attempts + 1, 10)
        asked = min(max(0.0, asked_seconds or 0.0), ASKED_SECONDS_MAX)
        return asked + self._draw() * bound
