"""A session whose connection drops: it comes back, resumes, and the caller hears one unbroken stream."""

from __future__ import annotations

import asyncio

import pytest

from support.scripted import FRAME_SAMPLES, Peer, done, play, scripted, started
from voxwire_client import (
    Audio,
    ConnectionLost,
    ErrorCode,
    Interrupted,
    Reconnected,
    VoxwireError,
    backoff,
    connect,
    context_lifecycle,
    outbox,
)
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode

TEXT = "Hi you there."
CLAUSE = m.ClauseStarted(context="a", chars=(0, 13), pts=0)
HI = m.WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=400)
YOU = m.WordTiming(text="you", chars=(3, 6), pts=480, end_pts=900)
THERE = m.WordTiming(text="there", chars=(7, 12), pts=960, end_pts=2000)
WORDS = m.Timing(context="a", words=(HI, YOU, THERE))


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Attempts follow each other closely."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(backoff, "STEP_SECONDS", 0.002)


def between(*scripts, action, window_ms=30_000, heartbeat_ms=60_000, **options):
    """Run `action(session)` against one script a connection."""

    async def run():
        async with (
            scripted(*scripts, resume_window_ms=window_ms, heartbeat_ms=heartbeat_ms) as url,
            connect(url, **options) as session,
        ):
            return await action(session)

    return play(run)


async def speak(session, **options):
    return [event async for event in session.speak(TEXT, context="a", **options)]


def heard(events):
    """The audio of a stream: numbers and payloads."""
    return [(event.seq, event.pts, event.payload[:4]) for event in events if isinstance(event, Audio)]


def frames(count):
    """What `Peer.frames` sends from the first on."""
    return [(seq, seq * FRAME_SAMPLES, seq.to_bytes(4, "little")) for seq in range(count)]


def kinds(events):
    return [type(event) for event in events if not isinstance(event, Audio)]


# -- resuming ---------------------------------------------------------------------------------------------------------


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

    got = between(first, second, action=action)
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

    assert heard(between(first, second, third, action=speak)) == frames(4)


def test_what_the_server_has_not_got_is_said_again_in_its_order():
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

    assert heard(between(first, second, action=speak)) == frames(1)


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

    assert heard(between(first, second, action=speak)) == frames(4)


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


def test_what_a_fresh_session_says_before_the_answer_is_not_counted():
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

    between(first, second, third, action=action)


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

    got = between(first, second, action=action, heartbeat_ms=20)
    assert kinds(got)[:3] == [m.Started, Interrupted, Reconnected]


def test_texts_and_pings_said_while_away_go_out_afterwards():
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

    assert kinds(between(first, second, action=action)) == [Reconnected, m.Done]


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

    got = between(first, second, action=action, on_change=lambda event: away.set())
    assert [type(event) for event in got if not isinstance(event, Reconnected)] == [m.Started, m.Done]


def test_too_much_text_said_while_away_waits(monkeypatch):
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

    assert isinstance(between(first, second, action=action)[-1], m.Done)


def test_a_cancel_while_away_is_answered_at_once_and_told_afterwards():
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

    report, got, again = between(first, second, action=action)
    assert (report.heard.text, report.heard.word, report.unheard.text) == ("Hi", "you", " you there.")
    assert [type(event) for event in got[-2:]] == [m.Cancelled, m.Done]
    assert got[-1].reason is m.DoneReason.CANCELLED
    assert isinstance(again[-1], m.Done)


def test_a_cancel_that_is_under_way_when_the_connection_drops_is_answered_here():
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

    assert between(first, second, action=action).heard.text == "Hi"


# -- when it is not to be ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code", [CloseCode.NORMAL, CloseCode.POLICY, CloseCode.NOT_AUTHENTICATED, CloseCode.RESUMED_ELSEWHERE]
)
def test_a_session_that_was_ended_on_purpose_stays_ended(code):
    connections = []

    async def script(peer: Peer):
        connections.append(peer)
        await peer.socket.close(code)

    lost = between(script, action=lambda session: session.wait_closed())
    assert lost.code == code
    assert len(connections) == 1


