"""A session whose connection drops and that is resumed: the caller gets one unbroken stream."""

from __future__ import annotations

import asyncio

import pytest

from support.reconnecting import CLAUSE, TEXT, WORDS, frames, heard, kinds, run_session, speak
from support.scripted_server import Peer, done, play, scripted
from voxwire_client import Audio, Interrupted, Reconnected, connect, outbox
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode

pytestmark = pytest.mark.usefixtures("quick_reconnects")


def test_a_dropped_session_is_resumed_and_goes_on_with_the_next_frame():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE, WORDS)
        await peer.frames(0, 2)
        await peer.expect(m.Hold)
        peer.drop()

    async def second(peer: Peer):
        assert peer.socket.request.path == "/v1/stream?resume=s1"
        resume = await peer.resumed(received=4)
        # `started`, `accepted`, `clause`, `timing` and two frames.
        assert resume == m.Resume(session="s1", token="t1", received=6, contexts={"a": 1}, text_seq={"a": 0})
        await peer.frames(0, 2, first_seq=2)
        await peer.send(done("a", frames=4))

    async def action(session):
        got = []
        speaking = session.speak(TEXT, context="a")
        async for event in speaking:
            got.append(event)
            if isinstance(event, Audio) and event.seq == 1:
                await speaking.hold()
        return got

    got = run_session(first, second, action=action)
    assert heard(got) == frames(4)
    assert kinds(got) == [m.Started, m.ClauseStarted, m.Timing, Interrupted, Reconnected, m.Done]
    assert got[5].reason.code == 1006
    assert got[6].resumed


def test_every_resume_counts_all_that_came_and_uses_the_newest_token():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.frames(0, 1)
        await peer.socket.close(CloseCode.GOING_AWAY)

    async def second(peer: Peer):
        assert (await peer.resumed(received=3)).received == 3
        await peer.frames(0, 2, first_seq=1)
        await peer.socket.close(CloseCode.TRY_LATER)

    async def third(peer: Peer):
        resume = await peer.resumed(received=3)
        assert (resume.session, resume.token, resume.received) == ("s1", "t1+", 5)
        await peer.frames(0, 1, first_seq=3)
        await peer.send(done("a", frames=4))

    assert heard(run_session(first, second, third, action=speak)) == frames(4)


def test_messages_that_did_not_arrive_are_sent_again_in_order():
    """Nothing of the first connection arrived, not even the `start`."""

    async def first(peer: Peer):
        await peer.until(m.End)
        peer.drop()

    async def second(peer: Peer):
        await peer.resumed(received=0)
        assert isinstance(await peer.start(), m.Start)
        assert await peer.expect(m.Text) == m.Text(context="a", text=TEXT, seq=0)
        await peer.expect(m.End)
        await peer.frames(0, 1)
        await peer.send(done("a", frames=1))

    assert heard(run_session(first, second, action=speak)) == frames(1)


def test_a_frame_that_came_already_is_not_heard_again():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.frames(0, 3)
        await peer.send(m.State(contexts={}))
        peer.drop()

    async def second(peer: Peer):
        await peer.resumed(received=3)
        await peer.frames(0, 3, first_seq=1)
        await peer.send(done("a", frames=4))

    assert heard(run_session(first, second, action=speak)) == frames(4)


def test_the_rest_of_the_url_stays():
    async def first(peer: Peer):
        assert peer.socket.request.path == "/v1/stream?node=3"
        peer.drop()

    async def second(peer: Peer):
        assert peer.socket.request.path == "/v1/stream?node=3&resume=s1"
        await peer.resumed()
        back.set()

    back = asyncio.Event()

    async def run():
        async with scripted(first, second, resume_window_ms=1000) as url, connect(f"{url}?node=3"):
            await back.wait()

    play(run)


def test_messages_of_the_fresh_session_before_the_answer_are_not_counted():
    async def first(peer: Peer):
        await peer.start()
        await peer.send(m.State(contexts={}))
        peer.drop()

    async def second(peer: Peer):
        await peer.send(m.Draining(deadline_ms=1000))
        assert (await peer.resumed(received=1)).received == 2
        peer.drop()

    async def third(peer: Peer):
        assert (await peer.resumed(received=1)).received == 2
        await peer.send(done("a"))

    async def action(session):
        return [event async for event in session.context(context="a")]

    run_session(first, second, third, action=action)


def test_a_server_that_fell_silent_is_left_and_resumed():
    async def first(peer: Peer):
        await peer.start()
        await peer.silence()

    async def second(peer: Peer):
        # Its pings are among what it said, and come again.
        await peer.resumed(received=1)
        await peer.send(done("a"))

    async def action(session):
        return [event async for event in session.context(context="a")]

    got = run_session(first, second, action=action, heartbeat_ms=20)
    assert kinds(got)[:3] == [m.Started, Interrupted, Reconnected]


