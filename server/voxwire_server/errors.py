"""How an error looks outside a session: as a text, and as an HTTP status, headers and body."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from voxwire_protocol.errors import ErrorClass, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxwire_protocol.errors import VoxwireError

_STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.NOT_AUTHENTICATED: 401,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.ABUSE: 403,
    ErrorCode.UNKNOWN_VOICE: 404,
    ErrorCode.UNKNOWN_CONTEXT: 404,
    ErrorCode.IDLE: 408,
    ErrorCode.SLOW_READER: 408,
    ErrorCode.CONTEXT_EXISTS: 409,
    ErrorCode.CONTEXT_ENDED: 409,
    ErrorCode.HOLD_EXPIRED: 409,
    ErrorCode.TEXT_GAP: 409,
    ErrorCode.MESSAGE_TOO_BIG: 413,
    ErrorCode.TEXT_TOO_LONG: 413,
    ErrorCode.TOO_MANY_CONTEXTS: 429,
    ErrorCode.TEXT_BUFFER_FULL: 429,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.OVER_QUOTA: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.ENGINE_FAILED: 500,
    ErrorCode.CLAUSE_FAILED: 500,
}


def http_status(error: VoxwireError) -> int:
    """The HTTP status of an error (RFC 9110, section 15): 400 for other errors of the client, 503 for the rest."""
    return _STATUS.get(error.code, 400 if error.error_class is ErrorClass.CLIENT else 503)


def http_headers(error: VoxwireError) -> dict[str, str]:
    """`WWW-Authenticate` where a key is needed, `Retry-After` in whole seconds where trying again may help."""
    headers = {}
    if error.code is ErrorCode.NOT_AUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retryable and error.retry_after_ms is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_ms / 1000)))
    return headers


def http_body(error: VoxwireError) -> dict[str, Any]:
    """`{"error": {...}}` with the fields of the protocol's `error` message; what is None is left out."""
    fields = {
        "code": error.raw_code,
        "message": error.message,
        "retryable": error.retryable,
        "retry_after_ms": error.retry_after_ms,
        "details": error.details or None,
        "hint": error.hint or None,
    }
    return {"error": {name: value for name, value in fields.items() if value is not None}}


_STATUS_400 = (
    ErrorCode.UNKNOWN_VOICE,
    ErrorCode.MESSAGE_TOO_BIG,
    ErrorCode.TEXT_TOO_LONG,
    ErrorCode.TEXT_BUFFER_FULL,
)


def describe(error: VoxwireError) -> str:
    """The error's message; where a voice or a model was not found, with the names of those that exist."""
    for kind in ("voices", "models"):
        known = error.details.get(kind)
        if known:
            return f"{error.message}; there are {', '.join(known)}"
    return error.message


def coarse_status(error: VoxwireError) -> int:
    """The HTTP status for clients that expect 400 for their errors where RFC 9110 suggests 404, 413 or 429."""
    return 400 if error.code in _STATUS_400 else http_status(error)
