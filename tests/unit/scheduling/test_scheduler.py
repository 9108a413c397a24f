import pytest

from support.scheduler_harness import context_keys, finish, make_request, prepare_all, scheduler
from support.scheduler_sim import model_info
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import Job, StageInfo
from voxwire_server.scheduling.policy import Order
from voxwire_server.scheduling.request import PREPARE, RequestState, StepOutcome, StepStatus

DEVICE = "device:model"


def gpu(rows=4, slots=0, realtime_factor=0.001, **more):
    more["realtime_factor"] = realtime_factor
    return model_info("model", StageInfo("speak", rows), executor="device", slots=slots, **more)


def prepared(sched, *requests, buckets=None):
    for request in requests:
        sched.submit(request, 0.0)
    prepare_all(sched, buckets=buckets)


# -- order --------------------------------------------------------------------------------------------------------


def test_the_earliest_deadline_is_stepped_first():
    sched = scheduler(gpu(1))
    prepared(
        sched,
        make_request("late", deadline=9.0),
        make_request("soon", deadline=3.0),
        make_request("later", deadline=20.0),
    )
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["soon"]


def test_a_first_clause_goes_before_clauses_that_are_due_later():
    sched = scheduler(gpu(1))
    prepared(sched, make_request("hears", deadline=2.0), make_request("new", deadline=0.5, first=True))
    assert context_keys(sched.pick(DEVICE, 0.5)) == ["new"]


def test_a_clause_that_is_almost_due_goes_before_a_first_clause_that_comes_now():
    sched = scheduler(gpu(1), protect_seconds=0.5)
    prepared(sched, make_request("new", deadline=5.0, first=True), make_request("due", deadline=5.3))
    assert context_keys(sched.pick(DEVICE, 5.0)) == ["due"]


def test_requests_of_one_deadline_are_stepped_in_the_order_of_submission():
    sched = scheduler(gpu(1))
    prepared(sched, make_request("one"), make_request("two"))
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["one"]


def test_by_arrival_the_earliest_submitted_request_is_stepped_first():
    sched = scheduler(gpu(1), order=Order.ARRIVAL)
    sched.submit(make_request("one", deadline=9.0), 0.0)
    sched.submit(make_request("two", deadline=1.0), 0.1)
    prepare_all(sched, 0.2)
    assert context_keys(sched.pick(DEVICE, 0.2)) == ["one"]


def test_by_throughput_the_largest_batch_is_stepped_first():
    sched = scheduler(gpu(4), order=Order.THROUGHPUT)
    requests = [make_request("alone", deadline=0.0), make_request("x", deadline=9.0), make_request("y", deadline=9.0)]
    prepared(sched, *requests, buckets={"x": 64, "y": 64})
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["x", "y"]


def test_reprioritise_moves_all_requests_of_a_context_by_the_same_time():
    sched = scheduler(gpu(1))
    first, second, other = (
        make_request("a", deadline=3.0),
        make_request("a", deadline=5.0, index=1),
        make_request("b", deadline=10.0),
    )
    prepared(sched, first, second, other)
    sched.reprioritise("a", 9.0)
    assert (first.deadline, second.deadline) == (9.0, 11.0)
    order = []
    while (batch := sched.pick(DEVICE, 0.0)) is not None:
        order += [(request.context_key, request.index) for request in batch.requests]
        finish(sched, batch)
    assert order == [("a", 0), ("b", 0), ("a", 1)]


def test_a_context_on_hold_may_have_an_infinite_deadline_and_get_a_finite_one_again():
    sched = scheduler(gpu(1))
    first, second = make_request("a", deadline=3.0), make_request("a", deadline=5.0, index=1)
    prepared(sched, first, second)
    sched.reprioritise("a", float("inf"))
    sched.reprioritise("a", 4.0)
    assert first.deadline == pytest.approx(4.0)
    assert second.deadline == pytest.approx(6.0, abs=1e-3)


# -- bulk ---------------------------------------------------------------------------------------------------------


def test_bulk_waits_while_interactive_requests_wait():
    sched = scheduler(gpu(1))
    prepared(sched, make_request("bulk", deadline=0.0, bulk=True), make_request("interactive", deadline=50.0))
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["interactive"]


def test_bulk_fills_the_places_that_a_batch_has_left():
    sched = scheduler(gpu(3))
    prepared(
        sched, *(make_request(f"bulk{n}", bulk=True) for n in range(5)), make_request("interactive", deadline=50.0)
    )
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["interactive", "bulk0", "bulk1"]


