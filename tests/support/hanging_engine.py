"""The tone engine with faults: it hangs or fails where a text asks for it. Installed beside the server for one test."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voxwire_server.engines.base import Job, StepResult
from voxwire_server.engines.tone import create as create_tone
from voxwire_server.speech import Clause, EndReason

HANG, HANG_IN_PREPARE, UNKNOWN_STAGE, EXIT = "hangword", "stuckword", "stageword", "exitword"


class HangingEngine:
    """Makes tones. A clause with one of the words above causes that fault."""

    def __init__(self) -> None:
        self._engine = create_tone()
        voices = tuple(replace(voice, engine="hanging") for voice in self._engine.info.voices)
        self.info = replace(self._engine.info, name="hanging", voices=voices)

    def warm_up(self) -> None:
        self._engine.warm_up()

    def prepare(self, clause: Clause) -> Job:
        if HANG_IN_PREPARE in clause.text:
            threading.Event().wait()
        return self._engine.prepare(clause)

    def step(self, stage: str, jobs: Sequence[Job]) -> Sequence[StepResult]:
        text = " ".join(job.clause.text for job in jobs)
        if HANG in text:
            threading.Event().wait()
        if EXIT in text:
            raise SystemExit
        results = self._engine.step(stage, jobs)
        return [replace(each, stage="no such stage") for each in results] if UNKNOWN_STAGE in text else results

    def finish(self, job: Job, reason: EndReason) -> None:
        self._engine.finish(job, reason)


def install(folder: Path) -> dict[str, str]:
    """Install the engine for Python processes that are started with the environment that is returned."""
    about = folder / "voxwire_hanging-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: voxwire-hanging\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[voxwire.engines]\nhanging = support.hanging_engine:HangingEngine\n")
    before = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[1]), *filter(None, [before])])}
