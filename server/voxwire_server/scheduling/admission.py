"""Decides whether one more listener can be fed without starving those who listen already, and when it could be.

What a second of audio costs on each executor is learned (`RealtimeCost`), so the load of an executor is known before it
is full: a listener takes a second of audio a second, and more than that while it builds up its lead. Two measured
guards stand beside the model: how long a first clause would wait now, and the share of clauses that came too late in
the last seconds.

When to try again is the model's word too. Where only leads are being built up, they are built in the time that the
lane has left beside its listeners. Where there are too many listeners, some have to leave first: how long they stay is
learned (`Stays`). Whoever was refused earlier and is still to come back (`Promises`) goes first, so a crowd comes back
one by one as places become free, and not all at once.

Engines that share an executor share its time: those who listen to one, are let in to it or come back to it take it from
those who want another, and while listeners of one run dry, nobody is let in to any of them.

Where several accounts may come (`Policy.accounts`), one that has its share already, or alone, is let in up to
`account_share` of what would be let in otherwise; the rest is kept for accounts that have less than theirs. A share is
what there is by those who listen or are about to, by two at the least. Lines of those who were refused, first clauses
that wait and clauses that are late count by account: an account waits behind its own, and behind as many of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import TYPE_CHECKING

from voxwire_server.scheduling.request import PREPARE, Refusal, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from voxwire_server.scheduling.accounts import AccountQueues
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.scheduling.state import EngineState, ExecutorState

SOON_SECONDS = 5.0
"""Whoever comes back so soon is here already, for those who ask whether new sessions should come here."""

Newcomers = Mapping["EngineState", int]
"""How many join each engine."""

RETRY_MS_MIN, RETRY_MS_MAX = 250, 60_000

START_SHARE_MAX = 0.05
"""A listener's start counts as at most this share of an executor. An engine that can't build up a lead so fast does it
in the time that its listeners leave, who have a longer lead there; else nobody could ever join the first of them. With
Kokoro on two cores in simulation, spoken to half of the time, 0.66 of the capacity is let in so, 0.27 otherwise."""


NEWCOMER = "(an account that has nothing yet)"

DUE_MAX = 256
"""Of so many works that wait on an executor, what they take is known well enough for all."""

DUE_KEPT_SECONDS = 50e-6
"""Where more wait, the estimate holds for so long by each of them: of 3,200 for 160 ms."""


def refuse_stream(
    engine: EngineState,
    engines: Collection[EngineState],
    speaking: int,
    policy: Policy,
    now: float,
    account: str = "",
) -> Refusal | None:
    """Why one more interactive listener of an account would starve, or None. `speaking`: listeners the caller knows
    of."""
    known = max(len(engine.streams) + engine.coming(now), speaking)
    alone = not known and not any(other.busy(now) for other in engines if engine.shares_executor(other))
    # Steps of those who broke in keep nobody out whom nothing else would: it is most likely they who ask again.
    whose = account if policy.accounts > 1 else None
    wait = max(
        first_clause_wait(executor, engines, policy, now, whose, abandoned=not alone) for executor in engine.executors()
    )
    if wait > policy.queue_seconds_max:
        return Refusal(_retry_ms(wait - policy.queue_seconds_max), RefusalReason.QUEUE)
    if alone:
        return None  # even the slowest engine may speak to one
    newcomers = _coming(engines, now) | {engine: known - len(engine.streams) + 1}
    if policy.accounts > 1:
        for other, count in _not_counted(engine, engines, policy, now, account).items():
            newcomers[other] = max(newcomers[other] - count, int(other is engine))
    return _refuse_by_load(engine, engines, newcomers, policy, now, account)


def _not_counted(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str
) -> dict[EngineState, int]:
    """How many who were let in to each engine and do not listen yet keep no listener of `account` out.

    They are those of accounts that have more than their share, beyond it: contexts that are started and given no text
    cost nothing, and would keep every other account to the reserve.
    """
    executor = engine.executor
    sharing = [other for other in engines if executor in other.executors()]
    shares = Shares(executor, sharing, policy, account, now)
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


def takes_back(engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float) -> bool:
    """Whether a listener who broke in may have its place back: always, but where accounts share, within what is fed."""
    if policy.accounts == 1:
        return True
    newcomers = _coming(engines, now)
    newcomers[engine] += 1
    return all(
        executor_load(executor, engines, policy, newcomers) <= policy.utilisation_max for executor in engine.executors()
    )


def _refuse_by_load(
    engine: EngineState,
    engines: Collection[EngineState],
    newcomers: Newcomers,
    policy: Policy,
    now: float,
    account: str,
) -> Refusal | None:
    """Why the newcomers, one of them to `engine`, would take too much of an executor's time, or None."""
    executor = max(engine.executors(), key=lambda executor: executor_load(executor, engines, policy, newcomers))
    load = executor_load(executor, engines, policy, newcomers)
    sharing = [other for other in engines if executor in other.executors()]
    one = _load_of_one(engine, executor)
    shares = Shares(executor, sharing, policy, account, now)
    most = shares.most(account, one)
    late = load > most / 3 and shares.late_share(account) > policy.late_share_max
    if load <= most and not late:
        return None
    # Once those who listen have their lead, this is what is left for the newcomers to begin in.
    horizon = _horizon_seconds(policy, one)
    start = newcomers[engine] * policy.start_seconds / horizon * one
    settled = executor_load(executor, engines, policy, newcomers, starting=False) + start
    ahead = sum(_ahead(other, policy, account, now) * _load_of_one(other, executor) for other in sharing)
    if load > most and settled <= most:
        spare = 1.0 - executor_load(executor, engines, policy, starting=False)
        seconds = (load - most) * horizon / max(spare, 0.1)
        seconds = max(seconds, _seconds_to_free(ahead, executor, engines, engine, now))
        return Refusal(_retry_ms(seconds), RefusalReason.STARTING)
    seconds = _seconds_to_free(max(settled - most, one) + ahead, executor, engines, engine, now)
    if late:
        forgotten = max(other.miss_rate.seconds_to_forget(now) for other in sharing)
        return Refusal(_retry_ms(max(seconds, forgotten)), RefusalReason.LATENESS)
    return Refusal(_retry_ms(seconds), RefusalReason.UTILISATION)


