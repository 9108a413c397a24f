"""The WebSocket protocol under uvicorn, with a peer that does as little as it may."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket

from support.raw_websocket import CLOSE as CLOSE_OPCODE
from support.raw_websocket import CONT, TEXT, frame
from support.raw_websocket import PING as PING_OPCODE
from voxwire_server.config import LimitsConfig
from voxwire_server.transport.connection_limiter import EXTENSION as SLOT_EXTENSION
from voxwire_server.transport.connection_limiter import ConnectionLimiter, ConnectionLimits
from voxwire_server.transport.http_protocol import HttpProtocol
from voxwire_server.transport.websocket_protocol import (
    EXTENSION,
    QUEUED_MESSAGES_MAX,
    WebSocketProtocol,
    frame_bytes,
    is_small_frame,
)

PING, CLOSE = 0x89, 0x88

waiting: list[WebSocketProtocol] = []
"""Connections of /waits."""


async def app(scope, receive, send) -> None:
    """Accepts at /wants-pongs, /forgives and /waits, refuses at /refuses; waits for the end."""
    socket = WebSocket(scope, receive, send)
    if socket.url.path == "/refuses":
        await socket.send_denial_response(PlainTextResponse("no", 401))
        return
    await socket.accept()
    scope["extensions"][EXTENSION].require_pongs = socket.url.path == "/wants-pongs"
    if socket.url.path == "/waits":
        scope["extensions"][SLOT_EXTENSION].mark_authenticated()
        waiting.append(scope["extensions"][EXTENSION])
        await asyncio.sleep(0.5)
    await socket.receive()


@contextlib.asynccontextmanager
async def connected(path: str, more: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """A raw client after its request, and what it sends along with it."""
    limiter = ConnectionLimiter(ConnectionLimits(total=10, unauthenticated=10, unauthenticated_per_address=10))
    config = uvicorn.Config(
        app,
        port=0,
        http=partial(HttpProtocol, connection_limiter=limiter, limits=LimitsConfig()),
        ws=WebSocketProtocol,
        lifespan="off",
        ws_ping_interval=0.02,
        ws_ping_timeout=0.02,
        log_config=None,
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
                + more
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


def test_a_peer_that_answers_no_ping_is_disconnected() -> None:
    async def main() -> None:
        async with connected("/wants-pongs") as reader:
            assert await frames(reader, 3) == [PING, CLOSE]

    asyncio.run(main())


def test_without_require_pongs_the_peer_stays_and_is_pinged_again() -> None:
    async def main() -> None:
        async with connected("/forgives") as reader:
            assert await frames(reader, 5) == [PING] * 5

    asyncio.run(main())


def test_a_refused_handshake_is_answered_and_logs_no_error(caplog) -> None:
    async def main() -> None:
        async with connected("/refuses") as reader:
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 401 ")
            assert answer.endswith(b"no")

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert not caplog.records


def test_the_length_of_a_frame_is_known_from_its_header() -> None:
    for size, header in ((0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14), (1 << 20, 14)):
        whole = frame(TEXT, bytes(size))
        assert frame_bytes(bytearray(whole[:14])) == len(whole) == header + size
        assert frame_bytes(bytearray(whole[:1])) is None
        assert frame_bytes(bytearray(whole[: header - 5])) is None


def test_control_frames_and_short_fragments_are_small_frames() -> None:
    def small(data: bytes) -> bool:
        return is_small_frame(data[0], len(data))

    assert all(map(small, (frame(PING_OPCODE, bytes(100)), frame(CLOSE_OPCODE), frame(CONT, b"x", fin=False))))
    assert all(map(small, (frame(TEXT, b"x", fin=False), frame(CONT))))
    assert not any(map(small, (frame(TEXT), frame(TEXT, b"{}"), frame(CONT, bytes(100), fin=False))))


def test_frames_sent_with_the_handshake_are_answered_after_it() -> None:
    async def main() -> None:
        async with connected("/forgives", frame(PING_OPCODE, b"early")) as reader:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await reader.readexactly(7) == b"\x8a\x05early"

    asyncio.run(main())


def test_parsing_stops_when_the_application_does_not_read() -> None:
    async def main() -> None:
        async with connected("/waits", frame(TEXT, b"{}") * 10_000) as reader:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05)
            assert QUEUED_MESSAGES_MAX <= waiting[-1].queue.qsize() <= QUEUED_MESSAGES_MAX + 1

    asyncio.run(main())
