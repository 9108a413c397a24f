"""Who may have how many of the places for sessions, and who comes how fast. Pure.

A *party* is whom places are shared between: an account where several API keys are configured, else an address.

While others may still come, a party gets one more place only if it holds fewer than ALPHA times those that are free:
the dynamic threshold by which switches share a buffer between queues (Choudhury and Hahne, "Dynamic queue length
thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking 6(2), 1998). Alone a party gets the
share ALPHA / (1 + ALPHA) of all, two get 44 % each where ALPHA is 4, and whatever they do something is left.

A newcomer that gets no free place may get that of a session that does without one more easily:

    SILENT  its client is connected and has never said anything
    AWAY    its client's connection is gone, and may come back to it
    IDLE    nothing is open in it
    LIVE    a context is open: never given away
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
"""A client that has said nothing for so long loses its place to any other: who connects to speak does so at once."""

IDLE_SECONDS = 60.0
"""A session in which nothing has been open for so long loses its place to any other, when there is no free one."""

IDLE_OF_MANY_SECONDS = 10.0
"""The same for a party with more than its fair share, when one with less wants in."""

AWAY_SHARE = 0.5
"""Of all places, those of sessions whose client is away are at most so many kept from newcomers."""

PARTIES_MAX = 4096
"""Parties whose arrivals are remembered; beyond that the one that came longest ago is forgotten."""


@lru_cache(maxsize=PARTIES_MAX)
def network_of(address: str) -> str:
    """An address as a party: an IPv6 one is its /64, of which one subscriber has all (RFC 6177)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if found.version == 4 or found.is_loopback:
        return str(found)
    assert isinstance(found, IPv6Address)
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))


class Use(IntEnum):
    """What a place is used for; the lower, the sooner it is given away."""

    SILENT = 0
    AWAY = 1
    IDLE = 2
    LIVE = 3


@dataclass(frozen=True, slots=True)
class Seat:
    """One session's place. `since` is the moment from which its use has been what it is."""

    session: str
    party: str
    use: Use
    since: float


@dataclass(frozen=True, slots=True)
class Granted:
    """A place is there, once the session `displaced` has given up its own."""

    displaced: Seat | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No place. `reason`: "sessions" (none is left) or "share" (the party holds `held`, which is its share)."""

    reason: str
    held: int


class Places:
    """Judges who gets one of `places_max` places."""

    def __init__(self, places_max: int) -> None:
        self._max = places_max

    def judge(
        self, party: str, share: float, taken: int, seats: Callable[[], Sequence[Seat]], now: float
    ) -> Granted | Refused:
        """Whether one more session of `party` gets a place.

        `share` is what the party may have at most of all while alone, in (0, 1]. `taken` is how many places are taken
        at the most; `seats` tells each, and is asked only where that matters.
        """
        if fits(taken, share, self._max - taken):
            return Granted()
        all_seats = seats()
        held = Counter(seat.party for seat in all_seats)
        free = self._max - len(all_seats)
        if fits(held[party], share, free):
            return Granted()
        spare = self._spare(party, all_seats, held, now)
        if spare is not None:
            return Granted(spare)
        return Refused("sessions" if free <= 0 else "share", held[party])

    def _spare(self, party: str, seats: Sequence[Seat], held: Counter[str], now: float) -> Seat | None:
        """The place that a session of `party` may have in another's stead."""
        fair = self._max / len({*held, party})
        crowded = sum(seat.use is Use.AWAY for seat in seats) >= AWAY_SHARE * self._max
        poor = held[party] < fair

        def may_go(seat: Seat) -> bool:
            if seat.use is Use.LIVE or not (poor or seat.party == party):
                return False
            quiet = now - seat.since
            if poor and held[seat.party] > fair:
                return seat.use is not Use.IDLE or quiet >= IDLE_OF_MANY_SECONDS
            match seat.use:
                case Use.SILENT:
                    return quiet >= SILENT_SECONDS
                case Use.IDLE:
                    return quiet >= IDLE_SECONDS
                case _:
                    return crowded

        found = [seat for seat in seats if may_go(seat)]
        return min(found, key=lambda seat: (-held[seat.party], seat.use, seat.since), default=None)


def fits(held: int, share: float, free: int) -> bool:
    """Whether a party that holds so many may take one of so many that are free."""
    return free > 0 and held * (1.0 - share) < share * free - 1e-9


class Arrivals:
    """Bounds how fast each party opens sessions: `rate` a second, `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def change(self, rate: float, burst: int) -> None:
        """Go by other bounds from now on."""
        if (rate, burst) != (self._rate, self._burst):
            self._rate, self._burst = rate, burst
            self._buckets.clear()

    def wait(self, party: str, now: float) -> float:
        """Count one more; returns for how many seconds the party has to wait first, and then does not count it."""
        bucket = self._buckets.get(party)
        if bucket is None:
            bucket = self._buckets[party] = TokenBucket(self._rate, self._burst, self._burst, now)
            if len(self._buckets) > PARTIES_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(party)
        if bucket.take(now):
            return 0.0
        bucket.level += 1
        return (1.0 - bucket.level) / self._rate
