"""Adds the scheduler's counts, the worker threads and the devices' memory to the metrics; read at every scrape."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from voxwire_server.engines.base import UsesDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

    from voxwire_server.audio.encoder_pool import EncoderPool
    from voxwire_server.engines.base import DeviceMemory, Engine
    from voxwire_server.ops.metrics import MetricKind, Metrics
    from voxwire_server.scheduling.stats import (
        EngineStats,
        ExecutorStats,
        HistogramSnapshot,
        SchedulerStats,
        StageStats,
    )
    from voxwire_server.scheduling.workers import WorkerStats

logger = logging.getLogger(__name__)

ENCODERS = "encode"
"""The label `executor` of the threads that encode audio."""

_STAGES: tuple[tuple[str, str, MetricKind, Callable[[StageStats], float]], ...] = (
    ("voxwire_stage_queued", "Clauses waiting for a step.", "gauge", lambda s: s.queued + s.queued_bulk),
    ("voxwire_stage_steps", "Steps made.", "counter", lambda s: s.steps),
    ("voxwire_stage_rows", "Clauses in those steps.", "counter", lambda s: s.rows),
    ("voxwire_stage_units", "Size of those clauses, in characters.", "counter", lambda s: s.units),
    (
        "voxwire_stage_padded_units",
        "The same with each clause as large as the largest of its step; the excess is padding.",
        "counter",
        lambda s: s.padded_units,
    ),
    ("voxwire_stage_busy_seconds", "Worker seconds in steps.", "counter", lambda s: s.busy_seconds),
    ("voxwire_stage_prediction_error", "Mean error of predicted step times.", "gauge", lambda s: s.prediction_error),
    ("voxwire_stage_prediction_bias", "The same, signed.", "gauge", lambda s: s.prediction_bias),
)
_STAGE_HISTOGRAMS: tuple[tuple[str, str, Callable[[StageStats], HistogramSnapshot]], ...] = (
    ("voxwire_stage_step_seconds", "Duration of a step.", lambda s: s.step_seconds),
    ("voxwire_stage_queue_seconds", "How long a clause waited for a step.", lambda s: s.queue_seconds),
    ("voxwire_stage_batch_rows", "Clauses in a step.", lambda s: s.batch_rows),
)
_ENGINES: tuple[tuple[str, str, MetricKind, Callable[[EngineStats], float]], ...] = (
    ("voxwire_engine_listeners", "Contexts that want audio at playout speed.", "gauge", lambda e: e.streams),
    ("voxwire_engine_realtime_factor", "Worker seconds per second of audio.", "gauge", lambda e: e.realtime_factor),
    ("voxwire_engine_audio_seconds", "Seconds of audio made.", "counter", lambda e: e.audio_seconds),
    ("voxwire_engine_late_clauses", "Clauses made after their deadline.", "counter", lambda e: e.late),
    ("voxwire_engine_waiting", "Clauses that wait for a slot.", "gauge", lambda e: e.waiting),
)
_EXECUTORS: tuple[tuple[str, str, MetricKind, Callable[[ExecutorStats], float]], ...] = (
    (
        "voxwire_executor_load",
        "Predicted share of an executor's time that active streams take.",
        "gauge",
        lambda x: x.load,
    ),
    ("voxwire_executor_running", "Steps running.", "gauge", lambda x: x.running),
    ("voxwire_executor_workers", "Steps that may run at once.", "gauge", lambda x: x.workers),
)
_TOTALS: tuple[tuple[str, str, MetricKind, Callable[[SchedulerStats], float]], ...] = (
    ("voxwire_clauses", "Unfinished clauses.", "gauge", lambda s: s.requests),
    ("voxwire_clauses_submitted", "Clauses submitted.", "counter", lambda s: s.submitted),
    ("voxwire_clauses_completed", "Clauses completed.", "counter", lambda s: s.completed),
    ("voxwire_clauses_failed", "Clauses failed.", "counter", lambda s: s.failed),
    ("voxwire_clauses_cancelled", "Clauses cancelled.", "counter", lambda s: s.cancelled),
)
_MEMORY: tuple[tuple[str, str, Callable[[DeviceMemory], float]], ...] = (
    ("voxwire_device_memory_allocated_bytes", "Device memory that tensors take.", lambda m: m.allocated_bytes),
    ("voxwire_device_memory_reserved_bytes", "Device memory that this server holds.", lambda m: m.reserved_bytes),
    ("voxwire_device_memory_total_bytes", "Device memory there is.", lambda m: m.total_bytes),
)


def watch_scheduler(metrics: Metrics, stats: Callable[[], SchedulerStats]) -> None:
    """Show everything in `SchedulerStats`; `stats` is called once a scrape."""
    metrics.watch(SchedulerCollector(stats))


def watch_devices(metrics: Metrics, engines: Iterable[Engine]) -> None:
    """Show the memory of each device that engines run on; where they have none, nothing."""
    metrics.watch(DeviceCollector([engine for engine in engines if isinstance(engine, UsesDevice)]))


def watch_workers(metrics: Metrics, stats: Callable[[], WorkerStats], encoder: EncoderPool) -> None:
    """Show which threads hang and how many were replaced; threads that encode audio are shown as another executor."""

    def hung() -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {(executor,): count for executor, count in stats().hung.items()}
        return found | {(ENCODERS,): encoder.hung}

    def replaced() -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {(*labels,): count for labels, count in stats().replacements.items()}
        return found | {(ENCODERS, "hung"): encoder.replaced}

    metrics.read_table(
        "voxwire_executor_hung",
        "Threads that were replaced because they hang in a call, and still do.",
        ("executor",),
        hung,
    )
    metrics.read_table(
        "voxwire_executor_replacements",
        "Threads that were replaced.",
        ("executor", "cause"),
        replaced,
        "counter",
    )


class SchedulerCollector(Collector):
    """All of the scheduler's metrics, from one snapshot."""

    def __init__(self, stats: Callable[[], SchedulerStats]) -> None:
        self._stats = stats

    def describe(self) -> Iterable[Metric]:
        """The metrics without samples."""
        return self._families(None)

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        return self._families(self._stats())

    def _families(self, stats: SchedulerStats | None) -> Iterable[Metric]:
        stages, engines, executors = (stats.stages, stats.engines, stats.executors) if stats else ((), (), ())
        for name, meaning, kind, total in _TOTALS:
            yield _family(kind, name, meaning, (), [((), total(stats))] if stats else ())
        for name, meaning, kind, stage in _STAGES:
            yield _family(kind, name, meaning, ("engine", "stage"), (((s.engine, s.stage), stage(s)) for s in stages))
        for name, meaning, read in _STAGE_HISTOGRAMS:
            yield _histogram(name, meaning, ("engine", "stage"), (((s.engine, s.stage), read(s)) for s in stages))
        for name, meaning, kind, engine in _ENGINES:
            yield _family(kind, name, meaning, ("engine",), (((e.engine,), engine(e)) for e in engines))
        for name, meaning, kind, executor in _EXECUTORS:
            yield _family(
                kind, name, meaning, ("executor",), (((each.executor,), executor(each)) for each in executors)
            )
        refused = [((reason,), count) for reason, count in stats.refused.items()] if stats else []
        yield _family("counter", "voxwire_admission_refusals", "Refused streams and clauses.", ("reason",), refused)


