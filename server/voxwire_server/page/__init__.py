"""The page at `/`: serves the files in `assets` from memory, as `/` and `/page/{name}`. No speech, keys or sessions.

The files are built from clients/js/page. They hold no secrets and are the same for every client, so they need no key;
the endpoints that the page calls do.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from voxwire_server.config import Config

INDEX = "index.html"
PATH = "/page"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""A fixed table: `mimetypes` depends on tables of the machine, and with `nosniff` a wrong type is fatal."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        # WebAssembly is the Opus decoder where the browser has none; worklets and workers go by script-src.
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "img-src 'self' data:",
        # The page's own host; browsers count its WebSockets as 'self' (CSP Level 3, section 6.7.2.8).
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page, with the headers that it is answered with."""

    body: bytes
    headers: Mapping[str, str]


def load_assets() -> dict[str, Asset]:
    """Every file of the page by its name.

    Raises:
        KeyError: a file has a suffix without a content type here.
    """
    found = sorted((files(__package__) / "assets").iterdir(), key=lambda each: each.name)
    return {each.name: make_asset(each.name, each.read_bytes()) for each in found if each.is_file()}


def make_asset(name: str, body: bytes) -> Asset:
    """A file as it is served. Names stay the same in all versions, so browsers revalidate each time."""
    digest = hashlib.sha256(body).hexdigest()[:32]
    suffix = name[name.rindex(".") :]
    fixed = {"Content-Type": CONTENT_TYPES[suffix], "ETag": f'"{digest}"', "Cache-Control": "no-cache"}
    return Asset(body, {**SECURITY_HEADERS, **fixed})


def answer(asset: Asset, if_none_match: str) -> Response:
    """200 with the file, or 304 if the browser has it."""
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    if "*" in known or asset.headers["ETag"] in known:
        unchanged = {name: value for name, value in asset.headers.items() if name != "Content-Type"}
        return Response(status_code=304, headers=unchanged)
    return Response(asset.body, headers=dict(asset.headers))


def routes(config: Config) -> list[Route]:
    """The routes; none if the page is switched off."""
    if not config.server.page:
        return []
    assets = load_assets()

    async def index(request: Request) -> Response:
        return answer(assets[INDEX], request.headers.get("if-none-match", ""))

    async def asset(request: Request) -> Response:
        found = assets.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return answer(found, request.headers.get("if-none-match", ""))

    return [Route("/", index, methods=["GET"]), Route(f"{PATH}/{{name}}", asset, methods=["GET"])]
