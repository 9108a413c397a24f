"""Reads an ONNX file's nodes and constant tensors as numpy arrays, without the onnx package. Runs nothing.

Field and type numbers are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxwire_server.engines.common.onnx_wire import fields, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

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