class DeviceCollector(Collector):
    """The memory of the devices that engines run on; engines of one device report the same."""

    def __init__(self, engines: Iterable[UsesDevice]) -> None:
        self._engines = tuple(engines)

    def describe(self) -> Iterable[Metric]:
        """The metrics without samples."""
        return self._families([])

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now; nothing at all where there is no device."""
        found = [memory for memory in map(_memory, self._engines) if memory is not None]
        return self._families(found) if found else ()

    def _families(self, found: list[DeviceMemory]) -> Iterable[Metric]:
        for name, meaning, read in _MEMORY:
            each = {memory.device: read(memory) for memory in found}
            yield _family("gauge", name, meaning, ("device",), (((device,), value) for device, value in each.items()))


def _memory(engine: UsesDevice) -> DeviceMemory | None:
    try:
        return engine.device_memory()
    except Exception:
        # A device that is lost must not take the other metrics with it.
        logger.exception("a device does not report its memory")
        return None


def _family(
    kind: MetricKind,
    name: str,
    meaning: str,
    labels: tuple[str, ...],
    rows: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    family = (GaugeMetricFamily if kind == "gauge" else CounterMetricFamily)(name, meaning, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _histogram(
    name: str, meaning: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], HistogramSnapshot]]
) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=labels)
    for values, histogram in rows:
        bounds = (*map(floatToGoString, histogram.bounds), "+Inf")
        family.add_metric(values, list(zip(bounds, map(float, histogram.at_most), strict=True)), histogram.total)
    return family
