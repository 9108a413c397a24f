import pytest

from support.scheduler_harness import context_keys, finish, prepare_all, request, scheduler
from support.scheduler_sim import model_info
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import Job, StageInfo
from voxwire_server.scheduling.policy import Order
from voxwire_server.scheduling.request import PREPARE, RequestState, StepOutcome, StepStatus

DEVICE = "device:model"


def gpu(outcomes=4, slots=0, realtime_factor=0.001, **more):
    more["realtime_factor"] = realtime_factor
    return model_info("model", StageInfo("speak", outcomes), executor="device", slots=slots, **more)


def prepared(sched, *requests, buckets=None):
    for owned in requests:
        sched.submit(owned, 0.0)
    prepare_all(sched, buckets=buckets)


# -- order --------------------------------------------------------------------------------------------------------


def test_the_earliest_deadline_is_stepped_first():
    sched = scheduler(gpu(1))
    prepared(sched, request("late", deadline=9.0), request("soon", deadline=3.0), request("later", deadline=20.0))
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["soon"]


def test_a_first_clause_goes_before_listeners_who_have_something_to_hear():
    sched = scheduler(gpu(1))
    prepared(sched, request("hears", deadline=2.0), request("new", deadline=0.5, first=True))
    assert context_keys(sched.pick(DEVICE, 0.5)) == ["new"]


def test_a_listener_about_to_run_dry_goes_before_a_first_clause_that_comes_now():
    sched = scheduler(gpu(1), protect_seconds=0.5)
    prepared(sched, request("new", deadline=5.0, first=True), request("dry", deadline=5.3))
    assert context_keys(sched.pick(DEVICE, 5.0)) == ["dry"]


def test_works_of_one_deadline_are_stepped_as_they_came():
    sched = scheduler(gpu(1))
    prepared(sched, request("one"), request("two"))
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["one"]


def test_the_order_of_arrival_can_be_measured_against():
    sched = scheduler(gpu(1), order=Order.ARRIVAL)
    sched.submit(request("one", deadline=9.0), 0.0)
    sched.submit(request("two", deadline=1.0), 0.1)
    prepare_all(sched, 0.2)
    assert context_keys(sched.pick(DEVICE, 0.2)) == ["one"]


def test_the_fullest_batch_can_be_measured_against():
    sched = scheduler(gpu(4), order=Order.THROUGHPUT)
    requests = [request("alone", deadline=0.0), request("x", deadline=9.0), request("y", deadline=9.0)]
    prepared(sched, *requests, buckets={"x": 64, "y": 64})
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["x", "y"]


def test_reprioritise_moves_an_owners_works_by_the_same_time():
    sched = scheduler(gpu(1))
    first, second, other = request("a", deadline=3.0), request("a", deadline=5.0, index=1), request("b", deadline=10.0)
    prepared(sched, first, second, other)
    sched.reprioritise("a", 9.0)
    assert (first.deadline, second.deadline) == (9.0, 11.0)
    order = []
    while (batch := sched.pick(DEVICE, 0.0)) is not None:
        order += [(owned.context_key, owned.index) for owned in batch.requests]
        finish(sched, batch)
    assert order == [("a", 0), ("b", 0), ("a", 1)]


def test_a_listener_on_hold_can_be_put_off_for_ever_and_come_back():
    sched = scheduler(gpu(1))
    first, second = request("a", deadline=3.0), request("a", deadline=5.0, index=1)
    prepared(sched, first, second)
    sched.reprioritise("a", float("inf"))
    sched.reprioritise("a", 4.0)
    assert first.deadline == pytest.approx(4.0)
    assert second.deadline == pytest.approx(6.0, abs=1e-3)


# -- bulk ---------------------------------------------------------------------------------------------------------


def test_bulk_waits_while_a_listener_waits():
    sched = scheduler(gpu(1))
    prepared(sched, request("bulk", deadline=0.0, bulk=True), request("listener", deadline=50.0))
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["listener"]


def test_bulk_fills_what_a_batch_has_left():
    sched = scheduler(gpu(3))
    prepared(sched, *(request(f"bulk{n}", bulk=True) for n in range(5)), request("listener", deadline=50.0))
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["listener", "bulk0", "bulk1"]


