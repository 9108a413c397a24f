"""Runs the step of one batch: calls the engine, validates its results, calls the sinks. No threads, clock or queue."""

from __future__ import annotations

import logging
import math
import operator
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.samples import amplified, silence
from voxwire_server.engines.base import Job, NoSlot, StepResult
from voxwire_server.scheduling.clause_reading import as_words, as_written, without_unreadable
from voxwire_server.scheduling.request import PREPARE, RequestOutput, StepOutcome, StepStatus
from voxwire_server.speech import AudioChunk, Clause, EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voxwire_server.engines.base import Engine
    from voxwire_server.scheduling.request import Batch, SynthesisRequest
    from voxwire_server.speech import PhonemeMark, WordMark

logger = logging.getLogger(__name__)

CHECK_STEPS_MAX = 64
"""A codec-frame engine that makes this many steps of one word without an error has passed the health check."""


class WorkerReplaced(BaseException):
    """The step took so long that its worker was replaced meanwhile; its results are dropped."""


def execute_step(
    engine: Engine,
    batch: Batch,
    on_out_of_memory: Callable[[], None],
    still_assigned: Callable[[], bool] = lambda: True,
) -> list[StepOutcome]:
    """Run the step of a batch. Returns one outcome per request; failures and invalid results of the engine become
    errors in the outcomes of the requests concerned.

    A step that raises `MemoryError` is reported to `on_out_of_memory`, split in two, and each half is tried once. The
    engine is not called for requests that were cancelled since the batch was picked; their outcomes come last.
    `still_assigned` is called after each call of the engine: whether the batch still belongs to this worker.

    Raises:
        WorkerReplaced: it does not.
    """

    def check() -> None:
        if not still_assigned():
            raise WorkerReplaced

    requests = [request for request in batch.requests if not request.cancelled]
    try:
        if batch.stage == PREPARE:
            outcomes = [_prepare(engine, request, check) for request in requests]
        else:
            outcomes = _step_or_split(engine, batch.stage, requests, on_out_of_memory, check)
    except WorkerReplaced:
        raise
    except BaseException as error:
        _log(engine, batch.stage, error)
        outcomes = [
            StepOutcome(request, StepStatus.FAILED, request.job, error=_step_failed(batch.stage, error))
            for request in requests
        ]
    stepped = set(requests)
    return outcomes + [
        StepOutcome(request, StepStatus.NEXT, request.job) for request in batch.requests if request not in stepped
    ]


def check_engine(engine: Engine) -> None:
    """Synthesise one word with an engine, on a thread that steps it, and drop the audio.

    Raises:
        Exception: the engine failed.
    """
    voice = next(iter(engine.info.voices), None)
    language = voice.languages[0] if voice is not None else "en-us"
    clause = Clause("one", (0, 3), range(3), "" if voice is None else voice.name, language, 1.0, 0)
    job = engine.prepare(clause)
    try:
        for _ in range(0 if job.empty else CHECK_STEPS_MAX):
            (result,) = engine.step(job.stage, [job])
            if result.error is not None:
                raise result.error
            if result.stage is None:
                break
            job.stage, job.bucket, job.cost = result.stage, result.bucket, result.cost
    finally:
        engine.finish(job, EndReason.CANCELLED)


def failed_outcomes(batch: Batch, message: str, *, retry: bool) -> list[StepOutcome]:
    """The outcomes of a batch whose step is lost: its requests fail. With `retry`, those without any audio so far start
    over, once."""
    outcomes = []
    for request in batch.requests:
        again = retry and not (request.spoken or request.retries or request.cancelled)
        error = None if again else VoxwireError(ErrorCode.ENGINE_FAILED, message, retry_after_ms=1000)
        status = StepStatus.RETRY if again else StepStatus.FAILED
        outcomes.append(StepOutcome(request, status, request.job, error=error))
    return outcomes


def end_reason(outcome: StepOutcome) -> EndReason | None:
    """Why an outcome's job leaves its engine; None while it stays."""
    if outcome.request.cancelled:
        return EndReason.CANCELLED
    match outcome.status:
        case StepStatus.FINISHED:
            return EndReason.COMPLETED
        case StepStatus.FAILED:
            return EndReason.FAILED
        case StepStatus.NEXT | StepStatus.NO_SLOT | StepStatus.RETRY:
            return None
        case _:
            assert_never(outcome.status)


def output_of(outcome: StepOutcome) -> RequestOutput | None:
    """What is delivered to the request's session; None where there is nothing new for it."""
    request = outcome.request
    finished = outcome.status in (StepStatus.FINISHED, StepStatus.FAILED)
    if request.cancelled or not (finished or outcome.encoded):
        return None
    return RequestOutput(
        request, outcome.encoded, finished, outcome.error, request.queue_seconds, request.synth_seconds
    )


