"""Cartesia's errors: the same fields on HTTP, in server-sent events and on the WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import describe, http_headers, http_status

_CODES: Mapping[ErrorCode, tuple[str, str]] = {
    ErrorCode.NOT_AUTHENTICATED: ("unauthorized", "Unauthorized"),
    ErrorCode.NOT_ALLOWED: ("forbidden", "Forbidden"),
    ErrorCode.UNKNOWN_VOICE: ("voice_not_found", "Voice not found"),
    ErrorCode.UNSUPPORTED_LANGUAGE: ("unsupported_language", "Unsupported language"),
    ErrorCode.UNSUPPORTED_AUDIO: ("unsupported_output_format", "Unsupported output format"),
    ErrorCode.CONTEXT_ENDED: ("context_closed", "Context closed"),
    ErrorCode.TOO_MANY_CONTEXTS: ("too_many_contexts", "Too many contexts"),
    ErrorCode.TEXT_TOO_LONG: ("transcript_too_long", "Transcript too long"),
    ErrorCode.TEXT_BUFFER_FULL: ("transcript_too_long", "Transcript too long"),
    ErrorCode.MESSAGE_TOO_BIG: ("request_too_large", "Request too large"),
    ErrorCode.RATE_LIMITED: ("rate_limited", "Too many requests"),
    ErrorCode.OVER_QUOTA: ("quota_exceeded", "Quota exceeded"),
    ErrorCode.TOO_MANY_SESSIONS: ("concurrency_limited", "Too many requests"),
}
_CLIENT_ERROR = ("bad_request", "Bad request")
_SERVER_ERROR = ("internal_error", "Internal error")
_UNAVAILABLE = ("service_unavailable", "Service unavailable")


def http_error(error: VoxwireError) -> Response:
    """The response to a request that failed."""
    request_id = str(uuid4())
    headers = http_headers(error) | {"X-Request-Id": request_id}
    return JSONResponse(_fields(error, request_id), status(error), headers)


def error_event(error: VoxwireError, request_id: str) -> dict[str, Any]:
    """The error event. `done` is false: clients look at it before they look at the type."""
    fields = _fields(error, request_id)
    return {"type": "error", "done": False} | fields | {"error": f"{fields['title']}: {fields['message']}"}


def status(error: VoxwireError) -> int:
    """The HTTP status of an error."""
    return 404 if "models" in error.details else http_status(error)


def _fields(error: VoxwireError, request_id: str) -> dict[str, Any]:
    code, title = _code(error)
    return {
        "error_code": code,
        "title": title,
        "message": describe(error),
        "status_code": status(error),
        "request_id": request_id,
    }


def _code(error: VoxwireError) -> tuple[str, str]:
    if "models" in error.details:
        return "model_not_found", "Model not found"
    if error.code in _CODES:
        return _CODES[error.code]
    found = status(error)
    if found < 500:
        return _CLIENT_ERROR
    return _SERVER_ERROR if found == 500 else _UNAVAILABLE
