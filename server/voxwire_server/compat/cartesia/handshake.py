"""Serves Cartesia's WebSocket: finds the key, refuses a handshake with an HTTP status, names the request.

All clients make an error of their own of a status; a connection that closes as soon as it is open they open again.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.cartesia.errors import http_error
from voxwire_server.compat.cartesia.translator import Contexts
from voxwire_server.compat.cartesia.voices import chosen_voice
from voxwire_server.compat.socket import serve_socket

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost


ADDRESS_KEYS = ("api_key", "access_token")
"""Where the address of a WebSocket has an API key, or a browser's token."""


def found_key(connection: HTTPConnection) -> str | None:
    """The key, or the browser's token, in the address; headers with a key are those that all endpoints take."""
    found = (connection.query_params.get(name, "").strip() for name in ADDRESS_KEYS)
    return next(filter(None, found), None)


async def serve_contexts(host: CompatHost, socket: WebSocket) -> None:
    """Serve `/tts/websocket`."""
    key = found_key(socket)
    try:
        host.check_session(host.authenticate(socket, key, tokens=True))
    except VoxwireError as error:
        host.services.observer.refused(error.raw_code)
        await socket.send_denial_response(http_error(error))
        return
    request_id = str(uuid4())
    await socket.accept(headers=[(b"x-request-id", request_id.encode())])
    await serve_socket(host, socket, Contexts(partial(chosen_voice, host), request_id), key=key, tokens=True)
