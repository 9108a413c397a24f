"""Owns how errors look to the clients of GPT-SoVITS' api_v2: `{"message": ...}`, nearly always with status 400."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.errors import coarse_status, describe
from voxwire_server.errors import http_headers


def http_error(error: VoxwireError) -> Response:
    """The response to a request that failed; 422 with FastAPI's `detail` where a field has the wrong type."""
    if "errors" in error.details:
        body = {"message": describe(error), "detail": error.details["errors"]}
        return JSONResponse(body, 422, http_headers(error))
    return JSONResponse({"message": describe(error)}, coarse_status(error), http_headers(error))
