"""The hibari engine: a clause sentence by sentence, on any number of CPU workers at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineInfo, Job, StageInfo, StepResult
from voxwire_server.engines.common.alignment import DURATION_SAMPLES, align, pause_after, trim
from voxwire_server.engines.common.g2p import EnglishReader, Sentence
from voxwire_server.engines.hibari.network import Network
from voxwire_server.engines.hibari.vocoder import HOP, SAMPLE_RATE, Vocoder
from voxwire_server.speech import AudioChunk, Clause, EndReason, Voice

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "hibari"
_STAGE = "speak"
_VOICE = Voice("heart", NAME, ("en-us",), "American English, bright and warm", "female")
# Seconds of one core per second of audio, G2P included: `bench/cost.py`.
_REALTIME_FACTOR = 0.005
_SYMBOLS_PER_SECOND = 16.0
# The speeds at which the distilled durations are still plausible.
_SPEED_MIN, _SPEED_MAX = 0.25, 4.0
_WARM_UP = "This is how the voice warms up, and a second time with rather more words than before. Done."

_WORD = (1 << 64) - 1

assert DURATION_SAMPLES == 2 * HOP


@dataclass(slots=True, eq=False)
class HibariJob(Job):
    """`sentences` are synthesised one per step; `sentences_done` of them are done and gave `samples` samples."""

    sentences: list[Sentence] = field(default_factory=list)
    sentences_done: int = 0
    samples: int = 0


class HibariEngine:
    """See `voxwire_server.engines.base.Engine`. Safe for any number of threads; a job is stepped by one at a time."""

    def __init__(self) -> None:
        self._reader = EnglishReader()
        self._network = Network()
        self._vocoder = Vocoder()
        self._info = EngineInfo(
            name=NAME,
            sample_rate=SAMPLE_RATE,
            voices=(_VOICE,),
            stages=(StageInfo(_STAGE, batch_size_max=1),),
            timing="phoneme",
            concurrency=64,
            realtime_factor=_REALTIME_FACTOR,
            clause_chars_max=220,
            description="embedded English voice, 7.9 MB, distilled from Kokoro-82M's af_heart",
        )

    @property
    def info(self) -> EngineInfo:
        """What the engine is; constant."""
        return self._info

    def warm_up(self) -> None:
        """Load the network for unknown words, and synthesise one clause."""
        self._reader.warm_up()
        clause = Clause(_WARM_UP, (0, len(_WARM_UP)), range(len(_WARM_UP)), _VOICE.name, "en", 1.0, 0)
        job = self.prepare(clause)
        while self.step(_STAGE, [job])[0].stage is not None:
            pass

    def prepare(self, clause: Clause) -> Job:
        """Turn the text into phonemes. A clause in which nothing can be pronounced gives an empty job."""
        sentences = self._reader.read(clause.text)
        job = HibariJob(clause, _STAGE, empty=not sentences, sentences=sentences)
        job.cost = _cost(job)
        return job

    def step(self, stage: str, jobs: Sequence[Job]) -> Sequence[StepResult]:
        """Synthesise the next sentence of each job."""
        assert stage == _STAGE
        return [self._synthesise(job) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:  # noqa: ARG002 -- part of the interface
        """Drop the job's sentences."""
        assert isinstance(job, HibariJob)
        job.sentences = []

    def _synthesise(self, job: Job) -> StepResult:
        assert isinstance(job, HibariJob)
        assert not job.empty, "an empty job is never stepped"
        clause, sentence = job.clause, job.sentences[job.sentences_done]
        speed = min(max(clause.speed, _SPEED_MIN), _SPEED_MAX)
        head, f0, durations = self._network.run(sentence.ids, speed)
        samples = self._vocoder.samples(head, f0, noise_row(clause.seed, job.sentences_done))
        alignment = align(sentence, durations, clause.text, job.samples)
        pause = pause_after(job.sentences, job.sentences_done, clause.text)
        samples, alignment = trim(samples, alignment, job.samples, pause)
        job.sentences_done += 1
        job.samples += len(samples)
        more = job.sentences_done < len(job.sentences)
        return StepResult(AudioChunk(samples, alignment), _STAGE if more else None, 0, _cost(job) if more else 0.0)


def noise_row(seed: int, sentence: int) -> int:
    """The row of the noise table at which a sentence of a clause begins, from any int as a seed; the same everywhere.

    The finaliser of SplitMix64 (Steele, Lea, Flood 2014) spreads neighbouring seeds.
    """
    mixed = (seed + (sentence + 1) * 0x9E3779B97F4A7C15) & _WORD
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _WORD
    return mixed ^ mixed >> 31


def _cost(job: HibariJob) -> float:
    """Predicted seconds of the job's next step alone."""
    if job.sentences_done >= len(job.sentences):
        return 0.0
    speed = min(max(job.clause.speed, _SPEED_MIN), _SPEED_MAX)
    return len(job.sentences[job.sentences_done].ids) / _SYMBOLS_PER_SECOND / speed * _REALTIME_FACTOR
