"""Checks values that came over the wire against what a field may hold. Pure; every mistake names its field."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from voxwire_protocol.errors import ErrorCode, ProtocolError

INT_MAX = (1 << 53) - 1
"""The largest whole number that every JSON implementation keeps exactly (RFC 8259, section 6)."""


class Check(Protocol):
    """Turns a decoded value into the field's own type, or raises."""

    def __call__(self, value: Any, path: str) -> Any:
        """Check `value`, which stands at `path`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its check, and whether it must be there."""

    check: Check
    required: bool = False


def invalid(path: str, expected: str) -> ProtocolError:
    """The error for a value that is not what it should be."""
    return ProtocolError(ErrorCode.INVALID_FIELD, f"{path} must be {expected}", details={"field": path})


def text(minimum: int = 0, maximum: int | None = None) -> Check:
    """A string of `minimum` to `maximum` code points that can be written as UTF-8."""
    expected = "text" if maximum is None else f"text of {minimum} to {maximum} characters"

    def check(value: Any, path: str) -> str:
        if not isinstance(value, str) or len(value) < minimum or (maximum is not None and len(value) > maximum):
            raise invalid(path, expected)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise invalid(path, "text without lone surrogates") from None
        return value

    return check


def integer(minimum: int = 0, maximum: int = INT_MAX) -> Check:
    """A whole number; true and false are none, 3.0 is one."""
    expected = f"a whole number from {minimum} to {maximum}"

    def check(value: Any, path: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise invalid(path, expected)
        return value

    return check


def number(minimum: float = -math.inf, maximum: float = math.inf) -> Check:
    """A finite number."""
    expected = "a number" if minimum == -math.inf else f"a number from {minimum:g} to {maximum:g}"

    def check(value: Any, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(path, expected)
        if not math.isfinite(value) or not minimum <= value <= maximum:
            raise invalid(path, expected)
        return value

    return check


def boolean(value: Any, path: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid(path, "true or false")
    return value


def choice(*values: str | int) -> Check:
    """One of a few values."""
    expected = "one of " + ", ".join(map(str, values))

    def check(value: Any, path: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in values:
            raise invalid(path, expected)
        return value

    return check


def member(enumeration: type[Enum]) -> Check:
    """A member of an enumeration, by its value."""
    expected = "one of " + ", ".join(str(each.value) for each in enumeration)

    def check(value: Any, path: str) -> Enum:
        try:
            return enumeration(value)
        except ValueError:
            raise invalid(path, expected) from None

    return check


def several(item: Check, maximum: int = 100_000) -> Check:
    """A list of values that each pass `item`, as a tuple."""

    def check(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) > maximum:
            raise invalid(path, f"a list of at most {maximum}")
        return tuple(item(each, f"{path}[{i}]") for i, each in enumerate(value))

    return check


def span(value: Any, path: str) -> tuple[int, int]:
    """A half-open range: two whole numbers, the second not smaller."""
    whole = integer()
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise invalid(path, "two whole numbers")
    start, end = whole(value[0], f"{path}[0]"), whole(value[1], f"{path}[1]")
    if end < start:
        raise invalid(path, "a start and an end that is not smaller")
    return start, end


def mapping(item: Check, maximum: int = 100_000) -> Check:
    """A map from names to values that each pass `item`."""

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or len(value) > maximum or not all(isinstance(key, str) for key in value):
            raise invalid(path, f"a map of at most {maximum} names")
        return {key: item(each, f"{path}.{key}") for key, each in value.items()}

    return check


def anything(value: Any, path: str) -> Any:
    """Not checked: for programs of other versions."""
    del path
    return value


def record(type_: type[Any], fields: Mapping[str, Field]) -> Check:
    """A map that becomes a dataclass. Unknown fields are ignored; null is as good as absent."""

    def check(value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            raise invalid(path, "a map")
        return build(type_, fields, value, f"{path}.")

    return check


def build(type_: type[Any], fields: Mapping[str, Field], values: Mapping[Any, Any], prefix: str = "") -> Any:
    """Make a dataclass out of a map.

    Raises:
        ProtocolError: client.missing_field or client.invalid_field, with `details.field`.
    """
    found = {}
    for name, field in fields.items():
        value = values.get(name)
        if value is not None:
            found[name] = field.check(value, prefix + name)
        elif field.required:
            path = prefix + name
            raise ProtocolError(ErrorCode.MISSING_FIELD, f"{path} is missing", details={"field": path})
    return type_(**found)


def plain(value: Any) -> Any:
    """A value as maps, lists and scalars; fields that are None are left out."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    assert dataclasses.is_dataclass(value), f"{type(value)} does not go on the wire"
    return record_map(value)


def record_map(value: Any) -> dict[str, Any]:
    """A dataclass as a map, without the fields that are None."""
    return {name: plain(each) for name in value.__dataclass_fields__ if (each := getattr(value, name)) is not None}
