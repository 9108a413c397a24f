"""Limits connections: how many there are, how long each may wait, and which one is closed for a new one.

    accepted -> UNAUTHENTICATED -> (valid key or token, or no keys are configured) -> REQUEST <-> IDLE
                                                                                   -> WEBSOCKET

When too many connections are unauthenticated, the oldest one of the address that has most of them is closed for the new
one: an honest client authenticates within a round trip, so it is hardly ever the oldest. Some file descriptors are
reserved for files and for authenticated clients. Free of I/O, except for `sweep_forever` and the calls to connections.
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
from voxwire_server.transport.input_scheduler import InputScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.requests import HTTPConnection

log = logging.getLogger("voxwire.connections")

EXTENSION = "voxwire.connection_slot"
"""The ASGI scope extension that holds the connection's `ConnectionSlot`."""

SWEEP_SECONDS = 0.25
LOG_SECONDS = 10.0
"""The least time between two warnings of one kind."""

DESCRIPTORS_KEPT_MIN = 32
DESCRIPTORS_KEPT_SHARE = 8
"""Descriptors reserved for files, engines and connections that are closing: all divided by DESCRIPTORS_KEPT_SHARE, or
DESCRIPTORS_KEPT_MIN where that is more."""

DESCRIPTORS_WANTED = 65_536
"""What the soft limit is raised to at the start, where the hard limit allows."""

EVICTIONS_PER_SWEEP = 16
"""Connections closed by a sweep that finds no free descriptor."""

CONNECTIONS_MAX = 100_000
"""Connections in all, where the system sets no limit to descriptors."""


class ConnectionState(Enum):
    """What a connection is used for. The value is the label in the metrics."""

    UNAUTHENTICATED = "unauthenticated"
    REQUEST = "request"
    IDLE = "idle"
    WEBSOCKET = "websocket"


ACTIVE_STATES = (ConnectionState.REQUEST, ConnectionState.WEBSOCKET)
"""Connections in these states are never closed for others."""


class LimitedConnection(Protocol):
    """What the limiter calls of a connection."""

    def deadline_passed(self, now: float) -> None:
        """`ConnectionSlot.deadline` has passed: close, or set a later one."""

    def evict(self) -> None:
        """Close now: the slot was given to another connection."""


