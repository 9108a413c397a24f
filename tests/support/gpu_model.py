"""A modelled GPU that runs Kokoro's three stages: the time of each step, and an engine whose audio is silence."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxwire_server.engines.base import EngineInfo, Job, StageInfo, StepResult
from voxwire_server.scheduling.request import PREPARE, Batch
from voxwire_server.speech import AudioChunk, Clause, EndReason, Voice

RATE = 8000
FRAMES_PER_SECOND = 40
TOKEN_BUCKETS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
FRAME_BUCKETS = tuple(round(20 * 1.25**k) for k in range(32))
"""Length buckets of the torch engine."""


@dataclass(frozen=True)
class Gpu:
    """The time of steps: a step's kernel launches, and its share of `audio_factor` for the speech in its padded rows.

    `launch_seconds` by stage: some 1,900 kernels per batch in all, most of them the generator's. `audio_factor`: device
    seconds per second of speech in full batches without padding. `shares`: each stage's part of the arithmetic.
    `noise`: standard deviation of a step's time, as a share of it. `prepare_seconds`: a CPU's text work, fixed and by
    character.
    """

    launch_seconds: Mapping[str, float] = field(
        default_factory=lambda: {"encode": 0.003, "front": 0.003, "generate": 0.006}
    )
    audio_factor: float = 1 / 1500
    shares: Mapping[str, float] = field(default_factory=lambda: {"encode": 0.04, "front": 0.10, "generate": 0.86})
    batch_max: Mapping[str, int] = field(default_factory=lambda: {"encode": 64, "front": 64, "generate": 32})
    noise: float = 0.05
    prepare_seconds: tuple[float, float] = (0.0002, 12e-6)
    chars_per_second: float = 15.0
    length_spread: float = 0.15


@dataclass(slots=True, eq=False)
class GpuJob(Job):
    """A clause; `frames` are of 25 ms."""

    frames: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step: rows, and the speech in them without and with padding, in frames (encode: in symbols)."""

    at: float
    stage: str
    rows: int
    true: int
    padded: int
    seconds: float


class GpuEngine:
    """Kokoro's stages on a modelled device. `steps` lists all steps."""

    def __init__(self, gpu: Gpu, name: str = "model", seed: int = 5) -> None:
        self.gpu = gpu
        self.steps: list[Step] = []
        self._random = random.Random(seed)
        self.info = EngineInfo(
            name,
            RATE,
            voices=(Voice("anna", name, ("en-us",)),),
            stages=tuple(StageInfo(stage, rows, joins_buckets=True) for stage, rows in gpu.batch_max.items()),
            executor="device",
            realtime_factor=0.005,
            chars_per_second=gpu.chars_per_second,
        )

    def warm_up(self) -> None:
        pass

    def prepare(self, clause: Clause) -> GpuJob:
        symbols = len(clause.text)
        job = GpuJob(clause, "encode", bisect_left(TOKEN_BUCKETS, symbols), empty=not clause.text.strip())
        job.cost = self._cost("encode", symbols / self.gpu.chars_per_second)
        spread = random.Random(clause.seed).uniform(-1, 1) * self.gpu.length_spread
        job.frames = max(4, round(symbols / self.gpu.chars_per_second * FRAMES_PER_SECOND * (1 + spread)))
        return job

    def step(self, stage: str, jobs: Sequence[Job]) -> list[StepResult]:
        own = [job for job in jobs if isinstance(job, GpuJob)]
        match stage:
            case "encode":
                return [self._next(job, "front") for job in own]
            case "front":
                return [self._next(job, "generate") for job in own]
            case _:
                silence = [np.zeros(job.frames * RATE // FRAMES_PER_SECOND, np.float32) for job in own]
                return [StepResult(AudioChunk(samples)) for samples in silence]

    def finish(self, job: Job, reason: EndReason) -> None:
        pass

    def seconds(self, batch: Batch) -> float:
        """The seconds of a batch's step, which is added to `steps`."""
        fixed, per_char = self.gpu.prepare_seconds
        if batch.stage == PREPARE:
            return sum(fixed + per_char * len(request.clause.text) for request in batch.requests)
        sizes = [self._size(batch.stage, request.job) for request in batch.requests]
        padded = max(sizes) * len(sizes)
        unit = self.gpu.chars_per_second if batch.stage == "encode" else FRAMES_PER_SECOND
        seconds = self.gpu.launch_seconds[batch.stage]
        seconds += self.gpu.shares[batch.stage] * self.gpu.audio_factor * padded / unit
        seconds *= max(0.5, self._random.gauss(1.0, self.gpu.noise))
        self.steps.append(Step(batch.picked_at, batch.stage, len(sizes), sum(sizes), padded, seconds))
        return seconds

    def _size(self, stage: str, job: Job | None) -> int:
        assert isinstance(job, GpuJob)
        return len(job.clause.text) if stage == "encode" else job.frames

    def _next(self, job: GpuJob, stage: str) -> StepResult:
        cost = self._cost(stage, job.frames / FRAMES_PER_SECOND)
        return StepResult(stage=stage, bucket=bisect_left(FRAME_BUCKETS, job.frames), cost=cost)

    def _cost(self, stage: str, audio_seconds: float) -> float:
        return self.gpu.shares[stage] * self.info.realtime_factor * audio_seconds
