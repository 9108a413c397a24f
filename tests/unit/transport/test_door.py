"""Which connections get a place, and which are closed for others."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from voxwire_server.transport.door import Bounds, Door, Place, State, bounds_for, sharing


@dataclass
class Connection:
    evicted: bool = False
    looked_after: list[float] = field(default_factory=list)

    def overdue(self, now: float) -> None:
        self.looked_after.append(now)

    def evict(self) -> None:
        self.evicted = True


def door(total: int = 100, unknown: int = 100, by_address: int = 100, shared: tuple[str, ...] = ()) -> Door:
    return Door(Bounds(total=total, unknown=unknown, unknown_by_address=by_address), lambda address: address in shared)


def arrive(at: Door, address: str = "192.0.2.1", due: float = 10.0) -> tuple[Connection, Place | None]:
    held = Connection()
    return held, at.arrive(held, address, due, 0.0)


def ways_made(guests: list[tuple[Connection, Place | None]]) -> list[bool]:
    return [held.evicted for held, _ in guests]


def test_the_oldest_of_an_address_that_has_enough_makes_way() -> None:
    at = door(by_address=2)
    other = arrive(at, "192.0.2.9")
    guests = [arrive(at) for _ in range(3)]
    assert ways_made(guests) == [True, False, False]
    assert not other[0].evicted
    assert at.closed["address_full"] == 1


def test_the_address_of_a_proxy_has_no_bound_of_its_own() -> None:
    at = door(by_address=2, shared=("192.0.2.1",))
    assert not any(ways_made([arrive(at) for _ in range(10)]))


def test_the_oldest_of_the_address_that_has_most_makes_way() -> None:
    at = door(unknown=4)
    single = arrive(at, "192.0.2.9")
    guests = [arrive(at) for _ in range(3)]
    newcomer = arrive(at, "192.0.2.8")
    assert ways_made([single, *guests, newcomer]) == [False, True, False, False, False]


def test_a_client_that_was_recognised_is_never_closed_while_it_is_busy() -> None:
    at = door(total=2)
    for _ in range(2):
        _, place = arrive(at)
        assert place is not None
        place.recognised()
    held, place = arrive(at)
    assert place is None
    assert not held.evicted
    assert at.closed["full"] == 1


def test_what_was_idle_longest_makes_way_when_all_is_taken() -> None:
    at = door(total=2)
    guests = [arrive(at) for _ in range(2)]
    for _, place in reversed(guests):
        assert place is not None
        place.recognised()
        place.become(State.IDLE)
    assert arrive(at)[1] is not None
    assert ways_made(guests) == [False, True]


def test_only_those_who_are_due_are_looked_after() -> None:
    at = door()
    early, late = arrive(at, due=1.0), arrive(at, due=2.0)
    at.sweep(1.5)
    assert (early[0].looked_after, late[0].looked_after) == ([1.5], [])


def test_a_place_is_given_back_once_and_for_the_first_reason() -> None:
    at = door()
    _, place = arrive(at)
    assert place is not None
    place.leave("silent")
    place.leave("gone")
    place.recognised()
    assert (dict(at.closed), len(at)) == ({"silent": 1}, 0)


def test_states_are_counted() -> None:
    at = door()
    places = [arrive(at)[1] for _ in range(3)]
    for place in places[1:]:
        assert place is not None
        place.recognised()
    assert at.counts() == {State.UNKNOWN: 1, State.REQUEST: 2, State.IDLE: 0, State.WEBSOCKET: 0}


@pytest.mark.parametrize(
    ("descriptors", "total", "unknown"), [(256, 194, 97), (65_536, 57_314, 1024), (None, 100_000, 1024), (10, 2, 1)]
)
def test_descriptors_are_kept_back(descriptors: int | None, total: int, unknown: int) -> None:
    found = bounds_for(descriptors, 30, unknown=1024, unknown_by_address=256)
    assert (found.total, found.unknown, found.unknown_by_address) == (total, unknown, 256)


def test_proxies_and_unix_sockets_speak_for_many() -> None:
    shared = sharing(("10.0.0.0/8", "::1"))
    assert [shared(each) for each in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "", "192.0.2.1", "2001:db8::1")] == [
        True,
        True,
        True,
        True,
        False,
        False,
    ]
