"""What the scheduler tells metrics: a snapshot of counts and seconds. Totals only grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxwire_server.scheduling.tallies import HistogramSnapshot


@dataclass(frozen=True, slots=True)
class StageStats:
    """One stage of one engine. `prediction_error` is the running mean of |real - predicted| / real of its steps;
    `prediction_bias` keeps the sign (above 0: predicted too short). `batch_sizes` counts steps by rows. `units` is the
    size of all works stepped, in characters; `padded_units` the same with each as large as the largest of its batch.
    `queue_seconds` has each work's wait for each of its steps.
    """

    engine: str
    stage: str
    executor: str
    queued: int
    queued_bulk: int
    steps: int
    rows: int
    batch_sizes: Mapping[int, int]
    units: float
    padded_units: float
    busy_seconds: float
    predicted_seconds: float
    step_seconds: HistogramSnapshot
    queue_seconds: HistogramSnapshot
    batch_rows: HistogramSnapshot
    prediction_error: float
    prediction_bias: float


@dataclass(frozen=True, slots=True)
class EngineStats:
    """One engine. `realtime_factor`: worker seconds a second of audio, learned. `late` clauses came after the listener
    had run dry. `waiting` works are prepared and have no slot.
    """

    engine: str
    streams: int
    holders: int
    slots: int
    waiting: int
    realtime_factor: float
    audio_seconds: float
    late: int
    late_share: float


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """One executor. `load`: the share of its workers' time that its present listeners take, predicted."""

    executor: str
    workers: int
    running: int
    load: float


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """Everything at one moment. `requests` are unfinished; the counts after it are totals."""

    executors: tuple[ExecutorStats, ...]
    engines: tuple[EngineStats, ...]
    stages: tuple[StageStats, ...]
    requests: int
    submitted: int
    completed: int
    failed: int
    cancelled: int
    refused: Mapping[str, int]