def test_bulk_gets_one_step_in_bulk_period_however_busy_the_executor():
    sched = scheduler(gpu(1), bulk_period=10)
    prepared(sched, make_request("bulk", bulk=True), *(make_request(n) for n in range(30)))
    order = []
    while (batch := sched.pick(DEVICE, 0.0)) is not None:
        order += context_keys(batch)
        finish(sched, batch)
    assert order.index("bulk") == 10


def test_bulk_leaves_one_worker_free_while_there_are_streams():
    sched = scheduler(workers=2)
    for n in range(4):
        sched.submit(make_request(n, bulk=True), 0.0)
    sched.stream_started("other", "model", 0.0)
    assert sched.pick("cpu", 0.0) is not None
    assert sched.pick("cpu", 0.0) is None


def test_bulk_takes_all_workers_while_there_are_no_streams():
    sched = scheduler(workers=2)
    for n in range(4):
        sched.submit(make_request(n, bulk=True), 0.0)
    assert sched.pick("cpu", 0.0) is not None
    assert sched.pick("cpu", 0.0) is not None


# -- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_holds_one_bucket_only():
    sched = scheduler(gpu(8))
    prepared(
        sched,
        make_request("a", deadline=1.0),
        make_request("b", deadline=2.0),
        make_request("c", deadline=3.0),
        buckets={"b": 64},
    )
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["a", "c"]


def test_a_batch_holds_no_more_requests_than_its_stage_takes():
    sched = scheduler(gpu(4))
    prepared(sched, *(make_request(n, deadline=float(n)) for n in range(10)))
    assert context_keys(sched.pick(DEVICE, 0.0)) == [0, 1, 2, 3]


def test_a_batch_ends_where_its_step_would_last_too_long():
    sched = scheduler(gpu(16, realtime_factor=0.06), step_seconds_max=0.1)
    prepared(sched, *(make_request(n, deadline=50.0, text="x" * 10) for n in range(10)))
    batch = sched.pick(DEVICE, 0.0)
    assert len(batch.requests) == 2  # 40 ms each
    assert batch.predicted_seconds == pytest.approx(0.08)


def test_a_request_that_is_due_is_not_delayed_by_requests_that_can_wait():
    sched = scheduler(gpu(16, realtime_factor=0.03), step_seconds_max=0.1)
    requests = [
        make_request("due", deadline=1.0, text="x" * 10),
        *(make_request(n, deadline=50.0, text="x" * 10) for n in range(4)),
    ]
    prepared(sched, *requests)
    assert context_keys(sched.pick(DEVICE, 1.0)) == ["due"]


def test_all_requests_that_are_due_share_a_step():
    sched = scheduler(gpu(16, realtime_factor=0.03), step_seconds_max=0.1)
    prepared(sched, *(make_request(n, deadline=1.0, text="x" * 10) for n in range(5)))
    assert len(sched.pick(DEVICE, 1.0).requests) == 5


def test_without_batching_every_batch_has_one_request():
    sched = scheduler(gpu(16), batching=False)
    prepared(sched, *(make_request(n) for n in range(5)))
    assert len(sched.pick(DEVICE, 0.0).requests) == 1


def test_after_a_step_that_did_not_fit_into_memory_batches_are_half_as_large_and_grow_again():
    sched = scheduler(gpu(8))
    prepared(sched, *(make_request(n) for n in range(8)))
    batch = sched.pick(DEVICE, 0.0)
    sched.out_of_memory(batch)
    finish(sched, batch)
    prepared(sched, *(make_request(n) for n in range(8)))
    assert len(sched.pick(DEVICE, 0.0).requests) == 4


# -- executors --------------------------------------------------------------------------------------------------------


def test_prepare_runs_on_the_cpu_executor_and_steps_on_the_devices():
    sched = scheduler(gpu(), workers=2)
    assert sched.executors == {"cpu": 2, DEVICE: 1}
    sched.submit(make_request(), 0.0)
    assert sched.pick(DEVICE, 0.0) is None
    assert sched.pick("cpu", 0.0).stage == PREPARE


def test_an_engine_runs_no_more_steps_at_once_than_its_concurrency():
    sched = scheduler(model_info(concurrency=1), workers=3)
    for n in range(3):
        sched.submit(make_request(n), 0.0)
    batches = [sched.pick("cpu", 0.0) for _ in range(3)]
    for batch in batches:
        finish(sched, batch)
    assert sched.pick("cpu", 0.0).stage == "speak"
    assert sched.pick("cpu", 0.0) is None


