"""The scheduler's books: executors with their groups of works that may share a step, engines, and what they learned."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf, log2
from typing import TYPE_CHECKING

from voxwire_server.scheduling.accounts import AccountQueues, AccountUse
from voxwire_server.scheduling.cost import RealtimeCost, StageCost, StageUse
from voxwire_server.scheduling.demand import MeanSessionTime, PendingAdmissions, PendingRetries, Reservations
from voxwire_server.scheduling.request import PREPARE
from voxwire_server.scheduling.tallies import ROWS, Histogram

if TYPE_CHECKING:
    from collections.abc import Hashable

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.request import Batch, SynthesisRequest

CPU = "cpu"
"""The executor that prepares for every engine and steps the engines that run on a CPU."""

PREPARE_SECONDS_PER_CHAR = 20e-6
"""First guess of text work: 110-220 us a second of speech of 15 characters was measured for an English G2P."""

LATE_HALF_LIFE_SECONDS = 2.0
"""After so long, a late clause counts half in the decision to refuse."""

LATE_WEIGHT_MIN = 20.0
"""Clauses that must have been judged lately before their share of late ones says anything."""

ACCOUNTS_JUDGED_MAX = 256
"""Of more accounts than this, those are not remembered of which too few clauses were judged lately."""

STREAMS_PER_ROW = {"clause": 4.0, "codec_frame": 1.5}
"""One listener in so many has a job that waits in a given bucket when the device is full."""

ROWS_BETWEEN_GROWTH = 256
"""Steps without trouble after which a batch that once did not fit into memory may have one row more."""


@dataclass(slots=True, eq=False)
class StageState:
    """One stage of one engine: where it runs, how many rows it takes, what it costs."""

    name: str
    executor: ExecutorState
    rows_max: int
    seconds_per_char: float
    joins_buckets: bool = False
    rows_limit: int = field(init=False)
    cost: StageCost = field(init=False)
    use: StageUse = field(default_factory=StageUse)
    steps: int = 0
    busy_seconds: float = 0.0
    predicted_seconds: float = 0.0
    batch_sizes: Counter[int] = field(default_factory=Counter)
    step_seconds: Histogram = field(default_factory=Histogram)
    queue_seconds: Histogram = field(default_factory=Histogram)
    batch_rows: Histogram = field(default_factory=lambda: Histogram(ROWS))
    units_asked: float = 0.0
    units_padded: float = 0.0

    def __post_init__(self) -> None:
        self.rows_limit = self.rows_max
        self.cost = StageCost(self.seconds_per_char)

    def units(self, request: SynthesisRequest) -> float:
        """The size of a work's next step, in characters: of its text, or as many as cost what its job says it costs."""
        cost = 0.0 if request.job is None else request.job.cost
        return (
            cost / self.seconds_per_char
            if cost > 0.0 and self.seconds_per_char > 0.0
            else float(len(request.clause.text))
        )

    def count(self, batch: Batch, seconds: float) -> None:
        """Count a step."""
        rows, sizes = len(batch.requests), [request.units for request in batch.requests]
        self.units_asked += sum(sizes)
        self.units_padded += rows * max(sizes)
        self.steps += 1
        self.busy_seconds += seconds
        self.predicted_seconds += batch.predicted_seconds
        self.batch_sizes[rows] += 1
        self.batch_rows.add(rows)
        self.step_seconds.add(seconds)
        self.use.add(rows, batch.units, seconds)
        if self.rows_limit < self.rows_max and self.steps % ROWS_BETWEEN_GROWTH == 0:
            self.rows_limit += 1


class DeadlineMissRate:
    """The share of clauses that came after their listener ran dry, lately."""

    __slots__ = ("_at", "_judged", "_late", "total")

    def __init__(self) -> None:
        self._late = self._judged = self._at = 0.0
        self.total = 0

    def judge(self, late: bool, now: float) -> None:
        """Count a clause."""
        self._decay(now)
        self._judged += 1.0
        self._late += late
        self.total += late

    def share(self, now: float) -> float:
        """Late clauses in all clauses of the last seconds; 0 where they are too few to say."""
        self._decay(now)
        return self._late / self._judged if self._judged >= LATE_WEIGHT_MIN else 0.0

    def seconds_to_forget(self, now: float) -> float:
        """How long it takes at most until the share is 0 again, if no more clauses are judged."""
        self._decay(now)
        return LATE_HALF_LIFE_SECONDS * log2(max(1.0, self._judged / LATE_WEIGHT_MIN))

    def _decay(self, now: float) -> None:
        keep = 0.5 ** (max(0.0, now - self._at) / LATE_HALF_LIFE_SECONDS)
        self._judged *= keep
        self._late *= keep
        self._at = max(now, self._at)


