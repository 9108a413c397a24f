"""Kokoro in torch as an engine: three batched stages over clauses of many sessions, on a GPU or a CPU."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import torch

from voxwire_server.engines.base import EngineInfo, StageInfo, StepResult
from voxwire_server.engines.kokoro.model.network import FRAME_SAMPLES
from voxwire_server.engines.kokoro.model.vocoder import SAMPLE_RATE
from voxwire_server.engines.kokoro.text_frontend import KokoroJob

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from voxwire_server.engines.base import DeviceMemory, Job
    from voxwire_server.engines.kokoro.runtime.steps import TorchSteps
    from voxwire_server.engines.kokoro.text_frontend import TextFrontend
    from voxwire_server.speech import Clause, EndReason, Voice

ENCODE, FRONT, GENERATE = "encode", "front", "generate"
TOKEN_BUCKETS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
FRAME_BUCKETS = tuple(round(20 * 1.25**k) for k in range(32))
"""Frames of 25 ms: from half a second on, each a quarter longer than the one before; on average a ninth is padding."""
BATCH_SIZE_MAX = {ENCODE: 64, FRONT: 64, GENERATE: 32}
"""The largest batch of each stage on a GPU; on a CPU it is 1."""
_SYMBOLS_PER_SECOND = 15.0
# Seconds of the device per second of audio, and each stage's share of them: first guesses, until the scheduler has
# measured. The GPU's is an estimate; the CPU's are half of one thread's time, measured on two cores (decision 11).
_CPU_REALTIME_FACTOR = {torch.float32: 0.35, torch.bfloat16: 0.25}
_GPU_REALTIME_FACTOR = 0.005
_SHARES = {ENCODE: 0.1, FRONT: 0.1, GENERATE: 0.8}


def torch_info(
    name: str, voices: tuple[Voice, ...], device: torch.device, dtype: torch.dtype, concurrency: int = 1
) -> EngineInfo:
    """What the engine is on this device, with its large convolutions of type `dtype`.

    A GPU takes one batch after the other. On a CPU a batch takes as long as its rows one after the other, so batches
    have one row there; `concurrency` steps run at once, each on torch's number of threads.
    """
    gpu = device.type == "cuda"
    stages = BATCH_SIZE_MAX if gpu else dict.fromkeys(BATCH_SIZE_MAX, 1)
    precision = str(dtype).removeprefix("torch.")
    return EngineInfo(
        name=name,
        sample_rate=SAMPLE_RATE,
        voices=voices,
        stages=tuple(StageInfo(stage, size, joins_buckets=size > 1) for stage, size in stages.items()),
        timing="phoneme",
        mixes=True,
        executor="device" if gpu else "cpu",
        device=str(device) if gpu else "",
        concurrency=concurrency,
        realtime_factor=_GPU_REALTIME_FACTOR if gpu else _CPU_REALTIME_FACTOR[dtype],
        clause_chars_max=300 if gpu else 220,
        description=f"Kokoro-82M, torch, {precision} on {'the GPU' if gpu else 'the CPU'}",
    )


class KokoroEngine:
    """See `voxwire_server.engines.base.Engine`. Steps on a GPU run on one thread, on a CPU on any."""

    def __init__(self, steps: TorchSteps, frontend: TextFrontend, info: EngineInfo) -> None:
        self._steps = steps
        self._frontend = frontend
        self._info = info

    @property
    def info(self) -> EngineInfo:
        """What the engine is; constant."""
        return self._info

    def warm_up(self) -> None:
        """Load the dictionaries, synthesise one clause, and capture CUDA graphs."""
        self._frontend.warm_up(self)
        self._steps.capture_graphs()

    def prepare(self, clause: Clause) -> KokoroJob:
        """Turn the text into phonemes. A clause in which nothing can be pronounced gives an empty job."""
        job = self._frontend.job(clause, ENCODE)
        if not job.empty:
            self._enter_encode(job)
        return job

    def step(self, stage: str, jobs: Sequence[Job]) -> Sequence[StepResult]:
        """Make one batched call: encode, front, generate, then encode again for the clause's next piece.

        Raises:
            MemoryError: the device has no room for the batch; its jobs are unchanged.
        """
        own = [job for job in jobs if isinstance(job, KokoroJob)]
        assert len(own) == len(jobs), "jobs of this engine"
        try:
            return self._step(stage, own)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
        # Raised out here: torch's own error would keep the step's tensors alive by its frames.
        raise MemoryError(f"no room for {len(own)} jobs at {stage}")

    def _step(self, stage: str, own: Sequence[KokoroJob]) -> list[StepResult]:
        match stage:
            case "encode":
                self._steps.encode(own)
                return [self._next(job, FRONT) for job in own]
            case "front":
                self._steps.front(own)
                return [self._next(job, GENERATE) for job in own]
            case "generate":
                samples = self._steps.generate(own)
                return [self._chunk(job, part) for job, part in zip(own, samples, strict=True)]
            case _:
                raise AssertionError(f"no stage {stage!r}")

    def finish(self, job: Job, reason: EndReason) -> None:  # noqa: ARG002 -- part of the interface
        """Drop the job's pieces that are not done, and its tensors."""
        assert isinstance(job, KokoroJob)
        job.drop_rest()

    def device_memory(self) -> DeviceMemory | None:
        """See `voxwire_server.engines.base.UsesDevice`."""
        return self._steps.device_memory()

    def _enter_encode(self, job: KokoroJob) -> None:
        tokens = len(job.piece.ids)
        job.stage, job.bucket = ENCODE, bisect.bisect_left(TOKEN_BUCKETS, tokens)
        job.cost = self._cost(ENCODE, tokens / _SYMBOLS_PER_SECOND / job.speed)

    def _next(self, job: KokoroJob, stage: str) -> StepResult:
        cost = self._cost(stage, job.length * FRAME_SAMPLES / SAMPLE_RATE)
        return StepResult(stage=stage, bucket=bisect.bisect_left(FRAME_BUCKETS, job.length), cost=cost)

    def _cost(self, stage: str, audio_seconds: float) -> float:
        return _SHARES[stage] * self._info.realtime_factor * audio_seconds

    def _chunk(self, job: KokoroJob, samples: NDArray[np.float32]) -> StepResult:
        assert job.durations is not None
        chunk = job.take_chunk(samples, job.durations.numpy())
        if job.pieces_done == len(job.pieces):
            return StepResult(chunk)
        self._enter_encode(job)
        return StepResult(chunk, job.stage, job.bucket, job.cost)


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory: a GPU's has an exception type of its own, the host's only a message."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