@dataclass(slots=True, eq=False)
class ConnectionSlot:
    """One connection's place among those that the limiter allows.

    `deadline`: in seconds on the event loop's clock. `authenticated_state`: its state once it has authenticated.
    """

    limiter: ConnectionLimiter
    connection: LimitedConnection
    address: str
    deadline: float
    state: ConnectionState = ConnectionState.UNAUTHENTICATED
    authenticated_state: ConnectionState = ConnectionState.REQUEST
    released: bool = False
    principal: str = ""
    """The principal that the connection and its use of the event loop count towards: before authentication, one made of
    its address."""

    def mark_authenticated(self, principal: str | None = None) -> None:
        """The client has authenticated; from now on the connection counts for `principal` (None: as before)."""
        if principal is not None and not self.released:
            self.limiter.set_principal(self, principal)
        if self.state is ConnectionState.UNAUTHENTICATED:
            self.set_state(self.authenticated_state)

    def set_state(self, state: ConnectionState) -> None:
        """Change the state; nothing happens once the slot is released."""
        if not self.released and state is not self.state:
            self.limiter.set_state(self, state)

    def release(self, reason: str) -> None:
        """The connection is closed. Only the first call counts, with its reason."""
        self.limiter.release(self, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections there may be: in all, unauthenticated, and unauthenticated from one address."""

    total: int
    unauthenticated: int
    unauthenticated_per_address: int


@dataclass(slots=True)
class ConnectionLimiter:
    """Holds the slot of every connection. Not thread-safe.

    `is_shared(address)`: whether many clients have that address, as those behind a proxy do.
    """

    limits: ConnectionLimits
    is_shared: Callable[[str], bool] = lambda _: False
    input_scheduler: InputScheduler = field(default_factory=InputScheduler)
    """Whose input is parsed next."""
    closed: Counter[str] = field(default_factory=Counter)
    """Closed connections, by reason."""
    _slots: dict[ConnectionState, OrderedDict[ConnectionSlot, None]] = field(
        default_factory=lambda: {state: OrderedDict() for state in ConnectionState}
    )
    _unauthenticated: dict[str, OrderedDict[ConnectionSlot, None]] = field(default_factory=dict)
    _active: Counter[str] = field(default_factory=Counter)
    _warned_at: dict[str, float] = field(default_factory=dict)

    def acquire(
        self, connection: LimitedConnection, address: str, deadline: float, now: float
    ) -> ConnectionSlot | None:
        """A slot for a new connection, for which another one may be closed. None: refuse the new connection."""
        network = network_of(address)
        of_address = self._unauthenticated.get(network, ())
        if len(of_address) >= self.limits.unauthenticated_per_address and not self.is_shared(address):
            self._evict(next(iter(of_address)), "address_full", now)
        elif len(self._slots[ConnectionState.UNAUTHENTICATED]) >= self.limits.unauthenticated:
            self._evict(self._oldest_of_fullest_address(), "unauthenticated_full", now)
        if len(self) >= self.limits.total and not self._evict_one(now):
            self.closed["full"] += 1
            self.warn("full", f"all {self.limits.total} connections are taken, one more is turned away", now)
            return None
        slot = ConnectionSlot(self, connection, network, deadline, principal=unauthenticated_principal(network))
        self._add(slot)
        return slot

    def set_state(self, slot: ConnectionSlot, state: ConnectionState) -> None:
        """See `ConnectionSlot.set_state`."""
        self._remove(slot)
        slot.state = state
        self._add(slot)

    def release(self, slot: ConnectionSlot, reason: str) -> None:
        """See `ConnectionSlot.release`."""
        if not slot.released:
            self._remove(slot)
            slot.released = True
            self.closed[reason] += 1

    def set_principal(self, slot: ConnectionSlot, principal: str) -> None:
        """Count a connection for another principal from now on."""
        if slot.principal != principal:
            self._count_active(slot, -1)
            slot.principal = principal
            self._count_active(slot, 1)

    def active_connections(self, principal: str) -> int:
        """How many connections of a principal are in one of ACTIVE_STATES."""
        return self._active[principal]

    @property
    def available(self) -> int:
        """How many more connections could be active: idle and unauthenticated ones would be closed for them."""
        return self.limits.total - sum(len(self._slots[state]) for state in ACTIVE_STATES)

    def sweep(self, now: float) -> None:
        """Call `deadline_passed` of every connection whose deadline has passed."""
        for slot in [slot for slots in self._slots.values() for slot in slots if slot.deadline <= now]:
            slot.connection.deadline_passed(now)

    def evict_some(self, now: float) -> None:
        """Close EVICTIONS_PER_SWEEP connections: the process has run out of descriptors in spite of the limits."""
        for _ in range(EVICTIONS_PER_SWEEP):
            if not self._evict_one(now):
                return

    def counts(self) -> dict[ConnectionState, int]:
        """How many connections there are in each state."""
        return {state: len(slots) for state, slots in self._slots.items()}

    def warn(self, kind: str, message: str, now: float) -> None:
        """Log a warning, unless one of its `kind` was logged less than LOG_SECONDS ago."""
        if now - self._warned_at.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
            self._warned_at[kind] = now
            log.warning("%s", message)

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def _evict_one(self, now: float) -> bool:
        """Close an unauthenticated connection, else the one that has been idle longest; False if there is neither."""
        if self._slots[ConnectionState.UNAUTHENTICATED]:
            self._evict(self._oldest_of_fullest_address(), "unauthenticated_full", now)
        elif self._slots[ConnectionState.IDLE]:
            self._evict(next(iter(self._slots[ConnectionState.IDLE])), "full", now)
        else:
            return False
        return True

    def _oldest_of_fullest_address(self) -> ConnectionSlot:
        """The oldest unauthenticated connection of the address that has most of them."""
        fullest = max(self._unauthenticated, key=lambda address: len(self._unauthenticated[address]))
        return next(iter(self._unauthenticated[fullest]))

    def _evict(self, slot: ConnectionSlot, reason: str, now: float) -> None:
        self.release(slot, reason)
        self.warn(reason, f"{self._explain(slot, reason)}; the oldest is closed", now)
        slot.connection.evict()

    def _explain(self, slot: ConnectionSlot, reason: str) -> str:
        """Why a connection is evicted, for the log."""
        if reason == "address_full":
            count = self.limits.unauthenticated_per_address
            return f"{slot.address} has {count} connections that were not authenticated"
        if reason == "unauthenticated_full":
            count = self.limits.unauthenticated
            return f"{count} connections were not authenticated, or no place is left for more of them"
        return f"all {self.limits.total} connections are taken"

    def _add(self, slot: ConnectionSlot) -> None:
        self._slots[slot.state][slot] = None
        self._count_active(slot, 1)
        if slot.state is ConnectionState.UNAUTHENTICATED:
            self._unauthenticated.setdefault(slot.address, OrderedDict())[slot] = None

    def _remove(self, slot: ConnectionSlot) -> None:
        del self._slots[slot.state][slot]
        self._count_active(slot, -1)
        if slot.state is ConnectionState.UNAUTHENTICATED:
            of_address = self._unauthenticated[slot.address]
            del of_address[slot]
            if not of_address:
                del self._unauthenticated[slot.address]

    def _count_active(self, slot: ConnectionSlot, change: int) -> None:
        if slot.state in ACTIVE_STATES:
            self._active[slot.principal] += change
            if not self._active[slot.principal]:
                del self._active[slot.principal]


def slot_of(connection: HTTPConnection) -> ConnectionSlot | None:
    """The slot of the connection that a request or a handshake came on."""
    slot: ConnectionSlot | None = connection.scope.get("extensions", {}).get(EXTENSION)
    return slot


def unauthenticated_principal(address: str) -> str:
    """The principal of all connections of an address that have not authenticated."""
    return f"unauthenticated {network_of(address)}"


def shared_by(proxies: Sequence[str]) -> Callable[[str], bool]:
    """A function that tells whether an address stands for many clients: one of `server.proxies`, or a Unix socket's."""
    networks = [ipaddress.ip_network(proxy) for proxy in proxies]

    @functools.lru_cache(maxsize=4096)
    def is_shared(address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return True
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in networks)

    return is_shared


def limits_for(
    descriptors: int | None, in_use: int, *, unauthenticated: int, unauthenticated_per_address: int
) -> ConnectionLimits:
    """The limits of a process that may have `descriptors` open (None: any number) and has `in_use` before it serves."""
    total = CONNECTIONS_MAX
    if descriptors is not None:
        kept = max(DESCRIPTORS_KEPT_MIN, descriptors // DESCRIPTORS_KEPT_SHARE)
        total = max(2, descriptors - in_use - kept)
        unauthenticated = max(1, min(unauthenticated, total // 2))
    return ConnectionLimits(
        total=total, unauthenticated=unauthenticated, unauthenticated_per_address=unauthenticated_per_address
    )


# -- file descriptors -------------------------------------------------------------------------------------------------


def descriptors_max() -> int | None:
    """How many files this process may have open; None where there is no such limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def raise_descriptors_max() -> None:
    """Raise the soft limit of descriptors as far as the system allows: it is often 1024 at the start."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = DESCRIPTORS_WANTED if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_WANTED)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptors_in_use() -> int:
    """How many files this process has open; an estimate where the system does not tell."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    return DESCRIPTORS_KEPT_MIN


async def sweep_forever(limiter: ConnectionLimiter) -> None:
    """Sweep until cancelled, and warn when no descriptor is free.

    uvloop closes connections for which it gets no descriptor, and reports nothing; so each sweep tries to get one.
    """
    clock = asyncio.get_running_loop().time
    with descriptor_probe() as probe:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                limiter.sweep(clock())
            except Exception:
                log.exception("the sweep of connections failed")
            if not probe():
                limiter.warn("descriptors", "no descriptors are left (ulimit -n); connections are refused", clock())
                limiter.evict_some(clock())


@contextlib.contextmanager
def descriptor_probe() -> Iterator[Callable[[], bool]]:
    """A function that tells whether the process could open one more file."""
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


def export_counts(limiter: ConnectionLimiter, read_table: Callable[..., None]) -> None:
    """Have the metrics read how many connections there are, and how many were closed for which reason."""
    read_table(
        "voxwire_connections",
        "Connections, by what they are.",
        ("state",),
        lambda: {(state.value,): count for state, count in limiter.counts().items()},
    )
    read_table(
        "voxwire_connections_closed",
        "Connections that are over, by reason.",
        ("reason",),
        lambda: {(reason,): count for reason, count in limiter.closed.items()},
        "counter",
    )
