"""The classes of shapes that are worth recording, and in which order. Numbers only."""

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
    """A padded batch: `length` is of tokens in encode, of frames of 25 ms in front and generate."""

    stage: Stage
    rows: int
    length: int


@dataclass(frozen=True, slots=True)
class ShapeBuckets:
    """The shapes of one stage: every pair whose product is at most `positions_max`."""

    rows: tuple[int, ...]
    lengths: tuple[int, ...]
    positions_max: int

    def fitting(self, rows: int, length: int) -> tuple[int, int] | None:
        """The smallest class that holds a batch; None where there is none."""
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
"""129 shapes. A graph spares the host's launches, which larger batches hide: 2048 frames are 51 s of speech, for which
a large GPU needs about as long as a host for launching a step's kernels. Classes lie far apart, for below that the
padding costs nothing."""


def shape_of(classes: dict[Stage, ShapeBuckets], stage: Stage, rows: int, length: int) -> Shape | None:
    """The smallest shape that holds a batch; None where there is none."""
    pair = classes[stage].fitting(rows, length)
    return None if pair is None else Shape(stage, *pair)


def in_order(classes: dict[Stage, ShapeBuckets]) -> list[Shape]:
    """All shapes: each stage's largest first, in whose memory the others find room, then from few rows to many."""
    found = [
        Shape(stage, rows, length)
        for stage, each in classes.items()
        for rows in each.rows
        for length in each.lengths
        if rows * length <= each.positions_max
    ]
    largest = [max((s for s in found if s.stage is stage), key=lambda s: s.rows * s.length) for stage in classes]
    largest.sort(key=lambda shape: shape.stage is not Stage.GENERATE)
    return largest + sorted((s for s in found if s not in largest), key=lambda s: (s.rows, s.length))
