"""Connecting and being refused."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import serve

from support.ports import free_port
from support.scripted_server import Peer, play, scripted
from voxwire_client import ConnectionLost, ErrorCode, VoxwireError, connect
from voxwire_protocol import messages as m
from voxwire_protocol.codec import MSGPACK
from voxwire_protocol.errors import CloseCode


async def visit(url, **options):
    async with connect(url, **options):
        pass


async def nothing(peer: Peer):
    pass


def test_a_session_can_be_opened_and_closed_by_hand():
    async def action():
        async with scripted(nothing) as url:
            session = await connect(url)
            assert session.limits.contexts_max == 32
            assert not session.closed
            await session.close()
            await session.close()
            assert session.closed
            async with await connect(url) as again:
                assert again.ready.session == "s2"

    play(action)


def test_the_key_goes_into_a_header(monkeypatch):
    keys = []

    async def script(peer: Peer):
        keys.append(peer.socket.request.headers.get("Authorization"))

    async def action():
        async with scripted(script) as url:
            await visit(url, api_key="secret")
            monkeypatch.setenv("VOXWIRE_API_KEY", "from-the-environment")
            await visit(url)

    play(action)
    assert keys == ["Bearer secret", "Bearer from-the-environment"]


def test_a_refusal_is_an_error_of_the_tree():
    async def script(peer: Peer):
        await peer.refuse(ErrorCode.TOO_MANY_SESSIONS, retry_after_ms=700)
        await peer.socket.close(CloseCode.TRY_LATER, "server.too_many_sessions")

    async def action():
        async with scripted(script, ready=False) as url:
            await visit(url)

    with pytest.raises(VoxwireError) as caught:
        play(action)
    assert caught.value.code is ErrorCode.TOO_MANY_SESSIONS
    assert caught.value.retry_after_ms == 700


def test_a_server_that_begins_otherwise_is_not_ours():
    async def script(peer: Peer):
        await peer.send(m.Pong(t=1, server_ms=1))

    async def action():
        async with scripted(script, ready=False) as url:
            with pytest.raises(ConnectionLost, match="began with pong"):
                await visit(url)

    play(action)


def test_a_server_that_closes_at_once_is_a_lost_connection():
    async def script(peer: Peer):
        await peer.socket.close(CloseCode.INTERNAL, "oh")

    async def action():
        async with scripted(script, ready=False) as url:
            await visit(url)

    with pytest.raises(ConnectionLost) as caught:
        play(action)
    assert caught.value.code == CloseCode.INTERNAL


def test_a_server_that_speaks_something_else_is_left():
    async def handle(socket):
        await socket.wait_closed()

    async def action():
        async with serve(handle, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            with pytest.raises(ConnectionLost, match=MSGPACK.subprotocol):
                await visit(f"ws://127.0.0.1:{port}")

    play(action)


def test_a_port_without_a_server_is_a_lost_connection_that_can_be_retried():
    with pytest.raises(ConnectionLost) as caught:
        asyncio.run(visit(f"ws://127.0.0.1:{free_port()}"))
    assert caught.value.retryable
    assert caught.value.code == 1006


def test_a_server_that_never_greets_is_given_up():
    async def script(peer: Peer):
        await peer.socket.wait_closed()

    async def action():
        async with scripted(script, ready=False) as url:
            with pytest.raises(ConnectionLost, match="TimeoutError"):
                await visit(url, timeout=0.01)

    play(action)
