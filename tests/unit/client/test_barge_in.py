"""Stopping: cancel and what was heard, leaving, failing streams of text, names that are used again."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from support.scripted_server import FRAME_SAMPLES, Peer, done, play, scripted, started
from voxwire_client import Audio, ConnectionLost, ErrorCode, VoxwireError, connect
from voxwire_protocol import messages as m

HI = m.WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=400)
YOU = m.WordTiming(text="you", chars=(3, 6), pts=400, end_pts=900)
CLAUSE = m.ClauseStarted(context="a", chars=(0, 7), pts=0)


def serve_and(script, action):
    async def run():
        async with scripted(script) as url, connect(url, reconnect=False) as speaking:
            result = await action(speaking)
            if not speaking.closed:
                # What was said before the pong has been read by the script.
                await speaking.ping()
            return result

    return play(run)


async def everything(utterance):
    return [event async for event in utterance]


async def until_audio(spoken, seq=0):
    async for event in spoken:
        if isinstance(event, Audio) and event.seq == seq:
            return


async def endless(closed: asyncio.Event | None = None):
    try:
        yield "Hi "
        yield "you."
        await asyncio.Event().wait()
    finally:
        if closed is not None:
            closed.set()


async def speaks_until_cancelled(peer: Peer) -> m.Cancel:
    """Speak two frames of "Hi you."; what follows them is up to the caller."""
    await peer.start()
    await peer.expect(m.Text)
    await peer.send(CLAUSE, m.Timing(context="a", words=(HI, YOU)))
    await peer.frames(0, 2)
    return await peer.until(m.Cancel)


def test_cancel_returns_what_was_heard_and_no_audio_follows_it():
    async def script(peer: Peer):
        cancel = await speaks_until_cancelled(peer)
        assert cancel.played_pts == 500
        await peer.frames(0, 3, first_seq=2)
        await peer.cancelled("a", "Hi", " you.", pts=500)

    async def action(speaking):
        utterance = speaking.speak(endless(), context="a")
        after, report = [], None
        async for event in utterance:
            if report is not None:
                after.append(event)
            elif isinstance(event, Audio):
                report = await utterance.cancel(played_pts=500)
        return report, after

    report, after = serve_and(script, action)
    assert (report.heard.text, report.unheard.text) == ("Hi", " you.")
    assert [type(event) for event in after] == [m.Cancelled, m.Done]


def test_cancel_from_another_task_ends_the_listening():
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        await peer.cancelled("a", "Hi", " you.")

    async def action(speaking):
        utterance = speaking.speak(endless(), context="a")
        spoken = asyncio.Event()

        async def listen():
            got = []
            async for event in utterance:
                got.append(event)
                spoken.set()
            return got

        listener = asyncio.create_task(listen())
        await spoken.wait()
        reports = await asyncio.gather(utterance.cancel(), utterance.cancel())
        assert reports[0] is reports[1] is await utterance.cancel()
        return await listener

    assert isinstance(serve_and(script, action)[-1], m.Done)


def test_the_playout_clock_tells_where_the_listener_was():
    async def script(peer: Peer):
        assert (await speaks_until_cancelled(peer)).played_pts == 321
        await peer.cancelled("a")

    async def action(speaking):
        utterance = speaking.speak(endless(), context="a")
        async for event in utterance:
            if isinstance(event, Audio):
                utterance.playout.played(321)
                await utterance.cancel()

    serve_and(script, action)


def test_without_a_player_the_server_estimates_the_position():
    async def script(peer: Peer):
        assert (await speaks_until_cancelled(peer)).played_pts is None
        await peer.cancelled("a")

    async def action(speaking):
        utterance = speaking.speak(endless(), context="a")
        async for event in utterance:
            if isinstance(event, Audio):
                await utterance.cancel()

    serve_and(script, action)


@pytest.mark.parametrize(("played_pts", "heard"), [(0, ""), (500, "Hi"), (900, "Hi you"), (10_000, "Hi you.")])
def test_what_was_heard_is_known_though_the_server_had_sent_everything(played_pts, heard):
    """With half a second of lead, most interruptions near the end of an answer come after `done`."""

    async def script(peer: Peer):
        await peer.start()
        await peer.send(CLAUSE, m.Timing(context="a", words=(HI, YOU)))
        await peer.frames(0, 2)
        await peer.until(m.End)
        await peer.send(done("a", frames=2, chars=7))

    async def action(speaking):
        utterance = speaking.speak("Hi you.", context="a")
        got = [event async for event in utterance]
        assert isinstance(got[-1], m.Done)
        return await utterance.cancel(played_pts=played_pts)

    report = serve_and(script, action)
    assert report.heard.text == heard
    assert report.heard.text + report.unheard.text == "Hi you."
    assert report.sent_seq == 1


def test_a_cancel_after_done_that_was_not_taken_yet_comes_before_it():
    async def script(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE)
        await peer.frames(0, 2)
        await peer.send(done("a", frames=2))

    async def action(speaking):
        utterance = speaking.speak("Hi you.", context="a")
        got = []
        async for event in utterance:
            got.append(event)
            if isinstance(event, m.Started):
                while not utterance.over:
                    await speaking.ping()
                await utterance.cancel(played_pts=0)
        return got

    assert [type(event) for event in serve_and(script, action)] == [m.Started, m.Cancelled, m.Done]


def test_a_cancel_that_crosses_done_is_answered_by_the_client():
    async def script(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.send(CLAUSE, m.Timing(context="a", words=(HI, YOU)))
        await peer.frames(0, 2)
        await peer.until(m.Cancel)
        await peer.send(done("a", frames=2))
        # The late error must not hurt whoever has the name next.
        await peer.expect(m.Start)
        await peer.refuse(ErrorCode.UNKNOWN_CONTEXT, "a")
        await peer.send(started("a", 1))
        await peer.until(m.End)
        await peer.send(done("a"))

    async def action(speaking):
        utterance = speaking.speak("Hi you.", context="a")
        async for event in utterance:
            if isinstance(event, Audio) and event.seq == 1:
                report = await utterance.cancel(played_pts=450)
        again = await everything(speaking.speak("Yes.", context="a"))
        return report, again

    report, again = serve_and(script, action)
    assert (report.heard.text, report.heard.word) == ("Hi", "you")
    assert again[-1].reason is m.DoneReason.COMPLETED


def test_cancel_answers_though_the_connection_is_lost():
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        await peer.socket.close(1011, "")

    async def action(speaking):
        utterance = speaking.speak(endless(), context="a")
        report = None
        with contextlib.suppress(ConnectionLost):
            async for event in utterance:
                if isinstance(event, Audio) and event.seq == 1:
                    report = await utterance.cancel(played_pts=450)
        return report

    assert serve_and(script, action).heard.text == "Hi"


def test_cancel_before_anything_was_sent_sends_nothing():
    async def script(peer: Peer):
        assert (await peer.expect(m.Start)).context == "other"

    async def action(speaking):
        utterance = speaking.speak("Hi.", context="a")
        report = await utterance.cancel()
        assert (report.heard.text, report.unheard.text) == ("", "")
        assert await everything(utterance) == []
        await speaking.context(context="other").open()

    serve_and(script, action)


def test_cancel_before_the_start_was_granted():
    async def script(peer: Peer):
        await peer.until(m.Cancel)
        await peer.send(started("a"))
        await peer.frames(0, 1)
        await peer.cancelled("a", "", "Hi.")

    async def action(speaking):
        spoken = speaking.context(context="a")
        await spoken.text("Hi.")
        report = await spoken.cancel()
        return report, await everything(spoken)

    report, events = serve_and(script, action)
    assert report.unheard.text == "Hi."
    assert [type(event) for event in events] == [m.Started, m.Cancelled, m.Done]


def test_a_task_that_waits_for_cancel_can_be_cancelled():
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        asked.set()

    asked = asyncio.Event()

    async def action(speaking):
        spoken = speaking.context(context="a")
        await spoken.text("Hi you.")
        await until_audio(spoken)
        waiting = asyncio.create_task(spoken.cancel())
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    serve_and(script, action)


def test_text_under_way_at_a_barge_in_opens_nothing():
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        await peer.cancelled("a")
        assert (await peer.expect(m.Start)).context == "next"

    async def action(speaking):
        spoken = speaking.context(context="a")
        await spoken.text("Hi you.")
        await until_audio(spoken)
        await spoken.cancel()
        for late in (spoken.text(" And"), spoken.flush(), spoken.retract(0)):
            with pytest.raises(VoxwireError) as caught:
                await late
            assert caught.value.code is ErrorCode.CONTEXT_ENDED
        await spoken.end()
        await spoken.hold()
        await spoken.release()
        await spoken.configure(lead_ms=100)
        await speaking.context(context="next").open()

    serve_and(script, action)


@pytest.mark.parametrize("way", ["break", "exception", "task"])
def test_leaving_an_utterance_cancels_it_and_closes_its_text(way):
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        await peer.cancelled("a")
        left.set()

    left = asyncio.Event()

    async def action(speaking):
        closed, heard = asyncio.Event(), asyncio.Event()

        async def listen():
            async for event in speaking.speak(endless(closed), context="a"):
                if isinstance(event, Audio):
                    heard.set()
                    if way == "break":
                        break
                    if way == "exception":
                        raise LookupError

        listener = asyncio.create_task(listen())
        await heard.wait()
        if way == "task":
            listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await left.wait()
        await closed.wait()

    serve_and(script, action)


def test_a_stream_of_text_that_fails_cancels_and_is_raised_at_once():
    async def broken():
        yield "Hi "
        yield "you."
        await heard.wait()
        raise LookupError("the model is gone")

    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        await peer.cancelled("a")
        cancelled.set()

    heard, cancelled = asyncio.Event(), asyncio.Event()

    async def action(speaking):
        async def listen():
            async for event in speaking.speak(broken(), context="a"):
                if isinstance(event, Audio):
                    heard.set()

        with pytest.raises(LookupError, match="the model is gone"):
            await listen()
        await cancelled.wait()

    serve_and(script, action)


def test_a_stream_that_is_cancelled_by_others_does_not_leave_its_listener_waiting():
    async def gone():
        yield "Hi "
        raise asyncio.CancelledError

    async def script(peer: Peer):
        await peer.start()
        await peer.until(m.Cancel)
        await peer.cancelled("a")
        cancelled.set()

    cancelled = asyncio.Event()

    async def action(speaking):
        listener = asyncio.create_task(everything(speaking.speak(gone(), context="a")))
        await cancelled.wait()
        await asyncio.wait([listener])
        assert listener.cancelled()

    serve_and(script, action)


def test_a_name_can_be_used_again_and_hears_nothing_of_the_former():
    """What the former context still gets comes between the new one's wish to start and its start."""

    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        asked.set()
        for _ in range(5):
            await asyncio.sleep(0)
        await peer.frames(0, 1, first_seq=2)
        await peer.cancelled("a", "Hi")
        start = await peer.expect(m.Start)
        assert start.voice == "second"
        await peer.send(started("a", 1))
        await peer.frames(1, 1)
        await peer.until(m.End)
        await peer.send(done("a", frames=1))

    asked = asyncio.Event()

    async def action(speaking):
        async with speaking.context(context="a") as former:
            await former.text("Hi you.")
            await until_audio(former)
        second = asyncio.create_task(everything(speaking.speak("Yes.", context="a", voice="second")))
        await asked.wait()
        return await second

    events = serve_and(script, action)
    assert [type(event) for event in events] == [m.Started, Audio, m.Done]
    assert events[1].seq == 0


