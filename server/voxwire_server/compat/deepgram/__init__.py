"""Deepgram: its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import WebSocketRoute

from voxwire_server.compat.deepgram.errors import http_error
from voxwire_server.compat.deepgram.http import speak_aura, speak_flux
from voxwire_server.compat.deepgram.messages import SpeakBody, SpeakQuery
from voxwire_server.compat.deepgram.websocket import api_key_of, serve_aura, serve_flux
from voxwire_server.compat.operation import BodyKind, Call, Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost

    Handler = Callable[[CompatHost, Call[SpeakBody, SpeakQuery]], Awaitable[Response]]

_AUDIO = ("audio/mpeg", "audio/wav", "audio/pcm", "audio/basic", "audio/x-alaw-basic", "audio/ogg", "audio/flac")


def _speak(path: str, handler: Handler) -> Operation[SpeakBody, SpeakQuery]:
    return Operation(
        vendor="deepgram",
        method="POST",
        path=path,
        summary="Speak a text",
        handler=handler,
        error=http_error,
        key=api_key_of,
        body=SpeakBody,
        body_kind=BodyKind.JSON,
        text_field="text",
        query=SpeakQuery,
        answers=(*_AUDIO, "audio/aac"),
    )


OPERATIONS: Sequence[Operation[Any, Any]] = (_speak("/v1/speak", speak_aura), _speak("/v2/speak", speak_flux))
"""Its HTTP endpoints."""


def websocket_routes(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints."""

    async def aura(websocket: WebSocket) -> None:
        await serve_aura(host, websocket)

    async def flux(websocket: WebSocket) -> None:
        await serve_flux(host, websocket)

    return [WebSocketRoute("/v1/speak", aura), WebSocketRoute("/v2/speak", flux)]
