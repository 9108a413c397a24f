"""The scheduler's state: executors with their groups of requests that may share a step, stages, engines and what was
learned of their cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf, log2
from typing import TYPE_CHECKING

from voxwire_server.scheduling.cost import RealtimeCost, StageCost, StageUse
from voxwire_server.scheduling.demand import MeanSessionTime, PendingAdmissions, PendingRetries, Reservations
from voxwire_server.scheduling.queue import USE_HALF_LIFE_SECONDS, AccountQueues, AccountUse
from voxwire_server.scheduling.request import PREPARE
from voxwire_server.scheduling.stats import ROWS, EngineStats, Histogram, StageStats

if TYPE_CHECKING:
    from collections.abc import Hashable

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.request import Batch, SynthesisRequest

CPU = "cpu"
"""The executor that prepares for every engine and steps the engines that run on a CPU."""

PREPARE_SECONDS_PER_CHAR = 20e-6
"""First guess of the cost of text processing: an English G2P took 110-220 us per second of speech, 15 characters."""

LATE_HALF_LIFE_SECONDS = 2.0
"""After this time, a late clause counts half in the decision to refuse."""

LATE_WEIGHT_MIN = 20.0
"""The share of late clauses counts as 0 while fewer clauses than this were delivered lately."""

ACCOUNTS_JUDGED_MAX = 256
"""Above this number of accounts, those that had few clauses lately are forgotten."""

STREAMS_PER_ROW = {"clause": 4.0, "codec_frame": 1.5}
"""Active streams per request that waits in one bucket while a device is full, by `EngineInfo.unit`; admission estimates
batch sizes with it."""

ROWS_BETWEEN_GROWTH = 256
"""After this many steps that fitted into memory, a batch size that was reduced may grow by one."""

GROUPS_KEPT = 64
"""An executor with more groups than this drops the empty ones."""


@dataclass(slots=True, eq=False)
class StageState:
    """One stage of one engine: its executor, its batch size, what its steps cost.

    `rows_max` is the largest batch, in requests; `rows_limit` is the same, or less after a step that did not fit into
    memory.
    """

    engine: str
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
    units_total: float = 0.0
    padded_units: float = 0.0

    def __post_init__(self) -> None:
        self.rows_limit = self.rows_max
        self.cost = StageCost(self.seconds_per_char)

    def units(self, request: SynthesisRequest) -> float:
        """The size of a request's next step, in characters: of its text, or as many as cost what its job says."""
        cost = 0.0 if request.job is None else request.job.cost
        return (
            cost / self.seconds_per_char
            if cost > 0.0 and self.seconds_per_char > 0.0
            else float(len(request.clause.text))
        )

    def count_step(self, batch: Batch, seconds: float) -> None:
        """Count a step."""
        rows, sizes = len(batch.requests), [request.units for request in batch.requests]
        self.units_total += sum(sizes)
        self.padded_units += rows * max(sizes)
        self.steps += 1
        self.busy_seconds += seconds
        self.predicted_seconds += batch.predicted_seconds
        self.batch_sizes[rows] += 1
        self.batch_rows.add(rows)
        self.step_seconds.add(seconds)
        self.use.add(rows, batch.units, seconds)
        if self.rows_limit < self.rows_max and self.steps % ROWS_BETWEEN_GROWTH == 0:
            self.rows_limit += 1

    def stats(self) -> StageStats:
        """Its statistics at this moment."""
        groups = [group for group in self.executor.groups.values() if group.stage is self]
        return StageStats(
            engine=self.engine,
            stage=self.name,
            executor=self.executor.name,
            queued=sum(len(group.interactive) for group in groups),
            queued_bulk=sum(len(group.bulk) for group in groups),
            steps=self.steps,
            rows=sum(size * count for size, count in self.batch_sizes.items()),
            batch_sizes=dict(self.batch_sizes),
            units=self.units_total,
            padded_units=self.padded_units,
            busy_seconds=self.busy_seconds,
            predicted_seconds=self.predicted_seconds,
            step_seconds=self.step_seconds.read(),
            queue_seconds=self.queue_seconds.read(),
            batch_rows=self.batch_rows.read(),
            prediction_error=self.cost.error,
            prediction_bias=self.cost.bias,
        )


