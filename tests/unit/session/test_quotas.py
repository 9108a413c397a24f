"""Shares of places and rates: whatever one principal does, something is left for the next, and live sessions stay."""

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
    Granted,
    OccupiedPlace,
    Places,
    Refused,
    SessionRateLimiter,
    TokenBucket,
    Use,
    network_of,
)

NOW = 1000.0


class PlacePool:
    """Places that are taken as they are granted."""

    def __init__(self, places: int, share: float = 0.8) -> None:
        self.places, self.share = Places(places), share
        self.occupied_places: dict[str, OccupiedPlace] = {}
        self.now = NOW
        self.names = itertools.count()

    def arrive(self, principal: str, use: Use = Use.LIVE, since: float = NOW) -> Granted | Refused:
        judged = self.places.judge(
            principal, self.share, len(self.occupied_places), lambda: list(self.occupied_places.values()), self.now
        )
        if isinstance(judged, Granted):
            if judged.displaced is not None:
                del self.occupied_places[judged.displaced.session]
            name = f"s{next(self.names)}"
            self.occupied_places[name] = OccupiedPlace(name, principal, use, since)
        return judged

    def fill(self, principal: str, use: Use = Use.LIVE, since: float = NOW) -> int:
        """Open as many sessions as get a free place; returns how many."""
        count = 0
        while (judged := self.arrive(principal, use, since)) == Granted():
            count += 1
        assert isinstance(judged, Refused)
        return count

    def held(self, principal: str) -> int:
        return sum(place.principal == principal for place in self.occupied_places.values())


def test_one_principal_alone_gets_its_share_and_the_next_what_is_left():
    pool = PlacePool(1000)
    assert pool.fill("alice") == 800
    assert pool.arrive("alice") == Refused("share", 800)
    assert pool.fill("bob") == 160
    assert pool.fill("carol") == 32
    assert len(pool.occupied_places) < 1000


@pytest.mark.parametrize(("places", "alone"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (10, 8)])
def test_shares_of_few_places(places, alone):
    assert PlacePool(places).fill("alice") == alone


def test_without_shares_one_principal_gets_all():
    pool = PlacePool(5, share=1.0)
    assert pool.fill("alice") == 5
    assert pool.arrive("bob") == Refused("sessions", 0)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=400), st.integers(5, 60))
def test_a_newcomer_finds_a_place_however_many_others_came(arrivals, places):
    pool = PlacePool(places)
    for principal in arrivals:
        pool.arrive(principal)
        assert len(pool.occupied_places) < places or pool.held("newcomer") == 0
    principals = {place.principal for place in pool.occupied_places.values()}
    # Each principal after the first leaves a fifth of what it finds.
    if places * 0.2 ** len(principals) >= 1:
        assert isinstance(pool.arrive("newcomer"), Granted)


def test_live_sessions_are_never_displaced():
    pool = PlacePool(10, share=1.0)
    pool.fill("alice")
    pool.now += 10_000
    assert pool.arrive("bob") == Refused("sessions", 0)


def test_a_newcomer_takes_the_place_of_the_oldest_that_is_away_of_the_principal_with_most():
    pool = PlacePool(10, share=1.0)
    for at in range(3):
        pool.arrive("bob", Use.AWAY, NOW - 100 - at)
    for at in range(7):
        pool.arrive("alice", Use.AWAY, NOW - at)
    judged = pool.arrive("carol")
    assert isinstance(judged, Granted)
    assert judged.displaced is not None
    assert (judged.displaced.principal, judged.displaced.since) == ("alice", NOW - 6)


def test_displacing_ends_at_the_fair_share():
    pool = PlacePool(10, share=1.0)
    for _ in range(10):
        pool.arrive("alice", Use.AWAY)
    while isinstance(pool.arrive("bob"), Granted):
        assert pool.held("alice") + pool.held("bob") == 10
    assert (pool.held("alice"), pool.held("bob")) == (5, 5)


def test_a_principal_that_is_alone_takes_places_of_its_own_that_are_away_while_they_are_many():
    pool = PlacePool(10, share=1.0)
    for _ in range(10):
        pool.arrive("alice", Use.AWAY)
    granted = 0
    while isinstance(pool.arrive("alice"), Granted):
        granted += 1
    assert granted == 6
    assert sum(place.use is Use.AWAY for place in pool.occupied_places.values()) < 10 * AWAY_SHARE


@pytest.mark.parametrize(
    ("use", "own", "others"), [(Use.SILENT, SILENT_SECONDS, 0), (Use.IDLE, IDLE_SECONDS, IDLE_OF_MANY_SECONDS)]
)
def test_unused_places_are_given_to_others(use, own, others):
    pool = PlacePool(10, share=1.0)
    pool.fill("alice", use)
    pool.now = NOW + others - 0.1
    assert isinstance(pool.arrive("bob"), Refused if others else Granted)
    pool.now = NOW + others
    assert isinstance(pool.arrive("bob"), Granted)
    pool.now = NOW + own - 0.1
    assert isinstance(pool.arrive("alice"), Refused)
    pool.now = NOW + own
    judged = pool.arrive("alice")
    assert isinstance(judged, Granted)
    assert judged.displaced is not None


def test_a_principal_above_its_share_displaces_no_other():
    pool = PlacePool(10)
    assert pool.fill("alice") == 8
    pool.arrive("bob", Use.SILENT, NOW - 100)
    assert isinstance(pool.arrive("alice"), Refused)


def test_addresses_of_one_network_are_one_principal():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("::1") == "::1"
    assert network_of("testclient") == "testclient"
    assert network_of("") == ""


def test_arrivals_are_bounded_by_principal():
    limiter = SessionRateLimiter(rate=10, burst=3)
    assert [limiter.wait("alice", NOW) for _ in range(3)] == [0.0] * 3
    wait = limiter.wait("alice", NOW)
    assert wait == pytest.approx(0.1)
    assert limiter.wait("bob", NOW) == 0.0
    # Refused sessions do not make the next wait longer.
    assert [limiter.wait("alice", NOW) for _ in range(50)] == [pytest.approx(0.1)] * 50
    assert limiter.wait("alice", NOW + 0.11) == 0.0


def test_tokens_come_back_with_time() -> None:
    bucket = TokenBucket(rate=10, size=3, level=3, at=0.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(100.05)
    assert bucket.take(100.4)
