"""ElevenLabs' WebSockets: reads the options of the address; finds the API key in a header or the first message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from starlette.websockets import WebSocketState

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.elevenlabs.errors import close_for, error_message, http_error
from voxwire_server.compat.elevenlabs.formats import output_format
from voxwire_server.compat.elevenlabs.messages import StreamQuery, key_in_message
from voxwire_server.compat.elevenlabs.translator import MultiStreamInputTranslator, StreamInputTranslator, StreamOptions
from voxwire_server.compat.host import unknown_voice
from voxwire_server.compat.parsing import validate
from voxwire_server.compat.websocket import serve_websocket

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translator import Translator
    from voxwire_server.session.quotas import ClientIdentity

FIRST_MESSAGE_SECONDS = 10.0
"""How long a client without a key in its header may take to send its first message."""

FIRST_MESSAGE_CHARS_MAX = 64 << 10
"""The length of that message: settings and a text of several pages."""


def api_key_of(connection: HTTPConnection) -> str | None:
    """The API key in the header that only this vendor's clients send."""
    return connection.headers.get("xi-api-key", "").strip() or None


async def serve_stream_input(host: CompatHost, websocket: WebSocket) -> None:
    """Serve `/stream-input`. A refused client is accepted and sent an error: the SDK raises none for an HTTP status."""
    try:
        handshake = await _authenticate(host, websocket)
        options = stream_options(host, websocket)
    except VoxwireError as error:
        await _refuse(host, websocket, error)
        return
    await _serve(host, websocket, StreamInputTranslator(options), handshake)


async def serve_multi_stream_input(host: CompatHost, websocket: WebSocket) -> None:
    """Serve `/multi-stream-input`. A refused client gets an HTTP status in place of a connection.

    LiveKit waits for ever on a connection that closes as soon as it is open. A client whose key comes in its first
    message is the exception: its connection is open by then, and the error is sent over it.
    """
    try:
        handshake = await _authenticate(host, websocket)
        options = stream_options(host, websocket)
        host.check_session(handshake.identity)
        if host.find_voice(options.voice) is None:
            raise unknown_voice(host, options.voice)
    except VoxwireError as error:
        await _refuse(host, websocket, error, denied=http_error(error))
        return
    await _serve(host, websocket, MultiStreamInputTranslator(options), handshake)


@dataclass(frozen=True, slots=True)
class _Handshake:
    """An authenticated client. `first`: messages that were read before."""

    identity: ClientIdentity
    key: str | None
    first: Sequence[str | bytes]


async def _authenticate(host: CompatHost, websocket: WebSocket) -> _Handshake:
    """Authenticate a client, before it learns anything of voices, models or formats.

    Raises:
        VoxwireError: client.not_authenticated, client.not_allowed or client.rate_limited.
    """
    key, first = api_key_of(websocket), []
    if _key_comes_later(host, websocket):
        await websocket.accept()
        raw = await _first_message(websocket)
        if raw is not None:
            key = key_in_message(raw)
            first.append(raw)
    return _Handshake(host.authenticate(websocket, key), key, first)


async def _refuse(host: CompatHost, websocket: WebSocket, error: VoxwireError, denied: Response | None = None) -> None:
    """Refuse a client: with an HTTP response (`denied`) while the handshake is open, else with a message."""
    host.services.observer.refused(error.raw_code)
    if websocket.client_state is WebSocketState.DISCONNECTED:
        return
    if websocket.application_state is WebSocketState.CONNECTING:
        if denied is not None:
            await websocket.send_denial_response(denied)
            return
        await websocket.accept()
    closing = close_for(error)
    await websocket.send_text(orjson.dumps(error_message(error)).decode())
    await websocket.close(closing.code, closing.reason[:120])


async def _serve(host: CompatHost, websocket: WebSocket, translator: Translator, handshake: _Handshake) -> None:
    await serve_websocket(host, websocket, translator, key=handshake.key, first=handshake.first)


def stream_options(host: CompatHost, websocket: WebSocket) -> StreamOptions:
    """The options in the address of a connection.

    Raises:
        VoxwireError: there is no such model or format, or a parameter is invalid.
    """
    query = validate(StreamQuery, dict(websocket.query_params), "query")
    if query.model_id is not None:
        host.resolve_model(query.model_id)
    return StreamOptions(
        voice=websocket.path_params["voice_id"],
        format=output_format(query.output_format),
        language=query.language_code,
        seed=query.seed,
        auto_mode=query.auto_mode,
        ssml=query.enable_ssml_parsing,
        cumulative=host.config.compat.elevenlabs_alignment == "context",
        inactivity_seconds=query.inactivity_timeout,
    )


def _key_comes_later(host: CompatHost, websocket: WebSocket) -> bool:
    """Whether the server wants a key and the handshake has none in any of its places."""
    shown = any(name in websocket.headers for name in ("xi-api-key", "authorization", "x-api-key"))
    return bool(host.config.auth.keys) and not shown and "token" not in websocket.query_params


async def _first_message(websocket: WebSocket) -> str | bytes | None:
    """The first message; None if none came in time, or it is longer than FIRST_MESSAGE_CHARS_MAX."""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            event = await websocket.receive()
    except TimeoutError:
        return None
    text: str | None = event.get("text")
    data: bytes | None = event.get("bytes")
    raw = data if text is None else text
    return None if raw is None or len(raw) > FIRST_MESSAGE_CHARS_MAX else raw
