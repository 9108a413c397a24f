"""A clause inside Kokoro: its pieces, the tensors that pass from stage to stage, and the chunk made of each piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_server.engines.base import Job
from voxwire_server.engines.common.alignment import align
from voxwire_server.engines.common.trimming import pause_after, trim
from voxwire_server.speech import AudioChunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxwire_server.engines.common.g2p import Sentence

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
