"""hibari's network in onnxruntime, its graph edited in memory: other outputs, no unused nodes, 2-D convolutions.

Three reasons, measured on an AMD EPYC with AVX-512 (milliseconds of CPU per second of speech, of 4.36 in all):
durations are an inner tensor, and onnxruntime returns outputs only; onnxruntime runs nodes whose results are not used
(0.15 for transposing and splitting the spectra); and it has fast channel-blocked kernels only for 2-D convolutions
(0.25). Field numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hibari
import numpy as np
import onnxruntime

from voxwire_server.engines.common.onnx_wire import delimited, fields, numbers, varints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Tensors of hibari-tts 0.2.1's graph: the five spectra before they are transposed and split, F0 in Hz per spectral
# frame, and the duration of each id (pads included) in pairs of spectral frames.
MODEL = Path(hibari.__file__).parent / "assets" / "hibari.onnx"
_HEAD, _F0, _DURATIONS = "/head/Add_output_0", "f0", "/Clip_output_0"

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_VALUE_NAME = 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTS = 1, 8
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_INT64 = 7
# The initializer with the axis that Unsqueeze adds before a convolution and Squeeze removes after it.
_AXIS_NAME, _AXIS = b"voxwire.axis", 2


class Network:
    """One voice's network. `run` may be called from any number of threads at once."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the voice in the package, or the one at `path`.

        Raises:
            ValueError: the file is not the graph this was written for.
        """
        path = path or MODEL
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # The arena would keep, for every thread, the memory of the longest clause; malloc is as fast.
        options.enable_cpu_mem_arena = False
        # GELU by tanh: off by 5e-4 at most, a fortieth of the step to which its result is quantised; 2.5 % faster.
        options.add_session_config_entry("optimization.enable_gelu_approximation", "1")
        model = edit_graph(path.read_bytes(), (_HEAD, _F0, _DURATIONS))
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ValueError(f"{path.name} is not the expected graph: {error}") from error

    def run(
        self, ids: Sequence[int], speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Spectra [frames, 3005], F0 [frames] in Hz, durations [ids]; frames is twice the durations' sum."""
        feeds = {"ids": np.asarray([ids], np.int64), "speed": np.asarray([speed], np.float32)}
        head, f0, durations = self._session.run((_HEAD, _F0, _DURATIONS), feeds)
        return head[0], f0[0], durations.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Node:
    """A NodeProto without control flow."""

    op: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    message: bytes


def edit_graph(model: bytes, outputs: Sequence[str]) -> bytes:
    """A ModelProto that gives exactly the named tensors, without nodes that they don't need, convolutions in 2-D.

    Raises:
        ValueError: `model` is no ONNX model, or nothing in it gives one of the tensors.
    """
    parts = [
        delimited(_MODEL_GRAPH, _graph(field.payload, [name.encode() for name in outputs]))
        if field.number == _MODEL_GRAPH
        else field.whole
        for field in fields(model)
    ]
    return b"".join(parts)


def _graph(message: bytes, outputs: Sequence[bytes]) -> bytes:
    parts = fields(message)
    nodes = _needed([_node(field.payload) for field in parts if field.number == _GRAPH_NODE], outputs)
    weights = {node.inputs[1] for node in nodes if node.op == b"Conv"}
    result = [delimited(_GRAPH_NODE, wide) for node in nodes for wide in _widened(node)]
    result.append(delimited(_GRAPH_INITIALIZER, _axis()))
    for field in parts:
        if field.number == _GRAPH_INITIALIZER:
            result.append(delimited(_GRAPH_INITIALIZER, _widened_weight(field.payload, weights)))
        elif field.number not in (_GRAPH_NODE, _GRAPH_OUTPUT):
            result.append(field.whole)
    result += [delimited(_GRAPH_OUTPUT, delimited(_VALUE_NAME, name)) for name in outputs]
    return b"".join(result)


def _node(message: bytes) -> _Node:
    parts = fields(message)
    return _Node(
        op=next((part.payload for part in parts if part.number == _NODE_OP), b""),
        inputs=tuple(part.payload for part in parts if part.number == _NODE_INPUT),
        outputs=tuple(part.payload for part in parts if part.number == _NODE_OUTPUT),
        message=message,
    )


def _needed(nodes: Sequence[_Node], outputs: Sequence[bytes]) -> list[_Node]:
    """The nodes that the outputs come from, in their order (which is topological)."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    missing = set(outputs).difference(*(node.outputs for node in kept))
    if missing:
        raise ValueError(f"the graph has no tensor {min(missing).decode()!r}")
    return kept[::-1]


def _widened(node: _Node) -> list[bytes]:
    """A 1-D convolution over [1, C, T] as a 2-D one over [1, C, 1, T]; any other node as it is."""
    if node.op != b"Conv":
        return [node.message]
    (output,) = node.outputs
    before, after = output + b".wide.in", output + b".wide.out"
    parts = [delimited(_NODE_INPUT, name) for name in (before, *node.inputs[1:])]
    parts.append(delimited(_NODE_OUTPUT, after))
    for field in fields(node.message):
        if field.number == _NODE_ATTRIBUTE:
            parts.append(delimited(_NODE_ATTRIBUTE, _widened_attribute(field.payload)))
        elif field.number not in (_NODE_INPUT, _NODE_OUTPUT):
            parts.append(field.whole)
    return [
        _plain_node(b"Unsqueeze", (node.inputs[0], _AXIS_NAME), before),
        b"".join(parts),
        _plain_node(b"Squeeze", (after, _AXIS_NAME), output),
    ]


def _widened_attribute(message: bytes) -> bytes:
    parts = fields(message)
    name = next(part.payload for part in parts if part.number == _ATTRIBUTE_NAME)
    values = numbers(parts, _ATTRIBUTE_INTS)
    match name, values:
        case (b"pads", [start, end]):
            values = [0, start, 0, end]
        case (b"kernel_shape" | b"dilations" | b"strides", [value]):
            values = [1, value]
        case _:
            return message
    return b"".join(part.whole for part in parts if part.number != _ATTRIBUTE_INTS) + varints(_ATTRIBUTE_INTS, values)


def _widened_weight(message: bytes, weights: set[bytes]) -> bytes:
    parts = fields(message)
    name = next((part.payload for part in parts if part.number == _TENSOR_NAME), b"")
    dims = numbers(parts, _TENSOR_DIMS)
    if name not in weights or len(dims) != 3:
        return message
    rest = b"".join(part.whole for part in parts if part.number != _TENSOR_DIMS)
    return varints(_TENSOR_DIMS, [dims[0], dims[1], 1, dims[2]]) + rest


def _plain_node(op: bytes, inputs: Sequence[bytes], output: bytes) -> bytes:
    names = b"".join(delimited(_NODE_INPUT, name) for name in inputs)
    return names + delimited(_NODE_OUTPUT, output) + delimited(_NODE_OP, op)


def _axis() -> bytes:
    raw = delimited(_TENSOR_RAW, struct.pack("<q", _AXIS))
    return varints(_TENSOR_DIMS, [1]) + varints(_TENSOR_TYPE, [_INT64]) + delimited(_TENSOR_NAME, _AXIS_NAME) + raw
