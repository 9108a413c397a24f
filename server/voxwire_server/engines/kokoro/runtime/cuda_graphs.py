"""The network's stages as CUDA graphs: one for each bucket of batch shapes, replayed for every batch that fits it.

A step is some 1,900 kernels and, in the LSTMs, several more per token: while batches are small the host takes longer to
launch them than a GPU to run them. A graph is launched at once.

    batch -> copied into the bucket's own buffers, padded -> graph replayed -> the batch's rows copied out

All shapes of a stage share the stage's buffers, and all graphs work in one memory pool: what is held is what the
largest of each takes. A batch that fits no bucket, or whose bucket has no graph, goes through the network itself.
Graphs are captured with dummy inputs: batches of any shape, made without a text.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

import torch

from voxwire_server.engines.kokoro.model.layers import UNIT, Rows
from voxwire_server.engines.kokoro.model.network import FRAME_SAMPLES, AcousticFeatures, Encoded
from voxwire_server.engines.kokoro.model.text import SYMBOLS
from voxwire_server.engines.kokoro.runtime.graph_buckets import BUCKETS, Shape, Stage, bucket_of, capture_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from voxwire_server.engines.kokoro.model.network import Kokoro
    from voxwire_server.engines.kokoro.runtime.cuda_capture import Capture
    from voxwire_server.engines.kokoro.runtime.graph_buckets import ShapeBuckets

_TOKEN_FRAMES = 3
_STYLE_DEVIATION = 0.15


@torch.inference_mode()
def dummy_inputs(network: Kokoro, shape: Shape, turn: int) -> tuple[Tensor, ...]:
    """The inputs of the shape's stage, the rows' lengths last; rows are unequal, at an odd `turn` fewer and shorter.

    Tokens and styles are random, and the later stages' inputs are computed from them by the earlier stages, so that
    their values have the usual size.
    """
    generator = torch.Generator().manual_seed(shape.rows * 1000 + shape.length + turn)
    device = next(network.parameters()).device
    count = max(1, shape.rows - shape.rows // 4 * (turn % 2))
    longest = shape.length - turn % 2
    sizes = torch.linspace(longest, (longest + 1) // 2, count).long().to(device)
    styles = (torch.randn(count, 256, generator=generator) * _STYLE_DEVIATION).to(device)
    counts = sizes if shape.stage is Stage.ENCODE else (sizes // _TOKEN_FRAMES).clamp(2, 510)
    tokens = torch.randint(1, SYMBOLS, (count, int(counts.max())), generator=generator).to(device)
    rows = Rows(counts, even=False)
    tokens = tokens * rows.mask(UNIT, tokens.shape[1], tokens.dtype)[:, 0]
    speeds = torch.linspace(0.8, 1.3, count).to(device)
    if shape.stage is Stage.ENCODE:
        return tokens, styles, speeds, sizes
    encoded = network.encode(tokens, styles, speeds, rows)
    encoded = Encoded(encoded.prosody, encoded.speech, _durations(sizes, counts))
    if shape.stage is Stage.FRONT:
        return encoded.prosody, encoded.speech, encoded.durations, styles, sizes
    features = network.front(encoded, styles, Rows(sizes, even=False), int(sizes.max()))
    seeds = torch.randint(1 << 62, (count,), generator=generator).to(device)
    return features.frames, features.pitch, styles, seeds, sizes


def _durations(frames: Tensor, counts: Tensor) -> Tensor:
    """[B, longest]: the `frames` of each row divided evenly among its tokens."""
    position = torch.arange(int(counts.max()), device=frames.device)
    divided = (frames // counts)[:, None] + (position < (frames % counts)[:, None]).long()
    return divided * (position < counts[:, None])


logger = logging.getLogger(__name__)

_INTEGER, _REAL = torch.int64, torch.float32
_TOLERANCE = 1e-2
"""How far a graph's output may be from the network's, as a share of the largest value. A correct graph differs by
rounding, a wrong one by much more."""
_POISON = -77
_TIMINGS = 2


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a stage, rows first.

    `scaled` sizes are multiples of the batch's length, `fixed` ones stand behind them, or before with `fixed_first`.
    `padding` is the value of padded positions.
    """

    scaled: tuple[int, ...] = ()
    fixed: tuple[int, ...] = ()
    fixed_first: bool = False
    dtype: torch.dtype = _REAL
    padding: int = 0

    def sizes(self, rows: int, length: int) -> tuple[int, ...]:
        """The tensor's shape in a batch."""
        scaled = tuple(factor * length for factor in self.scaled)
        return (rows, *self.fixed, *scaled) if self.fixed_first else (rows, *scaled, *self.fixed)


