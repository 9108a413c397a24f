"""Holds every unfinished work and decides what is stepped next; `pick` never waits. No clock, no threads, no I/O.

    submit -> prepare group -> [slot] -> stage group -> … -> out
                  |  ^                      |  ^
             pick |  | complete        pick |  | complete
                  v  |                      v  |
                  batch on "cpu"            batch on "cpu", or on the lane of the engine's device

A group holds the works that may share a step: one engine, stage and bucket. `pick` takes the group that holds the
earliest deadline of the lane (`choosing`) and fills a batch from it, and from groups of other buckets where the stage
allows it (`filling`). Interactive work goes before bulk, which fills what is left.
Whoever calls holds a lock of its own; every call takes microseconds, whatever waits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.work import PREPARE, Batch, Outcome, Refusal, Row, Verdict, Work, WorkState
from voxwire_server.scheduling import admission
from voxwire_server.scheduling.choosing import choose
from voxwire_server.scheduling.filling import fill
from voxwire_server.scheduling.policy import Order, Policy
from voxwire_server.scheduling.state import CPU, EngineState, LaneState
from voxwire_server.scheduling.stats import EngineStats, LaneStats, SchedulerStats, StageStats

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.accounts import AccountQueues

__all__ = ["Batch", "Order", "Outcome", "Policy", "Refusal", "Row", "Scheduler", "Verdict", "Work", "WorkState"]

FAR_SECONDS = 1e9
"""Deadlines given are kept within this (31 years), so that an infinite one can still be moved by a difference."""

REFUSALS_MAX = 3
"""How often an engine that has nothing under way may say that it has no slot, before a work is given up."""


def lane_name(info: EngineInfo) -> str:
    """The lane on which an engine's steps run: "cpu", "device:" and its device's name, or its own."""
    return CPU if info.lane == "cpu" else f"device:{info.device or info.name}"


class Scheduler:
    """Every unfinished work of all owners. See the module for the way of a work."""

    def __init__(self, engines: Mapping[str, EngineInfo], cpu_workers: int, policy: Policy | None = None) -> None:
        assert cpu_workers >= 1, "somebody must prepare"
        self.policy = policy or Policy()
        self._lanes = {CPU: LaneState(CPU, cpu_workers)}
        self._engines: dict[str, EngineState] = {}
        for name, info in engines.items():
            own = lane_name(info)
            if own not in self._lanes:
                self._lanes[own] = LaneState(own, 1 if info.device else max(1, info.concurrency))
            self._engines[name] = EngineState(info, self._lanes[CPU], self._lanes[own])
        self._owners: dict[Hashable, dict[Work, None]] = {}
        self._account_works: tuple[dict[str, int], dict[str, int]] = ({}, {})
        """Each account's unfinished works, listeners' and bulk."""
        self._listening: dict[Hashable, tuple[str, str]] = {}
        self._works = self._bulk_works = 0
        self._submitted = self._completed = self._failed = self._cancelled = 0
        self._refused: Counter[str] = Counter()
        self._order = 0

    # -- works ------------------------------------------------------------------------------------------------------

    @property
    def lanes(self) -> Mapping[str, int]:
        """Workers a lane: "cpu", and one for each device that engines name or have to themselves; see `lane_name`."""
        return {name: lane.workers for name, lane in self._lanes.items()}

    def lane_of(self, engine: str) -> str:
        """The lane on which an engine's steps run."""
        return self._engines[engine].lane.name

    def submit(self, work: Work, now: float) -> None:
        """Take in a work that was never submitted before.

        Raises:
            VoxwireError: `system.engine_unavailable` for an engine that is not there or does not answer;
                `system.engine_overloaded` when as many works as there may be are unfinished, in all, of this owner or
                of this account.
        """
        assert work.state is WorkState.NEW, "a work is submitted once"
        engine = self._engine(work.engine)
        works = self._owners.get(work.owner)
        self._check_bounds(work, len(works or ()))
        if works is None:
            works = self._owners[work.owner] = {}
        works[work] = None
        counts = self._account_works[work.bulk]
        counts[work.account] = counts.get(work.account, 0) + 1
        self._works += 1
        self._bulk_works += work.bulk
        self._submitted += 1
        self._order += 1
        work.order = self._order
        work.submitted_at = now
        work.deadline = _near(work.deadline)
        work.queued_at = now
        self._queue(work, engine)

    def cancel(self, owner: Hashable) -> list[Work]:
        """Drop all of an owner's works. Returns those that left at once; their jobs, if any, are to be finished.

        A running work is marked `cancelled`; it is dropped when its step is over.
        """
        left = []
        for work in list(self._owners.get(owner, ())):
            work.cancelled = True
            if work.state is not WorkState.RUNNING:
                self._unqueue(work)
                self._drop(work, WorkState.CANCELLED)
                left.append(work)
        for name in {work.engine for work in left}:
            self._enter_all(self._engines[name])
        return left

    def clear(self) -> list[Work]:
        """Cancel the works of all owners; see `cancel`."""
        return [work for owner in list(self._owners) for work in self.cancel(owner)]

    def reprioritise(self, owner: Hashable, deadline: float) -> None:
        """The owner's earliest unfinished clause is now due at `deadline`; its later ones move by as much."""
        works = self._owners.get(owner)
        if not works:
            return
        change = _near(deadline) - next(iter(works)).deadline
        if change == 0.0:
            return
        for work in works:
            work.deadline += change
            queue: AccountQueues | None = work.queue
            if queue is not None:
                queue.remove(work)
                queue.push(work, self._key(work))

    # -- steps ------------------------------------------------------------------------------------------------------

    def pick(self, lane: str, now: float) -> Batch | None:
        """The batch that a free worker of `lane` steps now, or None. `complete` must follow."""
        state = self._lanes[lane]
        choice = choose(state, self.policy, now, listening=bool(self._listening))
        if choice is None:
            return None
        group, bulk = choice.group, choice.bulk
        use = state.account_use[bulk]
        if choice.account is not None:
            use.lift(choice.account, choice.least, now)
        state.since_bulk = 0 if bulk or not state.bulk_waits else state.since_bulk + 1
        filling = fill(choice, self.policy, now, use)
        for work in filling.works:
            work.state = WorkState.RUNNING
            # A worker may have read its clock just before another thread queued the work.
            waited = max(0.0, now - work.queued_at)
            work.queue_seconds += waited
            group.stage.queue_seconds.add(waited)
        batch = Batch(
            lane,
            group.engine.info.name,
            group.stage.name,
            max(work.bucket for work in filling.works),
            filling.works,
            filling.units,
            filling.seconds,
            now,
        )
        state.running[id(batch)] = batch
        state.charge(batch, batch.predicted_seconds, now)
        if group.stage.name != PREPARE:
            group.engine.stepping += 1
        return batch

    def ready(self, lane: str, now: float) -> bool:
        """Whether `pick` would give a batch."""
        return choose(self._lanes[lane], self.policy, now, listening=bool(self._listening)) is not None

    def complete(self, batch: Batch, rows: Sequence[Row], seconds: float, now: float) -> list[Work]:
        """A step of `batch` is over after `seconds`; one row a work.

        Works move to their next stage, or out. Returns those that the engine has no slot for and never will have, as
        nothing of it is under way: they are out, and their owners are to be told.
        """
        engine = self._engines[batch.engine]
        stage = engine.stages[batch.stage]
        lane = self._lanes[batch.lane]
        del lane.running[id(batch)]
        lane.use(engine, seconds, now)
        lane.charge(batch, seconds - batch.predicted_seconds, now)
        if batch.stage != PREPARE:
            engine.stepping -= 1
        stage.count(batch, seconds)
        if all(row.verdict is Verdict.NEXT or row.verdict is Verdict.FINISHED for row in rows):
            stage.cost.learn(batch.units, seconds)
        starved = [row.work for row in rows if not self._settle(row, engine, seconds, now)]
        self._enter_all(engine)
        return starved

    def lose(self, batch: Batch, rows: Sequence[Row], now: float) -> list[Row]:
        """A step of `batch` will never be over, or what it did is not known: `rows` say what becomes of its works.

        Nothing is learned from it. Returns the rows of works that are out or begin anew; those of works that have left
        the batch already do not hold.
        """
        engine = self._engines[batch.engine]
        if self._lanes[batch.lane].running.pop(id(batch), None) is not None and batch.stage != PREPARE:
            engine.stepping -= 1
        held = [row for row in rows if row.work.state is WorkState.RUNNING]
        for row in held:
            self._settle(row, engine, 0.0, now)
        self._enter_all(engine)
        return held

    def shut(self, engine: str, problem: str) -> list[Work]:
        """Take no more works for an engine, for `problem`, and drop those that wait; their owners are to be told."""
        state = self._engines[engine]
        state.problem = problem
        works = [work for works in self._owners.values() for work in works if work.engine == engine]
        waiting = [work for work in works if work.state is not WorkState.RUNNING]
        for work in waiting:
            self._unqueue(work)
            self._failed += 1
            self._drop(work, WorkState.ENDED)
        return waiting

    def reopen(self, engine: str) -> None:
        """Take works for an engine again."""
        self._engines[engine].problem = ""

    def out_of_memory(self, batch: Batch) -> None:
        """A step did not fit into memory: batches of this stage have at most half as many rows from now on."""
        stage = self._engines[batch.engine].stages[batch.stage]
        stage.rows_limit = max(1, min(stage.rows_limit, len(batch.works) // 2))

    # -- listeners --------------------------------------------------------------------------------------------------

    def expect_accounts(self, accounts: int) -> None:
        """From now on so many accounts may come; see `Policy.accounts`."""
        self.policy = replace(self.policy, accounts=max(1, accounts))

    def listener_joined(self, owner: Hashable, engine: str, now: float, account: str = "") -> None:
        """From now on the owner wants a second of audio a second. A second call moves it to another engine."""
        self.listener_left(owner, now)
        if engine in self._engines:
            self._listening[owner] = engine, account
            self._engines[engine].join(owner, self.policy.start_seconds, now, account)

    def listener_left(self, owner: Hashable, now: float, caller: Hashable = None) -> None:
        """The owner wants no audio for now. Unknown owners are passed over.

        With `caller`, its place is kept for a while for whoever asks for it by that name.
        """
        found = self._listening.pop(owner, None)
        if found is not None:
            engine, account = found
            self._engines[engine].leave(owner, now, account)
            if caller is not None:
                self._engines[engine].kept.add(caller, now + self.policy.kept_seconds)

    def caller_left(self, caller: Hashable) -> None:
        """The caller asks for nothing any more; no place is kept for it."""
        for engine in self._engines.values():
            engine.kept.forget(caller)

    def admission(
        self, engine: str, bulk: bool, now: float, speaking: int = 0, caller: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """None if the engine can feed one more, else why not and when to try again.

        Whoever is let in is expected to join soon; whoever is refused, to come back when told to. `speaking`: listeners
        of the engine that are known of elsewhere; counts where it is more than have joined. A `caller` whose place is
        kept gets it back, however full and busy the engine; where several accounts may come, only within what the lane
        can feed. An `account` that has more than its share is refused before the others are.

        Raises:
            VoxwireError: `system.engine_unavailable` for an engine that is not there or does not answer.
        """
        state, engines = self._engine(engine), self._engines.values()
        until = now + self.policy.expected_seconds
        if not bulk and state.kept.take(caller, now) and admission.takes_back(state, engines, self.policy, now):
            state.expected.add(until, account)
            return None
        if bulk:
            refusal = admission.refuse_bulk(state, engines, self.policy, now, account)
        else:
            refusal = admission.refuse_listener(state, engines, speaking, self.policy, now, account)
        if refusal is not None:
            self._refused[refusal.reason.value] += 1
        if not bulk:
            if refusal is None:
                state.expected.add(until, account)
            else:
                self._promise(state, refusal, now, account, caller)
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
        self._promise(engine, refusal, now, account)
        return refusal

    def _promise(
        self, engine: EngineState, refusal: Refusal, now: float, account: str, caller: Hashable = None
    ) -> None:
        due = now + refusal.retry_after_ms / 1000
        engine.promises.add(due, account, caller, shared=self.policy.accounts > 1)

    def stats(self, now: float) -> SchedulerStats:
        """Everything that metrics show, at this moment."""
        engines = self._engines.values()
        return SchedulerStats(
            lanes=tuple(
                LaneStats(lane.name, lane.workers, len(lane.running), admission.lane_load(lane, engines, self.policy))
                for lane in self._lanes.values()
            ),
            engines=tuple(_engine_stats(engine, now) for engine in engines),
            stages=tuple(self._stage_stats(engine, name) for engine in engines for name in engine.stages),
            works=self._works,
            submitted=self._submitted,
            completed=self._completed,
            failed=self._failed,
            cancelled=self._cancelled,
            refused=dict(self._refused),
        )

    # -- moving -----------------------------------------------------------------------------------------------------

    def _key(self, work: Work) -> float:
        match self.policy.order:
            case Order.DEADLINE:
                return work.deadline if work.first and not work.spoken else work.deadline - self.policy.protect_seconds
            case Order.ARRIVAL | Order.THROUGHPUT:
                return work.submitted_at
            case _:
                assert_never(self.policy.order)

    def _settle(self, row: Row, engine: EngineState, seconds: float, now: float) -> bool:
        """Move a work on after its step. False if it waits for a slot in vain."""
        work = row.work
        work.synth_seconds += seconds
        self._count_audio(row, engine, now)
        prepared = work.job is not None
        if row.job is not None and not prepared:
            work.job = row.job
        if work.cancelled:
            self._leave(work, engine, prepared, WorkState.CANCELLED)
            return True
        match row.verdict:
            case Verdict.NEXT:
                work.refusals = 0
                work.queued_at = now
                self._queue(work, engine) if prepared else self._wait(work, engine)
            case Verdict.FINISHED:
                self._completed += 1
                self._leave(work, engine, prepared, WorkState.ENDED)
            case Verdict.FAILED:
                self._failed += 1
                self._leave(work, engine, prepared, WorkState.ENDED)
            case Verdict.NO_SLOT:
                return self._turned_away(work, engine, now)
            case Verdict.RETRY:
                self._begin_anew(work, engine, now)
            case _:
                assert_never(row.verdict)
        return True

    def _begin_anew(self, work: Work, engine: EngineState, now: float) -> None:
        """Have a work prepared and stepped again, as if it had just come."""
        if work.job is not None:
            engine.release(work.account)
            work.job = None
        work.retries += 1
        work.queued_at = now
        self._queue(work, engine)

    def _turned_away(self, work: Work, engine: EngineState, now: float) -> bool:
        engine.release(work.account)
        work.refusals += 1
        engine.blocked = engine.holders > 0
        if not engine.blocked and work.refusals >= REFUSALS_MAX:
            self._failed += 1
            self._drop(work, WorkState.ENDED)
            return False
        work.queued_at = now
        self._wait(work, engine)
        return True

    def _count_audio(self, row: Row, engine: EngineState, now: float) -> None:
        work, audio_seconds = row.work, row.audio_seconds
        if audio_seconds <= 0.0:
            return
        engine.audio_seconds += audio_seconds
        engine.feed(work.owner, audio_seconds)
        engine.realtime.produced(audio_seconds, now)
        in_time = work.deadline - work.submitted_at >= self.policy.protect_seconds
        if in_time and not (work.bulk or work.cancelled):
            engine.judge(work.account, now > work.deadline, now)
        work.spoken = True
        work.deadline = _near(max(work.deadline, now) + audio_seconds)

    def _queue(self, work: Work, engine: EngineState) -> None:
        """Put a work into the group of its next step."""
        stage = engine.stages[work.stage]
        work.units = stage.units(work)
        work.state = WorkState.QUEUED
        queue = stage.lane.group(engine, work.stage, work.bucket).queue(work.bulk)
        queue.push(work, self._key(work))

    def _wait(self, work: Work, engine: EngineState) -> None:
        """Let a prepared work wait for a slot; `_enter_all` moves it on, at once where slots are free."""
        work.state = WorkState.WAITING
        work.units = engine.stages[work.stage].units(work)
        engine.waiting_queue(work.bulk).push(work, self._key(work))

    def _enter_all(self, engine: EngineState) -> None:
        """Give free slots to the works that wait, most urgent first."""
        while (work := engine.next_entrant()) is not None:
            engine.waiting_queue(work.bulk).remove(work)
            engine.hold(work.account)
            self._queue(work, engine)

    def _leave(self, work: Work, engine: EngineState, held_slot: bool, state: WorkState) -> None:
        """A work is over after a step."""
        if held_slot:
            engine.release(work.account)
            engine.blocked = False
        self._drop(work, state)

    def _unqueue(self, work: Work) -> None:
        """Take a work out of the queue it stands in, and give its slot back."""
        queue: AccountQueues = work.queue
        queue.remove(work)
        if work.state is WorkState.QUEUED and work.job is not None:
            engine = self._engines[work.engine]
            engine.release(work.account)
            engine.blocked = False

    def _drop(self, work: Work, state: WorkState) -> None:
        work.state = state
        self._cancelled += state is WorkState.CANCELLED
        self._works -= 1
        self._bulk_works -= work.bulk
        works = self._owners[work.owner]
        del works[work]
        if not works:
            del self._owners[work.owner]
        counts = self._account_works[work.bulk]
        counts[work.account] -= 1
        if not counts[work.account]:
            del counts[work.account]

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
        policy, (interactive, bulky) = self.policy, self._account_works
        if policy.accounts == 1:
            return False
        if bulk and _takes_too_much(policy, account, bulky, self._bulk_works, policy.works_max // 2):
            return True
        both = {each: interactive.get(each, 0) + bulky.get(each, 0) for each in (account,)}
        accounts = interactive.keys() | bulky.keys()
        return _takes_too_much(policy, account, both, self._works, policy.works_max, len(accounts | {account}))

    def _check_bounds(self, work: Work, owner_works: int) -> None:
        policy = self.policy
        full = self._works >= policy.works_max or (work.bulk and 2 * self._bulk_works >= policy.works_max)
        over_share = self._over_share(work.account, work.bulk)
        if full or over_share or owner_works >= policy.owner_works_max:
            self._refused["works"] += 1
            whose = "works" if full else "works of one key" if over_share else "works of one context"
            raise VoxwireError(ErrorCode.ENGINE_OVERLOADED, f"too many unfinished {whose}", retry_after_ms=1000)

    def _stage_stats(self, engine: EngineState, name: str) -> StageStats:
        stage = engine.stages[name]
        groups = [g for g in stage.lane.groups.values() if g.stage is stage]
        return StageStats(
            engine=engine.info.name,
            stage=name,
            lane=stage.lane.name,
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
        listeners=len(engine.listeners),
        holders=engine.holders,
        slots=engine.info.slots,
        waiting=len(engine.waiting) + len(engine.waiting_bulk),
        realtime_factor=engine.realtime.realtime_factor,
        audio_seconds=engine.audio_seconds,
        late=engine.lateness.total,
        late_share=engine.lateness.share(now),
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
