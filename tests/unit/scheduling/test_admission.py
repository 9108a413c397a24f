import pytest

from support.scheduler_harness import finish, make_request, prepare_all, scheduler
from support.scheduler_sim import model_info
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import StageInfo
from voxwire_server.scheduling.admission import RefusalReason

STEADY = {"start_seconds": 0.0}


def join(sched, count, engine="model", start=0):
    for number in range(start, start + count):
        sched.stream_started((engine, number), engine, 0.0)


def capacity(sched, engine="model", most=10_000):
    """How many streams are admitted one after the other."""
    for count in range(most):
        if sched.admission(engine, False, 0.0) is not None:
            return count
        join(sched, 1, engine, start=count)
    return most


def test_before_any_step_streams_are_admitted_by_the_engines_own_guess():
    sched = scheduler(model_info(concurrency=2, realtime_factor=0.01), workers=2, utilisation_max=0.9, **STEADY)
    assert capacity(sched) == 180


def test_even_an_engine_slower_than_real_time_admits_one_stream():
    assert capacity(scheduler(model_info(realtime_factor=3.0), **STEADY)) == 1


def test_an_engine_that_may_use_one_worker_is_admitted_to_by_that_one():
    sched = scheduler(model_info(concurrency=1, realtime_factor=0.01), workers=4, utilisation_max=0.9, **STEADY)
    assert capacity(sched) == 90


def test_what_was_measured_replaces_the_guess():
    sched = scheduler(model_info(concurrency=1, realtime_factor=0.1), utilisation_max=0.9, **STEADY)
    now = 0.0
    for number in range(200):
        sched.submit(make_request(number, text="x" * 30), now)
        for seconds in (0.001, 0.018):
            batch = sched.pick("cpu", now)
            now += seconds
            finish(sched, batch, seconds, now, audio=2.0)
    assert sched.stats(now).engines[0].realtime_factor == pytest.approx(0.0095, rel=0.1)
    assert 80 <= capacity(sched) <= 110


def test_streams_that_start_together_are_admitted_a_few_at_a_time():
    sched = scheduler(
        model_info(realtime_factor=0.01), start_seconds=9.0, start_window_seconds=3.0, utilisation_max=0.9
    )
    assert capacity(sched) == 22  # each takes four seconds of audio per second while it starts


def test_on_a_slow_engine_a_starting_stream_does_not_displace_one_there_is_capacity_for():
    sched = scheduler(model_info(realtime_factor=0.4), start_seconds=9.0, start_window_seconds=3.0, utilisation_max=0.9)
    assert capacity(sched) == 2


def test_streams_that_have_their_lead_leave_capacity_for_the_next_to_start():
    sched = scheduler(
        model_info(realtime_factor=0.01), start_seconds=9.0, start_window_seconds=3.0, utilisation_max=0.9
    )
    join(sched, 22)
    assert sched.admission("model", False, 0.0) is not None
    for number in range(22):
        sched.submit(make_request(("model", number), text="x"), 0.0)
    while (batch := sched.pick("cpu", 0.0)) is not None:
        finish(sched, batch, 0.00001 if batch.stage == "prepare" else 0.1, 0.0, audio=10.0)
    assert sched.admission("model", False, 0.0) is None


def test_ended_streams_free_capacity():
    sched = scheduler(model_info(realtime_factor=0.3), **STEADY)
    join(sched, 3)
    assert sched.admission("model", False, 0.0) is not None
    sched.stream_ended(("model", 0), 0.0)
    assert sched.admission("model", False, 0.0) is None


def test_a_stream_counts_once_and_may_end_twice():
    sched = scheduler(model_info(realtime_factor=0.3), start_seconds=9.0)
    for _ in range(5):
        sched.stream_started("a", "model", 0.0)
    assert sched.stats(0.0).engines[0].streams == 1
    sched.stream_ended("a", 0.0)
    sched.stream_ended("a", 0.0)
    assert sched.stats(0.0).engines[0].streams == 0
    assert sched.stats(0.0).executors[0].load == 0.0