# Rows that pad a batch are one token or one frame long: a mean over no positions would be NaN.
_LENGTHS = TensorSpec(dtype=_INTEGER, padding=1)
_STYLES = TensorSpec(fixed=(256,))
_PROSODY, _SPEECH = TensorSpec((1,), (640,)), TensorSpec((1,), (512,))
_DURATIONS = TensorSpec((1,), dtype=_INTEGER)
_FRAMES, _PITCH = TensorSpec((2,), (512,), fixed_first=True), TensorSpec((2,))
INPUTS = {
    Stage.ENCODE: (TensorSpec((1,), dtype=_INTEGER), _STYLES, TensorSpec(padding=1), _LENGTHS),
    # A token lasts a frame at least: what holds the frames holds the tokens.
    Stage.FRONT: (_PROSODY, _SPEECH, _DURATIONS, _STYLES, _LENGTHS),
    Stage.GENERATE: (_FRAMES, _PITCH, _STYLES, TensorSpec(dtype=_INTEGER), _LENGTHS),
}
OUTPUTS = {
    Stage.ENCODE: (_PROSODY, _SPEECH, _DURATIONS),
    Stage.FRONT: (_FRAMES, _PITCH),
    Stage.GENERATE: (TensorSpec((FRAME_SAMPLES,)),),
}


@dataclass(frozen=True, slots=True)
class CaptureOptions:
    """What is captured: buckets by stage, and for how long at most.

    `only_faster`: a graph is kept only if it takes less time than the network by a share of `gain_min`.
    """

    buckets: dict[Stage, ShapeBuckets]
    only_faster: bool = True
    seconds_max: float = 30.0
    gain_min: float = 0.1


