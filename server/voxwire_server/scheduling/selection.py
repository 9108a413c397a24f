"""Decides which group of an executor is stepped next, and whether for its bulk work. What joins that step, `filling`
says.

The earliest deadline comes first, whichever engine it wants, and listeners before bulk. Two things go before.
Among works that are due or in danger accounts take turns (`accounts`), so that one that has thousands of them does not
push those of the others behind all of its own; bulk works, which are due at no time, take turns always.
And where engines share an executor, a listener whose step comes too late in any case must not take the executor from
listeners of another engine again and again, or an engine that can't keep up would starve all others. So of those who
are in danger the one goes first whose engine took least of the executor lately, by listener.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from voxwire_server.scheduling.policy import Order
from voxwire_server.scheduling.request import PREPARE

if TYPE_CHECKING:
    from voxwire_server.scheduling.accounts import Rank
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.scheduling.state import ExecutorState, Group


@dataclass(frozen=True, slots=True)
class Selection:
    """The group to step next, whether for its bulk work, and for which account (None: for the one that is first in it).

    `least`: the worker seconds that this account counts as having used of the executor at least.
    """

    group: Group
    bulk: bool
    account: str | None = None
    least: float = 0.0

    @property
    def head(self) -> SynthesisRequest:
        """The work that the step is made for."""
        head = self.group.queue(self.bulk).head(self.account)
        assert head is not None, "a chosen group has work"
        return head

    @property
    def step_seconds(self) -> float:
        """Predicted seconds of its step for that work alone."""
        return self.group.stage.cost.predict(self.head.units)


Firsts = dict[str, tuple["Rank", "Group"]]
"""The group that comes first of each engine, with its rank."""


def select(executor: ExecutorState, policy: Policy, now: float, *, listening: bool) -> Selection | None:
    """The group to step next and whether for its bulk work; None when nothing may start.

    `listening`: somebody listens, to whatever engine.
    """
    if len(executor.running) >= executor.workers:
        return None
    first = _first(executor, policy, now)
    if first is not None and (
        executor.since_bulk < policy.bulk_period or not _bulk_is_due(executor, first, policy, now)
    ):
        return None if _leaves_last_worker(executor, first, policy, now) else first
    bulk = _first_bulk(executor, policy, now)
    if bulk is None or (listening and _bulk_leaves_worker(executor, bulk, policy)):
        return None
    return bulk


def danger_until(now: float, step_seconds: float, policy: Policy) -> float:
    """Works with keys up to this are due or in danger at `now`, a step of that length before them."""
    return now + step_seconds + policy.protect_seconds


def _first(executor: ExecutorState, policy: Policy, now: float) -> Selection | None:
    """The interactive work that comes first of those that may start a step."""
    firsts, account, least = _firsts_in_turn(executor, policy, now, bulk=False)
    if not firsts:
        return None
    if len(firsts) > 1 and policy.order is Order.DEADLINE:
        group = _fairest(executor, list(firsts.values()), account, now)
    else:
        group = min(firsts.values(), key=lambda found: found[0])[1]
    return Selection(group, False, account, least)


def _first_bulk(executor: ExecutorState, policy: Policy, now: float) -> Selection | None:
    firsts, account, least = _firsts_in_turn(executor, policy, now, bulk=True)
    if not firsts:
        return None
    return Selection(min(firsts.values(), key=lambda found: found[0])[1], True, account, least)


def _firsts_in_turn(
    executor: ExecutorState, policy: Policy, now: float, *, bulk: bool
) -> tuple[Firsts, str | None, float]:
    """The first group of each engine, of the account whose turn it is where accounts take turns; see `Selection`."""
    firsts = _by_engine(executor, policy, bulk=bulk)
    if firsts and policy.order is Order.DEADLINE and len(executor.queued[bulk]) > 1:
        turn = _turn(executor, firsts, policy, now, bulk=bulk)
        if turn is not None:
            account, least = turn
            return _by_engine(executor, policy, bulk=bulk, account=account), account, least
    return firsts, None, 0.0


def _turn(
    executor: ExecutorState, firsts: Firsts, policy: Policy, now: float, *, bulk: bool
) -> tuple[str, float] | None:
    """Whose turn it is among the accounts in danger, and see `AccountUse.turn`; None where they are less than two."""
    rank, first = min(firsts.values(), key=lambda found: found[0])
    until = inf if bulk else danger_until(now, Selection(first, bulk).step_seconds, policy)
    if rank[0] > until:
        return None
    ranks: dict[str, Rank] = {}
    for group in executor.groups.values():
        queue = group.queue(bulk)
        if queue and group.open:
            for found, account in queue.heads_until(until):
                if account not in ranks or found < ranks[account]:
                    ranks[account] = found
    return executor.account_use[bulk].turn(ranks, now) if len(ranks) > 1 else None


def _by_engine(executor: ExecutorState, policy: Policy, *, bulk: bool, account: str | None = None) -> Firsts:
    """The group that comes first of each engine, with its rank; of one account's works, or of all."""
    firsts: Firsts = {}
    for group in executor.groups.values():
        queue = group.bulk if bulk else group.interactive
        head = queue.head(account)
        if head is not None and group.open:
            rank = (queue.head_key(account), head.order)
            if policy.order is Order.THROUGHPUT:
                rank = (-float(min(len(queue), group.stage.rows_limit)), head.order)
            name = group.engine.info.name
            if name not in firsts or rank < firsts[name][0]:
                firsts[name] = rank, group
    return firsts


def _fairest(executor: ExecutorState, firsts: list[tuple[Rank, Group]], account: str | None, now: float) -> Group:
    """The group that comes first of several engines'; see the module."""
    _, first = min(firsts, key=lambda found: found[0])
    chosen = Selection(first, False, account)
    ends_at = now + chosen.step_seconds
    if chosen.head.deadline >= ends_at:
        return first
    in_danger = [
        (executor.use_by_stream(group.engine, now), rank, group)
        for rank, group in firsts
        if group is first or rank[0] < ends_at + Selection(group, False, account).step_seconds
    ]
    return min(in_danger, key=lambda found: found[:2])[2]


def _bulk_is_due(executor: ExecutorState, first: Selection, policy: Policy, now: float) -> bool:
    """Whether the most urgent work can wait for a bulk step and still be in time."""
    bulk = _first_bulk(executor, policy, now)
    if bulk is None or _bulk_leaves_worker(executor, bulk, policy):
        return False
    seconds = bulk.step_seconds + first.step_seconds
    return now + seconds + policy.protect_seconds < first.head.deadline


def _bulk_leaves_worker(executor: ExecutorState, bulk: Selection, policy: Policy) -> bool:
    """Whether bulk work, while somebody listens, leaves the worker that is free to them."""
    last = len(executor.running) == executor.workers - 1
    return _last_worker(executor, policy) or (last and bulk.step_seconds > policy.bulk_step_seconds_max)


def _last_worker(executor: ExecutorState, policy: Policy) -> bool:
    return policy.reserve and executor.workers > 1 and len(executor.running) == executor.workers - 1


def _leaves_last_worker(executor: ExecutorState, first: Selection, policy: Policy, now: float) -> bool:
    """Whether the step can wait for a busy worker, so that a first clause that comes meanwhile finds a free one.

    Nobody need look again later: a worker that ends its step picks anew.
    """
    if first.group.stage.name == PREPARE or not _last_worker(executor, policy):
        return False
    return first.head.deadline - now > policy.relaxed_seconds + first.step_seconds
