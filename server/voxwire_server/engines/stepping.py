"""Carries out one batch: calls the engine, checks what it gave, shapes the audio. No threads, no clock, no queue."""

from __future__ import annotations

import logging
import math
import operator
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import Job, NoSlot, StepResult
from voxwire_server.engines.work import PREPARE, Outcome, Row, Verdict
from voxwire_server.speech import AudioChunk, Clause, EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voxwire_server.engines.base import Engine
    from voxwire_server.engines.work import Batch, Work
    from voxwire_server.speech import PhonemeMark, WordMark

logger = logging.getLogger(__name__)


CHECK_STEPS_MAX = 64
"""After so many steps of one word a frame engine is taken to be well."""


class Lost(BaseException):
    """The step took so long that its batch was given up meanwhile: what it made is dropped."""


def carry_out(
    engine: Engine,
    batch: Batch,
    on_out_of_memory: Callable[[], None],
    still_wanted: Callable[[], bool] = lambda: True,
) -> list[Row]:
    """Run one batch; one row a work, in order. What fails, and whatever else an engine may not give, becomes an error
    in its row.

    A step that raises `MemoryError` is told to `on_out_of_memory`, split in two, and each half tried once more.
    Works that were cancelled since they were picked are passed over. `still_wanted` is asked after each call of the
    engine.

    Raises:
        Lost: it said no.
    """

    def check() -> None:
        if not still_wanted():
            raise Lost

    works = [work for work in batch.works if not work.cancelled]
    try:
        if batch.stage == PREPARE:
            rows = [_prepare(engine, work, check) for work in works]
        else:
            rows = _step_or_split(engine, batch.stage, works, on_out_of_memory, check)
    except Lost:
        raise
    except BaseException as error:
        _log(engine, batch.stage, error)
        rows = [Row(work, Verdict.FAILED, work.job, error=_step_failed(batch.stage, error)) for work in works]
    stepped = set(works)
    return rows + [Row(work, Verdict.NEXT, work.job) for work in batch.works if work not in stepped]


def check_engine(engine: Engine) -> None:
    """Speak one word with an engine, on the thread that is to step it, and drop it.

    Raises:
        Exception: it can't.
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


def failed_rows(batch: Batch, message: str, *, retry: bool) -> list[Row]:
    """The rows of a batch whose step is lost: works fail, or with `retry` those begin anew, once, of which nothing was
    spoken yet."""
    rows = []
    for work in batch.works:
        again = retry and not (work.spoken or work.retries or work.cancelled)
        error = None if again else VoxwireError(ErrorCode.ENGINE_FAILED, message, retry_after_ms=1000)
        rows.append(Row(work, Verdict.RETRY if again else Verdict.FAILED, work.job, error=error))
    return rows


def end_of(row: Row) -> EndReason | None:
    """How a row's job leaves its engine, or None while it stays."""
    if row.work.cancelled:
        return EndReason.CANCELLED
    match row.verdict:
        case Verdict.FINISHED:
            return EndReason.COMPLETED
        case Verdict.FAILED:
            return EndReason.FAILED
        case Verdict.NEXT | Verdict.NO_SLOT | Verdict.RETRY:
            return None
        case _:
            assert_never(row.verdict)


def outcome_of(row: Row) -> Outcome | None:
    """What the work's owner is told of a row; None when there is nothing to tell."""
    work = row.work
    finished = row.verdict in (Verdict.FINISHED, Verdict.FAILED)
    if work.cancelled or not (finished or row.shaped or row.alignment is not None):
        return None
    return Outcome(work, row.shaped, row.alignment, finished, row.error, work.queue_seconds, work.synth_seconds)


def overloaded_row(work: Work, message: str) -> Row:
    """The row of a work that its engine could not take."""
    return Row(work, Verdict.FAILED, work.job, error=VoxwireError(ErrorCode.ENGINE_OVERLOADED, message))


def _prepare(engine: Engine, work: Work, check: Callable[[], None]) -> Row:
    try:
        job = engine.prepare(work.clause)
        if not isinstance(job, Job):
            raise TypeError(f"prepare gave {type(job).__name__}, not a job")
        if not job.empty:
            _set_next(engine, job, job.stage, job.bucket, job.cost)
    except Exception as error:
        check()
        _log(engine, PREPARE, error)
        return _failed(work, error)
    check()
    if not job.empty:
        return Row(work, Verdict.NEXT, job)
    return _shape(Row(work, Verdict.FINISHED, job), None)


def _step_or_split(
    engine: Engine,
    stage: str,
    works: Sequence[Work],
    on_out_of_memory: Callable[[], None],
    check: Callable[[], None],
) -> list[Row]:
    if not works:
        return []
    try:
        return _step(engine, stage, works, check)
    except MemoryError:
        on_out_of_memory()
        return _step_halves(engine, stage, works, check)