@dataclass(frozen=True, slots=True)
class CapturedGraph:
    """One shape's graph: the buffers that it reads and writes, and the function that runs it."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    replay: Callable[[], None]


class CudaGraphRunner:
    """The network with graphs for some shapes; its stages are called as `Kokoro`'s own. Used by one thread at a time.

    A later call does not change what an earlier one returned.
    """

    def __init__(
        self,
        network: Kokoro,
        capture: Capture,
        options: CaptureOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._capture = capture
        self._options = options or CaptureOptions(BUCKETS)
        self._clock = clock
        self._graphs: dict[Shape, CapturedGraph] = {}
        self._memory: dict[tuple[Stage, bool, int], Tensor] = {}

    @property
    def captured(self) -> tuple[Shape, ...]:
        """The shapes for which there is a graph."""
        return tuple(self._graphs)

    # -- stages -----------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, tokens: Tensor, styles: Tensor, speeds: Tensor, rows: Rows) -> Encoded:
        """See `Kokoro`."""
        found = self._replayed(Stage.ENCODE, (tokens, styles, speeds, rows.lengths), tokens.shape[1])
        if found is None:
            return self._network.encode(tokens, styles, speeds, rows)
        prosody, speech, durations = found
        return Encoded(prosody, speech, durations)

    @torch.inference_mode()
    def front(self, encoded: Encoded, styles: Tensor, rows: Rows, frames_max: int) -> AcousticFeatures:
        """See `Kokoro`."""
        inputs = (encoded.prosody, encoded.speech, encoded.durations, styles, rows.lengths)
        found = self._replayed(Stage.FRONT, inputs, frames_max)
        if found is None:
            return self._network.front(encoded, styles, rows, frames_max)
        frames, pitch = found
        return AcousticFeatures(frames, pitch)

    @torch.inference_mode()
    def generate(self, features: AcousticFeatures, styles: Tensor, rows: Rows, seeds: Tensor | None) -> Tensor:
        """See `Kokoro`."""
        if seeds is not None:
            inputs = (features.frames, features.pitch, styles, seeds, rows.lengths)
            found = self._replayed(Stage.GENERATE, inputs, features.pitch.shape[1] // 2)
            if found is not None:
                return found[0]
        return self._network.generate(features, styles, rows, seeds)

    def _replayed(self, stage: Stage, inputs: Sequence[Tensor], length: int) -> list[Tensor] | None:
        """The outputs of the stage's graph for a batch of this shape; None if there is no such graph."""
        rows = len(inputs[0])
        shape = bucket_of(self._options.buckets, stage, rows, length)
        graph = None if shape is None else self._graphs.get(shape)
        if graph is None:
            return None
        _copy_in(stage, graph.inputs, inputs)
        graph.replay()
        return [
            _corner(each, spec.sizes(rows, length)).clone()
            for each, spec in zip(graph.outputs, OUTPUTS[stage], strict=True)
        ]

    # -- capturing --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def capture_all(self) -> None:
        """Capture a graph of every shape that gains by it, until the time for it is over. Once, before the first step.

        A graph's outputs are compared with the network's. A stage of which one capture fails, or one graph gives
        something else, runs without graphs altogether.
        """
        began = self._clock()
        waiting = capture_order(self._options.buckets)
        while waiting and self._clock() - began < self._options.seconds_max:
            shape = waiting.pop(0)
            try:
                gains = self._capture_shape(shape)
            except (MemoryError, torch.OutOfMemoryError) as error:
                logger.info("no graph of %s: %s", shape, error)
                gains = False
            except Exception as error:
                logger.warning("%s runs without graphs: %s", shape.stage.value, error, exc_info=error)
                self._graphs = {s: graph for s, graph in self._graphs.items() if s.stage is not shape.stage}
                waiting = [each for each in waiting if each.stage is not shape.stage]
                continue
            if not gains:
                # More rows take longer on the device and no longer to launch.
                waiting = [each for each in waiting if not _is_at_least(each, shape)]
        logger.info(
            "%d graphs in %.1f s, %d MB%s",
            len(self._graphs),
            self._clock() - began,
            self._capture.held_bytes >> 20,
            f"; no time for {len(waiting)}" if waiting else "",
        )

    def _capture_shape(self, shape: Shape) -> bool:
        """Capture a shape's graph and keep it if it gains; whether it does.

        Raises:
            MemoryError: there is no room.
            RuntimeError: it can't be captured.
            _GraphMismatch: the graph gives something else than the network.
        """
        inputs = self._buffers(shape, INPUTS[shape.stage], are_inputs=True)
        outputs = self._buffers(shape, OUTPUTS[shape.stage], are_inputs=False)

        def run() -> None:
            for buffer, each in zip(outputs, self._run(shape, inputs), strict=True):
                buffer.copy_(each)

        _copy_in(shape.stage, inputs, dummy_inputs(self._network, shape, 0))
        graph = CapturedGraph(inputs, outputs, self._capture.capture(run))
        for turn in (1, 0):
            _copy_in(shape.stage, inputs, dummy_inputs(self._network, shape, turn))
            self._compare(shape, graph)
        if self._options.only_faster:
            eager = min(self._capture.seconds(run) for _ in range(_TIMINGS))
            replayed = min(self._capture.seconds(graph.replay) for _ in range(_TIMINGS))
            if replayed > eager * (1 - self._options.gain_min):
                return False
        self._graphs[shape] = graph
        return True

    def _compare(self, shape: Shape, graph: CapturedGraph) -> None:
        expected = self._run(shape, graph.inputs)
        for each in graph.outputs:
            each.fill_(_POISON)
        graph.replay()
        for found, wanted in zip(graph.outputs, expected, strict=True):
            limit = 0 if wanted.dtype == _INTEGER else _TOLERANCE * wanted.abs().max()
            if not bool(((found - wanted).abs() <= limit).all()):
                raise _GraphMismatch(f"a graph of {shape} gives something else than the network")

    def _run(self, shape: Shape, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The stage as it is captured: always with masks, since a later batch's rows may have other lengths."""
        *others, lengths = inputs
        rows = Rows(lengths, even=False)
        match shape.stage:
            case Stage.ENCODE:
                tokens, styles, speeds = others
                encoded = self._network.encode(tokens, styles, speeds, rows)
                return encoded.prosody, encoded.speech, encoded.durations
            case Stage.FRONT:
                prosody, speech, durations, styles = others
                features = self._network.front(Encoded(prosody, speech, durations), styles, rows, shape.length)
                return features.frames, features.pitch
            case Stage.GENERATE:
                frames, pitch, styles, seeds = others
                return (self._network.generate(AcousticFeatures(frames, pitch), styles, rows, seeds),)
            case _:
                assert_never(shape.stage)

    def _buffers(self, shape: Shape, specs: Sequence[TensorSpec], *, are_inputs: bool) -> tuple[Tensor, ...]:
        """The shape's part of the stage's buffers, which the stage's other shapes use too."""
        return tuple(self._buffer(shape, k, spec, is_input=are_inputs) for k, spec in enumerate(specs))

    def _buffer(self, shape: Shape, index: int, spec: TensorSpec, *, is_input: bool) -> Tensor:
        key = (shape.stage, is_input, index)
        if key not in self._memory:
            stage = [each for each in capture_order(self._options.buckets) if each.stage is shape.stage]
            largest = max(_numel(spec.sizes(each.rows, each.length)) for each in stage)
            device = next(self._network.parameters()).device
            self._memory[key] = torch.empty(largest, dtype=spec.dtype, device=device)
        sizes = spec.sizes(shape.rows, shape.length)
        return self._memory[key][: _numel(sizes)].view(sizes)


class _GraphMismatch(Exception):
    """A graph gives something else than the network."""


def cuda_graph_runner(network: Kokoro, capture: Capture, *, only_faster: bool) -> CudaGraphRunner:
    """A runner for the usual shapes; their graphs are captured by `capture_all`."""
    return CudaGraphRunner(network, capture, replace(CaptureOptions(BUCKETS), only_faster=only_faster))


def _is_at_least(shape: Shape, other: Shape) -> bool:
    """Whether a shape of the same stage has as many rows and as great a length as another, or more."""
    return shape.stage is other.stage and shape.length >= other.length and shape.rows >= other.rows


def _copy_in(stage: Stage, buffers: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
    """Copy a batch into the buffers of a bucket that holds it, and overwrite the rest with padding."""
    for buffer, each, spec in zip(buffers, inputs, INPUTS[stage], strict=True):
        if buffer.shape != each.shape:
            buffer.fill_(spec.padding)
        _corner(buffer, each.shape).copy_(each)


def _corner(tensor: Tensor, sizes: Sequence[int]) -> Tensor:
    return tensor[tuple(slice(size) for size in sizes)]


def _numel(sizes: Sequence[int]) -> int:
    return int(torch.Size(sizes).numel())
