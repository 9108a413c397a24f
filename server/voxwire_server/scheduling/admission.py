"""Decides whether one more stream can be served without starving the active ones, and when to try again if not.

The cost of a second of audio on each executor is learned (`RealtimeCost`), so the load of an executor is known before
it is full: a stream takes a second of audio per second, and more while it builds up its lead. Two measured guards stand
beside this model: how long a first clause would wait now, and the share of clauses that were late in the last seconds.

The time to try again comes from the model, too. Where only leads are being built up, that takes the time that the
executor has left beside its active streams. Where there are too many streams, some have to end first: their mean
duration is learned (`MeanSessionTime`). Streams that were refused earlier and whose retry is pending (`PendingRetries`)
go first, so a crowd comes back one by one as capacity becomes free, and not all at once.

Engines that share an executor share its time: active streams, admitted ones and pending retries of one engine count
against the others, and while clauses of one are late, no stream is admitted to any of them.

Where several accounts may send requests (`Policy.accounts`), an account that has its share already, or is the only one,
is admitted up to `account_share` of the capacity; the rest is kept for accounts below their share. A share is the
capacity divided by the number of accounts that have active or admitted streams, at least by two. Pending retries,
waiting first clauses and late clauses count by account: an account waits behind its own and as many of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from voxwire_server.scheduling.request import PREPARE

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.queue import AccountQueues
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.scheduling.state import EngineState, ExecutorState

SOON_SECONDS = 5.0
"""A retry that is due within this time counts as a stream when a load balancer asks whether the server is full."""

AddedStreams = Mapping["EngineState", int]
"""How many streams are added to each engine, beside its active ones."""

RETRY_MS_MIN, RETRY_MS_MAX = 250, 60_000

START_SHARE_MAX = 0.05
"""A stream's start counts as at most this share of an executor. An engine that can't build up a lead that fast does it
in the time that its other streams leave, which have a longer lead there; otherwise no stream could ever join the first
one. With Kokoro on two cores in simulation, with streams that speak half of the time, 0.66 of the capacity is admitted
with this bound, 0.27 without."""

NEW_ACCOUNT = "(an account without streams)"

DUE_SAMPLE_MAX = 256
"""At most this many of the requests that wait on an executor are looked at to estimate what all take."""

DUE_KEPT_SECONDS = 50e-6
"""Where more wait, the estimate is kept for this time per request: for 160 ms where 3,200 wait."""


class RefusalReason(StrEnum):
    """Why an engine takes no more streams. `STARTING`: only until the streams that just started have their lead."""

    UTILISATION = "utilisation"
    QUEUE = "queue"
    LATENESS = "lateness"
    STARTING = "starting"
    BULK_BACKLOG = "bulk_backlog"
    BULK_YIELDS = "bulk_yields"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An engine takes no more streams for now; the client is to try again after `retry_after_ms`."""

    retry_after_ms: int
    reason: RefusalReason


def refuse_stream(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str = ""
) -> Refusal | None:
    """Why one more interactive stream of an account is refused, or None."""
    alone = not any(other.in_use(now) for other in engines if engine.shares_executor(other))
    # A running step whose requests were all cancelled counts only beside other streams: without any, the stream that is
    # to be admitted is most likely that of the session that interrupted the step.
    by_account = account if policy.accounts > 1 else None
    wait = max(
        first_clause_wait(executor, engines, policy, now, by_account, abandoned=not alone)
        for executor in engine.executors()
    )
    if wait > policy.queue_seconds_max:
        return Refusal(_retry_ms(wait - policy.queue_seconds_max), RefusalReason.QUEUE)
    if alone:
        return None  # even the slowest engine may serve one stream
    added = _pending_streams(engines, now)
    added[engine] += 1
    if policy.accounts > 1:
        for other, count in _pending_beyond_share(engine, engines, policy, now, account).items():
            added[other] = max(added[other] - count, int(other is engine))
    return _refuse_by_load(engine, engines, added, policy, now, account)


def _pending_beyond_share(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str
) -> dict[EngineState, int]:
    """How many admitted streams of each engine, not started yet, are not counted when one of `account` is admitted.

    They are the streams of other accounts beyond those accounts' shares. Contexts that are started and get no text cost
    an account nothing; if they counted, they would restrict all others to the part kept for accounts below their share.
    """
    executor = engine.executor
    sharing = [other for other in engines if executor in other.executors()]
    shares = AccountShares(executor, sharing, policy, account, now)
    if shares.load(account) + _load_of_one(engine, executor) > shares.share:
        return {}
    found = {}
    for other in sharing:
        most = int(shares.share / max(_load_of_one(other, executor), 1e-9))
        found[other] = 0
        for each in list(other.pending_admissions.accounts):
            if each != account:
                within = max(0, most - other.account_streams.get(str(each), 0))
                found[other] += max(0, other.pending_admissions.count_of(each, now) - within)
    return found


