"""Timings are returned when they are heard: by the position of a player, without a clock."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from support.scripted_server import FRAME_SAMPLES, TIMEOUT_SECONDS, Peer, done, play, scripted
from support.threaded_server import serving
from voxwire_client import Audio, Reconnected, TimedEvents, backoff, connect, sync
from voxwire_client.mouth_track import closed_mouth
from voxwire_client.playout_clock import PlayoutClock
from voxwire_protocol import messages as m

CLAUSE = m.ClauseStarted(context="a", chars=(0, 13), pts=0)
HI = m.WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=480)
YOU = m.WordTiming(text="you", chars=(3, 6), pts=480, end_pts=960)
THERE = m.WordTiming(text="there", chars=(7, 12), pts=960, end_pts=1920)
SOUND = m.PhonemeTiming(ipa="h", pts=0, end_pts=240)
OPEN = (
    m.VisemeTiming(id=0, weight=1, pts=0),
    m.VisemeTiming(id=10, weight=0, pts=0),
    m.VisemeTiming(id=0, weight=0, pts=480),
    m.VisemeTiming(id=10, weight=1, pts=480),
)
TIMING = m.Timing(context="a", words=(HI, YOU, THERE), phonemes=(SOUND,), visemes=OPEN)


def timed_events(*events) -> TimedEvents:
    timed = TimedEvents()
    for event in events:
        timed.take(event)
    return timed


def test_each_is_returned_once_when_it_is_heard_and_a_clause_before_its_words():
    timed = timed_events(CLAUSE, TIMING)
    assert timed.due(-1) == []
    assert timed.due(479) == [CLAUSE, HI, SOUND, *OPEN[:2]]
    assert timed.due(479) == []
    assert timed.next_pts == 480
    assert timed.due(960) == [YOU, *OPEN[2:], THERE]
    assert (timed.next_pts, len(timed)) == (None, 0)


def test_marks_are_returned_when_they_are_reached():
    mark = m.Mark(context="a", name="offer", pts=480)
    timed = timed_events(CLAUSE, TIMING, mark)
    assert mark not in timed.due(479)
    assert timed.due(480)[0] == mark


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), max_size=30), st.lists(st.integers(0, 60), max_size=10))
def test_all_that_was_played_is_returned_in_order(starts, asked):
    words = [m.WordTiming(text=str(i), chars=(i, i), pts=pts, end_pts=pts) for i, pts in enumerate(sorted(starts))]
    timed, got = timed_events(m.Timing(context="a", words=tuple(words))), []
    for pts in sorted(asked):
        got += timed.due(pts)
        assert got == [word for word in words if word.pts <= pts]


def test_words_that_a_fresh_session_speaks_again_have_its_times():
    timed = timed_events(CLAUSE, TIMING)
    timed.due(100)
    timed.take(Reconnected(False, 1.0, pts=480, chars=3))
    again = m.WordTiming(text="you", chars=(3, 6), pts=700, end_pts=900)
    timed.take(m.Timing(context="a", words=(again,)))
    assert timed.due(5000) == [again]


def test_a_session_that_was_resumed_takes_nothing_back():
    timed = timed_events(TIMING, Reconnected(True, 1.0))
    assert [each for each in timed.due(5000) if isinstance(each, m.WordTiming)] == [HI, YOU, THERE]


def test_after_a_barge_in_nothing_is_returned_and_the_mouth_is_closed():
    heard = m.Heard(pts=100, chars=0, text="")
    timed = timed_events(CLAUSE, TIMING)
    assert timed.mouth(480)[10] == 1
    timed.take(m.Cancelled(context="a", heard=heard, unheard=m.Unheard(chars=13, text="")))
    assert timed.due(5000) == []
    assert timed.mouth(480) == closed_mouth()


# -- a player's place -------------------------------------------------------------------------------------------------


def test_a_player_is_asked_where_it_is():
    clock, places = PlayoutClock(), iter([0, 240, 5000])
    clock.received(960, 0.0)
    clock.follow(lambda: next(places))
    assert [clock.position(1.0), clock.estimate(1.0), clock.position(1.0)] == [0, 240, 960]


# -- in a session -----------------------------------------------------------------------------------------------------


async def speaks(peer: Peer):
    context = (await peer.start()).context
    await peer.until(m.End)
    visemes = (*OPEN, m.VisemeTiming(id=0, weight=0, pts=960), m.VisemeTiming(id=0, weight=1, pts=1440))
    await peer.send(m.ClauseStarted(context=context, chars=(0, 13), pts=0))
    await peer.send(m.Timing(context=context, words=(HI, YOU, THERE), visemes=visemes))
    await peer.frames(0, 4)
    await peer.send(done(context, frames=4))


@contextlib.asynccontextmanager
async def speaking():
    """An utterance that has wholly come, and the words that were heard of it; the test is its player."""
    async with scripted(speaks) as url, connect(url) as session:
        utterance = session.speak("Hi you there.", timings=("word", "viseme"))
        utterance.playout.played(0)
        heard = asyncio.Queue()

        async def follow():
            async for moment in utterance.moments():
                if isinstance(moment, m.WordTiming):
                    heard.put_nowait(moment.text)

        following = asyncio.create_task(follow())
        events = [event async for event in utterance]
        assert sum(isinstance(event, Audio) for event in events) == 4
        yield utterance, heard, following


def test_words_come_as_the_player_plays_them_though_all_was_received_long_ago():
    async def run():
        async with speaking() as (utterance, heard, following):
            assert heard.empty()
            assert utterance.mouth() == closed_mouth()
            utterance.playout.played(300)
            assert await heard.get() == "Hi"
            assert utterance.mouth()[10] == 300 / 480
            utterance.playout.played(700)
            assert await heard.get() == "you"
            assert heard.empty()
            utterance.playout.played(4 * FRAME_SAMPLES)
            await asyncio.wait_for(following, TIMEOUT_SECONDS)
            assert heard.get_nowait() == "there"
            assert utterance.mouth() == closed_mouth(), "all was heard"

    play(run)


def test_a_cancel_ends_the_moments_though_the_player_has_more():
    async def run():
        async with speaking() as (utterance, heard, following):
            utterance.playout.played(300)
            assert await heard.get() == "Hi"
            await utterance.cancel(played_pts=300)
            utterance.playout.played(4 * FRAME_SAMPLES)
            await asyncio.wait_for(following, TIMEOUT_SECONDS)
            assert heard.empty()
            assert utterance.mouth() == closed_mouth()

    play(run)


def test_a_player_that_pauses_closes_the_mouth():
    async def run():
        async with speaking() as (utterance, _heard, following):
            utterance.playout.played(480)
            assert utterance.mouth()[10] == 1
            await utterance.hold()
            assert utterance.mouth() == closed_mouth()
            await utterance.release()
            assert utterance.mouth()[10] == 1
            following.cancel()

    play(run)


def test_a_fresh_session_begins_with_a_closed_mouth(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)

    async def breaks_off(peer: Peer):
        context = (await peer.start()).context
        await peer.until(m.End)
        await peer.send(m.ClauseStarted(context=context, chars=(0, 13), pts=0), TIMING)
        await peer.frames(0, 1)
        await (await peer.socket.ping())
        peer.drop()

    async def says_the_rest(peer: Peer):
        context = (await peer.start()).context
        await peer.until(m.End)
        await peer.frames(0, 2)
        await peer.send(done(context, frames=2))

    async def run():
        async with scripted(breaks_off, says_the_rest) as url, connect(url) as session:
            utterance = session.speak("Hi you there.", context="a", timings=("word", "viseme"))
            utterance.playout.played(0)
            anew = [event.pts async for event in utterance if isinstance(event, Reconnected)]
            assert anew == [FRAME_SAMPLES]
            utterance.playout.played(FRAME_SAMPLES - 1)
            assert utterance.mouth()[10] > 0.9
            utterance.playout.played(FRAME_SAMPLES + 1)
            assert utterance.mouth() == closed_mouth()

    play(run)


def test_moments_come_without_asyncio_too():
    with serving(speaks) as url, sync.connect(url) as session:
        utterance = session.speak("Hi you there.", timings=("word", "viseme"))
        moments = utterance.moments()
        assert sum(isinstance(event, Audio) for event in utterance) == 4
        utterance.playout.played(480)
        assert utterance.mouth()[10] == 1
        utterance.playout.played(4 * FRAME_SAMPLES)
        assert [each.text for each in moments if isinstance(each, m.WordTiming)] == ["Hi", "you", "there"]