class DeadlineMissRate:
    """The share of clauses whose audio came after their deadline, in the last seconds; `total` counts all of them."""

    __slots__ = ("_at", "_clauses", "_late", "total")

    def __init__(self) -> None:
        self._late = self._clauses = self._at = 0.0
        self.total = 0

    def add(self, late: bool, now: float) -> None:
        """Count a clause."""
        self._decay(now)
        self._clauses += 1.0
        self._late += late
        self.total += late

    def share(self, now: float) -> float:
        """Late clauses divided by all clauses of the last seconds; 0 where there were too few."""
        self._decay(now)
        return self._late / self._clauses if self._clauses >= LATE_WEIGHT_MIN else 0.0

    def seconds_to_forget(self, now: float) -> float:
        """Seconds until the share is 0 again at the latest, if no more clauses are counted."""
        self._decay(now)
        return LATE_HALF_LIFE_SECONDS * log2(max(1.0, self._clauses / LATE_WEIGHT_MIN))

    def _decay(self, now: float) -> None:
        keep = 0.5 ** (max(0.0, now - self._at) / LATE_HALF_LIFE_SECONDS)
        self._clauses *= keep
        self._late *= keep
        self._at = max(now, self._at)


@dataclass(slots=True, eq=False)
class BatchGroup:
    """Requests that may share a step: those of one engine, stage and bucket, interactive and bulk."""

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
        """The queue of bulk requests, or of interactive ones."""
        return self.bulk if bulk else self.interactive

    def __len__(self) -> int:
        return len(self.interactive) + len(self.bulk)


@dataclass(slots=True, eq=False)
class ExecutorState:
    """A named pool of workers, the steps that they run now and the requests that wait for one.

    `queued` counts each account's waiting requests, interactive and bulk; `account_use` has the worker seconds that the
    accounts used, likewise. `steps_since_bulk`: steps since bulk requests wait or had their last step. `due_estimate`
    is admission's last estimate of what is due, by account, and until when it holds.
    """

    name: str
    workers: int
    running: dict[int, Batch] = field(default_factory=dict)
    groups: dict[tuple[str, str, int], BatchGroup] = field(default_factory=dict)
    steps_since_bulk: int = 0
    queued: tuple[dict[str, int], dict[str, int]] = field(default_factory=lambda: ({}, {}))
    account_use: tuple[AccountUse, AccountUse] = field(default_factory=lambda: (AccountUse(), AccountUse()))
    due_estimate: tuple[float, dict[str, float]] = field(default_factory=lambda: (-inf, {}))
    _engine_use: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def bulk_waits(self) -> bool:
        """Whether bulk requests wait for a step."""
        return any(group.bulk for group in self.groups.values())

    def count_use(self, engine: EngineState, seconds: float, now: float) -> None:
        """Count a step of an engine."""
        self._engine_use[engine.info.name] = self._recent_use(engine, now) + seconds, now

    def use_per_stream(self, engine: EngineState, now: float) -> float:
        """Worker seconds that an engine used here lately, divided by its active streams."""
        return self._recent_use(engine, now) / max(1, len(engine.streams))

    def _recent_use(self, engine: EngineState, now: float) -> float:
        seconds, at = self._engine_use.get(engine.info.name, (0.0, now))
        keep: float = 0.5 ** (max(0.0, now - at) / USE_HALF_LIFE_SECONDS)
        return seconds * keep

    def group(self, engine: EngineState, stage: str, bucket: int) -> BatchGroup:
        """The group of a stage and bucket; a new one where there is none."""
        key = (engine.info.name, stage, bucket)
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) > GROUPS_KEPT:
                self.groups = {k: g for k, g in self.groups.items() if len(g)}
            queues = (AccountQueues(counts) for counts in self.queued)
            group = self.groups[key] = BatchGroup(engine, engine.stages[stage], bucket, *queues)
        return group

    def charge_accounts(self, batch: Batch, seconds: float, now: float) -> None:
        """Count worker seconds as used by the accounts that share a batch, in proportion to their requests' sizes."""
        requests, units = batch.requests, sum(request.units for request in batch.requests)
        shares: dict[tuple[bool, str], float] = {}
        for request in requests:
            share = request.units / units if units > 0.0 else 1.0 / len(requests)
            key = request.bulk, request.account
            shares[key] = shares.get(key, 0.0) + share
        for (bulk, account), share in shares.items():
            self.account_use[bulk].add(account, share * seconds, now)


