"""The scheduler's statistics for metrics: histograms, and a snapshot of counts and seconds. Totals only grow."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True, slots=True)
class HistogramSnapshot:
    """`at_most` has the number of values up to each of `bounds`, and last the number of all; `total` is their sum."""

    bounds: tuple[float, ...]
    at_most: tuple[int, ...]
    total: float


class Histogram:
    """Counts values by size. A count is one bisection and two additions, as workers count under the runner's lock."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def read(self) -> HistogramSnapshot:
        """The counts so far."""
        return HistogramSnapshot(self._bounds, tuple(accumulate(self._counts)), self._total)


@dataclass(frozen=True, slots=True)
class StageStats:
    """One stage of one engine.

    `queued`, `queued_bulk`: requests that wait for a step now. `batch_sizes` counts steps by their number of rows.
    `units`: the size of all requests stepped, in characters; `padded_units`: the same with each request as large as the
    largest of its batch. `queue_seconds` has each request's wait for each of its steps. `prediction_error`: running
    mean of |real - predicted| / real over the stage's steps; `prediction_bias`: the same with its sign, above 0 where
    predictions are too short.
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
    """One engine.

    `streams`: active streams. `slots_held`: slots in use, of `slots` (0: no limit); `waiting`: prepared requests that
    wait for one. `realtime_factor`: worker seconds per second of audio, learned. `late`: clauses whose audio came after
    their deadline; `late_share`: their share in the last seconds.
    """

    engine: str
    streams: int
    slots_held: int
    slots: int
    waiting: int
    realtime_factor: float
    audio_seconds: float
    late: int
    late_share: float


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """One executor. `load`: the predicted share of its workers' time that its active streams take."""

    executor: str
    workers: int
    running: int
    load: float


@dataclass(frozen=True, slots=True)
class SchedulerStats:
    """Everything at one moment. `requests` are unfinished; the counts after it are totals, `refused` by reason."""

    executors: tuple[ExecutorStats, ...]
    engines: tuple[EngineStats, ...]
    stages: tuple[StageStats, ...]
    requests: int
    submitted: int
    completed: int
    failed: int
    cancelled: int
    refused: Mapping[str, int]
