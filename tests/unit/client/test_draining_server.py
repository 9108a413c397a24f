"""Servers that drain: new speech goes to another connection, and so does speech that was not finished."""

from __future__ import annotations

import asyncio

import pytest

from support.reconnecting import CLAUSE, TEXT, WORDS, frames, heard, kinds, run_session, speak
from support.scripted_server import Peer, done, started
from voxwire_client import Audio, ErrorCode, VoxwireError
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode

pytestmark = pytest.mark.usefixtures("quick_reconnects")


def test_while_a_server_drains_new_speech_goes_to_another_and_what_it_speaks_is_finished():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(m.Draining(deadline_ms=30_000))
        await peer.frames(0, 1)
        await asyncio.wait_for(elsewhere.wait(), 10)
        await peer.frames(0, 1, first_seq=1)
        await peer.send(done("a", frames=2))
        await peer.socket.close(CloseCode.RESTART)

    async def second(peer: Peer):
        assert peer.socket.request.path == "/v1/stream"
        assert (await peer.start()).context == "b"
        await peer.send(done("b"))
        elsewhere.set()

    elsewhere = asyncio.Event()

    async def action(session):
        got = []
        async for event in session.speak(TEXT, context="a"):
            got.append(event)
            if isinstance(event, Audio) and event.seq == 0:
                other = asyncio.create_task(anext(aiter(session.context(context="b"))))
        assert isinstance(await other, m.Started)
        assert not session.closed
        assert session.draining is None
        return got

    got = run_session(first, second, action=action)
    assert heard(got) == frames(2)
    assert kinds(got) == [m.Started, m.Done]


def test_a_start_that_crossed_the_draining_is_granted_elsewhere():
    async def first(peer: Peer):
        await peer.expect(m.Start)
        await peer.expect(m.Text)
        await peer.send(m.Draining(deadline_ms=30_000))
        await peer.refuse(ErrorCode.DRAINING, "a")
        await peer.refuse(ErrorCode.DRAINING, "a")

    async def second(peer: Peer):
        await peer.start()
        assert (await peer.expect(m.Text)).text == TEXT
        await peer.expect(m.End)
        await peer.frames(0, 1)
        await peer.send(done("a", frames=1))

    got = run_session(first, second, action=speak)
    assert kinds(got) == [m.Started, m.Done]


def test_speech_that_a_server_does_not_finish_goes_on_where_new_speech_went():
    async def first(peer: Peer):
        await speaks(peer)
        await asyncio.wait_for(elsewhere.wait(), 10)
        await peer.socket.close(CloseCode.RESTART)

    async def speaks(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE, WORDS, m.Draining(deadline_ms=1000))
        await peer.frames(0, 3)

    async def second(peer: Peer):
        assert (await peer.start()).context == "b"
        elsewhere.set()
        assert (await peer.start(number=1)).context == "a"
        assert (await peer.expect(m.Text)).text == "there."
        await peer.expect(m.End)
        await peer.frames(1, 1)
        await peer.send(done("a", frames=1))

    elsewhere = asyncio.Event()

    async def action(session):
        got = []
        async for event in session.speak(TEXT, context="a"):
            got.append(event)
            if isinstance(event, Audio) and event.seq == 2:
                await session.context(context="b").open()
        return got

    assert [seq for seq, _, _ in heard(run_session(first, second, action=action))] == [0, 1, 2, 3]


def test_without_reconnecting_the_refusal_of_a_draining_server_is_raised():
    async def script(peer: Peer):
        await peer.send(m.Draining(deadline_ms=1000))
        await peer.expect(m.Start)
        await peer.refuse(ErrorCode.DRAINING, "a")
        await peer.send(started("nobody"))

    async def action(session):
        with pytest.raises(VoxwireError) as caught:
            await speak(session)
        return caught.value.code

    assert run_session(script, action=action, reconnect=False) is ErrorCode.DRAINING
