"""Bounds how long all connections together may parse input at one turn of the event loop, and orders them.

one turn of the loop: parsing, for TURN_SECONDS, in the order in which connections asked for it
                      then timers, sockets and audio
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_SECONDS = 0.002
"""Parsing at one turn of the loop, of all connections together."""

SHARE_SECONDS = 0.0005
"""How long one connection is parsed before the next one is."""

WAKING_SECONDS = 0.00025
"""What a coroutine that waited counts as: it runs only after the turn, so its time is not measured."""


class Turns:
    """A queue of work on input, of one event loop. It grows by one entry per connection at most."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._spent = 0.0
        self._next: asyncio.Handle | None = None

    @property
    def free(self) -> bool:
        """Whether work may be done at once, without asking: time is left in this turn and none waits."""
        return self._spent < TURN_SECONDS and not self._waiting

    def ask(self, work: Callable[[], None]) -> None:
        """Call `work` when its turn comes; it reports its time to `spend`."""
        self._waiting.append(work)
        self._arm()

    def spend(self, seconds: float) -> None:
        """Count `seconds` of work towards this turn."""
        self._spent += seconds
        self._arm()

    async def wait(self) -> None:
        """Return when it is the caller's turn, which may be now."""
        if self.free:
            return
        turn = asyncio.get_running_loop().create_future()
        self.ask(lambda: self._wake(turn))
        await turn

    def _wake(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_result(None)
            self._spent += WAKING_SECONDS

    def _arm(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._next = None
        self._spent = 0.0
        while self._waiting and self._spent < TURN_SECONDS:
            self._waiting.popleft()()
        if self._waiting:
            self._arm()