def test_whoever_is_refused_when_it_comes_back_does_not_insist():
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

    assert between(first, refuses, action=action).code == CloseCode.NOT_AUTHENTICATED


def test_a_server_that_wants_to_be_left_alone_for_a_while_is(monkeypatch):
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

    between(first, busy, third, action=speak)
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

    got = between(first, never, action=action, reconnect_seconds=0.05)
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

    assert between(first, never, action=action) == CloseCode.NORMAL


def test_the_session_says_what_becomes_of_its_connection():
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

    between(first, second, third, action=action, on_change=tell)
    assert [type(event) for event in told] == [Interrupted, Reconnected] * 2
    assert [told[1].resumed, told[3].resumed] == [True, False]


# -- beginning anew ---------------------------------------------------------------------------------------------------


async def speaks_two_words_and_drops(peer: Peer):
    """Of three words the third is cut in its middle."""
    starts.append(await peer.start(sample_rate=24000))
    await peer.until(m.End)
    await peer.send(CLAUSE, WORDS)
    await peer.frames(0, 3)
    await peer.send(m.State(contexts={}))
    peer.drop()


starts: list[m.Start] = []


def test_where_the_session_is_gone_the_speech_goes_on_with_the_first_word_that_was_not_heard():
    async def second(peer: Peer):
        await peer.resume_failed()
        start = await peer.start(number=5)
        assert start == m.Start(
            context="a",
            voice="heart",
            audio=m.AudioRequest(codec="pcm_s16le", sample_rate=24000, frame_ms=20),
            timings=("word",),
            seed=starts[-1].seed,
        )
        assert await peer.expect(m.Text) == m.Text(context="a", text="there.", seq=0)
        await peer.accept(m.Text(context="a", text="", seq=0), 6)
        await peer.expect(m.End)
        words = (m.WordTiming(text="there", chars=(0, 5), pts=100, end_pts=700),)
        await peer.send(m.ClauseStarted(context="a", chars=(0, 6), pts=0), m.Timing(context="a", words=words))
        await peer.frames(5, 2)
        await peer.send(done("a", frames=2, chars=6))

    got = between(speaks_two_words_and_drops, second, action=lambda session: speak(session, timings=["word"]))
    assert starts[-1].seed is not None
    assert [(seq, pts) for seq, pts, _ in heard(got)] == [(seq, seq * FRAME_SAMPLES) for seq in range(5)]
    begun = [m.Started, m.ClauseStarted, m.Timing]
    assert kinds(got) == [*begun, Interrupted, Reconnected, m.ClauseStarted, m.Timing, m.Done]
    back, clause, timing, end = [event for event in got if not isinstance(event, Audio)][-4:]
    assert (back.resumed, back.pts, back.chars) == (False, 1440, 7)
    assert (clause.chars, clause.pts) == ((7, 13), 1440)
    assert (timing.words[0].chars, timing.words[0].pts, timing.words[0].end_pts) == ((7, 12), 1540, 2140)
    assert (end.frames, end.samples, end.chars) == (5, 1440 + 960, 13)


def test_a_draining_server_that_does_not_have_the_session_is_not_asked_for_it_again():
    """Else a load balancer would lead there as long as that server lives."""

    async def refuses(peer: Peer):
        assert peer.socket.request.path == "/v1/stream?resume=s1"
        await peer.expect(m.Resume)
        await peer.refuse(ErrorCode.DRAINING)
        await peer.socket.close(CloseCode.RESTART)

    async def third(peer: Peer):
        assert peer.socket.request.path == "/v1/stream"
        await peer.start()
        assert (await peer.expect(m.Text)).text == "there."
        await peer.expect(m.End)
        peer.drop()

    async def fourth(peer: Peer):
        assert peer.socket.request.path == "/v1/stream?resume=s3"
        assert (await peer.resumed(received=3)).session == "s3"
        await peer.send(done("a"))

    events = between(speaks_two_words_and_drops, refuses, third, fourth, action=speak)
    assert [event.resumed for event in events if isinstance(event, Reconnected)] == [False, True]


