"""Makes a context's viseme keyframes, in the worker thread that processes its audio. No I/O, no clock."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from voxwire_protocol.messages import VisemeTiming
from voxwire_server.audio.samples import rescaled
from voxwire_server.audio.viseme_estimator import VisemeEstimator
from voxwire_server.speech import CLOSED, Move
from voxwire_server.text.coarticulation import Articulator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_protocol.messages import AudioFormat
    from voxwire_server.audio.pipeline import ClauseChunk, VisemeTrack
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Pose


class Keyframes:
    """Turns moves into keyframes, as few as the protocol's rules allow; keeps the weight that each channel has."""

    __slots__ = ("_pose",)

    def __init__(self) -> None:
        self._pose: Pose = CLOSED

    def write(self, moves: Iterable[Move]) -> tuple[VisemeTiming, ...]:
        """The keyframes of one message, whose moves join on to those of the messages before."""
        frames: list[VisemeTiming] = []
        last: dict[int, int] = {}
        for leave, reach, pose in moves:
            changes = _changes(self._pose, pose)
            # A channel whose last keyframe stands here already has this value.
            frames += [VisemeTiming(id=id, weight=was, pts=leave) for id, was, _ in changes if last.get(id) != leave]
            for id, _, will in changes:
                frames.append(VisemeTiming(id=id, weight=will, pts=reach))
                last[id] = reach
            self._pose = pose
        return tuple(frames)


@lru_cache(maxsize=8192)
def _changes(before: Pose, after: Pose) -> tuple[tuple[int, float, float], ...]:
    """(id, weight before, weight after) of the channels that change between two poses."""
    old, new = dict(before), dict(after)
    ids = sorted(old.keys() | new.keys())
    return tuple((id, old.get(id, 0.0), new.get(id, 0.0)) for id in ids if old.get(id, 0.0) != new.get(id, 0.0))


class AlignedVisemes:
    """Visemes of an engine that knows when its phonemes sound."""

    __slots__ = ("_articulator", "_engine_rate", "_keyframes", "_output_rate")

    def __init__(self, engine_rate: int, output_rate: int) -> None:
        self._engine_rate = engine_rate
        self._output_rate = output_rate
        self._articulator = Articulator(output_rate)
        self._keyframes = Keyframes()

    def __call__(self, chunk: ClauseChunk, clause_pts: int, start: int, end: int) -> tuple[VisemeTiming, ...]:
        """See `audio.pipeline.VisemeTrack`."""
        engine, output = self._engine_rate, self._output_rate
        marks = chunk.alignment.phonemes if chunk.alignment is not None else ()
        phonemes = [
            (
                mark.ipa,
                clause_pts + rescaled(mark.start, engine, output),
                clause_pts + rescaled(mark.end, engine, output),
            )
            for mark in marks
        ]
        moves = self._articulator.push(
            phonemes, start, end, finished=chunk.finished, ends_utterance=chunk.ends_utterance
        )
        return self._keyframes.write(moves) if moves else ()


class AudioDrivenVisemes:
    """Visemes of an engine that does not know it: estimated from the audio."""

    __slots__ = ("_engine_rate", "_estimator", "_keyframes", "_output_rate", "_utterance_pts")

    def __init__(self, engine_rate: int, output_rate: int) -> None:
        self._engine_rate = engine_rate
        self._output_rate = output_rate
        self._estimator = VisemeEstimator(engine_rate)
        self._keyframes = Keyframes()
        self._utterance_pts: int | None = None

    def __call__(self, chunk: ClauseChunk, clause_pts: int, start: int, end: int) -> tuple[VisemeTiming, ...]:
        """See `audio.pipeline.VisemeTrack`."""
        del clause_pts, end
        engine, output = self._engine_rate, self._output_rate
        pts = start if self._utterance_pts is None else self._utterance_pts
        ends = chunk.finished and chunk.ends_utterance
        moves = self._estimator.push(chunk.samples, ends_utterance=ends)
        self._utterance_pts = None if ends else pts
        return self._keyframes.write(
            Move(pts + rescaled(leave, engine, output), pts + rescaled(reach, engine, output), pose)
            for leave, reach, pose in moves
        )


def viseme_track_for(engine: EngineInfo, format: AudioFormat) -> VisemeTrack:
    """The viseme track of a context that an engine speaks in an output format."""
    kind = AlignedVisemes if engine.timing == "phoneme" else AudioDrivenVisemes
    return kind(engine.sample_rate, format.sample_rate)
