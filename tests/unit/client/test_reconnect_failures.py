"""A session whose connection drops and does not come back, or must not; and what the caller is told of it."""

from __future__ import annotations

import asyncio

import pytest

from support.reconnecting import run_session, speak
from support.scripted_server import Peer, done
from voxwire_client import Audio, ConnectionLost, ErrorCode, Interrupted, Reconnected, backoff
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode

pytestmark = pytest.mark.usefixtures("quick_reconnects")


@pytest.mark.parametrize(
    "code", [CloseCode.NORMAL, CloseCode.POLICY, CloseCode.NOT_AUTHENTICATED, CloseCode.RESUMED_ELSEWHERE]
)
def test_a_session_that_was_ended_on_purpose_stays_ended(code):
    connections = []

    async def script(peer: Peer):
        connections.append(peer)
        await peer.socket.close(code)

    lost = run_session(script, action=lambda session: session.wait_closed())
    assert lost.code == code
    assert len(connections) == 1


def test_a_refused_reconnect_is_not_repeated():
    async def first(peer: Peer):
        await peer.start()
        peer.drop()

    async def refuses(peer: Peer):
        assert await peer.expect(m.Resume)
        await peer.refuse(ErrorCode.NOT_AUTHENTICATED)
        await peer.socket.close(CloseCode.NOT_AUTHENTICATED)

    async def action(session):
        with pytest.raises(ConnectionLost) as caught:
            await speak(session)
        assert caught.value.error.code is ErrorCode.NOT_AUTHENTICATED
        assert session.closed
        return caught.value

    assert run_session(first, refuses, action=action).code == CloseCode.NOT_AUTHENTICATED


def test_the_pause_that_a_server_asks_for_is_kept(monkeypatch):
    asked = []
    original = backoff.Backoff.next_seconds

    def next_seconds(self, asked_seconds=None):
        asked.append(asked_seconds)
        return original(self)

    monkeypatch.setattr(backoff.Backoff, "next_seconds", next_seconds)

    async def first(peer: Peer):
        await peer.start()
        peer.drop()

    async def busy(peer: Peer):
        await peer.expect(m.Resume)
        await peer.refuse(ErrorCode.OVERLOADED, retry_after_ms=700)
        await peer.socket.close(CloseCode.TRY_LATER)

    async def third(peer: Peer):
        await peer.resumed(received=1)
        await peer.until(m.End)
        await peer.send(done("a"))

    run_session(first, busy, third, action=speak)
    assert asked == [None, 0.7]


def test_a_client_that_can_not_come_back_in_time_gives_up():
    async def first(peer: Peer):
        await peer.start()
        await peer.frames(0, 1)
        peer.drop()

    async def never(peer: Peer):
        peer.drop()

    async def listen(session, got):
        async for event in session.context(context="a"):
            got.append(event)

    async def action(session):
        got = []
        with pytest.raises(ConnectionLost):
            await listen(session, got)
        with pytest.raises(ConnectionLost):
            await session.wait_connected()
        with pytest.raises(ConnectionLost):
            await session.ping()
        return got

    got = run_session(first, never, action=action, reconnect_seconds=0.05)
    assert [type(event) for event in got] == [m.Started, Audio, Interrupted]


def test_a_session_can_be_closed_while_it_is_away():
    async def first(peer: Peer):
        await peer.start()
        peer.drop()

    async def never(peer: Peer):
        peer.drop()

    async def listen(session):
        async for event in session.context(context="a"):
            if isinstance(event, Interrupted):
                await session.close()

    async def action(session):
        with pytest.raises(ConnectionLost) as caught:
            await listen(session)
        return caught.value.code

    assert run_session(first, never, action=action) == CloseCode.NORMAL


def test_on_change_is_called_when_the_connection_drops_and_comes_back():
    async def first(peer: Peer):
        peer.drop()

    async def second(peer: Peer):
        await peer.resumed()
        peer.drop()

    async def third(peer: Peer):
        await peer.resume_failed()

    told = []

    def tell(event):
        told.append(event)
        if len(told) == 4:
            enough.set()

    enough = asyncio.Event()

    async def action(session):
        await enough.wait()
        await session.wait_connected()
        assert session.ready.session == "s3"

    run_session(first, second, third, action=action, on_change=tell)
    assert [type(event) for event in told] == [Interrupted, Reconnected] * 2
    assert [told[1].resumed, told[3].resumed] == [True, False]
