"""The batch shapes for which CUDA graphs are captured, and in which order. Numbers only; imports no torch."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from enum import Enum


class Stage(Enum):
    """A stage of the network."""

    ENCODE = "encode"
    FRONT = "front"
    GENERATE = "generate"


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a padded batch: `length` counts tokens in encode, frames of 25 ms in front and generate."""

    stage: Stage
    rows: int
    length: int


@dataclass(frozen=True, slots=True)
class ShapeBuckets:
    """The shapes of one stage: every pair of rows and length whose product is at most `positions_max`."""

    rows: tuple[int, ...]
    lengths: tuple[int, ...]
    positions_max: int

    def smallest(self, rows: int, length: int) -> tuple[int, int] | None:
        """Rows and length of the smallest bucket that holds a batch; None if none does."""
        row, column = bisect.bisect_left(self.rows, rows), bisect.bisect_left(self.lengths, length)
        if row == len(self.rows) or column == len(self.lengths):
            return None
        pair = self.rows[row], self.lengths[column]
        return pair if pair[0] * pair[1] <= self.positions_max else None


_ROWS = (1, 2, 4, 8, 16, 32, 64)
_TOKENS = (16, 32, 64, 128, 256, 512)
_FRAMES = (20, 32, 50, 80, 125, 200, 320, 500, 800)
BUCKETS = {
    Stage.ENCODE: ShapeBuckets(_ROWS, _TOKENS, 4096),
    Stage.FRONT: ShapeBuckets(_ROWS, _FRAMES, 6400),
    Stage.GENERATE: ShapeBuckets(_ROWS[:-1], _FRAMES, 2048),
}
"""129 shapes. A graph saves the host's kernel launches, which larger batches hide: 2048 frames are 51 s of speech, for
which a large GPU needs about as long as a host needs to launch a step's kernels. The buckets are coarse because padding
costs a GPU nothing below that size."""


def bucket_of(buckets: dict[Stage, ShapeBuckets], stage: Stage, rows: int, length: int) -> Shape | None:
    """The smallest shape that holds a batch; None if none does."""
    pair = buckets[stage].smallest(rows, length)
    return None if pair is None else Shape(stage, *pair)


def capture_order(buckets: dict[Stage, ShapeBuckets]) -> list[Shape]:
    """All shapes: each stage's largest first, whose memory the others then share, then by rows and length."""
    found = [
        Shape(stage, rows, length)
        for stage, each in buckets.items()
        for rows in each.rows
        for length in each.lengths
        if rows * length <= each.positions_max
    ]
    largest = [max((s for s in found if s.stage is stage), key=lambda s: s.rows * s.length) for stage in buckets]
    largest.sort(key=lambda shape: shape.stage is not Stage.GENERATE)
    return largest + sorted((s for s in found if s not in largest), key=lambda s: (s.rows, s.length))
