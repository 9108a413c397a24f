"""GPT-SoVITS' api_v2: its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxwire_server.compat.gpt_sovits import http
from voxwire_server.compat.gpt_sovits.http import Command, TtsRequest
from voxwire_server.compat.operation import BodyKind, NoFields, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import WebSocketRoute

    from voxwire_server.compat.host import CompatHost

_AUDIO = ("audio/wav", "audio/raw", "audio/ogg", "audio/aac")


def _get(path: str, summary: str, handler: Any, query: Any, *answers: str) -> Operation[Any, Any]:
    return Operation(
        vendor="gpt-sovits",
        method="GET",
        path=path,
        summary=summary,
        handler=handler,
        error=http.http_error,
        query=query,
        answers=answers or ("application/json",),
    )


def _post(path: str, summary: str, handler: Any, body: Any, *answers: str) -> Operation[Any, Any]:
    return Operation(
        vendor="gpt-sovits",
        method="POST",
        path=path,
        summary=summary,
        handler=handler,
        error=http.http_error,
        body=body,
        body_kind=BodyKind.NONE if body is NoFields else BodyKind.JSON,
        answers=answers or ("application/json",),
    )


OPERATIONS: Sequence[Operation[Any, Any]] = (
    _get("/tts", "Speak a text", http.get_tts, TtsRequest, *_AUDIO),
    _post("/tts", "Speak a text", http.post_tts, TtsRequest, *_AUDIO),
    _get("/control", "Refused: the server is not controlled over HTTP", http.refuse_control, Command),
    _post("/control", "Refused: the server is not controlled over HTTP", http.refuse_control, NoFields),
    _get("/set_gpt_weights", "Refused: there are no weights to change", http.refuse_weights, Command),
    _get("/set_sovits_weights", "Refused: there are no weights to change", http.refuse_weights, Command),
    _get("/set_refer_audio", "Refused: voices are not cloned", http.refuse_reference, Command),
)
"""Its HTTP endpoints."""


def websocket_routes(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints: none."""
    del host
    return []
