"""A web backend that gives its pages short-lived tokens, so that the API key never reaches a browser.

    voxwire key web                                       # prints a key, and its hash for voxwire.toml
    voxwire serve --set server.origins=http://127.0.0.1:8000
    VOXWIRE_API_KEY=vw_... python examples/browser_tokens/backend.py

Then open http://127.0.0.1:8000/. The page asks this backend for a token, and opens its WebSocket at the voxwire server
with it. The page's origin has to be listed in `server.origins`. The same two routes work in FastAPI, which is built on
Starlette.
"""

from __future__ import annotations

import argparse
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

PAGE = Path(__file__).with_name("page.html")
TIMEOUT_SECONDS = 10.0


def signed_in(request: Request) -> bool:
    """Whether this request comes from a user of yours. Put your own session or login check here."""
    # A page of another site can't set this header without a preflight, which is never answered here.
    return request.headers.get("x-requested-with") == "fetch"


def mint_token(voxwire_http: str, api_key: str) -> str:
    """Exchange the API key for a token (`POST /v1/tokens`). It opens sessions for some minutes, and nothing else.

    Raises:
        urllib.error.URLError: the server can't be reached, or refused the key (then an `HTTPError`).
    """
    headers = {"Authorization": f"Bearer {api_key}"}
    request = urllib.request.Request(f"{voxwire_http}/v1/tokens", method="POST", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return str(json.load(answer)["token"])


def create_app(voxwire_http: str, api_key: str) -> Starlette:
    """The application: the page, and its tokens. `voxwire_http` is the server's address, `http://host:port`."""
    stream_url = f"ws{voxwire_http.removeprefix('http')}/v1/stream"

    def page(_: Request) -> Response:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"))

    # Starlette runs plain functions in a thread: waiting for the server holds up no other request.
    def speech_token(request: Request) -> Response:
        if not signed_in(request):
            return JSONResponse({"error": "not signed in"}, 403)
        try:
            token = mint_token(voxwire_http, api_key)
        except urllib.error.URLError as error:
            return JSONResponse({"error": f"the speech server gave no token: {error}"}, 502)
        return JSONResponse({"url": stream_url, "token": token}, headers={"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/", page), Route("/speech-token", speech_token, methods=["POST"])])


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxwire", default=os.environ.get("VOXWIRE_HTTP", "http://127.0.0.1:8765"))
    parser.add_argument("--port", type=int, default=8000)
    args = parser.parse_args()
    app = create_app(args.voxwire.rstrip("/"), os.environ["VOXWIRE_API_KEY"])
    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