def _ahead(engine: EngineState, policy: Policy, account: str, now: float) -> int:
    """How many come back to an engine before an account's next does."""
    return engine.pending_retries.ahead(now) if policy.accounts == 1 else engine.pending_retries.ahead_of(account, now)


class Shares:
    """What each account takes of an executor, and may take, at one moment."""

    def __init__(
        self, executor: ExecutorState, sharing: Collection[EngineState], policy: Policy, account: str, now: float
    ) -> None:
        """`sharing`: the engines that need the executor; `account` counts whether it has any listener or not.

        `share` is the part of the executor's time that each account may have, as long as all want theirs.
        """
        self._executor, self._sharing, self._policy, self._now = executor, sharing, policy, now
        accounts: set[Hashable] = {account}
        if policy.accounts > 1:
            for engine in sharing:
                accounts.update(engine.account_streams, engine.pending_admissions.accounts)
        self.share = policy.utilisation_max / max(2, len(accounts))

    def load(self, account: str) -> float:
        """The share of the executor's time that an account's listeners take, and those of its who are about to be."""
        demands = ((engine.demand(account, self._now), engine) for engine in self._sharing)
        return sum(count * _load_of_one(engine, self._executor) for count, engine in demands if count)

    def most(self, account: str, one: float) -> float:
        """How much of the executor's time may be taken in all, where one more listener of `account` takes so much."""
        most = self._policy.utilisation_max
        if self._policy.accounts == 1 or self.load(account) + one <= self.share:
            return most
        return most * self._policy.account_share

    def late_share(self, account: str) -> float:
        """The greatest share of clauses that come too late, of `account` or of one that has no more than its share:
        clauses of an account beyond its share keep no other account out by being late."""
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


def _horizon_seconds(policy: Policy, one: float) -> float:
    """The time in which a listener's lead is built up who takes the share `one` of an executor."""
    if one * (1.0 + policy.start_seconds / policy.horizon_seconds) <= policy.utilisation_max:
        return policy.horizon_seconds
    return max(policy.horizon_seconds, policy.start_seconds * one / START_SHARE_MAX)


def _coming(engines: Collection[EngineState], now: float) -> dict[EngineState, int]:
    """Who is let in to each engine and does not listen yet."""
    return {engine: engine.coming(now) for engine in engines}


