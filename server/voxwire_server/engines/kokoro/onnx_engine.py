"""Kokoro's int8 ONNX export as an engine for CPUs: one piece of a clause a step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineInfo, Job, StageInfo, StepResult
from voxwire_server.engines.kokoro.jobs import KokoroJob
from voxwire_server.engines.kokoro.postprocess import chunk_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.engines.kokoro.onnx_network import OnnxNetwork
    from voxwire_server.engines.kokoro.text_frontend import TextFrontend
    from voxwire_server.speech import Clause, EndReason

SAMPLE_RATE = 24000
_STAGE = "speak"
_REALTIME_FACTOR = 0.35
_SYMBOLS_PER_SECOND = 15.0


class KokoroOnnxEngine:
    """See `voxwire_server.engines.base.Engine`. Safe for any number of threads; a job is stepped by one at a time."""

    def __init__(self, network: OnnxNetwork, script: TextFrontend, name: str, concurrency: int) -> None:
        self._network = network
        self._script = script
        self._info = EngineInfo(
            name=name,
            sample_rate=SAMPLE_RATE,
            voices=script.voices,
            stages=(StageInfo(_STAGE, batch_size_max=1),),
            timing="phoneme",
            mixes=True,
            concurrency=concurrency,
            realtime_factor=_REALTIME_FACTOR,
            clause_chars_max=220,
            description="Kokoro-82M, int8 on the CPU",
        )

    @property
    def info(self) -> EngineInfo:
        """What the engine is; constant."""
        return self._info

    def warm_up(self) -> None:
        """Load what reading takes, and speak once."""
        self._script.rehearse(self)

    def prepare(self, clause: Clause) -> KokoroJob:
        """Read the text. A clause in which nothing can be pronounced gives an empty job."""
        job = self._script.job(clause, _STAGE)
        job.cost = _cost(job)
        return job

    def step(self, stage: str, jobs: Sequence[Job]) -> Sequence[StepResult]:
        """Speak the next piece of each job."""
        assert stage == _STAGE
        return [self._speak(job) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:  # noqa: ARG002 -- part of the interface
        """Drop what the job still had to say."""
        assert isinstance(job, KokoroJob)
        job.pieces = job.pieces[: job.spoken]

    def _speak(self, job: Job) -> StepResult:
        assert isinstance(job, KokoroJob)
        assert not job.empty, "an empty job is never stepped"
        samples, durations = self._network.run(job.piece.ids, job.style, job.speed)
        chunk = chunk_of(job, samples, durations)
        more = job.spoken < len(job.pieces)
        return StepResult(chunk, _STAGE if more else None, 0, _cost(job))


def _cost(job: KokoroJob) -> float:
    """Predicted seconds of the job's next step alone."""
    if job.spoken >= len(job.pieces):
        return 0.0
    return len(job.piece.ids) / _SYMBOLS_PER_SECOND / job.speed * _REALTIME_FACTOR
