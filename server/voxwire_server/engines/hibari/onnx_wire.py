"""Just enough of protobuf's wire format to change which tensors an ONNX model gives out.

onnxruntime returns graph outputs only, and the `onnx` package is a large dependency for renaming three strings.
Formats: https://protobuf.dev/programming-guides/encoding/ and onnx.proto3 (ModelProto.graph = 7, GraphProto.output =
12, ValueInfoProto.name = 1). A value without a type is valid: onnxruntime infers it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MODEL_GRAPH = 7
_GRAPH_OUTPUT = 12
_VALUE_NAME = 1
_BYTES = 2


def with_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """A copy of a serialised ModelProto whose graph outputs are the named tensors and no others.

    Raises:
        ValueError: `model` is not a serialised message.
    """
    outputs = b"".join(_field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode())) for name in names)
    result: list[bytes] = []
    for number, whole, payload in _fields(memoryview(model)):
        if number != _MODEL_GRAPH:
            result.append(bytes(whole))
            continue
        kept = [bytes(part) for inner, part, _ in _fields(payload) if inner != _GRAPH_OUTPUT]
        result.append(_field(_MODEL_GRAPH, b"".join(kept) + outputs))
    return b"".join(result)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """(number, the field with its tag, its payload where it has a length) of each field in order."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        body = at
        match tag & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, body = _varint(message, at)
                at = body + length
            case 5:
                at += 4
            case kind:
                raise ValueError(f"wire type {kind} at byte {start}")
        if at > len(message):
            raise ValueError("the message is cut short")
        yield tag >> 3, message[start:at], message[body:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("the message is cut short")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _field(number: int, payload: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(payload)) + payload


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
