"""Lets pages of the configured origins read what the HTTP side answers (CORS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from voxwire_server.ops.origins import browser_origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send


class Cors:
    """Starlette's middleware for the origins of the moment; none of it where there are none."""

    def __init__(self, app: ASGIApp, origins: Callable[[], Sequence[str]]) -> None:
        """`origins` is asked at each request."""
        self._app = app
        self._origins = origins
        self._made_for: Sequence[str] = ()
        self._made: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. WebSockets pass through untouched."""
        origins = self._origins()
        if origins != self._made_for:
            self._made_for, self._made = origins, self._for(origins)
        await self._made(scope, receive, send)

    def _for(self, origins: Sequence[str]) -> ASGIApp:
        if not origins:
            return self._app
        return CORSMiddleware(
            self._app,
            allow_origins=["*"] if "*" in origins else [browser_origin(origin) for origin in origins],
            allow_methods=["GET", "POST"],
            # Vendors' browser clients send headers of their own; none of them is trusted for more than its value.
            allow_headers=["*"],
            max_age=3600,
        )


def middleware(origins: Callable[[], Sequence[str]]) -> list[Middleware]:
    """For Starlette's `middleware`."""
    return [Middleware(Cors, origins=origins)]