def test_bulk_gets_a_step_now_and_then_however_busy_the_executor():
    sched = scheduler(gpu(1), bulk_period=10)
    prepared(sched, request("bulk", bulk=True), *(request(n) for n in range(30)))
    order = []
    while (batch := sched.pick(DEVICE, 0.0)) is not None:
        order += context_keys(batch)
        finish(sched, batch)
    assert order.index("bulk") == 10


def test_bulk_leaves_one_worker_to_listeners():
    sched = scheduler(workers=2)
    for n in range(4):
        sched.submit(request(n, bulk=True), 0.0)
    sched.stream_started("somebody", "model", 0.0)
    assert sched.pick("cpu", 0.0) is not None
    assert sched.pick("cpu", 0.0) is None


def test_bulk_takes_all_workers_when_nobody_listens():
    sched = scheduler(workers=2)
    for n in range(4):
        sched.submit(request(n, bulk=True), 0.0)
    assert sched.pick("cpu", 0.0) is not None
    assert sched.pick("cpu", 0.0) is not None


# -- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_holds_one_bucket_only():
    sched = scheduler(gpu(8))
    prepared(
        sched, request("a", deadline=1.0), request("b", deadline=2.0), request("c", deadline=3.0), buckets={"b": 64}
    )
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["a", "c"]


def test_a_batch_holds_no_more_rows_than_its_stage_takes():
    sched = scheduler(gpu(4))
    prepared(sched, *(request(n, deadline=float(n)) for n in range(10)))
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 1, 2, 3]


def test_a_batch_ends_where_its_step_would_last_too_long():
    sched = scheduler(gpu(16, realtime_factor=0.06), step_seconds_max=0.1)
    prepared(sched, *(request(n, deadline=50.0, text="x" * 10) for n in range(10)))
    batch = sched.pick(DEVICE, 0.0)
    assert len(batch.requests) == 2  # 40 ms each
    assert batch.predicted_seconds == pytest.approx(0.08)


def test_a_listener_who_is_due_is_not_kept_waiting_for_companions_who_can_wait():
    sched = scheduler(gpu(16, realtime_factor=0.03), step_seconds_max=0.1)
    requests = [
        request("due", deadline=1.0, text="x" * 10),
        *(request(n, deadline=50.0, text="x" * 10) for n in range(4)),
    ]
    prepared(sched, *requests)
    assert context_keys(sched.pick(DEVICE, 1.0)) == ["due"]


def test_all_who_are_due_share_a_step():
    sched = scheduler(gpu(16, realtime_factor=0.03), step_seconds_max=0.1)
    prepared(sched, *(request(n, deadline=1.0, text="x" * 10) for n in range(5)))
    assert len(sched.pick(DEVICE, 1.0).requests) == 5


def test_without_batching_every_batch_is_one_row():
    sched = scheduler(gpu(16), batching=False)
    prepared(sched, *(request(n) for n in range(5)))
    assert len(sched.pick(DEVICE, 0.0).requests) == 1


def test_after_a_step_that_did_not_fit_into_memory_batches_are_half_as_large_and_grow_again():
    sched = scheduler(gpu(8))
    prepared(sched, *(request(n) for n in range(8)))
    batch = sched.pick(DEVICE, 0.0)
    sched.out_of_memory(batch)
    finish(sched, batch)
    prepared(sched, *(request(n) for n in range(8)))
    assert len(sched.pick(DEVICE, 0.0).requests) == 4


# -- executors --------------------------------------------------------------------------------------------------------


def test_text_work_runs_on_the_cpu_executor_and_steps_on_the_devices():
    sched = scheduler(gpu(), workers=2)
    assert sched.executors == {"cpu": 2, DEVICE: 1}
    sched.submit(request(), 0.0)
    assert sched.pick(DEVICE, 0.0) is None
    assert sched.pick("cpu", 0.0).stage == PREPARE


def test_an_engine_runs_no_more_steps_at_once_than_it_bears():
    sched = scheduler(model_info(concurrency=1), workers=3)
    for n in range(3):
        sched.submit(request(n), 0.0)
    batches = [sched.pick("cpu", 0.0) for _ in range(3)]
    for batch in batches:
        finish(sched, batch)
    assert sched.pick("cpu", 0.0).stage == "speak"
    assert sched.pick("cpu", 0.0) is None


