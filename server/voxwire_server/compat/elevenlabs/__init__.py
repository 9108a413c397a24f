"""ElevenLabs: its endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from starlette.routing import WebSocketRoute

from voxwire_server.compat.elevenlabs import http
from voxwire_server.compat.elevenlabs.errors import http_error, voices_error
from voxwire_server.compat.elevenlabs.messages import SpeechBody, SpeechQuery
from voxwire_server.compat.elevenlabs.websocket import api_key_of, serve_multi_stream_input, serve_stream_input
from voxwire_server.compat.operation import BodyKind, Call, Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost

    SpeechHandler = Callable[[CompatHost, Call[SpeechBody, SpeechQuery]], Awaitable[Response]]

_AUDIO = ("audio/mpeg", "audio/pcm", "audio/wav", "audio/basic", "audio/x-alaw-basic", "audio/ogg")


def _speech(path: str, summary: str, handler: SpeechHandler, *answers: str) -> Operation[SpeechBody, SpeechQuery]:
    return Operation(
        vendor="elevenlabs",
        method="POST",
        path=f"/v1/text-to-speech/{{voice_id}}{path}",
        summary=summary,
        handler=handler,
        error=http_error,
        key=api_key_of,
        body=SpeechBody,
        body_kind=BodyKind.JSON,
        query=SpeechQuery,
        answers=answers or ("application/json",),
    )


def _voices(path: str, summary: str, handler: Any, **more: Any) -> Operation[Any, Any]:
    fields = {"error": voices_error} | more
    return Operation(
        vendor="elevenlabs", method="GET", path=path, summary=summary, handler=handler, key=api_key_of, **fields
    )


OPERATIONS: Sequence[Operation[Any, Any]] = (
    _speech("", "Speak a text", http.speak, *_AUDIO),
    _speech("/stream", "Speak a text, the audio as it is made", http.speak, *_AUDIO),
    _speech("/with-timestamps", "Speak a text, with its characters' times", http.speak_with_timestamps),
    _speech("/stream/with-timestamps", "The same, as it is made", http.stream_with_timestamps, "application/x-ndjson"),
    # Also an endpoint of the native protocol, which web pages call with a browser's token.
    _voices("/v1/voices", "The voices", http.list_voices, query=http.VoicesQuery, tokens=True),
    _voices("/v2/voices", "The voices, in pages", http.search_voices, query=http.VoicesQuery, error=http_error),
    _voices("/v1/voices/{voice_id}", "One voice", http.one_voice, error=http_error),
)
"""Its HTTP endpoints."""


def websocket_routes(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints."""

    async def single(websocket: WebSocket) -> None:
        await serve_stream_input(host, websocket)

    async def multi(websocket: WebSocket) -> None:
        await serve_multi_stream_input(host, websocket)

    return [
        WebSocketRoute("/v1/text-to-speech/{voice_id}/stream-input", single),
        WebSocketRoute("/v1/text-to-speech/{voice_id}/multi-stream-input", multi),
    ]