def reservation_fits(engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float) -> bool:
    """Whether a session with a reservation is admitted: always with one account, with several only while the executors
    have the capacity."""
    if policy.accounts == 1:
        return True
    added = _pending_streams(engines, now)
    added[engine] += 1
    return all(
        executor_load(executor, engines, policy, added) <= policy.utilisation_max for executor in engine.executors()
    )


def _refuse_by_load(
    engine: EngineState,
    engines: Collection[EngineState],
    added: AddedStreams,
    policy: Policy,
    now: float,
    account: str,
) -> Refusal | None:
    """Why the added streams, one of them of `engine`, would take too much of an executor's time, or None."""
    executor = max(engine.executors(), key=lambda executor: executor_load(executor, engines, policy, added))
    load = executor_load(executor, engines, policy, added)
    sharing = [other for other in engines if executor in other.executors()]
    one = _load_of_one(engine, executor)
    shares = AccountShares(executor, sharing, policy, account, now)
    load_max = shares.load_max(account, one)
    late = load > load_max / 3 and shares.late_share(account) > policy.late_share_max
    if load <= load_max and not late:
        return None
    # `settled`: the load once all active streams have their lead and only the added ones build up theirs.
    window = _start_window_seconds(policy, one)
    start = added[engine] * policy.start_seconds / window * one
    settled = executor_load(executor, engines, policy, added, starting=False) + start
    ahead = sum(_retries_ahead(other, policy, account, now) * _load_of_one(other, executor) for other in sharing)
    if load > load_max and settled <= load_max:
        spare = 1.0 - executor_load(executor, engines, policy, starting=False)
        seconds = (load - load_max) * window / max(spare, 0.1)
        seconds = max(seconds, _seconds_to_free(ahead, executor, engines, engine, now))
        return Refusal(_retry_ms(seconds), RefusalReason.STARTING)
    seconds = _seconds_to_free(max(settled - load_max, one) + ahead, executor, engines, engine, now)
    if late:
        forgotten = max(other.miss_rate.seconds_to_forget(now) for other in sharing)
        return Refusal(_retry_ms(max(seconds, forgotten)), RefusalReason.LATENESS)
    return Refusal(_retry_ms(seconds), RefusalReason.UTILISATION)


def _retries_ahead(engine: EngineState, policy: Policy, account: str, now: float) -> int:
    """How many pending retries of an engine go before an account's next one."""
    return engine.pending_retries.ahead(now) if policy.accounts == 1 else engine.pending_retries.ahead_of(account, now)


class AccountShares:
    """What each account takes of an executor's time, and may take, at one moment."""

    def __init__(
        self, executor: ExecutorState, sharing: Collection[EngineState], policy: Policy, account: str, now: float
    ) -> None:
        """`sharing`: the engines that need the executor. `account` counts even if it has no stream yet.

        `share` is the part of the executor's time that each account gets while all of them want theirs.
        """
        self._executor, self._sharing, self._policy, self._now = executor, sharing, policy, now
        accounts: set[Hashable] = {account}
        if policy.accounts > 1:
            for engine in sharing:
                accounts.update(engine.account_streams, engine.pending_admissions.accounts)
        self.share = policy.utilisation_max / max(2, len(accounts))

    def load(self, account: str) -> float:
        """The share of the executor's time that an account's active and admitted streams take."""
        demands = ((engine.demand(account, self._now), engine) for engine in self._sharing)
        return sum(count * _load_of_one(engine, self._executor) for count, engine in demands if count)

    def load_max(self, account: str, one: float) -> float:
        """The load of the executor up to which one more stream of `account`, which takes `one` of it, is admitted."""
        load_max = self._policy.utilisation_max
        if self._policy.accounts == 1 or self.load(account) + one <= self.share:
            return load_max
        return load_max * self._policy.account_share

    def late_share(self, account: str) -> float:
        """The greatest share of late clauses, of `account` or of any that is within its share. Late clauses of an
        account beyond its share are no reason to refuse other accounts."""
        found = max(engine.miss_rate.share(self._now) for engine in self._sharing)
        if self._policy.accounts == 1 or found <= self._policy.late_share_max:
            return found
        return max(
            (
                miss_rate.share(self._now)
                for engine in self._sharing
                for other, miss_rate in engine.account_miss_rate.items()
                if other == account or self.load(other) <= self.share
            ),
            default=0.0,
        )


def _start_window_seconds(policy: Policy, one: float) -> float:
    """The time in which a stream that takes the share `one` of an executor builds up its lead."""
    if one * (1.0 + policy.start_seconds / policy.start_window_seconds) <= policy.utilisation_max:
        return policy.start_window_seconds
    return max(policy.start_window_seconds, policy.start_seconds * one / START_SHARE_MAX)