def test_engines_with_devices_have_an_executor_each():
    sched = scheduler(model_info("one", executor="device"), model_info("two", executor="device"))
    prepared(sched, make_request("a", engine="one"), make_request("b", engine="two"))
    assert context_keys(sched.pick("device:one", 0.0)) == ["a"]
    assert context_keys(sched.pick("device:two", 0.0)) == ["b"]


def test_a_step_that_can_wait_leaves_the_last_worker_to_a_first_clause():
    sched = scheduler(model_info(concurrency=2, realtime_factor=0.005), workers=2, relaxed_seconds=1.0)
    for n in range(2):
        sched.submit(make_request(n, deadline=30.0), 0.0)
    for batch in [sched.pick("cpu", 0.0), sched.pick("cpu", 0.0)]:
        finish(sched, batch)
    running = sched.pick("cpu", 0.0)
    assert running.stage == "speak"
    assert sched.pick("cpu", 0.0) is None
    assert not sched.ready("cpu", 0.0)
    sched.submit(make_request("new", deadline=0.0, first=True), 0.0)
    newcomer = sched.pick("cpu", 0.0)
    assert context_keys(newcomer) == ["new"]
    sched.cancel("new")
    finish(sched, newcomer)
    finish(sched, running)
    assert context_keys(sched.pick("cpu", 0.0)) == [1]


def test_a_step_that_is_due_soon_takes_the_last_worker():
    sched = scheduler(workers=2, relaxed_seconds=1.0)
    for n in range(2):
        sched.submit(make_request(n, deadline=0.9), 0.0)
    for batch in [sched.pick("cpu", 0.0), sched.pick("cpu", 0.0)]:
        finish(sched, batch)
    assert sched.pick("cpu", 0.0) is not None
    assert sched.pick("cpu", 0.0) is not None


# -- cancel -------------------------------------------------------------------------------------------------------


def test_a_queued_request_that_is_cancelled_ends_at_once():
    sched = scheduler(gpu())
    gone, other = make_request("a"), make_request("b")
    prepared(sched, gone, other)
    assert sched.cancel("a") == [gone]
    assert gone.state is RequestState.CANCELLED
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["b"]


def test_a_running_request_that_is_cancelled_ends_after_its_step():
    sched = scheduler(model_info("model", StageInfo("encode", 4), StageInfo("speak", 4), executor="device"))
    gone, other = make_request("a"), make_request("b")
    prepared(sched, gone, other)
    batch = sched.pick(DEVICE, 0.0)
    assert sched.cancel("a") == []
    outcomes = [StepOutcome(request, StepStatus.NEXT, Job(request.clause, "speak")) for request in batch.requests]
    other.job.stage = "speak"
    sched.complete(batch, outcomes, 0.01, 0.0)
    assert gone.state is RequestState.CANCELLED
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["b"]


def test_cancelling_an_unknown_context_does_nothing():
    assert scheduler().cancel("unknown") == []


def test_clear_cancels_all_contexts():
    sched = scheduler(gpu())
    prepared(sched, make_request("a"), make_request("b", bulk=True))
    assert {request.context_key for request in sched.clear()} == {"a", "b"}
    assert sched.stats(0.0).requests == 0


# -- slots --------------------------------------------------------------------------------------------------------


def test_no_more_jobs_get_slots_than_there_are():
    sched = scheduler(gpu(8, slots=2, unit="codec_frame"))
    prepared(sched, *(make_request(n, deadline=float(n)) for n in range(4)))
    batch = sched.pick(DEVICE, 0.0)
    assert context_keys(batch) == [0, 1]
    assert sched.pick(DEVICE, 0.0) is None
    finish(sched, batch)
    assert context_keys(sched.pick(DEVICE, 0.0)) == [2, 3]


def test_a_job_keeps_its_slot_between_its_steps_and_others_join_it():
    sched = scheduler(gpu(8, slots=2, unit="codec_frame"))
    prepared(sched, *(make_request(n, deadline=float(n)) for n in range(3)))
    batch = sched.pick(DEVICE, 0.0)
    other, ends = batch.requests
    outcomes = [
        StepOutcome(other, StepStatus.NEXT, other.job, audio_seconds=0.08),
        StepOutcome(ends, StepStatus.FINISHED, ends.job),
    ]
    sched.complete(batch, outcomes, 0.01, 0.0)
    assert set(context_keys(sched.pick(DEVICE, 0.0))) == {0, 2}


