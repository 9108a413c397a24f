"""Cartesia's WebSocket: finds the API key, refuses a handshake with an HTTP status, sends the request's id.

Clients raise an error for an HTTP status; they reconnect when a connection closes as soon as it is open.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.cartesia.errors import http_error
from voxwire_server.compat.cartesia.translator import CartesiaTranslator
from voxwire_server.compat.host import voice_of_model
from voxwire_server.compat.websocket import serve_websocket
from voxwire_server.text.inline import CARTESIA

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost


KEY_PARAMETERS = ("api_key", "access_token")
"""The query parameters of a WebSocket that hold an API key, or a browser's token."""


def api_key_of(connection: HTTPConnection) -> str | None:
    """The key or browser's token in the address; keys in headers are found for all vendors alike."""
    found = (connection.query_params.get(name, "").strip() for name in KEY_PARAMETERS)
    return next(filter(None, found), None)


async def serve(host: CompatHost, websocket: WebSocket) -> None:
    """Serve `/tts/websocket`."""
    key = api_key_of(websocket)
    try:
        host.check_session(host.authenticate(websocket, key, tokens=True))
    except VoxwireError as error:
        host.services.observer.refused(error.raw_code)
        await websocket.send_denial_response(http_error(error))
        return
    request_id = str(uuid4())
    await websocket.accept(headers=[(b"x-request-id", request_id.encode())])
    translator = CartesiaTranslator(partial(voice_of_model, host), request_id)
    await serve_websocket(host, websocket, translator, key=key, tokens=True, dialect=CARTESIA)
