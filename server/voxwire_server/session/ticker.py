"""Owns the one timer that paces all sessions: wakes whoever is due, on a grid, so that one wake-up serves many."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

GRID_SECONDS = 0.01
"""Sends are due in bursts some 200 ms apart and up to a lead ahead, so 10 ms later is not heard by anybody."""

FIRE_SECONDS = 0.005
"""So long sessions are woken in a row; then sockets and workers have their turn."""


class Ticked(Protocol):
    """What a ticker wakes."""

    due: float

    def tick(self, now: float) -> None:
        """Do what is due; sets `due` anew by calling `Ticker.schedule`."""


class Ticker:
    """A heap of who is due when. `schedule` moves an entry; the stale one is dropped when it is met, or when more than
    half of all are stale: a session that is over is not kept until its last date."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        """`clock` is the sessions' clock; it must run with the loop's own (CLOCK_MONOTONIC)."""
        self._loop = loop
        self._clock = clock
        self._heap: list[tuple[float, int, Ticked]] = []
        self._order = itertools.count()
        self._stale = 0
        self._handle: asyncio.Handle | None = None
        self._at = math.inf
        self.lag_seconds = 0.0

    def schedule(self, ticked: Ticked, due: float) -> None:
        """Wake `ticked` at the first grid step after `due`."""
        due = (math.floor(due / GRID_SECONDS) + 1) * GRID_SECONDS
        if due == ticked.due:
            return
        self.forget(ticked)
        ticked.due = due
        heapq.heappush(self._heap, (due, next(self._order), ticked))
        if due < self._at:
            self._arm(due)

    def forget(self, ticked: Ticked) -> None:
        """Never wake `ticked` again."""
        if ticked.due == math.inf:
            return
        ticked.due = math.inf
        self._stale += 1
        if 2 * self._stale > len(self._heap):
            # In place: `_fire` may be at work on it.
            self._heap[:] = [entry for entry in self._heap if entry[0] == entry[2].due]
            heapq.heapify(self._heap)
            self._stale = 0

    def stop(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
        self._heap.clear()

    def _arm(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        self._handle = self._loop.call_at(at, self._fire)

    def _go_on_soon(self) -> None:
        """Wake the others that are due in the loop's next turn, after what else is ready."""
        if self._handle is not None:
            self._handle.cancel()
        self._at = self._heap[0][0]  # none is due earlier, so this turn is not moved
        self._handle = self._loop.call_soon(self._fire)

    def _fire(self) -> None:
        began = now = self._clock()
        self.lag_seconds = max(0.0, now - self._at)
        self._at = math.inf
        heap = self._heap
        while heap and heap[0][0] <= began:
            if now - began > FIRE_SECONDS:
                self._go_on_soon()
                return
            due, _, ticked = heapq.heappop(heap)
            if due == ticked.due:
                ticked.due = math.inf
                ticked.tick(now)
                now = self._clock()
            else:
                self._stale -= 1
        while heap and heap[0][0] != heap[0][2].due:
            heapq.heappop(heap)
            self._stale -= 1
        if heap:
            self._arm(min(self._at, heap[0][0]))
