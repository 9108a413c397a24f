"""Drives an engine as the runner does, but without threads: batches by stage and bucket, until all jobs have ended."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from voxwire_server.engines.base import Engine, Job, NoSlot
from voxwire_server.speech import Clause, EndReason, PhonemeMark, WordMark


@dataclass(slots=True, eq=False)
class SynthesisedClause:
    """The audio and marks of one clause."""

    chunks: list[np.ndarray] = field(default_factory=list)
    words: list[WordMark] = field(default_factory=list)
    phonemes: list[PhonemeMark] = field(default_factory=list)

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.float32)


def clause_for(engine: Engine, text: str, *, seed: int = 7, speed: float = 1.0, voice: str | None = None) -> Clause:
    chosen = voice or engine.info.voices[0].name
    return Clause(text, (0, len(text)), range(len(text)), chosen, "en-us", speed, seed)


def speak(engine: Engine, clause: Clause) -> SynthesisedClause:
    return speak_all(engine, [clause])[0]


def speak_all(engine: Engine, clauses: list[Clause]) -> list[SynthesisedClause]:
    """Synthesise clauses together, in the largest batches that the engine allows."""
    jobs = [engine.prepare(clause) for clause in clauses]
    synthesised = {id(job): SynthesisedClause() for job in jobs}
    waiting = [job for job in jobs if not job.empty]
    while waiting:
        batch = _batch(engine, waiting)
        try:
            results = engine.step(batch[0].stage, batch)
        except NoSlot as refusal:
            batch = [job for job in batch if job not in refusal.jobs]
            results = engine.step(batch[0].stage, batch)
        assert len(results) == len(batch)
        for job, result in zip(batch, results, strict=True):
            assert result.error is None
            if result.chunk is not None:
                _take(synthesised[id(job)], result.chunk)
            if result.stage is None:
                engine.finish(job, EndReason.COMPLETED)
                waiting.remove(job)
            else:
                job.stage, job.bucket, job.cost = result.stage, result.bucket, result.cost
                # To the back, so that other jobs are in the next batch first, as under a scheduler with deadlines.
                waiting.remove(job)
                waiting.append(job)
    return [synthesised[id(job)] for job in jobs]


def _batch(engine: Engine, waiting: list[Job]) -> list[Job]:
    first = waiting[0]
    largest = next(stage.batch_size_max for stage in engine.info.stages if stage.name == first.stage)
    return [job for job in waiting if (job.stage, job.bucket) == (first.stage, first.bucket)][:largest]


def _take(clause: SynthesisedClause, chunk) -> None:
    clause.chunks.append(chunk.samples)
    if chunk.alignment is not None:
        clause.words += chunk.alignment.words
        clause.phonemes += chunk.alignment.phonemes