def test_a_session_without_a_window_begins_anew_without_asking():
    async def second(peer: Peer):
        assert peer.socket.request.path == "/v1/stream"
        await peer.start()
        assert (await peer.expect(m.Text)).text == "there."
        await peer.expect(m.End)
        await peer.send(done("a"))

    between(speaks_two_words_and_drops, second, action=speak, window_ms=0)


def test_nothing_was_heard_so_everything_is_said_again():
    async def first(peer: Peer):
        await peer.expect(m.Start)
        await peer.expect(m.Text)
        peer.drop()

    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.start()
        assert (await peer.expect(m.Text)).text == TEXT
        await peer.expect(m.End)
        await peer.frames(0, 1)
        await peer.send(done("a", frames=1))

    assert heard(between(first, second, action=speak)) == frames(1)


def test_flushes_that_were_answered_are_not_asked_for_again():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(m.ClauseStarted(context="a", chars=(0, 4), pts=0))
        await peer.frames(0, 1)
        await peer.send(m.Flushed(context="a", id="1", seq=0))
        await peer.send(m.ClauseStarted(context="a", chars=(4, 8), pts=480))
        await peer.frames(0, 1, first_seq=1)
        # All of the second was heard, but for the answer.
        await peer.send(m.ClauseStarted(context="a", chars=(8, 13), pts=960), m.State(contexts={}))
        peer.drop()

    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.start()
        assert (await peer.expect(m.Text)).text == "tres "
        assert (await peer.expect(m.Flush)).id == "3"
        assert (await peer.expect(m.Text)).text == "four"
        await peer.expect(m.End)
        await peer.frames(0, 1)
        await peer.send(m.Flushed(context="a", id="3", seq=0), done("a", frames=1))

    async def action(session):
        spoken = session.context(context="a", timings=[])
        for text, id in (("one ", "1"), ("two ", "2"), ("tres ", "3")):
            await spoken.text(text)
            await spoken.flush(id)
        await spoken.text("four")
        await spoken.end()
        return [event async for event in spoken]

    got = between(first, second, action=action)
    assert [(event.id, event.seq) for event in got if isinstance(event, m.Flushed)] == [("1", 0), ("2", 1), ("3", 2)]


def test_text_that_was_heard_whole_ends_without_another_session():
    async def first(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE, WORDS)
        await peer.frames(0, 5)
        await peer.send(m.State(contexts={}))
        peer.drop()

    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.expect(m.Flush)

    async def action(session):
        got = await speak(session)
        await session.send(m.Flush(context="nobody"))
        return got

    got = between(first, second, action=action)
    assert heard(got) == frames(5)
    assert (got[-1].reason, got[-1].frames, got[-1].chars) == (m.DoneReason.COMPLETED, 5, 13)


def test_holds_and_configurations_hold_on_the_fresh_session_too():
    async def first(peer: Peer):
        await peer.start(codec="opus", bitrate=32000)
        await peer.expect(m.Configure)
        await peer.expect(m.Hold)
        peer.drop()

    async def second(peer: Peer):
        await peer.resume_failed()
        start = await peer.start(codec="opus", bitrate=12000)
        assert start.audio.bitrate == 12000
        assert start.pacing == m.PacingRequest(mode="burst", lead_ms=900)
        await peer.expect(m.Hold)
        await peer.send(done("a"))

    async def action(session):
        spoken = session.context(context="a", codec="opus", pacing="burst")
        await spoken.configure(bitrate=12000, lead_ms=900)
        await spoken.hold()
        return [event async for event in spoken]

    between(first, second, action=action)


