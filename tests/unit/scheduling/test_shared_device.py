"""Engines that name one device share its executor: one order of steps, one sum of its load."""

import pytest

from support.scheduler_harness import context_keys, finish, make_request, prepare_all, scheduler
from support.scheduler_sim import ModelEngine, StreamLoad, VirtualRunner, model_info
from voxwire_server.engines.base import StageInfo
from voxwire_server.scheduling.admission import RefusalReason
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import PREPARE, RequestState, StepOutcome, StepStatus
from voxwire_server.scheduling.scheduler import Scheduler

EXECUTOR = "device:cuda:0"
STEADY = {"start_seconds": 0.0}


def on_device(name, *stages, device="cuda:0", **more):
    return model_info(name, *(stages or (StageInfo("speak", 8),)), executor="device", device=device, **more)


def two(slow_factor=0.09, **policy):
    fast, slow = on_device("fast", realtime_factor=0.01), on_device("slow", realtime_factor=slow_factor)
    return scheduler(fast, slow, **policy)


def join(sched, engine, streams, now=0.0):
    for number in range(streams):
        sched.stream_started((engine, number), engine, now)


def capacity(sched, engine, now=0.0):
    """How many streams are admitted one after the other."""
    for count in range(1000):
        if sched.admission(engine, False, now) is not None:
            return count
        sched.stream_started((engine, "new", count), engine, now)
    return 1000


# -- the executor ------------------------------------------------------------------------------------------------------


def test_engines_that_name_one_device_share_an_executor_of_one_worker():
    sched = scheduler(on_device("a"), on_device("b", concurrency=3), on_device("c", device=""), workers=2)
    assert dict(sched.executors) == {"cpu": 2, EXECUTOR: 1, "device:c": 1}


def test_the_earliest_deadline_goes_first_whichever_engine_it_is_for():
    sched = two(0.01)
    sched.submit(make_request("later", engine="fast", deadline=9.0), 0.0)
    sched.submit(make_request("sooner", engine="slow", deadline=8.0), 0.0)
    sched.submit(make_request("last", engine="slow", deadline=9.5), 0.0)
    prepare_all(sched)
    batches = []
    while (batch := sched.pick(EXECUTOR, 0.0)) is not None:
        assert sched.pick(EXECUTOR, 0.0) is None, "one step at a time, of either engine"
        batches.append((batch.engine, context_keys(batch)))
        finish(sched, batch)
    assert batches == [("slow", ["sooner", "last"]), ("fast", ["later"])]


def test_no_batch_holds_requests_of_two_engines():
    sched = two()
    for number in range(6):
        sched.submit(make_request(number, engine=("fast", "slow")[number % 2]), 0.0)
    prepare_all(sched)
    assert context_keys(sched.pick(EXECUTOR, 0.0)) == [0, 2, 4]


def test_metrics_name_the_executor_by_its_device():
    sched = two(**STEADY)
    join(sched, "fast", 10)
    join(sched, "slow", 5)
    executors = {executor.executor: executor for executor in sched.stats(0.0).executors}
    assert executors[EXECUTOR].load == pytest.approx(0.55)
    assert {stage.executor for stage in sched.stats(0.0).stages} == {"cpu", EXECUTOR}


# -- admission counts both --------------------------------------------------------------------------------------------


def test_streams_of_one_engine_take_capacity_from_the_other():
    sched = two(**STEADY)
    join(sched, "slow", 5)
    assert capacity(sched, "fast") == 45
    assert sched.admission("slow", False, 0.0).reason is RefusalReason.UTILISATION
    assert sched.admission("fast", False, 0.0).reason is RefusalReason.UTILISATION


def test_pending_admissions_of_one_engine_take_capacity_from_the_other():
    sched = two(**STEADY)
    assert [sched.admission("slow", False, 0.0) for _ in range(9)] == [None] * 9
    assert capacity(sched, "fast") == 9


def test_an_engine_slower_than_real_time_admits_no_stream_beside_one_of_the_other():
    sched = scheduler(on_device("fast", realtime_factor=0.01), on_device("slow", realtime_factor=1.5), **STEADY)
    assert sched.admission("fast", False, 0.0) is None
    assert sched.admission("slow", False, 0.0) is not None


def test_first_clauses_that_wait_for_one_engine_refuse_streams_of_the_other():
    sched = two(queue_seconds_max=1.0)
    for number in range(10):
        sched.submit(make_request(number, engine="slow", deadline=0.0, first=True, text="x" * 60), 0.0)
    prepare_all(sched)
    assert sched.admission("fast", False, 0.0).reason is RefusalReason.QUEUE


def test_while_clauses_of_one_engine_are_late_the_other_admits_no_stream():
    sched = two(**STEADY)
    join(sched, "fast", 40)
    for number in range(30):
        sched.submit(make_request(("fast", number), engine="fast", deadline=99.9), 95.0)
    prepare_all(sched, 100.0)
    while (batch := sched.pick(EXECUTOR, 100.0)) is not None:
        finish(sched, batch, 0.1, 100.0)
    assert sched.admission("slow", False, 100.0).reason is RefusalReason.LATENESS


def test_refused_streams_of_both_engines_retry_one_after_the_other():
    sched = two(**STEADY)
    join(sched, "slow", 10)
    retries_ms = [sched.admission(engine, False, 0.0).retry_after_ms for engine in ("slow", "fast", "slow")]
    assert retries_ms == sorted(retries_ms)
    assert retries_ms[2] > 1.5 * retries_ms[0]


# -- simulated load ---------------------------------------------------------------------------------------------------

