"""Owns what vendors' answers to errors have in common: their words, and a status of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode
from voxwire_server.errors import http_status

if TYPE_CHECKING:
    from voxwire_protocol.errors import VoxwireError

_CLIENTS_MISTAKES = (
    ErrorCode.UNKNOWN_VOICE,
    ErrorCode.MESSAGE_TOO_BIG,
    ErrorCode.TEXT_TOO_LONG,
    ErrorCode.TEXT_BUFFER_FULL,
)


def describe(error: VoxwireError) -> str:
    """What went wrong; of something that is not there, what is."""
    for kind in ("voices", "models"):
        known = error.details.get(kind)
        if known:
            return f"{error.message}; there are {', '.join(known)}"
    return error.message


def coarse_status(error: VoxwireError) -> int:
    """The HTTP status where clients know a mistake of their own by 400, and RFC 9110 suggests 404, 413 or 429."""
    return 400 if error.code in _CLIENTS_MISTAKES else http_status(error)
