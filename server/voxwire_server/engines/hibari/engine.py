"""hibari as an engine: one sentence a step, on CPU workers, with the durations that its graph computes brought out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from hibari import dsp
from hibari.g2p import G2P
from hibari.tts import ASSETS
from hibari.voices import voice_path

from voxwire_server.engines.base import EngineInfo, Job, StageInfo, StepResult
from voxwire_server.engines.hibari.graph import with_output
from voxwire_server.engines.hibari.reading import STRESSES, readings
from voxwire_server.engines.hibari.waveform import noise_table, synthesise
from voxwire_server.speech import Alignment, AudioChunk, Clause, PhonemeMark, Voice, WordMark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxwire_server.engines.hibari.reading import Reading
    from voxwire_server.speech import EndReason

DURATIONS = "/Clip_output_0"
"""The tensor that holds each id's duration, pads included, in units of 25 ms; the audio has 600 samples for each."""
DURATION_SAMPLES = 600
VOICE = "heart"
ID_SECONDS = 0.0005
"""What one id costs on one core of a small server: a first guess, the scheduler learns the rest."""

WARM_UP = ("Hello there.", "On the 3rd of May, 1,250 people paid $9.99 each, zyxomatically speaking.")


@dataclass(slots=True, eq=False)
class HibariJob(Job):
    """A clause as readings, how many of them are spoken, and the clause's own noise."""

    readings: Sequence[Reading] = ()
    spoken: int = 0
    samples: int = 0
    noise: np.random.Generator = field(default_factory=np.random.default_rng)


class HibariEngine:
    """American English, one voice. The same clause and seed give the same samples, from any thread."""

    def __init__(self) -> None:
        self.info = EngineInfo(
            name="hibari",
            sample_rate=dsp.SR,
            voices=(
                Voice(VOICE, "hibari", ("en-us",), "American English, distilled from Kokoro's af_heart.", "female"),
            ),
            stages=(StageInfo("speak"),),
            timing="phoneme",
            concurrency=64,
            realtime_factor=0.007,
            clause_chars_max=220,
            description="The embedded voice: hibari-tts 0.2.1, 24 kHz, no download.",
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = with_output(Path(voice_path(VOICE)).read_bytes(), DURATIONS)
        self._network = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        with open(os.path.join(ASSETS, "vocab.json"), encoding="utf-8") as file:
            self._vocabulary: dict[str, int] = json.load(file)
        self._g2p = G2P()

    def warm_up(self) -> None:
        """Load the net for unknown words and let every buffer grow once."""
        noise_table()
        self._g2p.oov("zyxomatic")
        for text in WARM_UP:
            job = self.prepare(Clause(text, (0, len(text)), range(len(text)), VOICE, "en-us", 1.0, 0))
            while self.step("speak", [job])[0].stage is not None:
                pass

    def prepare(self, clause: Clause) -> HibariJob:
        """Read the clause: G2P, sentence by sentence."""
        found = readings(clause.text, self._g2p, self._vocabulary)
        return HibariJob(
            clause,
            "speak",
            cost=_cost(found[0]) if found else 0.0,
            empty=not found,
            readings=found,
            noise=np.random.default_rng(clause.seed),
        )

    def step(self, stage: str, jobs: Sequence[Job]) -> list[StepResult]:
        """Speak each job's next sentence."""
        assert stage == "speak"
        return [self._speak(job) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:
        """A job holds nothing."""
        del job, reason

    def _speak(self, job: Job) -> StepResult:
        assert isinstance(job, HibariJob)
        reading = job.readings[job.spoken]
        samples, durations = self._synthesise(reading, job.clause.speed, job.noise)
        chunk = AudioChunk(samples, align(reading, durations, job.clause, job.samples))
        job.spoken += 1
        job.samples += len(samples)
        if job.spoken == len(job.readings):
            return StepResult(chunk)
        return StepResult(chunk, "speak", cost=_cost(job.readings[job.spoken]))

    def _synthesise(
        self, reading: Reading, speed: float, noise: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Samples, shape [n], and the duration of each id in samples."""
        inputs = {"ids": np.asarray([reading.ids], np.int64), "speed": np.asarray([speed], np.float32)}
        *spectra, durations = self._network.run(None, inputs)
        samples = synthesise([spectrum[0] for spectrum in spectra], noise)
        return samples, np.rint(durations.reshape(-1)).astype(np.int64) * DURATION_SAMPLES


def _cost(reading: Reading) -> float:
    return len(reading.ids) * ID_SECONDS


def align(reading: Reading, durations: NDArray[np.int64], clause: Clause, offset: int) -> Alignment:
    """When each word and phoneme of a reading sounds, `offset` samples into its clause.

    A stress mark sounds with the vowel it stands before; spaces, marks and pads belong to no word.
    """
    ends = np.cumsum(durations).tolist()
    phonemes: list[PhonemeMark] = []
    spans: dict[int, tuple[int, int]] = {}
    stress_start: int | None = None
    for i, symbol in enumerate(reading.symbols):
        start, end = ends[i] + offset, ends[i + 1] + offset
        if symbol.word < 0:
            stress_start = None
            continue
        spans[symbol.word] = (spans.get(symbol.word, (start, end))[0], end)
        if symbol.ipa in STRESSES:
            stress_start = start if stress_start is None else stress_start
            continue
        begin = start if stress_start is None else stress_start
        phonemes.append(PhonemeMark(symbol.ipa, begin, end, reading.words[symbol.word]))
        stress_start = None
    words = tuple(
        WordMark(clause.text[slice(*reading.words[word])], start, end, reading.words[word])
        for word, (start, end) in sorted(spans.items())
    )
    return Alignment(words, tuple(phonemes))
