"""What Kokoro makes of a clause before the network runs: voices, jobs and their phonemes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_server.engines.base import Job, parse_mix
from voxwire_server.engines.common.alignment import align, pause_after, trim
from voxwire_server.speech import AudioChunk, Clause, Voice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxwire_server.engines.base import Engine
    from voxwire_server.engines.common.g2p import Sentence
    from voxwire_server.engines.kokoro.g2p import Languages
    from voxwire_server.speech import Voice

_SPEED_MIN, _SPEED_MAX = 0.5, 2.0
_SEED_MASK = (1 << 63) - 1


@dataclass(slots=True, eq=False)
class KokoroJob(Job):
    """A clause, synthesised piece by piece: `pieces` of which `pieces_done` are done and gave `samples` samples.

    `voice` has a style for each length, [510, 256]. The tensors between stages are the current piece's, not padded:
    `prosody` [L, 640], `speech` [L, 512], `durations` [L] of each token in frames of 25 ms, `frames` [2 T, 512] and
    `pitch` [2 T, 1].
    """

    pieces: list[Sentence] = field(default_factory=list)
    voice: NDArray[np.float32] | None = None
    pieces_done: int = 0
    samples: int = 0
    prosody: Tensor | None = None
    speech: Tensor | None = None
    durations: Tensor | None = None
    frames: Tensor | None = None
    pitch: Tensor | None = None

    @property
    def piece(self) -> Sentence:
        """The piece that is being synthesised."""
        return self.pieces[self.pieces_done]

    @property
    def style(self) -> NDArray[np.float32]:
        """The voice's row for a piece of this length, [256]."""
        assert self.voice is not None
        style: NDArray[np.float32] = self.voice[min(len(self.piece.ids) - 2, len(self.voice)) - 1]
        return style

    @property
    def length(self) -> int:
        """Frames of 25 ms of the piece."""
        assert self.durations is not None
        return int(self.durations.sum())

    @property
    def speed(self) -> float:
        """What the voice's durations are divided by."""
        return min(max(self.clause.speed, _SPEED_MIN), _SPEED_MAX)

    @property
    def seed(self) -> int:
        """The seed of the piece's noise, a signed 64-bit number."""
        return (self.clause.seed * 31 + self.pieces_done) & _SEED_MASK

    def take_chunk(self, samples: NDArray[np.float32], durations: NDArray[np.int64]) -> AudioChunk:
        """The chunk of the current piece, with marks and trimmed; the job goes on to its next piece.

        `samples` [600 T] are the network's, `durations` [L] in frames, one for each id.
        """
        alignment = align(self.piece, durations, self.clause.text, self.samples)
        pause = pause_after(self.pieces, self.pieces_done, self.clause.text)
        samples, alignment = trim(samples, alignment, self.samples, pause)
        self.samples += len(samples)
        self.pieces_done += 1
        self.release_tensors()
        return AudioChunk(samples, alignment)

    def drop_rest(self) -> None:
        """Drop the pieces that are not done, and the tensors."""
        self.release_tensors()
        self.pieces = self.pieces[: self.pieces_done]

    def release_tensors(self) -> None:
        """Free the tensors between stages."""
        self.prosody = self.speech = self.durations = self.frames = self.pitch = None


DEFAULT = "af_heart"
_MIXTURES_KEPT = 64
# A name's first letter is its language, the second its gender: VOICES.md of https://huggingface.co/hexgrad/Kokoro-82M.
_LANGUAGES = {
    "a": ("en-us", "American English"),
    "b": ("en-gb", "British English"),
    "e": ("es", "Spanish"),
    "f": ("fr", "French"),
    "h": ("hi", "Hindi"),
    "i": ("it", "Italian"),
    "j": ("ja", "Japanese"),
    "p": ("pt-br", "Brazilian Portuguese"),
    "z": ("zh", "Mandarin"),
}
_GENDERS = {"f": "female", "m": "male"}


def voices_of(engine: str, names: Iterable[str], languages: tuple[str, ...]) -> tuple[Voice, ...]:
    """The voices whose own language is among `languages`, the default voice first; each has the other languages too."""
    voices = []
    for name in sorted(names, key=lambda name: (name != DEFAULT, name)):
        own, described = _LANGUAGES.get(name[:1], ("", ""))
        if own in languages:
            tags = (own, *(tag for tag in languages if tag != own))
            gender = _GENDERS.get(name[1:2], "")
            voices.append(Voice(name, engine, tags, described, gender))
    return tuple(voices)


class Styles:
    """The styles of a voice or a mixture of voices: [510, 256], one for each number of phonemes. Thread-safe."""

    def __init__(self, voices: Mapping[str, NDArray[np.float32]]) -> None:
        self._voices = voices
        self._mixtures: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """The styles of `name`; a mixture's are the weighted mean of its voices'.

        Raises:
            KeyError: there is no such voice.
        """
        single = self._voices.get(name)
        if single is not None:
            return single
        known = self._mixtures.get(name)
        return self._mixed(name) if known is None else known

    def _mixed(self, name: str) -> NDArray[np.float32]:
        parts = parse_mix(name)
        if parts is None:
            raise KeyError(name)
        rows = min(len(self._voices[voice]) for voice, _ in parts)
        first, *others = [self._voices[voice][:rows] * share for voice, share in parts]
        style: NDArray[np.float32] = sum(others, start=first).astype("float32")
        self._mixtures[name] = style
        if len(self._mixtures) > _MIXTURES_KEPT:
            self._mixtures.popitem(last=False)
        return style


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
