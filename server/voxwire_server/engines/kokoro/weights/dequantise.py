"""Converts the int8 ONNX export of Kokoro-82M back to float32 parameters under their names in torch.

The tensors' names alone don't identify the parameters: the exporter folded weight norm into products such as
`/decoder/.../Mul_3_output_0`, and shares equal zero points between layers. A node's scope does: it is the path of the
torch module that made it, so a weight is what the node of that module reads. Nodes and constants are read without the
onnx package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxwire_server.engines.common.onnx_wire import fields, numbers
from voxwire_server.engines.kokoro.weights.checkpoint import parameter_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    Entry = tuple[str, NDArray[np.float32]]
    from collections.abc import Sequence

    from voxwire_server.engines.common.onnx_wire import Field

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_INPUT, _NODE_NAME, _NODE_OP = 1, 3, 4
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_INT32S, _TENSOR_INT64S, _TENSOR_NAME, _TENSOR_RAW = (
    1,
    2,
    4,
    5,
    7,
    8,
    9,
)

_TYPES: Mapping[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
    9: np.dtype("?"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: `op` is its type, `inputs` the names of tensors, empty where an optional one is left out."""

    name: str
    op: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model's nodes in order, and its initializers by name; arrays may be views of the file's bytes."""

    nodes: Sequence[Node]
    tensors: Mapping[str, NDArray[Any]]


def read_graph(model: bytes) -> Graph:
    """The graph of a ModelProto whose tensors are all inside it.

    Raises:
        ValueError: `model` is no ONNX model, or has a tensor that can't be read.
    """
    nodes: list[Node] = []
    tensors: dict[str, NDArray[Any]] = {}
    for part in fields(memoryview(model)):
        if part.number != _MODEL_GRAPH:
            continue
        for each in fields(part.payload):
            if each.number == _GRAPH_NODE:
                nodes.append(_node(fields(each.payload)))
            elif each.number == _GRAPH_INITIALIZER:
                name, tensor = _tensor(fields(each.payload))
                tensors[name] = tensor
    if not nodes:
        raise ValueError("this is no ONNX model: it has no nodes")
    return Graph(nodes, tensors)


def _node(parts: Sequence[Field[memoryview]]) -> Node:
    inputs = tuple(str(part.payload, "utf-8") for part in parts if part.number == _NODE_INPUT)
    return Node(_text(parts, _NODE_NAME), _text(parts, _NODE_OP), inputs)


def _tensor(parts: Sequence[Field[memoryview]]) -> tuple[str, NDArray[Any]]:
    name = _text(parts, _TENSOR_NAME)
    kind = next((part.value for part in parts if part.number == _TENSOR_TYPE), 0)
    if kind not in _TYPES:
        raise ValueError(f"tensor {name!r} is of ONNX type {kind}, which is not read here")
    try:
        return name, _values(parts, _TYPES[kind]).reshape(numbers(parts, _TENSOR_DIMS))
    except ValueError as error:
        raise ValueError(f"tensor {name!r} can't be read: {error}") from error


def _values(parts: Sequence[Field[memoryview]], dtype: np.dtype[Any]) -> NDArray[Any]:
    raw = next((part.payload for part in parts if part.number == _TENSOR_RAW), None)
    if raw is not None:
        return np.frombuffer(raw, dtype)
    if dtype == np.dtype("<f4"):
        return np.frombuffer(b"".join(part.payload for part in parts if part.number == _TENSOR_FLOATS), dtype)
    listed = numbers(parts, _TENSOR_INT64S if dtype == np.dtype("<i8") else _TENSOR_INT32S)
    # A negative number is a varint of its two's complement in 64 bits.
    return np.array(listed, np.uint64).view(np.int64).astype(dtype)


def _text(parts: Sequence[Field[memoryview]], number: int) -> str:
    return next((str(part.payload, "utf-8") for part in parts if part.number == number), "")


_LSTM_WEIGHT, _LSTM_RECURRENT, _LSTM_BIAS = 1, 2, 3
_LSTM_WEIGHT_ZERO, _LSTM_RECURRENT_ZERO = 9, 11
"""Inputs of com.microsoft.DynamicQuantizeLSTM, onnxruntime's docs/ContribOperators.md."""

_UNDER_PREDICTOR = re.compile(r"(F0|N)\.\d|F0_proj|N_proj|shared")
_REPEATED = re.compile(r"_\d+$")
_OWN_NAMES = ("encoder.", "decoder.decoder.")


