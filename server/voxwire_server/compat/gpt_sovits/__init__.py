"""GPT-SoVITS' api_v2: what its clients ask of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import WebSocketRoute

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Operation

OPERATIONS: Sequence[Operation[Any, Any]] = ()
"""Its HTTP endpoints."""


def sockets(host: CompatHost) -> list[WebSocketRoute]:
    """Its WebSocket endpoints."""
    del host
    return []
