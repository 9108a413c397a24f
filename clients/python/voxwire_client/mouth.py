"""Keeps the keyframes of a context's mouth shapes, and tells the weights of all fifteen at a moment. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from voxwire_protocol.visemes import COUNT, SIL

if TYPE_CHECKING:
    from voxwire_protocol.messages import Timing


def closed() -> list[float]:
    """The weights of a mouth that says nothing: `sil` 1, all others 0."""
    return [1.0 if id == SIL else 0.0 for id in range(COUNT)]


class MouthTrack:
    """The mouth of one context, on its clock.

    `add` every `Timing`, and ask for `weights` at the pts that is heard: one lookup costs O(log n) of the keyframes
    kept. Whoever plays for hours gives up the past with `drop`.
    """

    def __init__(self) -> None:
        self._channels = [_Channel(weight) for weight in closed()]

    def __len__(self) -> int:
        """How many keyframes are kept."""
        return sum(len(channel.pts) for channel in self._channels)

    def add(self, timing: Timing) -> None:
        """Take the keyframes of a message; shapes of a later version of the protocol are passed over."""
        for keyframe in timing.visemes:
            if keyframe.id < COUNT:
                self._channels[keyframe.id].add(keyframe.pts, keyframe.weight)

    def weights(self, pts: int) -> list[float]:
        """The weights of the fifteen shapes at `pts`, by id; each 0 to 1, together 1 as far as the server rounds.

        A player that has run dry, that pauses or was cancelled shows `closed()` instead.
        """
        return [channel.at(pts) for channel in self._channels]

    def forget(self, from_pts: int) -> None:
        """Keyframes at or after `from_pts` count no more, and the mouth is closed from there on.

        This is what a `Reconnected` that did not resume wants: whoever speaks on begins with a closed mouth.
        """
        for channel in self._channels:
            channel.cut(from_pts)

    def drop(self, before_pts: int) -> None:
        """Give up the past: `weights` of a pts before `before_pts` may be wrong from now on."""
        for channel in self._channels:
            channel.drop(before_pts)


class _Channel:
    """The keyframes of one shape, in the order of pts; of several at one pts, in the order in which they came."""

    def __init__(self, rest: float) -> None:
        self.pts: list[int] = []
        self._weights: list[float] = []
        self._rest = rest

    def add(self, pts: int, weight: float) -> None:
        place = len(self.pts) if not self.pts or pts >= self.pts[-1] else bisect_right(self.pts, pts)
        self.pts.insert(place, pts)
        self._weights.insert(place, weight)

    def at(self, pts: int) -> float:
        after = bisect_right(self.pts, pts)
        if after == 0:
            return self._rest
        before = after - 1
        weight = self._weights[before]
        if after == len(self.pts) or weight == self._weights[after]:
            return weight
        start, end = self.pts[before], self.pts[after]
        return weight + (self._weights[after] - weight) * (pts - start) / (end - start)

    def cut(self, pts: int) -> None:
        place = bisect_left(self.pts, pts)
        if place == 0 and not self.pts:
            return
        reached = self._approaching(pts, place)
        del self.pts[place:], self._weights[place:]
        if place:
            self.add(pts, reached)
            self.add(pts, self._rest)

    def _approaching(self, pts: int, place: int) -> float:
        """What the weight comes to just before `pts`; `place` is of the first keyframe at or after it."""
        if place == 0:
            return self._rest
        if place == len(self.pts):
            return self._weights[-1]
        start, end = self.pts[place - 1], self.pts[place]
        first, last = self._weights[place - 1], self._weights[place]
        return first + (last - first) * (pts - start) / (end - start)

    def drop(self, before_pts: int) -> None:
        # The last keyframe up to there is what the line to the next one begins with.
        spare = bisect_right(self.pts, before_pts) - 1
        if spare > len(self.pts) // 2:
            del self.pts[:spare], self._weights[:spare]
