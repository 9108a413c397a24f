"""Reads and writes protobuf messages as lists of fields: what it takes to edit an ONNX model without the onnx package.

Wire format: https://protobuf.dev/programming-guides/encoding/. The meaning of fields is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VARINT, _DELIMITED = 0, 2

Part = TypeVar("Part", bytes, memoryview)
"""The type of the message and of its parts: parts of a memoryview are not copied."""


class Field(NamedTuple, Generic[Part]):
    """One field of a message: `whole` is its bytes, `payload` those after tag and length, `value` a varint's value."""

    number: int
    whole: Part
    payload: Part
    value: int


def fields(message: Part) -> list[Field[Part]]:
    """The fields of a message, in order. `b"".join(field.whole for field in ...)` gives the message again.

    Raises:
        ValueError: this is no protobuf message.
    """
    return list(_fields(message))


def delimited(number: int, payload: bytes) -> bytes:
    """A field that holds bytes, a string or a message."""
    return _encoded(number << 3 | _DELIMITED) + _encoded(len(payload)) + payload


def varints(number: int, values: Iterable[int]) -> bytes:
    """A repeated field of non-negative numbers, not packed."""
    return b"".join(_encoded(number << 3 | _VARINT) + _encoded(value) for value in values)


def numbers(of: Iterable[Field[Any]], number: int) -> list[int]:
    """The values of a repeated field of numbers, packed or not."""
    values: list[int] = []
    for field in of:
        if field.number != number:
            continue
        if field.whole[0] & 7 == _VARINT:
            values.append(field.value)
            continue
        at = 0
        while at < len(field.payload):
            value, at = _varint(field.payload, at)
            values.append(value)
    return values


def _fields(message: Part) -> Iterator[Field[Part]]:
    at = 0
    while at < len(message):
        start, value = at, 0
        tag, at = _varint(message, at)
        body = at
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
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
        yield Field(tag >> 3, message[start:at], message[body:at], value)


def _varint(message: bytes | memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("the message is cut short")


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