def _step(engine: Engine, stage: str, works: Sequence[Work], check: Callable[[], None]) -> list[Row]:
    jobs = [_job(work) for work in works]
    try:
        results = list(engine.step(stage, jobs))
        if len(results) != len(jobs):
            raise ValueError(f"{len(results)} results for {len(jobs)} jobs")
    except NoSlot as refusal:
        check()
        return _refused(engine, works, refusal)
    except MemoryError:
        check()
        raise
    except Exception as error:
        check()
        _log(engine, stage, error)
        return [Row(work, Verdict.FAILED, work.job, error=_step_failed(stage, error)) for work in works]
    check()
    return [_row(engine, work, result) for work, result in zip(works, results, strict=True)]


def _step_failed(stage: str, error: BaseException) -> VoxwireError:
    return VoxwireError(ErrorCode.ENGINE_FAILED, f"engine step {stage!r} failed: {_describe(error)}")


def _step_halves(engine: Engine, stage: str, works: Sequence[Work], check: Callable[[], None]) -> list[Row]:
    middle = (len(works) + 1) // 2
    rows: list[Row] = []
    for half in (works[:middle], works[middle:]):
        try:
            rows += _step(engine, stage, half, check) if half else []
        except MemoryError:
            rows += [overloaded_row(work, "the engine is out of memory") for work in half]
    return rows


def _refused(engine: Engine, works: Sequence[Work], refusal: NoSlot) -> list[Row]:
    """Rows after `NoSlot`: nothing was stepped; the jobs it names wait for a slot, the others are tried again."""
    named = {id(job) for job in refusal.jobs}
    rows = []
    for work in works:
        job = _job(work)
        verdict = Verdict.NO_SLOT if not named or id(job) in named else Verdict.NEXT
        try:
            _set_next(engine, job, job.stage, job.bucket, job.cost)
        except Exception as error:
            rows.append(_broken(engine, work, error))
        else:
            rows.append(Row(work, verdict, job))
    return rows


def _row(engine: Engine, work: Work, result: StepResult) -> Row:
    job = _job(work)
    try:
        if result.error is not None:
            return _failed(work, result.error)
        finished = result.stage is None
        if not finished:
            _set_next(engine, job, result.stage, result.bucket, result.cost)
        row = Row(work, Verdict.FINISHED if finished else Verdict.NEXT, job)
        chunk = None if result.chunk is None else _checked(result.chunk)
    except Exception as error:
        return _broken(engine, work, error)
    if chunk is not None:
        if not np.isfinite(chunk.samples).all():
            problem = VoxwireError(ErrorCode.CLAUSE_FAILED, "the engine gave samples that are no numbers")
            return Row(work, Verdict.FAILED, job, error=problem)
        row.audio_seconds = len(chunk.samples) / engine.info.sample_rate
        row.alignment = chunk.alignment
    return _shape(row, chunk)


def _set_next(engine: Engine, job: Job, stage: object, bucket: object, cost: object) -> None:
    """Write a job's next step into it.

    Raises:
        ValueError, TypeError: there can be no such step: the scheduler's books would not bear it.
    """
    if not any(stage == each.name for each in engine.info.stages):
        raise ValueError("the next stage is none of the engine's")
    seconds = float(cost)  # type: ignore[arg-type]
    if not 0.0 <= seconds < math.inf:
        raise ValueError("the cost of the next step is no length of time")
    job.stage, job.bucket, job.cost = str(stage), operator.index(bucket), seconds  # type: ignore[arg-type]


def _checked(chunk: AudioChunk) -> AudioChunk:
    """A chunk in the shape that it has to have: float32, [n], marks in order within whole numbers.

    Raises:
        ValueError, TypeError: it can't be brought into that shape.
    """
    samples: NDArray[Any] = chunk.samples
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise TypeError("samples are no row of floating point numbers")
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
        raise ValueError("a mark of the alignment is no range")


def _broken(engine: Engine, work: Work, error: Exception) -> Row:
    """The row of a work for which its engine gave what no engine may give."""
    _log(engine, work.stage, error)
    problem = VoxwireError(ErrorCode.ENGINE_FAILED, f"the engine gave no valid result: {_describe(error)}")
    return Row(work, Verdict.FAILED, work.job, error=problem)


def _shape(row: Row, chunk: AudioChunk | None) -> Row:
    finished = row.verdict is Verdict.FINISHED
    if row.work.cancelled or (chunk is None and not finished):
        return row
    try:
        row.shaped = row.work.sink(row.work, chunk, finished)
    except BaseException as error:
        problem = VoxwireError(ErrorCode.INTERNAL, f"audio could not be shaped: {_describe(error)}")
        return Row(row.work, Verdict.FAILED, row.job, error=problem)
    return row


def _failed(work: Work, error: BaseException) -> Row:
    if not isinstance(error, VoxwireError):
        error = VoxwireError(ErrorCode.CLAUSE_FAILED, f"the clause could not be spoken: {_describe(error)}")
    return Row(work, Verdict.FAILED, work.job, error=error)


def _job(work: Work) -> Job:
    assert work.job is not None, "a prepared work has a job"
    return work.job


def _describe(error: BaseException) -> str:
    """The kind of an error. Its own text may quote what a user wrote, which must not reach logs."""
    return type(error).__name__


def _log(engine: Engine, stage: str, error: BaseException) -> None:
    if isinstance(error, VoxwireError):
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    logger.error("engine %s, stage %s: %s%s", engine.info.name, stage, _describe(error), where)
