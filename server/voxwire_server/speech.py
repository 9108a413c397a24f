"""The data types that text, engines, scheduling and sessions share. No behaviour beyond checks of their own shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class EndReason(Enum):
    """Why a job left its engine."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of one engine.

    `name` is unique within the engine; `languages` are BCP 47 tags, the first is its own.
    """

    name: str
    engine: str
    languages: tuple[str, ...]
    description: str = ""
    gender: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the characters [start, end) of a clause's text are to be read, whatever they look like.

    `kind` says what `value` is: other words ("alias"), a pronunciation ("ipa"), or a class of SSML's `say-as`, of which
    `detail` is the format.
    """

    start: int
    end: int
    kind: Literal["alias", "ipa", "say-as"]
    value: str
    detail: str = ""


class WordAliases(Protocol):
    """Pronunciations of words (`voxwire_server.text.lexicon.Lexicon`). Immutable; safe for any number of threads."""

    def aliases(self, text: str, language: str) -> Sequence[tuple[int, int, str]]:
        """What is said in place of the characters [start, end) of `text`: in its order, disjoint."""


@dataclass(frozen=True, slots=True)
class Clause:
    """The smallest text given to an engine.

    `text` is speakable (no markup). `origins[i]` is the index, in the context's original text, of the character that
    `text[i]` came from: same length as `text`, never decreasing. `chars` is the half-open range of original text that
    the clause stands for. `seed` fixes every random draw of its synthesis. `before` is the end of what was said
    before in the utterance, by which the first words are read. To an engine `text` comes as words ("twenty dollars"),
    and `readings` and `lexicon` were followed.

    The rest is done to the engine's audio, after it: samples are multiplied by `gain`, and `pause_after` seconds of
    silence follow. `pitch` is in semitones; engines may follow it.
    """

    text: str
    chars: tuple[int, int]
    origins: Sequence[int]
    voice: str
    language: str
    speed: float
    seed: int
    before: str = ""
    readings: tuple[Reading, ...] = ()
    gain: float = 1.0
    pitch: float = 0.0
    pause_after: float = 0.0
    lexicon: WordAliases | None = None

    def __post_init__(self) -> None:
        assert len(self.origins) == len(self.text), "one origin per character"


@dataclass(frozen=True, slots=True)
class PhonemeMark:
    """One phoneme: its samples [start, end) at the engine's rate, its characters [start, end) in `Clause.text`."""

    ipa: str
    start: int
    end: int
    chars: tuple[int, int]


@dataclass(frozen=True, slots=True)
class WordMark:
    """One word: its samples [start, end) at the engine's rate, its characters [start, end) in `Clause.text`."""

    text: str
    start: int
    end: int
    chars: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Alignment:
    """When each word and phoneme of a clause sounds; sample 0 is the clause's first. Sorted by start, no overlap."""

    words: tuple[WordMark, ...] = ()
    phonemes: tuple[PhonemeMark, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Samples from one step of one job: float32, mono, shape [n], nominally within [-1, 1], at the engine's rate."""

    samples: NDArray[np.float32]
    alignment: Alignment | None = field(default=None)


Pose = tuple[tuple[int, float], ...]
"""A mixture of visemes: (shape id, weight) of the shapes that take part, by id; the weights add up to 1."""

CLOSED: Pose = ((0, 1.0),)
"""The mouth at rest: `sil` alone."""


class Move(NamedTuple):
    """The mouth leaves its pose at `leave` and has reached `pose` at `reach`, in samples of the context's clock."""

    leave: int
    reach: int
    pose: Pose
