"""Owns what an Origin and a Host header mean (RFC 6454; RFC 9110, section 7.2), and CORS."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def canonical_origin(origin: str) -> str:
    """Scheme, host and port, lower case, the port always written; "" for what is no origin ("null")."""
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{_bracketed(parts.hostname)}:{port}" if parts.hostname else ""


def browser_origin(origin: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.2): lower case, without the scheme's default port."""
    canonical = canonical_origin(origin)
    scheme = canonical.partition(":")[0]
    return canonical.removesuffix(f":{DEFAULT_PORTS.get(scheme)}")


def same_host(origin: str, host: str) -> bool:
    """True when a page's origin and the Host it asks for are one; the Host may leave out its scheme's default port."""
    canonical = canonical_origin(origin)
    if not canonical or not host:
        return False
    parts = urlsplit(canonical)
    name, port = split_host(host)
    return parts.hostname == name and parts.port == (port if port is not None else DEFAULT_PORTS.get(parts.scheme))


def split_host(host: str) -> tuple[str, int | None]:
    """Name (lower case, without brackets) and port of a Host header; ("", None) for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


class Cors:
    """ASGI middleware: lets pages of the configured origins read HTTP answers. Without origins it changes nothing."""

    def __init__(self, app: ASGIApp, origins: Callable[[], Sequence[str]]) -> None:
        """`origins` is called at each request, so that a reload of the configuration counts."""
        self._app = app
        self._origins = origins
        self._current_origins: Sequence[str] = ()
        self._current: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. WebSockets pass through untouched."""
        origins = self._origins()
        if origins != self._current_origins:
            self._current_origins, self._current = origins, self._app_for(origins)
        await self._current(scope, receive, send)

    def _app_for(self, origins: Sequence[str]) -> ASGIApp:
        if not origins:
            return self._app
        # Here, because `voxwire key` imports this module in a client-only install, which has no Starlette.
        from starlette.middleware.cors import CORSMiddleware

        return CORSMiddleware(
            self._app,
            allow_origins=["*"] if "*" in origins else [browser_origin(origin) for origin in origins],
            allow_methods=["GET", "POST"],
            # Vendors' browser clients send headers of their own; none of them is trusted for more than its value.
            allow_headers=["*"],
            max_age=3600,
        )


def _bracketed(name: str | None) -> str:
    return f"[{name}]" if name and ":" in name else name or ""
