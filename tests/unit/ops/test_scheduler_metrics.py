"""What a scrape finds of the scheduler and of devices."""

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.in_process_app import running
from support.scheduler_harness import make_request, prepare_all, scheduler
from support.scheduler_sim import model_info
from voxwire_server.engines.base import DeviceMemory, StageInfo
from voxwire_server.ops.metrics import Metrics
from voxwire_server.ops.scheduler_metrics import watch_devices, watch_scheduler
from voxwire_server.scheduling.request import StepOutcome, StepStatus

REPOSITORY = Path(__file__).resolve().parents[3]
STAGE = {"engine": "model", "stage": "speak"}


def test_batches_padding_and_prediction_errors_are_read_from_the_scheduler():
    info = model_info("model", StageInfo("speak", 8), executor="device", realtime_factor=0.015)
    sched = scheduler(info)
    metrics = Metrics()
    watch_scheduler(metrics, lambda: sched.stats(0.0))
    for context_key, chars in (("a", 30), ("b", 10)):
        sched.submit(make_request(context_key, text="x" * chars), 0.0)
    prepare_all(sched)
    batch = sched.pick("device:model", 0.0)
    assert batch.predicted_seconds == pytest.approx(0.04)
    sched.complete(batch, [StepOutcome(each, StepStatus.FINISHED, each.job) for each in batch.requests], 0.05, 0.05)

    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(name, STAGE)

    assert value("voxwire_stage_steps_total") == 1
    assert value("voxwire_stage_rows_total") == 2
    assert value("voxwire_stage_units_total") == 40
    assert value("voxwire_stage_padded_units_total") == 60
    assert value("voxwire_stage_busy_seconds_total") == pytest.approx(0.05)
    assert value("voxwire_stage_prediction_error") == pytest.approx(0.2)
    assert value("voxwire_stage_prediction_bias") == pytest.approx(0.2)


# -- over a scrape ----------------------------------------------------------------------------------------------------


