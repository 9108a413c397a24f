"""Adds an output to an ONNX graph without the onnx package: the few lines of protobuf that it takes.

A ModelProto's field 7 is its graph, a GraphProto's field 12 its outputs, a ValueInfoProto's field 1 its name
(onnx.proto); onnxruntime infers the type of an output that has only a name. Protobuf's wire format: a key is
`field << 3 | type`, type 2 is a length and as many bytes, numbers are base-128 with the lowest seven bits first.
"""

from __future__ import annotations

MODEL_GRAPH = 7
GRAPH_OUTPUT = 12
VALUE_NAME = 1
LENGTH_DELIMITED = 2


def with_output(model: bytes, tensor: str) -> bytes:
    """The model with the inner tensor `tensor` as one more output, the last.

    Raises:
        ValueError: `model` is no ModelProto with a graph.
    """
    at = 0
    while at < len(model):
        start = at
        key, at = _varint(model, at)
        field, wire_type = key >> 3, key & 7
        if wire_type == LENGTH_DELIMITED:
            size, at = _varint(model, at)
            if field == MODEL_GRAPH:
                value = _delimited(VALUE_NAME, tensor.encode())
                graph = model[at : at + size] + _delimited(GRAPH_OUTPUT, value)
                return model[:start] + _delimited(MODEL_GRAPH, graph) + model[at + size :]
            at += size
        elif wire_type == 0:
            _, at = _varint(model, at)
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            break
    raise ValueError("this is no ONNX model with a graph")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("this is no protobuf message")


def _delimited(field: int, payload: bytes) -> bytes:
    return _number(field << 3 | LENGTH_DELIMITED) + _number(len(payload)) + payload


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
