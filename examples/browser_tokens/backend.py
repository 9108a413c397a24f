"""A web backend that gives its pages short-lived tokens, so that the API key never reaches a browser.

    voxwire key web                                       # prints a key, and its hash for voxwire.toml
    voxwire serve --set server.origins=http://127.0.0.1:8000
    VOXWIRE_API_KEY=vw_... python examples/browser_tokens/backend.py

Then open http://127.0.0.1:8000/. The page asks this backend for a token, and opens its WebSocket at the voxwire server
with it. The page's origin has to be listed in `server.origins`. Needs `pip install 'voxwire[examples]'`.
"""

from __future__ import annotations

import argparse
import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

PAGE = Path(__file__).with_name("page.html")
TIMEOUT_SECONDS = 10.0


class SpeechToken(BaseModel):
    """Where a page speaks, and the token that lets it."""

    url: str
    token: str


def signed_in(x_requested_with: Annotated[str, Header()] = "") -> None:
    """Refuses what does not come from a user of yours. Put your own session or login check here.

    Raises:
        HTTPException: 403.
    """
    # A page of another site can't set this header without a preflight, which is never answered here.
    if x_requested_with != "fetch":
        raise HTTPException(403, "not signed in")


def mint_token(voxwire_http: str, api_key: str) -> str:
    """Exchange the API key for a token (`POST /v1/tokens`). It opens sessions for some minutes, and nothing else.

    Raises:
        urllib.error.URLError: the server can't be reached, or refused the key (then an `HTTPError`).
    """
    headers = {"Authorization": f"Bearer {api_key}"}
    request = urllib.request.Request(f"{voxwire_http}/v1/tokens", method="POST", headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return str(json.load(answer)["token"])


def create_app(voxwire_http: str, api_key: str) -> FastAPI:
    """The application: the page, and its tokens. `voxwire_http` is the server's address, `http://host:port`."""
    app = FastAPI()
    stream_url = f"ws{voxwire_http.removeprefix('http')}/v1/stream"

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return PAGE.read_text(encoding="utf-8")

    # FastAPI runs plain functions in a thread: waiting for the server delays no other request.
    @app.post("/speech-token", dependencies=[Depends(signed_in)])
    def speech_token(response: Response) -> SpeechToken:
        try:
            token = mint_token(voxwire_http, api_key)
        except urllib.error.URLError as error:
            raise HTTPException(502, f"the speech server gave no token: {error}") from error
        response.headers["Cache-Control"] = "no-store"
        return SpeechToken(url=stream_url, token=token)

    return app


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
