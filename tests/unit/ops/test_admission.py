from itertools import pairwise

from voxwire_server.ops.admission import Readiness
from voxwire_server.scheduling.admission import Refusal, RefusalReason

FULL = Refusal(9000, RefusalReason.UTILISATION)


def watch(readiness, seen, begin=0.0):
    """Look every quarter of a second; gives whether it was overloaded after each look."""
    told = []
    for number, full in enumerate(seen):
        readiness.look(FULL if full else None, begin + number * 0.25)
        told.append(readiness.retry_ms is not None)
    return told


def test_a_moment_of_overload_is_not_reported():
    assert not any(watch(Readiness(), [True] * 8 + [False] * 8))


def test_overload_that_lasts_is_reported_after_some_seconds():
    told = watch(Readiness(), [True] * 40)
    assert 3.0 < told.index(True) * 0.25 < 5.0
    assert all(told[told.index(True) :])


def test_a_place_that_is_free_for_a_moment_now_and_then_does_not_make_it_flap():
    told = watch(Readiness(), ([True] * 4 + [False]) * 200)
    changes = sum(a != b for a, b in pairwise(told))
    assert changes == 1
    assert told[-1]


def test_room_that_lasts_opens_again():
    readiness = Readiness()
    watch(readiness, [True] * 100)
    told = watch(readiness, [False] * 60, begin=25.0)
    assert 4.0 < told.index(False) * 0.25 < 7.0
    assert not any(told[told.index(False) :])


def test_the_retry_time_covers_the_refusals():
    readiness = Readiness()
    watch(readiness, [True] * 40)
    assert readiness.retry_ms == 9000
    readiness.look(None, 10.0)
    assert readiness.retry_ms == 5000
