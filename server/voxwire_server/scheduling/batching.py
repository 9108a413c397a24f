"""Decides which requests share the step of the most urgent one. `selection` decides which group that one is in."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from math import inf
from typing import TYPE_CHECKING

from voxwire_server.scheduling.policy import Order
from voxwire_server.scheduling.selection import urgent_until

if TYPE_CHECKING:
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.queue import AccountQueues, AccountUse
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.scheduling.selection import Selection
    from voxwire_server.scheduling.state import BatchGroup, StageState

PATIENCE_SECONDS = 0.01
"""Requests that could wait may make the step of a request that is due this much longer: the delay is inaudible."""

WORTH_FACTOR = 2.0
"""Where buckets join, a request is added if it makes the step longer by at most this many times its fixed cost, since a
step of its own would delay all others by that fixed cost. With PATIENCE_SECONDS alone, batches are smallest when
many requests are due, which is when large ones are worth most; measured by `bench/scheduling.py`."""


class BatchBuilder:
    """A batch while it is put together around its first, most urgent request.

    `units` is the size by which its step is predicted: the sum over its requests or, with `joins_buckets`, the largest
    size times the number of requests, since a padded batch costs that much. `seconds`: the prediction.
    """

    __slots__ = (
        "_cost",
        "_joins_buckets",
        "_largest",
        "_now",
        "_patient_seconds",
        "_seconds_max",
        "_size_max",
        "requests",
        "seconds",
        "units",
    )

    def __init__(self, stage: StageState, head: SynthesisRequest, policy: Policy, now: float) -> None:
        self.requests = [head]
        self.units = self._largest = head.units
        self.seconds = stage.cost.predict(head.units)
        self._cost = stage.cost
        self._joins_buckets = stage.joins_buckets
        self._size_max = stage.rows_limit if policy.batching else 1
        self._seconds_max = policy.step_seconds_max
        self._now = now
        patient = max(1.5 * self.seconds, self.seconds + PATIENCE_SECONDS, head.deadline - now)
        self._patient_seconds = min(self._seconds_max, patient)

    @property
    def room(self) -> int:
        """How many requests can be added at most."""
        return self._size_max - len(self.requests)

    def fits(self, request: SynthesisRequest) -> bool:
        """Whether the batch has room for one more request, and the step stays short enough with it.

        A request that is due soon, or makes the step little longer, fits as long as the step stays within
        `Policy.step_seconds_max`; any other only as long as it does not delay the first request noticeably either.
        """
        if len(self.requests) >= self._size_max or request.retries:
            return False
        seconds = self._cost.predict(self._units_with(request))
        soon = request.deadline - self._now < self._seconds_max
        worth = self._joins_buckets and seconds - self.seconds <= WORTH_FACTOR * self._cost.fixed
        return seconds <= (self._seconds_max if not request.bulk and (soon or worth) else self._patient_seconds)

    def padding_seconds(self, request: SynthesisRequest) -> float:
        """The time that padding would add to the step: of the request to the largest one's size, or of all others to
        its own."""
        return self._cost.per_unit * (self._units_with(request) - self.units - request.units)

    def add(self, request: SynthesisRequest) -> None:
        """Add a request."""
        self.units = self._units_with(request)
        self._largest = max(self._largest, request.units)
        self.seconds = self._cost.predict(self.units)
        self.requests.append(request)

    def _units_with(self, request: SynthesisRequest) -> float:
        if not self._joins_buckets:
            return self.units + request.units
        return max(self._largest, request.units) * (len(self.requests) + 1)


def build_batch(selection: Selection, policy: Policy, now: float, use: AccountUse) -> BatchBuilder:
    """Take a batch out of a group: the selected request, then others that fit, then those of other buckets, if the
    stage's buckets may join.

    A request that starts over after a lost step is stepped alone, since it may be the cause of the loss.
    """
    group, bulk = selection.group, selection.bulk
    head = group.queue(bulk).pop(selection.account)
    builder = BatchBuilder(group.stage, head, policy, now)
    if head.retries:
        return builder
    if len(group.queue(bulk).accounts) > 1 and policy.order is Order.DEADLINE:
        _take_turns(builder, group.queue(bulk), inf if bulk else urgent_until(now, builder.seconds, policy), use, now)
    while True:
        queue = group.interactive or group.bulk
        other = queue.head()
        if other is None or not builder.fits(other):
            break
        builder.add(queue.pop())
    if group.stage.joins_buckets and policy.padding_share_max > 0.0:
        _join_buckets(builder, group, bulk, policy.padding_share_max)
    return builder


def _take_turns(builder: BatchBuilder, queue: AccountQueues, until: float, use: AccountUse, now: float) -> None:
    """Add requests with keys up to `until`, one of each account in turn. The account that used least is first, the one
    of the batch's first request last."""
    first = builder.requests[0].account
    due = [account for _, account in queue.heads_until(until, builder.room)]
    due.sort(key=lambda account: (account == first, use.seconds(account, now)))
    while due:
        left = []
        for account in due:
            other = queue.head(account)
            if other is None or queue.head_key(account) > until:
                continue
            if not builder.fits(other):
                return
            builder.add(queue.pop(account))
            left.append(account)
        due = left


def _join_buckets(builder: BatchBuilder, group: BatchGroup, bulk: bool, share: float) -> None:
    """Add requests of other buckets, most urgent first, whose padding costs less than `share` of what joining saves.

    It saves the request's part of the fixed cost of the step that its own group would make.
    """
    stage = group.stage
    queues = [g.queue(bulk) for g in stage.executor.groups.values() if g.stage is stage and g is not group]
    heads = [(queue.head_key(), index, queue) for index, queue in enumerate(queues) if queue]
    heapify(heads)
    while heads:
        _, index, queue = heads[0]
        other = queue.head()
        assert other is not None, "empty queues are removed from the heap"
        if builder.padding_seconds(other) > share * stage.cost.fixed / len(queue) or not builder.fits(other):
            heappop(heads)
            continue
        builder.add(queue.pop())
        if queue:
            heapreplace(heads, (queue.head_key(), index, queue))
        else:
            heappop(heads)
