"""A session that the server no longer has: a fresh one speaks what was not heard."""

from __future__ import annotations

import pytest

from support.reconnecting import CLAUSE, TEXT, WORDS, frames, heard, kinds, run_session, speak
from support.scripted_server import FRAME_SAMPLES, Peer, done
from voxwire_client import Audio, ConnectionLost, ErrorCode, Interrupted, Reconnected, context_lifecycle
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode

pytestmark = pytest.mark.usefixtures("quick_reconnects")


async def speaks_two_words_and_drops(peer: Peer):
    """Of three words the third is cut in its middle."""
    starts.append(await peer.start(sample_rate=24000))
    await peer.until(m.End)
    await peer.send(CLAUSE, WORDS)
    await peer.frames(0, 3)
    await peer.send(m.State(contexts={}))
    peer.drop()


starts: list[m.Start] = []


def test_a_fresh_session_goes_on_with_the_first_word_that_was_not_heard():
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

    got = run_session(speaks_two_words_and_drops, second, action=lambda session: speak(session, timings=["word"]))
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

    events = run_session(speaks_two_words_and_drops, refuses, third, fourth, action=speak)
    assert [event.resumed for event in events if isinstance(event, Reconnected)] == [False, True]


def test_without_a_resume_window_a_fresh_session_begins_without_asking():
    async def second(peer: Peer):
        assert peer.socket.request.path == "/v1/stream"
        await peer.start()
        assert (await peer.expect(m.Text)).text == "there."
        await peer.expect(m.End)
        await peer.send(done("a"))

    run_session(speaks_two_words_and_drops, second, action=speak, window_ms=0)


def test_where_nothing_was_heard_everything_is_sent_again():
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

    assert heard(run_session(first, second, action=speak)) == frames(1)


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

    got = run_session(first, second, action=action)
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

    got = run_session(first, second, action=action)
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

    run_session(first, second, action=action)


def test_a_report_spans_both_sessions():
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

    report = run_session(speaks_two_words_and_drops, second, action=action)
    assert (report.heard.pts, report.heard.chars, report.heard.text) == (2000, 12, "Hi you there")
    assert report.unheard == m.Unheard(chars=1, text=".")


def test_a_position_in_the_former_session_is_reported_by_the_client():
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

    report = run_session(speaks_two_words_and_drops, second, action=action)
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

    assert len(heard(run_session(speaks_two_words_and_drops, second, action=speak))) == 4


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

    run_session(breaks, breaks, breaks, lambda peer: peer.resume_failed(), action=action)
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

    assert run_session(first, second, action=action) == (9, "One, two,")
