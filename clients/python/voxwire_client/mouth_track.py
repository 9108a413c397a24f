"""The mouth of one context: keyframes of fifteen mouth shapes in, the weights of all shapes at a pts out. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from voxwire_protocol.visemes import COUNT, SIL

if TYPE_CHECKING:
    from voxwire_protocol.messages import Timing


def closed_mouth() -> list[float]:
    """The weights of a closed mouth: `sil` 1, all others 0."""
    return [1.0 if id == SIL else 0.0 for id in range(COUNT)]


class MouthTrack:
    """The mouth of one context, on its clock.

    `add` every `Timing`, and ask for `weights` at the pts that is heard: a lookup costs O(log n) of the keyframes kept.
    For speech of hours, `drop` the past.
    """

    def __init__(self) -> None:
        self._channels = [_Channel(weight) for weight in closed_mouth()]

    def __len__(self) -> int:
        """How many keyframes are kept."""
        return sum(len(channel.pts) for channel in self._channels)

    def add(self, timing: Timing) -> None:
        """Take the keyframes of a message; shapes of later versions of the protocol are ignored."""
        for keyframe in timing.visemes:
            if keyframe.id < COUNT:
                self._channels[keyframe.id].add(keyframe.pts, keyframe.weight)

    def weights(self, pts: int) -> list[float]:
        """The weights of the fifteen shapes at `pts`, by id; each 0 to 1, together 1 as far as the server rounds.

        While the player pauses, has no audio or was cancelled, show `closed_mouth()` instead.
        """
        return [channel.at(pts) for channel in self._channels]

    def forget(self, from_pts: int) -> None:
        """Drop keyframes at or after `from_pts`; the mouth is closed from there on.

        Call it for a `Reconnected` that did not resume: the fresh session begins with a closed mouth.
        """
        for channel in self._channels:
            channel.cut(from_pts)

    def drop(self, before_pts: int) -> None:
        """Forget the past: `weights` of a pts before `before_pts` may be wrong from now on."""
        for channel in self._channels:
            channel.drop(before_pts)


class _Channel:
    """The keyframes of one shape, in the order of pts; those with the same pts in the order in which they came."""

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
        reached = self._weight_before(pts, place)
        del self.pts[place:], self._weights[place:]
        if place:
            self.add(pts, reached)
            self.add(pts, self._rest)

    def _weight_before(self, pts: int, place: int) -> float:
        """The weight just before `pts`; `place` is the index of the first keyframe at or after it."""
        if place == 0:
            return self._rest
        if place == len(self.pts):
            return self._weights[-1]
        start, end = self.pts[place - 1], self.pts[place]
        first, last = self._weights[place - 1], self._weights[place]
        return first + (last - first) * (pts - start) / (end - start)

    def drop(self, before_pts: int) -> None:
        # The last keyframe up to `before_pts` stays: interpolation towards the next one begins there.
        spare = bisect_right(self.pts, before_pts) - 1
        if spare > len(self.pts) // 2:
            del self.pts[:spare], self._weights[:spare]