class EngineState:
    """One engine: its stages, its slots, its active streams and their learned cost.

    `streams` has for each context key the seconds of audio that are still to be made to build up its lead;
    `lead_owed_seconds` is their sum. `pending_admissions`: streams that were admitted and have not started;
    `pending_retries`: streams that were refused and whose clients will ask again; `reservations`: capacity kept for
    interrupted ones. `stepping`: its running steps. `slots_held`: its requests past `prepare` (each holds a slot),
    `slots_by_account` the same by account; `waiting`, `waiting_bulk`: prepared requests without one. `blocked`: it
    answered that no slot is free, and none of its requests has ended since. `problem`: why it takes no requests at all;
    empty while it does.
    """

    def __init__(self, info: EngineInfo, cpu: ExecutorState, own: ExecutorState) -> None:
        self.info = info
        self.executor = own
        self.concurrency = max(1, info.concurrency)
        self.stepping = 0
        self.slots_held = 0
        self.slots_by_account: dict[str, int] = {}
        self.blocked = False
        self.problem = ""
        self.waiting = AccountQueues()
        self.waiting_bulk = AccountQueues()
        self.stages = {PREPARE: StageState(info.name, PREPARE, cpu, 1, PREPARE_SECONDS_PER_CHAR)}
        per_char = info.realtime_factor / info.chars_per_second / max(1, len(info.stages))
        for stage in info.stages:
            state = StageState(info.name, stage.name, own, stage.batch_size_max, per_char, stage.joins_buckets)
            self.stages[stage.name] = state
        self.realtime = RealtimeCost(info.realtime_factor, {name: stage.use for name, stage in self.stages.items()})
        self.streams: dict[Hashable, float] = {}
        self.account_streams: dict[str, int] = {}
        self.lead_owed_seconds = 0.0
        self.session_time = MeanSessionTime()
        self.pending_admissions = PendingAdmissions()
        self.pending_retries = PendingRetries()
        self.reservations = Reservations()
        self.audio_seconds = 0.0
        self.miss_rate = DeadlineMissRate()
        self.account_miss_rate: dict[str, DeadlineMissRate] = {}

    # -- streams ----------------------------------------------------------------------------------------------------

    def add_stream(self, context_key: Hashable, lead_seconds: float, now: float, account: str = "") -> None:
        """Count a stream that was not active before; `lead_seconds`: audio to be made beyond real time at its start."""
        self.session_time.pass_time(len(self.streams), now)
        self.pending_admissions.started(account)
        self.account_streams[account] = self.account_streams.get(account, 0) + 1
        self.streams[context_key] = lead_seconds
        self.lead_owed_seconds += lead_seconds

    def remove_stream(self, context_key: Hashable, now: float, account: str = "") -> None:
        """Count a stream as active no more."""
        self.session_time.pass_time(len(self.streams), now)
        self.session_time.end_one()
        self.account_streams[account] -= 1
        if not self.account_streams[account]:
            del self.account_streams[account]
        self.lead_owed_seconds -= self.streams.pop(context_key, 0.0)

    def count_lead(self, context_key: Hashable, audio_seconds: float) -> None:
        """Count audio that was made towards a stream's lead; does nothing for a context that is no active stream."""
        owed = self.streams.get(context_key)
        if owed:
            paid = min(owed, audio_seconds)
            self.streams[context_key] = owed - paid
            self.lead_owed_seconds -= paid

    def count_deadline(self, account: str, late: bool, now: float) -> None:
        """Count a clause that met or missed its deadline, in all and for its account."""
        self.miss_rate.add(late, now)
        own = self.account_miss_rate.get(account)
        if own is None:
            if len(self.account_miss_rate) > ACCOUNTS_JUDGED_MAX:
                self.account_miss_rate = {a: e for a, e in self.account_miss_rate.items() if e.share(now) > 0.0}
            own = self.account_miss_rate[account] = DeadlineMissRate()
        own.add(late, now)

    def demand(self, account: str, now: float) -> int:
        """How many streams of an account are active or admitted."""
        return self.account_streams.get(account, 0) + self.pending_admissions.count_of(account, now)

    def in_use(self, now: float) -> bool:
        """Whether it has active streams, or any that will start soon."""
        return bool(self.streams) or self.pending_streams(now) > 0

    def pending_streams(self, now: float) -> int:
        """How many streams will start soon: those admitted and not started, and one more if any reservation is valid.

        Several reservations count as one: with many streams, another one ends before the interrupted sessions start
        again; with few, no other may end in time, so that one has to be kept.
        """
        return self.pending_admissions.count(now) + min(self.reservations.count(now), 1)

    # -- slots ------------------------------------------------------------------------------------------------------

    def take_slot(self, account: str) -> None:
        """Count a request of an account that holds a slot from now on."""
        self.slots_held += 1
        self.slots_by_account[account] = self.slots_by_account.get(account, 0) + 1

    def release_slot(self, account: str) -> None:
        """Count a slot of an account as free again."""
        self.slots_held -= 1
        count = self.slots_by_account[account] - 1
        if count:
            self.slots_by_account[account] = count
        else:
            del self.slots_by_account[account]

    def waiting_queue(self, bulk: bool) -> AccountQueues:
        """The prepared requests without a slot, bulk or interactive."""
        return self.waiting_bulk if bulk else self.waiting

    def next_for_slot(self) -> SynthesisRequest | None:
        """The request that gets the next slot; None where no slot is free or no request waits.

        Bulk requests may hold three quarters of the slots, since they hold one as long as interactive ones do.
        """
        slots = self.info.slots
        if self.blocked or (slots and self.slots_held >= slots):
            return None
        if self.waiting:
            return self._first_for_slot(self.waiting)
        if self.waiting_bulk and (not slots or self.slots_held < slots - slots // 4):
            return self._first_for_slot(self.waiting_bulk)
        return None

    def _first_for_slot(self, queue: AccountQueues) -> SynthesisRequest | None:
        """The most urgent request; where several accounts wait, of the accounts below their share of the slots."""
        head = queue.head()
        slots = self.info.slots
        if head is None or not slots or len(queue.accounts) < 2:
            return head
        share = slots / len(queue.accounts | self.slots_by_account.keys())
        if self.slots_by_account.get(head.account, 0) < share:
            return head
        heads = queue.heads_until(inf, len(queue.accounts))
        below = [each for each in heads if self.slots_by_account.get(each[1], 0) < share]
        return queue.head(min(below)[1]) if below else head

    # -- executors --------------------------------------------------------------------------------------------------

    def executors(self) -> tuple[ExecutorState, ...]:
        """The executors it needs: the one that prepares and, if it is another, its own."""
        cpu = self.stages[PREPARE].executor
        return (cpu,) if cpu is self.executor else (cpu, self.executor)

    def workers(self, executor: ExecutorState) -> int:
        """How many workers of an executor it may use at once."""
        return min(self.concurrency, executor.workers) if executor is self.executor else executor.workers

    def shares_executor(self, other: EngineState) -> bool:
        """Whether the steps of both run on one executor."""
        return self.executor is other.executor

    def executor_factor(self, executor: ExecutorState, streams: int) -> float:
        """Worker seconds of `executor` per second of audio, with this many active streams."""
        factor = self.realtime.prior if executor is self.executor else 0.0
        for name, stage in self.stages.items():
            if stage.executor is executor:
                rows = min(stage.rows_limit, streams / STREAMS_PER_ROW[self.info.unit])
                factor += self.realtime.stage_factor(name, stage.cost, rows)
        return factor

    def stats(self, now: float) -> EngineStats:
        """Its statistics at this moment."""
        return EngineStats(
            engine=self.info.name,
            streams=len(self.streams),
            slots_held=self.slots_held,
            slots=self.info.slots,
            waiting=len(self.waiting) + len(self.waiting_bulk),
            realtime_factor=self.realtime.realtime_factor,
            audio_seconds=self.audio_seconds,
            late=self.miss_rate.total,
            late_share=self.miss_rate.share(now),
        )
