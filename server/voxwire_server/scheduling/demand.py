"""Learns how long streams last, and remembers refused, admitted and interrupted ones: how many are expected soon."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

SESSION_SECONDS = 3.0
"""First guess of a stream's duration: an answer of one sentence. A client that retries too early asks once more, one
that retries too late leaves capacity unused; so the guess is rather short."""

SESSION_TIMES_GUESSED = 2.0
"""The first guess weighs as much as this many ended streams."""

SESSION_TIMES_KEPT = 50.0
"""A stream that ended this many streams ago weighs less than a third in the mean."""

PENDING_RETRIES_MAX = 4096


class MeanSessionTime:
    """The mean duration of a stream: the time that all streams were active, those still active included, divided by the
    number of ended ones.

    That is the maximum likelihood estimate for durations that end at a constant rate, some of them not over yet
    (Epstein and Sobel 1953), with a conjugate prior.
    """

    __slots__ = ("_active_seconds", "_at", "_ended")

    def __init__(self) -> None:
        self._ended = SESSION_TIMES_GUESSED
        self._active_seconds = SESSION_TIMES_GUESSED * SESSION_SECONDS
        self._at = 0.0

    @property
    def seconds(self) -> float:
        """The mean duration."""
        return self._active_seconds / self._ended

    def pass_time(self, streams: int, now: float) -> None:
        """Count `streams` as active since the last call."""
        self._active_seconds += streams * max(0.0, now - self._at)
        self._at = max(now, self._at)

    def end_one(self) -> None:
        """Count a stream that ended."""
        keep = 1.0 - 1.0 / SESSION_TIMES_KEPT
        self._ended = self._ended * keep + 1.0
        self._active_seconds *= keep


class PendingRetries:
    """When the clients of refused streams were asked to retry, by account.

    A session that asks again before its time is counted at most `PER_SESSION_MAX` times, and where several accounts
    share, an account at most `ACCOUNT_MAX` times.
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
        """How many retries are still to come; each of them goes before a stream that is refused now."""
        while self._due and self._due[0][0] <= now:
            _, _, account, session_id = heappop(self._due)
            _count_down(self._accounts, account)
            if session_id is not None:
                _count_down(self._sessions, session_id)
        return len(self._due)

    def of(self, account: str, now: float) -> int:
        """How many retries of an account are still to come."""
        self.ahead(now)
        return self._accounts.get(account, 0)

    def ahead_of(self, account: str, now: float) -> int:
        """How many retries go before an account's next one where accounts take turns: all of its own, and of each other
        account at most one more than that."""
        self.ahead(now)
        own = self._accounts.get(account, 0)
        return own + sum(min(count, own + 1) for other, count in self._accounts.items() if other != account)

    def soon(self, now: float, seconds: float) -> int:
        """How many retries are due within `seconds`."""
        return sum(entry[0] <= now + seconds for entry in self._due[: self.ahead(now)])

    def accounts_soon(self, now: float, seconds: float) -> int:
        """How many accounts have a retry that is due within `seconds`."""
        return len({entry[2] for entry in self._due[: self.ahead(now)] if entry[0] <= now + seconds})

    def add(self, due: float, account: str = "", session_id: Hashable = None, *, shared: bool = False) -> None:
        """Count a stream whose client was asked to retry at `due`. `shared`: several accounts may send requests."""
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


@dataclass(slots=True)
class ExpiringEntry:
    """A reservation of a session, or a pending admission of an account (`key`), valid until a moment.

    One that is used up before that is marked not `valid`, and removed from its queue when it reaches the front.
    """

    until: float
    key: Hashable
    valid: bool = True


class Reservations:
    """Capacity reserved for sessions whose stream was interrupted (barge-in), one entry per stream, for a while.

    A session has at most `PER_SESSION_MAX`.
    """

    PER_SESSION_MAX = 32

    __slots__ = ("_by_session", "_count", "_entries")

    def __init__(self) -> None:
        self._entries: deque[ExpiringEntry] = deque()
        self._by_session: dict[Hashable, deque[ExpiringEntry]] = {}
        self._count = 0

    def count(self, now: float) -> int:
        """How many reservations are valid."""
        while self._entries and (self._entries[0].until <= now or not self._entries[0].valid):
            entry = self._entries.popleft()
            if entry.valid:
                self._remove_oldest(entry.key)
        return self._count

    def add(self, session_id: Hashable, until: float) -> None:
        """Reserve capacity for a session. `until` must not be before that of earlier reservations."""
        own = self._by_session.setdefault(session_id, deque())
        if len(own) < self.PER_SESSION_MAX:
            entry = ExpiringEntry(until, session_id)
            own.append(entry)
            self._entries.append(entry)
            self._count += 1

    def take(self, session_id: Hashable, now: float) -> bool:
        """Use up a session's oldest reservation. Returns whether it had one."""
        self.count(now)
        if session_id not in self._by_session:
            return False
        self._remove_oldest(session_id)
        return True

    def forget(self, session_id: Hashable) -> None:
        """Remove all of a session's reservations."""
        while session_id in self._by_session:
            self._remove_oldest(session_id)

    def _remove_oldest(self, session_id: Hashable) -> None:
        own = self._by_session[session_id]
        own.popleft().valid = False
        self._count -= 1
        if not own:
            del self._by_session[session_id]


class PendingAdmissions:
    """Streams that were admitted and have not started: each counts as an active one for a while."""

    __slots__ = ("_by_account", "_count", "_entries")

    def __init__(self) -> None:
        self._entries: deque[ExpiringEntry] = deque()
        self._by_account: dict[Hashable, deque[ExpiringEntry]] = {}
        self._count = 0

    def count(self, now: float) -> int:
        """How many are pending."""
        while self._entries and (self._entries[0].until <= now or not self._entries[0].valid):
            entry = self._entries.popleft()
            if entry.valid:
                self._remove_oldest(entry.key)
        return self._count

    def count_of(self, account: Hashable, now: float) -> int:
        """How many of an account are pending."""
        self.count(now)
        return len(self._by_account.get(account, ()))

    @property
    def accounts(self) -> Iterable[Hashable]:
        """The accounts that have any."""
        return self._by_account.keys()

    def add(self, until: float, account: str = "") -> None:
        """Count a stream that was admitted. `until` must not be before that of earlier ones."""
        entry = ExpiringEntry(until, account)
        self._entries.append(entry)
        self._by_account.setdefault(account, deque()).append(entry)
        self._count += 1

    def started(self, account: str = "") -> None:
        """A stream started: remove the oldest entry of its account, or where that has none, of any account."""
        if self._by_account:
            self._remove_oldest(account if account in self._by_account else next(iter(self._by_account)))

    def _remove_oldest(self, account: Hashable) -> None:
        own = self._by_account[account]
        own.popleft().valid = False
        self._count -= 1
        if not own:
            del self._by_account[account]


def _count_down(counts: dict[Any, int], key: Hashable) -> None:
    if counts[key] > 1:
        counts[key] -= 1
    else:
        del counts[key]
