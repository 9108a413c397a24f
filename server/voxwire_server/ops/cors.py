"""Lets pages of the configured origins read what the HTTP side answers (CORS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from voxwire_server.ops.origins import browser_origin

if TYPE_CHECKING:
    from voxwire_server.config import Config


def middleware(config: Config) -> list[Middleware]:
    """For Starlette's `middleware`; nothing without configured origins. WebSockets pass through untouched."""
    origins = config.server.origins
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=["*"] if "*" in origins else [browser_origin(origin) for origin in origins],
            allow_methods=["GET", "POST"],
            # Vendors' browser clients send headers of their own; none of them is trusted for more than its value.
            allow_headers=["*"],
            max_age=3600,
        )
    ]