def test_a_report_spans_the_seam():
    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.start()
        await peer.expect(m.Text)
        await peer.expect(m.End)
        await peer.send(m.ClauseStarted(context="a", chars=(0, 6), pts=0))
        await peer.frames(0, 2)
        assert (await peer.expect(m.Cancel)).played_pts == 560
        await peer.cancelled("a", "there", ".", pts=560)

    async def action(session):
        utterance = session.speak(TEXT, context="a")
        async for event in utterance:
            if isinstance(event, Audio) and event.seq == 4:
                await utterance.cancel(played_pts=2000)
        return utterance.cancelled

    report = between(speaks_two_words_and_drops, second, action=action)
    assert (report.heard.pts, report.heard.chars, report.heard.text) == (2000, 12, "Hi you there")
    assert report.unheard == m.Unheard(chars=1, text=".")


def test_a_listener_who_is_before_the_seam_is_reported_from_here():
    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.start()
        await peer.frames(0, 1)
        assert (await peer.until(m.Cancel)).played_pts == 0
        await peer.cancelled("a", "", "there.")

    async def action(session):
        utterance = session.speak(TEXT, context="a")
        async for event in utterance:
            if isinstance(event, Audio) and event.seq == 3:
                await utterance.cancel(played_pts=450)
        return utterance.cancelled

    report = between(speaks_two_words_and_drops, second, action=action)
    assert (report.heard.text, report.unheard.text) == ("Hi", " you there.")


def test_a_fresh_session_that_is_full_is_asked_again(monkeypatch):
    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.expect(m.Start)
        # Text that came now would open a context with all defaults.
        await peer.refuse(ErrorCode.ENGINE_OVERLOADED, "a", retry_after_ms=1)
        await peer.start()
        assert (await peer.expect(m.Text)).text == "there."
        await peer.expect(m.End)
        await peer.frames(0, 1)
        await peer.send(done("a", frames=1))

    assert len(heard(between(speaks_two_words_and_drops, second, action=speak))) == 4


def test_a_text_that_ends_every_session_is_given_up(monkeypatch):
    monkeypatch.setattr(context_lifecycle, "RESTARTS_MAX", 2)
    attempts = []

    async def breaks(peer: Peer):
        if attempts:
            await peer.resume_failed()
        attempts.append(peer)
        await peer.start()
        await peer.socket.close(CloseCode.INTERNAL)

    async def action(session):
        with pytest.raises(ConnectionLost, match="ended 2 sessions"):
            await speak(session)

    between(breaks, breaks, breaks, lambda peer: peer.resume_failed(), action=action)
    assert len(attempts) == 3


def test_what_is_retracted_while_the_session_ends_is_retracted_on_the_next():
    async def first(peer: Peer):
        await peer.start()
        await peer.accept(await peer.expect(m.Text), 15)
        await peer.expect(m.Retract)
        peer.drop()

    async def second(peer: Peer):
        await peer.resume_failed()
        await peer.start()
        text = await peer.expect(m.Text)
        assert text.text == "One, two, three"
        await peer.accept(text, 15)
        assert (await peer.expect(m.Retract)).from_char == 5
        await peer.send(m.Accepted(context="a", text_seq=0, chars=9))

    async def action(session):
        spoken = session.context(context="a")
        await spoken.text("One, two, three")
        return await spoken.retract(5), spoken.text_so_far

    assert between(first, second, action=action) == (9, "One, two,")


# -- servers that go away ---------------------------------------------------------------------------------------------


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

    got = between(first, second, action=action)
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

    got = between(first, second, action=speak)
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

    assert [seq for seq, _, _ in heard(between(first, second, action=action))] == [0, 1, 2, 3]


def test_without_reconnecting_a_draining_server_refuses_as_it_says():
    async def script(peer: Peer):
        await peer.send(m.Draining(deadline_ms=1000))
        await peer.expect(m.Start)
        await peer.refuse(ErrorCode.DRAINING, "a")
        await peer.send(started("nobody"))

    async def action(session):
        with pytest.raises(VoxwireError) as caught:
            await speak(session)
        return caught.value.code

    assert between(script, action=action, reconnect=False) is ErrorCode.DRAINING
