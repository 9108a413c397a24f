"""Serves ElevenLabs' WebSockets: reads what the address says, finds the key in the header or the first message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from starlette.websockets import WebSocketState

from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.elevenlabs.contexts import StreamOptions
from voxwire_server.compat.elevenlabs.errors import hangup, http_error, socket_error
from voxwire_server.compat.elevenlabs.formats import output_format
from voxwire_server.compat.elevenlabs.messages import StreamQuery, key_in_message
from voxwire_server.compat.elevenlabs.translators import MultiStreamInput, StreamInput
from voxwire_server.compat.elevenlabs.voices import unknown_voice
from voxwire_server.compat.operation import checked
from voxwire_server.compat.socket import serve_socket

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translation import Translator
    from voxwire_server.session.quotas import ClientIdentity

FIRST_MESSAGE_SECONDS = 10.0
"""How long a client without a key in its header may take for the message that has it."""

FIRST_MESSAGE_CHARS_MAX = 64 << 10
"""How long that message may be: settings and a text of several pages."""


def header_key(connection: HTTPConnection) -> str | None:
    """The key in the header that only this vendor's clients send."""
    return connection.headers.get("xi-api-key", "").strip() or None


async def serve_stream(host: CompatHost, socket: WebSocket) -> None:
    """Serve `/stream-input`. Who is refused is accepted first and told: only then the SDK has an error of its own."""
    try:
        found = await _let_in(host, socket)
        options = stream_options(host, socket)
    except VoxwireError as error:
        await _turn_away(host, socket, error)
        return
    await _serve(host, socket, StreamInput(options), found)


async def serve_contexts(host: CompatHost, socket: WebSocket) -> None:
    """Serve `/multi-stream-input`. Who is refused gets no connection but an HTTP status.

    LiveKit waits for ever on a connection that closes as soon as it is open. A key in the first message is the
    exception: there is a connection by then, over which the client is told.
    """
    try:
        found = await _let_in(host, socket)
        options = stream_options(host, socket)
        host.check_session(found.identity)
        if host.find_voice(options.voice) is None:
            raise unknown_voice(host, options.voice)
    except VoxwireError as error:
        await _turn_away(host, socket, error, denied=http_error(error))
        return
    await _serve(host, socket, MultiStreamInput(options), found)


@dataclass(frozen=True, slots=True)
class _LetIn:
    identity: ClientIdentity
    key: str | None
    first: Sequence[str | bytes]


async def _let_in(host: CompatHost, socket: WebSocket) -> _LetIn:
    """Find out who asks, before anything is said of voices, models or formats.

    Raises:
        VoxwireError: client.not_authenticated, client.not_allowed or client.rate_limited.
    """
    key, first = header_key(socket), []
    if _key_comes_later(host, socket):
        await socket.accept()
        raw = await _first_message(socket)
        if raw is not None:
            key = key_in_message(raw)
            first.append(raw)
    return _LetIn(host.authenticate(socket, key), key, first)


async def _turn_away(host: CompatHost, socket: WebSocket, error: VoxwireError, denied: Response | None = None) -> None:
    """Tell a client why it is not let in: with an HTTP status (`denied`) while there is no connection, else over it."""
    host.services.observer.refused(error.raw_code)
    if socket.client_state is WebSocketState.DISCONNECTED:
        return
    if socket.application_state is WebSocketState.CONNECTING:
        if denied is not None:
            await socket.send_denial_response(denied)
            return
        await socket.accept()
    closing = hangup(error)
    await socket.send_text(orjson.dumps(socket_error(error)).decode())
    await socket.close(closing.code, closing.reason[:120])


async def _serve(host: CompatHost, socket: WebSocket, translator: Translator, found: _LetIn) -> None:
    await serve_socket(host, socket, translator, key=found.key, first=found.first)


def stream_options(host: CompatHost, socket: WebSocket) -> StreamOptions:
    """What the address of a connection asks for.

    Raises:
        VoxwireError: there is no such model or format, or a parameter is none.
    """
    query = checked(StreamQuery, dict(socket.query_params), "query")
    if query.model_id is not None:
        host.resolve_model(query.model_id)
    return StreamOptions(
        voice=socket.path_params["voice_id"],
        format=output_format(query.output_format),
        language=query.language_code,
        seed=query.seed,
        auto_mode=query.auto_mode,
        cumulative=host.config.compat.elevenlabs_alignment == "context",
        inactivity_seconds=query.inactivity_timeout,
    )


def _key_comes_later(host: CompatHost, socket: WebSocket) -> bool:
    """Whether a key is wanted and the handshake has none, wherever the server looks for one."""
    shown = any(name in socket.headers for name in ("xi-api-key", "authorization", "x-api-key"))
    return bool(host.config.auth.keys) and not shown and "token" not in socket.query_params


async def _first_message(socket: WebSocket) -> str | bytes | None:
    """The message that has the key; None where none came in time, or one that is too long for a stranger's."""
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            event = await socket.receive()
    except TimeoutError:
        return None
    text: str | None = event.get("text")
    data: bytes | None = event.get("bytes")
    raw = data if text is None else text
    return None if raw is None or len(raw) > FIRST_MESSAGE_CHARS_MAX else raw