@dataclass(slots=True, eq=False)
class Group:
    """Works that may share a step: one engine, stage and bucket."""

    engine: EngineState
    stage: StageState
    bucket: int
    interactive: AccountQueues = field(default_factory=AccountQueues)
    bulk: AccountQueues = field(default_factory=AccountQueues)

    @property
    def open(self) -> bool:
        """Whether its engine may start another step now."""
        return self.stage.name == PREPARE or self.engine.stepping < self.engine.concurrency

    def queue(self, bulk: bool) -> AccountQueues:
        """The queue of one class."""
        return self.bulk if bulk else self.interactive

    def __len__(self) -> int:
        return len(self.interactive) + len(self.bulk)


USE_HALF_LIFE_SECONDS = 5.0
"""After so long, what an engine took of an executor counts half: several of the longest steps."""


@dataclass(slots=True, eq=False)
class ExecutorState:
    """Where steps run: so many workers, so many of them busy.

    `queued` counts each account's works that wait for a step here, listeners' and bulk; `account_use` has what the
    accounts used of its workers, for the one and the other. `due` is what admission made out last of what is due, by
    account, and until when that holds.
    """

    name: str
    workers: int
    running: dict[int, Batch] = field(default_factory=dict)
    groups: dict[tuple[str, str, int], Group] = field(default_factory=dict)
    since_bulk: int = 0
    queued: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))
    account_use: tuple[AccountUse, AccountUse] = field(default_factory=lambda: (AccountUse(), AccountUse()))
    due: tuple[float, dict[str, float]] = field(default_factory=lambda: (-inf, {}))
    _uses: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def bulk_waits(self) -> bool:
        """Whether there is any bulk work."""
        return any(group.bulk for group in self.groups.values())

    def use(self, engine: EngineState, seconds: float, now: float) -> None:
        """Count a step of an engine."""
        self._uses[engine.info.name] = self._used(engine, now) + seconds, now

    def use_by_stream(self, engine: EngineState, now: float) -> float:
        """The seconds that an engine took of this executor lately, by each of its listeners."""
        return self._used(engine, now) / max(1, len(engine.streams))

    def _used(self, engine: EngineState, now: float) -> float:
        seconds, at = self._uses.get(engine.info.name, (0.0, now))
        keep: float = 0.5 ** (max(0.0, now - at) / USE_HALF_LIFE_SECONDS)
        return seconds * keep

    def group(self, engine: EngineState, stage: str, bucket: int) -> Group:
        """The group of a stage and bucket, made where it is new."""
        key = (engine.info.name, stage, bucket)
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) > 64:
                self.groups = {k: g for k, g in self.groups.items() if len(g)}
            queues = (AccountQueues(counts) for counts in self.queued)
            group = self.groups[key] = Group(engine, engine.stages[stage], bucket, *queues)
        return group

    def charge(self, batch: Batch, seconds: float, now: float) -> None:
        """Count so many seconds of a worker as used by the accounts that share a batch, each by its works' sizes."""
        requests, units = batch.requests, sum(request.units for request in batch.requests)
        shares: dict[tuple[bool, str], float] = {}
        for request in requests:
            share = request.units / units if units > 0.0 else 1.0 / len(requests)
            key = request.bulk, request.account
            shares[key] = shares.get(key, 0.0) + share
        for (bulk, account), share in shares.items():
            self.account_use[bulk].add(account, share * seconds, now)


