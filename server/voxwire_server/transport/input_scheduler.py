"""Limits how long all connections together parse input in one iteration of the event loop, and orders them.

one iteration: parse input for ITERATION_SECONDS, one slice of each principal after the other (round robin)
               then timers, sockets and audio
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ITERATION_SECONDS = 0.002
"""Time for parsing in one iteration of the event loop, of all connections together."""

SLICE_SECONDS = 0.0005
"""How long one connection is parsed before the next one is."""

WAKE_SECONDS = 0.00025
"""Seconds charged for a waiting coroutine: it runs only after the iteration's parsing, so its time is not measured."""


class InputScheduler:
    """One queue of callbacks for each principal (`ConnectionSlot.principal`). Belongs to one event loop."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._used = 0.0
        self._next: asyncio.Handle | None = None

    @property
    def can_run_now(self) -> bool:
        """Whether input may be handled at once: time is left in this iteration and no callback waits."""
        return self._used < ITERATION_SECONDS and not self._queues

    def schedule(self, callback: Callable[[], None], principal: str = "") -> None:
        """Call `callback` when its turn comes; it reports its time to `add_time`."""
        self._queues.setdefault(principal, deque()).append(callback)
        self._arm()

    def add_time(self, seconds: float) -> None:
        """Count `seconds` of handling input towards this iteration."""
        self._used += seconds
        self._arm()

    async def wait(self, principal: str = "", seconds: float = WAKE_SECONDS) -> None:
        """Return when it is the caller's turn, at once if nothing waits; its work is expected to take `seconds`."""
        if self.can_run_now:
            return
        turn = asyncio.get_running_loop().create_future()
        self.schedule(lambda: self._wake(turn, seconds), principal)
        await turn

    def _wake(self, turn: asyncio.Future[None], seconds: float) -> None:
        if not turn.done():
            turn.set_result(None)
            self._used += seconds

    def _arm(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        """Begin a new iteration: call what waits, round robin, until its time is used."""
        self._next = None
        self._used = 0.0
        while self._queues and self._used < ITERATION_SECONDS:
            principal, callbacks = self._queues.popitem(last=False)
            callback = callbacks.popleft()
            if callbacks:
                self._queues[principal] = callbacks
            callback()
        if self._queues:
            self._arm()
