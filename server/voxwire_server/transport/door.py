"""Bounds connections: how many, for how long, and which one is closed for a new one. One sweeper serves all of them.

    accepted -> UNKNOWN -> (key, token, or no key is wanted) -> REQUEST <-> IDLE
                                                             -> WEBSOCKET

An UNKNOWN connection has shown no key yet. When there are too many, the oldest one of the address with most of them is
closed for the new one: an honest client is recognised within a round trip, so it is hardly ever the oldest. Some file
descriptors are kept back from them, for files and for clients that were let in. Pure, but for `watch` and the calls to
the connections.
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

from voxwire_server.session.quotas import network_of
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
"""One in so many descriptors is kept back for files, engines and connections that are closing; at least the minimum."""

DESCRIPTORS_WANTED = 65_536
"""What the soft limit is raised to at the start, where the hard limit allows."""

RELIEVED_AT_ONCE = 16
"""Connections closed at a sweep that finds no descriptor left."""

CONNECTIONS_MAX = 100_000
"""Connections in all, where the system sets no limit to descriptors."""


class State(Enum):
    """What a connection is. The value is its name in the metrics."""

    UNKNOWN = "unauthenticated"
    REQUEST = "request"
    IDLE = "idle"
    WEBSOCKET = "websocket"


BUSY = (State.REQUEST, State.WEBSOCKET)
"""Connections in these states are never closed for others."""


class Connection(Protocol):
    """What the door calls of a connection."""

    def overdue(self, now: float) -> None:
        """`Place.due` has passed: close, or set a later one."""

    def evict(self) -> None:
        """Close now: the place was given to another connection."""


@dataclass(slots=True, eq=False)
class Place:
    """A connection's place. `due`: its deadline, on the loop's clock. `known`: its state once it is recognised."""

    door: Door
    connection: Connection
    address: str
    due: float
    state: State = State.UNKNOWN
    known: State = State.REQUEST
    left: bool = False
    principal: str = ""
    """Whose share of the loop and of the connections counts: until it has authenticated, that of its address."""

    def recognised(self, principal: str | None = None) -> None:
        """The client has shown who it is, and whose connections are its own."""
        if principal is not None and not self.left:
            self.door.give(self, principal)
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
    """How many connections there may be: in `total`, without a key, and without a key from one address."""

    total: int
    unknown: int
    unknown_by_address: int


@dataclass(slots=True)
class Door:
    """Holds every connection's place. `shared(address)`: whether many clients have it (a proxy). Not thread-safe."""

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

    def arrive(self, connection: Connection, address: str, due: float, now: float) -> Place | None:
        """A place for a connection that was just accepted, or None. Another connection may be closed for it."""
        network = network_of(address)
        at_door = self._unknown.get(network, ())
        if len(at_door) >= self.bounds.unknown_by_address and not self.shared(address):
            self._evict(next(iter(at_door)), "address_full", now)
        elif len(self._places[State.UNKNOWN]) >= self.bounds.unknown:
            self._evict(self._most_expendable(), "unauthenticated_full", now)
        if len(self) >= self.bounds.total and not self._make_room(now):
            self.closed["full"] += 1
            self.warn("full", f"all {self.bounds.total} connections are taken, one more is turned away", now)
            return None
        place = Place(self, connection, network, due, principal=unauthenticated(network))
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

    def give(self, place: Place, principal: str) -> None:
        """A connection is a principal's from now on."""
        if place.principal != principal:
            self._count(place, -1)
            place.principal = principal
            self._count(place, 1)

    def busy(self, principal: str) -> int:
        """How many connections of a principal are not idle."""
        return self._busy[principal]

    @property
    def free(self) -> int:
        """How many more connections there may be, counting the idle and the unauthenticated ones as closed."""
        return self.bounds.total - sum(len(self._places[state]) for state in BUSY)

    def sweep(self, now: float) -> None:
        """Call `overdue` of every connection whose deadline has passed."""
        for place in [place for places in self._places.values() for place in places if place.due <= now]:
            place.connection.overdue(now)

    def relieve(self, now: float) -> None:
        """Close RELIEVED_AT_ONCE connections: the process has run out of descriptors in spite of the bounds."""
        for _ in range(RELIEVED_AT_ONCE):
            if not self._make_room(now):
                return

    def counts(self) -> dict[State, int]:
        """How many connections there are in each state."""
        return {state: len(places) for state, places in self._places.items()}

    def warn(self, kind: str, message: str, now: float) -> None:
        """Log a warning, unless one of its `kind` was logged less than LOG_SECONDS ago."""
        if now - self._warned.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
            self._warned[kind] = now
            log.warning("%s", message)

    def __len__(self) -> int:
        return sum(map(len, self._places.values()))

    def _make_room(self, now: float) -> bool:
        """Close the oldest unknown connection, else the one that has been idle longest; False when there is neither."""
        if self._places[State.UNKNOWN]:
            self._evict(self._most_expendable(), "unauthenticated_full", now)
        elif self._places[State.IDLE]:
            self._evict(next(iter(self._places[State.IDLE])), "full", now)
        else:
            return False
        return True

    def _most_expendable(self) -> Place:
        fullest = max(self._unknown, key=lambda address: len(self._unknown[address]))
        return next(iter(self._unknown[fullest]))

    def _evict(self, place: Place, reason: str, now: float) -> None:
        self.leave(place, reason)
        self.warn(reason, f"{self._why(place, reason)}; the oldest is closed", now)
        place.connection.evict()

    def _why(self, place: Place, reason: str) -> str:
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
            self._busy[place.principal] += more
            if not self._busy[place.principal]:
                del self._busy[place.principal]


def place_of(connection: HTTPConnection) -> Place | None:
    """The place of a request's or a handshake's connection."""
    place: Place | None = connection.scope.get("extensions", {}).get(EXTENSION)
    return place


def unauthenticated(address: str) -> str:
    """The principal of all connections of an address that have not authenticated."""
    return f"unauthenticated {network_of(address)}"


def sharing(proxies: Sequence[str]) -> Callable[[str], bool]:
    """A function that tells whether an address stands for many clients: one of `server.proxies`, or a Unix socket's."""
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

    uvloop closes connections for which it gets no descriptor, and reports nothing; so each sweep tries to get one.
    """
    clock = asyncio.get_running_loop().time
    with probing() as probe:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                door.sweep(clock())
            except Exception:
                log.exception("the sweep of connections failed")
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