def test_engines_with_devices_have_each_a_executor():
    sched = scheduler(model_info("one", executor="device"), model_info("two", executor="device"))
    prepared(sched, request("a", engine="one"), request("b", engine="two"))
    assert context_keys(sched.pick("device:one", 0.0)) == ["a"]
    assert context_keys(sched.pick("device:two", 0.0)) == ["b"]


def test_a_step_that_can_wait_leaves_the_last_worker_to_whoever_comes():
    sched = scheduler(model_info(concurrency=2, realtime_factor=0.005), workers=2, relaxed_seconds=1.0)
    for n in range(2):
        sched.submit(request(n, deadline=30.0), 0.0)
    for batch in [sched.pick("cpu", 0.0), sched.pick("cpu", 0.0)]:
        finish(sched, batch)
    running = sched.pick("cpu", 0.0)
    assert running.stage == "speak"
    assert sched.pick("cpu", 0.0) is None
    assert not sched.ready("cpu", 0.0)
    sched.submit(request("new", deadline=0.0, first=True), 0.0)
    newcomer = sched.pick("cpu", 0.0)
    assert context_keys(newcomer) == ["new"]
    sched.cancel("new")
    finish(sched, newcomer)
    finish(sched, running)
    assert context_keys(sched.pick("cpu", 0.0)) == [1]


def test_a_step_that_is_due_soon_takes_the_last_worker():
    sched = scheduler(workers=2, relaxed_seconds=1.0)
    for n in range(2):
        sched.submit(request(n, deadline=0.9), 0.0)
    for batch in [sched.pick("cpu", 0.0), sched.pick("cpu", 0.0)]:
        finish(sched, batch)
    assert sched.pick("cpu", 0.0) is not None
    assert sched.pick("cpu", 0.0) is not None


# -- cancel -------------------------------------------------------------------------------------------------------


def test_a_queued_work_that_is_cancelled_leaves_at_once():
    sched = scheduler(gpu())
    gone, session_time = request("a"), request("b")
    prepared(sched, gone, session_time)
    assert sched.cancel("a") == [gone]
    assert gone.state is RequestState.CANCELLED
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["b"]


def test_a_running_work_that_is_cancelled_is_dropped_after_its_step():
    sched = scheduler(model_info("model", StageInfo("encode", 4), StageInfo("speak", 4), executor="device"))
    gone, session_time = request("a"), request("b")
    prepared(sched, gone, session_time)
    batch = sched.pick(DEVICE, 0.0)
    assert sched.cancel("a") == []
    outcomes = [StepOutcome(owned, StepStatus.NEXT, Job(owned.clause, "speak")) for owned in batch.requests]
    session_time.job.stage = "speak"
    sched.complete(batch, outcomes, 0.01, 0.0)
    assert gone.state is RequestState.CANCELLED
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["b"]


def test_cancelling_somebody_unknown_does_nothing():
    assert scheduler().cancel("nobody") == []


def test_clear_cancels_everybody():
    sched = scheduler(gpu())
    prepared(sched, request("a"), request("b", bulk=True))
    assert {owned.context_key for owned in sched.clear()} == {"a", "b"}
    assert sched.stats(0.0).requests == 0


# -- slots --------------------------------------------------------------------------------------------------------


def test_no_more_jobs_enter_than_there_are_slots():
    sched = scheduler(gpu(8, slots=2, unit="codec_frame"))
    prepared(sched, *(request(n, deadline=float(n)) for n in range(4)))
    batch = sched.pick(DEVICE, 0.0)
    assert context_keys(batch) == [0, 1]
    assert sched.pick(DEVICE, 0.0) is None
    finish(sched, batch)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [2, 3]


def test_a_job_keeps_its_slot_between_its_steps_and_others_join_it():
    sched = scheduler(gpu(8, slots=2, unit="codec_frame"))
    prepared(sched, *(request(n, deadline=float(n)) for n in range(3)))
    batch = sched.pick(DEVICE, 0.0)
    session_time, ends = batch.requests
    outcomes = [
        StepOutcome(session_time, StepStatus.NEXT, session_time.job, audio_seconds=0.08),
        StepOutcome(ends, StepStatus.FINISHED, ends.job),
    ]
    sched.complete(batch, outcomes, 0.01, 0.0)
    assert set(context_keys(sched.pick(DEVICE, 0.0))) == {0, 2}


