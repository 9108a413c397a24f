"""Decides which works share the step of the most urgent one. Which group that one is in, the scheduler says."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from math import inf
from typing import TYPE_CHECKING

from voxwire_server.scheduling.policy import Order
from voxwire_server.scheduling.selection import danger_until

if TYPE_CHECKING:
    from voxwire_server.scheduling.accounts import AccountQueues, AccountUse
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.scheduling.selection import Selection
    from voxwire_server.scheduling.state import Group, StageState

PATIENCE_SECONDS = 0.01
"""A listener who is due waits this much longer for companions in its batch who could wait: nobody hears it."""

WORTH_FACTOR = 2.0
"""Where buckets join, a companion that makes the step longer by at most so many times its fixed cost is waited for: a
step of its own would keep everybody waiting for that one's fixed cost. With patience alone batches are smallest when
most listeners are due, which is when they have to be largest; measured by `bench/scheduling.py`."""


class BatchBuilder:
    """A batch while it is put together around its first, most urgent work.

    `units` is what its step is predicted by: the sum over its works, or with `joins_buckets` as many times the largest
    as there are works, since that is what a padded batch costs.
    """

    __slots__ = ("_cost", "_joins", "_limit", "_longest", "_now", "_patient", "_top", "requests", "seconds", "units")

    def __init__(self, stage: StageState, head: SynthesisRequest, policy: Policy, now: float) -> None:
        self.requests = [head]
        self.units = self._top = head.units
        self.seconds = stage.cost.predict(head.units)
        self._cost = stage.cost
        self._joins = stage.joins_buckets
        self._limit = stage.rows_limit if policy.batching else 1
        self._longest = policy.step_seconds_max
        self._now = now
        patient = max(1.5 * self.seconds, self.seconds + PATIENCE_SECONDS, head.deadline - now)
        self._patient = min(self._longest, patient)

    @property
    def room(self) -> int:
        """How many rows are left."""
        return self._limit - len(self.requests)

    def fits(self, request: SynthesisRequest) -> bool:
        """Whether there is a row left for a work, and the step stays short enough with it.

        Those that are due soon, or make it little longer, are let in as long as the step stays below its greatest
        length; all others as long as it also does not keep the first work waiting for much longer.
        """
        if len(self.requests) >= self._limit or request.retries:
            return False
        seconds = self._cost.predict(self._units_with(request))
        soon = request.deadline - self._now < self._longest
        worth = self._joins and seconds - self.seconds <= WORTH_FACTOR * self._cost.fixed
        return seconds <= (self._longest if not request.bulk and (soon or worth) else self._patient)

    def padding_seconds(self, request: SynthesisRequest) -> float:
        """What padding would add to the step, the work's row to the longest one's length or all others to its own."""
        return self._cost.per_unit * (self._units_with(request) - self.units - request.units)

    def add(self, request: SynthesisRequest) -> None:
        """Take a work in."""
        self.units = self._units_with(request)
        self._top = max(self._top, request.units)
        self.seconds = self._cost.predict(self.units)
        self.requests.append(request)

    def _units_with(self, request: SynthesisRequest) -> float:
        if not self._joins:
            return self.units + request.units
        return max(self._top, request.units) * (len(self.requests) + 1)


def build_batch(choice: Selection, policy: Policy, now: float, use: AccountUse) -> BatchBuilder:
    """Take a batch out of a group, the chosen work in any case; then out of its neighbours, if they may join.

    Works that begin anew after a step that was lost are stepped alone: one of them may have been what it was lost for.
    """
    group, bulk = choice.group, choice.bulk
    head = group.queue(bulk).pop(choice.account)
    filling = BatchBuilder(group.stage, head, policy, now)
    if head.retries:
        return filling
    if len(group.queue(bulk).accounts) > 1 and policy.order is Order.DEADLINE:
        _take_turns(filling, group.queue(bulk), inf if bulk else danger_until(now, filling.seconds, policy), use, now)
    while True:
        queue = group.interactive or group.bulk
        other = queue.head()
        if other is None or not filling.fits(other):
            break
        filling.add(queue.pop())
    if group.stage.joins_buckets and policy.padding_share_max > 0.0:
        _join_neighbours(filling, group, bulk, policy.padding_share_max)
    return filling


def _take_turns(filling: BatchBuilder, queue: AccountQueues, until: float, use: AccountUse, now: float) -> None:
    """Take in works that are due or in danger, one of each account in turn; who used least is first, and the account
    of the batch's first work last."""
    first = filling.requests[0].account
    due = [account for _, account in queue.heads_until(until, filling.room)]
    due.sort(key=lambda account: (account == first, use.seconds(account, now)))
    while due:
        left = []
        for account in due:
            other = queue.head(account)
            if other is None or queue.head_key(account) > until:
                continue
            if not filling.fits(other):
                return
            filling.add(queue.pop(account))
            left.append(account)
        due = left


def _join_neighbours(filling: BatchBuilder, group: Group, bulk: bool, share: float) -> None:
    """Take in works of other lengths, most urgent first, whose padding costs less than a share of what they spare.

    A row spares its part of the fixed cost of the step that its own group would make.
    """
    stage = group.stage
    queues = [g.queue(bulk) for g in stage.executor.groups.values() if g.stage is stage and g is not group]
    heads = [(queue.head_key(), index, queue) for index, queue in enumerate(queues) if queue]
    heapify(heads)
    while heads:
        _, index, queue = heads[0]
        other = queue.head()
        assert other is not None, "queues without works are dropped"
        if filling.padding_seconds(other) > share * stage.cost.fixed / len(queue) or not filling.fits(other):
            heappop(heads)
            continue
        filling.add(queue.pop())
        if queue:
            heapreplace(heads, (queue.head_key(), index, queue))
        else:
            heappop(heads)
