"""Decides which group of an executor is stepped next, and whether with its interactive or its bulk requests. `batching`
decides which requests share that step.

The earliest deadline comes first, whichever engine it is for, and interactive requests come before bulk. Two rules go
before that:

- Among requests that are due or urgent, accounts take turns (`queue`), so that an account with thousands of them does
  not delay the others behind all of its own. Bulk requests have no deadline that matters, so they always take turns.
- Where engines share an executor, an engine that can't keep up with its streams has a step overdue at all times, and by
  deadline alone it would starve the other engines. So among the urgent requests, the one goes first whose engine used
  the executor least lately, per active stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from voxwire_server.scheduling.policy import Order
from voxwire_server.scheduling.request import PREPARE

if TYPE_CHECKING:
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.queue import Rank
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.scheduling.state import BatchGroup, ExecutorState


@dataclass(frozen=True, slots=True)
class Selection:
    """The group to step next, whether with its bulk requests, and for which account (None: the most urgent one's).

    `least_use`: the worker seconds that this account is to count as having used at least; see `AccountUse.raise_to`.
    """

    group: BatchGroup
    bulk: bool
    account: str | None = None
    least_use: float = 0.0

    @property
    def head(self) -> SynthesisRequest:
        """The request that the step is made for."""
        head = self.group.queue(self.bulk).head(self.account)
        assert head is not None, "a selected group has requests"
        return head

    @property
    def step_seconds(self) -> float:
        """Predicted seconds of a step with that request alone."""
        return self.group.stage.cost.predict(self.head.units)


FirstGroups = dict[str, tuple["Rank", "BatchGroup"]]
"""By engine: its group with the most urgent request, and that request's rank."""


def select(executor: ExecutorState, policy: Policy, now: float, *, active_streams: bool) -> Selection | None:
    """What to step next; None when nothing may start.

    `active_streams`: any engine has an active stream.
    """
    if len(executor.running) >= executor.workers:
        return None
    first = _first_interactive(executor, policy, now)
    if first is not None and (
        executor.steps_since_bulk < policy.bulk_period or not _bulk_fits_before(executor, first, policy, now)
    ):
        return None if _leaves_last_worker(executor, first, policy, now) else first
    bulk = _first_bulk(executor, policy, now)
    if bulk is None or (active_streams and _bulk_leaves_worker(executor, bulk, policy)):
        return None
    return bulk


def urgent_until(now: float, step_seconds: float, policy: Policy) -> float:
    """Requests with keys up to this are due, or would be late if they waited for a step of `step_seconds` first."""
    return now + step_seconds + policy.protect_seconds


def _first_interactive(executor: ExecutorState, policy: Policy, now: float) -> Selection | None:
    """The interactive request that comes first, of those whose engine may start a step."""
    firsts, account, least_use = _first_groups_in_turn(executor, policy, now, bulk=False)
    if not firsts:
        return None
    if len(firsts) > 1 and policy.order is Order.DEADLINE:
        group = _fairest(executor, list(firsts.values()), account, now)
    else:
        group = min(firsts.values(), key=lambda found: found[0])[1]
    return Selection(group, False, account, least_use)


def _first_bulk(executor: ExecutorState, policy: Policy, now: float) -> Selection | None:
    firsts, account, least_use = _first_groups_in_turn(executor, policy, now, bulk=True)
    if not firsts:
        return None
    return Selection(min(firsts.values(), key=lambda found: found[0])[1], True, account, least_use)


def _first_groups_in_turn(
    executor: ExecutorState, policy: Policy, now: float, *, bulk: bool
) -> tuple[FirstGroups, str | None, float]:
    """The first group of each engine; where accounts take turns, of the account whose turn it is. See `Selection`."""
    firsts = _first_groups(executor, policy, bulk=bulk)
    if firsts and policy.order is Order.DEADLINE and len(executor.queued[bulk]) > 1:
        turn = _next_account(executor, firsts, policy, now, bulk=bulk)
        if turn is not None:
            account, least_use = turn
            return _first_groups(executor, policy, bulk=bulk, account=account), account, least_use
    return firsts, None, 0.0


def _next_account(
    executor: ExecutorState, firsts: FirstGroups, policy: Policy, now: float, *, bulk: bool
) -> tuple[str, float] | None:
    """`AccountUse.next_account` among the accounts with urgent requests; None where there are fewer than two."""
    rank, first = min(firsts.values(), key=lambda found: found[0])
    until = inf if bulk else urgent_until(now, Selection(first, bulk).step_seconds, policy)
    if rank[0] > until:
        return None
    ranks: dict[str, Rank] = {}
    for group in executor.groups.values():
        queue = group.queue(bulk)
        if queue and group.open:
            for found, account in queue.heads_until(until):
                if account not in ranks or found < ranks[account]:
                    ranks[account] = found
    return executor.account_use[bulk].next_account(ranks, now) if len(ranks) > 1 else None


def _first_groups(executor: ExecutorState, policy: Policy, *, bulk: bool, account: str | None = None) -> FirstGroups:
    """The first group of each engine, by the requests of one account, or of all."""
    firsts: FirstGroups = {}
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


def _fairest(
    executor: ExecutorState, firsts: list[tuple[Rank, BatchGroup]], account: str | None, now: float
) -> BatchGroup:
    """Which of several engines' groups comes first: that of the earliest deadline if it can be met, else of the urgent
    ones that of the engine that used the executor least per stream."""
    _, first = min(firsts, key=lambda found: found[0])
    earliest = Selection(first, False, account)
    ends_at = now + earliest.step_seconds
    if earliest.head.deadline >= ends_at:
        return first
    urgent = [
        (executor.use_per_stream(group.engine, now), rank, group)
        for rank, group in firsts
        if group is first or rank[0] < ends_at + Selection(group, False, account).step_seconds
    ]
    return min(urgent, key=lambda found: found[:2])[2]


def _bulk_fits_before(executor: ExecutorState, first: Selection, policy: Policy, now: float) -> bool:
    """Whether a bulk step may run first and the most urgent interactive request still meets its deadline."""
    bulk = _first_bulk(executor, policy, now)
    if bulk is None or _bulk_leaves_worker(executor, bulk, policy):
        return False
    seconds = bulk.step_seconds + first.step_seconds
    return now + seconds + policy.protect_seconds < first.head.deadline


def _bulk_leaves_worker(executor: ExecutorState, bulk: Selection, policy: Policy) -> bool:
    """Whether a bulk step must not take the free worker while there are active streams: it is the last one, and either
    reserved or the step is too long."""
    last = len(executor.running) == executor.workers - 1
    return _last_worker_reserved(executor, policy) or (last and bulk.step_seconds > policy.bulk_step_seconds_max)


def _last_worker_reserved(executor: ExecutorState, policy: Policy) -> bool:
    return policy.reserve and executor.workers > 1 and len(executor.running) == executor.workers - 1


def _leaves_last_worker(executor: ExecutorState, first: Selection, policy: Policy, now: float) -> bool:
    """Whether the step can wait for a busy worker, so that a first clause that arrives meanwhile finds a free one.

    No timer is needed to look again: a worker that ends its step picks the next one.
    """
    if first.group.stage.name == PREPARE or not _last_worker_reserved(executor, policy):
        return False
    return first.head.deadline - now > policy.relaxed_seconds + first.step_seconds