def _pending_streams(engines: Collection[EngineState], now: float) -> dict[EngineState, int]:
    """The streams of each engine that will start soon."""
    return {engine: engine.pending_streams(now) for engine in engines}


def _load_of_one(engine: EngineState, executor: ExecutorState) -> float:
    """The share of an executor's time that one more stream of an engine takes, without its lead."""
    return engine.executor_factor(executor, len(engine.streams) + 1) / engine.workers(executor)


def refuse_on_all(
    engines: Collection[EngineState], policy: Policy, now: float, account: str = ""
) -> tuple[EngineState, Refusal] | None:
    """If every engine refuses one more stream of an account, the refusal with the earliest retry and its engine; else
    None.

    A refusal because streams are just starting counts only if retries are pending, which would go first.
    """
    refusals = []
    for engine in engines:
        if engine.problem:
            continue
        refusal = refuse_stream(engine, engines, policy, now, account)
        retries = _has_pending_retries(engine, engines, policy, now, account)
        if refusal is None or (refusal.reason is RefusalReason.STARTING and not retries):
            return None
        refusals.append((engine, refusal))
    return min(refusals, key=lambda pair: pair[1].retry_after_ms, default=None)


def server_full(engines: Collection[EngineState], policy: Policy, now: float) -> Refusal | None:
    """Why no engine can serve one more stream beside all retries that are due soon, and when one can; None if one can.

    A refusal because streams are just starting, which is over in a moment, counts only if retries are due soon.
    """
    refusals = []
    for engine in engines:
        if engine.problem:
            continue
        refusal = refuse_stream(engine, engines, policy, now, NEW_ACCOUNT)
        if refusal is None or refusal.reason is RefusalReason.STARTING:
            refusal = _refuse_by_retries(engine, engines, policy, now)
        if refusal is None:
            return None
        refusals.append(refusal)
    return min(refusals, key=lambda refusal: refusal.retry_after_ms, default=None)


def _refuse_by_retries(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float
) -> Refusal | None:
    """Why there is no capacity for one more stream beside the retries that are due soon, or None."""
    # Accounts take turns: a stream of a new account waits for one retry of each other account only.
    by_account = policy.accounts > 1
    retries = {
        other: other.pending_retries.accounts_soon(now, SOON_SECONDS)
        if by_account
        else other.pending_retries.soon(now, SOON_SECONDS)
        for other in engines
        if engine.shares_executor(other)
    }
    added = {other: count + retries.get(other, 0) for other, count in _pending_streams(engines, now).items()}
    added[engine] += 1
    for executor in engine.executors():
        load = executor_load(executor, engines, policy, added)
        if any(retries.values()) and load > policy.utilisation_max:
            seconds = _seconds_to_free(load - policy.utilisation_max, executor, engines, engine, now)
            return Refusal(_retry_ms(seconds), RefusalReason.UTILISATION)
    return None


def _has_pending_retries(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str
) -> bool:
    """Whether any engine on the same executor has pending retries; where accounts share, of this account."""
    sharing = [other.pending_retries for other in engines if engine.shares_executor(other)]
    if policy.accounts == 1:
        return any(retries.ahead(now) for retries in sharing)
    return any(retries.of(account, now) for retries in sharing)


def refuse_bulk(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str = ""
) -> Refusal | None:
    """Why a bulk context of an account is refused, or None. Bulk is refused at a lower load than streams are."""
    for executor in engine.executors():
        backlogs = _bulk_seconds(executor)
        backlog, most = sum(backlogs.values()), policy.bulk_seconds_max
        if policy.accounts > 1 and backlogs.get(account, 0.0) > most / max(2, len(backlogs.keys() | {account})):
            most *= policy.account_share
        if backlog > most:
            return Refusal(_retry_ms(backlog - most), RefusalReason.BULK_BACKLOG)
    load_max = policy.utilisation_max * policy.bulk_share
    added = _pending_streams(engines, now)
    added[engine] += 1
    for executor in engine.executors():
        load = executor_load(executor, engines, policy, added)
        if load > load_max and any(other.in_use(now) for other in engines if executor in other.executors()):
            seconds = _seconds_to_free(load - load_max, executor, engines, engine, now)
            return Refusal(_retry_ms(seconds), RefusalReason.BULK_YIELDS)
    return None


