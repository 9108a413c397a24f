"""Holds every unfinished request and decides what is stepped next; `pick` never waits. No clock, no threads, no I/O.

    submit -> prepare group -> [slot] -> stage group -> … -> over
                  |  ^                      |  ^
             pick |  | complete        pick |  | complete
                  v  |                      v  |
                  batch on "cpu"            batch on "cpu", or on the executor of the engine's device

A group holds the requests that may share a step: one engine, stage and bucket. `pick` takes the group with the earliest
deadline on the executor (`selection`) and fills a batch from it, and from groups of other buckets where the stage
allows it (`batching`). Interactive requests go before bulk ones, which take the capacity that is left.
The runner calls it under a lock of its own; every call takes microseconds, however many requests wait.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.scheduling import admission
from voxwire_server.scheduling.batching import build_batch
from voxwire_server.scheduling.policy import Order, Policy
from voxwire_server.scheduling.request import (
    PREPARE,
    Batch,
    RequestState,
    StepOutcome,
    StepStatus,
    SynthesisRequest,
    UnfinishedRequests,
)
from voxwire_server.scheduling.selection import select
from voxwire_server.scheduling.state import CPU, EngineState, ExecutorState
from voxwire_server.scheduling.stats import ExecutorStats, SchedulerStats

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.admission import Refusal
    from voxwire_server.scheduling.queue import AccountQueues

DEADLINE_MAX = 1e9
"""Deadlines are clamped to this many seconds (31 years) around 0, so that an infinite one can be moved back."""

NO_SLOT_MAX = 3
"""How often in a row an engine with no other job may answer that it has no slot, before the request fails."""


def executor_name(info: EngineInfo) -> str:
    """The executor on which an engine's steps run: "cpu", "device:" and its device's name, or its own."""
    return CPU if info.executor == "cpu" else f"device:{info.device or info.name}"


class Scheduler:
    """Every unfinished request of all contexts. The diagram above shows the steps that one passes through."""

    def __init__(self, engines: Mapping[str, EngineInfo], cpu_workers: int, policy: Policy | None = None) -> None:
        assert cpu_workers >= 1, "requests are prepared on a CPU worker"
        self.policy = policy or Policy()
        self._executors = {CPU: ExecutorState(CPU, cpu_workers)}
        self._engines: dict[str, EngineState] = {}
        for name, info in engines.items():
            own = executor_name(info)
            if own not in self._executors:
                self._executors[own] = ExecutorState(own, 1 if info.device else max(1, info.concurrency))
            self._engines[name] = EngineState(info, self._executors[CPU], self._executors[own])
        self._requests = UnfinishedRequests()
        self._streams: dict[Hashable, tuple[str, str]] = {}
        """Engine and account of each active stream, by context key."""
        self._submitted = self._completed = self._failed = self._cancelled = 0
        self._refused: Counter[str] = Counter()

    # -- requests ---------------------------------------------------------------------------------------------------

    @property
    def executors(self) -> Mapping[str, int]:
        """The number of workers of each executor: "cpu", and those of devices; see `executor_name`."""
        return {name: executor.workers for name, executor in self._executors.items()}

    def executor_of(self, engine: str) -> str:
        """The executor on which an engine's steps run."""
        return self._engines[engine].executor.name

    def submit(self, request: SynthesisRequest, now: float) -> None:
        """Queue a request that was never submitted before.

        Raises:
            VoxwireError: `system.engine_unavailable` for an engine that is not installed or does not respond;
                `system.engine_overloaded` when there are too many unfinished requests, in all, of this context or of
                this account.
        """
        assert request.state is RequestState.NEW, "a request is submitted once"
        engine = self._engine(request.engine)
        try:
            self._requests.check_bounds(request, self.policy)
        except VoxwireError:
            self._refused["requests"] += 1
            raise
        self._requests.add(request)
        self._submitted += 1
        request.order = self._submitted
        request.submitted_at = now
        request.deadline = _clamped(request.deadline)
        request.queued_at = now
        self._queue(request, engine)

    def cancel(self, context_key: Hashable) -> list[SynthesisRequest]:
        """Drop all of a context's requests. Returns those that ended at once; the caller finishes their jobs, if any.

        A running request is marked `cancelled`; it is dropped when its step is over.
        """
        dropped = []
        for request in list(self._requests.of_context(context_key)):
            request.cancelled = True
            if request.state is not RequestState.RUNNING:
                self._unqueue(request)
                self._drop(request, RequestState.CANCELLED)
                dropped.append(request)
        for name in {request.engine for request in dropped}:
            self._assign_slots(self._engines[name])
        return dropped

    def clear(self) -> list[SynthesisRequest]:
        """Cancel the requests of all contexts; see `cancel`."""
        return [request for context_key in list(self._requests.by_context) for request in self.cancel(context_key)]

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        """Move the deadline of a context's earliest unfinished request to `deadline`, its later ones by as much."""
        requests = self._requests.of_context(context_key)
        if not requests:
            return
        change = _clamped(deadline) - next(iter(requests)).deadline
        if change == 0.0:
            return
        for request in requests:
            request.deadline += change
            queue: AccountQueues | None = request.queue
            if queue is not None:
                queue.remove(request)
                queue.push(request, self._key(request))

    # -- steps ------------------------------------------------------------------------------------------------------

    def pick(self, executor: str, now: float) -> Batch | None:
        """The batch that a free worker of `executor` steps now, or None. `complete` or `lose` must follow."""
        state = self._executors[executor]
        selection = select(state, self.policy, now, active_streams=bool(self._streams))
        if selection is None:
            return None
        group, bulk = selection.group, selection.bulk
        use = state.account_use[bulk]
        if selection.account is not None:
            use.raise_to(selection.account, selection.least_use, now)
        state.steps_since_bulk = 0 if bulk or not state.bulk_waits else state.steps_since_bulk + 1
        built = build_batch(selection, self.policy, now, use)
        for request in built.requests:
            request.state = RequestState.RUNNING
            # A worker may have read its clock just before another thread queued the request.
            waited = max(0.0, now - request.queued_at)
            request.queue_seconds += waited
            group.stage.queue_seconds.add(waited)
        batch = Batch(
            executor,
            group.engine.info.name,
            group.stage.name,
            max(request.bucket for request in built.requests),
            built.requests,
            built.units,
            built.seconds,
            now,
        )
        state.running[id(batch)] = batch
        state.charge_accounts(batch, batch.predicted_seconds, now)
        if group.stage.name != PREPARE:
            group.engine.stepping += 1
        return batch

    def ready(self, executor: str, now: float) -> bool:
        """Whether `pick` would return a batch."""
        streams = bool(self._streams)
        return select(self._executors[executor], self.policy, now, active_streams=streams) is not None

    def complete(
        self, batch: Batch, outcomes: Sequence[StepOutcome], seconds: float, now: float
    ) -> list[SynthesisRequest]:
        """A step of `batch` is over after `seconds`, with one outcome per request.

        Requests move to their next stage, or end. Returns those that ended because the engine has no slot for them
        though it holds no other job; the caller reports them as failed.
        """
        engine = self._engines[batch.engine]
        stage = engine.stages[batch.stage]
        executor = self._executors[batch.executor]
        del executor.running[id(batch)]
        executor.count_use(engine, seconds, now)
        executor.charge_accounts(batch, seconds - batch.predicted_seconds, now)
        if batch.stage != PREPARE:
            engine.stepping -= 1
        stage.count_step(batch, seconds)
        if all(outcome.status in (StepStatus.NEXT, StepStatus.FINISHED) for outcome in outcomes):
            stage.cost.learn(batch.units, seconds)
        without_slot = [each.request for each in outcomes if not self._apply(each, engine, seconds, now)]
        self._assign_slots(engine)
        return without_slot

    def lose(self, batch: Batch, outcomes: Sequence[StepOutcome], now: float) -> list[StepOutcome]:
        """A step of `batch` will not end, or its result is unknown; `outcomes` say whether its requests fail or start
        over.

        Nothing is learned from it. Returns the outcomes that were applied: those of requests that were still running.
        """
        engine = self._engines[batch.engine]
        if self._executors[batch.executor].running.pop(id(batch), None) is not None and batch.stage != PREPARE:
            engine.stepping -= 1
        applied = [outcome for outcome in outcomes if outcome.request.state is RequestState.RUNNING]
        for outcome in applied:
            self._apply(outcome, engine, 0.0, now)
        self._assign_slots(engine)
        return applied

    def disable_engine(self, engine: str, problem: str) -> list[SynthesisRequest]:
        """Refuse requests for an engine because of `problem`, and drop those that wait for it, which are returned: the
        caller reports them as failed."""
        self._engines[engine].problem = problem
        waiting = [each for each in self._requests.of_engine(engine) if each.state is not RequestState.RUNNING]
        for request in waiting:
            self._unqueue(request)
            self._failed += 1
            self._drop(request, RequestState.ENDED)
        return waiting

    def enable_engine(self, engine: str) -> None:
        """Take requests for an engine again."""
        self._engines[engine].problem = ""

    def out_of_memory(self, batch: Batch) -> None:
        """A step did not fit into memory: batches of its stage have at most half as many rows from now on."""
        stage = self._engines[batch.engine].stages[batch.stage]
        stage.rows_limit = max(1, min(stage.rows_limit, len(batch.requests) // 2))

    # -- streams ----------------------------------------------------------------------------------------------------

    def expect_accounts(self, accounts: int) -> None:
        """Set how many accounts may send requests from now on; see `Policy.accounts`."""
        self.policy = replace(self.policy, accounts=max(1, accounts))

    def stream_started(self, context_key: Hashable, engine: str, now: float, account: str = "") -> None:
        """A context wants a second of audio per second from now on. A second call moves it to another engine."""
        self.stream_ended(context_key, now)
        if engine in self._engines:
            self._streams[context_key] = engine, account
            self._engines[engine].add_stream(context_key, self.policy.start_seconds, now, account)

    def stream_ended(self, context_key: Hashable, now: float, session_id: Hashable = None) -> None:
        """A context wants no audio for now. Does nothing for a context that is no active stream.

        With `session_id`, its capacity is reserved for that session for `Policy.reservation_seconds`.
        """
        found = self._streams.pop(context_key, None)
        if found is not None:
            engine, account = found
            self._engines[engine].remove_stream(context_key, now, account)
            if session_id is not None:
                self._engines[engine].reservations.add(session_id, now + self.policy.reservation_seconds)

    def session_ended(self, session_id: Hashable) -> None:
        """A session is over: its reservations are removed."""
        for engine in self._engines.values():
            engine.reservations.forget(session_id)

    def admission(
        self, engine: str, bulk: bool, now: float, session_id: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """None if the engine can serve one more stream (or bulk context), else why not and when to try again.

        An admitted stream counts as active until it starts, for a while; a refused one is expected to ask again at the
        time given. A session with a reservation is admitted however full and busy the engine is; where several accounts
        share, only within the executor's capacity. An account that has more than its share is refused before others.

        Raises:
            VoxwireError: `system.engine_unavailable` for an engine that is not installed or does not respond.
        """
        state, engines = self._engine(engine), self._engines.values()
        until = now + self.policy.pending_admission_seconds
        if (
            not bulk
            and state.reservations.take(session_id, now)
            and admission.reservation_fits(state, engines, self.policy, now)
        ):
            state.pending_admissions.add(until, account)
            return None
        if bulk:
            refusal = admission.refuse_bulk(state, engines, self.policy, now, account)
        else:
            refusal = admission.refuse_stream(state, engines, self.policy, now, account)
        if refusal is not None:
            self._refused[refusal.reason.value] += 1
        if not bulk:
            if refusal is None:
                state.pending_admissions.add(until, account)
            else:
                self._add_pending_retry(state, refusal, now, account, session_id)
        return refusal

    def full(self, now: float) -> Refusal | None:
        """Why no engine can serve one more stream beside all retries that are due soon; None if one can.

        Where several accounts share, the stream is one of an account that has none yet.
        """
        return admission.server_full(self._engines.values(), self.policy, now)

    def refuse_session(self, now: float, account: str = "") -> Refusal | None:
        """Why no engine can serve one more stream of an account, for a client that retries when told to; None if one
        can, or will as soon as starting streams have their lead and no retry is pending."""
        found = admission.refuse_on_all(self._engines.values(), self.policy, now, account)
        if found is None:
            return None
        engine, refusal = found
        self._add_pending_retry(engine, refusal, now, account)
        return refusal

    def _add_pending_retry(
        self, engine: EngineState, refusal: Refusal, now: float, account: str, session_id: Hashable = None
    ) -> None:
        due = now + refusal.retry_after_ms / 1000
        engine.pending_retries.add(due, account, session_id, shared=self.policy.accounts > 1)

    def stats(self, now: float) -> SchedulerStats:
        """All statistics at this moment."""
        engines = self._engines.values()
        loads = ((each, admission.executor_load(each, engines, self.policy)) for each in self._executors.values())
        return SchedulerStats(
            executors=tuple(ExecutorStats(each.name, each.workers, len(each.running), load) for each, load in loads),
            engines=tuple(engine.stats(now) for engine in engines),
            stages=tuple(stage.stats() for engine in engines for stage in engine.stages.values()),
            requests=len(self._requests),
            submitted=self._submitted,
            completed=self._completed,
            failed=self._failed,
            cancelled=self._cancelled,
            refused=dict(self._refused),
        )

    # -- state changes of a request ---------------------------------------------------------------------------------

    def _key(self, request: SynthesisRequest) -> float:
        """What a request is ordered by in queues."""
        match self.policy.order:
            case Order.DEADLINE:
                return (
                    request.deadline
                    if request.first and not request.spoken
                    else request.deadline - self.policy.protect_seconds
                )
            case Order.ARRIVAL | Order.THROUGHPUT:
                return request.submitted_at
            case _:
                assert_never(self.policy.order)

    def _apply(self, outcome: StepOutcome, engine: EngineState, seconds: float, now: float) -> bool:
        """Move a request on after its step. False if it ends because there is no slot for it."""
        request = outcome.request
        request.synth_seconds += seconds
        self._count_audio(outcome, engine, now)
        prepared = request.job is not None
        if outcome.job is not None and not prepared:
            request.job = outcome.job
        if request.cancelled:
            self._end(request, engine, prepared, RequestState.CANCELLED)
            return True
        match outcome.status:
            case StepStatus.NEXT:
                request.no_slot_count = 0
                request.queued_at = now
                self._queue(request, engine) if prepared else self._wait_for_slot(request, engine)
            case StepStatus.FINISHED:
                self._completed += 1
                self._end(request, engine, prepared, RequestState.ENDED)
            case StepStatus.FAILED:
                self._failed += 1
                self._end(request, engine, prepared, RequestState.ENDED)
            case StepStatus.NO_SLOT:
                return self._return_slot(request, engine, now)
            case StepStatus.RETRY:
                self._start_over(request, engine, now)
            case _:
                assert_never(outcome.status)
        return True

    def _start_over(self, request: SynthesisRequest, engine: EngineState, now: float) -> None:
        """Queue a request for `prepare` again, as if it had just been submitted."""
        if request.job is not None:
            engine.release_slot(request.account)
            request.job = None
        request.retries += 1
        request.queued_at = now
        self._queue(request, engine)

    def _return_slot(self, request: SynthesisRequest, engine: EngineState, now: float) -> bool:
        """The engine has no slot for a request: it waits for one. False if it ends, as there will be none."""
        engine.release_slot(request.account)
        request.no_slot_count += 1
        engine.blocked = engine.slots_held > 0
        if not engine.blocked and request.no_slot_count >= NO_SLOT_MAX:
            self._failed += 1
            self._drop(request, RequestState.ENDED)
            return False
        request.queued_at = now
        self._wait_for_slot(request, engine)
        return True

    def _count_audio(self, outcome: StepOutcome, engine: EngineState, now: float) -> None:
        request, audio_seconds = outcome.request, outcome.audio_seconds
        if audio_seconds <= 0.0:
            return
        engine.audio_seconds += audio_seconds
        engine.count_lead(request.context_key, audio_seconds)
        engine.realtime.produced(audio_seconds, now)
        in_time = request.deadline - request.submitted_at >= self.policy.protect_seconds
        if in_time and not (request.bulk or request.cancelled):
            engine.count_deadline(request.account, now > request.deadline, now)
        request.spoken = True
        request.deadline = _clamped(max(request.deadline, now) + audio_seconds)

    def _queue(self, request: SynthesisRequest, engine: EngineState) -> None:
        """Put a request into the group of its next step."""
        stage = engine.stages[request.stage]
        request.units = stage.units(request)
        request.state = RequestState.QUEUED
        queue = stage.executor.group(engine, request.stage, request.bucket).queue(request.bulk)
        queue.push(request, self._key(request))

    def _wait_for_slot(self, request: SynthesisRequest, engine: EngineState) -> None:
        """Let a prepared request wait for a slot; `_assign_slots` moves it on, at once where slots are free."""
        request.state = RequestState.WAITING
        request.units = engine.stages[request.stage].units(request)
        engine.waiting_queue(request.bulk).push(request, self._key(request))

    def _assign_slots(self, engine: EngineState) -> None:
        """Give free slots to the requests that wait for one, most urgent first."""
        while (request := engine.next_for_slot()) is not None:
            engine.waiting_queue(request.bulk).remove(request)
            engine.take_slot(request.account)
            self._queue(request, engine)

    def _end(self, request: SynthesisRequest, engine: EngineState, held_slot: bool, state: RequestState) -> None:
        """A request is over after a step."""
        if held_slot:
            engine.release_slot(request.account)
            engine.blocked = False
        self._drop(request, state)

    def _unqueue(self, request: SynthesisRequest) -> None:
        """Remove a request from its queue, and give its slot back."""
        queue: AccountQueues = request.queue
        queue.remove(request)
        if request.state is RequestState.QUEUED and request.job is not None:
            engine = self._engines[request.engine]
            engine.release_slot(request.account)
            engine.blocked = False

    def _drop(self, request: SynthesisRequest, state: RequestState) -> None:
        request.state = state
        self._cancelled += state is RequestState.CANCELLED
        self._requests.remove(request)

    def _engine(self, name: str) -> EngineState:
        engine = self._engines.get(name)
        if engine is None:
            raise VoxwireError(ErrorCode.ENGINE_UNAVAILABLE, f"there is no engine {name!r}")
        if engine.problem:
            raise VoxwireError(ErrorCode.ENGINE_UNAVAILABLE, engine.problem, retryable=True, retry_after_ms=10_000)
        return engine


def _clamped(deadline: float) -> float:
    return min(max(deadline, -DEADLINE_MAX), DEADLINE_MAX)
