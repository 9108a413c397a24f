"""When refused streams are to retry, which streams count before they start, and at what load bulk is refused."""

import pytest

from support.scheduler_harness import context_keys, finish, make_request, prepare_all, scheduler
from support.scheduler_sim import model_info
from voxwire_server.engines.base import StageInfo
from voxwire_server.scheduling.admission import RefusalReason
from voxwire_server.scheduling.demand import SESSION_SECONDS, MeanSessionTime, PendingAdmissions, PendingRetries

STEADY = {"start_seconds": 0.0}
TEN = model_info(realtime_factor=0.09)
"""Ten streams take nine tenths of a worker."""


def serving(*infos, streams=10, now=0.0, **policy):
    sched = scheduler(*(infos or (TEN,)), **(STEADY | policy))
    for number in range(streams):
        sched.stream_started(number, "model", now)
    return sched


def serve_streams(sched, seconds, *, rounds=200, now=0.0):
    """Have ten streams at a time, each active for so many seconds. Returns the time afterwards."""
    for turn in range(rounds):
        now += seconds / 10
        sched.stream_ended(turn % 10, now)
        sched.stream_started(turn % 10, "model", now)
    return now


# -- when to retry ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [3.0, 12.0, 60.0])
def test_refused_streams_are_to_retry_when_the_next_stream_will_have_ended(seconds):
    sched = serving()
    now = serve_streams(sched, seconds)
    refusal = sched.admission("model", False, now)
    assert refusal.reason is RefusalReason.UTILISATION
    assert refusal.retry_after_ms == pytest.approx(seconds / 10 * 1000, rel=0.05)


def test_each_of_many_refused_streams_is_to_retry_when_another_one_ends():
    sched = serving()
    now = serve_streams(sched, 10.0)
    retries_ms = [sched.admission("model", False, now).retry_after_ms for _ in range(8)]
    assert retries_ms == pytest.approx([1000 * (place + 1) for place in range(8)], rel=0.05)


def test_retries_that_were_due_do_not_delay_later_ones():
    sched = serving()
    now = serve_streams(sched, 10.0)
    retries_ms = [sched.admission("model", False, now).retry_after_ms for _ in range(5)]
    assert sched.admission("model", False, now + 30).retry_after_ms == pytest.approx(retries_ms[0], rel=0.3)


def test_a_retry_is_between_a_quarter_of_a_second_and_a_minute_away():
    sched = serving()
    now = serve_streams(sched, 600.0)
    retries_ms = [sched.admission("model", False, now).retry_after_ms for _ in range(3000)]
    assert max(retries_ms) == 60_000
    sched = serving()
    now = serve_streams(sched, 0.1, rounds=2000)
    assert sched.admission("model", False, now).retry_after_ms == 250


def test_a_refusal_because_of_starting_streams_is_over_sooner_than_streams_end():
    sched = serving(model_info(realtime_factor=0.01), streams=22, start_seconds=9.0)
    refusal = sched.admission("model", False, 0.0)
    assert refusal.reason is RefusalReason.STARTING
    assert refusal.retry_after_ms < 1000


def test_late_clauses_refuse_streams_until_they_are_forgotten():
    sched = serving(model_info(realtime_factor=0.01), streams=40)
    for number in range(80):
        sched.submit(make_request(number, deadline=99.0), 95.0)
    while (batch := sched.pick("cpu", 100.0)) is not None:
        finish(sched, batch, 0.005, 100.0)
    refusal = sched.admission("model", False, 100.0)
    assert refusal.reason is RefusalReason.LATENESS
    assert refusal.retry_after_ms >= 4000
    assert sched.admission("model", False, 100.0 + 2 * refusal.retry_after_ms / 1000) is None


# -- which streams count ----------------------------------------------------------------------------------------------


def test_an_admitted_stream_counts_before_it_starts():
    sched = serving(streams=0)
    answers = [sched.admission("model", False, 0.0) for _ in range(20)]
    assert [answer is None for answer in answers] == [True] * 10 + [False] * 10


def test_an_admitted_stream_that_never_starts_stops_counting():
    sched = serving(streams=0, pending_admission_seconds=3.0)
    for _ in range(10):
        assert sched.admission("model", False, 0.0) is None
    assert sched.admission("model", False, 2.9) is not None
    assert sched.admission("model", False, 3.1) is None


def test_an_admitted_stream_that_starts_counts_once():
    sched = serving(streams=0)
    for number in range(10):
        assert sched.admission("model", False, 0.0) is None
        sched.stream_started(number, "model", 0.0)
    assert sched.admission("model", False, 0.0) is not None


def test_the_server_is_full_when_no_engine_has_capacity():
    sched = serving(TEN, model_info("other", executor="device", realtime_factor=0.09))
    assert sched.admission("model", False, 0.0) is not None
    assert sched.full(0.0) is None
    for number in range(10):
        sched.stream_started(f"other{number}", "other", 0.0)
    assert sched.full(0.0).reason is RefusalReason.UTILISATION


