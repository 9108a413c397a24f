"""The network's stages recorded for classes of shapes, and played again for every batch that a class holds.

A step is some 1,900 kernels and, in the LSTMs, several more a token: the host takes longer to launch them than a GPU to
run them while batches are small. A recording is launched at once.

    batch -> padded into the class's own memory -> played -> the batch's rows copied out

A class's memory is one for all shapes of a stage, and recordings work in one pool: what is held is what the largest of
each takes. A batch that no class holds, or whose class was not recorded, goes through the network as ever.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

import torch

from voxwire_server.engines.kokoro.model.network import FRAME_SAMPLES, Encoded, Fronted
from voxwire_server.engines.kokoro.model.ragged import Rows
from voxwire_server.engines.kokoro.runtime.dummy_inputs import dummy_inputs
from voxwire_server.engines.kokoro.runtime.graph_buckets import BUCKETS, Shape, Stage, in_order, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from voxwire_server.engines.kokoro.model.network import Kokoro
    from voxwire_server.engines.kokoro.runtime.cuda_capture import Capture
    from voxwire_server.engines.kokoro.runtime.graph_buckets import ShapeBuckets

logger = logging.getLogger(__name__)

_INTEGER, _REAL = torch.int64, torch.float32
_TOLERANCE = 1e-2
"""Of the largest value. The same kernels differ by rounding at most; a recording that is wrong is wrong altogether."""
_POISON = -77
_TIMINGS = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor that a stage takes or gives, rows first.

    `scaled` sizes are times the length, `fixed` ones stand behind them, or before with `fixed_first`. `rest` fills the
    padding.
    """

    scaled: tuple[int, ...] = ()
    fixed: tuple[int, ...] = ()
    fixed_first: bool = False
    dtype: torch.dtype = _REAL
    rest: int = 0

    def sizes(self, rows: int, length: int) -> tuple[int, ...]:
        """The tensor's shape in a batch."""
        scaled = tuple(factor * length for factor in self.scaled)
        return (rows, *self.fixed, *scaled) if self.fixed_first else (rows, *scaled, *self.fixed)


