"""Kokoro's text front end, the same for torch and onnxruntime: makes a job of a clause by its language and voice."""

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
    """The installed languages, the voices and their styles. Safe for any number of threads."""

    languages: Languages
    voices: tuple[Voice, ...]
    styles: Styles

    def job(self, clause: Clause, stage: str) -> KokoroJob:
        """The clause's job, whose next stage is `stage`; empty when nothing in the text can be pronounced."""
        pieces = self.languages.read(clause.text, clause.language)
        return KokoroJob(clause, stage, empty=not pieces, pieces=pieces, voice=self.styles[clause.voice])

    def warm_up(self, engine: Engine) -> None:
        """Load the dictionaries of all languages, and run one clause through all stages of `engine`."""
        self.languages.warm_up()
        voice = self.voices[0]
        clause = Clause(_WARM_UP, (0, len(_WARM_UP)), range(len(_WARM_UP)), voice.name, voice.languages[0], 1.0, 0)
        job = engine.prepare(clause)
        stage: str | None = job.stage
        while stage is not None:
            stage = engine.step(stage, [job])[0].stage
