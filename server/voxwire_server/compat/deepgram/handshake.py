"""Serves Deepgram's WebSockets: finds the key, refuses a handshake with an HTTP status, names the request.

Every client makes an error of its own from a status and from the header `dg-error`; from a connection that is closed
right after it opened none of them does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.deepgram.aura import Aura
from voxwire_server.compat.deepgram.errors import http_error
from voxwire_server.compat.deepgram.flux import Flux
from voxwire_server.compat.deepgram.parameters import AURA_SPEEDS, FLUX_SPEEDS, StreamQuery, Wish, stream_wish
from voxwire_server.compat.operation import checked
from voxwire_server.compat.socket import serve_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translation import Translator


def found_key(connection: HTTPConnection) -> str | None:
    """The key of `Authorization: Token KEY`, or of a browser's subprotocols `token, KEY` or `bearer, KEY`."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "token" and value.strip():
        return value.strip()
    offered: Sequence[str] = connection.scope.get("subprotocols") or ()
    if len(offered) > 1 and offered[0].lower() in ("token", "bearer"):
        return offered[1]
    return None


async def serve_aura(host: CompatHost, socket: WebSocket) -> None:
    """Serve the WebSocket of `/v1/speak`."""
    await _serve(host, socket, AURA_SPEEDS, Aura)


async def serve_flux(host: CompatHost, socket: WebSocket) -> None:
    """Serve the WebSocket of `/v2/speak`."""
    await _serve(host, socket, FLUX_SPEEDS, Flux)


async def _serve(
    host: CompatHost,
    socket: WebSocket,
    speeds: tuple[float, float],
    translator: Callable[[Wish, str, int], Translator],
) -> None:
    key = found_key(socket)
    try:
        identity = host.authenticate(socket, key, tokens=True)
        wish = stream_wish(host, checked(StreamQuery, dict(socket.query_params), "query"), speeds)
        host.check_session(identity)
    except VoxwireError as error:
        host.services.observer.refused(error.raw_code)
        await socket.send_denial_response(http_error(error))
        return
    request_id = str(uuid4())
    # A browser takes the connection only if one of the subprotocols it offered is chosen; the key is not repeated.
    offered: Sequence[str] = socket.scope.get("subprotocols") or ()
    await socket.accept(offered[0] if offered else None, headers=[(b"dg-request-id", request_id.encode())])
    made = translator(wish, request_id, host.config.limits.unspoken_chars_max)
    await serve_socket(host, socket, made, key=key, tokens=True)
