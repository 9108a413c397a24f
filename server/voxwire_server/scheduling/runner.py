"""Runs the worker threads: each picks a batch, executes its step, and hands the outputs to the event loop.

Workers never wait for the loop. One lock guards the scheduler and the undelivered outputs; it is held for microseconds
and never during a step. Threads that hang in an engine or die are replaced by `look_after`, which the application's
timer calls.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.scheduling.delivery import OutputDelivery, without_message
from voxwire_server.scheduling.execution import (
    WorkerReplaced,
    check_engine,
    end_reason,
    execute_step,
    failed_outcomes,
    output_of,
    overloaded_outcome,
)
from voxwire_server.scheduling.request import PREPARE, StepOutcome, StepStatus
from voxwire_server.scheduling.workers import (
    HANG_SECONDS,
    EngineHealth,
    Executor,
    ReplacementCause,
    Worker,
    WorkerStats,
)
from voxwire_server.speech import EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from voxwire_server.engines.base import Engine, Job
    from voxwire_server.scheduling.admission import Refusal
    from voxwire_server.scheduling.request import Batch, RequestOutput, SynthesisRequest
    from voxwire_server.scheduling.scheduler import Scheduler

__all__ = ["Runner"]

logger = logging.getLogger(__name__)

Read = TypeVar("Read")


class Runner:
    """The threads between a scheduler and its engines. Every method may be called from any thread and returns at once.

    `deliver` gets outputs in the order in which a request's steps ended; it is called through `wake`, which has to run
    a function on the event loop (`loop.call_soon_threadsafe`), once for all outputs that gathered meanwhile.
    After `cancel` returns on the loop's thread, no output of that context is delivered.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        scheduler: Scheduler,
        deliver: Callable[[list[RequestOutput]], None],
        wake: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        """`hang_seconds`: how long a step may take at least before its thread counts as hung."""
        self._engines = engines
        self._scheduler = scheduler
        self._clock = clock
        self._lock = threading.Lock()
        self._delivery = OutputDelivery(deliver, wake, clock, self._lock)
        self._hang_seconds = hang_seconds
        self._executors = {
            name: Executor(name, threading.Condition(self._lock), workers)
            for name, workers in scheduler.executors.items()
        }
        self._health = EngineHealth()
        self._jobs_to_release: deque[tuple[SynthesisRequest, Job]] = deque()
        self._stopping = False

    # -- start and stop ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the workers: as many threads per executor as the scheduler says."""
        for executor in self._executors.values():
            for _ in range(executor.worker_count):
                self._new_worker(executor).start()

    def stop(self, timeout: float | None = None) -> bool:
        """Cancel all requests and end the workers. False if a step is still running after `timeout` seconds.

        Threads that hang are not waited for.
        """
        with self._lock:
            self._stopping = True
            self._release_later(self._scheduler.clear())
            self._delivery.clear()
            for executor in self._executors.values():
                executor.work_available.notify_all()
                while executor.tasks:
                    executor.tasks.popleft()[1].cancel()
            workers = [worker for executor in self._executors.values() for worker in executor.workers]
        threads = [worker.thread for worker in workers if worker.thread is not None]
        ends_at = None if timeout is None else time.monotonic() + timeout
        for thread in threads:
            thread.join(None if ends_at is None else max(0.0, ends_at - time.monotonic()))
        while self._release_next_job():
            pass
        return not any(thread.is_alive() for thread in threads)

    def warm_up(self, engine: str) -> Future[None]:
        """Warm an engine up between two steps, on a thread that will step it.

        State that a device keeps per thread is then in place, and no step of another engine of that device runs
        meanwhile. The future has the error that `warm_up` raised, if any; it is cancelled by `stop`.
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

    # -- requests and streams ---------------------------------------------------------------------------------------

    def submit(self, request: SynthesisRequest) -> None:
        """Queue a request.

        Raises:
            VoxwireError: see `Scheduler.submit`; `server.draining` after `stop`.
        """
        with self._lock:
            if self._stopping:
                raise VoxwireError(ErrorCode.DRAINING, "the server is stopping")
            self._scheduler.submit(request, self._clock())
            self._notify_ready()

    def cancel(self, context_key: Hashable) -> None:
        """Drop a context's undelivered outputs and its requests: waiting ones at once, others after their step."""
        with self._lock:
            self._release_later(self._scheduler.cancel(context_key))
            self._delivery.drop(context_key)
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
        self, engine: str, *, bulk: bool = False, session_id: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """See `Scheduler.admission`."""
        with self._lock:
            return self._scheduler.admission(engine, bulk, self._clock(), session_id, account)

    def expect_accounts(self, accounts: int) -> None:
        """See `Scheduler.expect_accounts`."""
        with self._lock:
            self._scheduler.expect_accounts(accounts)

    def locked(self, read: Callable[[float], Read]) -> Read:
        """Call `read` with the time while no worker changes the scheduler, and return its result. It must be short."""
        with self._lock:
            return read(self._clock())

    # -- supervision of workers -------------------------------------------------------------------------------------

    def look_after(self) -> None:
        """Replace threads that hang or died, and fail or retry their requests. To be called every so often."""
        with self._lock:
            now = self._clock()
            lost = [] if self._stopping else self._workers_to_replace(now)
            outputs = [output for worker, cause in lost for output in self._replace(worker, cause, now)]
            outputs += [output for engine in self._health.disabled for output in self._disable(engine)]
            self._queue_health_checks(now)
            threads = [worker.thread for executor in self._executors.values() for worker in executor.workers]
            call_loop = self._add_outputs(outputs)
            self._notify_ready()
        for thread in threads:
            if thread is not None and thread.ident is None:
                thread.start()
        if call_loop:
            self._delivery.call_loop()
        for worker, cause in lost:
            logger.error(
                "executor %s: a worker %s in engine %s and was replaced; it is at: %s",
                worker.executor,
                "hangs" if cause is ReplacementCause.HUNG else "died",
                worker.engine or "(none)",
                worker.where() or "(over)",
            )

    def worker_stats(self) -> WorkerStats:
        """The state of the threads and engines, for metrics and `/ready`."""
        with self._lock:
            hung = {name: len(executor.hung) for name, executor in self._executors.items()}
            return WorkerStats(hung, dict(self._health.replacements), self._health.problems)

    def _workers_to_replace(self, now: float) -> list[tuple[Worker, ReplacementCause]]:
        workers = [worker for executor in self._executors.values() for worker in executor.workers]
        causes = [(worker, worker.replacement_cause(now)) for worker in workers]
        return [(worker, cause) for worker, cause in causes if cause is not None]

    def _replace(self, worker: Worker, cause: ReplacementCause, now: float) -> list[RequestOutput]:
        """Put a new worker in the place of one that hangs or died. Returns the outputs of the requests that failed."""
        executor, batch = self._executors[worker.executor], worker.batch
        worker.replaced = True
        executor.workers.remove(worker)
        if cause is ReplacementCause.HUNG:
            executor.hung.append(worker)
        self._new_worker(executor)
        outcomes = []
        if batch is not None:
            # The text may be what makes the step hang, so it is not tried again on an executor's only worker.
            retry = executor.worker_count > 1 and not worker.engine_returned
            outcomes = failed_outcomes(batch, f"engine {batch.engine} does not respond", retry=retry)
            outcomes = self._scheduler.lose(batch, outcomes, now)
        hung = sum(each.engine == worker.engine for each in executor.hung)
        self._health.worker_replaced(worker, cause, executor.worker_count, hung, now)
        return [output for output in map(output_of, outcomes) if output is not None]

    def _new_worker(self, executor: Executor) -> threading.Thread:
        """Add a worker to an executor. Returns its thread, which has to be started."""
        worker = Worker(executor.name)
        name = f"voxwire-{executor.name}-{executor.started}"
        worker.thread = threading.Thread(target=self._work, args=(executor, worker), name=name, daemon=True)
        executor.started += 1
        executor.workers.append(worker)
        return worker.thread

    def _disable(self, engine: str) -> list[RequestOutput]:
        """Fail all requests that wait for an engine. Their jobs are dropped, not released: `finish` may hang, too."""
        problem = self._health.problems[engine]
        error = VoxwireError(ErrorCode.ENGINE_FAILED, problem, retry_after_ms=10_000)
        requests = self._scheduler.disable_engine(engine, problem)
        outcomes = [StepOutcome(request, StepStatus.FAILED, error=error) for request in requests]
        return [output for output in map(output_of, outcomes) if output is not None]

    def _queue_health_checks(self, now: float) -> None:
        for engine in self._health.checks_due(now):
            executor = self._executors[self._scheduler.executor_of(engine)]
            if engine not in executor.health_checks:
                executor.health_checks.append(engine)
            if executor.idle:
                executor.work_available.notify()

    def _hung_call_returned(self, worker: Worker) -> None:
        """A replaced worker's call returned, and its thread ends. Called under the lock."""
        executor = self._executors[worker.executor]
        if worker in executor.hung:
            executor.hung.remove(worker)
        if self._health.hung_call_returned(worker.engine, self._clock()):
            self._scheduler.enable_engine(worker.engine)
        logger.warning(
            "executor %s: a hung call of engine %s returned; its worker ends", worker.executor, worker.engine
        )

    # -- workers ----------------------------------------------------------------------------------------------------

    def _work(self, executor: Executor, worker: Worker) -> None:
        """A worker thread."""
        try:
            self._work_until_stopped(executor, worker)
        except BaseException as error:
            # `look_after` replaces the worker.
            logger.error(
                "executor %s: a worker ends: %s", executor.name, type(error).__name__, exc_info=without_message(error)
            )

    def _work_until_stopped(self, executor: Executor, worker: Worker) -> None:
        batch: Batch | None = None
        while not worker.replaced:
            if batch is None:
                with self._lock:
                    batch = self._next_batch(executor, worker)
            if batch is not None:
                batch = self._step(executor, worker, batch)
            elif self._run_task(executor) or self._release_one(worker) or self._check_health(executor, worker):
                continue
            elif self._stopping:
                return

    def _next_batch(self, executor: Executor, worker: Worker) -> Batch | None:
        """Wait for a batch; None when there is a task, a job to release or a health check, or the runner stops."""
        while not (self._stopping or self._jobs_to_release or executor.tasks):
            now = self._clock()
            batch = self._scheduler.pick(executor.name, now)
            if batch is not None:
                worker.enter_call(batch.engine, batch, now, self._hang_seconds)
                self._notify_executor(executor)
                return batch
            if executor.health_checks:
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
        """Execute the step of a batch. Completes it and picks the next batch, which is returned, under one lock."""
        engine, jobs = self._engines[batch.engine], [request.job for request in batch.requests]
        if not self._still_assigned(worker):
            self._discard_step(engine, worker, ())
            return None
        worker.engine_returned = False
        started_at = self._clock()
        try:
            outcomes = execute_step(
                engine, batch, lambda: self._out_of_memory(batch), lambda: self._still_assigned(worker)
            )
        except WorkerReplaced:
            self._discard_step(engine, worker, jobs)
            return None
        ended_at = self._clock()
        if not self._still_assigned(worker):
            self._discard_step(engine, worker, jobs)
            return None
        with self._lock:
            following, outcomes, call_loop = self._complete(executor, worker, batch, outcomes, started_at, ended_at)
        if call_loop:
            self._delivery.call_loop()
        for outcome in outcomes:
            reason = end_reason(outcome)
            if reason is not None and outcome.job is not None:
                self._finish(engine, outcome.job, reason)
        if following is None:
            with self._lock:
                self._leave_call(worker)
        return following

    def _complete(
        self,
        executor: Executor,
        worker: Worker,
        batch: Batch,
        outcomes: list[StepOutcome],
        started_at: float,
        ended_at: float,
    ) -> tuple[Batch | None, list[StepOutcome], bool]:
        """Complete a batch and pick the worker's next one. Returns that, the outcomes as they are now, and whether the
        loop has to be called. Called under the lock."""
        without_slot = self._scheduler.complete(batch, outcomes, ended_at - started_at, ended_at)
        outcomes = [
            overloaded_outcome(each.request, "no slot is free") if each.request in without_slot else each
            for each in outcomes
        ]
        if any(outcome.status is not StepStatus.FAILED for outcome in outcomes):
            prepared = batch.stage == PREPARE
            self._health.succeeded(batch.engine, prepared=prepared, stepped=not prepared)
        call_loop = self._add_outputs([output for output in map(output_of, outcomes) if output is not None])
        following = None if self._stopping or executor.tasks else self._scheduler.pick(executor.name, ended_at)
        worker.enter_call(
            batch.engine if following is None else following.engine, following, ended_at, self._hang_seconds
        )
        self._notify_ready()
        return following, outcomes, call_loop

    def _still_assigned(self, worker: Worker) -> bool:
        """Whether a worker was not replaced in its call, whose time limit starts anew: the engine has returned."""
        with self._lock:
            worker.since, worker.engine_returned = self._clock(), True
            return not worker.replaced

    def _discard_step(self, engine: Engine, worker: Worker, jobs: Sequence[Job | None]) -> None:
        """Release the jobs of a step whose worker was replaced meanwhile."""
        for job in jobs:
            if job is not None:
                self._finish(engine, job, EndReason.FAILED)
        with self._lock:
            self._hung_call_returned(worker)

    def _leave_call(self, worker: Worker) -> None:
        """A worker is in no call any more. Called under the lock."""
        if worker.replaced:
            self._hung_call_returned(worker)
        else:
            worker.leave_call()

    def _check_health(self, executor: Executor, worker: Worker) -> bool:
        """Check the health of an unhealthy engine with one word. Returns whether there was one to check."""
        with self._lock:
            if not executor.health_checks or self._stopping:
                return False
            name = executor.health_checks.popleft()
            worker.enter_call(name, None, self._clock(), self._hang_seconds)
        try:
            check_engine(self._engines[name])
        except BaseException as error:
            logger.error("engine %s: the health check failed: %s", name, type(error).__name__)
        else:
            with self._lock:
                if not worker.replaced:
                    self._health.succeeded(name, prepared=True, stepped=True)
        with self._lock:
            self._leave_call(worker)
        return True

    def _run_task(self, executor: Executor) -> bool:
        """Run a task that waits for an executor. Returns whether there was one."""
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

    def _add_outputs(self, outputs: Sequence[RequestOutput]) -> bool:
        """Add outputs to be delivered. Returns whether the loop has to be called. Called under the lock."""
        return not self._stopping and self._delivery.add(outputs)

    def _notify_ready(self) -> None:
        """Wake an idle worker of each executor that has something to do; that one wakes the next."""
        for executor in self._executors.values():
            self._notify_executor(executor)

    def _notify_executor(self, executor: Executor) -> None:
        if executor.idle and (self._jobs_to_release or self._scheduler.ready(executor.name, self._clock())):
            executor.work_available.notify()

    # -- release of jobs --------------------------------------------------------------------------------------------

    def _release_later(self, requests: list[SynthesisRequest]) -> None:
        """Have workers finish the jobs of requests that ended; engines are never called on the event loop."""
        self._jobs_to_release.extend((request, request.job) for request in requests if request.job is not None)

    def _release_one(self, worker: Worker) -> bool:
        """Finish a job whose request ended, in a call with a time limit. Returns whether there was one."""
        if not self._jobs_to_release:
            return False
        with self._lock:
            engine = self._jobs_to_release[0][0].engine if self._jobs_to_release else ""
            worker.enter_call(engine, None, self._clock(), self._hang_seconds)
        released = self._release_next_job()
        with self._lock:
            self._leave_call(worker)
        return released

    def _release_next_job(self) -> bool:
        try:
            request, job = self._jobs_to_release.popleft()
        except IndexError:
            return False
        self._finish(self._engines[request.engine], job, EndReason.CANCELLED)
        return True

    def _finish(self, engine: Engine, job: Job, reason: EndReason) -> None:
        try:
            engine.finish(job, reason)
        except BaseException as error:
            logger.error("engine %s: a job could not be finished: %s", engine.info.name, type(error).__name__)
