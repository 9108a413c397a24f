"""Cartesia: its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import WebSocketRoute

from voxwire_server.compat.cartesia.errors import http_error
from voxwire_server.compat.cartesia.http import VoicesQuery, list_voices, one_voice, speak, speak_in_events
from voxwire_server.compat.cartesia.messages import BytesBody, SseBody
from voxwire_server.compat.cartesia.websocket import KEY_PARAMETERS, serve
from voxwire_server.compat.operation import BodyKind, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost


def _operation(method: str, path: str, summary: str, handler: Any, **more: Any) -> Operation[Any, Any]:
    return Operation(
        vendor="cartesia",
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        error=http_error,
        key_parameters=KEY_PARAMETERS,
        **more,
    )


OPERATIONS: Sequence[Operation[Any, Any]] = (
    _operation(
        "POST",
        "/tts/bytes",
        "Speak a text",
        speak,
        body=BytesBody,
        body_kind=BodyKind.JSON,
        answers=("audio/pcm", "audio/wav", "audio/mpeg", "audio/basic", "audio/x-alaw-basic"),
    ),
    _operation(
        "POST",
        "/tts/sse",
        "Speak a text, with its words' and phonemes' times",
        speak_in_events,
        body=SseBody,
        body_kind=BodyKind.JSON,
        answers=("text/event-stream",),
    ),
    _operation("GET", "/voices", "The voices, in pages", list_voices, query=VoicesQuery),
    _operation("GET", "/voices/{voice_id:path}", "One voice", one_voice),
)
"""Its HTTP endpoints."""


def websocket_routes(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints."""

    async def contexts(websocket: WebSocket) -> None:
        await serve(host, websocket)

    return [WebSocketRoute("/tts/websocket", contexts)]
