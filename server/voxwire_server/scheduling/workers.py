"""Tracks what each worker thread does and since when, which threads hang, and which engines are unhealthy.

    ACTIVE --call past its limit--> HUNG --call returns--> thread ends
       |                            replaced by a new thread; results of the hung call are dropped
       +--thread ended by itself--> DIED: replaced by a new thread

The runner passes the time in seconds, and calls it under its own lock.
"""

from __future__ import annotations

import math
import sys
import threading
import traceback
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from voxwire_server.scheduling.request import PREPARE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from voxwire_server.scheduling.request import Batch

HANG_SECONDS = 30.0
"""A call counts as hung only after this many seconds (`scheduling.hang_seconds`),"""

HANG_FACTOR = 20.0
"""and only after this many times its predicted time, because slow machines take long for long clauses."""

HUNG_MAX = 4
"""An engine with this many hung threads per worker of its executor is disabled, though other steps of it succeed."""

REPORT_SECONDS_MIN = 10.0
"""A problem is reported for at least this long, even if the engine recovers sooner, as load balancers poll."""

CHECK_SECONDS = 10.0
"""How often the health of an unhealthy engine without requests is checked with one word."""


class ReplacementCause(StrEnum):
    """Why a thread was replaced."""

    HUNG = "hung"
    DIED = "died"


@dataclass(slots=True, eq=False)
class Worker:
    """One worker thread and its current call into `engine`, for `batch` (None: it releases a job, or checks health).

    `since` and `limit`: when the call began and how many seconds it may take. `engine_returned`: the engine returned
    its results, which are passed to the sinks now. `replaced`: another thread works in its place.
    """

    executor: str
    thread: threading.Thread | None = None
    engine: str = ""
    batch: Batch | None = None
    since: float = math.inf
    limit: float = math.inf
    engine_returned: bool = False
    replaced: bool = False

    def enter_call(self, engine: str, batch: Batch | None, now: float, least: float) -> None:
        """The thread enters a call; `least`: how many seconds any call may take."""
        predicted = 0.0 if batch is None else batch.predicted_seconds
        self.engine, self.batch, self.since, self.engine_returned = engine, batch, now, False
        self.limit = max(least, HANG_FACTOR * predicted)

    def leave_call(self) -> None:
        """The thread has left its call."""
        self.engine, self.batch, self.since = "", None, math.inf

    def replacement_cause(self, now: float) -> ReplacementCause | None:
        """Why the thread has to be replaced; None if it has not."""
        thread = self.thread
        if thread is not None and thread.ident is not None and not thread.is_alive():
            return ReplacementCause.DIED
        return ReplacementCause.HUNG if now - self.since > self.limit else None

    def where(self) -> str:
        """The stack of its thread, outermost call first: files and lines, no values."""
        ident = None if self.thread is None else self.thread.ident
        frame = None if ident is None else sys._current_frames().get(ident)
        if frame is None:
            return ""
        return " > ".join(f"{each.filename}:{each.lineno}" for each in traceback.extract_stack(frame)[-12:])


@dataclass(slots=True)
class Executor:
    """The workers of one executor and what they wait for. `hung`: workers that were replaced while they hang.

    `work_available` wakes an idle worker; `idle`: how many wait for it. `tasks`: calls to be made between two steps.
    `health_checks`: engines to be checked when there is nothing else to do. `started`: how many threads were started.
    """

    name: str
    work_available: threading.Condition
    worker_count: int
    workers: list[Worker] = field(default_factory=list)
    hung: list[Worker] = field(default_factory=list)
    tasks: deque[tuple[Callable[[], None], Future[None]]] = field(default_factory=deque)
    health_checks: deque[str] = field(default_factory=deque)
    idle: int = 0
    started: int = 0


@dataclass(slots=True)
class UnhealthyEngine:
    """An engine that lost a thread lately, or has not succeeded since it did.

    `in_prepare`: the call was one of `prepare`, so that only another `prepare` shows that the engine has recovered;
    otherwise only a step does. `hung_count`: threads that hung since its last success. `reported_until`: until when it
    is reported in any case. `check_at`: when its health is checked next. `recovered`: it has succeeded since.
    `disabled`: it gets no more requests.
    """

    problem: str
    in_prepare: bool
    hung_count: int = 0
    reported_until: float = 0.0
    check_at: float = 0.0
    recovered: bool = False
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """Hung threads by executor; replaced threads by executor and cause; the problem of each unhealthy engine."""

    hung: Mapping[str, int]
    replacements: Mapping[tuple[str, str], int]
    problems: Mapping[str, str]


class EngineHealth:
    """Which engines are unhealthy, since threads of theirs hung or died."""

    def __init__(self) -> None:
        self.replacements: Counter[tuple[str, str]] = Counter()
        self._unhealthy: dict[str, UnhealthyEngine] = {}

    def worker_replaced(
        self, worker: Worker, cause: ReplacementCause, worker_count: int, hung: int, now: float
    ) -> None:
        """A thread was replaced; its engine is disabled if it hangs too often.

        `worker_count`: workers of its executor. `hung`: threads that hang in this engine now, this one included.
        """
        self.replacements[worker.executor, cause.value] += 1
        engine = worker.engine
        if not engine:
            return
        in_prepare = worker.batch is not None and worker.batch.stage == PREPARE
        problem = (
            f"engine {engine} does not respond: a step hangs"
            if cause is ReplacementCause.HUNG
            else f"engine {engine}: a worker died"
        )
        state = self._unhealthy.setdefault(engine, UnhealthyEngine(problem, in_prepare))
        state.hung_count += cause is ReplacementCause.HUNG
        state.check_at, state.reported_until, state.recovered = now, now + REPORT_SECONDS_MIN, False
        state.disabled = state.disabled or state.hung_count > worker_count or hung >= HUNG_MAX * worker_count

    def succeeded(self, engine: str, *, prepared: bool, stepped: bool) -> None:
        """An engine has prepared a clause, or made a step, without failing."""
        state = self._unhealthy.get(engine)
        if state is not None and not state.disabled and (prepared if state.in_prepare else stepped):
            state.recovered, state.hung_count = True, 0

    def hung_call_returned(self, engine: str, now: float) -> bool:
        """A hung call of an engine returned. Returns whether the engine was disabled, and is to be enabled again."""
        state = self._unhealthy.get(engine)
        if state is None or not state.disabled:
            return False
        state.disabled, state.hung_count, state.check_at, state.reported_until = False, 0, now, now + REPORT_SECONDS_MIN
        return True

    def checks_due(self, now: float) -> list[str]:
        """The engines whose health is to be checked now. Engines that recovered and were reported for long enough are
        forgotten."""
        self._unhealthy = {
            name: state for name, state in self._unhealthy.items() if not state.recovered or now < state.reported_until
        }
        due = [
            name
            for name, state in self._unhealthy.items()
            if not (state.disabled or state.recovered) and state.check_at <= now
        ]
        for name in due:
            self._unhealthy[name].check_at = now + CHECK_SECONDS
        return due

    @property
    def disabled(self) -> list[str]:
        """The engines that get no more requests."""
        return [name for name, state in self._unhealthy.items() if state.disabled]

    @property
    def problems(self) -> dict[str, str]:
        """The problem of each unhealthy engine, for `/ready`."""
        return {name: state.problem for name, state in self._unhealthy.items()}
