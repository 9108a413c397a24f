"""An echo server on one of uvicorn's WebSocket implementations: `python -m support.echo_server WS PORT`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import uvicorn

FRAME = bytes(16 + 960)
BLAST = 20_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Echoes messages at /; at /blast sends BLAST audio frames, at /corked the same ten to a write."""
    if scope["type"] != "websocket":
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    if scope["path"] == "/blast":
        for _ in range(BLAST):
            await send({"type": "websocket.send", "bytes": FRAME})
        await send({"type": "websocket.close"})
    if scope["path"] == "/corked":
        wire = scope["extensions"]["voxwire.websocket_protocol"]
        from voxwire_server.transport.websocket_protocol import binary_prefix

        records = (binary_prefix(len(FRAME)) + FRAME) * 10
        for _ in range(BLAST // 10):
            await wire.writable.wait()
            wire.write_frames(records)
        await send({"type": "websocket.close"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


def main(ws: str, port: int) -> None:
    """Serve until killed."""
    protocol: Any = ws
    if ":" in ws:
        module, name = ws.split(":")
        protocol = getattr(importlib.import_module(module), name)
    uvicorn.run(
        app,
        port=port,
        ws=protocol,
        ws_max_size=32 << 20,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        log_level="critical",
        lifespan="off",
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
