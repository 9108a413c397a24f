"""Deepgram's errors: JSON and headers on HTTP and at the handshake, JSON messages on a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import CloseCode, ErrorClass, ErrorCode, VoxwireError
from voxwire_server.compat.translator import Close
from voxwire_server.errors import describe, http_headers, http_status

_CODES: Mapping[ErrorCode, str] = {
    ErrorCode.NOT_AUTHENTICATED: "INVALID_AUTH",
    ErrorCode.NOT_ALLOWED: "FORBIDDEN",
    ErrorCode.MALFORMED_MESSAGE: "PAYLOAD_ERROR",
    ErrorCode.MESSAGE_TOO_BIG: "PAYLOAD_TOO_LARGE",
    ErrorCode.TEXT_TOO_LONG: "PAYLOAD_TOO_LARGE",
    ErrorCode.TEXT_BUFFER_FULL: "TOO_MANY_REQUESTS",
    ErrorCode.RATE_LIMITED: "TOO_MANY_REQUESTS",
    ErrorCode.OVER_QUOTA: "TOO_MANY_REQUESTS",
    ErrorCode.UNSUPPORTED_AUDIO: "UNSUPPORTED_AUDIO_FORMAT",
}

_FLUX_CODES: Mapping[ErrorCode, str] = {
    ErrorCode.MALFORMED_MESSAGE: "MESSAGE-0000",
    ErrorCode.UNKNOWN_TYPE: "MESSAGE-0000",
    ErrorCode.UNEXPECTED_BINARY: "MESSAGE-0000",
    ErrorCode.MESSAGE_TOO_BIG: "BIG-0000",
    ErrorCode.TEXT_TOO_LONG: "BIG-0000",
    ErrorCode.TEXT_BUFFER_FULL: "BIG-0000",
}

HEADER_CHARS_MAX = 300


def error_code(error: VoxwireError) -> str:
    """The `err_code` of an error."""
    if error.code in _CODES:
        return _CODES[error.code]
    if error.error_class is ErrorClass.CLIENT:
        return "Bad Request"
    return "INTERNAL_SERVER_ERROR" if http_status(error) == 500 else "SERVICE_UNAVAILABLE"


def http_error(error: VoxwireError) -> Response:
    """`{"err_code", "err_msg", "request_id"}`, and the same in headers: clients see no more of a refused handshake."""
    request_id = str(uuid4())
    body = {"err_code": error_code(error), "err_msg": describe(error), "request_id": request_id}
    headers = http_headers(error) | {"dg-request-id": request_id, "dg-error": _header_text(describe(error))}
    status = 400 if error.code is ErrorCode.UNKNOWN_VOICE else http_status(error)
    return JSONResponse(body, status, headers)


def aura_error(error: VoxwireError, request_id: str) -> dict[str, Any]:
    """The error message of `/v1/speak`."""
    return {"type": "Error", "err_code": error_code(error), "err_msg": describe(error), "request_id": request_id}


def flux_error(error: VoxwireError, request_id: str) -> dict[str, Any]:
    """The error message of `/v2/speak`."""
    fallback = "DATA-0000" if error.error_class is ErrorClass.CLIENT else "NET-0000"
    code = _FLUX_CODES.get(error.code, fallback)
    return {"type": "Error", "code": code, "description": describe(error), "request_id": request_id}


def close_for(error: VoxwireError) -> Close:
    """The close that follows an error which ends the connection."""
    if error.error_class is ErrorClass.CLIENT:
        code = CloseCode.NORMAL if error.code is ErrorCode.IDLE else CloseCode.POLICY
    else:
        code = error.close_code or CloseCode.INTERNAL
    return Close(code, f"{error_code(error)}: {describe(error)}")


def _header_text(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:HEADER_CHARS_MAX]
