"""Which connections get a slot, and which are closed for others."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from voxwire_server.transport.connection_limiter import (
    ConnectionLimiter,
    ConnectionLimits,
    ConnectionSlot,
    ConnectionState,
    limits_for,
    shared_by,
)


@dataclass
class Connection:
    evicted: bool = False
    deadlines_passed: list[float] = field(default_factory=list)

    def deadline_passed(self, now: float) -> None:
        self.deadlines_passed.append(now)

    def evict(self) -> None:
        self.evicted = True


def limiter_with(
    total: int = 100, unauthenticated: int = 100, per_address: int = 100, shared: tuple[str, ...] = ()
) -> ConnectionLimiter:
    return ConnectionLimiter(
        ConnectionLimits(total=total, unauthenticated=unauthenticated, unauthenticated_per_address=per_address),
        lambda address: address in shared,
    )


def acquire(
    limiter: ConnectionLimiter, address: str = "192.0.2.1", deadline: float = 10.0
) -> tuple[Connection, ConnectionSlot | None]:
    connection = Connection()
    return connection, limiter.acquire(connection, address, deadline, 0.0)


def evictions(connections: list[tuple[Connection, ConnectionSlot | None]]) -> list[bool]:
    return [connection.evicted for connection, _ in connections]


def test_at_the_limit_of_an_address_its_oldest_connection_is_closed() -> None:
    limiter = limiter_with(per_address=2)
    other = acquire(limiter, "192.0.2.9")
    connections = [acquire(limiter) for _ in range(3)]
    assert evictions(connections) == [True, False, False]
    assert not other[0].evicted
    assert limiter.closed["address_full"] == 1


def test_a_shared_address_has_no_limit_of_its_own() -> None:
    limiter = limiter_with(per_address=2, shared=("192.0.2.1",))
    assert not any(evictions([acquire(limiter) for _ in range(10)]))


def test_at_the_limit_of_all_the_oldest_of_the_fullest_address_is_closed() -> None:
    limiter = limiter_with(unauthenticated=4)
    single = acquire(limiter, "192.0.2.9")
    connections = [acquire(limiter) for _ in range(3)]
    newcomer = acquire(limiter, "192.0.2.8")
    assert evictions([single, *connections, newcomer]) == [False, True, False, False, False]


def test_an_authenticated_connection_is_never_closed_while_it_is_active() -> None:
    limiter = limiter_with(total=2)
    for _ in range(2):
        _, slot = acquire(limiter)
        assert slot is not None
        slot.mark_authenticated()
    connection, slot = acquire(limiter)
    assert slot is None
    assert not connection.evicted
    assert limiter.closed["full"] == 1


def test_the_longest_idle_connection_is_closed_when_all_slots_are_taken() -> None:
    limiter = limiter_with(total=2)
    connections = [acquire(limiter) for _ in range(2)]
    for _, slot in reversed(connections):
        assert slot is not None
        slot.mark_authenticated()
        slot.set_state(ConnectionState.IDLE)
    assert acquire(limiter)[1] is not None
    assert evictions(connections) == [False, True]


def test_a_sweep_calls_only_connections_whose_deadline_has_passed() -> None:
    limiter = limiter_with()
    early, late = acquire(limiter, deadline=1.0), acquire(limiter, deadline=2.0)
    limiter.sweep(1.5)
    assert (early[0].deadlines_passed, late[0].deadlines_passed) == ([1.5], [])


def test_a_slot_is_released_once_and_for_the_first_reason() -> None:
    limiter = limiter_with()
    _, slot = acquire(limiter)
    assert slot is not None
    slot.release("silent")
    slot.release("gone")
    slot.mark_authenticated()
    assert (dict(limiter.closed), len(limiter)) == ({"silent": 1}, 0)


def test_states_are_counted() -> None:
    limiter = limiter_with()
    slots = [acquire(limiter)[1] for _ in range(3)]
    for slot in slots[1:]:
        assert slot is not None
        slot.mark_authenticated()
    assert limiter.counts() == {
        ConnectionState.UNAUTHENTICATED: 1,
        ConnectionState.REQUEST: 2,
        ConnectionState.IDLE: 0,
        ConnectionState.WEBSOCKET: 0,
    }


@pytest.mark.parametrize(
    ("descriptors", "total", "unauthenticated"),
    [(256, 194, 97), (65_536, 57_314, 1024), (None, 100_000, 1024), (10, 2, 1)],
)
def test_some_descriptors_are_reserved(descriptors: int | None, total: int, unauthenticated: int) -> None:
    found = limits_for(descriptors, 30, unauthenticated=1024, unauthenticated_per_address=256)
    assert (found.total, found.unauthenticated, found.unauthenticated_per_address) == (total, unauthenticated, 256)


def test_proxies_and_unix_sockets_are_shared_addresses() -> None:
    shared = shared_by(("10.0.0.0/8", "::1"))
    assert [shared(each) for each in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "", "192.0.2.1", "2001:db8::1")] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
