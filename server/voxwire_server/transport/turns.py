"""Bounds how long all connections together may parse input at one turn of the event loop, and orders them.

one turn of the loop: parsing, for TURN_SECONDS, one piece of each principal after the other
                      then timers, sockets and audio
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
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
    """Queues of work on input, one for each principal (`Place.principal`), of one event loop."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._spent = 0.0
        self._next: asyncio.Handle | None = None

    @property
    def free(self) -> bool:
        """Whether work may be done at once, without asking: time is left in this turn and none waits."""
        return self._spent < TURN_SECONDS and not self._waiting

    def ask(self, work: Callable[[], None], principal: str = "") -> None:
        """Have something done when its turn comes; it says what it spent."""
        self._waiting.setdefault(principal, deque()).append(work)
        self._arm()

    def spend(self, seconds: float) -> None:
        """Count `seconds` of work towards this turn."""
        self._spent += seconds
        self._arm()

    async def wait(self, principal: str = "", seconds: float = WAKING_SECONDS) -> None:
        """Return when it is the caller's turn, which may be now; it will need about so many seconds."""
        if self.free:
            return
        turn = asyncio.get_running_loop().create_future()
        self.ask(lambda: self._wake(turn, seconds), principal)
        await turn

    def _wake(self, turn: asyncio.Future[None], seconds: float) -> None:
        if not turn.done():
            turn.set_result(None)
            self._spent += seconds

    def _arm(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._next = None
        self._spent = 0.0
        while self._waiting and self._spent < TURN_SECONDS:
            principal, works = self._waiting.popitem(last=False)
            work = works.popleft()
            if works:
                self._waiting[principal] = works
            work()
        if self._waiting:
            self._arm()