def executor_load(
    executor: ExecutorState,
    engines: Collection[EngineState],
    policy: Policy,
    added: AddedStreams = MappingProxyType({}),
    *,
    starting: bool = True,
) -> float:
    """The share of an executor's time that its active streams and the `added` ones take.

    A stream takes a second of audio per second, and at its start (counted if `starting`) the audio that builds up its
    lead. For an engine that may not use all workers of the executor, its share of those it may use counts, where that
    is the greater one.
    """
    total = peak = 0.0
    for engine in engines:
        more = added.get(engine, 0)
        streams = len(engine.streams) + more
        if streams and executor in engine.executors():
            owed = engine.lead_owed_seconds + more * policy.start_seconds if starting else 0.0
            factor = engine.executor_factor(executor, streams)
            window = _start_window_seconds(policy, factor / engine.workers(executor))
            seconds = (streams + owed / window) * factor
            total += seconds
            if executor is engine.executor:
                peak = max(peak, seconds / engine.workers(executor))
    return max(total / executor.workers, peak)


def first_clause_wait(
    executor: ExecutorState,
    engines: Collection[EngineState],
    policy: Policy,
    now: float,
    account: str | None = None,
    *,
    abandoned: bool = True,
) -> float:
    """Seconds until an executor has done what is due before a first clause that arrives now. Bulk does not count.

    With `account`, what is due for each other account counts for no more than what is due for this one and one step, as
    accounts take turns. `abandoned`: running steps whose requests were all cancelled count, too.
    """
    running = [b for b in executor.running.values() if not b.bulk and (abandoned or not b.abandoned)]
    seconds = sum(max(0.0, b.picked_at + b.predicted_seconds - now) for b in running)
    due = _due_seconds(executor, engines, now)
    if account is not None:
        turns = due.get(account, 0.0) + policy.step_seconds_max
        due = {other: own if other == account else min(own, turns) for other, own in due.items()}
    return (seconds + sum(due.values())) / executor.workers


def _due_seconds(executor: ExecutorState, engines: Collection[EngineState], now: float) -> dict[str, float]:
    """Worker seconds that the due requests of each account will take on an executor.

    This is needed for every admission, so where thousands of requests wait, it is estimated from a sample and kept for
    a moment.
    """
    kept_until, kept = executor.due_estimate
    if now < kept_until:
        return kept
    due: dict[str, float] = {}
    queues = [(group.engine, group.interactive) for group in executor.groups.values() if group.interactive]
    queues += [(engine, engine.waiting) for engine in engines if executor is engine.executor and engine.waiting]
    requests = sum(len(queue) for _, queue in queues)
    for engine, queue in queues:
        _add_due(due, executor, engine, queue, now, requests)
    executor.due_estimate = now + (DUE_KEPT_SECONDS * requests if requests > DUE_SAMPLE_MAX else 0.0), due
    return due


def _add_due(
    due: dict[str, float],
    executor: ExecutorState,
    engine: EngineState,
    queue: AccountQueues,
    until: float,
    requests: int,
) -> None:
    """Add the worker seconds that each account's requests with keys up to `until` will take on an executor. `requests`:
    how many there are in all queues together, of which `DUE_SAMPLE_MAX` are looked at."""
    for account, own in queue.by_account():
        sample, weight = own.sample(
            until, max(1, len(own) * DUE_SAMPLE_MAX // requests) if requests > DUE_SAMPLE_MAX else None
        )
        if sample:
            seconds = weight * sum(_seconds_on(executor, engine, request) for request in sample)
            due[account] = due.get(account, 0.0) + seconds


def _seconds_to_free(
    load: float, executor: ExecutorState, engines: Collection[EngineState], engine: EngineState, now: float
) -> float:
    """How long it takes until streams have ended that take the share `load` of an executor's time."""
    rate = 0.0
    for other in engines:
        streams = len(other.streams) + other.pending_streams(now)
        if streams and executor in other.executors():
            rate += streams / other.session_time.seconds * other.executor_factor(executor, streams)
    return load * engine.workers(executor) / rate if rate > 0.0 else inf if load > 0.0 else 0.0


def _seconds_on(executor: ExecutorState, engine: EngineState, request: SynthesisRequest) -> float:
    """Worker seconds that a request will still take on an executor, with its part of the fixed cost of shared steps."""
    stage = engine.stages[request.stage]
    step = stage.cost.fixed / stage.rows_limit + stage.cost.per_unit * request.units
    whole = len(request.clause.text) / engine.info.chars_per_second * engine.realtime.realtime_factor
    if stage.name == PREPARE:
        return step + whole if executor is engine.executor else step
    return step if engine.info.unit == "clause" else whole


def _bulk_seconds(executor: ExecutorState) -> dict[str, float]:
    """Seconds that all workers of an executor together need for each account's queued bulk requests."""
    backlogs: dict[str, float] = {}
    requests = sum(len(group.bulk) for group in executor.groups.values())
    for group in executor.groups.values():
        _add_due(backlogs, executor, group.engine, group.bulk, inf, requests)
    return {account: seconds / executor.workers for account, seconds in backlogs.items()}


def _retry_ms(seconds: float) -> int:
    return int(min(max(seconds * 1000, RETRY_MS_MIN), RETRY_MS_MAX))
