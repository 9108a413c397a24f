"""Keeps the books about worker threads: what each is doing and since when, which hang, which engines are in trouble.

    ACTIVE --past its limit--> HUNG --comes back--> ended     HUNG: retired, a new thread has its place; what it makes
       |                                                      is dropped
       +--thread ended--> replaced

Pure but for the threads it holds: the runner tells it the time, and calls it under its own lock.
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

    from voxwire_server.engines.work import Batch

HANG_SECONDS = 30.0
"""A step may take at least so long before its thread counts as hung."""

HANG_FACTOR = 20.0
"""And at least so many times as long as was predicted: slow machines with long clauses are no hung ones."""

HUNG_MAX = 4
"""Where as many threads a worker hang in one engine, it is given no more, whatever it speaks in between."""

TOLD_SECONDS = 10.0
"""A hang is told for so long at the least, however soon the engine is well again: load balancers look now and then."""

CHECK_SECONDS = 10.0
"""An engine in trouble that has nothing to do is tried with one word every so often."""


class Loss(StrEnum):
    """Why a thread had to be replaced."""

    HUNG = "hung"
    DIED = "died"


@dataclass(slots=True, eq=False)
class Executor:
    """One worker thread and the call that it is in: of `engine`, for `batch` (None: letting go of jobs, or a check).

    `claimed`: the engine has given its results, which are being shaped. `retired`: its place was given to another.
    """

    lane: str
    thread: threading.Thread | None = None
    engine: str = ""
    batch: Batch | None = None
    since: float = math.inf
    limit: float = math.inf
    claimed: bool = False
    retired: bool = False

    def begin(self, engine: str, batch: Batch | None, now: float, least: float) -> None:
        """It enters a call; `least`: how long any call may take, in seconds."""
        predicted = 0.0 if batch is None else batch.predicted_seconds
        self.engine, self.batch, self.since, self.claimed = engine, batch, now, False
        self.limit = max(least, HANG_FACTOR * predicted)

    def end(self) -> None:
        """It is in no call that is watched."""
        self.engine, self.batch, self.since = "", None, math.inf

    def loss(self, now: float) -> Loss | None:
        """Whether it has to be replaced, and why."""
        thread = self.thread
        if thread is not None and thread.ident is not None and not thread.is_alive():
            return Loss.DIED
        return Loss.HUNG if now - self.since > self.limit else None

    def where(self) -> str:
        """Which lines its thread is at, outermost first; code only, no values."""
        ident = None if self.thread is None else self.thread.ident
        frame = None if ident is None else sys._current_frames().get(ident)
        if frame is None:
            return ""
        return " > ".join(f"{each.filename}:{each.lineno}" for each in traceback.extract_stack(frame)[-12:])


@dataclass(slots=True)
class Lane:
    """The executors of one lane and how they are woken. `hung` were replaced and have not come back.

    `checks`: engines to be tried with one word when there is nothing else to do.
    """

    name: str
    work_came: threading.Condition
    workers: int
    executors: list[Executor] = field(default_factory=list)
    hung: list[Executor] = field(default_factory=list)
    errands: deque[tuple[Callable[[], None], Future[None]]] = field(default_factory=deque)
    checks: deque[str] = field(default_factory=deque)
    idle: int = 0
    started: int = 0


@dataclass(slots=True)
class Trouble:
    """An engine that lost a thread, lately or without having shown since that it is well.

    `in_prepare`: it was in `prepare` that it hung, so a step proves nothing, and the other way round. `losses` came one
    after the other. `told_until`: the moment until which it is told of in any case. `shut`: it is given nothing more.
    """

    reason: str
    in_prepare: bool
    losses: int = 0
    told_until: float = 0.0
    check_at: float = 0.0
    well: bool = False
    shut: bool = False


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """Hung threads by lane; threads replaced by lane and cause; what ails which engine."""

    hung: Mapping[str, int]
    replacements: Mapping[tuple[str, str], int]
    problems: Mapping[str, str]


class Troubles:
    """Which engines are in trouble."""

    def __init__(self) -> None:
        self.replacements: Counter[tuple[str, str]] = Counter()
        self._by_engine: dict[str, Trouble] = {}

    def lost(self, executor: Executor, loss: Loss, workers: int, hung: int, now: float) -> bool:
        """A thread had to be replaced. Whether its engine is to be given nothing more.

        `hung`: how many threads hang in this engine now, this one included.
        """
        self.replacements[executor.lane, loss.value] += 1
        engine = executor.engine
        if not engine:
            return False
        in_prepare = executor.batch is not None and executor.batch.stage == "prepare"
        reason = (
            f"engine {engine} does not answer: a step hangs" if loss is Loss.HUNG else f"engine {engine}: a worker died"
        )
        trouble = self._by_engine.setdefault(engine, Trouble(reason, in_prepare))
        trouble.losses += loss is Loss.HUNG
        trouble.check_at, trouble.told_until, trouble.well = now, now + TOLD_SECONDS, False
        if not trouble.shut:
            trouble.shut = trouble.losses > workers or hung >= HUNG_MAX * workers
            return trouble.shut
        return False

    def well(self, engine: str, *, prepared: bool, stepped: bool) -> None:
        """An engine prepared or stepped something as it should."""
        trouble = self._by_engine.get(engine)
        if trouble is not None and not trouble.shut and (prepared if trouble.in_prepare else stepped):
            trouble.well, trouble.losses = True, 0

    def came_back(self, engine: str, now: float) -> bool:
        """A thread that hung in an engine came back. Whether the engine was shut, and may be tried again."""
        trouble = self._by_engine.get(engine)
        if trouble is None or not trouble.shut:
            return False
        trouble.shut, trouble.losses, trouble.check_at, trouble.told_until = False, 0, now, now + TOLD_SECONDS
        return True

    def due(self, now: float) -> list[str]:
        """The engines to be tried now; those that have been well for long enough are in trouble no more."""
        self._by_engine = {n: each for n, each in self._by_engine.items() if not each.well or now < each.told_until}
        due = [n for n, each in self._by_engine.items() if not (each.shut or each.well) and each.check_at <= now]
        for name in due:
            self._by_engine[name].check_at = now + CHECK_SECONDS
        return due

    @property
    def shut(self) -> list[str]:
        """The engines that are given nothing more."""
        return [name for name, each in self._by_engine.items() if each.shut]

    @property
    def problems(self) -> dict[str, str]:
        """What ails which engine."""
        return {name: each.reason for name, each in self._by_engine.items()}
