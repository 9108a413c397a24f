"""Decides whether load balancers should send new sessions elsewhere: on overload that lasts, with hysteresis.

A full server has room for a moment whenever a stream ends, until a new one takes its place. So what counts is the
share of the last seconds in which it was full: `/ready` says 503 once that has risen above `SHUT_SHARE`, and 200 again
only when it has fallen below `OPEN_SHARE`.

    OPEN --share of time full > 0.7 (3.6 s of overload)--> SHUT
      ^                                                      |
      +--------share < 0.2 (4.8 s with room)-----------------+
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_server.scheduling.admission import Refusal

logger = logging.getLogger(__name__)

MEMORY_SECONDS = 3.0
"""Seconds after which an observation counts 1/e."""

SHUT_SHARE, OPEN_SHARE = 0.7, 0.2

LOOK_SECONDS = 0.25

RETRY_MS = 5000
"""The least retry time while overloaded: about what it takes until `/ready` says 200 again."""


class Readiness:
    """See the module. Pure: `look` is given whether the server is full, and the time."""

    def __init__(self) -> None:
        self.share = 0.0
        """The share of the last seconds in which the server was full."""
        self._at: float | None = None
        self._retry_ms: int | None = None

    @property
    def retry_ms(self) -> int | None:
        """Milliseconds until a client should ask again, while overloaded; None while not."""
        return self._retry_ms

    def look(self, refusal: Refusal | None, now: float) -> None:
        """Record whether the server is full at `now` (seconds), and why."""
        keep = 0.0 if self._at is None else math.exp(-max(0.0, now - self._at) / MEMORY_SECONDS)
        if self._at is not None:
            self.share = self.share * keep + (1.0 - keep) * (refusal is not None)
        self._at = now
        shut = self.share > (SHUT_SHARE if self._retry_ms is None else OPEN_SHARE)
        soon = RETRY_MS if refusal is None else max(RETRY_MS, refusal.retry_after_ms)
        self._retry_ms = soon if shut else None


async def watch_readiness(
    readiness: Readiness,
    full: Callable[[], Refusal | None],
    clock: Callable[[], float],
    look_after: Sequence[Callable[[], None]] = (),
) -> None:
    """Every LOOK_SECONDS until cancelled: update `readiness`, and call each of `look_after`. Errors are logged."""

    def look() -> None:
        readiness.look(full(), clock())

    while True:
        for each in (*look_after, look):
            try:
                each()
            except Exception:
                logger.exception("a regular check failed")
        await asyncio.sleep(LOOK_SECONDS)
