"""Reads the JSON objects that clients send on WebSockets."""

from __future__ import annotations

from typing import Any

import orjson

from voxwire_protocol.errors import ErrorCode, VoxwireError


def json_object(raw: str | bytes) -> dict[str, Any]:
    """The fields of a message.

    Raises:
        VoxwireError: client.malformed_message; it is no JSON, or no object.
    """
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, f"the message is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the message is no JSON object")
    return fields
