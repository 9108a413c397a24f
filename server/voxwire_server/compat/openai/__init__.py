"""OpenAI: its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxwire_server.compat.openai import http
from voxwire_server.compat.openai.errors import http_error
from voxwire_server.compat.openai.http import SpeechBody
from voxwire_server.compat.operation import BodyKind, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import WebSocketRoute

    from voxwire_server.compat.host import CompatHost

_AUDIO = ("audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm", "text/event-stream")


def _list(path: str, summary: str, handler: Any) -> Operation[Any, Any]:
    return Operation(
        vendor="openai",
        method="GET",
        path=path,
        summary=summary,
        handler=handler,
        error=http_error,
        key=http.elevenlabs_key,
    )


OPERATIONS: Sequence[Operation[Any, Any]] = (
    Operation(
        vendor="openai",
        method="POST",
        path="/v1/audio/speech",
        summary="Speak a text",
        handler=http.speak,
        error=http_error,
        body=SpeechBody,
        body_kind=BodyKind.JSON,
        answers=_AUDIO,
    ),
    _list("/v1/models", "The models", http.list_models),
    _list("/v1/models/{model:path}", "One model", http.one_model),
    _list("/v1/audio/models", "The models that speak", http.list_speech_models),
    _list("/v1/audio/voices", "The voices", http.list_voices),
)
"""Its HTTP endpoints."""


def websocket_routes(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints: none."""
    del host
    return []
