"""Knows all sessions of this process: finds them, lets clients resume them, brings them their requests' output."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxwire_protocol.messages import Resumed, ResumeFailed
from voxwire_server.session.quotas import OccupiedPlace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Sequence

    from voxwire_protocol.messages import Resume
    from voxwire_server.scheduling.request import RequestOutput
    from voxwire_server.session.driver import Driver
    from voxwire_server.session.quotas import ClientIdentity


@dataclass(frozen=True, slots=True)
class ResumeGrant:
    """The right to go on with a session at another connection: `resumed` is sent, then its log from `position` on."""

    driver: Driver
    position: int
    resumed: Resumed


RETURNING_MAX = 2
"""How many connections at once may announce a resume of one session: two, because the first may be dead without the
server knowing."""


class Sessions:
    """The drivers of all sessions of this process, by session id."""

    def __init__(self) -> None:
        self._drivers: dict[str, Driver] = {}
        self._returning: Counter[str] = Counter()
        self._draining = False
        self._empty: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._drivers)

    @property
    def draining(self) -> bool:
        """Whether the server is going away."""
        return self._draining

    def add(self, driver: Driver) -> None:
        """A session begins."""
        self._drivers[driver.core.session_id] = driver

    def find(self, session_id: str) -> Driver | None:
        """The driver of a session that is not over, its client connected or away."""
        return self._drivers.get(session_id)

    def of_accounts(self, accounts: Collection[str]) -> list[Driver]:
        """The drivers of the sessions of some accounts, their clients connected or away."""
        return [driver for driver in self._drivers.values() if driver.core.identity.account in accounts]

    def occupied_places(self, principal_of: Callable[[ClientIdentity], str]) -> list[OccupiedPlace]:
        """Each session that is not over, and what it uses its place for."""
        found = []
        for session_id, driver in self._drivers.items():
            core = driver.core
            if not core.closed:
                found.append(OccupiedPlace(session_id, principal_of(core.identity), *core.use))
        return found

    def expect(self, session_id: str, account: str) -> bool:
        """Whether a client that announces to resume a session may connect for a moment without a place of its own.

        If so it is counted until `expect_no_more`. For a session of another account the answer is as for none.
        """
        driver = self.find(session_id)
        if driver is None or driver.resumable is None or driver.core.closed or driver.resumable.account != account:
            return False
        if self._returning[session_id] >= RETURNING_MAX:
            return False
        self._returning[session_id] += 1
        return True

    def expect_no_more(self, session_id: str) -> None:
        """A client that was counted by `expect` has resumed the session, or gave up."""
        self._returning[session_id] -= 1
        if self._returning[session_id] <= 0:
            del self._returning[session_id]

    @property
    def away(self) -> int:
        """How many sessions wait for their client to come back."""
        return sum(driver.away for driver in self._drivers.values())

    def claim(self, message: Resume, account: str) -> ResumeGrant | ResumeFailed:
        """Use a token to resume a session; says why not otherwise. `account` is the one that asks."""
        driver = self.find(message.session)
        if driver is None or driver.resumable is None or driver.core.closed:
            return ResumeFailed(reason="unknown")
        able = driver.resumable
        if able.account != account or not able.resume_tokens.redeem(message.token):
            return ResumeFailed(reason="refused")
        numbers = driver.core.numbers
        frames = {numbers[name]: seq for name, seq in message.contexts.items() if name in numbers}
        position = able.log.position_of(message.received, frames)
        if position is None:
            driver.abandon()
            self.remove(driver)
            return ResumeFailed(reason="expired")
        contexts = driver.core.resumed_contexts(able.log.since(position))
        resumed = Resumed(token=able.resume_tokens.current, received=driver.core.received, contexts=contexts)
        return ResumeGrant(driver, position, resumed)

    def remove(self, driver: Driver) -> None:
        """A session is over."""
        self._drivers.pop(driver.core.session_id, None)
        if not self._drivers and self._empty is not None:
            self._empty.set()

    def deliver(self, outputs: Sequence[RequestOutput]) -> None:
        """Bring outputs to their sessions; those of sessions that are over are dropped."""
        for output in outputs:
            context_key: Any = output.request.context_key
            driver = self._drivers.get(context_key[0])
            if driver is not None:
                driver.deliver(context_key[1], output)

    async def drain(self, deadline_ms: int, empty: asyncio.Event) -> None:
        """Ask every session to finish, and return when the last is over; each ends itself at the deadline."""
        self._draining = True
        self._empty = empty
        for driver in list(self._drivers.values()):
            driver.drain(deadline_ms)
        if self._drivers:
            await empty.wait()
