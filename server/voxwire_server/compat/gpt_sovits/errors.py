"""Owns how errors look to the clients of GPT-SoVITS' api_v2: `{"message": ...}`, nearly always with status 400."""

from __future__ import annotations

from typing import Any

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
    """The response to a request that failed; 422 with FastAPI's `detail` where a field has the wrong type."""
    voices = error.details.get("voices")
    body: dict[str, Any] = {"message": f"{error.message}; there are {', '.join(voices)}" if voices else error.message}
    status = 400 if error.code in _CLIENTS_FAULT else http_status(error)
    if "errors" in error.details:
        body["detail"] = error.details["errors"]
        status = 422
    return JSONResponse(body, status, http_headers(error))
