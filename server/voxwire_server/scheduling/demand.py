"""Learns how long listeners stay, and remembers whom it asked to come back. Says so when the next can be let in."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

SESSION_SECONDS = 3.0
"""First guess: an answer of one sentence. Who comes back too early asks once more, who comes back too late leaves a
place empty; so the guess is rather short."""

SESSION_TIMES_GUESSED = 2.0
"""The first guess weighs as much as so many listeners who left."""

SESSION_TIMES_KEPT = 50.0
"""Of what was seen, the part that is older than so many listeners who left counts less than a third."""

PENDING_RETRIES_MAX = 4096


class MeanSessionTime:
    """How long a listener stays on average: the time that all listened, those who still do included, by how many left.

    That is the maximum likelihood estimate for stays that end at a constant rate, some of them not over yet (Epstein
    and Sobel 1953), with a conjugate prior.
    """

    __slots__ = ("_at", "_left", "_listened")

    def __init__(self) -> None:
        self._left = SESSION_TIMES_GUESSED
        self._listened = SESSION_TIMES_GUESSED * SESSION_SECONDS
        self._at = 0.0

    @property
    def seconds(self) -> float:
        """The mean stay."""
        return self._listened / self._left

    def pass_time(self, streams: int, now: float) -> None:
        """So many have listened since the last call."""
        self._listened += streams * max(0.0, now - self._at)
        self._at = max(now, self._at)

    def leave(self) -> None:
        """One left."""
        keep = 1.0 - 1.0 / SESSION_TIMES_KEPT
        self._left = self._left * keep + 1.0
        self._listened *= keep


@dataclass(slots=True)
class PendingRetry:
    """Something that holds until a moment, of an account or of a caller; or no more, and is dropped when met."""

    until: float
    whose: Hashable
    holds: bool = True


class PendingRetries:
    """When those who were refused were asked to come back, by account.

    A caller that asks again and again before its time is remembered `PER_SESSION_MAX` times, an account `ACCOUNT_MAX`
    times.
    """

    PER_SESSION_MAX = 32
    ACCOUNT_MAX = 1024

    __slots__ = ("_accounts", "_due", "_order", "_sessions")

    def __init__(self) -> None:
        self._due: list[tuple[float, int, str, Hashable]] = []
        self._accounts: dict[str, int] = {}
        self._sessions: dict[Hashable, int] = {}
        self._order = 0

    def ahead(self, now: float) -> int:
        """How many are still to come back: they stand in front of whoever is refused now."""
        while self._due and self._due[0][0] <= now:
            _, _, account, session_id = heappop(self._due)
            _count_down(self._accounts, account)
            if session_id is not None:
                _count_down(self._sessions, session_id)
        return len(self._due)

    def of(self, account: str, now: float) -> int:
        """How many of an account are still to come back."""
        self.ahead(now)
        return self._accounts.get(account, 0)

    def ahead_of(self, account: str, now: float) -> int:
        """How many stand in front of an account's next where accounts come back in turn: its own, and of each other
        account at most as many and one."""
        self.ahead(now)
        own = self._accounts.get(account, 0)
        return own + sum(min(count, own + 1) for other, count in self._accounts.items() if other != account)

    def soon(self, now: float, seconds: float) -> int:
        """How many are to come back within so many seconds."""
        return sum(entry[0] <= now + seconds for entry in self._due[: self.ahead(now)])

    def accounts_soon(self, now: float, seconds: float) -> int:
        """How many accounts have anybody to come back within so many seconds."""
        return len({entry[2] for entry in self._due[: self.ahead(now)] if entry[0] <= now + seconds})

    def add(self, due: float, account: str = "", session_id: Hashable = None, *, shared: bool = False) -> None:
        """One more was asked to come back at `due`. `shared`: several accounts may come."""
        count, asked = self._accounts.get(account, 0), self._sessions.get(session_id, 0)
        if (
            len(self._due) >= PENDING_RETRIES_MAX
            or asked >= self.PER_SESSION_MAX
            or (shared and count >= self.ACCOUNT_MAX)
        ):
            return
        self._order += 1
        heappush(self._due, (due, self._order, account, session_id))
        self._accounts[account] = count + 1
        if session_id is not None:
            self._sessions[session_id] = asked + 1


class Reservations:
    """Places of listeners who broke in, each kept for one caller for a while; `PER_SESSION_MAX` at most for each."""

    PER_SESSION_MAX = 32

    __slots__ = ("_by_session", "_count", "_places")

    def __init__(self) -> None:
        self._places: deque[PendingRetry] = deque()
        self._by_session: dict[Hashable, deque[PendingRetry]] = {}
        self._count = 0

    def count(self, now: float) -> int:
        """How many are kept."""
        while self._places and (self._places[0].until <= now or not self._places[0].holds):
            entry = self._places.popleft()
            if entry.holds:
                self._give_up(entry.whose)
        return self._count

    def add(self, session_id: Hashable, until: float) -> None:
        """Keep one more for a caller until then, no sooner than those before it."""
        own = self._by_session.setdefault(session_id, deque())
        if len(own) < self.PER_SESSION_MAX:
            entry = PendingRetry(until, session_id)
            own.append(entry)
            self._places.append(entry)
            self._count += 1

    def take(self, session_id: Hashable, now: float) -> bool:
        """Give a caller its place back, if one is kept for it."""
        self.count(now)
        if session_id not in self._by_session:
            return False
        self._give_up(session_id)
        return True

    def forget(self, session_id: Hashable) -> None:
        """Keep none for a caller any more."""
        while session_id in self._by_session:
            self._give_up(session_id)

    def _give_up(self, session_id: Hashable) -> None:
        """Keep the oldest place of a caller no more."""
        own = self._by_session[session_id]
        own.popleft().holds = False
        self._count -= 1
        if not own:
            del self._by_session[session_id]


class PendingAdmissions:
    """Who was let in and has not begun to listen: each counts as a listener for a while."""

    __slots__ = ("_by_account", "_count", "_until")

    def __init__(self) -> None:
        self._until: deque[PendingRetry] = deque()
        self._by_account: dict[Hashable, deque[PendingRetry]] = {}
        self._count = 0

    def count(self, now: float) -> int:
        """How many are expected."""
        while self._until and (self._until[0].until <= now or not self._until[0].holds):
            entry = self._until.popleft()
            if entry.holds:
                self._give_up(entry.whose)
        return self._count

    def count_of(self, account: Hashable, now: float) -> int:
        """How many of an account are expected."""
        self.count(now)
        return len(self._by_account.get(account, ()))

    @property
    def accounts(self) -> Iterable[Hashable]:
        """Who expects any."""
        return self._by_account.keys()

    def add(self, until: float, account: str = "") -> None:
        """One more was let in; given up at `until`, no sooner than those before it."""
        entry = PendingRetry(until, account)
        self._until.append(entry)
        self._by_account.setdefault(account, deque()).append(entry)
        self._count += 1

    def came(self, account: str = "") -> None:
        """One began to listen: of an account, or where that expects none, of any."""
        if self._by_account:
            self._give_up(account if account in self._by_account else next(iter(self._by_account)))

    def _give_up(self, account: Hashable) -> None:
        """Expect the oldest of an account no more."""
        own = self._by_account[account]
        own.popleft().holds = False
        self._count -= 1
        if not own:
            del self._by_account[account]


def _count_down(counts: dict[Any, int], key: Hashable) -> None:
    if counts[key] > 1:
        counts[key] -= 1
    else:
        del counts[key]
