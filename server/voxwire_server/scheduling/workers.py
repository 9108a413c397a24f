"""Keeps what each worker thread does and since when, which threads hang, and which engines are in trouble.

    ACTIVE --call past its limit--> HUNG --call returns--> thread ends
       |                            a new thread has its place; results of the hung call are dropped
       +--thread ended by itself--> DIED: a new thread has its place

Pure but for the threads it holds: the runner passes the time in seconds, and calls it under its own lock.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from voxwire_server.scheduling.request import Batch

HANG_SECONDS = 30.0
"""A call counts as hung only after this many seconds (`scheduling.hang_seconds`),"""

HANG_FACTOR = 20.0
"""and only after this many times its predicted time, because slow machines take long for long clauses."""

HUNG_MAX = 4
"""Hung threads of one engine, per worker of its executor, from which on it is shut, though other steps of it
succeed."""

TOLD_SECONDS = 10.0
"""A problem is reported for at least so long, even if the engine recovers sooner: load balancers ask now and then."""

CHECK_SECONDS = 10.0
"""How often an engine in trouble that has nothing to do is tried with one word."""


class WorkerLoss(StrEnum):
    """Why a thread had to be replaced."""

    HUNG = "hung"
    DIED = "died"


@dataclass(slots=True, eq=False)
class Worker:
    """One worker thread and the call into `engine` that it is in, for `batch` (None: releasing jobs, or a check).

    `since` and `limit`: when the call began and how many seconds it may take. `claimed`: the engine has returned its
    results, which are being shaped. `retired`: another thread has its place.
    """

    executor: str
    thread: threading.Thread | None = None
    engine: str = ""
    batch: Batch | None = None
    since: float = math.inf
    limit: float = math.inf
    claimed: bool = False
    retired: bool = False

    def begin(self, engine: str, batch: Batch | None, now: float, least: float) -> None:
        """The thread enters a call; `least`: how many seconds any call may take."""
        predicted = 0.0 if batch is None else batch.predicted_seconds
        self.engine, self.batch, self.since, self.claimed = engine, batch, now, False
        self.limit = max(least, HANG_FACTOR * predicted)

    def end(self) -> None:
        """The thread has left its call."""
        self.engine, self.batch, self.since = "", None, math.inf

    def loss(self, now: float) -> WorkerLoss | None:
        """Why the thread has to be replaced; None if it has not."""
        thread = self.thread
        if thread is not None and thread.ident is not None and not thread.is_alive():
            return WorkerLoss.DIED
        return WorkerLoss.HUNG if now - self.since > self.limit else None

    def where(self) -> str:
        """Which lines its thread is at, outermost first; code only, no values."""
        ident = None if self.thread is None else self.thread.ident
        frame = None if ident is None else sys._current_frames().get(ident)
        if frame is None:
            return ""
        return " > ".join(f"{each.filename}:{each.lineno}" for each in traceback.extract_stack(frame)[-12:])


@dataclass(slots=True)
class Executor:
    """The executors of one executor and how they are woken. `hung` were replaced and have not come back.

    `checks`: engines to be tried with one word when there is nothing else to do.
    """

    name: str
    work_available: threading.Condition
    size: int
    workers: list[Worker] = field(default_factory=list)
    hung: list[Worker] = field(default_factory=list)
    tasks: deque[tuple[Callable[[], None], Future[None]]] = field(default_factory=deque)
    checks: deque[str] = field(default_factory=deque)
    idle: int = 0
    started: int = 0


@dataclass(slots=True)
class EngineFault:
    """The trouble of an engine that lost a thread, lately or without having worked since.

    `in_prepare`: the call was one of `prepare`, so only another `prepare` shows that the engine works; otherwise only a
    step does. `losses`: threads that hung since it last worked. `told_until`: until when it is reported in any case.
    `check_at`: when it is tried next. `works_again`: it has worked since. `shut`: it gets no more work.
    """

    reason: str
    in_prepare: bool
    losses: int = 0
    told_until: float = 0.0
    check_at: float = 0.0
    works_again: bool = False
    shut: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """Hung threads by executor; threads replaced by executor and cause; the problem of each engine in trouble."""

    hung: Mapping[str, int]
    replacements: Mapping[tuple[str, str], int]
    problems: Mapping[str, str]


class EngineFaults:
    """Which engines are in trouble."""

    def __init__(self) -> None:
        self.replacements: Counter[tuple[str, str]] = Counter()
        self._by_engine: dict[str, EngineFault] = {}

    def lost(self, worker: Worker, loss: WorkerLoss, workers_count: int, hung: int, now: float) -> bool:
        """A thread had to be replaced. Returns whether its engine is shut now, and was not before.

        `hung`: how many threads hang in this engine now, this one included.
        """
        self.replacements[worker.executor, loss.value] += 1
        engine = worker.engine
        if not engine:
            return False
        in_prepare = worker.batch is not None and worker.batch.stage == "prepare"
        reason = (
            f"engine {engine} does not answer: a step hangs"
            if loss is WorkerLoss.HUNG
            else f"engine {engine}: a worker died"
        )
        fault = self._by_engine.setdefault(engine, EngineFault(reason, in_prepare))
        fault.losses += loss is WorkerLoss.HUNG
        fault.check_at, fault.told_until, fault.works_again = now, now + TOLD_SECONDS, False
        if not fault.shut:
            fault.shut = fault.losses > workers_count or hung >= HUNG_MAX * workers_count
            return fault.shut
        return False

    def works_again(self, engine: str, *, prepared: bool, stepped: bool) -> None:
        """An engine has prepared a clause, or made a step, without a fault."""
        fault = self._by_engine.get(engine)
        if fault is not None and not fault.shut and (prepared if fault.in_prepare else stepped):
            fault.works_again, fault.losses = True, 0

    def came_back(self, engine: str, now: float) -> bool:
        """A hung call returned. Returns whether its engine was shut, and is to be tried again."""
        fault = self._by_engine.get(engine)
        if fault is None or not fault.shut:
            return False
        fault.shut, fault.losses, fault.check_at, fault.told_until = False, 0, now, now + TOLD_SECONDS
        return True

    def due(self, now: float) -> list[str]:
        """The engines to be tried now. An engine that has worked, and was reported for long enough, is forgotten."""
        self._by_engine = {
            n: each for n, each in self._by_engine.items() if not each.works_again or now < each.told_until
        }
        due = [n for n, each in self._by_engine.items() if not (each.shut or each.works_again) and each.check_at <= now]
        for name in due:
            self._by_engine[name].check_at = now + CHECK_SECONDS
        return due

    @property
    def shut(self) -> list[str]:
        """The engines that get no more work."""
        return [name for name, each in self._by_engine.items() if each.shut]

    @property
    def problems(self) -> dict[str, str]:
        """The problem of each engine in trouble, for `/ready`."""
        return {name: each.reason for name, each in self._by_engine.items()}
