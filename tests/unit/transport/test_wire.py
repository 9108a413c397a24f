"""The WebSocket protocol under uvicorn, with a peer that does as little as it may."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

from voxwire_server.transport.wire import EXTENSION, WireProtocol

PING, CLOSE = 0x89, 0x88


async def app(scope, receive, send) -> None:
    """Accepts at /wants-pongs and /forgives, refuses at /refuses; waits for the end."""
    socket = WebSocket(scope, receive, send)
    if socket.url.path == "/refuses":
        await socket.send_denial_response(PlainTextResponse("no", 401))
        return
    await socket.accept()
    scope["extensions"][EXTENSION].pongs_wanted = socket.url.path == "/wants-pongs"
    await socket.receive()


@contextlib.asynccontextmanager
async def connected(path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A raw client after its request."""
    config = uvicorn.Config(
        app, port=0, ws=WireProtocol, lifespan="off", ws_ping_interval=0.02, ws_ping_timeout=0.02, log_config=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            reader, writer = await asyncio.open_connection(*server.servers[0].sockets[0].getsockname()[:2])
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
            )
            yield reader
            writer.close()
    finally:
        server.should_exit = True
        await serving


async def frames(reader: asyncio.StreamReader, count: int) -> list[int]:
    """The first bytes of up to `count` frames, which are short ones here."""
    await reader.readuntil(b"\r\n\r\n")
    found = []
    with contextlib.suppress(asyncio.IncompleteReadError):
        while len(found) < count:
            head = await reader.readexactly(2)
            await reader.readexactly(head[1])
            found.append(head[0])
    return found


def test_a_peer_that_answers_no_ping_is_let_go() -> None:
    async def main() -> None:
        async with connected("/wants-pongs") as reader:
            assert await frames(reader, 3) == [PING, CLOSE]

    asyncio.run(main())


def test_where_pongs_are_not_wanted_it_stays_and_is_asked_again() -> None:
    async def main() -> None:
        async with connected("/forgives") as reader:
            assert await frames(reader, 5) == [PING] * 5

    asyncio.run(main())


def test_a_refused_handshake_is_answered_and_no_error_of_the_server(caplog) -> None:
    async def main() -> None:
        async with connected("/refuses") as reader:
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 401 ")
            assert answer.endswith(b"no")

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert not caplog.records
