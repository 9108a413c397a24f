"""Owns how errors look to CosyVoice's clients: FastAPI's `{"detail": ...}`."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import http_headers, http_status

_CLIENTS_FAULT = (
    ErrorCode.UNKNOWN_VOICE,
    ErrorCode.MESSAGE_TOO_BIG,
    ErrorCode.TEXT_TOO_LONG,
    ErrorCode.TEXT_BUFFER_FULL,
)


def http_error(error: VoxwireError) -> Response:
    """The response to a request that failed; 422 and a list where a field is missing or has the wrong type."""
    if "errors" in error.details:
        return JSONResponse({"detail": error.details["errors"]}, 422, http_headers(error))
    voices = error.details.get("voices")
    message = f"{error.message}; there are {', '.join(voices)}" if voices else error.message
    status = 400 if error.code in _CLIENTS_FAULT else http_status(error)
    return JSONResponse({"detail": message}, status, http_headers(error))
