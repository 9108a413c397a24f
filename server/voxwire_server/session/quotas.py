"""Owns what clients share, and how much of it each may have: places for sessions, their rate, and memory. Pure.

Places and rates are counted by `Principal`, memory by account and by session. `ClientIdentity` is the account and the
address behind a session.

A principal gets one more place only while it holds fewer than ALPHA times the places that are free, where ALPHA is
share / (1 - share): the dynamic threshold by which switches share a buffer between queues (Choudhury and Hahne,
"Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking 6(2), 1998).
With a share of 0.8, ALPHA is 4: one principal alone gets 80 % of the places, two get 44 % each, and some are always
left for the next.

When no place is free, a session may be ended for the new one. `Use` orders the sessions by how little is lost:

    SILENT  its client is connected and has sent nothing yet
    AWAY    its client's connection is gone; the client may come back to resume it
    IDLE    no context is open
    LIVE    a context is open: never ended for another session
"""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SILENT_SECONDS = 2.0
"""A session whose client has sent nothing for so many seconds may be ended for any other: a client that wants speech
sends something at once."""

IDLE_SECONDS = 60.0
"""A session without an open context for so many seconds may be ended for any other, when no place is free."""

IDLE_OF_MANY_SECONDS = 10.0
"""The same where the session's principal has more than an equal part of all places, and the other's has less."""

AWAY_SHARE = 0.5
"""While fewer than this part of all places belong to sessions whose client is away, those sessions are kept."""

PRINCIPALS_MAX = 4096
"""Principals whose rates are remembered; beyond that the one that opened a session longest ago is forgotten."""

Principal = str
"""What places, rates and the event loop's time are counted by: an account where several API keys are configured, else
the network of an address (`network_of`)."""

_HEADER_TWO, _HEADER_FOUR = sys.getsizeof("\u0101") - 2, sys.getsizeof("\U00010000") - 4
"""Bytes that CPython takes beside the characters for a str whose characters have two, or four, bytes each."""


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """The account and the address behind a session.

    `account` is the name of the API key (behind the token), "anonymous" where no key is configured. `address` is the IP
    address that the connection came from, or what a trusted proxy says of it; "" where it is not known.
    """

    account: str = "anonymous"
    address: str = ""


@dataclass(slots=True)
class TokenBucket:
    """Allows `rate` tokens per second and `size` at once; `level` tokens were left at the time `at`, in seconds."""

    rate: float
    size: float
    level: float
    at: float

    def take(self, now: float) -> bool:
        """Use one token; False when there was none. The level then goes below zero, and later tokens pay it back."""
        self.level = min(self.size, self.level + (now - self.at) * self.rate) - 1
        self.at = now
        return self.level >= 0

    def delay(self) -> float:
        """Seconds until the level is back at zero."""
        return max(0.0, -self.level / self.rate)


@lru_cache(maxsize=PRINCIPALS_MAX)
def network_of(address: str) -> Principal:
    """The principal of an address: of an IPv6 address its /64, because one subscriber has at least that (RFC 6177)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 4 or found.is_loopback:
        return str(found)
    assert isinstance(found, IPv6Address)
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))


class Use(IntEnum):
    """What a session does with its place. One with a lower value is ended first."""

    SILENT = 0
    AWAY = 1
    IDLE = 2
    LIVE = 3


@dataclass(frozen=True, slots=True)
class OccupiedPlace:
    """One session that has a place. `since` is when its `use` became what it is, on the clock of `now`."""

    session: str
    principal: Principal
    use: Use
    since: float


@dataclass(frozen=True, slots=True)
class Granted:
    """A place is granted. If `displaced` is set, the caller first ends that session, whose place it is."""

    displaced: OccupiedPlace | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No place is granted. `reason`: "sessions" (all are taken) or "share" (the principal holds `held` places)."""

    reason: str
    held: int


class Places:
    """Decides which principals get the `places_max` places."""

    def __init__(self, places_max: int) -> None:
        self._max = places_max

    def judge(
        self,
        principal: Principal,
        share: float,
        taken: int,
        occupied_places: Callable[[], Sequence[OccupiedPlace]],
        now: float,
    ) -> Granted | Refused:
        """Whether one more session of `principal` gets a place.

        `share` is the part of all places that the principal may have while no other has any, in (0, 1]. `taken` is an
        upper bound of the places that are taken; `occupied_places`
        lists them, and is called only when the bound does not decide.
        """
        if fits(taken, share, self._max - taken):
            return Granted()
        occupied = occupied_places()
        held = Counter(place.principal for place in occupied)
        free = self._max - len(occupied)
        if fits(held[principal], share, free):
            return Granted()
        spare = self._spare(principal, occupied, held, now)
        if spare is not None:
            return Granted(spare)
        return Refused("sessions" if free <= 0 else "share", held[principal])

    def _spare(
        self, principal: Principal, occupied: Sequence[OccupiedPlace], held: Counter[str], now: float
    ) -> OccupiedPlace | None:
        """The session that may be ended so that `principal` gets its place; None when there is none."""
        fair_share = self._max / len({*held, principal})
        many_away = sum(place.use is Use.AWAY for place in occupied) >= AWAY_SHARE * self._max
        has_little = held[principal] < fair_share

        def may_end(place: OccupiedPlace) -> bool:
            if place.use is Use.LIVE or not (has_little or place.principal == principal):
                return False
            seconds = now - place.since
            if has_little and held[place.principal] > fair_share:
                return place.use is not Use.IDLE or seconds >= IDLE_OF_MANY_SECONDS
            match place.use:
                case Use.SILENT:
                    return seconds >= SILENT_SECONDS
                case Use.IDLE:
                    return seconds >= IDLE_SECONDS
                case _:
                    return many_away

        found = [place for place in occupied if may_end(place)]
        return min(found, key=lambda place: (-held[place.principal], place.use, place.since), default=None)


