"""Requests without a session, and a scheduler whose steps the test makes."""

from __future__ import annotations

from support.scheduler_sim import clause, model_info
from voxwire_server.engines.base import EngineInfo, Job
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import PREPARE, Batch, StepOutcome, StepStatus, SynthesisRequest
from voxwire_server.scheduling.scheduler import Scheduler


def make_request(
    context_key="a", *, deadline=10.0, index=0, engine="model", text="hello there", **more
) -> SynthesisRequest:
    """A request that is due at `deadline`; neither bulk nor a first clause by default."""
    flags = {"bulk": False, "first": False, "ends_utterance": False, "sink": lambda *_: True} | more
    return SynthesisRequest(context_key, engine, clause(text), index, deadline, **flags)


def scheduler(*infos: EngineInfo, workers: int = 1, **policy) -> Scheduler:
    """A scheduler of the engines given; of one CPU engine "model" by default."""
    infos = infos or (model_info(concurrency=workers),)
    return Scheduler({info.name: info for info in infos}, workers, Policy(**policy))


def finish(
    sched: Scheduler, batch: Batch, seconds: float = 0.01, now: float = 0.0, *, audio: float = 1.0
) -> list[SynthesisRequest]:
    """Complete a step: prepared requests go on to the engine's first stage in bucket 0, all others are finished."""
    return sched.complete(batch, [_outcome(sched, batch, request, audio) for request in batch.requests], seconds, now)


def prepare_all(sched: Scheduler, now: float = 0.0, buckets: dict[str, int] | None = None) -> None:
    """Prepare all requests that wait for it; `buckets` by context key."""
    while (batch := sched.pick("cpu", now)) is not None and batch.stage == PREPARE:
        (request,) = batch.requests
        stage = next(name for name in sched._engines[request.engine].stages if name != PREPARE)
        job = Job(request.clause, stage, (buckets or {}).get(request.context_key, 0))
        sched.complete(batch, [StepOutcome(request, StepStatus.NEXT, job)], 0.0001, now)
    assert batch is None, "prepare_all is for executors that only prepare"


def _outcome(sched: Scheduler, batch: Batch, request: SynthesisRequest, audio: float) -> StepOutcome:
    if batch.stage == PREPARE:
        stage = next(name for name in sched._engines[request.engine].stages if name != PREPARE)
        return StepOutcome(request, StepStatus.NEXT, Job(request.clause, stage))
    return StepOutcome(request, StepStatus.FINISHED, request.job, audio_seconds=audio)


def context_keys(batch: Batch | None) -> list:
    """The context keys of a batch's requests."""
    return [] if batch is None else [request.context_key for request in batch.requests]
