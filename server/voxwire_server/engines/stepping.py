"""Carries out one batch: calls the engine, checks what it gave, shapes the audio. No threads, no clock, no queue."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

import numpy as np

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import NoSlot
from voxwire_server.engines.work import PREPARE, Outcome, Row, Verdict
from voxwire_server.speech import EndReason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_server.engines.base import Engine, Job, StepResult
    from voxwire_server.engines.work import Batch, Work
    from voxwire_server.speech import AudioChunk

logger = logging.getLogger(__name__)


def carry_out(engine: Engine, batch: Batch, on_out_of_memory: Callable[[], None]) -> list[Row]:
    """Run one batch; one row a work, in order. Never raises: what fails becomes an error in its row.

    A step that raises `MemoryError` is told to `on_out_of_memory`, split in two, and each half tried once more.
    Works that were cancelled since they were picked are passed over.
    """
    works = [work for work in batch.works if not work.cancelled]
    if batch.stage == PREPARE:
        rows = [_prepare(engine, work) for work in works]
    else:
        rows = _step_or_split(engine, batch.stage, works, on_out_of_memory)
    return rows + [Row(work, Verdict.NEXT, work.job) for work in batch.works if work not in works]


def end_of(row: Row) -> EndReason | None:
    """How a row's job leaves its engine, or None while it stays."""
    if row.work.cancelled:
        return EndReason.CANCELLED
    match row.verdict:
        case Verdict.FINISHED:
            return EndReason.COMPLETED
        case Verdict.FAILED:
            return EndReason.FAILED
        case Verdict.NEXT | Verdict.NO_SLOT:
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


def _prepare(engine: Engine, work: Work) -> Row:
    try:
        job = engine.prepare(work.clause)
    except Exception as error:
        _log(engine, PREPARE, error)
        return _failed(work, error)
    if not job.empty:
        return Row(work, Verdict.NEXT, job)
    return _shape(Row(work, Verdict.FINISHED, job), None)


def _step_or_split(
    engine: Engine, stage: str, works: Sequence[Work], on_out_of_memory: Callable[[], None]
) -> list[Row]:
    if not works:
        return []
    try:
        return _step(engine, stage, works)
    except MemoryError:
        on_out_of_memory()
        return _step_halves(engine, stage, works)


def _step(engine: Engine, stage: str, works: Sequence[Work]) -> list[Row]:
    jobs = [_job(work) for work in works]
    try:
        results = engine.step(stage, jobs)
        assert len(results) == len(jobs), "one result a job"
    except NoSlot as refusal:
        return _refused(works, refusal)
    except MemoryError:
        raise
    except Exception as error:
        _log(engine, stage, error)
        problem = VoxwireError(ErrorCode.ENGINE_FAILED, f"engine step {stage!r} failed: {_describe(error)}")
        return [Row(work, Verdict.FAILED, work.job, error=problem) for work in works]
    rate = engine.info.sample_rate
    return [_row(work, result, rate) for work, result in zip(works, results, strict=True)]


def _step_halves(engine: Engine, stage: str, works: Sequence[Work]) -> list[Row]:
    middle = (len(works) + 1) // 2
    rows: list[Row] = []
    for half in (works[:middle], works[middle:]):
        try:
            rows += _step(engine, stage, half) if half else []
        except MemoryError:
            rows += [overloaded_row(work, "the engine is out of memory") for work in half]
    return rows


def _refused(works: Sequence[Work], refusal: NoSlot) -> list[Row]:
    """Rows after `NoSlot`: nothing was stepped; the jobs it names wait for a slot, the others are tried again."""
    named = {id(job) for job in refusal.jobs}
    return [
        Row(work, Verdict.NO_SLOT if not named or id(work.job) in named else Verdict.NEXT, work.job) for work in works
    ]


def _row(work: Work, result: StepResult, sample_rate: int) -> Row:
    if result.error is not None:
        return _failed(work, result.error)
    job, chunk = _job(work), result.chunk
    finished = result.stage is None
    if not finished:
        job.stage, job.bucket, job.cost = result.stage or "", result.bucket, result.cost
    row = Row(work, Verdict.FINISHED if finished else Verdict.NEXT, job)
    if chunk is not None:
        if not np.isfinite(chunk.samples).all():
            problem = VoxwireError(ErrorCode.CLAUSE_FAILED, "the engine gave samples that are no numbers")
            return Row(work, Verdict.FAILED, job, error=problem)
        row.audio_seconds = len(chunk.samples) / sample_rate
        row.alignment = chunk.alignment
    return _shape(row, chunk)


def _shape(row: Row, chunk: AudioChunk | None) -> Row:
    finished = row.verdict is Verdict.FINISHED
    if row.work.cancelled or (chunk is None and not finished):
        return row
    try:
        row.shaped = row.work.sink(row.work, chunk, finished)
    except Exception as error:
        problem = VoxwireError(ErrorCode.INTERNAL, f"audio could not be shaped: {_describe(error)}")
        return Row(row.work, Verdict.FAILED, row.job, error=problem)
    return row


def _failed(work: Work, error: Exception) -> Row:
    if not isinstance(error, VoxwireError):
        error = VoxwireError(ErrorCode.CLAUSE_FAILED, f"the clause could not be spoken: {_describe(error)}")
    return Row(work, Verdict.FAILED, work.job, error=error)


def _job(work: Work) -> Job:
    assert work.job is not None, "a prepared work has a job"
    return work.job


def _describe(error: Exception) -> str:
    """The kind of an error. Its own text may quote what a user wrote, which must not reach logs."""
    return type(error).__name__


def _log(engine: Engine, stage: str, error: Exception) -> None:
    if isinstance(error, VoxwireError):
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    logger.error("engine %s, stage %s: %s%s", engine.info.name, stage, _describe(error), where)
