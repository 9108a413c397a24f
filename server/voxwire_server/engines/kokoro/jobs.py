"""A clause inside Kokoro: its pieces, and what one stage leaves for the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_server.engines.base import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxwire_server.engines.common.g2p import Sentence

_SPEED_MIN, _SPEED_MAX = 0.5, 2.0
_SEED_MASK = (1 << 63) - 1


@dataclass(slots=True, eq=False)
class KokoroJob(Job):
    """A clause, spoken piece by piece: `pieces` of which `spoken` are done and gave `samples` samples.

    What one stage leaves for the next is this piece's alone, without padding: `prosody` [L, 640], `speech` [L, 512],
    `durations` of each token in frames, `frames` [2 T, 512] and `pitch` [2 T, 1].
    """

    pieces: list[Sentence] = field(default_factory=list)
    voice: NDArray[np.float32] | None = None
    spoken: int = 0
    samples: int = 0
    prosody: Tensor | None = None
    speech: Tensor | None = None
    durations: Tensor | None = None
    frames: Tensor | None = None
    pitch: Tensor | None = None

    @property
    def piece(self) -> Sentence:
        """What is being spoken."""
        return self.pieces[self.spoken]

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
        """What the voice's own durations are divided by."""
        return min(max(self.clause.speed, _SPEED_MIN), _SPEED_MAX)

    @property
    def seed(self) -> int:
        """The seed of the piece's noise, a signed 64-bit number."""
        return (self.clause.seed * 31 + self.spoken) & _SEED_MASK

    def forget(self) -> None:
        """Let go of what the stages left."""
        self.prosody = self.speech = self.durations = self.frames = self.pitch = None
