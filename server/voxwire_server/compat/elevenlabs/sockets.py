"""Serves ElevenLabs' WebSockets: reads what the address says, finds the key in the header or the first message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

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
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translation import Translator

FIRST_MESSAGE_SECONDS = 10.0
"""How long a client without a key in its header may take for the message that has it."""


def header_key(connection: HTTPConnection) -> str | None:
    """The key in the header that only this vendor's clients send."""
    return connection.headers.get("xi-api-key", "").strip() or None


async def serve_stream(host: CompatHost, socket: WebSocket) -> None:
    """Serve `/stream-input`. Who is refused is accepted first and told: only then the SDK has an error of its own."""
    try:
        options = stream_options(host, socket)
    except VoxwireError as error:
        host.studio.observer.refused(error.raw_code)
        closing = hangup(error)
        await socket.accept()
        await socket.send_text(orjson.dumps(socket_error(error)).decode())
        await socket.close(closing.code, closing.reason[:120])
        return
    await _serve(host, socket, StreamInput(options))


async def serve_contexts(host: CompatHost, socket: WebSocket) -> None:
    """Serve `/multi-stream-input`. Who is refused gets no connection but an HTTP status.

    LiveKit waits for ever on a connection that closes as soon as it is open.
    """
    try:
        options = stream_options(host, socket)
        if not _key_comes_later(host, socket):
            host.check_session(host.authenticate(socket, header_key(socket)))
            if host.find_voice(options.voice) is None:
                raise unknown_voice(host, options.voice)
    except VoxwireError as error:
        host.studio.observer.refused(error.raw_code)
        await socket.send_denial_response(http_error(error))
        return
    await _serve(host, socket, MultiStreamInput(options))


async def _serve(host: CompatHost, socket: WebSocket, translator: Translator) -> None:
    key = header_key(socket)
    first: list[str | bytes] = []
    if _key_comes_later(host, socket):
        await socket.accept()
        raw = await _first_message(socket)
        if raw is not None:
            key = key_in_message(raw)
            first.append(raw)
    await serve_socket(host, socket, translator, key=key, first=first)


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
    try:
        async with asyncio.timeout(FIRST_MESSAGE_SECONDS):
            event = await socket.receive()
    except TimeoutError:
        return None
    text: str | None = event.get("text")
    data: bytes | None = event.get("bytes")
    return data if text is None else text
