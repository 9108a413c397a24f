"""CosyVoice's FastAPI server: its endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxwire_server.compat.cosyvoice.http import Fields, http_error, speak_v1, speak_v2
from voxwire_server.compat.operation import BodyKind, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import WebSocketRoute

    from voxwire_server.compat.host import CompatHost

_ROUTES = (
    ("/inference_sft", "Speak a text with a voice", speak_v1),
    ("/inference_instruct", "The same; the instruction has no effect", speak_v1),
    ("/inference_zero_shot", "Speak a text with the voice that a recording is named after", speak_v2),
    ("/inference_cross_lingual", "The same", speak_v2),
    ("/inference_instruct2", "The same; the instruction has no effect", speak_v2),
)

OPERATIONS: Sequence[Operation[Any, Any]] = tuple(
    Operation(
        vendor="cosyvoice",
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        error=http_error,
        body=Fields,
        body_kind=BodyKind.FORM,
        query=Fields,
        answers=("audio/pcm",),
    )
    for path, summary, handler in _ROUTES
    # Its own client sends the form with GET.
    for method in ("GET", "POST")
)
"""Its HTTP endpoints."""


def websocket_routes(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints: none."""
    del host
    return []
