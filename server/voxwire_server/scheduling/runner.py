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
from voxwire_server.scheduling.execution import (
    BatchGivenUp,
    check_engine,
    end_of,
    execute_step,
    failed_outcomes,
    outcome_of,
    overloaded_outcome,
)
from voxwire_server.scheduling.request import PREPARE, RequestOutput, StepOutcome, StepStatus
from voxwire_server.scheduling.workers import HANG_SECONDS, EngineFaults, Executor, Worker, WorkerLoss, WorkerStats
from voxwire_server.speech import EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from voxwire_server.engines.base import Engine, Job
    from voxwire_server.scheduling.request import Batch, Refusal, SchedulerInterface, SynthesisRequest

__all__ = ["Runner"]

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
        scheduler: SchedulerInterface,
        deliver: Callable[[list[RequestOutput]], None],
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
        self._executors = {
            name: Executor(name, threading.Condition(self._lock), workers)
            for name, workers in scheduler.executors.items()
        }
        self._faults = EngineFaults()
        self._posted: dict[Hashable, list[RequestOutput]] = {}
        self._waking = False
        self._leaving: deque[tuple[SynthesisRequest, Job]] = deque()
        self._stopping = False

    # -- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers: as many threads an executor as the scheduler says."""
        for executor in self._executors.values():
            for _ in range(executor.size):
                self._new_executor(executor).start()

    def stop(self, timeout: float | None = None) -> bool:
        """Cancel all works and end the workers. False if a step is still running after `timeout` seconds.

        Threads that hang are not waited for.
        """
        with self._lock:
            self._stopping = True
            self._let_go(self._scheduler.clear())
            self._posted.clear()
            for executor in self._executors.values():
                executor.work_available.notify_all()
                while executor.tasks:
                    executor.tasks.popleft()[1].cancel()
            workers = [worker for executor in self._executors.values() for worker in executor.workers]
        threads = [worker.thread for worker in workers if worker.thread is not None]
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
            executor = self._executors[self._scheduler.executor_of(engine)]
            executor.tasks.append((self._engines[engine].warm_up, done))
            executor.work_available.notify()
        return done

    # -- works ------------------------------------------------------------------------------------------------------

    def submit(self, request: SynthesisRequest) -> None:
        """Queue a work.

        Raises:
            VoxwireError: see `Scheduler.submit`; `server.draining` after `stop`.
        """
        with self._lock:
            if self._stopping:
                raise VoxwireError(ErrorCode.DRAINING, "the server is stopping")
            self._scheduler.submit(request, self._clock())
            self._notify_ready()

    def cancel(self, context_key: Hashable) -> None:
        """Drop an owner's works: those that wait at once, those in a step after it, and what is not delivered yet."""
        with self._lock:
            self._let_go(self._scheduler.cancel(context_key))
            self._posted.pop(context_key, None)
            self._notify_ready()

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        """See `Scheduler.reprioritise`."""
        with self._lock:
            self._scheduler.reprioritise(context_key, deadline)
            self._notify_ready()

    def stream_started(self, context_key: Hashable, engine: str, account: str = "") -> None:
        """See `Scheduler.stream_started`."""
        with self._lock:
            self._scheduler.stream_started(context_key, engine, self._clock(), account)

    def stream_ended(self, context_key: Hashable, session_id: Hashable = None) -> None:
        """See `Scheduler.stream_ended`."""
        with self._lock:
            self._scheduler.stream_ended(context_key, self._clock(), session_id)
            self._notify_ready()

    def session_ended(self, session_id: Hashable) -> None:
        """See `Scheduler.session_ended`."""
        with self._lock:
            self._scheduler.session_ended(session_id)

    def admission(
        self, engine: str, *, bulk: bool = False, speaking: int = 0, session_id: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """See `Scheduler.admission`."""
        with self._lock:
            return self._scheduler.admission(engine, bulk, self._clock(), speaking, session_id, account)

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
            outputs = [output for worker, loss in found for output in self._replace(worker, loss, now)]
            outputs += [output for engine in self._faults.shut for output in self._shut(engine)]
            self._ask_for_checks(now)
            fresh = [worker.thread for executor in self._executors.values() for worker in executor.workers]
            wake = self._post(outputs)
            self._notify_ready()
        for thread in fresh:
            if thread is not None and thread.ident is None:
                thread.start()
        if wake:
            self._call_loop()
        for worker, loss in found:
            logger.error(
                "executor %s: a worker %s in engine %s and was replaced; it is at: %s",
                worker.executor,
                "hangs" if loss is WorkerLoss.HUNG else "died",
                worker.engine or "(none)",
                worker.where() or "(over)",
            )

    def worker_stats(self) -> WorkerStats:
        """What metrics and `/ready` tell of the threads."""
        with self._lock:
            hung = {name: len(executor.hung) for name, executor in self._executors.items()}
            return WorkerStats(hung, dict(self._faults.replacements), self._faults.problems)

    def _lost(self, now: float) -> list[tuple[Worker, WorkerLoss]]:
        each = [(worker, worker.loss(now)) for executor in self._executors.values() for worker in executor.workers]
        return [(worker, loss) for worker, loss in each if loss is not None]

    def _replace(self, worker: Worker, loss: WorkerLoss, now: float) -> list[RequestOutput]:
        """Give an executor's place to a new thread; what its works' owners are to be told."""
        executor, batch = self._executors[worker.executor], worker.batch
        worker.retired = True
        executor.workers.remove(worker)
        if loss is WorkerLoss.HUNG:
            executor.hung.append(worker)
        self._new_executor(executor)
        outcomes = []
        if batch is not None:
            # A step may well hang because of what it was given: where one worker serves all, it is not tried again.
            retry = executor.size > 1 and not worker.claimed
            outcomes = failed_outcomes(batch, f"engine {batch.engine} does not answer", retry=retry)
            outcomes = self._scheduler.lose(batch, outcomes, now)
        hung = sum(each.engine == worker.engine for each in executor.hung)
        self._faults.lost(worker, loss, executor.size, hung, now)
        return [output for output in map(outcome_of, outcomes) if output is not None]

    def _new_executor(self, executor: Executor) -> threading.Thread:
        """An executor for an executor; its thread is to be started."""
        worker = Worker(executor.name)
        name = f"voxwire-{executor.name}-{executor.started}"
        worker.thread = threading.Thread(target=self._work, args=(executor, worker), name=name, daemon=True)
        executor.started += 1
        executor.workers.append(worker)
        return worker.thread

    def _shut(self, engine: str) -> list[RequestOutput]:
        """Fail all that waits for an engine that is given nothing more; its jobs are dropped, `finish` may hang too."""
        problem = self._faults.problems[engine]
        error = VoxwireError(ErrorCode.ENGINE_FAILED, problem, retry_after_ms=10_000)
        outcomes = [
            StepOutcome(request, StepStatus.FAILED, error=error) for request in self._scheduler.shut(engine, problem)
        ]
        return [output for output in map(outcome_of, outcomes) if output is not None]

    def _ask_for_checks(self, now: float) -> None:
        for engine in self._faults.due(now):
            executor = self._executors[self._scheduler.executor_of(engine)]
            if engine not in executor.checks:
                executor.checks.append(engine)
            if executor.idle:
                executor.work_available.notify()

    def _came_back(self, worker: Worker) -> None:
        """A thread that was given up came back from its call. Called under the lock."""
        executor = self._executors[worker.executor]
        if worker in executor.hung:
            executor.hung.remove(worker)
        if self._faults.came_back(worker.engine, self._clock()):
            self._scheduler.reopen(worker.engine)
        logger.warning("executor %s: a worker came back from engine %s and ends", worker.executor, worker.engine)

    # -- workers ----------------------------------------------------------------------------------------------------

    def _work(self, executor: Executor, worker: Worker) -> None:
        try:
            self._work_on(executor, worker)
        except BaseException as error:
            # `look_after` gives its place to another.
            logger.error(
                "executor %s: a worker ends: %s", executor.name, type(error).__name__, exc_info=_without_text(error)
            )

    def _work_on(self, executor: Executor, worker: Worker) -> None:
        batch: Batch | None = None
        while not worker.retired:
            if batch is None:
                with self._lock:
                    batch = self._next(executor, worker)
            if batch is not None:
                batch = self._step(executor, worker, batch)
            elif self._run_task(executor) or self._let_one_leave(worker) or self._check_one(executor, worker):
                continue
            elif self._stopping:
                return

    def _next(self, executor: Executor, worker: Worker) -> Batch | None:
        """Wait for a batch; None when there is an errand, a job to let go of, or the workers are to end."""
        while not (self._stopping or self._leaving or executor.tasks):
            now = self._clock()
            batch = self._scheduler.pick(executor.name, now)
            if batch is not None:
                worker.begin(batch.engine, batch, now, self._hang_seconds)
                self._notify_executor(executor)
                return batch
            if executor.checks:
                break
            self._wait(executor)
        return None

    @staticmethod
    def _wait(executor: Executor) -> None:
        executor.idle += 1
        try:
            executor.work_available.wait()
        finally:
            executor.idle -= 1

    def _step(self, executor: Executor, worker: Worker, batch: Batch) -> Batch | None:
        """Carry out a batch, and pick the next in the same breath as this one is completed."""
        engine, jobs = self._engines[batch.engine], [request.job for request in batch.requests]
        if not self._still_wanted(worker):
            self._clear_away(engine, worker, ())
            return None
        worker.claimed = False
        started_at = self._clock()
        try:
            outcomes = execute_step(
                engine, batch, lambda: self._out_of_memory(batch), lambda: self._still_wanted(worker)
            )
        except BatchGivenUp:
            self._clear_away(engine, worker, jobs)
            return None
        ended_at = self._clock()
        if not self._still_wanted(worker):
            self._clear_away(engine, worker, jobs)
            return None
        with self._lock:
            starved = self._scheduler.complete(batch, outcomes, ended_at - started_at, ended_at)
            outcomes = [
                overloaded_outcome(r.request, "no slot is free") if r.request in starved else r for r in outcomes
            ]
            if any(outcome.verdict is not StepStatus.FAILED for outcome in outcomes):
                self._faults.works_again(batch.engine, prepared=batch.stage == PREPARE, stepped=batch.stage != PREPARE)
            wake = self._post([output for output in map(outcome_of, outcomes) if output is not None])
            following = None if self._stopping or executor.tasks else self._scheduler.pick(executor.name, ended_at)
            worker.begin(
                batch.engine if following is None else following.engine, following, ended_at, self._hang_seconds
            )
            self._notify_ready()
        if wake:
            self._call_loop()
        for outcome in outcomes:
            reason = end_of(outcome)
            if reason is not None and outcome.job is not None:
                self._finish(engine, outcome.job, reason)
        if following is None:
            with self._lock:
                self._rest(worker)
        return following

    def _still_wanted(self, worker: Worker) -> bool:
        """Whether what an executor makes counts yet; if so, its time begins anew."""
        with self._lock:
            worker.since, worker.claimed = self._clock(), True
            return not worker.retired

    def _clear_away(self, engine: Engine, worker: Worker, jobs: Sequence[Job | None]) -> None:
        """After a step that was given up: let go of its jobs, and end."""
        for job in jobs:
            if job is not None:
                self._finish(engine, job, EndReason.FAILED)
        with self._lock:
            self._came_back(worker)

    def _rest(self, worker: Worker) -> None:
        """An executor is in no call any more. Called under the lock."""
        if worker.retired:
            self._came_back(worker)
        else:
            worker.end()

    def _check_one(self, executor: Executor, worker: Worker) -> bool:
        """Try an engine that is in trouble with one word."""
        with self._lock:
            if not executor.checks or self._stopping:
                return False
            name = executor.checks.popleft()
            worker.begin(name, None, self._clock(), self._hang_seconds)
        try:
            check_engine(self._engines[name])
        except BaseException as error:
            logger.error("engine %s is tried and fails: %s", name, type(error).__name__)
        else:
            with self._lock:
                if not worker.retired:
                    self._faults.works_again(name, prepared=True, stepped=True)
        with self._lock:
            self._rest(worker)
        return True

    def _run_task(self, executor: Executor) -> bool:
        try:
            task, done = executor.tasks.popleft()
        except IndexError:
            return False
        if done.set_running_or_notify_cancel():
            try:
                task()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(None)
        return True

    def _out_of_memory(self, batch: Batch) -> None:
        with self._lock:
            self._scheduler.out_of_memory(batch)

    def _post(self, outputs: Sequence[RequestOutput]) -> bool:
        """Post outcomes; True if the loop has to be called."""
        if not outputs or self._stopping:
            return False
        for output in outputs:
            self._posted.setdefault(output.request.context_key, []).append(output)
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
                outputs = self._posted.pop(next(iter(self._posted)))
            try:
                self._deliver(outputs)
            except Exception as error:
                logger.error("outcomes could not be delivered", exc_info=_without_text(error))
            if self._clock() >= ends_at:
                self._call_loop()
                return

    # -- waking -----------------------------------------------------------------------------------------------------

    def _notify_ready(self) -> None:
        """Wake an idle worker of each executor that has something to do; it will wake the next one."""
        for executor in self._executors.values():
            self._notify_executor(executor)

    def _notify_executor(self, executor: Executor) -> None:
        if executor.idle and (self._leaving or self._scheduler.ready(executor.name, self._clock())):
            executor.work_available.notify()

    # -- jobs that leave --------------------------------------------------------------------------------------------

    def _let_go(self, requests: list[SynthesisRequest]) -> None:
        """Have workers finish the jobs of works that left; engines are never called on the loop."""
        self._leaving.extend((request, request.job) for request in requests if request.job is not None)

    def _let_one_leave(self, worker: Worker) -> bool:
        """Finish a job whose work left, watched as a step is."""
        if not self._leaving:
            return False
        with self._lock:
            worker.begin(self._leaving[0][0].engine if self._leaving else "", None, self._clock(), self._hang_seconds)
        left = self._finish_one_leaving()
        with self._lock:
            self._rest(worker)
        return left

    def _finish_one_leaving(self) -> bool:
        try:
            request, job = self._leaving.popleft()
        except IndexError:
            return False
        self._finish(self._engines[request.engine], job, EndReason.CANCELLED)
        return True

    def _finish(self, engine: Engine, job: Job, reason: EndReason) -> None:
        try:
            engine.finish(job, reason)
        except BaseException as error:
            logger.error("engine %s: a job could not be finished: %s", engine.info.name, type(error).__name__)


def _without_text(error: BaseException) -> BaseException:
    """An error for the log that says where it was raised and of which kind, not what: that may quote a user."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