class EngineState:
    """One engine: its stages, its slots, its listeners, what it was seen to cost.

    `streams` have each the seconds of audio they are still owed to build up their lead; `owed_seconds` is their sum.
    `pending_admissions` were let in and have not joined yet; `pending_retries` were refused; for those in
    `reservations` a place is kept. `stepping` counts its steps under way,
    `holders` its works past `prepare` (each has a slot), `held` the same by account. `blocked`: it said that no slot is
    free, and none of its works has ended since. `problem`: why it takes no works at all; empty while it does.
    """

    def __init__(self, info: EngineInfo, cpu: ExecutorState, own: ExecutorState) -> None:
        self.info = info
        self.executor = own
        self.concurrency = max(1, info.concurrency)
        self.stepping = 0
        self.holders = 0
        self.held: dict[str, int] = {}
        self.blocked = False
        self.problem = ""
        self.waiting = AccountQueues()
        self.waiting_bulk = AccountQueues()
        self.stages = {PREPARE: StageState(PREPARE, cpu, 1, PREPARE_SECONDS_PER_CHAR)}
        a_char = info.realtime_factor / info.chars_per_second / max(1, len(info.stages))
        for stage in info.stages:
            self.stages[stage.name] = StageState(stage.name, own, stage.batch_size_max, a_char, stage.joins_buckets)
        self.realtime = RealtimeCost(info.realtime_factor, {name: stage.use for name, stage in self.stages.items()})
        self.streams: dict[Hashable, float] = {}
        self.account_streams: dict[str, int] = {}
        self.owed_seconds = 0.0
        self.session_time = MeanSessionTime()
        self.pending_admissions = PendingAdmissions()
        self.pending_retries = PendingRetries()
        self.reservations = Reservations()
        self.audio_seconds = 0.0
        self.miss_rate = DeadlineMissRate()
        self.account_miss_rate: dict[str, DeadlineMissRate] = {}

    def join(self, context_key: Hashable, owed_seconds: float, now: float, account: str = "") -> None:
        """Count a listener that was not counted before."""
        self.session_time.pass_time(len(self.streams), now)
        self.pending_admissions.came(account)
        self.account_streams[account] = self.account_streams.get(account, 0) + 1
        self.streams[context_key] = owed_seconds
        self.owed_seconds += owed_seconds

    def leave(self, context_key: Hashable, now: float, account: str = "") -> None:
        """Stop counting a listener."""
        self.session_time.pass_time(len(self.streams), now)
        self.session_time.leave()
        self.account_streams[account] -= 1
        if not self.account_streams[account]:
            del self.account_streams[account]
        self.owed_seconds -= self.streams.pop(context_key, 0.0)

    def judge(self, account: str, late: bool, now: float) -> None:
        """Count a clause that came in time or late, in all and for its account."""
        self.miss_rate.judge(late, now)
        own = self.account_miss_rate.get(account)
        if own is None:
            if len(self.account_miss_rate) > ACCOUNTS_JUDGED_MAX:
                self.account_miss_rate = {a: e for a, e in self.account_miss_rate.items() if e.share(now) > 0.0}
            own = self.account_miss_rate[account] = DeadlineMissRate()
        own.judge(late, now)

    def demand(self, account: str, now: float) -> int:
        """How many of an account listen or are about to."""
        return self.account_streams.get(account, 0) + self.pending_admissions.count_of(account, now)

    def feed(self, context_key: Hashable, audio_seconds: float) -> None:
        """A listener got audio; whoever is none is passed over."""
        owed = self.streams.get(context_key)
        if owed:
            paid = min(owed, audio_seconds)
            self.streams[context_key] = owed - paid
            self.owed_seconds -= paid

    def hold(self, account: str) -> None:
        """A work of an account enters: it holds a slot from now on."""
        self.holders += 1
        self.held[account] = self.held.get(account, 0) + 1

    def release(self, account: str) -> None:
        """A work of an account gives its slot back."""
        self.holders -= 1
        count = self.held[account] - 1
        if count:
            self.held[account] = count
        else:
            del self.held[account]

    def waiting_queue(self, bulk: bool) -> AccountQueues:
        """The prepared works of one class that have no slot yet."""
        return self.waiting_bulk if bulk else self.waiting

    def executors(self) -> tuple[ExecutorState, ...]:
        """The executors it needs: the one that prepares and, if it is another, its own."""
        cpu = self.stages[PREPARE].executor
        return (cpu,) if cpu is self.executor else (cpu, self.executor)

    def busy(self, now: float) -> bool:
        """Whether anybody listens, or is about to."""
        return bool(self.streams) or self.coming(now) > 0

    def coming(self, now: float) -> int:
        """How many were let in and do not listen yet, and of those whose place is kept one: of a crowd somebody else
        has left before they are back, but where a handful is fed a place given away is missed."""
        return self.pending_admissions.count(now) + min(self.reservations.count(now), 1)

    def workers(self, executor: ExecutorState) -> int:
        """How many workers of an executor it may use at once."""
        return min(self.concurrency, executor.workers) if executor is self.executor else executor.workers

    def shares_executor(self, other: EngineState) -> bool:
        """Whether the steps of both run on one executor."""
        return self.executor is other.executor

    def next_entrant(self) -> SynthesisRequest | None:
        """The work that gets the next slot; None where no slot is free or no work waits.

        A quarter of the slots is kept from bulk work, which holds a slot as long as a listener's does.
        """
        slots = self.info.slots
        if self.blocked or (slots and self.holders >= slots):
            return None
        if self.waiting:
            return self._first_entrant(self.waiting)
        if self.waiting_bulk and (not slots or self.holders < slots - slots // 4):
            return self._first_entrant(self.waiting_bulk)
        return None

    def _first_entrant(self, queue: AccountQueues) -> SynthesisRequest | None:
        """The most urgent work; where several accounts wait, of those that hold less than their share of the slots."""
        head = queue.head()
        slots = self.info.slots
        if head is None or not slots or len(queue.accounts) < 2:
            return head
        share = slots / len(queue.accounts | self.held.keys())
        if self.held.get(head.account, 0) < share:
            return head
        below = [each for each in queue.heads_until(inf, len(queue.accounts)) if self.held.get(each[1], 0) < share]
        return queue.head(min(below)[1]) if below else head

    def executor_factor(self, executor: ExecutorState, streams: int) -> float:
        """Seconds of one worker of `executor` that a second of audio takes, with so many listening."""
        factor = self.realtime.prior if executor is self.executor else 0.0
        for name, stage in self.stages.items():
            if stage.executor is executor:
                rows = min(stage.rows_limit, streams / STREAMS_PER_ROW[self.info.unit])
                factor += self.realtime.stage_factor(name, stage.cost, rows)
        return factor
