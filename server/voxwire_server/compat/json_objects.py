"""Reads the JSON that vendors' clients send, within bounds."""

from __future__ import annotations

from typing import Any

import orjson

from voxwire_protocol.bounds import check_json
from voxwire_protocol.errors import ErrorCode, VoxwireError

VALUES_MAX = 1000
"""Values of one message or body. Each may be wrong in several ways, and a model of Pydantic's finds them all."""


def json_value(raw: str | bytes, what: str) -> Any:
    """What a JSON text holds; `what` names it in an error.

    Raises:
        VoxwireError: client.malformed_message; it is no JSON, or has too many values.
    """
    check_json(raw, VALUES_MAX)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise VoxwireError(
            ErrorCode.MALFORMED_MESSAGE, f"the {what} is no JSON: {error}", hint="Send a JSON object."
        ) from error


def json_object(raw: str | bytes) -> dict[str, Any]:
    """The fields of a message.

    Raises:
        VoxwireError: client.malformed_message; it is no JSON, has too many values, or is no object.
    """
    fields = json_value(raw, "message")
    if not isinstance(fields, dict):
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the message is no JSON object")
    return fields