def test_a_server_whose_streams_are_only_starting_is_not_full():
    sched = serving(model_info(realtime_factor=0.01), streams=22, start_seconds=9.0)
    assert sched.full(0.0) is None
    assert sched.admission("model", False, 0.0) is not None


def test_sessions_are_refused_while_retries_wait_for_starting_streams():
    sched = serving(model_info(realtime_factor=0.01), streams=22, start_seconds=9.0)
    assert sched.refuse_session(0.0) is None
    sched.admission("model", False, 0.0)
    assert sched.refuse_session(0.0).reason is RefusalReason.STARTING
    assert sched.full(0.0) is not None


def test_free_capacity_is_for_retries_that_are_due_soon():
    sched = serving()
    for _ in range(3):
        assert sched.admission("model", False, 0.0) is not None
    sched.stream_ended(0, 0.0)
    assert sched.refuse_session(0.0) is None
    assert sched.full(0.0).reason is RefusalReason.UTILISATION
    assert sched.full(60.0) is None


def test_refused_sessions_and_refused_streams_retry_in_one_order():
    sched = serving()
    now = serve_streams(sched, 10.0)
    retries_ms = [sched.refuse_session(now).retry_after_ms for _ in range(3)]
    retries_ms.append(sched.admission("model", False, now).retry_after_ms)
    assert retries_ms == pytest.approx([1000, 2000, 3000, 4000], rel=0.05)


def test_asking_whether_the_server_is_full_changes_nothing():
    sched = serving()
    before = sched.admission("model", False, 0.0).retry_after_ms
    sched = serving()
    for _ in range(100):
        sched.full(0.0)
    assert sched.admission("model", False, 0.0).retry_after_ms == before
    assert sched.stats(0.0).refused == {"utilisation": 1}


# -- bulk -------------------------------------------------------------------------------------------------------------


def test_bulk_is_refused_before_the_last_stream_is_admitted():
    sched = serving(streams=9)
    assert sched.admission("model", True, 0.0).reason is RefusalReason.BULK_YIELDS
    assert sched.admission("model", False, 0.0) is None


def test_bulk_is_admitted_on_a_slow_engine_without_streams():
    assert serving(model_info(realtime_factor=3.0), streams=0).admission("model", True, 0.0) is None


def test_a_running_bulk_step_refuses_no_stream():
    sched = scheduler(model_info(realtime_factor=0.5), queue_seconds_max=0.5, **STEADY)
    sched.submit(make_request("bulk", bulk=True, text="x" * 300), 0.0)
    finish(sched, sched.pick("cpu", 0.0))
    assert sched.pick("cpu", 0.0).predicted_seconds > 5.0
    assert sched.admission("model", False, 0.0) is None


def one_of_each(deadline, **policy):
    sched = scheduler(model_info("model", StageInfo("speak"), executor="device", realtime_factor=0.01), **policy)
    sched.submit(make_request("bulk", bulk=True, text="x" * 60), 0.0)
    sched.submit(make_request("interactive", deadline=deadline), 0.0)
    prepare_all(sched)
    return sched


def test_bulk_whose_turn_has_come_makes_no_clause_late():
    assert context_keys(one_of_each(0.6, bulk_period=0).pick("device:model", 0.0)) == ["bulk"]
    assert context_keys(one_of_each(0.5, bulk_period=0).pick("device:model", 0.0)) == ["interactive"]


def test_a_long_bulk_step_waits_until_the_last_stream_ends():
    sched = scheduler(model_info(realtime_factor=0.5))
    sched.submit(make_request("bulk", bulk=True, text="x" * 300), 0.0)
    finish(sched, sched.pick("cpu", 0.0))
    sched.stream_started("a", "model", 0.0)
    assert sched.pick("cpu", 0.0) is None
    sched.stream_ended("a", 0.0)
    assert context_keys(sched.pick("cpu", 0.0)) == ["bulk"]


# -- durations of streams, pending retries and admissions -------------------------------------------------------------


def test_session_times_are_guessed_until_some_were_seen():
    session_time = MeanSessionTime()
    assert session_time.seconds == SESSION_SECONDS
    session_time.pass_time(5, 4.0)
    session_time.end_one()
    assert session_time.seconds == pytest.approx((2 * SESSION_SECONDS + 20) * 0.98 / (2 * 0.98 + 1))


def test_streams_that_do_not_end_lengthen_the_mean_session_time():
    session_time = MeanSessionTime()
    session_time.pass_time(10, 600.0)
    assert session_time.seconds > 1000


def test_pending_retries_are_counted_until_they_are_due():
    pending_retries = PendingRetries()
    for due in (3.0, 1.0, 2.0):
        pending_retries.add(due)
    assert [pending_retries.ahead(now) for now in (0.0, 1.0, 2.5, 9.0)] == [3, 2, 1, 0]


def test_a_stream_that_was_not_admitted_may_start():
    pending_admissions = PendingAdmissions()
    pending_admissions.started()
    pending_admissions.add(5.0)
    assert pending_admissions.count(4.0) == 1
    pending_admissions.started()
    assert pending_admissions.count(4.0) == 0
