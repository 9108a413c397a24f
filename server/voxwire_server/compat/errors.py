"""What vendors' answers to errors have in common: their texts, and the status that most clients expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode
from voxwire_server.errors import http_status

if TYPE_CHECKING:
    from voxwire_protocol.errors import VoxwireError

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
