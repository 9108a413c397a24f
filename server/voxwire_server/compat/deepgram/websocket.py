"""Deepgram's WebSockets: finds the API key, refuses a handshake with an HTTP status, sends the request's id.

Clients raise an error for an HTTP status and show the header `dg-error`; none of them does for a connection that is
closed right after it opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.deepgram.errors import http_error
from voxwire_server.compat.deepgram.messages import (
    AURA_SPEEDS,
    FLUX_SPEEDS,
    SpeakOptions,
    StreamQuery,
    websocket_options,
)
from voxwire_server.compat.deepgram.translator_v1 import AuraTranslator
from voxwire_server.compat.deepgram.translator_v2 import FluxTranslator
from voxwire_server.compat.parsing import validate
from voxwire_server.compat.websocket import serve_websocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translator import Translator


def api_key_of(connection: HTTPConnection) -> str | None:
    """The key of `Authorization: Token KEY`, or of a browser's subprotocols `token, KEY` or `bearer, KEY`."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "token" and value.strip():
        return value.strip()
    offered: Sequence[str] = connection.scope.get("subprotocols") or ()
    if len(offered) > 1 and offered[0].lower() in ("token", "bearer"):
        return offered[1]
    return None


async def serve_aura(host: CompatHost, websocket: WebSocket) -> None:
    """Serve the WebSocket of `/v1/speak`."""
    await _serve(host, websocket, AURA_SPEEDS, AuraTranslator)


async def serve_flux(host: CompatHost, websocket: WebSocket) -> None:
    """Serve the WebSocket of `/v2/speak`."""
    await _serve(host, websocket, FLUX_SPEEDS, FluxTranslator)


async def _serve(
    host: CompatHost,
    websocket: WebSocket,
    speeds: tuple[float, float],
    make_translator: Callable[[SpeakOptions, str, int], Translator],
) -> None:
    key = api_key_of(websocket)
    try:
        identity = host.authenticate(websocket, key, tokens=True)
        options = websocket_options(host, validate(StreamQuery, dict(websocket.query_params), "query"), speeds)
        host.check_session(identity)
    except VoxwireError as error:
        host.services.observer.refused(error.raw_code)
        await websocket.send_denial_response(http_error(error))
        return
    request_id = str(uuid4())
    # A browser needs one of the subprotocols that it offered in the answer; the one that is the key is not repeated.
    offered: Sequence[str] = websocket.scope.get("subprotocols") or ()
    await websocket.accept(offered[0] if offered else None, headers=[(b"dg-request-id", request_id.encode())])
    translator = make_translator(options, request_id, host.config.limits.unspoken_chars_max)
    await serve_websocket(host, websocket, translator, key=key, tokens=True)