def scrape(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by sample name and label values, those in the order of the labels' names."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    body, _ = metrics.render()
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def watched(sched, now: float = 0.0) -> Metrics:
    metrics = Metrics()
    watch_scheduler(metrics, lambda: sched.stats(now))
    return metrics


def on_gpu(name: str):
    return model_info(name, StageInfo("speak", 8), executor="device", device="cuda:0", realtime_factor=0.015)


def step(sched, seconds: float, now: float, context_keys: str) -> None:
    """One step for a request of each context, queued when the last step ended."""
    for context_key in context_keys:
        sched.submit(make_request(context_key, engine="a"), now)
    prepare_all(sched, now)
    batch = sched.pick("device:cuda:0", now + 0.03)
    sched.complete(
        batch, [StepOutcome(each, StepStatus.FINISHED, each.job) for each in batch.requests], seconds, now + 0.03
    )


def test_step_times_waits_and_batches_are_counted_by_size_for_each_stage():
    sched = scheduler(on_gpu("a"), on_gpu("b"))
    for now, (seconds, context_keys) in enumerate(((0.0009, "v"), (0.001, "wxy"), (0.3, "z"), (11.0, "z"))):
        step(sched, seconds, float(now), context_keys)
    found = scrape(watched(sched))
    steps = {
        le: count
        for (engine, le, stage), count in found["voxwire_stage_step_seconds_bucket"].items()
        if engine == "a" and stage == "speak"
    }
    assert list(steps) == [
        "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1.0", "2.0", "5.0", "10.0", "+Inf",
    ]  # fmt: skip
    assert (steps["0.001"], steps["0.2"], steps["0.5"], steps["10.0"], steps["+Inf"]) == (2, 2, 3, 3, 4)
    assert found["voxwire_stage_step_seconds_sum"]["a", "speak"] == pytest.approx(11.3019)
    assert found["voxwire_stage_step_seconds_count"]["a", "speak"] == 4
    assert found["voxwire_stage_step_seconds_count"]["b", "speak"] == 0
    assert found["voxwire_stage_step_seconds_count"]["a", "prepare"] == 6
    assert found["voxwire_stage_queue_seconds_bucket"]["a", "0.02", "speak"] == 0
    assert found["voxwire_stage_queue_seconds_bucket"]["a", "0.05", "speak"] == 6
    assert found["voxwire_stage_queue_seconds_sum"]["a", "speak"] == pytest.approx(0.18)
    assert found["voxwire_stage_batch_rows_bucket"]["a", "1.0", "speak"] == 3
    assert found["voxwire_stage_batch_rows_bucket"]["a", "2.0", "speak"] == 3
    assert found["voxwire_stage_batch_rows_bucket"]["a", "4.0", "speak"] == 4
    assert found["voxwire_stage_batch_rows_sum"]["a", "speak"] == found["voxwire_stage_rows_total"]["a", "speak"] == 6


def test_engines_on_one_device_are_one_executor():
    found = scrape(watched(scheduler(on_gpu("a"), on_gpu("b"))))
    assert set(found["voxwire_executor_load"]) == {("cpu",), ("device:cuda:0",)}
    assert found["voxwire_executor_workers"]["device:cuda:0",] == 1


def test_refusals_are_counted_by_reason():
    sched = scheduler(model_info(realtime_factor=1.0), start_seconds=0.0)
    sched.stream_started("a", "model", 0.0)
    sched.admission("model", False, 0.0)
    assert scrape(watched(sched))["voxwire_admission_refusals_total"] == {("utilisation",): 1}


def test_a_scrape_asks_the_scheduler_once():
    sched, asked = scheduler(), []
    metrics = Metrics()
    watch_scheduler(metrics, lambda: asked.append(1) or sched.stats(0.0))
    assert asked == []
    metrics.render()
    assert asked == [1]


# -- devices ----------------------------------------------------------------------------------------------------------


class OnDevice:
    """An engine that tells of its device's memory."""

    info = on_gpu("a")

    def __init__(self, memory: DeviceMemory | Exception | None) -> None:
        self.memory = memory

    def device_memory(self) -> DeviceMemory | None:
        if isinstance(self.memory, Exception):
            raise self.memory
        return self.memory


def memory_of(*engines: object) -> dict[str, dict[tuple[str, ...], float]]:
    metrics = Metrics()
    watch_devices(metrics, engines)
    return {name: table for name, table in scrape(metrics).items() if name.startswith("voxwire_device")}


def test_memory_is_reported_once_per_device():
    first, second = (
        DeviceMemory("cuda:0", 1 << 30, 2 << 30, 80 << 30),
        DeviceMemory("cuda:1", 3 << 30, 4 << 30, 80 << 30),
    )
    assert memory_of(OnDevice(first), OnDevice(first), OnDevice(second)) == {
        "voxwire_device_memory_allocated_bytes": {("cuda:0",): 1 << 30, ("cuda:1",): 3 << 30},
        "voxwire_device_memory_reserved_bytes": {("cuda:0",): 2 << 30, ("cuda:1",): 4 << 30},
        "voxwire_device_memory_total_bytes": {("cuda:0",): 80 << 30, ("cuda:1",): 80 << 30},
    }


def test_without_a_device_no_memory_is_reported():
    assert memory_of(OnDevice(None), object()) == {}


def test_a_lost_device_does_not_break_other_metrics(caplog):
    memory = DeviceMemory("cuda:1", 1, 2, 3)
    found = memory_of(OnDevice(RuntimeError("the device is lost")), OnDevice(memory))
    assert found["voxwire_device_memory_total_bytes"] == {("cuda:1",): 3}
    assert "does not report its memory" in caplog.text


# -- all of them ------------------------------------------------------------------------------------------------------

DOCUMENTED = REPOSITORY / "docs" / "metrics.md"


def test_every_metric_of_a_running_server_is_documented_and_every_documented_one_is_there():
    async def names() -> set[str]:
        async with running() as application:
            return {metric.name for metric in application.metrics.registry.collect()}

    own = {name for name in asyncio.run(names()) if name.startswith("voxwire_")}
    own |= set(memory_of(OnDevice(DeviceMemory("cuda:0", 1, 2, 3))))
    documented = set(re.findall(r"^\| `(voxwire_\w+)`", DOCUMENTED.read_text(), re.MULTILINE))
    assert documented == own
