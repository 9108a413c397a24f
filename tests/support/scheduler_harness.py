"""Works without a context, and a scheduler stepped by hand."""

from __future__ import annotations

from support.scheduler_sim import clause, model_info
from voxwire_server.engines.base import EngineInfo, Job
from voxwire_server.engines.work import PREPARE, Batch, Row, Verdict, Work
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.scheduler import Scheduler


def work(owner="a", *, deadline=10.0, index=0, engine="model", text="hello there", **more) -> Work:
    """A work that is due at `deadline`; neither bulk nor first unless told."""
    flags = {"bulk": False, "first": False, "ends_utterance": False, "sink": lambda *_: True} | more
    return Work(owner, engine, clause(text), index, deadline, **flags)


def scheduler(*infos: EngineInfo, workers: int = 1, **policy) -> Scheduler:
    """A scheduler of the engines given (one CPU engine "model" unless given)."""
    infos = infos or (model_info(concurrency=workers),)
    return Scheduler({info.name: info for info in infos}, workers, Policy(**policy))


def finish(
    sched: Scheduler, batch: Batch, seconds: float = 0.01, now: float = 0.0, *, audio: float = 1.0
) -> list[Work]:
    """End a step: prepared works go on to the engine's first stage in bucket 0, all others are finished."""
    return sched.complete(batch, [_row(sched, batch, work, audio) for work in batch.works], seconds, now)


def prepare_all(sched: Scheduler, now: float = 0.0, buckets: dict[str, int] | None = None) -> None:
    """Make all text work that waits; `buckets` by owner."""
    while (batch := sched.pick("cpu", now)) is not None and batch.stage == PREPARE:
        (owned,) = batch.works
        stage = next(name for name in sched._engines[owned.engine].stages if name != PREPARE)
        job = Job(owned.clause, stage, (buckets or {}).get(owned.owner, 0))
        sched.complete(batch, [Row(owned, Verdict.NEXT, job)], 0.0001, now)
    assert batch is None, "prepare_all is for lanes that only prepare"


def _row(sched: Scheduler, batch: Batch, owned: Work, audio: float) -> Row:
    if batch.stage == PREPARE:
        stage = next(name for name in sched._engines[owned.engine].stages if name != PREPARE)
        return Row(owned, Verdict.NEXT, Job(owned.clause, stage))
    return Row(owned, Verdict.FINISHED, owned.job, audio_seconds=audio)


def owners(batch: Batch | None) -> list:
    """Whose works a batch holds."""
    return [] if batch is None else [owned.owner for owned in batch.works]
