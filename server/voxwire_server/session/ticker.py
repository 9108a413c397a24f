"""Owns the one timer that paces all sessions: wakes those that are due, on a grid, so that one wake-up serves many."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

GRID_SECONDS = 0.01
"""Sends are due in bursts some 200 ms apart and up to a lead ahead of playout, so 10 ms later can't be heard."""

FIRE_SECONDS = 0.005
"""Seconds for which sessions are woken in one iteration of the event loop; then it serves sockets and workers."""


class Ticked(Protocol):
    """What a ticker wakes. `due` is the ticker's: when that will be, infinity for never."""

    due: float

    def tick(self, now: float) -> None:
        """Do what is due, and call `Ticker.schedule` for the next time."""


class Ticker:
    """A heap of times and what is due then.

    `schedule` adds an entry and leaves the old one stale. Stale entries are dropped when their time comes, or when more
    than half of all are stale: a session that is over is not referred to until its last due time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        """`clock` is the sessions' clock; it must run with the loop's own (CLOCK_MONOTONIC)."""
        self._loop = loop
        self._clock = clock
        self._heap: list[tuple[float, int, Ticked]] = []
        self._order = itertools.count()
        self._stale = 0
        self._handle: asyncio.Handle | None = None
        self._at = math.inf

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
            # In place: `_fire` may be using it.
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

    def _continue_soon(self) -> None:
        """Wake the rest of what is due in the loop's next iteration, after what else is ready."""
        if self._handle is not None:
            self._handle.cancel()
        self._at = self._heap[0][0]  # none is due earlier, so `schedule` does not move this call
        self._handle = self._loop.call_soon(self._fire)

    def _fire(self) -> None:
        began = now = self._clock()
        self._at = math.inf
        heap = self._heap
        while heap and heap[0][0] <= began:
            if now - began > FIRE_SECONDS:
                self._continue_soon()
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