def _load_of_one(engine: EngineState, executor: ExecutorState) -> float:
    """The share of an executor's time that one more listener of an engine takes, its lead aside."""
    return engine.executor_factor(executor, len(engine.streams) + 1) / engine.workers(executor)


def refuse_all(
    engines: Collection[EngineState], policy: Policy, now: float, account: str = ""
) -> tuple[EngineState, Refusal] | None:
    """The engine with room soonest and its refusal, if every engine refuses one more of an account; else None.

    That some just begin to listen is no reason, unless others were refused before and wait.
    """
    refusals = []
    for engine in engines:
        if engine.problem:
            continue
        refusal = refuse_stream(engine, engines, 0, policy, now, account)
        promised = _pending_retries(engine, engines, policy, now, account)
        if refusal is None or (refusal.reason is RefusalReason.STARTING and not promised):
            return None
        refusals.append((engine, refusal))
    return min(refusals, key=lambda pair: pair[1].retry_after_ms, default=None)


def overcrowded(engines: Collection[EngineState], policy: Policy, now: float) -> Refusal | None:
    """Why no engine could feed all who come back soon and one more, and when one could; None if one could.

    That some just begin to listen is no reason while nobody else comes back soon: it is over in a moment.
    """
    refusals = []
    for engine in engines:
        if engine.problem:
            continue
        refusal = refuse_stream(engine, engines, 0, policy, now, NEWCOMER)
        if refusal is None or refusal.reason is RefusalReason.STARTING:
            refusal = _refuse_queue(engine, engines, policy, now)
        if refusal is None:
            return None
        refusals.append(refusal)
    return min(refusals, key=lambda refusal: refusal.retry_after_ms, default=None)


def _refuse_queue(engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float) -> Refusal | None:
    # Of many who come back of one account, the newcomer waits for one.
    each = policy.accounts > 1
    waiting = {
        other: other.pending_retries.accounts_soon(now, SOON_SECONDS)
        if each
        else other.pending_retries.soon(now, SOON_SECONDS)
        for other in engines
        if engine.shares_executor(other)
    }
    newcomers = {other: count + waiting.get(other, 0) for other, count in _coming(engines, now).items()}
    newcomers[engine] += 1
    for executor in engine.executors():
        load = executor_load(executor, engines, policy, newcomers)
        if any(waiting.values()) and load > policy.utilisation_max:
            seconds = _seconds_to_free(load - policy.utilisation_max, executor, engines, engine, now)
            return Refusal(_retry_ms(seconds), RefusalReason.UTILISATION)
    return None


def _pending_retries(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str
) -> bool:
    """Whether anybody is still to come back to an engine on the same executor; where accounts share, of this
    account."""
    sharing = [other.pending_retries for other in engines if engine.shares_executor(other)]
    if policy.accounts == 1:
        return any(pending_retries.ahead(now) for pending_retries in sharing)
    return any(pending_retries.of(account, now) for pending_retries in sharing)


def refuse_bulk(
    engine: EngineState, engines: Collection[EngineState], policy: Policy, now: float, account: str = ""
) -> Refusal | None:
    """Why more bulk work of an account is refused, or None. It is before any listener is."""
    for executor in engine.executors():
        backlogs = _bulk_seconds(executor)
        backlog, most = sum(backlogs.values()), policy.bulk_seconds_max
        if policy.accounts > 1 and backlogs.get(account, 0.0) > most / max(2, len(backlogs.keys() | {account})):
            most *= policy.account_share
        if backlog > most:
            return Refusal(_retry_ms(backlog - most), RefusalReason.BULK_BACKLOG)
    most = policy.utilisation_max * policy.bulk_share
    newcomers = _coming(engines, now)
    newcomers[engine] += 1
    for executor in engine.executors():
        load = executor_load(executor, engines, policy, newcomers)
        if load > most and any(other.busy(now) for other in engines if executor in other.executors()):
            return Refusal(
                _retry_ms(_seconds_to_free(load - most, executor, engines, engine, now)), RefusalReason.BULK_YIELDS
            )
    return None


