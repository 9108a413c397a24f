"""Kokoro's int8 ONNX export as an engine for CPUs: one piece of a clause per step.

The graph is edited in memory so that it gives its durations too; nothing of it is written to disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from voxwire_server.engines.base import EngineInfo, Job, StageInfo, StepResult
from voxwire_server.engines.common.onnx_wire import delimited, fields
from voxwire_server.engines.kokoro.text_frontend import KokoroJob

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from voxwire_server.engines.kokoro.text_frontend import TextFrontend
    from voxwire_server.speech import Clause, EndReason

SAMPLE_RATE = 24000
_STAGE = "speak"
_REALTIME_FACTOR = 0.35
_SYMBOLS_PER_SECOND = 15.0
_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1
_AUDIO, _DURATIONS = "audio", "/encoder/Clip_output_0"
_GAIN = 1 / 1.5
"""The export leaves out the division by the windows' overlapping power, which is 1.5 everywhere but at the edges."""


class OnnxNetwork:
    """The whole network, one piece per call. `run` may be called from any number of threads at once."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the export; each call uses `threads` threads.

        Raises:
            ValueError: the file is not the graph this was written for.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        # The arena keeps what the longest clause needed.
        options.enable_cpu_mem_arena = False
        try:
            model = _with_durations(path.read_bytes())
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError(f"{path.name} is not the expected graph: {error}") from error

    def run(
        self, ids: Sequence[int], style: NDArray[np.float32], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Samples [600 T] and the frames of each id, [L], of which T is the sum."""
        feeds = {
            "tokens": np.asarray([ids], np.int64),
            "style": style[None],
            "speed": np.asarray([speed], np.float32),
        }
        samples, durations = self._session.run((_AUDIO, _DURATIONS), feeds)
        return samples.reshape(-1) * np.float32(_GAIN), durations.reshape(-1).astype(np.int64)


class KokoroOnnxEngine:
    """See `voxwire_server.engines.base.Engine`. Safe for any number of threads; a job is stepped by one at a time."""

    def __init__(self, network: OnnxNetwork, frontend: TextFrontend, name: str, concurrency: int) -> None:
        self._network = network
        self._frontend = frontend
        self._info = EngineInfo(
            name=name,
            sample_rate=SAMPLE_RATE,
            voices=frontend.voices,
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
        """Load the dictionaries, and synthesise one clause."""
        self._frontend.warm_up(self)

    def prepare(self, clause: Clause) -> KokoroJob:
        """Turn the text into phonemes. A clause in which nothing can be pronounced gives an empty job."""
        job = self._frontend.job(clause, _STAGE)
        job.cost = _cost(job)
        return job

    def step(self, stage: str, jobs: Sequence[Job]) -> Sequence[StepResult]:
        """Synthesise the next piece of each job."""
        assert stage == _STAGE
        return [self._synthesise(job) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:  # noqa: ARG002 -- part of the interface
        """Drop the job's pieces that are not done."""
        assert isinstance(job, KokoroJob)
        job.drop_rest()

    def _synthesise(self, job: Job) -> StepResult:
        assert isinstance(job, KokoroJob)
        assert not job.empty, "an empty job is never stepped"
        samples, durations = self._network.run(job.piece.ids, job.style, job.speed)
        chunk = job.take_chunk(samples, durations)
        more = job.pieces_done < len(job.pieces)
        return StepResult(chunk, _STAGE if more else None, 0, _cost(job))


def _cost(job: KokoroJob) -> float:
    """Predicted seconds of the job's next step alone."""
    if job.pieces_done >= len(job.pieces):
        return 0.0
    return len(job.piece.ids) / _SYMBOLS_PER_SECOND / job.speed * _REALTIME_FACTOR


def _with_durations(model: bytes) -> bytes:
    """The model with its durations as a second output."""
    output = delimited(_GRAPH_OUTPUT, delimited(_VALUE_NAME, _DURATIONS.encode()))
    return b"".join(
        delimited(_MODEL_GRAPH, part.payload + output) if part.number == _MODEL_GRAPH else part.whole
        for part in fields(model)
    )