def overloaded_outcome(request: SynthesisRequest, message: str) -> StepOutcome:
    """The outcome of a request for which its engine has no memory or no slot."""
    error = VoxwireError(ErrorCode.ENGINE_OVERLOADED, message)
    return StepOutcome(request, StepStatus.FAILED, request.job, error=error)


def _prepare(engine: Engine, request: SynthesisRequest, check: Callable[[], None]) -> StepOutcome:
    if not request.clause.text:  # a pause alone: nothing for the engine
        return _call_sink(engine, StepOutcome(request, StepStatus.FINISHED), None)
    try:
        job = engine.prepare(_clause(engine, request))
        if not isinstance(job, Job):
            raise TypeError(f"prepare returned {type(job).__name__}, not a Job")
        if not job.empty:
            _set_next(engine, job, job.stage, job.bucket, job.cost)
    except Exception as error:
        check()
        _log(engine, PREPARE, error)
        return _failed(request, error)
    check()
    if not job.empty:
        return StepOutcome(request, StepStatus.NEXT, job)
    text = request.clause.text
    request.unspoken = ((0, len(text)),) if any(character.isalnum() for character in text) else ()
    return _call_sink(engine, StepOutcome(request, StepStatus.FINISHED, job), None)


def _clause(engine: Engine, request: SynthesisRequest) -> Clause:
    """The clause as the engine is given it."""
    if engine.info.reads_signs:
        return request.clause
    clause, request.source_map = as_words(request.clause)
    clause, request.unspoken = without_unreadable(clause, request.source_map)
    return clause


def _step_or_split(
    engine: Engine,
    stage: str,
    requests: Sequence[SynthesisRequest],
    on_out_of_memory: Callable[[], None],
    check: Callable[[], None],
) -> list[StepOutcome]:
    if not requests:
        return []
    try:
        return _step(engine, stage, requests, check)
    except MemoryError:
        on_out_of_memory()
        return _step_halves(engine, stage, requests, check)


def _step(
    engine: Engine, stage: str, requests: Sequence[SynthesisRequest], check: Callable[[], None]
) -> list[StepOutcome]:
    jobs = [_job(request) for request in requests]
    try:
        results = list(engine.step(stage, jobs))
        if len(results) != len(jobs):
            raise ValueError(f"{len(results)} results for {len(jobs)} jobs")
    except NoSlot as refusal:
        check()
        return _no_slot_outcomes(engine, requests, refusal)
    except MemoryError:
        check()
        raise
    except Exception as error:
        check()
        _log(engine, stage, error)
        return [
            StepOutcome(request, StepStatus.FAILED, request.job, error=_step_failed(stage, error))
            for request in requests
        ]
    check()
    return [_outcome(engine, request, result) for request, result in zip(requests, results, strict=True)]


def _step_failed(stage: str, error: BaseException) -> VoxwireError:
    return VoxwireError(ErrorCode.ENGINE_FAILED, f"engine step {stage!r} failed: {_describe(error)}")


def _step_halves(
    engine: Engine, stage: str, requests: Sequence[SynthesisRequest], check: Callable[[], None]
) -> list[StepOutcome]:
    middle = (len(requests) + 1) // 2
    outcomes: list[StepOutcome] = []
    for half in (requests[:middle], requests[middle:]):
        try:
            outcomes += _step(engine, stage, half, check) if half else []
        except MemoryError:
            outcomes += [overloaded_outcome(request, "the engine is out of memory") for request in half]
    return outcomes


def _no_slot_outcomes(engine: Engine, requests: Sequence[SynthesisRequest], refusal: NoSlot) -> list[StepOutcome]:
    """Outcomes after `NoSlot`: no job was stepped. The jobs that it names wait for a slot, others are tried again."""
    named = {id(job) for job in refusal.jobs}
    outcomes = []
    for request in requests:
        job = _job(request)
        status = StepStatus.NO_SLOT if not named or id(job) in named else StepStatus.NEXT
        try:
            _set_next(engine, job, job.stage, job.bucket, job.cost)
        except Exception as error:
            outcomes.append(_invalid_result(engine, request, error))
        else:
            outcomes.append(StepOutcome(request, status, job))
    return outcomes


def _outcome(engine: Engine, request: SynthesisRequest, result: StepResult) -> StepOutcome:
    job = _job(request)
    try:
        if result.error is not None:
            return _failed(request, result.error)
        finished = result.stage is None
        if not finished:
            _set_next(engine, job, result.stage, result.bucket, result.cost)
        outcome = StepOutcome(request, StepStatus.FINISHED if finished else StepStatus.NEXT, job)
        chunk = None if result.chunk is None else _validated(result.chunk)
        if chunk is not None and chunk.alignment is not None and request.source_map is not None:
            written = as_written(chunk.alignment, request.source_map, request.clause.text)
            chunk = AudioChunk(chunk.samples, written)
    except Exception as error:
        return _invalid_result(engine, request, error)
    if chunk is not None:
        if not np.isfinite(chunk.samples).all():
            problem = VoxwireError(ErrorCode.CLAUSE_FAILED, "the engine returned samples that are not finite numbers")
            return StepOutcome(request, StepStatus.FAILED, job, error=problem)
        outcome.audio_seconds = len(chunk.samples) / engine.info.sample_rate
    return _call_sink(engine, outcome, chunk)