def executor_load(
    executor: ExecutorState,
    engines: Collection[EngineState],
    policy: Policy,
    newcomers: Newcomers = MappingProxyType({}),
    *,
    starting: bool = True,
) -> float:
    """The share of an executor's time that its listeners take, if so many more join each engine.

    A listener takes a second of audio a second, and at its start (counted if `starting`) as much again as builds up its
    lead. An engine that may not use all workers of the executor counts by those it may use, where that is more.
    """
    total = peak = 0.0
    for engine in engines:
        more = newcomers.get(engine, 0)
        streams = len(engine.streams) + more
        if streams and executor in engine.executors():
            owed = engine.owed_seconds + more * policy.start_seconds if starting else 0.0
            factor = engine.executor_factor(executor, streams)
            horizon = _horizon_seconds(policy, factor / engine.workers(executor))
            seconds = (streams + owed / horizon) * factor
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
    """Seconds until an executor has done what is due before a first clause that comes now. Bulk keeps nobody out.

    With `account`, what is due of each other account counts for no more than what is due of this one and a step, as
    they take turns. `abandoned`: steps whose works were all cancelled count too.
    """
    running = [b for b in executor.running.values() if not b.bulk and (abandoned or not b.abandoned)]
    seconds = sum(max(0.0, b.picked_at + b.predicted_seconds - now) for b in running)
    due = _due_seconds(executor, engines, now)
    if account is not None:
        turns = due.get(account, 0.0) + policy.step_seconds_max
        due = {whose: own if whose == account else min(own, turns) for whose, own in due.items()}
    return (seconds + sum(due.values())) / executor.workers


def _due_seconds(executor: ExecutorState, engines: Collection[EngineState], now: float) -> dict[str, float]:
    """What the works of each account that are due will take of an executor. Of thousands it is an estimate, and for a
    moment the last one holds: this is asked for with every listener who wants to be let in."""
    kept_until, reservations = executor.due
    if now < kept_until:
        return reservations
    due: dict[str, float] = {}
    queues = [(group.engine, group.interactive) for group in executor.groups.values() if group.interactive]
    queues += [(engine, engine.waiting) for engine in engines if executor is engine.executor and engine.waiting]
    requests = sum(len(queue) for _, queue in queues)
    for engine, queue in queues:
        _add_due(due, executor, engine, queue, now, requests)
    executor.due = now + (DUE_KEPT_SECONDS * requests if requests > DUE_MAX else 0.0), due
    return due


def _add_due(
    due: dict[str, float],
    executor: ExecutorState,
    engine: EngineState,
    queue: AccountQueues,
    until: float,
    requests: int,
) -> None:
    """Add what the works of each account with keys up to `until` will take on an executor. `requests`: how many there
    are in all queues, of which as many are looked at as `DUE_MAX`."""
    for account, own in queue.by_account():
        some, each = own.sample(until, max(1, len(own) * DUE_MAX // requests) if requests > DUE_MAX else None)
        if some:
            seconds = each * sum(_seconds_on(executor, engine, request) for request in some)
            due[account] = due.get(account, 0.0) + seconds


def _seconds_to_free(
    load: float, executor: ExecutorState, engines: Collection[EngineState], engine: EngineState, now: float
) -> float:
    """How long it takes until listeners have left who took so great a share of an executor's time."""
    rate = 0.0
    for other in engines:
        streams = len(other.streams) + other.coming(now)
        if streams and executor in other.executors():
            rate += streams / other.session_time.seconds * other.executor_factor(executor, streams)
    return load * engine.workers(executor) / rate if rate > 0.0 else inf if load > 0.0 else 0.0


def _seconds_on(executor: ExecutorState, engine: EngineState, request: SynthesisRequest) -> float:
    """Seconds that a work will yet take on an executor. Works that share steps share what is fixed about them."""
    stage = engine.stages[request.stage]
    step = stage.cost.fixed / stage.rows_limit + stage.cost.per_unit * request.units
    whole = len(request.clause.text) / engine.info.chars_per_second * engine.realtime.realtime_factor
    if stage.name == PREPARE:
        return step + whole if executor is engine.executor else step
    return step if engine.info.unit == "clause" else whole


def _bulk_seconds(executor: ExecutorState) -> dict[str, float]:
    """What each account's queued bulk work will take of an executor, in seconds of all its workers."""
    backlogs: dict[str, float] = {}
    requests = sum(len(group.bulk) for group in executor.groups.values())
    for group in executor.groups.values():
        _add_due(backlogs, executor, group.engine, group.bulk, inf, requests)
    return {account: seconds / executor.workers for account, seconds in backlogs.items()}


def _retry_ms(seconds: float) -> int:
    return int(min(max(seconds * 1000, RETRY_MS_MIN), RETRY_MS_MAX))
