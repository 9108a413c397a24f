"""Reads viseme keyframes as the protocol says, for tests that look at whole tracks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from voxwire_protocol.messages import VisemeTiming
from voxwire_protocol.visemes import COUNT, SIL


class Mouth:
    """All keyframes of one context."""

    def __init__(self) -> None:
        self._channels: list[list[tuple[int, float]]] = [[] for _ in range(COUNT)]

    def add(self, visemes: Iterable[VisemeTiming]) -> None:
        """Take a message's keyframes."""
        for each in visemes:
            self._channels[each.id].append((each.pts, each.weight))

    def weights(self, pts: int) -> list[float]:
        """The weights at `pts`, by id."""
        return [float(row[0]) for row in self.sampled(np.array([pts])).T]

    def sampled(self, pts: NDArray[np.int64]) -> NDArray[np.float64]:
        """The weights at many moments, shape [len(pts), 15]."""
        columns = []
        for id, channel in enumerate(self._channels):
            if not channel:
                columns.append(np.full(len(pts), float(id == SIL)))
                continue
            at = np.array([frame[0] for frame in channel])
            weight = np.array([frame[1] for frame in channel])
            after = np.searchsorted(at, pts, side="right")
            left, right = np.maximum(after - 1, 0), np.minimum(after, len(at) - 1)
            span = np.maximum(at[right] - at[left], 1)
            line = weight[left] + (weight[right] - weight[left]) * np.clip((pts - at[left]) / span, 0, 1)
            columns.append(np.where(after == 0, float(id == SIL), line))
        return np.stack(columns, axis=1)
