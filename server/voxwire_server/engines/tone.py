"""Engines without weights, for tests of everything but speech: each character is a short tone.

`tone` synthesises a clause in one step; `tone-frames` 80 ms at every step, in batches, as codec-frame models do. Their
audio depends on the clause and its seed alone, and their alignment is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from voxwire_server.engines.base import EngineInfo, Job, NoSlot, StageInfo, StepResult
from voxwire_server.speech import Alignment, AudioChunk, PhonemeMark, Voice, WordMark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxwire_server.speech import Clause, EndReason

SAMPLE_RATE = 24000
CHAR_SAMPLES = 1440
"""60 ms per character: about as long as in speech."""
FRAME_SAMPLES = 1920
"""A codec frame of 80 ms."""
BATCH_MAX = 8
SLOTS = 16


def _voices(engine: str) -> tuple[Voice, ...]:
    return (
        Voice("tone-low", engine, ("en-us", "zh", "ja", "ar"), "A low tone a character; for tests."),
        Voice("tone-high", engine, ("en-us", "zh", "ja", "ar"), "A high tone a character; for tests."),
    )


@dataclass(slots=True, eq=False)
class ToneJob(Job):
    """A clause, and how many of its samples have been returned."""

    samples: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    alignment: Alignment | None = None
    position: int = 0


def tones(clause: Clause) -> NDArray[np.float32]:
    """The clause's audio, [n]: a tone of its own pitch for each character, a phase by the seed; spaces are silent."""
    size = round(CHAR_SAMPLES / clause.speed)
    base = 220.0 if clause.voice == "tone-low" else 440.0
    codes = np.fromiter((ord(c) % 64 for c in clause.text), np.float64, len(clause.text))
    loud = np.fromiter((not c.isspace() for c in clause.text), np.float64, len(clause.text))
    phase = (clause.seed % 1024) / 1024 * 2 * np.pi
    pitch = np.repeat(base * 2 ** (codes / 32), size)
    wave = np.sin(phase + 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) * np.repeat(loud * 0.2, size)
    return wave.astype(np.float32)


def align(clause: Clause) -> Alignment:
    """Words are separated by spaces and hold a letter or digit; each letter and digit counts as a phoneme."""
    size = round(CHAR_SAMPLES / clause.speed)
    words, phonemes, start = [], [], 0
    for word in clause.text.split(" "):
        end = start + len(word)
        if any(character.isalnum() for character in word):
            words.append(WordMark(word, start * size, end * size, (start, end)))
            phonemes += [
                PhonemeMark(clause.text[i], i * size, (i + 1) * size, (i, i + 1))
                for i in range(start, end)
                if clause.text[i].isalnum()
            ]
        start = end + 1
    return Alignment(tuple(words), tuple(phonemes))


class ToneEngine:
    """Synthesises a clause in one step."""

    def __init__(self) -> None:
        self.info = EngineInfo(
            name="tone",
            sample_rate=SAMPLE_RATE,
            voices=_voices("tone"),
            stages=(StageInfo("speak"),),
            timing="phoneme",
            concurrency=64,
            realtime_factor=0.001,
            reads_signs=True,
            description="A tone a character; for tests.",
        )

    def warm_up(self) -> None:
        """Do nothing: no call is slow the first time."""

    def prepare(self, clause: Clause) -> ToneJob:
        """Make the job of a clause; one without letters or digits is empty."""
        empty = not any(c.isalnum() for c in clause.text)
        return ToneJob(clause, "speak", cost=1e-6 * len(clause.text), empty=empty)

    def step(self, stage: str, jobs: Sequence[Job]) -> list[StepResult]:
        """Synthesise each job's whole clause."""
        assert stage == "speak"
        return [StepResult(AudioChunk(tones(job.clause), align(job.clause))) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:
        """Do nothing: a job holds nothing."""
        del job, reason


class ToneFrameEngine:
    """Synthesises 80 ms per step, for up to eight jobs at once; sixteen jobs have a slot."""

    def __init__(self) -> None:
        self.info = EngineInfo(
            name="tone-frames",
            sample_rate=SAMPLE_RATE,
            voices=_voices("tone-frames"),
            stages=(StageInfo("prefill", BATCH_MAX), StageInfo("decode", BATCH_MAX)),
            unit="codec_frame",
            timing="phoneme",
            executor="device",
            slots=SLOTS,
            realtime_factor=0.002,
            reads_signs=True,
            description="A tone a character, 80 ms a step; for tests.",
        )
        self._in_slots: set[int] = set()

    def warm_up(self) -> None:
        """Do nothing: no call is slow the first time."""

    def prepare(self, clause: Clause) -> ToneJob:
        """Make the job of a clause; one without letters or digits is empty."""
        empty = not any(c.isalnum() for c in clause.text)
        return ToneJob(clause, "prefill", cost=1e-5, empty=empty)

    def step(self, stage: str, jobs: Sequence[Job]) -> list[StepResult]:
        """Give jobs a slot (prefill), or synthesise the next frame of each (decode).

        Raises:
            NoSlot: sixteen jobs have a slot.
        """
        if stage == "prefill":
            room = SLOTS - len(self._in_slots)
            if room < len(jobs):
                raise NoSlot(jobs[room:])
            for job in jobs:
                assert isinstance(job, ToneJob)
                self._in_slots.add(id(job))
                job.samples, job.alignment = tones(job.clause), align(job.clause)
            return [StepResult(stage="decode", cost=1e-5) for _ in jobs]
        assert stage == "decode"
        return [self._decode(job) for job in jobs]

    def _decode(self, job: Job) -> StepResult:
        assert isinstance(job, ToneJob)
        start, job.position = job.position, min(len(job.samples), job.position + FRAME_SAMPLES)
        chunk = AudioChunk(job.samples[start : job.position], job.alignment if start == 0 else None)
        return StepResult(chunk, "decode" if job.position < len(job.samples) else None, cost=1e-5)

    def finish(self, job: Job, reason: EndReason) -> None:
        """Free the job's slot."""
        del reason
        self._in_slots.discard(id(job))


def create() -> ToneEngine:
    """The clause engine, for the entry point."""
    return ToneEngine()


def create_frames() -> ToneFrameEngine:
    """The codec-frame engine, for the entry point."""
    return ToneFrameEngine()
