"""Who gets a place: whatever one principal does, something is left for the next, and who speaks keeps what it has."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.session.quotas import (
    AWAY_SHARE,
    IDLE_OF_MANY_SECONDS,
    IDLE_SECONDS,
    SILENT_SECONDS,
    Arrivals,
    Granted,
    Places,
    Refused,
    Seat,
    Use,
    network_of,
)

NOW = 1000.0


class Hall:
    """Places that are taken as they are granted."""

    def __init__(self, places: int, share: float = 0.8) -> None:
        self.places, self.share = Places(places), share
        self.seats: dict[str, Seat] = {}
        self.now = NOW
        self.names = itertools.count()

    def come(self, principal: str, use: Use = Use.LIVE, since: float = NOW) -> Granted | Refused:
        judged = self.places.judge(principal, self.share, len(self.seats), lambda: list(self.seats.values()), self.now)
        if isinstance(judged, Granted):
            if judged.displaced is not None:
                del self.seats[judged.displaced.session]
            name = f"s{next(self.names)}"
            self.seats[name] = Seat(name, principal, use, since)
        return judged

    def fill(self, principal: str, use: Use = Use.LIVE, since: float = NOW) -> int:
        """As many as are let in; each takes a free place."""
        count = 0
        while (judged := self.come(principal, use, since)) == Granted():
            count += 1
        assert isinstance(judged, Refused)
        return count

    def held(self, principal: str) -> int:
        return sum(seat.principal == principal for seat in self.seats.values())


def test_one_principal_alone_gets_its_share_and_the_next_what_is_left():
    hall = Hall(1000)
    assert hall.fill("alice") == 800
    assert hall.come("alice") == Refused("share", 800)
    assert hall.fill("bob") == 160
    assert hall.fill("carol") == 32
    assert len(hall.seats) < 1000


@pytest.mark.parametrize(("places", "alone"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (10, 8)])
def test_few_places(places, alone):
    assert Hall(places).fill("alice") == alone


def test_without_shares_one_principal_gets_all():
    hall = Hall(5, share=1.0)
    assert hall.fill("alice") == 5
    assert hall.come("bob") == Refused("sessions", 0)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=400), st.integers(5, 60))
def test_no_crowd_takes_the_last_place(arrivals, places):
    hall = Hall(places)
    for principal in arrivals:
        hall.come(principal)
        assert len(hall.seats) < places or hall.held("newcomer") == 0
    principals = {seat.principal for seat in hall.seats.values()}
    # Each principal after the first leaves a fifth of what it finds.
    if places * 0.2 ** len(principals) >= 1:
        assert isinstance(hall.come("newcomer"), Granted)


def test_who_speaks_is_never_displaced():
    hall = Hall(10, share=1.0)
    hall.fill("alice")
    hall.now += 10_000
    assert hall.come("bob") == Refused("sessions", 0)


def test_a_newcomer_takes_the_place_of_the_oldest_that_is_away_of_the_principal_with_most():
    hall = Hall(10, share=1.0)
    for at in range(3):
        hall.come("bob", Use.AWAY, NOW - 100 - at)
    for at in range(7):
        hall.come("alice", Use.AWAY, NOW - at)
    judged = hall.come("carol")
    assert isinstance(judged, Granted)
    assert judged.displaced is not None
    assert (judged.displaced.principal, judged.displaced.since) == ("alice", NOW - 6)


def test_displacing_ends_at_the_fair_share():
    hall = Hall(10, share=1.0)
    for _ in range(10):
        hall.come("alice", Use.AWAY)
    while isinstance(hall.come("bob"), Granted):
        assert hall.held("alice") + hall.held("bob") == 10
    assert (hall.held("alice"), hall.held("bob")) == (5, 5)


def test_a_principal_that_is_alone_takes_places_of_its_own_that_are_away_while_they_are_many():
    hall = Hall(10, share=1.0)
    for _ in range(10):
        hall.come("alice", Use.AWAY)
    granted = 0
    while isinstance(hall.come("alice"), Granted):
        granted += 1
    assert granted == 6
    assert sum(seat.use is Use.AWAY for seat in hall.seats.values()) < 10 * AWAY_SHARE


@pytest.mark.parametrize(
    ("use", "own", "others"), [(Use.SILENT, SILENT_SECONDS, 0), (Use.IDLE, IDLE_SECONDS, IDLE_OF_MANY_SECONDS)]
)
def test_places_that_nothing_is_done_with_are_given_away(use, own, others):
    hall = Hall(10, share=1.0)
    hall.fill("alice", use)
    hall.now = NOW + others - 0.1
    assert isinstance(hall.come("bob"), Refused if others else Granted)
    hall.now = NOW + others
    assert isinstance(hall.come("bob"), Granted)
    hall.now = NOW + own - 0.1
    assert isinstance(hall.come("alice"), Refused)
    hall.now = NOW + own
    judged = hall.come("alice")
    assert isinstance(judged, Granted)
    assert judged.displaced is not None


def test_who_has_more_than_its_share_takes_no_place_from_others():
    hall = Hall(10)
    assert hall.fill("alice") == 8
    hall.come("bob", Use.SILENT, NOW - 100)
    assert isinstance(hall.come("alice"), Refused)


def test_addresses_of_one_network_are_one_principal():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("::1") == "::1"
    assert network_of("testclient") == "testclient"
    assert network_of("") == ""


def test_arrivals_are_bounded_by_principal():
    arrivals = Arrivals(rate=10, burst=3)
    assert [arrivals.wait("alice", NOW) for _ in range(3)] == [0.0] * 3
    wait = arrivals.wait("alice", NOW)
    assert wait == pytest.approx(0.1)
    assert arrivals.wait("bob", NOW) == 0.0
    # Those that were turned away do not put off the next.
    assert [arrivals.wait("alice", NOW) for _ in range(50)] == [pytest.approx(0.1)] * 50
    assert arrivals.wait("alice", NOW + 0.11) == 0.0
