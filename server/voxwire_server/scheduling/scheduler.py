"""Holds every unfinished work and decides what is stepped next; `pick` never waits. No clock, no threads, no I/O.

    submit -> prepare group -> [slot] -> stage group -> … -> out
                  |  ^                      |  ^
             pick |  | complete        pick |  | complete
                  v  |                      v  |
                  batch on "cpu"            batch on "cpu", or on the executor of the engine's device

A group holds the works that may share a step: one engine, stage and bucket. `pick` takes the group that holds the
earliest deadline of the executor (`choosing`) and fills a batch from it, and from groups of other buckets where the
stage allows it (`filling`). Interactive work goes before bulk, which fills what is left.
Whoever calls holds a lock of its own; every call takes microseconds, whatever waits.
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
    Refusal,
    RequestState,
    StepOutcome,
    StepStatus,
    SynthesisRequest,
)
from voxwire_server.scheduling.selection import select
from voxwire_server.scheduling.state import CPU, EngineState, ExecutorState
from voxwire_server.scheduling.stats import EngineStats, ExecutorStats, SchedulerStats, StageStats

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.accounts import AccountQueues

FAR_SECONDS = 1e9
"""Deadlines given are kept within this (31 years), so that an infinite one can still be moved by a difference."""

REFUSALS_MAX = 3
"""How often an engine that has nothing under way may say that it has no slot, before a work is given up."""


def executor_name(info: EngineInfo) -> str:
    """The executor on which an engine's steps run: "cpu", "device:" and its device's name, or its own."""
    return CPU if info.executor == "cpu" else f"device:{info.device or info.name}"


class Scheduler:
    """Every unfinished work of all owners. See the module for the way of a work."""

    def __init__(self, engines: Mapping[str, EngineInfo], cpu_workers: int, policy: Policy | None = None) -> None:
        assert cpu_workers >= 1, "somebody must prepare"
        self.policy = policy or Policy()
        self._executors = {CPU: ExecutorState(CPU, cpu_workers)}
        self._engines: dict[str, EngineState] = {}
        for name, info in engines.items():
            own = executor_name(info)
            if own not in self._executors:
                self._executors[own] = ExecutorState(own, 1 if info.device else max(1, info.concurrency))
            self._engines[name] = EngineState(info, self._executors[CPU], self._executors[own])
        self._contexts: dict[Hashable, dict[SynthesisRequest, None]] = {}
        self._account_requests: tuple[dict[str, int], dict[str, int]] = ({}, {})
        """Each account's unfinished works, listeners' and bulk."""
        self._listening: dict[Hashable, tuple[str, str]] = {}
        self._requests = self._bulk_requests = 0
        self._submitted = self._completed = self._failed = self._cancelled = 0
        self._refused: Counter[str] = Counter()
        self._order = 0

    # -- works ------------------------------------------------------------------------------------------------------

    @property
    def executors(self) -> Mapping[str, int]:
        """Workers an executor: "cpu", and one for each device that engines name or have to themselves; see
        `executor_name`."""
        return {name: executor.workers for name, executor in self._executors.items()}

    def executor_of(self, engine: str) -> str:
        """The executor on which an engine's steps run."""
        return self._engines[engine].executor.name

    def submit(self, request: SynthesisRequest, now: float) -> None:
        """Take in a work that was never submitted before.

        Raises:
            VoxwireError: `system.engine_unavailable` for an engine that is not there or does not answer;
                `system.engine_overloaded` when as many works as there may be are unfinished, in all, of this owner or
                of this account.
        """
        assert request.state is RequestState.NEW, "a work is submitted once"
        engine = self._engine(request.engine)
        requests = self._contexts.get(request.context_key)
        self._check_bounds(request, len(requests or ()))
        if requests is None:
            requests = self._contexts[request.context_key] = {}
        requests[request] = None
        counts = self._account_requests[request.bulk]
        counts[request.account] = counts.get(request.account, 0) + 1
        self._requests += 1
        self._bulk_requests += request.bulk
        self._submitted += 1
        self._order += 1
        request.order = self._order
        request.submitted_at = now
        request.deadline = _near(request.deadline)
        request.queued_at = now
        self._queue(request, engine)

    def cancel(self, context_key: Hashable) -> list[SynthesisRequest]:
        """Drop all of an owner's works. Returns those that left at once; their jobs, if any, are to be finished.

        A running work is marked `cancelled`; it is dropped when its step is over.
        """
        left = []
        for request in list(self._contexts.get(context_key, ())):
            request.cancelled = True
            if request.state is not RequestState.RUNNING:
                self._unqueue(request)
                self._drop(request, RequestState.CANCELLED)
                left.append(request)
        for name in {request.engine for request in left}:
            self._enter_all(self._engines[name])
        return left

    def clear(self) -> list[SynthesisRequest]:
        """Cancel the works of all owners; see `cancel`."""
        return [request for context_key in list(self._contexts) for request in self.cancel(context_key)]

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        """The owner's earliest unfinished clause is now due at `deadline`; its later ones move by as much."""
        requests = self._contexts.get(context_key)
        if not requests:
            return
        change = _near(deadline) - next(iter(requests)).deadline
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
        """The batch that a free worker of `executor` steps now, or None. `complete` must follow."""
        state = self._executors[executor]
        choice = select(state, self.policy, now, listening=bool(self._listening))
        if choice is None:
            return None
        group, bulk = choice.group, choice.bulk
        use = state.account_use[bulk]
        if choice.account is not None:
            use.lift(choice.account, choice.least, now)
        state.since_bulk = 0 if bulk or not state.bulk_waits else state.since_bulk + 1
        filling = build_batch(choice, self.policy, now, use)
        for request in filling.requests:
            request.state = RequestState.RUNNING
            # A worker may have read its clock just before another thread queued the work.
            waited = max(0.0, now - request.queued_at)
            request.queue_seconds += waited
            group.stage.queue_seconds.add(waited)
        batch = Batch(
            executor,
            group.engine.info.name,
            group.stage.name,
            max(request.bucket for request in filling.requests),
            filling.requests,
            filling.units,
            filling.seconds,
            now,
        )
        state.running[id(batch)] = batch
        state.charge(batch, batch.predicted_seconds, now)
        if group.stage.name != PREPARE:
            group.engine.stepping += 1
        return batch

    def ready(self, executor: str, now: float) -> bool:
        """Whether `pick` would give a batch."""
        return select(self._executors[executor], self.policy, now, listening=bool(self._listening)) is not None

    def complete(
        self, batch: Batch, outcomes: Sequence[StepOutcome], seconds: float, now: float
    ) -> list[SynthesisRequest]:
        """A step of `batch` is over after `seconds`; one row a work.

        Works move to their next stage, or out. Returns those that the engine has no slot for and never will have, as
        nothing of it is under way: they are out, and their owners are to be told.
        """
        engine = self._engines[batch.engine]
        stage = engine.stages[batch.stage]
        executor = self._executors[batch.executor]
        del executor.running[id(batch)]
        executor.use(engine, seconds, now)
        executor.charge(batch, seconds - batch.predicted_seconds, now)
        if batch.stage != PREPARE:
            engine.stepping -= 1
        stage.count(batch, seconds)
        if all(outcome.verdict is StepStatus.NEXT or outcome.verdict is StepStatus.FINISHED for outcome in outcomes):
            stage.cost.learn(batch.units, seconds)
        starved = [outcome.request for outcome in outcomes if not self._settle(outcome, engine, seconds, now)]
        self._enter_all(engine)
        return starved

    def lose(self, batch: Batch, outcomes: Sequence[StepOutcome], now: float) -> list[StepOutcome]:
        """A step of `batch` will never be over, or what it did is not known: `outcomes` say what becomes of its works.

        Nothing is learned from it. Returns the rows of works that are out or begin anew; those of works that have left
        the batch already do not hold.
        """
        engine = self._engines[batch.engine]
        if self._executors[batch.executor].running.pop(id(batch), None) is not None and batch.stage != PREPARE:
            engine.stepping -= 1
        held = [outcome for outcome in outcomes if outcome.request.state is RequestState.RUNNING]
        for outcome in held:
            self._settle(outcome, engine, 0.0, now)
        self._enter_all(engine)
        return held

    def shut(self, engine: str, problem: str) -> list[SynthesisRequest]:
        """Take no more works for an engine, for `problem`, and drop those that wait; their owners are to be told."""
        state = self._engines[engine]
        state.problem = problem
        requests = [request for requests in self._contexts.values() for request in requests if request.engine == engine]
        waiting = [request for request in requests if request.state is not RequestState.RUNNING]
        for request in waiting:
            self._unqueue(request)
            self._failed += 1
            self._drop(request, RequestState.ENDED)
        return waiting

    def reopen(self, engine: str) -> None:
        """Take works for an engine again."""
        self._engines[engine].problem = ""

    def out_of_memory(self, batch: Batch) -> None:
        """A step did not fit into memory: batches of this stage have at most half as many rows from now on."""
        stage = self._engines[batch.engine].stages[batch.stage]
        stage.rows_limit = max(1, min(stage.rows_limit, len(batch.requests) // 2))

    # -- listeners --------------------------------------------------------------------------------------------------

    def expect_accounts(self, accounts: int) -> None:
        """From now on so many accounts may come; see `Policy.accounts`."""
        self.policy = replace(self.policy, accounts=max(1, accounts))

    def stream_started(self, context_key: Hashable, engine: str, now: float, account: str = "") -> None:
        """From now on the owner wants a second of audio a second. A second call moves it to another engine."""
        self.stream_ended(context_key, now)
        if engine in self._engines:
            self._listening[context_key] = engine, account
            self._engines[engine].join(context_key, self.policy.start_seconds, now, account)

    def stream_ended(self, context_key: Hashable, now: float, session_id: Hashable = None) -> None:
        """The owner wants no audio for now. Unknown owners are passed over.

        With `session_id`, its place is kept for a while for whoever asks for it by that name.
        """
        found = self._listening.pop(context_key, None)
        if found is not None:
            engine, account = found
            self._engines[engine].leave(context_key, now, account)
            if session_id is not None:
                self._engines[engine].reservations.add(session_id, now + self.policy.reservation_seconds)

    def session_ended(self, session_id: Hashable) -> None:
        """The caller asks for nothing any more; no place is kept for it."""
        for engine in self._engines.values():
            engine.reservations.forget(session_id)

    def admission(
        self, engine: str, bulk: bool, now: float, speaking: int = 0, session_id: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """None if the engine can feed one more, else why not and when to try again.

        Whoever is let in is expected to join soon; whoever is refused, to come back when told to. `speaking`: listeners
        of the engine that are known of elsewhere; counts where it is more than have joined. A `session_id` whose place
        is kept gets it back, however full and busy the engine; where several accounts may come, only within what the
        executor can feed. An `account` that has more than its share is refused before the others are.

        Raises:
            VoxwireError: `system.engine_unavailable` for an engine that is not there or does not answer.
        """
        state, engines = self._engine(engine), self._engines.values()
        until = now + self.policy.pending_admission_seconds
        if (
            not bulk
            and state.reservations.take(session_id, now)
            and admission.takes_back(state, engines, self.policy, now)
        ):
            state.pending_admissions.add(until, account)
            return None
        if bulk:
            refusal = admission.refuse_bulk(state, engines, self.policy, now, account)
        else:
            refusal = admission.refuse_stream(state, engines, speaking, self.policy, now, account)
        if refusal is not None:
            self._refused[refusal.reason.value] += 1
        if not bulk:
            if refusal is None:
                state.pending_admissions.add(until, account)
            else:
                self._add_pending_retry(state, refusal, now, account, session_id)
        return refusal

    def full(self, now: float) -> Refusal | None:
        """Why no engine can feed all who come back soon and one more, and when one could; None if one can.

        Where several accounts may come, the one more is of an account that has nothing yet.
        """
        return admission.overcrowded(self._engines.values(), self.policy, now)

    def turn_away(self, now: float, account: str = "") -> Refusal | None:
        """Why no engine can feed one more of an account, for a client that comes back when told to; None if one can,
        or could once new listeners have their lead and no refused one waits for that."""
        found = admission.refuse_all(self._engines.values(), self.policy, now, account)
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
        """Everything that metrics show, at this moment."""
        engines = self._engines.values()
        return SchedulerStats(
            executors=tuple(
                ExecutorStats(
                    executor.name,
                    executor.workers,
                    len(executor.running),
                    admission.executor_load(executor, engines, self.policy),
                )
                for executor in self._executors.values()
            ),
            engines=tuple(_engine_stats(engine, now) for engine in engines),
            stages=tuple(self._stage_stats(engine, name) for engine in engines for name in engine.stages),
            requests=self._requests,
            submitted=self._submitted,
            completed=self._completed,
            failed=self._failed,
            cancelled=self._cancelled,
            refused=dict(self._refused),
        )

    # -- moving -----------------------------------------------------------------------------------------------------

    def _key(self, request: SynthesisRequest) -> float:
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

    def _settle(self, outcome: StepOutcome, engine: EngineState, seconds: float, now: float) -> bool:
        """Move a work on after its step. False if it waits for a slot in vain."""
        request = outcome.request
        request.synth_seconds += seconds
        self._count_audio(outcome, engine, now)
        prepared = request.job is not None
        if outcome.job is not None and not prepared:
            request.job = outcome.job
        if request.cancelled:
            self._leave(request, engine, prepared, RequestState.CANCELLED)
            return True
        match outcome.verdict:
            case StepStatus.NEXT:
                request.refusals = 0
                request.queued_at = now
                self._queue(request, engine) if prepared else self._wait(request, engine)
            case StepStatus.FINISHED:
                self._completed += 1
                self._leave(request, engine, prepared, RequestState.ENDED)
            case StepStatus.FAILED:
                self._failed += 1
                self._leave(request, engine, prepared, RequestState.ENDED)
            case StepStatus.NO_SLOT:
                return self._turned_away(request, engine, now)
            case StepStatus.RETRY:
                self._begin_anew(request, engine, now)
            case _:
                assert_never(outcome.verdict)
        return True

    def _begin_anew(self, request: SynthesisRequest, engine: EngineState, now: float) -> None:
        """Have a work prepared and stepped again, as if it had just come."""
        if request.job is not None:
            engine.release(request.account)
            request.job = None
        request.retries += 1
        request.queued_at = now
        self._queue(request, engine)

    def _turned_away(self, request: SynthesisRequest, engine: EngineState, now: float) -> bool:
        engine.release(request.account)
        request.refusals += 1
        engine.blocked = engine.holders > 0
        if not engine.blocked and request.refusals >= REFUSALS_MAX:
            self._failed += 1
            self._drop(request, RequestState.ENDED)
            return False
        request.queued_at = now
        self._wait(request, engine)
        return True

    def _count_audio(self, outcome: StepOutcome, engine: EngineState, now: float) -> None:
        request, audio_seconds = outcome.request, outcome.audio_seconds
        if audio_seconds <= 0.0:
            return
        engine.audio_seconds += audio_seconds
        engine.feed(request.context_key, audio_seconds)
        engine.realtime.produced(audio_seconds, now)
        in_time = request.deadline - request.submitted_at >= self.policy.protect_seconds
        if in_time and not (request.bulk or request.cancelled):
            engine.judge(request.account, now > request.deadline, now)
        request.spoken = True
        request.deadline = _near(max(request.deadline, now) + audio_seconds)

    def _queue(self, request: SynthesisRequest, engine: EngineState) -> None:
        """Put a work into the group of its next step."""
        stage = engine.stages[request.stage]
        request.units = stage.units(request)
        request.state = RequestState.QUEUED
        queue = stage.executor.group(engine, request.stage, request.bucket).queue(request.bulk)
        queue.push(request, self._key(request))

    def _wait(self, request: SynthesisRequest, engine: EngineState) -> None:
        """Let a prepared work wait for a slot; `_enter_all` moves it on, at once where slots are free."""
        request.state = RequestState.WAITING
        request.units = engine.stages[request.stage].units(request)
        engine.waiting_queue(request.bulk).push(request, self._key(request))

    def _enter_all(self, engine: EngineState) -> None:
        """Give free slots to the works that wait, most urgent first."""
        while (request := engine.next_entrant()) is not None:
            engine.waiting_queue(request.bulk).remove(request)
            engine.hold(request.account)
            self._queue(request, engine)

    def _leave(self, request: SynthesisRequest, engine: EngineState, held_slot: bool, state: RequestState) -> None:
        """A work is over after a step."""
        if held_slot:
            engine.release(request.account)
            engine.blocked = False
        self._drop(request, state)

    def _unqueue(self, request: SynthesisRequest) -> None:
        """Take a work out of the queue it stands in, and give its slot back."""
        queue: AccountQueues = request.queue
        queue.remove(request)
        if request.state is RequestState.QUEUED and request.job is not None:
            engine = self._engines[request.engine]
            engine.release(request.account)
            engine.blocked = False

    def _drop(self, request: SynthesisRequest, state: RequestState) -> None:
        request.state = state
        self._cancelled += state is RequestState.CANCELLED
        self._requests -= 1
        self._bulk_requests -= request.bulk
        requests = self._contexts[request.context_key]
        del requests[request]
        if not requests:
            del self._contexts[request.context_key]
        counts = self._account_requests[request.bulk]
        counts[request.account] -= 1
        if not counts[request.account]:
            del counts[request.account]

    def _engine(self, name: str) -> EngineState:
        engine = self._engines.get(name)
        if engine is None:
            raise VoxwireError(ErrorCode.ENGINE_UNAVAILABLE, f"there is no engine {name!r}")
        if engine.problem:
            raise VoxwireError(ErrorCode.ENGINE_UNAVAILABLE, engine.problem, retryable=True, retry_after_ms=10_000)
        return engine

    def _over_share(self, account: str, bulk: bool) -> bool:
        """Whether an account has more than its share of the works that there may be, and so many there are that what
        is left is kept for others."""
        policy, (interactive, bulky) = self.policy, self._account_requests
        if policy.accounts == 1:
            return False
        if bulk and _takes_too_much(policy, account, bulky, self._bulk_requests, policy.requests_max // 2):
            return True
        both = {each: interactive.get(each, 0) + bulky.get(each, 0) for each in (account,)}
        accounts = interactive.keys() | bulky.keys()
        return _takes_too_much(policy, account, both, self._requests, policy.requests_max, len(accounts | {account}))

    def _check_bounds(self, request: SynthesisRequest, context_requests: int) -> None:
        policy = self.policy
        full = self._requests >= policy.requests_max or (
            request.bulk and 2 * self._bulk_requests >= policy.requests_max
        )
        over_share = self._over_share(request.account, request.bulk)
        if full or over_share or context_requests >= policy.context_requests_max:
            self._refused["requests"] += 1
            whose = "requests" if full else "requests of one key" if over_share else "requests of one context"
            raise VoxwireError(ErrorCode.ENGINE_OVERLOADED, f"too many unfinished {whose}", retry_after_ms=1000)

    def _stage_stats(self, engine: EngineState, name: str) -> StageStats:
        stage = engine.stages[name]
        groups = [g for g in stage.executor.groups.values() if g.stage is stage]
        return StageStats(
            engine=engine.info.name,
            stage=name,
            executor=stage.executor.name,
            queued=sum(len(group.interactive) for group in groups),
            queued_bulk=sum(len(group.bulk) for group in groups),
            steps=stage.steps,
            rows=sum(size * count for size, count in stage.batch_sizes.items()),
            batch_sizes=dict(stage.batch_sizes),
            units=stage.units_asked,
            padded_units=stage.units_padded,
            busy_seconds=stage.busy_seconds,
            predicted_seconds=stage.predicted_seconds,
            step_seconds=stage.step_seconds.read(),
            queue_seconds=stage.queue_seconds.read(),
            batch_rows=stage.batch_rows.read(),
            prediction_error=stage.cost.error,
            prediction_bias=stage.cost.bias,
        )


def _engine_stats(engine: EngineState, now: float) -> EngineStats:
    return EngineStats(
        engine=engine.info.name,
        streams=len(engine.streams),
        holders=engine.holders,
        slots=engine.info.slots,
        waiting=len(engine.waiting) + len(engine.waiting_bulk),
        realtime_factor=engine.realtime.realtime_factor,
        audio_seconds=engine.audio_seconds,
        late=engine.miss_rate.total,
        late_share=engine.miss_rate.share(now),
    )


def _takes_too_much(
    policy: Policy, account: str, counts: Mapping[str, int], total: int, most: int, accounts: int = 0
) -> bool:
    """Whether an account has its share of `most` works, and all have so many that the rest is kept for others."""
    if total < policy.account_share * most:
        return False
    return counts.get(account, 0) >= most / max(2, accounts or len(counts.keys() | {account}))


def _near(deadline: float) -> float:
    return min(max(deadline, -FAR_SECONDS), FAR_SECONDS)
