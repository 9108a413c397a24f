"""The embedded voice as an engine "mute" without alignment, which a test can install beside the server's engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voxwire_server.engines.base import Job, StepResult
from voxwire_server.engines.hibari import create as create_hibari
from voxwire_server.speech import AudioChunk, Clause, EndReason


class NoTimingEngine:
    """hibari, but its chunks have no alignment."""

    def __init__(self) -> None:
        self._engine = create_hibari()
        voices = tuple(replace(voice, name="mute", engine="mute") for voice in self._engine.info.voices[:1])
        self.info = replace(self._engine.info, name="mute", timing="none", voices=voices)
        self._voice = self._engine.info.voices[0].name

    def warm_up(self) -> None:
        self._engine.warm_up()

    def prepare(self, clause: Clause) -> Job:
        return self._engine.prepare(replace(clause, voice=self._voice))

    def step(self, stage: str, jobs: Sequence[Job]) -> list[StepResult]:
        results = self._engine.step(stage, jobs)
        return [replace(each, chunk=each.chunk and AudioChunk(each.chunk.samples)) for each in results]

    def finish(self, job: Job, reason: EndReason) -> None:
        self._engine.finish(job, reason)


def install(folder: Path) -> dict[str, str]:
    """Write the engine's entry point into `folder`; the environment in which Python processes find it."""
    about = folder / "voxwire_mute-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: voxwire-mute\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[voxwire.engines]\nmute = support.no_timing_engine:NoTimingEngine\n")
    return {"PYTHONPATH": f"{folder}:{Path(__file__).parents[1]}"}