def dequantise(model: bytes) -> dict[str, NDArray[np.float32]]:
    """The parameters that the bytes of `model.int8.onnx` hold: exactly the names and shapes of
    `shapes.parameter_shapes`.

    Raises:
        ValueError: this is not that export.
    """
    graph = read_graph(model)
    wanted = parameter_shapes()
    state: dict[str, NDArray[np.float32]] = {}
    for name, value in _parameters(graph, wanted):
        if name not in wanted:
            raise ValueError(f"the export has {name}, which is no parameter of Kokoro-82M")
        if value.shape != wanted[name]:
            raise ValueError(f"{name} is {value.shape} in the export, and {wanted[name]} in Kokoro-82M")
        # PL-BERT runs its one layer twelve times, so its weights come twelve times.
        if name in state and not np.array_equal(state[name], value):
            raise ValueError(f"the export has two values of {name}")
        state.setdefault(name, np.ascontiguousarray(value, np.float32))
    missing = sorted(wanted.keys() - state.keys())
    if missing:
        raise ValueError(f"the export lacks {len(missing)} parameters of Kokoro-82M, among them {missing[0]}")
    return state


def _parameters(graph: Graph, wanted: Mapping[str, Any]) -> Iterator[Entry]:
    for node in graph.nodes:
        yield from _of_node(graph, node)
    for name, tensor in graph.tensors.items():
        prefix = next((each for each in _OWN_NAMES if name.startswith(each)), "")
        # "decoder.decoder.x" is the parameter "decoder.x", "encoder.x" is "x".
        own = name.partition(".")[2] if prefix else ""
        if own in wanted and tensor.dtype == np.float32:
            yield own, tensor


def _of_node(graph: Graph, node: Node) -> Iterator[Entry]:
    tensors, inputs = graph.tensors, node.inputs
    constant = len(inputs) > 1 and inputs[1] in tensors
    match node.op:
        case "ConvInteger":
            yield f"{_module(node)}.weight", _scaled(graph, inputs[1], inputs[3])
        case "Conv" | "ConvTranspose" if "/istft/" not in node.name:
            yield f"{_module(node)}.weight", tensors[inputs[1]]
        case "MatMulInteger" if constant:
            yield f"{_REPEATED.sub('', _module(node))}.weight", _scaled(graph, inputs[1], inputs[3], axis=1).T
        case "MatMul" if constant:
            yield f"{_module(node)}.weight", tensors[inputs[1]].T
        case "DequantizeLinear":
            # An embedding: the rows that were looked up become float, so the table itself is named by its scale.
            table = inputs[1].removesuffix("_scale")
            yield table.partition(".")[2], _scaled(graph, f"{table}_quantized", inputs[2])
        case "DynamicQuantizeLSTM":
            yield from _lstm(graph, node)
        case _:
            pass


def _lstm(graph: Graph, node: Node) -> Iterator[Entry]:
    module, inputs = _module(node), node.inputs
    weight = _scaled(graph, inputs[_LSTM_WEIGHT], inputs[_LSTM_WEIGHT_ZERO], axis=0)
    recurrent = _scaled(graph, inputs[_LSTM_RECURRENT], inputs[_LSTM_RECURRENT_ZERO], axis=0)
    biases = graph.tensors[inputs[_LSTM_BIAS]]
    for direction, suffix in enumerate(("", "_reverse")):
        input_bias, hidden_bias = np.split(biases[direction], 2)
        yield f"{module}.weight_ih_l0{suffix}", _gates(weight[direction]).T
        yield f"{module}.weight_hh_l0{suffix}", _gates(recurrent[direction]).T
        yield f"{module}.bias_ih_l0{suffix}", _gates(input_bias)
        yield f"{module}.bias_hh_l0{suffix}", _gates(hidden_bias)


def _gates(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX has the gates as input, output, forget, cell along the last axis; torch as input, forget, cell, output."""
    entry, exit_, forget, cell = np.split(columns, 4, axis=-1)
    return np.concatenate([entry, forget, cell, exit_], axis=-1)


def _scaled(graph: Graph, quantised: str, zero: str, axis: int = 0) -> NDArray[np.float32]:
    """(q - zero) * scale; where there is a scale for each channel, channels lie along `axis`."""
    values = graph.tensors[quantised].astype(np.float32)
    scale = graph.tensors[f"{quantised.removesuffix('_quantized')}_scale"]
    along = [-1 if dimension == axis else 1 for dimension in range(values.ndim)]

    def spread(tensor: NDArray[Any]) -> NDArray[np.float32]:
        return tensor.astype(np.float32).reshape(() if tensor.size == 1 else along)

    values -= spread(graph.tensors[zero])
    values *= spread(scale)
    return values


def _module(node: Node) -> str:
    """The torch module's path: `/decoder/decoder/encode/conv1/Conv_quant` is of `decoder.encode.conv1`."""
    parts = node.name.strip("/").split("/")[:-1]
    if parts[0] == "decoder":
        parts = ["decoder", *parts[2:]]
    else:
        parts = parts[1:]
        if parts and _UNDER_PREDICTOR.fullmatch(parts[0]):
            parts.insert(0, "predictor")
    path: list[str] = []
    for part in parts:
        # A list's items are named after the list: "cnn.0/cnn.0.0" is cnn.0.0.
        if path and part.startswith(f"{path[-1]}."):
            path[-1] = part
        else:
            path.append(part)
    return ".".join(path)
