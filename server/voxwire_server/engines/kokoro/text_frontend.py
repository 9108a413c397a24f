"""What an engine of Kokoro reads with and whom it sounds like, whatever the network runs in: makes jobs of clauses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.engines.kokoro.jobs import KokoroJob
from voxwire_server.speech import Clause

if TYPE_CHECKING:
    from voxwire_server.engines.base import Engine
    from voxwire_server.engines.kokoro.g2p.languages import Languages
    from voxwire_server.engines.kokoro.voices import Styles
    from voxwire_server.speech import Voice

_WARM_UP = "This is how the voice warms up."


@dataclass(frozen=True, slots=True)
class TextFrontend:
    """The languages that can be read, the voices there are, and their styles. Safe for any number of threads."""

    languages: Languages
    voices: tuple[Voice, ...]
    styles: Styles

    def job(self, clause: Clause, stage: str) -> KokoroJob:
        """The clause as it is read, before `stage`; empty when nothing in it can be pronounced."""
        pieces = self.languages.read(clause.text, clause.language)
        return KokoroJob(clause, stage, empty=not pieces, pieces=pieces, voice=self.styles[clause.voice])

    def rehearse(self, engine: Engine) -> None:
        """Load what reading takes, and have the engine speak once."""
        self.languages.warm_up()
        voice = self.voices[0]
        clause = Clause(_WARM_UP, (0, len(_WARM_UP)), range(len(_WARM_UP)), voice.name, voice.languages[0], 1.0, 0)
        job = engine.prepare(clause)
        stage: str | None = job.stage
        while stage is not None:
            stage = engine.step(stage, [job])[0].stage
