"""Owns the bounds of connections: who is at the door, who is in, who makes way. One sweeper looks after all of them.

    accepted -> UNKNOWN -> (key, token, or no key is wanted) -> REQUEST <-> IDLE
                                                             -> WEBSOCKET

Who is unknown has shown nothing yet. When there are too many of them, the oldest of the address that has most makes way
for the new one: an honest client is recognised within a round trip, and hardly ever the oldest. Descriptors are kept
back, for files and for those who are in. Pure but for the calls to the connections it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import ipaddress
import logging
import os
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from voxwire_server.transport.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.requests import HTTPConnection

log = logging.getLogger("voxwire.door")

EXTENSION = "voxwire.door"
"""The ASGI scope extension that holds the connection's `Place`."""

SWEEP_SECONDS = 0.25
LOG_SECONDS = 10.0
"""No two warnings of a kind come sooner after each other."""

DESCRIPTORS_KEPT_MIN = 32
DESCRIPTORS_KEPT_SHARE = 8
"""One descriptor of so many is kept back for files, engines and connections that close; at least the minimum."""

DESCRIPTORS_WANTED = 65_536

RELIEVED_AT_ONCE = 16

CONNECTIONS_MAX = 100_000
"""Where the system sets no limit to descriptors."""

IPV6_NETWORK_BITS = 64
"""What one subscriber has (RFC 6177): addresses within it count as one."""


class State(Enum):
    """What a connection is. The value is its name in the metrics."""

    UNKNOWN = "unauthenticated"
    REQUEST = "request"
    IDLE = "idle"
    WEBSOCKET = "websocket"


BUSY = (State.REQUEST, State.WEBSOCKET)
"""What never makes way."""


class Held(Protocol):
    """A connection, as the door calls it."""

    def overdue(self, now: float) -> None:
        """`Place.due` has come: close, or set another."""

    def make_way(self) -> None:
        """Close now: another connection needs the place, which is no longer this one's."""