def _set_next(engine: Engine, job: Job, stage: object, bucket: object, cost: object) -> None:
    """Write a job's next step into it.

    Raises:
        ValueError, TypeError: the engine has no such step; the scheduler's state would become invalid.
    """
    if not any(stage == each.name for each in engine.info.stages):
        raise ValueError("the next stage is not one of the engine's")
    seconds = float(cost)  # type: ignore[arg-type]
    if not 0.0 <= seconds < math.inf:
        raise ValueError("the cost of the next step is not a duration")
    job.stage, job.bucket, job.cost = str(stage), operator.index(bucket), seconds  # type: ignore[arg-type]


def _validated(chunk: AudioChunk) -> AudioChunk:
    """A valid chunk: samples converted to float32, shape [n]; the alignment's marks are ranges of whole numbers.

    Raises:
        ValueError, TypeError: it is not valid and can't be converted.
    """
    samples: NDArray[Any] = chunk.samples
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise TypeError("samples are not a one-dimensional array of floating point numbers")
    alignment = chunk.alignment
    if alignment is not None:
        for word in alignment.words:
            _check_mark(word)
        for phoneme in alignment.phonemes:
            _check_mark(phoneme)
    return chunk if samples.dtype == np.float32 else AudioChunk(samples.astype(np.float32), alignment)


def _check_mark(mark: WordMark | PhonemeMark) -> None:
    start, end, (first, last) = operator.index(mark.start), operator.index(mark.end), map(operator.index, mark.chars)
    if not (0 <= start <= end and 0 <= first <= last):
        raise ValueError("a mark of the alignment is not a range")


def _invalid_result(engine: Engine, request: SynthesisRequest, error: Exception) -> StepOutcome:
    """The outcome of a request for which its engine returned an invalid result."""
    _log(engine, request.stage, error)
    problem = VoxwireError(ErrorCode.ENGINE_FAILED, f"the engine returned an invalid result: {_describe(error)}")
    return StepOutcome(request, StepStatus.FAILED, request.job, error=problem)


def _call_sink(engine: Engine, outcome: StepOutcome, chunk: AudioChunk | None) -> StepOutcome:
    """Pass a chunk, or the end of the clause, to the request's sink; an error in it fails the request."""
    finished = outcome.status is StepStatus.FINISHED
    if outcome.request.cancelled or (chunk is None and not finished):
        return outcome
    try:
        chunk = _styled(chunk, outcome.request.clause, engine.info.sample_rate, finished=finished)
        outcome.encoded = outcome.request.sink(outcome.request, chunk, finished)
    except BaseException as error:
        problem = VoxwireError(ErrorCode.INTERNAL, f"audio could not be encoded: {_describe(error)}")
        return StepOutcome(outcome.request, StepStatus.FAILED, outcome.job, error=problem)
    return outcome


def _styled(chunk: AudioChunk | None, clause: Clause, sample_rate: int, *, finished: bool) -> AudioChunk | None:
    """A chunk as loud as its clause asks, and with the silence that follows the clause, if it is the last."""
    if chunk is not None and clause.gain != 1.0:
        chunk = AudioChunk(amplified(chunk.samples, clause.gain), chunk.alignment)
    if not finished or clause.pause_after <= 0.0:
        return chunk
    pause = silence(clause.pause_after, sample_rate)
    return AudioChunk(pause) if chunk is None else AudioChunk(np.concatenate([chunk.samples, pause]), chunk.alignment)


def _failed(request: SynthesisRequest, error: BaseException) -> StepOutcome:
    if not isinstance(error, VoxwireError):
        error = VoxwireError(ErrorCode.CLAUSE_FAILED, f"the clause could not be synthesised: {_describe(error)}")
    return StepOutcome(request, StepStatus.FAILED, request.job, error=error)


def _job(request: SynthesisRequest) -> Job:
    assert request.job is not None, "a prepared request has a job"
    return request.job


def _describe(error: BaseException) -> str:
    """An error's type, for logs. Its message may quote text of a user, which must not be logged."""
    return type(error).__name__


def _log(engine: Engine, stage: str, error: BaseException) -> None:
    """Log an error's type and the line that raised it."""
    if isinstance(error, VoxwireError):
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    logger.error("engine %s, stage %s: %s%s", engine.info.name, stage, _describe(error), where)