def test_a_name_in_use_is_refused_by_the_client():
    async def script(peer: Peer):
        await peer.start()

    async def action(speaking):
        await speaking.context(context="a").open()
        with pytest.raises(ValueError, match="'a' is in use"):
            await speaking.context(context="a").open()
        with pytest.raises(ValueError, match="in use"):
            await everything(speaking.speak("Hi.", context="a"))

    serve_and(script, action)


def test_a_context_carries_many_utterances_and_can_be_listened_to_in_turns():
    async def script(peer: Peer):
        await peer.start()
        for turn in range(3):
            await peer.expect(m.Text)
            flush = await peer.expect(m.Flush)
            await peer.frames(0, 2, first_seq=2 * turn)
            await peer.send(m.Flushed(context="a", id=flush.id, seq=2 * turn + 1))
        await peer.expect(m.End)
        await peer.send(done("a", frames=6))

    async def action(speaking):
        seqs = []
        async with speaking.context(context="a") as spoken:
            for turn in range(3):
                await spoken.text(f"Turn {turn}.")
                await spoken.flush(f"turn-{turn}")
                async for event in spoken:
                    if isinstance(event, Audio):
                        seqs.append(event.seq)
                    if isinstance(event, m.Flushed):
                        assert event.id == f"turn-{turn}"
                        break
            await spoken.end()
            assert isinstance((await everything(spoken))[-1], m.Done)
        return seqs

    assert serve_and(script, action) == list(range(6))


