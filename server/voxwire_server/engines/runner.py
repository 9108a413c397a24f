"""Owns the worker threads: each picks a batch, carries it out, and posts the outcomes to the event loop.

Workers never wait for the loop. One short lock guards the scheduler and what is posted; it is never held during a step.
Threads that hang in an engine or die are replaced by `look_after`, which the application's timer calls.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.executors import HANG_SECONDS, Executor, ExecutorStats, Lane, Loss, Troubles
from voxwire_server.engines.stepping import (
    Lost,
    carry_out,
    check_engine,
    end_of,
    failed_rows,
    outcome_of,
    overloaded_row,
)
from voxwire_server.engines.work import PREPARE, Outcome, Row, Verdict
from voxwire_server.speech import EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from voxwire_server.engines.base import Engine, Job
    from voxwire_server.engines.work import Batch, Picker, Refusal, Work

__all__ = ["Outcome", "Runner"]

logger = logging.getLogger(__name__)

Read = TypeVar("Read")

DELIVER_SECONDS = 0.002
"""Outcomes are delivered for about so long at a turn of the loop; the rest waits for the next."""


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
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        """`hang_seconds`: how long a step may take at least before its thread counts as hung."""
        self._engines = engines
        self._scheduler = scheduler
        self._deliver = deliver
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._hang_seconds = hang_seconds
        self._lanes = {
            name: Lane(name, threading.Condition(self._lock), workers) for name, workers in scheduler.lanes.items()
        }
        self._troubles = Troubles()
        self._posted: dict[Hashable, list[Outcome]] = {}
        self._waking = False
        self._leaving: deque[tuple[Work, Job]] = deque()
        self._stopping = False

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers: as many threads a lane as the scheduler says."""
        for lane in self._lanes.values():
            for _ in range(lane.workers):
                self._new_executor(lane).start()

    def stop(self, timeout: float | None = None) -> bool:
        """Cancel all works and end the workers. False if a step is still running after `timeout` seconds.

        Threads that hang are not waited for.
        """
        with self._lock:
            self._stopping = True
            self._let_go(self._scheduler.clear())
            self._posted.clear()
            for lane in self._lanes.values():
                lane.work_came.notify_all()
                while lane.errands:
                    lane.errands.popleft()[1].cancel()
            executors = [executor for lane in self._lanes.values() for executor in lane.executors]
        threads = [executor.thread for executor in executors if executor.thread is not None]
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
            self._posted.pop(owner, None)
            self._notify_ready()

    def reprioritise(self, owner: Hashable, deadline: float) -> None:
        """See `Scheduler.reprioritise`."""
        with self._lock:
            self._scheduler.reprioritise(owner, deadline)
            self._notify_ready()

    def listener_joined(self, owner: Hashable, engine: str, account: str = "") -> None:
        """See `Scheduler.listener_joined`."""
        with self._lock:
            self._scheduler.listener_joined(owner, engine, self._clock(), account)

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
        self, engine: str, *, bulk: bool = False, speaking: int = 0, caller: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """See `Scheduler.admission`."""
        with self._lock:
            return self._scheduler.admission(engine, bulk, self._clock(), speaking, caller, account)

    def expect_accounts(self, accounts: int) -> None:
        """See `Scheduler.expect_accounts`."""
        with self._lock:
            self._scheduler.expect_accounts(accounts)

    def locked(self, read: Callable[[float], Read]) -> Read:
        """What `read` finds in the scheduler now, while no worker changes it; it gets the time and must be short."""
        with self._lock:
            return read(self._clock())

    # -- executors --------------------------------------------------------------------------------------------------

    def look_after(self) -> None:
        """Replace the threads that hang or died, and fail or move their works. To be called every so often."""
        with self._lock:
            now = self._clock()
            found = [] if self._stopping else list(self._lost(now))
            outcomes = [outcome for executor, loss in found for outcome in self._replace(executor, loss, now)]
            outcomes += [outcome for engine in self._troubles.shut for outcome in self._shut(engine)]
            self._ask_for_checks(now)
            fresh = [executor.thread for lane in self._lanes.values() for executor in lane.executors]
            wake = self._post(outcomes)
            self._notify_ready()
        for thread in fresh:
            if thread is not None and thread.ident is None:
                thread.start()
        if wake:
            self._call_loop()
        for executor, loss in found:
            logger.error(
                "lane %s: a worker %s in engine %s and was replaced; it is at: %s",
                executor.lane,
                "hangs" if loss is Loss.HUNG else "died",
                executor.engine or "(none)",
                executor.where() or "(over)",
            )

    def executor_stats(self) -> ExecutorStats:
        """What metrics and `/ready` tell of the threads."""
        with self._lock:
            hung = {name: len(lane.hung) for name, lane in self._lanes.items()}
            return ExecutorStats(hung, dict(self._troubles.replacements), self._troubles.problems)

    def _lost(self, now: float) -> list[tuple[Executor, Loss]]:
        each = [(executor, executor.loss(now)) for lane in self._lanes.values() for executor in lane.executors]
        return [(executor, loss) for executor, loss in each if loss is not None]

    def _replace(self, executor: Executor, loss: Loss, now: float) -> list[Outcome]:
        """Give an executor's place to a new thread; what its works' owners are to be told."""
        lane, batch = self._lanes[executor.lane], executor.batch
        executor.retired = True
        lane.executors.remove(executor)
        if loss is Loss.HUNG:
            lane.hung.append(executor)
        self._new_executor(lane)
        rows = []
        if batch is not None:
            # A step may well hang because of what it was given: where one worker serves all, it is not tried again.
            retry = lane.workers > 1 and not executor.claimed
            rows = failed_rows(batch, f"engine {batch.engine} does not answer", retry=retry)
            rows = self._scheduler.lose(batch, rows, now)
        hung = sum(each.engine == executor.engine for each in lane.hung)
        self._troubles.lost(executor, loss, lane.workers, hung, now)
        return [outcome for outcome in map(outcome_of, rows) if outcome is not None]

    def _new_executor(self, lane: Lane) -> threading.Thread:
        """An executor for a lane; its thread is to be started."""
        executor = Executor(lane.name)
        name = f"voxwire-{lane.name}-{lane.started}"
        executor.thread = threading.Thread(target=self._work, args=(lane, executor), name=name, daemon=True)
        lane.started += 1
        lane.executors.append(executor)
        return executor.thread

    def _shut(self, engine: str) -> list[Outcome]:
        """Fail all that waits for an engine that is given nothing more; its jobs are dropped, `finish` may hang too."""
        problem = self._troubles.problems[engine]
        error = VoxwireError(ErrorCode.ENGINE_FAILED, problem, retry_after_ms=10_000)
        rows = [Row(work, Verdict.FAILED, error=error) for work in self._scheduler.shut(engine, problem)]
        return [outcome for outcome in map(outcome_of, rows) if outcome is not None]

    def _ask_for_checks(self, now: float) -> None:
        for engine in self._troubles.due(now):
            lane = self._lanes[self._scheduler.lane_of(engine)]
            if engine not in lane.checks:
                lane.checks.append(engine)
            if lane.idle:
                lane.work_came.notify()

    def _came_back(self, executor: Executor) -> None:
        """A thread that was given up came back from its call. Called under the lock."""
        lane = self._lanes[executor.lane]
        if executor in lane.hung:
            lane.hung.remove(executor)
        if self._troubles.came_back(executor.engine, self._clock()):
            self._scheduler.reopen(executor.engine)
        logger.warning("lane %s: a worker came back from engine %s and ends", executor.lane, executor.engine)

    # -- workers ----------------------------------------------------------------------------------------------------

    def _work(self, lane: Lane, executor: Executor) -> None:
        try:
            self._work_on(lane, executor)
        except BaseException as error:
            # `look_after` gives its place to another.
            logger.error("lane %s: a worker ends: %s", lane.name, type(error).__name__, exc_info=_without_text(error))

    def _work_on(self, lane: Lane, executor: Executor) -> None:
        batch: Batch | None = None
        while not executor.retired:
            if batch is None:
                with self._lock:
                    batch = self._next(lane, executor)
            if batch is not None:
                batch = self._step(lane, executor, batch)
            elif self._run_errand(lane) or self._let_one_leave(executor) or self._check_one(lane, executor):
                continue
            elif self._stopping:
                return

    def _next(self, lane: Lane, executor: Executor) -> Batch | None:
        """Wait for a batch; None when there is an errand, a job to let go of, or the workers are to end."""
        while not (self._stopping or self._leaving or lane.errands):
            now = self._clock()
            batch = self._scheduler.pick(lane.name, now)
            if batch is not None:
                executor.begin(batch.engine, batch, now, self._hang_seconds)
                self._notify_lane(lane)
                return batch
            if lane.checks:
                break
            self._wait(lane)
        return None

    @staticmethod
    def _wait(lane: Lane) -> None:
        lane.idle += 1
        try:
            lane.work_came.wait()
        finally:
            lane.idle -= 1

    def _step(self, lane: Lane, executor: Executor, batch: Batch) -> Batch | None:
        """Carry out a batch, and pick the next in the same breath as this one is completed."""
        engine, jobs = self._engines[batch.engine], [work.job for work in batch.works]
        if not self._still_wanted(executor):
            self._clear_away(engine, executor, ())
            return None
        executor.claimed = False
        started_at = self._clock()
        try:
            rows = carry_out(engine, batch, lambda: self._out_of_memory(batch), lambda: self._still_wanted(executor))
        except Lost:
            self._clear_away(engine, executor, jobs)
            return None
        ended_at = self._clock()
        if not self._still_wanted(executor):
            self._clear_away(engine, executor, jobs)
            return None
        with self._lock:
            starved = self._scheduler.complete(batch, rows, ended_at - started_at, ended_at)
            rows = [overloaded_row(r.work, "no slot is free") if r.work in starved else r for r in rows]
            if any(row.verdict is not Verdict.FAILED for row in rows):
                self._troubles.well(batch.engine, prepared=batch.stage == PREPARE, stepped=batch.stage != PREPARE)
            wake = self._post([outcome for outcome in map(outcome_of, rows) if outcome is not None])
            following = None if self._stopping or lane.errands else self._scheduler.pick(lane.name, ended_at)
            executor.begin(
                batch.engine if following is None else following.engine, following, ended_at, self._hang_seconds
            )
            self._notify_ready()
        if wake:
            self._call_loop()
        for row in rows:
            reason = end_of(row)
            if reason is not None and row.job is not None:
                self._finish(engine, row.job, reason)
        if following is None:
            with self._lock:
                self._rest(executor)
        return following

    def _still_wanted(self, executor: Executor) -> bool:
        """Whether what an executor makes counts yet; if so, its time begins anew."""
        with self._lock:
            executor.since, executor.claimed = self._clock(), True
            return not executor.retired

    def _clear_away(self, engine: Engine, executor: Executor, jobs: Sequence[Job | None]) -> None:
        """After a step that was given up: let go of its jobs, and end."""
        for job in jobs:
            if job is not None:
                self._finish(engine, job, EndReason.FAILED)
        with self._lock:
            self._came_back(executor)

    def _rest(self, executor: Executor) -> None:
        """An executor is in no call any more. Called under the lock."""
        if executor.retired:
            self._came_back(executor)
        else:
            executor.end()

    def _check_one(self, lane: Lane, executor: Executor) -> bool:
        """Try an engine that is in trouble with one word."""
        with self._lock:
            if not lane.checks or self._stopping:
                return False
            name = lane.checks.popleft()
            executor.begin(name, None, self._clock(), self._hang_seconds)
        try:
            check_engine(self._engines[name])
        except BaseException as error:
            logger.error("engine %s is tried and fails: %s", name, type(error).__name__)
        else:
            with self._lock:
                if not executor.retired:
                    self._troubles.well(name, prepared=True, stepped=True)
        with self._lock:
            self._rest(executor)
        return True

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

    def _out_of_memory(self, batch: Batch) -> None:
        with self._lock:
            self._scheduler.out_of_memory(batch)

    def _post(self, outcomes: Sequence[Outcome]) -> bool:
        """Post outcomes; True if the loop has to be called."""
        if not outcomes or self._stopping:
            return False
        for outcome in outcomes:
            self._posted.setdefault(outcome.work.owner, []).append(outcome)
        waking, self._waking = self._waking, True
        return not waking

    def _call_loop(self) -> None:
        try:
            self._wake(self._deliver_posted)
        except RuntimeError:
            logger.warning("the event loop is closed; outcomes are dropped")

    def _deliver_posted(self) -> None:
        """Deliver owner by owner, for as long as a turn of the loop may take."""
        ends_at = self._clock() + DELIVER_SECONDS
        while True:
            with self._lock:
                if not self._posted:
                    self._waking = False
                    return
                outcomes = self._posted.pop(next(iter(self._posted)))
            try:
                self._deliver(outcomes)
            except Exception as error:
                logger.error("outcomes could not be delivered", exc_info=_without_text(error))
            if self._clock() >= ends_at:
                self._call_loop()
                return

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

    def _let_one_leave(self, executor: Executor) -> bool:
        """Finish a job whose work left, watched as a step is."""
        if not self._leaving:
            return False
        with self._lock:
            executor.begin(self._leaving[0][0].engine if self._leaving else "", None, self._clock(), self._hang_seconds)
        left = self._finish_one_leaving()
        with self._lock:
            self._rest(executor)
        return left

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
        except BaseException as error:
            logger.error("engine %s: a job could not be finished: %s", engine.info.name, type(error).__name__)


def _without_text(error: BaseException) -> BaseException:
    """An error for the log that says where it was raised and of which kind, not what: that may quote a user."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
