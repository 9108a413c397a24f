"""Decides which group of a lane is stepped next, and whether for its bulk work. What joins that step, `filling` says.

The earliest deadline comes first, whichever engine it wants, and listeners before bulk. Where engines share a lane one
thing goes before: a listener whose step comes too late in any case must not take the lane from listeners of another
engine again and again, or an engine that can't keep up would starve all others. So of those who are in danger the one
goes first whose engine took least of the lane lately, by listener.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.engines.work import PREPARE
from voxwire_server.scheduling.policy import Order

if TYPE_CHECKING:
    from voxwire_server.engines.work import Work
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.state import Group, LaneState

Rank = tuple[float, int]
"""What comes first has the least."""


def choose(lane: LaneState, policy: Policy, now: float, *, listening: bool) -> tuple[Group, bool] | None:
    """The group to step next and whether for its bulk work; None when nothing may start.

    `listening`: somebody listens, to whatever engine.
    """
    if len(lane.running) >= lane.workers:
        return None
    group = _first(lane, policy, now)
    if group is not None and (lane.since_bulk < policy.bulk_period or not _bulk_is_due(lane, group, policy, now)):
        return None if _leaves_last_worker(lane, group, policy, now) else (group, False)
    bulk = _first_bulk(lane, policy)
    if bulk is None or (listening and _bulk_leaves_worker(lane, bulk, policy)):
        return None
    return bulk, True


def _first(lane: LaneState, policy: Policy, now: float) -> Group | None:
    """The group whose interactive work comes first of those that may start a step."""
    firsts = _by_engine(lane, policy, bulk=False)
    if len(firsts) > 1 and policy.order is Order.DEADLINE:
        return _fairest(lane, list(firsts.values()), now)
    return min(firsts.values(), key=lambda found: found[0])[1] if firsts else None


def _first_bulk(lane: LaneState, policy: Policy) -> Group | None:
    firsts = _by_engine(lane, policy, bulk=True)
    return min(firsts.values(), key=lambda found: found[0])[1] if firsts else None


def _by_engine(lane: LaneState, policy: Policy, *, bulk: bool) -> dict[str, tuple[Rank, Group]]:
    """The group that comes first of each engine, with its rank."""
    firsts: dict[str, tuple[Rank, Group]] = {}
    for group in lane.groups.values():
        queue = group.bulk if bulk else group.interactive
        head = queue.head()
        if head is not None and group.open:
            rank = (queue.head_key(), head.order)
            if policy.order is Order.THROUGHPUT:
                rank = (-float(min(len(queue), group.stage.rows_limit)), head.order)
            name = group.engine.info.name
            if name not in firsts or rank < firsts[name][0]:
                firsts[name] = rank, group
    return firsts


def _fairest(lane: LaneState, firsts: list[tuple[Rank, Group]], now: float) -> Group:
    """The group that comes first of several engines'; see the module."""
    _, first = min(firsts, key=lambda found: found[0])
    ends_at = now + _step_seconds(first, bulk=False)
    if _head(first).deadline >= ends_at:
        return first
    in_danger = [
        (lane.use_by_listener(group.engine, now), rank, group)
        for rank, group in firsts
        if group is first or rank[0] < ends_at + _step_seconds(group, bulk=False)
    ]
    return min(in_danger, key=lambda found: found[:2])[2]


def _bulk_is_due(lane: LaneState, group: Group, policy: Policy, now: float) -> bool:
    """Whether the most urgent work, which is in `group`, can wait for a bulk step and still be in time."""
    bulk = _first_bulk(lane, policy)
    if bulk is None or _bulk_leaves_worker(lane, bulk, policy):
        return False
    seconds = _step_seconds(bulk, bulk=True) + _step_seconds(group, bulk=False)
    return now + seconds + policy.protect_seconds < _head(group).deadline


def _bulk_leaves_worker(lane: LaneState, group: Group, policy: Policy) -> bool:
    """Whether bulk work, while somebody listens, leaves the worker that is free to them."""
    last = len(lane.running) == lane.workers - 1
    return _last_worker(lane, policy) or (last and _step_seconds(group, bulk=True) > policy.bulk_step_seconds_max)


def _last_worker(lane: LaneState, policy: Policy) -> bool:
    return policy.reserve and lane.workers > 1 and len(lane.running) == lane.workers - 1


def _leaves_last_worker(lane: LaneState, group: Group, policy: Policy, now: float) -> bool:
    """Whether the step can wait for a busy worker, so that a first clause that comes meanwhile finds a free one.

    Nobody need look again later: a worker that ends its step picks anew.
    """
    if group.stage.name == PREPARE or not _last_worker(lane, policy):
        return False
    return _head(group).deadline - now > policy.relaxed_seconds + _step_seconds(group, bulk=False)


def _head(group: Group) -> Work:
    head = group.interactive.head()
    assert head is not None, "a chosen group has work"
    return head


def _step_seconds(group: Group, *, bulk: bool) -> float:
    """Predicted seconds of the next step for the first work of a class."""
    head = group.queue(bulk).head()
    return 0.0 if head is None else group.stage.cost.predict(head.units)
