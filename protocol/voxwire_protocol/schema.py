"""Checks values that came over the wire against what a field may hold. Pure; every mistake names its field."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from voxwire_protocol.errors import ErrorCode, ProtocolError

INT_MAX = (1 << 53) - 1
"""The largest whole number that every JSON implementation keeps exactly (RFC 8259, section 6)."""

NUMBER_MAX = sys.float_info.max

DEPTH_MAX = 16
"""How deep a value of free form (`error.details`) may be nested."""

SHOWN_CHARS_MAX = 64
"""How much of a name that came over the wire an error repeats."""


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
        # Compared first: a whole number can be too large to become a float.
        if not -NUMBER_MAX <= value <= NUMBER_MAX or not minimum <= value <= maximum:
            raise invalid(path, expected)
        return value

    return check


def boolean(value: Any, path: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid(path, "true or false")
    return value


def choice(*values: str | int) -> Check:
    """One of a few values; 20.0 is as good as 20."""
    expected = "one of " + ", ".join(map(str, values))

    def check(value: Any, path: str) -> Any:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
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


def mapping(item: Check, maximum: int = 100_000, name_chars_max: int | None = None) -> Check:
    """A map from names to values that each pass `item`."""
    name = text(0 if name_chars_max is None else 1, name_chars_max)

    def check(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, Mapping) or len(value) > maximum:
            raise invalid(path, f"a map of at most {maximum} names")
        for key in value:
            _check_name(name, key, path)
        return {key: item(each, f"{path}.{shown(key)}") for key, each in value.items()}

    return check


def _check_name(check: Check, name: Any, path: str) -> None:
    try:
        check(name, "each name")
    except ProtocolError as error:
        raise ProtocolError(error.code, f"in {path} {error.message}", details={"field": path}) from None


def free(value: Any, path: str) -> Any:
    """What JSON can hold, in any form: for programs that know more."""
    return _free(value, path, DEPTH_MAX)


def _free(value: Any, path: str, depth: int) -> Any:
    if not depth:
        raise invalid(path, f"nested at most {DEPTH_MAX} deep")
    match value:
        case None | bool():
            return value
        case str():
            return _ANY_TEXT(value, path)
        case int():
            return _ANY_INTEGER(value, path)
        case float():
            return _ANY_NUMBER(value, path)
        case list():
            return [_free(each, f"{path}[{i}]", depth - 1) for i, each in enumerate(value)]
        case dict():
            for key in value:
                _check_name(_ANY_TEXT, key, path)
            return {key: _free(each, f"{path}.{shown(key)}", depth - 1) for key, each in value.items()}
        case _:
            raise invalid(path, "what JSON can hold")


def shown(name: object) -> str:
    """A name that came over the wire, short and writable."""
    return str(name)[:SHOWN_CHARS_MAX].encode(errors="replace").decode()


_ANY_TEXT = text()
_ANY_INTEGER = integer(-(1 << 63), (1 << 64) - 1)
_ANY_NUMBER = number()


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


_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """A value as maps, lists and scalars; fields that are None are left out."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, list | tuple):
        return [each if type(each) in _SCALARS else plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    assert dataclasses.is_dataclass(value), f"{type(value)} does not go on the wire"
    return record_map(value)


def record_map(value: Any) -> dict[str, Any]:
    """A dataclass as a map, without the fields that are None."""
    return {
        name: each if type(each) in _SCALARS else plain(each)
        for name in value.__dataclass_fields__
        if (each := getattr(value, name)) is not None
    }