def test_a_cancelled_job_gives_its_slot_to_the_most_urgent_who_waits():
    sched = scheduler(gpu(1, slots=1))
    prepared(sched, request("holds"), request("late", deadline=9.0), request("soon", deadline=1.0))
    sched.cancel("holds")
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["soon"]


def test_bulk_leaves_a_quarter_of_the_slots_to_listeners():
    sched = scheduler(gpu(8, slots=4))
    prepared(sched, *(request(n, bulk=True) for n in range(6)))
    assert len(sched.pick(DEVICE, 0.0).requests) == 3
    prepared(sched, request("listener"))
    assert sched.stats(0.0).engines[0].slots_held == 4


def refuse(sched, batch, now=0.0):
    outcomes = [StepOutcome(owned, StepStatus.NO_SLOT, owned.job) for owned in batch.requests]
    return sched.complete(batch, outcomes, 0.001, now)


def test_a_job_without_a_slot_waits_until_another_ends():
    sched = scheduler(gpu(1, concurrency=2), reserve=False)
    prepared(sched, request("in"), request("out"))
    first, second = sched.pick(DEVICE, 0.0), sched.pick(DEVICE, 0.0)
    assert refuse(sched, second) == []
    assert sched.pick(DEVICE, 0.0) is None
    finish(sched, first)
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["out"]


def test_an_engine_that_has_no_slot_though_nothing_is_under_way_loses_the_work():
    sched = scheduler(gpu(1))
    owned = request("a")
    prepared(sched, owned)
    assert refuse(sched, sched.pick(DEVICE, 0.0)) == []
    assert refuse(sched, sched.pick(DEVICE, 0.0)) == []
    assert refuse(sched, sched.pick(DEVICE, 0.0)) == [owned]
    assert owned.state is RequestState.ENDED
    assert sched.stats(0.0).requests == 0


# -- bounds and numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [{"requests_max": 3}, {"context_requests_max": 3}])
def test_a_full_queue_refuses_by_name(bound):
    sched = scheduler(**bound)
    for n in range(3):
        sched.submit(request(index=n), 0.0)
    with pytest.raises(VoxwireError) as refusal:
        sched.submit(request(index=3), 0.0)
    assert refusal.value.code is ErrorCode.ENGINE_OVERLOADED
    assert refusal.value.retry_after_ms > 0
    assert sched.stats(0.0).requests == 3


def test_bulk_fills_half_of_the_queue_at_most():
    sched = scheduler(requests_max=4)
    sched.submit(request("a", bulk=True), 0.0)
    sched.submit(request("b", bulk=True), 0.0)
    with pytest.raises(VoxwireError):
        sched.submit(request("c", bulk=True), 0.0)
    sched.submit(request("d"), 0.0)


def test_an_engine_that_is_not_there_is_named():
    with pytest.raises(VoxwireError) as refusal:
        scheduler().submit(request(engine="other"), 0.0)
    assert refusal.value.code is ErrorCode.ENGINE_UNAVAILABLE


def test_a_work_knows_how_long_it_waited_and_was_worked_on():
    sched = scheduler()
    owned = request()
    sched.submit(owned, 1.0)
    finish(sched, sched.pick("cpu", 1.5), 0.1, 1.6)
    finish(sched, sched.pick("cpu", 1.8), 0.2, 2.0)
    assert owned.queue_seconds == pytest.approx(0.7)
    assert owned.synth_seconds == pytest.approx(0.3)


def test_the_numbers_tell_what_was_done():
    sched = scheduler(gpu(4))
    prepared(sched, *(request(n) for n in range(3)), request("bulk", bulk=True), request("gone"))
    sched.cancel("gone")
    finish(sched, sched.pick(DEVICE, 0.0), 0.25)
    stats = sched.stats(0.0)
    speak = next(stage for stage in stats.stages if stage.stage == "speak")
    assert (speak.steps, speak.rows, speak.batch_sizes, speak.busy_seconds) == (1, 4, {4: 1}, 0.25)
    assert (stats.submitted, stats.completed, stats.cancelled, stats.requests) == (5, 4, 1, 0)
    assert stats.engines[0].audio_seconds == 4.0
