"""Decides whether one more listener can be fed without starving those who listen already.

What a second of audio costs on each lane is learned (`RealtimeCost`), so the load of a lane is known before it is full:
a listener takes a second of audio a second, and more than that while it builds up its lead. Two measured guards stand
beside the model: how long a first clause would wait now, and the share of clauses that came too late in the last
seconds.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from voxwire_server.engines.work import PREPARE, Refusal, RefusalReason

if TYPE_CHECKING:
    from collections.abc import Collection

    from voxwire_server.engines.work import Work
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.scheduling.state import EngineState, LaneState

RETRY_MS_MIN, RETRY_MS_MAX = 250, 5000


def refuse_listener(
    engine: EngineState, engines: Collection[EngineState], speaking: int, policy: Policy, now: float
) -> Refusal | None:
    """Why one more interactive listener would starve, or None. `speaking`: listeners the caller knows of."""
    wait = max(first_clause_wait(engine, lane, now) for lane in engine.lanes())
    if wait > policy.queue_seconds_max:
        return Refusal(_retry_ms(wait - policy.queue_seconds_max), RefusalReason.QUEUE)
    if not speaking and not any(other.listeners for other in engines if engine.shares_lane(other)):
        return None  # even the slowest engine may speak to one
    newcomers = max(0, speaking - len(engine.listeners)) + 1
    load = max(lane_load(lane, engines, policy, engine, newcomers) for lane in engine.lanes())
    if load > policy.utilisation_max:
        return Refusal(_retry_ms(load / policy.utilisation_max), RefusalReason.UTILISATION)
    if load > policy.utilisation_max / 3 and engine.lateness.share(now) > policy.late_share_max:
        return Refusal(_retry_ms(1.0), RefusalReason.LATENESS)
    return None


def refuse_bulk(engine: EngineState, policy: Policy) -> Refusal | None:
    """Why more bulk work is refused, or None."""
    backlog = max(_bulk_seconds(lane) for lane in engine.lanes())
    if backlog > policy.bulk_seconds_max:
        return Refusal(_retry_ms(backlog - policy.bulk_seconds_max), RefusalReason.BULK_BACKLOG)
    return None


def lane_load(
    lane: LaneState,
    engines: Collection[EngineState],
    policy: Policy,
    joining: EngineState | None = None,
    newcomers: int = 0,
) -> float:
    """The share of a lane's time that its listeners take, if so many more join one engine.

    A listener takes a second of audio a second, and at its start as much again as builds up its lead. An engine that
    may not use all workers of the lane counts by those it may use, where that is more.
    """
    total = peak = 0.0
    for engine in engines:
        more = newcomers if engine is joining else 0
        listeners = len(engine.listeners) + more
        if listeners and lane in engine.lanes():
            starting = (engine.owed_seconds + more * policy.start_seconds) / policy.horizon_seconds
            seconds = (listeners + starting) * engine.lane_factor(lane, listeners)
            total += seconds
            if lane is engine.lane:
                peak = max(peak, seconds / min(engine.concurrency, lane.workers))
    return max(total / lane.workers, peak)


def first_clause_wait(engine: EngineState, lane: LaneState, now: float) -> float:
    """Seconds until a lane has done what is due before a first clause that comes now."""
    seconds = sum(max(0.0, b.picked_at + b.predicted_seconds - now) for b in lane.running.values())
    for group in lane.groups.values():
        seconds += sum(_seconds_on(lane, group.engine, work) for work in group.interactive.until(now))
    if lane is engine.lane:
        seconds += sum(_seconds_on(lane, engine, work) for work in engine.waiting.until(now))
    return seconds / lane.workers


def _seconds_on(lane: LaneState, engine: EngineState, work: Work) -> float:
    """Seconds that a work will yet take on a lane. Works that share steps share what is fixed about them."""
    stage = engine.stages[work.stage]
    step = stage.cost.fixed / stage.rows_limit + stage.cost.per_unit * work.units
    whole = len(work.clause.text) / engine.info.chars_per_second * engine.realtime.realtime_factor
    if stage.name == PREPARE:
        return step + whole if lane is engine.lane else step
    return step if engine.info.unit == "clause" else whole


def _bulk_seconds(lane: LaneState) -> float:
    works = ((group.engine, work) for group in lane.groups.values() for work in group.bulk.until(inf))
    return sum(_seconds_on(lane, engine, work) for engine, work in works) / lane.workers


def _retry_ms(seconds: float) -> int:
    return int(min(max(seconds * 1000, RETRY_MS_MIN), RETRY_MS_MAX))
