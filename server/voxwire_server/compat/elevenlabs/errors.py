"""ElevenLabs' errors: JSON on HTTP, a JSON message and a close code on a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import CloseCode, ErrorClass, ErrorCode, VoxwireError
from voxwire_server.compat.translator import Close
from voxwire_server.errors import describe, http_body, http_headers, http_status

_STATUSES: Mapping[ErrorCode, str] = {
    ErrorCode.NOT_AUTHENTICATED: "invalid_api_key",
    ErrorCode.NOT_ALLOWED: "missing_permissions",
    ErrorCode.UNKNOWN_VOICE: "voice_not_found",
    ErrorCode.UNSUPPORTED_LANGUAGE: "unsupported_language",
    ErrorCode.UNSUPPORTED_AUDIO: "invalid_output_format",
    ErrorCode.TEXT_TOO_LONG: "max_character_limit_exceeded",
    ErrorCode.TEXT_BUFFER_FULL: "max_character_limit_exceeded",
    ErrorCode.TOO_MANY_CONTEXTS: "max_active_contexts_exceeded",
    ErrorCode.RATE_LIMITED: "too_many_concurrent_requests",
    ErrorCode.TOO_MANY_SESSIONS: "too_many_concurrent_requests",
    ErrorCode.ENGINE_OVERLOADED: "system_busy",
    ErrorCode.OVERLOADED: "system_busy",
    ErrorCode.NOT_READY: "system_busy",
    ErrorCode.DRAINING: "system_busy",
    ErrorCode.IDLE: "input_timeout_exceeded",
}


def status_of(error: VoxwireError) -> str:
    """The vendor's word for an error."""
    if error.details.get("field") in ("model", "model_id"):
        return "model_not_found"
    if error.details.get("field") == "lexicons":
        return "pronunciation_dictionary_not_found"
    if error.details.get("field") == "text" and error.code is ErrorCode.INVALID_FIELD:
        return "input_text_empty"
    return _STATUSES.get(error.code) or error.raw_code.partition(".")[2]


def http_error(error: VoxwireError) -> Response:
    """`{"detail": {"status", "message"}}`, or 422 with the list of invalid fields."""
    return JSONResponse(_detail(error), _http_status(error), http_headers(error))


def voices_error(error: VoxwireError) -> Response:
    """As `http_error`, with the native protocol's fields added: `/v1/voices` is an endpoint of both."""
    return JSONResponse(_detail(error) | http_body(error), _http_status(error), http_headers(error))


def _detail(error: VoxwireError) -> dict[str, Any]:
    if "errors" in error.details:
        return {"detail": error.details["errors"]}
    return {"detail": {"status": status_of(error), "message": describe(error)}}


def _http_status(error: VoxwireError) -> int:
    return 422 if "errors" in error.details else http_status(error)


def error_message(error: VoxwireError, context_id: str | None = None) -> dict[str, Any]:
    """The error message; with a `context_id` where it is about one context."""
    payload: dict[str, Any] = {"message": describe(error), "error": status_of(error), "code": close_code(error)}
    if context_id is not None:
        payload["contextId"] = context_id
    return payload


def close_code(error: VoxwireError) -> int:
    """The code with which a connection is closed: 1008 for errors of the client."""
    if error.error_class is ErrorClass.CLIENT:
        return CloseCode.POLICY
    return error.close_code or CloseCode.INTERNAL


def close_for(error: VoxwireError) -> Close:
    """The close that follows an error which ends the connection; some clients show only its reason."""
    return Close(close_code(error), f"{status_of(error)}: {describe(error)}")
