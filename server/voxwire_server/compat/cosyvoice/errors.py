"""Owns how errors look to CosyVoice's clients: FastAPI's `{"detail": ...}`."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.errors import coarse_status, describe
from voxwire_server.errors import http_headers


def http_error(error: VoxwireError) -> Response:
    """The response to a request that failed; 422 and a list where a field is missing or has the wrong type."""
    if "errors" in error.details:
        return JSONResponse({"detail": error.details["errors"]}, 422, http_headers(error))
    return JSONResponse({"detail": describe(error)}, coarse_status(error), http_headers(error))
