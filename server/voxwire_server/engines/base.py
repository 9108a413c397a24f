"""The interface of an engine (a TTS model), through which one scheduler serves all of them. Knows no sessions.

A clause becomes a `Job` (`prepare`), the job passes through the engine's stages in batched steps (`step`), and is freed
(`finish`). Clause engines synthesise a whole clause in a few steps; codec-frame engines a few frames at every step, and
jobs join and leave the batch between steps (continuous batching).

Mixtures of voices are named here, too, as "af_heart:0.6+am_adam:0.4": names with weights, joined by plus signs.
`UsesDevice` is for engines that can report their device's memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.speech import AudioChunk, Clause, EndReason, Voice


@dataclass(frozen=True, slots=True)
class StageInfo:
    """One kind of step. Only jobs of one stage and one bucket share a batch of at most `batch_size_max` jobs.

    `joins_buckets`: jobs of other buckets may join the batch, padded to the longest, if that costs less than a step of
    their own; a job's `cost` is then proportional to its length.
    """

    name: str
    batch_size_max: int = 1
    joins_buckets: bool = False


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The constant properties of an engine.

    `executor`: where its steps run. "cpu": on the shared pool of CPU workers, at most `concurrency` at once (the
    engine's `step` must be safe to call from that many threads). "device": on the one thread of its device's executor.
    `device`: the device of an engine with executor "device", such as "cuda:0". Engines of the same device share its
    thread, so that no two of their steps overlap; an engine that names no device has an executor to itself.
    `slots`: how many jobs may be past `prepare` at once (KV slots of a codec-frame engine); 0 means no limit.
    `realtime_factor`: seconds of one worker per second of audio, a first guess until the scheduler has measured it.
    `clause_chars_max`: the longest clause it takes, in characters of `Clause.text`.
    `mixes`: it has mixtures of its voices too, named as `parse_mix` reads them.
    `reads_signs`: it gets clauses as they were written, and reads numbers and signs itself; others get words.
    """

    name: str
    sample_rate: int
    voices: tuple[Voice, ...]
    stages: tuple[StageInfo, ...]
    unit: Literal["clause", "codec_frame"] = "clause"
    timing: Literal["phoneme", "none"] = "none"
    executor: Literal["cpu", "device"] = "cpu"
    device: str = ""
    concurrency: int = 1
    slots: int = 0
    realtime_factor: float = 0.1
    chars_per_second: float = 15.0
    clause_chars_max: int = 300
    mixes: bool = False
    reads_signs: bool = False
    description: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """One clause inside one engine. Engines subclass it to carry tokens, generators and device state.

    Jobs of the same `stage` and `bucket` can be batched; `cost` is the predicted seconds of the next step of this job
    alone. `empty` is true when nothing in the clause can be pronounced: such a job is never stepped.
    """

    clause: Clause
    stage: str
    bucket: int = 0
    cost: float = 0.0
    empty: bool = False


@dataclass(slots=True)
class StepResult:
    """The result of one step for one job.

    `chunk` may be None (no audio yet). `stage`, `bucket` and `cost` describe the next step; `stage` None means the job
    is finished. `error` fails this job alone.
    """

    chunk: AudioChunk | None = None
    stage: str | None = None
    bucket: int = 0
    cost: float = 0.0
    error: Exception | None = None


@dataclass(slots=True)
class NoSlot(Exception):
    """A step could not take `jobs` because no slot is free; they keep their stage and are tried again."""

    jobs: Sequence[Job] = field(default_factory=tuple)


class EngineUnavailable(Exception):
    """An engine can't be created; `hint` names the missing extra or weights, and the command that gets them."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Engine(Protocol):
    """A model.

    `prepare` runs on CPU workers, `step` on the executor that `info` names. `finish` may run on any worker thread, not
    only on that executor's, and while `step` runs for other jobs. Nothing runs on the event loop.
    """

    @property
    def info(self) -> EngineInfo:
        """What the engine is; constant."""

    def warm_up(self) -> None:
        """Do everything that is slow the first time. Called before the server reports that it is ready."""

    def prepare(self, clause: Clause) -> Job:
        """Do the text work of a clause: normalise, phonemise, tokenise. Thread-safe; no device work.

        Raises:
            Exception: the clause can't be prepared; its job alone fails.
        """

    def step(self, stage: str, jobs: Sequence[Job]) -> Sequence[StepResult]:
        """Make one batched call; one result per job, in order. The jobs share `stage` and bucket.

        Raises:
            NoSlot: some jobs can't enter yet.
            Exception: the whole batch fails.
        """

    def finish(self, job: Job, reason: EndReason) -> None:
        """Free what the job holds, also after it was cancelled or failed. Idempotent; may run on any worker thread."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Memory of a device: of live tensors, held by this process in all, and in total."""

    device: str
    allocated_bytes: int
    reserved_bytes: int
    total_bytes: int


@runtime_checkable
class UsesDevice(Protocol):
    """An engine that can report its device's memory."""

    def device_memory(self) -> DeviceMemory | None:
        """The memory of the device it runs on, shared by all engines of this process; None where it has no device.

        Cheap, and callable from any thread.
        """


VOICES_MAX = 8
_SHARE_DIGITS = 4


def parse_mix(name: str) -> tuple[tuple[str, float], ...] | None:
    """The voices and their shares, which add up to 1, sorted by name; None if `name` is a single voice's.

    A voice without a weight weighs 1.

    Raises:
        ValueError: a weight is not above 0, a voice comes twice, or there are more than eight.
    """
    if "+" not in name and ":" not in name:
        return None
    weights: dict[str, float] = {}
    for part in name.split("+"):
        voice, colon, weight = part.strip().partition(":")
        voice = voice.strip()
        if not voice or voice in weights:
            raise ValueError(f"{voice or 'an empty name'} can't be in a mixture{' twice' if voice else ''}")
        weights[voice] = _weight(weight) if colon else 1.0
    if len(weights) > VOICES_MAX:
        raise ValueError(f"a mixture has at most {VOICES_MAX} voices")
    total = sum(weights.values())
    return tuple(sorted((voice, weight / total) for voice, weight in weights.items()))


def mix_name(parts: tuple[tuple[str, float], ...]) -> str:
    """The canonical name of a mixture."""
    return "+".join(f"{voice}:{share:.{_SHARE_DIGITS}g}" for voice, share in parts)


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not (math.isfinite(weight) and weight > 0):
        raise ValueError(f"{text.strip() or 'nothing'} is no weight above 0")
    return weight
