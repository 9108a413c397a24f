"""Lets metrics read the scheduler's own counts at every scrape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voxwire_server.ops.metrics import MetricKind, Metrics
    from voxwire_server.scheduling.stats import EngineStats, LaneStats, SchedulerStats, StageStats

_STAGES: tuple[tuple[str, str, MetricKind, Callable[[StageStats], float]], ...] = (
    ("voxwire_stage_queued", "Works waiting for a step.", "gauge", lambda s: s.queued + s.queued_bulk),
    ("voxwire_stage_steps", "Steps made.", "counter", lambda s: s.steps),
    ("voxwire_stage_rows", "Works in those steps; by steps, the batch size.", "counter", lambda s: s.rows),
    ("voxwire_stage_units", "Size of those works, in characters.", "counter", lambda s: s.units),
    (
        "voxwire_stage_padded_units",
        "The same with each work as large as the largest of its step; the excess is padding.",
        "counter",
        lambda s: s.padded_units,
    ),
    ("voxwire_stage_busy_seconds", "Worker time in steps.", "counter", lambda s: s.busy_seconds),
    ("voxwire_stage_prediction_error", "Mean error of predicted step times.", "gauge", lambda s: s.prediction_error),
    ("voxwire_stage_prediction_bias", "The same, signed.", "gauge", lambda s: s.prediction_bias),
)
_ENGINES: tuple[tuple[str, str, MetricKind, Callable[[EngineStats], float]], ...] = (
    ("voxwire_engine_listeners", "Contexts that want audio at playout speed.", "gauge", lambda e: e.listeners),
    ("voxwire_engine_realtime_factor", "Worker seconds a second of audio.", "gauge", lambda e: e.realtime_factor),
    ("voxwire_engine_audio_seconds", "Audio made.", "counter", lambda e: e.audio_seconds),
    ("voxwire_engine_late_clauses", "Clauses that came after the listener ran dry.", "counter", lambda e: e.late),
    ("voxwire_engine_waiting", "Works that wait for a slot.", "gauge", lambda e: e.waiting),
)
_LANES: tuple[tuple[str, str, MetricKind, Callable[[LaneStats], float]], ...] = (
    ("voxwire_lane_load", "Share of a lane's time that its listeners take, predicted.", "gauge", lambda x: x.load),
    ("voxwire_lane_running", "Steps running.", "gauge", lambda x: x.running),
)
_TOTALS: tuple[tuple[str, str, MetricKind, Callable[[SchedulerStats], float]], ...] = (
    ("voxwire_works", "Clauses unfinished.", "gauge", lambda s: s.works),
    ("voxwire_works_submitted", "Clauses submitted.", "counter", lambda s: s.submitted),
    ("voxwire_works_completed", "Clauses spoken.", "counter", lambda s: s.completed),
    ("voxwire_works_failed", "Clauses failed.", "counter", lambda s: s.failed),
    ("voxwire_works_cancelled", "Clauses cancelled.", "counter", lambda s: s.cancelled),
)


def watch_scheduler(metrics: Metrics, stats: Callable[[], SchedulerStats]) -> None:
    """Register everything in `SchedulerStats`."""
    for name, meaning, kind, total in _TOTALS:
        metrics.read(name, meaning, lambda read=total: read(stats()), kind)  # type: ignore[misc]
    for name, meaning, kind, stage in _STAGES:
        metrics.read_table(name, meaning, ("engine", "stage"), _by_stage(stats, stage), kind)
    for name, meaning, kind, engine in _ENGINES:
        metrics.read_table(name, meaning, ("engine",), _by_engine(stats, engine), kind)
    for name, meaning, kind, lane in _LANES:
        metrics.read_table(name, meaning, ("lane",), _by_lane(stats, lane), kind)
    metrics.read_table(
        "voxwire_admission_refusals",
        "Listeners not let in, by reason.",
        ("reason",),
        lambda: {(reason,): count for reason, count in stats().refused.items()},
        "counter",
    )


_Table = dict[tuple[str, ...], float]


def _by_stage(stats: Callable[[], SchedulerStats], read: Callable[[StageStats], float]) -> Callable[[], _Table]:
    return lambda: {(each.engine, each.stage): read(each) for each in stats().stages}


def _by_engine(stats: Callable[[], SchedulerStats], read: Callable[[EngineStats], float]) -> Callable[[], _Table]:
    return lambda: {(each.engine,): read(each) for each in stats().engines}


def _by_lane(
    stats: Callable[[], SchedulerStats], read: Callable[[LaneStats], float]
) -> Callable[[], Mapping[tuple[str, ...], float]]:
    return lambda: {(each.lane,): read(each) for each in stats().lanes}