def test_an_empty_text_can_flush():
    async def script(peer: Peer):
        await peer.start()
        assert (await peer.expect(m.Text)).text == "Hi."
        await peer.expect(m.Flush)

    async def action(speaking):
        spoken = speaking.context()
        await spoken.text("Hi.")
        await spoken.text("", flush=True)

    serve_and(script, action)


def test_retract_returns_the_characters_that_are_left():
    async def script(peer: Peer):
        await peer.start()
        text = await peer.expect(m.Text)
        await peer.accept(text, 15)
        assert (await peer.expect(m.Retract)).from_char == 5
        await peer.send(m.Accepted(context="a", text_seq=0, chars=9))
        assert (await peer.expect(m.Text)).seq == 1

    async def action(speaking):
        spoken = speaking.context(context="a")
        await spoken.text("One, two, three")
        left = await spoken.retract(5)
        await spoken.text(" and four")
        return left, spoken.text_so_far

    assert serve_and(script, action) == (9, "One, two, and four")


def test_text_that_is_no_unicode_is_refused_and_harms_nothing():
    async def script(peer: Peer):
        await peer.start()
        assert (await peer.expect(m.Text)).text == "Hi."

    async def action(speaking):
        spoken = speaking.context()
        with pytest.raises(VoxwireError) as caught:
            await spoken.text("\ud83d")
        assert caught.value.code is ErrorCode.INVALID_FIELD
        await spoken.text("Hi.")

    serve_and(script, action)