FAST = on_device("fast", StageInfo("encode", 16), StageInfo("generate", 16), realtime_factor=0.004)
SLOW = on_device("slow", StageInfo("speak", 1), realtime_factor=0.08)


def seconds(batch):
    """Two engines of one device: a step of the fast one takes 10-30 ms, of the slow one up to a second."""
    chars = max(len(each.clause.text) for each in batch.requests)
    match batch.stage:
        case "speak":
            return 0.02 + 0.0052 * chars
        case "encode" | "generate":
            return 0.010 + 0.00004 * chars * len(batch.requests)
        case _:
            return 0.0002


def simulate(fast, slow, *, admit=False, slow_seconds=seconds, until=40.0, slow_info=SLOW):
    engines = {"fast": ModelEngine(FAST, (40, 80, 120, 160, 200)), "slow": ModelEngine(slow_info)}
    sched = Scheduler({"fast": FAST, "slow": slow_info}, 2, Policy())

    def make(heard):
        return VirtualRunner(engines, sched, heard, lambda b: (slow_seconds if b.engine == "slow" else seconds)(b))

    load = StreamLoad(make, "fast", fast, admit=admit)
    load.join("slow", slow)
    load.run(until)
    return load, sched.stats(until)


def busy_seconds(stats):
    return sum(stage.busy_seconds for stage in stats.stages if stage.stage != PREPARE)


def test_no_stream_underruns_below_the_devices_capacity_for_both_engines():
    load, stats = simulate(80, 4)
    assert busy_seconds(stats) > 0.6 * 40.0, "the device is busy"
    for report in load.reports.values():
        assert report.clauses > 20
        assert report.underruns == 0


def test_above_the_capacity_new_streams_are_refused_and_active_ones_served():
    guarded, stats = simulate(300, 30, admit=True)
    unguarded, _ = simulate(300, 30)
    for engine, report in guarded.reports.items():
        assert report.refused > 10
        assert report.clauses > 20, "streams of both engines are admitted"
        assert report.underruns * 5 < unguarded.reports[engine].underruns
    assert busy_seconds(stats) > 0.6 * 40.0


@pytest.mark.parametrize("chars", [1, 8], ids=["short steps", "long steps"])
def test_an_engine_that_cannot_keep_up_does_not_starve_the_streams_of_the_other(chars):
    """A stream of an engine that takes 1.3 seconds per second of speech underruns in any case."""
    endless = on_device("slow", StageInfo("speak", 1), realtime_factor=1.3, unit="codec_frame")
    frames = {"slow": ModelEngine(endless, frame_seconds=chars / 15), "fast": ModelEngine(FAST)}
    sched = Scheduler({"fast": FAST, "slow": endless}, 2, Policy())

    def step_seconds(batch):
        return 1.3 * chars / 15 if batch.stage == "speak" else seconds(batch)

    load = StreamLoad(lambda heard: VirtualRunner(frames, sched, heard, step_seconds), "fast", 40)
    load.join("slow", 1)
    load.run(60.0)
    assert load.reports["fast"].clauses > 200
    assert load.reports["fast"].underruns == 0
    assert load.reports["slow"].clauses > 2, "it gets the time that is left"


# -- errors and bulk --------------------------------------------------------------------------------------------------


def test_out_of_memory_in_one_engine_makes_no_batch_of_the_other_smaller():
    sched = two(0.001)
    for number in range(16):
        sched.submit(make_request(number, engine=("fast", "slow")[number % 2], deadline=5.0 + number % 2), 0.0)
    prepare_all(sched)
    batch = sched.pick(EXECUTOR, 0.0)
    assert (batch.engine, len(batch.requests)) == ("fast", 8)
    sched.out_of_memory(batch)
    finish(sched, batch)
    assert len(sched.pick(EXECUTOR, 0.0).requests) == 8


def test_a_step_that_fails_ends_requests_of_its_own_engine_only():
    sched = two()
    doomed, other = make_request("doomed", engine="slow", deadline=5.0), make_request("other", engine="fast")
    for each in (doomed, other):
        sched.submit(each, 0.0)
    prepare_all(sched)
    batch = sched.pick(EXECUTOR, 0.0)
    sched.complete(batch, [StepOutcome(doomed, StepStatus.FAILED, doomed.job)], 0.1, 0.1)
    assert (doomed.state, other.state) == (RequestState.ENDED, RequestState.QUEUED)
    assert context_keys(sched.pick(EXECUTOR, 0.1)) == ["other"]


def test_bulk_of_one_engine_waits_for_interactive_requests_of_the_other():
    sched = two()
    sched.submit(make_request("bulk", engine="slow", deadline=0.0, bulk=True), 0.0)
    sched.submit(make_request("interactive", engine="fast", deadline=30.0), 0.0)
    prepare_all(sched)
    batch = sched.pick(EXECUTOR, 0.0)
    assert context_keys(batch) == ["interactive"]
    finish(sched, batch)
    assert context_keys(sched.pick(EXECUTOR, 0.0)) == ["bulk"]


def test_bulk_of_a_slow_engine_does_not_start_a_long_step_while_the_other_has_streams():
    sched = two()
    sched.submit(make_request("bulk", engine="slow", bulk=True, text="x" * 300), 0.0)
    prepare_all(sched)
    sched.stream_started("a", "fast", 0.0)
    assert sched.pick(EXECUTOR, 0.0) is None
    sched.stream_ended("a", 0.0)
    assert context_keys(sched.pick(EXECUTOR, 0.0)) == ["bulk"]