def test_a_cancelled_jobs_slot_goes_to_the_most_urgent_waiting_request():
    sched = scheduler(gpu(1, slots=1))
    prepared(sched, make_request("holds"), make_request("late", deadline=9.0), make_request("soon", deadline=1.0))
    sched.cancel("holds")
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["soon"]


def test_bulk_leaves_a_quarter_of_the_slots_to_interactive_requests():
    sched = scheduler(gpu(8, slots=4))
    prepared(sched, *(make_request(n, bulk=True) for n in range(6)))
    assert len(sched.pick(DEVICE, 0.0).requests) == 3
    prepared(sched, make_request("interactive"))
    assert sched.stats(0.0).engines[0].slots_held == 4


def refuse(sched, batch, now=0.0):
    outcomes = [StepOutcome(request, StepStatus.NO_SLOT, request.job) for request in batch.requests]
    return sched.complete(batch, outcomes, 0.001, now)


def test_a_job_without_a_slot_waits_until_another_ends():
    sched = scheduler(gpu(1, concurrency=2), reserve=False)
    prepared(sched, make_request("in"), make_request("out"))
    first, second = sched.pick(DEVICE, 0.0), sched.pick(DEVICE, 0.0)
    assert refuse(sched, second) == []
    assert sched.pick(DEVICE, 0.0) is None
    finish(sched, first)
    assert context_keys(sched.pick(DEVICE, 0.0)) == ["out"]


def test_a_request_fails_when_an_engine_without_jobs_has_no_slot_for_it():
    sched = scheduler(gpu(1))
    request = make_request("a")
    prepared(sched, request)
    assert refuse(sched, sched.pick(DEVICE, 0.0)) == []
    assert refuse(sched, sched.pick(DEVICE, 0.0)) == []
    assert refuse(sched, sched.pick(DEVICE, 0.0)) == [request]
    assert request.state is RequestState.ENDED
    assert sched.stats(0.0).requests == 0


# -- bounds and numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [{"requests_max": 3}, {"context_requests_max": 3}])
def test_a_full_queue_refuses_by_name(bound):
    sched = scheduler(**bound)
    for n in range(3):
        sched.submit(make_request(index=n), 0.0)
    with pytest.raises(VoxwireError) as refusal:
        sched.submit(make_request(index=3), 0.0)
    assert refusal.value.code is ErrorCode.ENGINE_OVERLOADED
    assert refusal.value.retry_after_ms > 0
    assert sched.stats(0.0).requests == 3


def test_bulk_fills_half_of_the_queue_at_most():
    sched = scheduler(requests_max=4)
    sched.submit(make_request("a", bulk=True), 0.0)
    sched.submit(make_request("b", bulk=True), 0.0)
    with pytest.raises(VoxwireError):
        sched.submit(make_request("c", bulk=True), 0.0)
    sched.submit(make_request("d"), 0.0)


def test_a_request_for_an_unknown_engine_is_refused():
    with pytest.raises(VoxwireError) as refusal:
        scheduler().submit(make_request(engine="other"), 0.0)
    assert refusal.value.code is ErrorCode.ENGINE_UNAVAILABLE


def test_a_requests_wait_and_step_times_are_summed():
    sched = scheduler()
    request = make_request()
    sched.submit(request, 1.0)
    finish(sched, sched.pick("cpu", 1.5), 0.1, 1.6)
    finish(sched, sched.pick("cpu", 1.8), 0.2, 2.0)
    assert request.queue_seconds == pytest.approx(0.7)
    assert request.synth_seconds == pytest.approx(0.3)


def test_statistics_count_steps_and_requests():
    sched = scheduler(gpu(4))
    prepared(sched, *(make_request(n) for n in range(3)), make_request("bulk", bulk=True), make_request("gone"))
    sched.cancel("gone")
    finish(sched, sched.pick(DEVICE, 0.0), 0.25)
    stats = sched.stats(0.0)
    speak = next(stage for stage in stats.stages if stage.stage == "speak")
    assert (speak.steps, speak.rows, speak.batch_sizes, speak.busy_seconds) == (1, 4, {4: 1}, 0.25)
    assert (stats.submitted, stats.completed, stats.cancelled, stats.requests) == (5, 4, 1, 0)
    assert stats.engines[0].audio_seconds == 4.0
