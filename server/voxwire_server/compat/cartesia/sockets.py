"""Serves Cartesia's WebSocket: finds the key; whoever is refused gets no connection but an HTTP status."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.cartesia.errors import http_error
from voxwire_server.compat.cartesia.translator import Contexts
from voxwire_server.compat.cartesia.wishes import timed_wish
from voxwire_server.compat.socket import serve_socket

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost


def found_key(connection: HTTPConnection) -> str | None:
    """The key in the address; those in `X-API-Key` and `Authorization` are found wherever they come."""
    return connection.query_params.get("api_key", "").strip() or None


async def serve_contexts(host: CompatHost, socket: WebSocket) -> None:
    """Serve `/tts/websocket`."""
    key = found_key(socket)
    try:
        host.authenticate(socket, key)
        host.admit_session()
    except VoxwireError as error:
        host.studio.observer.refused(error.raw_code)
        await socket.send_denial_response(http_error(error))
        return
    request_id = str(uuid4())
    await socket.accept(headers=[(b"x-request-id", request_id.encode())])
    await serve_socket(host, socket, Contexts(partial(timed_wish, host), request_id), key=key)