def test_hold_and_release_stop_the_clock():
    async def script(peer: Peer):
        await peer.start()
        await peer.expect(m.Hold)
        await peer.expect(m.Release)
        configure = await peer.expect(m.Configure)
        assert configure.audio == m.BitrateRequest(bitrate=12000)
        assert configure.pacing == m.PacingRequest(lead_ms=900)

    async def action(speaking):
        spoken = speaking.context(context="a", codec="opus")
        await spoken.hold()
        await spoken.release()
        await spoken.configure(bitrate=12000, lead_ms=900)

    serve_and(script, action)


def test_a_bitrate_for_a_codec_without_one_is_refused_by_the_client():
    async def script(peer: Peer):
        await peer.start()

    async def action(speaking):
        spoken = speaking.context()
        await spoken.open()
        with pytest.raises(VoxwireError) as caught:
            await spoken.configure(bitrate=12000)
        assert caught.value.code is ErrorCode.UNSUPPORTED_AUDIO

    serve_and(script, action)


def test_heard_can_be_asked_without_stopping():
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        await peer.cancelled("a")

    async def action(speaking):
        spoken = speaking.context(context="a")
        await spoken.text("Hi you.")
        await until_audio(spoken, 1)
        heard = spoken.heard(played_pts=450)
        assert spoken.heard(played_pts=10**9).pts == 2 * FRAME_SAMPLES
        await spoken.cancel()
        return heard

    assert serve_and(script, action) == m.Heard(pts=450, chars=2, text="Hi", word="you")
