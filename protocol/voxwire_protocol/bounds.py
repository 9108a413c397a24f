"""Counts a message's values before it is decoded, and refuses too many.

A decoder is one call into C that holds the interpreter until it is done, so its work must be bounded beforehand. A
value is anything that JSON or MessagePack can nest: a map's names and values, a list's items. A string is one value,
however long it is.
"""

from __future__ import annotations

from voxwire_protocol.errors import ErrorCode, ProtocolError

VALUES_MAX = 4096
"""Values of one message. Decoding and checking so many takes a millisecond; real messages have some dozens."""

VALUE_BYTES_MAX = 32
"""Bytes outside of strings, spaces included, per value that is allowed: the mean of a whole message."""

ESCAPES_MAX = 100_000
"""Escapes (`\\u1234`) in one message. The longest text that is accepted by default has 40,000 at most."""

UNCOUNTED_BYTES = 1024
"""A message of no more bytes is not counted: it can't hold values enough to matter."""


def check_json(raw: str | bytes, values_max: int = VALUES_MAX) -> None:
    """Refuse JSON with more than `values_max` values or ESCAPES_MAX escapes. Malformed JSON is left to the decoder.

    Raises:
        ProtocolError: client.malformed_message; there are more.
    """
    if len(raw) <= UNCOUNTED_BYTES:
        return
    # latin-1 keeps every byte of UTF-8 apart from those that have a meaning in JSON.
    text = raw if isinstance(raw, str) else raw.decode("latin-1")
    escapes = text.count("\\")
    if escapes > ESCAPES_MAX:
        raise _too_many(f"{ESCAPES_MAX} escapes")
    if escapes:
        text = text.replace("\\\\", "").replace('\\"', "")
    # Pieces with even numbers lie outside of strings. More pieces than this means more strings than values allowed.
    pieces = text.split('"', 2 * values_max + 2)
    if len(pieces) > 2 * values_max + 2:
        raise _too_many(f"{values_max} values")
    outside = "".join(pieces[::2])
    if len(outside) > VALUE_BYTES_MAX * values_max or sum(map(outside.count, ",:[{")) > values_max:
        raise _too_many(f"{values_max} values")


def check_msgpack(raw: bytes, values_max: int = VALUES_MAX) -> None:
    """Refuse MessagePack with more than `values_max` values. Malformed input is left to the decoder.

    Raises:
        ProtocolError: client.malformed_message; there are more.
    """
    if len(raw) <= UNCOUNTED_BYTES:
        return
    at = 0
    for _ in range(values_max):
        if at >= len(raw):
            return
        at += _step(raw, at)
    if at < len(raw):
        raise _too_many(f"{values_max} values")


def _step(raw: bytes, at: int) -> int:
    """Bytes from the beginning of one value to that of the next; the items of a list follow their list."""
    kind = raw[at]
    if kind < 0xA0 or kind >= 0xE0:
        return 1
    if kind < 0xC0:
        return 1 + (kind & 0x1F)
    size, length_bytes = _FORMATS[kind - 0xC0]
    return 1 + size + length_bytes + int.from_bytes(raw[at + 1 : at + 1 + length_bytes], "big")


_FORMATS = (
    *((0, 0),) * 4,  # nil, never used, false, true
    *((0, 1), (0, 2), (0, 4)),  # bin
    *((1, 1), (1, 2), (1, 4)),  # ext
    *((4, 0), (8, 0)),  # float
    *((1, 0), (2, 0), (4, 0), (8, 0)) * 2,  # uint, int
    *((2, 0), (3, 0), (5, 0), (9, 0), (17, 0)),  # fixext
    *((0, 1), (0, 2), (0, 4)),  # str
    *((2, 0), (4, 0)) * 2,  # array, map: their items follow
)
"""Of the formats 0xc0 to 0xdf: bytes of fixed size, bytes of a length of what follows (MessagePack's specification)."""


def _too_many(what: str) -> ProtocolError:
    hint = "Send one small map; text belongs into one string, as UTF-8."
    return ProtocolError(ErrorCode.MALFORMED_MESSAGE, f"the message has more than {what}", hint=hint)