def test_texts_and_pings_written_without_a_connection_are_sent_afterwards():
    async def first(peer: Peer):
        await peer.start()
        await peer.expect(m.Text)
        peer.drop()

    async def second(peer: Peer):
        await asyncio.wait_for(written.wait(), 10)
        await peer.resumed(received=2)
        assert (await peer.expect(m.Text)).text == "two "
        assert (await peer.expect(m.Flush)).id == "x"
        # The ping has come between them; it is answered by `expect`.
        assert (await peer.expect(m.Text)).text == "three"
        await peer.expect(m.End)
        await peer.send(done("a"))

    written = asyncio.Event()

    async def action(session):
        async with session.context(context="a") as spoken:
            await spoken.text("one ")
            async for event in spoken:
                if isinstance(event, Interrupted):
                    break
            assert not session.connected
            await spoken.text("two ")
            await spoken.flush("x")
            ping = asyncio.create_task(session.ping())
            await asyncio.sleep(0)
            await spoken.text("three")
            await spoken.end()
            written.set()
            assert await ping > 0
            await session.wait_connected()
            return [event async for event in spoken]

    assert kinds(run_session(first, second, action=action)) == [Reconnected, m.Done]


def test_a_context_can_be_opened_while_the_connection_is_away():
    async def first(peer: Peer):
        peer.drop()

    async def second(peer: Peer):
        await asyncio.wait_for(opened.wait(), 10)
        await peer.resumed(received=0)
        await peer.start()
        await peer.send(done("a"))

    opened, away = asyncio.Event(), asyncio.Event()

    async def action(session):
        await away.wait()
        assert not session.connected
        spoken = session.context(context="a")
        await spoken.open()
        opened.set()
        return [event async for event in spoken]

    got = run_session(first, second, action=action, on_change=lambda event: away.set())
    assert [type(event) for event in got if not isinstance(event, Reconnected)] == [m.Started, m.Done]


def test_too_much_text_written_without_a_connection_waits(monkeypatch):
    monkeypatch.setattr(outbox, "BYTES_MAX", 250)

    async def first(peer: Peer):
        await peer.start()
        peer.drop()

    async def second(peer: Peer):
        await asyncio.wait_for(full.wait(), 10)
        await peer.resumed(received=1)
        await peer.until(m.End)
        await peer.send(done("a"))

    full = asyncio.Event()

    async def action(session):
        spoken = session.context(context="a")
        async for event in spoken:
            if isinstance(event, Interrupted):
                break
        await spoken.text("x" * 90)
        writer = asyncio.create_task(spoken.text("y" * 90))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not writer.done()
        full.set()
        await writer
        await spoken.end()
        return [event async for event in spoken]

    assert isinstance(run_session(first, second, action=action)[-1], m.Done)


def test_a_cancel_without_a_connection_is_answered_at_once_and_sent_afterwards():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE, WORDS)
        await peer.frames(0, 4)
        peer.drop()

    async def second(peer: Peer):
        await asyncio.wait_for(answered.wait(), 10)
        await peer.resumed(received=3)
        assert (await peer.expect(m.Cancel)).played_pts == 700
        await peer.frames(0, 2, first_seq=4)
        await peer.cancelled("a", "Hi", " you there.")
        # The name is free again.
        await peer.start()
        await peer.send(done("a"))

    answered = asyncio.Event()

    async def action(session):
        utterance = session.speak(TEXT, context="a")
        got = []
        async for event in utterance:
            got.append(event)
            if isinstance(event, Interrupted):
                report = await utterance.cancel(played_pts=700)
                answered.set()
        again = [event async for event in session.context(context="a")]
        return report, got, again

    report, got, again = run_session(first, second, action=action)
    assert (report.heard.text, report.heard.word, report.unheard.text) == ("Hi", "you", " you there.")
    assert [type(event) for event in got[-2:]] == [m.Cancelled, m.Done]
    assert got[-1].reason is m.DoneReason.CANCELLED
    assert isinstance(again[-1], m.Done)


def test_a_cancel_under_way_when_the_connection_drops_is_answered_by_the_client():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE, WORDS)
        await peer.frames(0, 2)
        await peer.expect(m.Cancel)
        peer.drop()

    async def second(peer: Peer):
        await peer.resume_failed()
        assert (await peer.start()).context == "b"
        await peer.send(done("b"))

    async def action(session):
        utterance = session.speak(TEXT, context="a")
        async for event in utterance:
            if isinstance(event, Audio) and event.seq == 1:
                report = await utterance.cancel(played_pts=700)
        assert isinstance([event async for event in session.context(context="b")][-1], m.Done)
        return report

    assert run_session(first, second, action=action).heard.text == "Hi"