@dataclass(slots=True, eq=False)
class Place:
    """A connection's place. `due`: when to look after it, by the loop's clock; `known`: what it is once let in."""

    door: Door
    held: Held
    address: str
    due: float
    state: State = State.UNKNOWN
    known: State = State.REQUEST
    left: bool = False
    party: str = ""
    """Whom its share of the loop and of the connections is shared with: first all strangers of its address."""

    def recognised(self, party: str | None = None) -> None:
        """The client has shown who it is, and whose connections are its own."""
        if party is not None and not self.left:
            self.door.give(self, party)
        if self.state is State.UNKNOWN:
            self.become(self.known)

    def become(self, state: State) -> None:
        """Be in another state from now on."""
        if not self.left and state is not self.state:
            self.door.move(self, state)

    def leave(self, reason: str) -> None:
        """The connection is over; the first reason counts."""
        self.door.leave(self, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many connections: `total` of all kinds, `unknown` at the door, `unknown_by_address` of those from one."""

    total: int
    unknown: int
    unknown_by_address: int


@dataclass(slots=True)
class Door:
    """Every connection. `shared` tells of an address whether it speaks for many: a proxy's. Not thread-safe."""

    bounds: Bounds
    shared: Callable[[str], bool] = lambda _: False
    turns: Turns = field(default_factory=Turns)
    """Whose bytes are parsed next."""
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that are over, by reason."""
    _places: dict[State, OrderedDict[Place, None]] = field(
        default_factory=lambda: {state: OrderedDict() for state in State}
    )
    _unknown: dict[str, OrderedDict[Place, None]] = field(default_factory=dict)
    _busy: Counter[str] = field(default_factory=Counter)
    _warned: dict[str, float] = field(default_factory=dict)

    def arrive(self, held: Held, address: str, due: float, now: float) -> Place | None:
        """A place for a connection that was just accepted; None when there is none. Others may be made to close."""
        network = network_of(address)
        at_door = self._unknown.get(network, ())
        if len(at_door) >= self.bounds.unknown_by_address and not self.shared(address):
            self._give_up(next(iter(at_door)), "address_full", now)
        elif len(self._places[State.UNKNOWN]) >= self.bounds.unknown:
            self._give_up(self._most_expendable(), "unauthenticated_full", now)
        if len(self) >= self.bounds.total and not self._make_room(now):
            self.closed["full"] += 1
            self.warn("full", f"all {self.bounds.total} connections are taken, one more is turned away", now)
            return None
        place = Place(self, held, network, due, party=stranger(network))
        self._put(place)
        return place

    def move(self, place: Place, state: State) -> None:
        """See `Place.become`."""
        self._take(place)
        place.state = state
        self._put(place)

    def leave(self, place: Place, reason: str) -> None:
        """See `Place.leave`."""
        if not place.left:
            self._take(place)
            place.left = True
            self.closed[reason] += 1

    def give(self, place: Place, party: str) -> None:
        """A connection is a party's from now on."""
        if place.party != party:
            self._count(place, -1)
            place.party = party
            self._count(place, 1)

    def busy(self, party: str) -> int:
        """How many connections of a party are not idle."""
        return self._busy[party]

    @property
    def free(self) -> int:
        """How many more connections there may be, or could be if the idle ones and those at the door made way."""
        return self.bounds.total - sum(len(self._places[state]) for state in BUSY)

    def sweep(self, now: float) -> None:
        """Look after all that are due."""
        for place in [place for places in self._places.values() for place in places if place.due <= now]:
            place.held.overdue(now)

    def relieve(self, now: float) -> None:
        """Close some of those who are missed least: the process has run out of descriptors all the same."""
        for _ in range(RELIEVED_AT_ONCE):
            if not self._make_room(now):
                return

    def counts(self) -> dict[State, int]:
        """How many connections there are in each state."""
        return {state: len(places) for state, places in self._places.items()}

    def warn(self, kind: str, message: str, now: float) -> None:
        """Log a warning, unless one of its kind was logged a moment ago."""
        if now - self._warned.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
            self._warned[kind] = now
            log.warning("%s", message)

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def _make_room(self, now: float) -> bool:
        """Close what is missed least: the oldest at the door, or else what has been idle longest."""
        if self._places[State.UNKNOWN]:
            self._give_up(self._most_expendable(), "unauthenticated_full", now)
        elif self._places[State.IDLE]:
            self._give_up(next(iter(self._places[State.IDLE])), "full", now)
        else:
            return False
        return True

    def _most_expendable(self) -> Place:
        fullest = max(self._unknown, key=lambda address: len(self._unknown[address]))
        return next(iter(self._unknown[fullest]))

    def _give_up(self, place: Place, reason: str, now: float) -> None:
        self.leave(place, reason)
        self.warn(reason, f"{self._said(place, reason)}; the oldest makes way", now)
        place.held.make_way()

    def _said(self, place: Place, reason: str) -> str:
        if reason == "address_full":
            return f"{place.address} has {self.bounds.unknown_by_address} connections that were not authenticated"
        if reason == "unauthenticated_full":
            return f"{self.bounds.unknown} connections were not authenticated, or no place is left for more of them"
        return f"all {self.bounds.total} connections are taken"

    def _put(self, place: Place) -> None:
        self._places[place.state][place] = None
        self._count(place, 1)
        if place.state is State.UNKNOWN:
            self._unknown.setdefault(place.address, OrderedDict())[place] = None

    def _take(self, place: Place) -> None:
        del self._places[place.state][place]
        self._count(place, -1)
        if place.state is State.UNKNOWN:
            of_address = self._unknown[place.address]
            del of_address[place]
            if not of_address:
                del self._unknown[place.address]

    def _count(self, place: Place, more: int) -> None:
        if place.state in BUSY:
            self._busy[place.party] += more
            if not self._busy[place.party]:
                del self._busy[place.party]


class Crumbs:
    """A bucket of frames that bring next to nothing. It fills up with time; seconds are of any clock that runs on."""

    def __init__(self, per_second: float, burst: int) -> None:
        self.per_second = per_second
        self.burst = burst
        self._left = float(burst)
        self._then = 0.0

    def take(self, now: float) -> bool:
        """Count one; False when there are too many."""
        self._left = min(self.burst, self._left + (now - self._then) * self.per_second) - 1
        self._then = now
        return self._left >= 0


def place_of(connection: HTTPConnection) -> Place | None:
    """The place of a request's or a handshake's connection."""
    place: Place | None = connection.scope.get("extensions", {}).get(EXTENSION)
    return place


def stranger(address: str) -> str:
    """The party of all who have shown nothing yet and come from an address."""
    return f"stranger {network_of(address)}"


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The address that an address counts as."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, IPV6_NETWORK_BITS), strict=False).network_address)


def sharing(proxies: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether many speak from an address: a proxy's of `server.proxies`, or none (a Unix socket's)."""
    networks = [ipaddress.ip_network(proxy) for proxy in proxies]

    @functools.lru_cache(maxsize=4096)
    def shared(address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return True
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in networks)

    return shared


def bounds_for(descriptors: int | None, in_use: int, *, unknown: int, unknown_by_address: int) -> Bounds:
    """The bounds of a process that may have `descriptors` open (None: any number) and has `in_use` before it serves."""
    if descriptors is None:
        return Bounds(total=CONNECTIONS_MAX, unknown=unknown, unknown_by_address=unknown_by_address)
    kept = max(DESCRIPTORS_KEPT_MIN, descriptors // DESCRIPTORS_KEPT_SHARE)
    total = max(2, descriptors - in_use - kept)
    return Bounds(total=total, unknown=max(1, min(unknown, total // 2)), unknown_by_address=unknown_by_address)


def descriptors_max() -> int | None:
    """How many files this process may have open; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def raise_descriptors_max() -> None:
    """Take as many descriptors as the system lets this process have: what it starts with is often 1024."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptors_in_use() -> int:
    """How many files this process has open; a guess where the system does not say."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    return DESCRIPTORS_KEPT_MIN


async def watch(door: Door) -> None:
    """Sweep until cancelled, and warn when there are no descriptors left.

    uvloop closes what it can't accept for want of a descriptor and tells nothing of it, so one is asked for each time.
    """
    clock = asyncio.get_running_loop().time
    with probing() as probe:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                door.sweep(clock())
            except Exception:
                log.exception("a connection could not be looked after")
            if not probe():
                door.warn("descriptors", "no descriptors are left (ulimit -n); connections are refused", clock())
                door.relieve(clock())


@contextlib.contextmanager
def probing() -> Iterator[Callable[[], bool]]:
    """A function that tells whether another descriptor could be had."""
    own = os.open(os.devnull, os.O_RDONLY)

    def probe() -> bool:
        try:
            os.close(os.dup(own))
        except OSError as error:
            return error.errno not in (errno.EMFILE, errno.ENFILE)
        return True

    try:
        yield probe
    finally:
        os.close(own)


def watch_counts(door: Door, read_table: Callable[..., None]) -> None:
    """Have the metrics read how many connections there are and why others were closed."""
    read_table(
        "voxwire_connections",
        "Connections, by what they are.",
        ("state",),
        lambda: {(state.value,): count for state, count in door.counts().items()},
    )
    read_table(
        "voxwire_connections_closed",
        "Connections that are over, by reason.",
        ("reason",),
        lambda: {(reason,): count for reason, count in door.closed.items()},
        "counter",
    )
