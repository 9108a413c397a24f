"""Judges which principal may open one more session, and how fast each may open them. Pure.

A *principal* is what sessions are counted by: the account where several API keys are configured, else the address.

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

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from voxwire_server.session.bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SILENT_SECONDS = 2.0
"""A session whose client has sent nothing for so long may be ended for any other: a client that wants speech
sends something at once."""

IDLE_SECONDS = 60.0
"""A session without an open context for so long may be ended for any other, when no place is free."""

IDLE_OF_MANY_SECONDS = 10.0
"""The same for a session of a principal that has more than its fair part, for one of a principal that has less."""

AWAY_SHARE = 0.5
"""While fewer than this part of all places belong to sessions whose client is away, those sessions are kept."""

PRINCIPALS_MAX = 4096
"""Principals whose arrivals are remembered; beyond that the one that opened a session longest ago is forgotten."""


@lru_cache(maxsize=PRINCIPALS_MAX)
def network_of(address: str) -> str:
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
    """What a session is doing with its place; the lower, the sooner it is ended for another."""

    SILENT = 0
    AWAY = 1
    IDLE = 2
    LIVE = 3


@dataclass(frozen=True, slots=True)
class Seat:
    """One session's place. `since` is when its `use` became what it is, on the clock that `now` is read from."""

    session: str
    principal: str
    use: Use
    since: float


@dataclass(frozen=True, slots=True)
class Granted:
    """There is a place. The caller ends the session `displaced` for it, if there is one."""

    displaced: Seat | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No place. `reason`: "sessions" (all are taken) or "share" (the principal's `held` places are its share)."""

    reason: str
    held: int


class Places:
    """Judges who gets one of `places_max` places."""

    def __init__(self, places_max: int) -> None:
        self._max = places_max

    def judge(
        self, principal: str, share: float, taken: int, seats: Callable[[], Sequence[Seat]], now: float
    ) -> Granted | Refused:
        """Whether one more session of `principal` gets a place.

        `share` is the part of all places that the principal may have while no other has any, in (0, 1]. `taken` is an
        upper bound of the places that are taken; `seats` lists them, and is called only when the bound does not decide.
        """
        if fits(taken, share, self._max - taken):
            return Granted()
        all_seats = seats()
        held = Counter(seat.principal for seat in all_seats)
        free = self._max - len(all_seats)
        if fits(held[principal], share, free):
            return Granted()
        spare = self._spare(principal, all_seats, held, now)
        if spare is not None:
            return Granted(spare)
        return Refused("sessions" if free <= 0 else "share", held[principal])

    def _spare(self, principal: str, seats: Sequence[Seat], held: Counter[str], now: float) -> Seat | None:
        """The session that may be ended so that `principal` gets its place; None when there is none."""
        fair = self._max / len({*held, principal})
        crowded = sum(seat.use is Use.AWAY for seat in seats) >= AWAY_SHARE * self._max
        poor = held[principal] < fair

        def may_go(seat: Seat) -> bool:
            if seat.use is Use.LIVE or not (poor or seat.principal == principal):
                return False
            quiet = now - seat.since
            if poor and held[seat.principal] > fair:
                return seat.use is not Use.IDLE or quiet >= IDLE_OF_MANY_SECONDS
            match seat.use:
                case Use.SILENT:
                    return quiet >= SILENT_SECONDS
                case Use.IDLE:
                    return quiet >= IDLE_SECONDS
                case _:
                    return crowded

        found = [seat for seat in seats if may_go(seat)]
        return min(found, key=lambda seat: (-held[seat.principal], seat.use, seat.since), default=None)


def fits(held: int, share: float, free: int) -> bool:
    """Whether a principal that holds `held` places may take one of the `free` ones."""
    return free > 0 and held * (1.0 - share) < share * free - 1e-9


class Arrivals:
    """Bounds how fast each principal opens sessions: `rate` per second, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def change(self, rate: float, burst: int) -> None:
        """Use another rate and burst from now on; what was counted is forgotten if they differ."""
        if (rate, burst) != (self._rate, self._burst):
            self._rate, self._burst = rate, burst
            self._buckets.clear()

    def wait(self, principal: str, now: float) -> float:
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