def test_engines_share_the_cpu_executor():
    one, two = model_info("one", realtime_factor=0.09), model_info("two", realtime_factor=0.09)
    sched = scheduler(one, two, **STEADY)
    join(sched, 6, "one")
    assert capacity(sched, "two") == 4


def test_a_slow_engine_admits_no_stream_beside_others_it_would_starve():
    sched = scheduler(model_info("one", realtime_factor=0.01), model_info("two", realtime_factor=3.0), **STEADY)
    join(sched, 1, "one")
    assert capacity(sched, "two") == 0


def test_engines_with_devices_do_not_share_them():
    one = model_info("one", executor="device", realtime_factor=0.09)
    two = model_info("two", executor="device", realtime_factor=0.09)
    sched = scheduler(one, two, **STEADY)
    join(sched, 10, "one")
    assert capacity(sched, "two") == 10


def test_a_queue_of_first_clauses_refuses_streams_and_says_when_to_retry():
    sched = scheduler(model_info(realtime_factor=0.01), queue_seconds_max=1.0, **STEADY)
    for number in range(60):
        sched.submit(make_request(number, deadline=0.0, first=True, text="x" * 60), 0.0)
    refusal = sched.admission("model", False, 0.0)
    assert refusal.reason is RefusalReason.QUEUE
    assert 1000 <= refusal.retry_after_ms <= 5000


def test_requests_that_are_not_due_yet_do_not_count_as_a_queue():
    sched = scheduler(model_info(realtime_factor=0.01), queue_seconds_max=1.0, **STEADY)
    for number in range(60):
        sched.submit(make_request(number, deadline=30.0, text="x" * 60), 0.0)
    assert sched.admission("model", False, 0.0) is None


def deliver_late(sched, clauses, now, *, submitted=None):
    for number in range(clauses):
        sched.submit(make_request(("model", number), deadline=now - 0.1), now - 5.0 if submitted is None else submitted)
    while (batch := sched.pick("cpu", now)) is not None:
        finish(sched, batch, 0.0001, now)


def test_while_clauses_are_late_streams_are_refused():
    sched = scheduler(model_info(realtime_factor=0.01), start_seconds=0.0)
    join(sched, 400)
    deliver_late(sched, 30, 100.0)
    refusal = sched.admission("model", False, 100.0)
    assert refusal.reason is RefusalReason.LATENESS
    assert sched.stats(100.0).engines[0].late == 30
    assert sched.stats(100.0).engines[0].late_share == 1.0
    assert sched.stats(130.0).engines[0].late_share == 0.0


def test_a_clause_whose_text_came_after_its_deadline_does_not_count_as_late():
    sched = scheduler(model_info(realtime_factor=0.01), start_seconds=0.0)
    join(sched, 60)
    deliver_late(sched, 30, 100.0, submitted=100.0)
    assert sched.stats(100.0).engines[0].late == 0


def test_bulk_is_admitted_until_its_backlog_is_full():
    sched = scheduler(model_info("model", StageInfo("speak"), realtime_factor=0.1), bulk_seconds_max=10.0)
    assert sched.admission("model", True, 0.0) is None
    for number in range(60):
        sched.submit(make_request(number, bulk=True, text="x" * 60), 0.0)
    assert sched.admission("model", True, 0.0).reason is RefusalReason.BULK_BACKLOG


def test_a_bulk_backlog_does_not_refuse_streams():
    sched = scheduler(model_info("model", executor="device", realtime_factor=0.1))
    for number in range(60):
        sched.submit(make_request(number, bulk=True, text="x" * 60), 0.0)
    prepare_all(sched)
    assert sched.admission("model", False, 0.0) is None


def test_refusals_are_counted_by_reason():
    sched = scheduler(model_info(realtime_factor=1.0), **STEADY)
    join(sched, 1)
    sched.admission("model", False, 0.0)
    assert sched.stats(0.0).refused == {"utilisation": 1}


def test_an_unknown_engine_admits_no_stream():
    with pytest.raises(VoxwireError) as refusal:
        scheduler().admission("other", False, 0.0)
    assert refusal.value.code is ErrorCode.ENGINE_UNAVAILABLE