def fits(held: int, share: float, free: int) -> bool:
    """Whether a principal that holds `held` places may take one of the `free` ones."""
    return free > 0 and held * (1.0 - share) < share * free - 1e-9


class SessionRateLimiter:
    """Bounds how fast each principal opens sessions: `rate` per second, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def change(self, rate: float, burst: int) -> None:
        """Use another rate and burst from now on; if they differ, what was counted is forgotten."""
        if (rate, burst) != (self._rate, self._burst):
            self._rate, self._burst = rate, burst
            self._buckets.clear()

    def wait(self, principal: Principal, now: float) -> float:
        """Count one more session of `principal`. Returns 0, or the seconds to wait first: then it is not counted."""
        bucket = self._buckets.get(principal)
        if bucket is None:
            bucket = self._buckets[principal] = TokenBucket(self._rate, self._burst, self._burst, now)
            if len(self._buckets) > PRINCIPALS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(principal)
        if bucket.take(now):
            return 0.0
        bucket.level += 1
        return (1.0 - bucket.level) / self._rate


class MemoryAccounts:
    """Bytes by account and session; an account may hold `account_bytes_max` bytes in all its sessions together."""

    def __init__(self, account_bytes_max: int) -> None:
        self.account_bytes_max = account_bytes_max
        self._sessions: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._totals: defaultdict[str, int] = defaultdict(int)

    @property
    def bytes(self) -> int:
        """Bytes that all sessions hold."""
        return sum(self._totals.values())

    def of(self, account: str) -> int:
        """Bytes that the sessions of an account hold."""
        return self._totals.get(account, 0)

    def hold(self, account: str, session: str, count: int) -> None:
        """Note that a session holds `count` bytes now; replaces what was noted before."""
        sessions = self._sessions[account]
        self._totals[account] += count - sessions.get(session, 0)
        sessions[session] = count

    def release(self, account: str, session: str) -> None:
        """A session is over and holds nothing any more."""
        sessions = self._sessions.get(account)
        if sessions is None or session not in sessions:
            return
        self._totals[account] -= sessions.pop(session)
        if not sessions:
            del self._sessions[account], self._totals[account]

    def over(self, account: str, session: str) -> bool:
        """Whether the account is over its bound, and this session holds at least an equal part of that bound.

        So sessions that hold little are not refused because others of the same account hold much.
        """
        if self._totals.get(account, 0) <= self.account_bytes_max:
            return False
        sessions = self._sessions[account]
        return sessions.get(session, 0) * len(sessions) >= self.account_bytes_max


class SessionMemory:
    """Counts what one session holds in memory, against its own bound and its account's.

    `context_bytes` is what its contexts hold; `kept_bytes`, set by the driver, is what was sent and not acknowledged.
    """

    def __init__(self, account: str, session: str, bytes_max: int, memory_accounts: MemoryAccounts) -> None:
        self.context_bytes = 0
        self.kept_bytes = 0
        self._account = account
        self._session = session
        self._bytes_max = bytes_max
        self._memory_accounts = memory_accounts

    @property
    def held_bytes(self) -> int:
        """Everything the session holds."""
        return self.context_bytes + self.kept_bytes

    def change(self, count: int) -> bool:
        """Note that the contexts hold `count` bytes more. Returns whether the session holds too much now."""
        self.context_bytes += count
        self._memory_accounts.hold(self._account, self._session, self.held_bytes)
        return self.held_bytes > self._bytes_max or self._memory_accounts.over(self._account, self._session)

    def check(self, count: int) -> None:
        """Check that the session may hold `count` bytes more.

        Raises:
            VoxwireError: client.text_buffer_full.
        """
        over = self._memory_accounts.over(self._account, self._session)
        if not over and self.held_bytes + count <= self._bytes_max:
            return
        bound = "the sessions of one account" if over else "one session"
        raise VoxwireError(
            ErrorCode.TEXT_BUFFER_FULL,
            f"{bound} would hold too much in memory; send this again once some of it has been heard",
            retry_after_ms=1000,
            details={"session_bytes_max": self._bytes_max, "session_bytes": self.held_bytes},
        )

    def release(self) -> None:
        """Note that the session is over and holds nothing."""
        self.context_bytes = self.kept_bytes = 0
        self._memory_accounts.release(self._account, self._session)


def text_bytes(text: str) -> int:
    """Bytes that the characters of a text take in memory: one, two or four each, by the widest among them."""
    if text.isascii():
        return len(text)
    size, length = sys.getsizeof(text), len(text)
    width = 4 if size >= _HEADER_FOUR + 4 * length else 2 if size >= _HEADER_TWO + 2 * length else 1
    return width * length