# Rows that pad a batch are one token or one frame long: of none at all there is no mean.
_LENGTHS = Slot(dtype=_INTEGER, rest=1)
_STYLES = Slot(fixed=(256,))
_PROSODY, _SPEECH = Slot((1,), (640,)), Slot((1,), (512,))
_DURATIONS = Slot((1,), dtype=_INTEGER)
_FRAMES, _PITCH = Slot((2,), (512,), fixed_first=True), Slot((2,))
TAKEN = {
    Stage.ENCODE: (Slot((1,), dtype=_INTEGER), _STYLES, Slot(rest=1), _LENGTHS),
    # A token lasts a frame at least: what holds the frames holds the tokens.
    Stage.FRONT: (_PROSODY, _SPEECH, _DURATIONS, _STYLES, _LENGTHS),
    Stage.GENERATE: (_FRAMES, _PITCH, _STYLES, Slot(dtype=_INTEGER), _LENGTHS),
}
GIVEN = {
    Stage.ENCODE: (_PROSODY, _SPEECH, _DURATIONS),
    Stage.FRONT: (_FRAMES, _PITCH),
    Stage.GENERATE: (Slot((FRAME_SAMPLES,)),),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What is recorded: classes by stage, and when to stop. `only_faster`: a shape is kept if that gains a tenth."""

    classes: dict[Stage, ShapeBuckets]
    only_faster: bool = True
    seconds_max: float = 30.0
    gain_min: float = 0.1


@dataclass(frozen=True, slots=True)
class CapturedGraph:
    """A shape's own memory, and how what was recorded is done again on it."""

    taken: tuple[Tensor, ...]
    given: tuple[Tensor, ...]
    play: Callable[[], None]


class CudaGraphRunner:
    """The network, in part recorded; its stages are called as `Kokoro`'s own are. Used by one thread at a time.

    Nothing that it gives is touched by a later call.
    """

    def __init__(
        self,
        network: Kokoro,
        capture: Capture,
        options: Options | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._capture = capture
        self._options = options or Options(BUCKETS)
        self._clock = clock
        self._recordings: dict[Shape, CapturedGraph] = {}
        self._memory: dict[tuple[Stage, bool, int], Tensor] = {}

    @property
    def recorded(self) -> tuple[Shape, ...]:
        """The shapes for which there is a recording."""
        return tuple(self._recordings)

    # -- stages -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, tokens: Tensor, styles: Tensor, speeds: Tensor, rows: Rows) -> Encoded:
        """See `Kokoro`."""
        found = self._played(Stage.ENCODE, (tokens, styles, speeds, rows.lengths), tokens.shape[1])
        if found is None:
            return self._network.encode(tokens, styles, speeds, rows)
        prosody, speech, durations = found
        return Encoded(prosody, speech, durations)

    @torch.inference_mode()
    def front(self, encoded: Encoded, styles: Tensor, rows: Rows, frames_max: int) -> Fronted:
        """See `Kokoro`."""
        taken = (encoded.prosody, encoded.speech, encoded.durations, styles, rows.lengths)
        found = self._played(Stage.FRONT, taken, frames_max)
        if found is None:
            return self._network.front(encoded, styles, rows, frames_max)
        frames, pitch = found
        return Fronted(frames, pitch)

    @torch.inference_mode()
    def generate(self, fronted: Fronted, styles: Tensor, rows: Rows, seeds: Tensor | None) -> Tensor:
        """See `Kokoro`."""
        if seeds is not None:
            taken = (fronted.frames, fronted.pitch, styles, seeds, rows.lengths)
            found = self._played(Stage.GENERATE, taken, fronted.pitch.shape[1] // 2)
            if found is not None:
                return found[0]
        return self._network.generate(fronted, styles, rows, seeds)

    def _played(self, stage: Stage, taken: Sequence[Tensor], length: int) -> list[Tensor] | None:
        rows = len(taken[0])
        shape = shape_of(self._options.classes, stage, rows, length)
        recording = None if shape is None else self._recordings.get(shape)
        if recording is None:
            return None
        _fill(stage, recording.taken, taken)
        recording.play()
        slots = GIVEN[stage]
        return [
            _corner(each, slot.sizes(rows, length)).clone() for each, slot in zip(recording.given, slots, strict=True)
        ]

    # -- recording --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def record(self) -> None:
        """Record every shape that is worth it, until the time for it is over. Once, before the first step.

        What a recording gives is compared with what the network gives. A stage of which one recording fails, or gives
        something else, is not played at all.
        """
        began = self._clock()
        waiting = in_order(self._options.classes)
        while waiting and self._clock() - began < self._options.seconds_max:
            shape = waiting.pop(0)
            try:
                pays = self._record(shape)
            except (MemoryError, torch.OutOfMemoryError) as error:
                logger.info("no graph of %s: %s", shape, error)
                pays = False
            except Exception as error:
                logger.warning("%s runs without graphs: %s", shape.stage.value, error, exc_info=error)
                self._recordings = {s: r for s, r in self._recordings.items() if s.stage is not shape.stage}
                waiting = [each for each in waiting if each.stage is not shape.stage]
                continue
            if not pays:
                # More rows take longer on the device and no longer to launch.
                waiting = [each for each in waiting if not _beyond(each, shape)]
        logger.info(
            "%d graphs in %.1f s, %d MB%s",
            len(self._recordings),
            self._clock() - began,
            self._capture.held_bytes >> 20,
            f"; no time for {len(waiting)}" if waiting else "",
        )

    def _record(self, shape: Shape) -> bool:
        """Record a shape if that pays; whether it does.

        Raises:
            MemoryError: there is no room.
            RuntimeError: it can't be recorded.
            _Differs: the recording is wrong.
        """
        taken = self._own(shape, TAKEN[shape.stage], is_taken=True)
        given = self._own(shape, GIVEN[shape.stage], is_taken=False)

        def run() -> None:
            for own, each in zip(given, self._run(shape, taken), strict=True):
                own.copy_(each)

        _fill(shape.stage, taken, dummy_inputs(self._network, shape, 0))
        recording = CapturedGraph(taken, given, self._capture.record(run))
        for turn in (1, 0):
            _fill(shape.stage, taken, dummy_inputs(self._network, shape, turn))
            self._compare(shape, recording)
        if self._options.only_faster:
            eager = min(self._capture.seconds(run) for _ in range(_TIMINGS))
            played = min(self._capture.seconds(recording.play) for _ in range(_TIMINGS))
            if played > eager * (1 - self._options.gain_min):
                return False
        self._recordings[shape] = recording
        return True

    def _compare(self, shape: Shape, recording: CapturedGraph) -> None:
        expected = self._run(shape, recording.taken)
        for each in recording.given:
            each.fill_(_POISON)
        recording.play()
        for found, wanted in zip(recording.given, expected, strict=True):
            limit = 0 if wanted.dtype == _INTEGER else _TOLERANCE * wanted.abs().max()
            if not bool(((found - wanted).abs() <= limit).all()):
                raise _Differs(f"a graph of {shape} gives something else than the network")

    def _run(self, shape: Shape, taken: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The stage as it is recorded: with masks whatever the rows, for they may be others next time."""
        *others, lengths = taken
        rows = Rows(lengths, even=False)
        match shape.stage:
            case Stage.ENCODE:
                tokens, styles, speeds = others
                encoded = self._network.encode(tokens, styles, speeds, rows)
                return encoded.prosody, encoded.speech, encoded.durations
            case Stage.FRONT:
                prosody, speech, durations, styles = others
                fronted = self._network.front(Encoded(prosody, speech, durations), styles, rows, shape.length)
                return fronted.frames, fronted.pitch
            case Stage.GENERATE:
                frames, pitch, styles, seeds = others
                return (self._network.generate(Fronted(frames, pitch), styles, rows, seeds),)
            case _:
                assert_never(shape.stage)

    def _own(self, shape: Shape, slots: Sequence[Slot], *, is_taken: bool) -> tuple[Tensor, ...]:
        """Memory of the shape's own tensors, which other shapes of the stage use too."""
        return tuple(self._view(shape, k, slot, is_taken=is_taken) for k, slot in enumerate(slots))

    def _view(self, shape: Shape, index: int, slot: Slot, *, is_taken: bool) -> Tensor:
        key = (shape.stage, is_taken, index)
        if key not in self._memory:
            stage = [each for each in in_order(self._options.classes) if each.stage is shape.stage]
            largest = max(_size(slot.sizes(each.rows, each.length)) for each in stage)
            device = next(self._network.parameters()).device
            self._memory[key] = torch.empty(largest, dtype=slot.dtype, device=device)
        sizes = slot.sizes(shape.rows, shape.length)
        return self._memory[key][: _size(sizes)].view(sizes)


class _Differs(Exception):
    """A recording gives something else than what was recorded."""


def cuda_graph_runner(network: Kokoro, capture: Capture, *, only_faster: bool) -> CudaGraphRunner:
    """The network with all of its usual shapes recorded as soon as `record` is called."""
    return CudaGraphRunner(network, capture, replace(Options(BUCKETS), only_faster=only_faster))


def _beyond(shape: Shape, other: Shape) -> bool:
    """Whether a shape is another's with more rows."""
    return shape.stage is other.stage and shape.length >= other.length and shape.rows >= other.rows


def _fill(stage: Stage, own: Sequence[Tensor], taken: Sequence[Tensor]) -> None:
    """A batch into memory of a class that holds it; whatever was there before is gone."""
    for memory, each, slot in zip(own, taken, TAKEN[stage], strict=True):
        if memory.shape != each.shape:
            memory.fill_(slot.rest)
        _corner(memory, each.shape).copy_(each)


def _corner(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    return tensor[tuple(slice(size) for size in sizes)]


def _size(sizes: Sequence[int]) -> int:
    return int(torch.Size(sizes).numel())
