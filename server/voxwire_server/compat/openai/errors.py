"""OpenAI's errors: `{"error": {"message", "type", "param", "code"}}` and an HTTP status."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import coarse_status, describe, http_headers

_INVALID = "invalid_request_error"
_CODES: Mapping[ErrorCode, str] = {
    ErrorCode.NOT_AUTHENTICATED: "invalid_api_key",
    ErrorCode.NOT_ALLOWED: "permission_denied",
    ErrorCode.UNKNOWN_VOICE: "voice_not_found",
    ErrorCode.TEXT_TOO_LONG: "string_above_max_length",
    ErrorCode.TEXT_BUFFER_FULL: "string_above_max_length",
    ErrorCode.MESSAGE_TOO_BIG: "string_above_max_length",
    ErrorCode.UNSUPPORTED_AUDIO: "unsupported_format",
    ErrorCode.MISSING_FIELD: "missing_required_parameter",
    ErrorCode.INVALID_FIELD: "invalid_value",
    ErrorCode.RATE_LIMITED: "rate_limit_exceeded",
    ErrorCode.OVER_QUOTA: "insufficient_quota",
}
_PARAMS: Mapping[ErrorCode, str] = {
    ErrorCode.UNKNOWN_VOICE: "voice",
    ErrorCode.TEXT_TOO_LONG: "input",
    ErrorCode.TEXT_BUFFER_FULL: "input",
    ErrorCode.UNSUPPORTED_AUDIO: "response_format",
}


def http_error(error: VoxwireError) -> Response:
    """The response to a request that failed."""
    return JSONResponse(error_body(error), _status(error), http_headers(error) | request_id())


def request_id() -> dict[str, str]:
    """The header with a new request id, which clients write to their logs."""
    return {"x-request-id": f"req_{secrets.token_hex(16)}"}


def error_body(error: VoxwireError) -> dict[str, Any]:
    """The error as a JSON object."""
    return {"error": {"message": describe(error), "type": _type(error), "param": _param(error), "code": _code(error)}}


def _unknown_model(error: VoxwireError) -> bool:
    return "models" in error.details


def _status(error: VoxwireError) -> int:
    return 404 if _unknown_model(error) else coarse_status(error)


def _type(error: VoxwireError) -> str:
    status = _status(error)
    if status == 429:
        return "rate_limit_error"
    if status == 403:
        return "permission_error"
    return _INVALID if status < 500 else "server_error"


def _param(error: VoxwireError) -> str | None:
    field = error.details.get("field")
    if isinstance(field, str) and field != "body":
        return field.split(".")[0]
    return _PARAMS.get(error.code)


def _code(error: VoxwireError) -> str:
    if _unknown_model(error):
        return "model_not_found"
    return _CODES.get(error.code) or error.raw_code.partition(".")[2]
