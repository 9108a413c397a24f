"""Hundreds of streams on virtual time, with engines whose step times are modelled."""

import pytest

from support.scheduler_harness import make_request
from support.scheduler_sim import ModelEngine, StreamLoad, VirtualRunner, batch_seconds, model_info
from voxwire_server.engines.base import StageInfo
from voxwire_server.scheduling.policy import Order, Policy
from voxwire_server.scheduling.request import PREPARE
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.speech import EndReason

CPU = model_info(concurrency=2, realtime_factor=0.005)
CPU_SECONDS = batch_seconds(0.002, 0.005 / 15)
GPU = model_info(
    "model",
    StageInfo("encode", 32),
    StageInfo("front", 32),
    StageInfo("generate", 32),
    executor="device",
    realtime_factor=0.01,
)
GPU_SECONDS = batch_seconds(0.010, 0.00002)
BUCKETS = (40, 80, 120, 160, 200)


def simulate(info, seconds, streams, *, admit=False, **policy):
    scheduler = Scheduler({"model": info}, 2, Policy(**policy))
    engines = {"model": ModelEngine(info, BUCKETS if info.executor == "device" else ())}
    load = StreamLoad(lambda heard: VirtualRunner(engines, scheduler, heard, seconds), "model", streams, admit=admit)
    load.run(40.0)
    return load.report, scheduler.stats(40.0)


@pytest.mark.parametrize(("info", "seconds", "streams"), [(CPU, CPU_SECONDS, 180), (GPU, GPU_SECONDS, 250)])
def test_no_stream_underruns_when_the_engine_is_fast_enough(info, seconds, streams):
    report, stats = simulate(info, seconds, streams)
    assert report.clauses > 5 * streams
    assert report.underruns == 0
    assert stats.engines[0].late == 0


@pytest.mark.parametrize(("info", "seconds", "streams"), [(CPU, CPU_SECONDS, 200), (GPU, GPU_SECONDS, 350)])
def test_first_clauses_are_sooner_by_deadline_than_by_arrival(info, seconds, streams):
    by_deadline, _ = simulate(info, seconds, streams)
    by_arrival, _ = simulate(info, seconds, streams, order=Order.ARRIVAL)
    assert by_deadline.ttfa_at(0.5) < 0.6 * by_arrival.ttfa_at(0.5)
    assert by_deadline.ttfa_at(0.95) < 0.8 * by_arrival.ttfa_at(0.95)


def misses(order, jobs, workers_seconds):
    """How many requests end after their deadline when all are submitted at the start."""
    scheduler = Scheduler({"model": CPU}, 1, Policy(order=order, reserve=False))
    ended = {}
    runner = VirtualRunner(
        {"model": ModelEngine(CPU)},
        scheduler,
        lambda outputs: ended.update((output.request, runner.now) for output in outputs),
        lambda batch: 0.0 if batch.stage == PREPARE else workers_seconds,
    )
    due = {}
    for number, deadline in enumerate(jobs):
        request = make_request(number, deadline=deadline)
        due[request] = deadline
        runner.submit(request)
    runner.run_out()
    assert set(ended) == set(due)
    return sum(ended[request] > due[request] + 1e-9 for request in due)


def test_feasible_deadlines_are_met_where_arrival_order_misses_most():
    jobs = [0.1 * (position + 1) for position in reversed(range(100))]
    assert misses(Order.DEADLINE, jobs, 0.1) == 0
    assert misses(Order.ARRIVAL, jobs, 0.1) >= 49


def test_the_last_worker_is_free_for_first_clauses():
    reserved, _ = simulate(CPU, CPU_SECONDS, 64)
    taken, _ = simulate(CPU, CPU_SECONDS, 64, reserve=False)
    assert reserved.underruns == 0
    assert reserved.ttfa_at(0.95) < 0.7 * taken.ttfa_at(0.95)


def test_batching_serves_streams_that_single_steps_starve():
    batched, stats = simulate(GPU, GPU_SECONDS, 350)
    single, _ = simulate(GPU, GPU_SECONDS, 350, batching=False)
    assert batched.underruns * 20 < single.underruns
    assert batched.ttfa_at(0.95) < 0.2 * single.ttfa_at(0.95)
    assert max(max(stage.batch_sizes) for stage in stats.stages) > 4


@pytest.mark.parametrize(("info", "seconds"), [(CPU, CPU_SECONDS), (GPU, GPU_SECONDS)])
def test_admission_keeps_active_streams_served_when_far_too_many_come(info, seconds):
    guarded, stats = simulate(info, seconds, 1000, admit=True)
    unguarded, _ = simulate(info, seconds, 1000)
    assert guarded.refused > 0
    assert guarded.underruns < 0.05 * guarded.clauses
    assert guarded.underruns * 5 < unguarded.underruns
    workers = 2 if info.executor == "cpu" else 1
    busy_seconds = sum(stage.busy_seconds for stage in stats.stages if stage.stage != PREPARE)
    assert busy_seconds > 0.7 * 40.0 * workers, "the engine is not left idle"


def test_costs_are_predicted_within_a_few_percent_once_learned():
    _, stats = simulate(CPU, CPU_SECONDS, 100)
    assert all(stage.prediction_error < 0.1 for stage in stats.stages)
    _, stats = simulate(GPU, GPU_SECONDS, 100)
    assert all(stage.prediction_error < 0.15 for stage in stats.stages)


def test_a_cancelled_job_costs_no_further_step():
    info = model_info("model", StageInfo("frame", 4), executor="device", unit="codec_frame", slots=4)
    engine = ModelEngine(info, frame_seconds=0.1)
    scheduler = Scheduler({"model": info}, 1)
    heard = []
    runner = VirtualRunner({"model": engine}, scheduler, heard.extend, lambda batch: 0.01)
    completed, cancelled = make_request("completed", text="x" * 60), make_request("cancelled", text="x" * 60)
    runner.submit(completed)
    runner.submit(cancelled)
    runner.advance(0.1)
    steps_before = sum(cancelled in batch.requests for batch in runner.batches)
    heard_before = sum(output.request is cancelled for output in heard)
    assert steps_before > 2
    runner.cancel("cancelled")
    runner.run_out()
    assert sum(cancelled in batch.requests for batch in runner.batches) == steps_before
    assert sum(output.request is cancelled for output in heard) == heard_before
    assert engine.finished == {completed.job: EndReason.COMPLETED, cancelled.job: EndReason.CANCELLED}


def test_jobs_of_a_codec_frame_engine_join_and_leave_between_steps():
    info = model_info("model", StageInfo("frame", 8), executor="device", unit="codec_frame", slots=3)
    scheduler = Scheduler({"model": info}, 1)
    ended = []
    runner = VirtualRunner(
        {"model": ModelEngine(info, frame_seconds=0.1)},
        scheduler,
        lambda outputs: ended.extend(o.request.context_key for o in outputs if o.finished),
        lambda batch: 0.01,
    )
    for number, chars in enumerate((60, 15, 30, 45, 15)):
        runner.submit(make_request(number, text="x" * chars, deadline=float(number)))
    runner.run_out()
    sizes = [len(batch.requests) for batch in runner.batches if batch.stage == "frame"]
    assert max(sizes) == 3
    assert sorted(ended) == [0, 1, 2, 3, 4]
    assert ended[-1] in (0, 3)
    assert scheduler.stats(0.0).engines[0].slots_held == 0
