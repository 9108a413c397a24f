"""Owns how much of the event loop what clients send may take at a turn, all connections together, and who is next.

turn: TURN_SECONDS of work, one piece of each party after the other; then the loop's timers, sockets and audio
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_SECONDS = 0.002
SHARE_SECONDS = 0.0005
"""How long one connection's bytes are parsed before another's."""

WAKING_SECONDS = 0.00025
"""What a coroutine that waited is taken to need, as it runs only after the turn."""


class Turns:
    """Lines of work that wait for their turns, one for each party (`Place.party`). Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._spent = 0.0
        self._next: asyncio.Handle | None = None

    @property
    def free(self) -> bool:
        """Whether work may be done now, before it is asked for."""
        return self._spent < TURN_SECONDS and not self._waiting

    def ask(self, work: Callable[[], None], party: str = "") -> None:
        """Have something done when its turn comes; it says what it spent."""
        self._waiting.setdefault(party, deque()).append(work)
        self._arm()

    def spend(self, seconds: float) -> None:
        """So much of this turn was used."""
        self._spent += seconds
        self._arm()

    async def wait(self, party: str = "", seconds: float = WAKING_SECONDS) -> None:
        """Return when it is the caller's turn, which may be now; it will need about so many seconds."""
        if self.free:
            return
        turn = asyncio.get_running_loop().create_future()
        self.ask(lambda: self._wake(turn, seconds), party)
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
            party, works = self._waiting.popitem(last=False)
            work = works.popleft()
            if works:
                self._waiting[party] = works
            work()
        if self._waiting:
            self._arm()
