"""Owns the worker threads: each picks a batch, carries it out, and posts the outcomes to the event loop.

Workers never wait for the loop. One short lock guards the scheduler and what is posted; it is never held during a step.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.stepping import carry_out, end_of, outcome_of, overloaded_row
from voxwire_server.engines.work import Outcome, Row, Verdict
from voxwire_server.speech import EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from voxwire_server.engines.base import Engine, Job
    from voxwire_server.engines.work import Batch, Picker, Refusal, Work

__all__ = ["Outcome", "Runner"]

logger = logging.getLogger(__name__)

Read = TypeVar("Read")


@dataclass(slots=True)
class Lane:
    """The workers of one lane and how they are woken."""

    name: str
    work_came: threading.Condition
    threads: list[threading.Thread] = field(default_factory=list)
    errands: deque[tuple[Callable[[], None], Future[None]]] = field(default_factory=deque)
    idle: int = 0


class Runner:
    """The threads between a scheduler and its engines. Every method may be called from any thread and returns at once.

    `deliver` gets outcomes in the order in which a work's steps ended; it is called through `wake`, which has to run a
    function on the event loop (`loop.call_soon_threadsafe`), once for all outcomes that gathered meanwhile.
    After `cancel` returns on the loop's thread, no outcome of that owner's works is delivered.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        scheduler: Picker,
        deliver: Callable[[list[Outcome]], None],
        wake: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engines = engines
        self._scheduler = scheduler
        self._deliver = deliver
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._lanes = {name: Lane(name, threading.Condition(self._lock)) for name in scheduler.lanes}
        self._posted: list[Outcome] = []
        self._waking = False
        self._leaving: deque[tuple[Work, Job]] = deque()
        self._stopping = False

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers: as many threads a lane as the scheduler says."""
        for lane in self._lanes.values():
            for number in range(self._scheduler.lanes[lane.name]):
                thread = threading.Thread(
                    target=self._work, args=(lane,), name=f"voxwire-{lane.name}-{number}", daemon=True
                )
                lane.threads.append(thread)
                thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Cancel all works and end the workers. False if a step is still running after `timeout` seconds."""
        with self._lock:
            self._stopping = True
            self._let_go(self._scheduler.clear())
            self._posted.clear()
            for lane in self._lanes.values():
                lane.work_came.notify_all()
                while lane.errands:
                    lane.errands.popleft()[1].cancel()
        threads = [thread for lane in self._lanes.values() for thread in lane.threads]
        ends_at = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            thread.join(None if ends_at is None else max(0.0, ends_at - time.monotonic()))
        while self._finish_one_leaving():
            pass
        return not any(thread.is_alive() for thread in threads)

    def warm_up(self, engine: str) -> Future[None]:
        """Warm an engine up between two steps, on a thread that will step it.

        What a device keeps for each thread is then there, and no step of another engine of that device runs meanwhile.
        The future has what `warm_up` raised; it is cancelled by `stop`.
        """
        done: Future[None] = Future()
        with self._lock:
            if self._stopping:
                done.cancel()
                return done
            lane = self._lanes[self._scheduler.lane_of(engine)]
            lane.errands.append((self._engines[engine].warm_up, done))
            lane.work_came.notify()
        return done

    # -- works ------------------------------------------------------------------------------------------------------

    def submit(self, work: Work) -> None:
        """Queue a work.

        Raises:
            VoxwireError: see `Scheduler.submit`; `server.draining` after `stop`.
        """
        with self._lock:
            if self._stopping:
                raise VoxwireError(ErrorCode.DRAINING, "the server is stopping")
            self._scheduler.submit(work, self._clock())
            self._notify_ready()

    def cancel(self, owner: Hashable) -> None:
        """Drop an owner's works: those that wait at once, those in a step after it, and what is not delivered yet."""
        with self._lock:
            self._let_go(self._scheduler.cancel(owner))
            if self._posted:
                self._posted = [outcome for outcome in self._posted if outcome.work.owner != owner]
            self._notify_ready()

    def reprioritise(self, owner: Hashable, deadline: float) -> None:
        """See `Scheduler.reprioritise`."""
        with self._lock:
            self._scheduler.reprioritise(owner, deadline)
            self._notify_ready()

    def listener_joined(self, owner: Hashable, engine: str) -> None:
        """See `Scheduler.listener_joined`."""
        with self._lock:
            self._scheduler.listener_joined(owner, engine, self._clock())

    def listener_left(self, owner: Hashable, caller: Hashable = None) -> None:
        """See `Scheduler.listener_left`."""
        with self._lock:
            self._scheduler.listener_left(owner, self._clock(), caller)
            self._notify_ready()

    def caller_left(self, caller: Hashable) -> None:
        """See `Scheduler.caller_left`."""
        with self._lock:
            self._scheduler.caller_left(caller)

    def admission(
        self, engine: str, *, bulk: bool = False, speaking: int = 0, caller: Hashable = None
    ) -> Refusal | None:
        """See `Scheduler.admission`."""
        with self._lock:
            return self._scheduler.admission(engine, bulk, self._clock(), speaking, caller)

    def locked(self, read: Callable[[float], Read]) -> Read:
        """What `read` finds in the scheduler now, while no worker changes it; it gets the time and must be short."""
        with self._lock:
            return read(self._clock())

    # -- workers ----------------------------------------------------------------------------------------------------

    def _work(self, lane: Lane) -> None:
        batch: Batch | None = None
        while True:
            if batch is None:
                with self._lock:
                    batch = self._next(lane)
            if batch is not None:
                batch = self._step(lane, batch)
            elif not (self._run_errand(lane) or self._finish_one_leaving()) and self._stopping:
                return

    def _next(self, lane: Lane) -> Batch | None:
        """Wait for a batch; None when there is an errand, a job to let go of, or the workers are to end."""
        while not (self._stopping or self._leaving or lane.errands):
            batch = self._scheduler.pick(lane.name, self._clock())
            if batch is not None:
                self._notify_lane(lane)
                return batch
            lane.idle += 1
            lane.work_came.wait()
            lane.idle -= 1
        return None

    def _step(self, lane: Lane, batch: Batch) -> Batch | None:
        """Carry out a batch, and pick the next in the same breath as this one is completed."""
        engine = self._engines[batch.engine]
        started_at = self._clock()
        rows = self._carry_out(engine, batch)
        ended_at = self._clock()
        with self._lock:
            starved = self._scheduler.complete(batch, rows, ended_at - started_at, ended_at)
            rows = [overloaded_row(r.work, "no slot is free") if r.work in starved else r for r in rows]
            wake = self._post(rows)
            following = None if self._stopping or lane.errands else self._scheduler.pick(lane.name, ended_at)
            self._notify_ready()
        if wake:
            self._call_loop()
        for row in rows:
            reason = end_of(row)
            if reason is not None and row.job is not None:
                self._finish(engine, row.job, reason)
        return following

    def _run_errand(self, lane: Lane) -> bool:
        try:
            errand, done = lane.errands.popleft()
        except IndexError:
            return False
        if done.set_running_or_notify_cancel():
            try:
                errand()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)
        return True

    def _carry_out(self, engine: Engine, batch: Batch) -> list[Row]:
        try:
            return carry_out(engine, batch, lambda: self._out_of_memory(batch))
        except BaseException as error:
            logger.exception("a worker met an error that no engine may raise")
            problem = VoxwireError(ErrorCode.ENGINE_FAILED, f"engine step failed: {type(error).__name__}")
            return [Row(work, Verdict.FAILED, work.job, error=problem) for work in batch.works]

    def _out_of_memory(self, batch: Batch) -> None:
        with self._lock:
            self._scheduler.out_of_memory(batch)

    def _post(self, rows: list[Row]) -> bool:
        """Post the outcomes of rows; True if the loop has to be called."""
        outcomes = [outcome for outcome in map(outcome_of, rows) if outcome is not None]
        if not outcomes or self._stopping:
            return False
        self._posted += outcomes
        waking, self._waking = self._waking, True
        return not waking

    def _call_loop(self) -> None:
        try:
            self._wake(self._deliver_posted)
        except RuntimeError:
            logger.warning("the event loop is closed; outcomes are dropped")

    def _deliver_posted(self) -> None:
        with self._lock:
            outcomes, self._posted = self._posted, []
            self._waking = False
        if outcomes:
            self._deliver(outcomes)

    # -- waking -----------------------------------------------------------------------------------------------------

    def _notify_ready(self) -> None:
        """Wake an idle worker of each lane that has something to do; it will wake the next one."""
        for lane in self._lanes.values():
            self._notify_lane(lane)

    def _notify_lane(self, lane: Lane) -> None:
        if lane.idle and (self._leaving or self._scheduler.ready(lane.name, self._clock())):
            lane.work_came.notify()

    # -- jobs that leave --------------------------------------------------------------------------------------------

    def _let_go(self, works: list[Work]) -> None:
        """Have workers finish the jobs of works that left; engines are never called on the loop."""
        self._leaving.extend((work, work.job) for work in works if work.job is not None)

    def _finish_one_leaving(self) -> bool:
        try:
            work, job = self._leaving.popleft()
        except IndexError:
            return False
        self._finish(self._engines[work.engine], job, EndReason.CANCELLED)
        return True

    def _finish(self, engine: Engine, job: Job, reason: EndReason) -> None:
        try:
            engine.finish(job, reason)
        except Exception as error:
            logger.error("engine %s: a job could not be finished: %s", engine.info.name, type(error).__name__)
