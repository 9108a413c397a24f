"""The parts of reconnecting: delays, unacknowledged messages, and where a fresh session goes on."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_client import ConnectionLost
from voxwire_client.backoff import ASKED_SECONDS_MAX, FIRST_SECONDS, SECONDS_MAX, Backoff
from voxwire_client.errors import ABNORMAL
from voxwire_client.outbox import Outbox, SentMessages
from voxwire_client.timeline_offset import NO_OFFSET, TimelineOffset
from voxwire_client.transcript import Transcript
from voxwire_protocol import messages as m
from voxwire_protocol.codec import JSON
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError

# -- delays -----------------------------------------------------------------------------------------------------------


def test_the_first_attempt_is_at_once_and_later_ones_ever_later():
    backoff = Backoff(lambda: 1.0)
    delays = [backoff.next_seconds() for _ in range(9)]
    assert delays == pytest.approx([FIRST_SECONDS, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, SECONDS_MAX, SECONDS_MAX])
    backoff.succeeded()
    assert backoff.next_seconds() == FIRST_SECONDS


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_delays_are_drawn_from_their_whole_range(draws):
    drawn = iter(draws)
    backoff, widest = Backoff(lambda: next(drawn)), Backoff(lambda: 1.0)
    for draw in draws:
        assert backoff.next_seconds() == pytest.approx(draw * widest.next_seconds())


@pytest.mark.parametrize(("asked", "least"), [(0.7, 0.7), (-1.0, 0.0), (1e9, ASKED_SECONDS_MAX)])
def test_the_pause_that_the_server_asks_for_is_kept_up_to_a_bound(asked, least):
    assert least <= Backoff(lambda: 0.5).next_seconds(asked) <= least + FIRST_SECONDS


@pytest.mark.parametrize(
    ("code", "error", "dropped"),
    [
        (ABNORMAL, None, True),
        (CloseCode.GOING_AWAY, None, True),
        (CloseCode.INTERNAL, None, True),
        (CloseCode.RESTART, None, True),
        (CloseCode.TRY_LATER, None, True),
        (CloseCode.NORMAL, ErrorCode.IDLE, False),
        (CloseCode.POLICY, ErrorCode.SLOW_READER, False),
        (CloseCode.RESUMED_ELSEWHERE, None, False),
        (CloseCode.NOT_AUTHENTICATED, ErrorCode.NOT_AUTHENTICATED, False),
        (ABNORMAL, ErrorCode.ABUSE, False),
        (ABNORMAL, ErrorCode.UNKNOWN_TYPE, True),
    ],
)
def test_which_sessions_may_go_on_at_another_connection(code, error, dropped):
    assert ConnectionLost(code, "", None if error is None else VoxwireError(error, "")).dropped is dropped


# -- the outbox ------------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.binary(max_size=9), st.integers(0, 40))))
def test_just_the_messages_that_did_not_arrive_are_kept(steps):
    messages, sent, arrived = SentMessages(), [], 0
    for step in steps:
        if isinstance(step, bytes):
            assert messages.append(step) == len(sent)
            sent.append(step)
        else:
            arrived = max(arrived, min(step, len(sent)))
            messages.acknowledge(step)
        assert (messages.first, messages.end) == (arrived, len(sent))
        assert [messages.at(number) for number in range(arrived, len(sent))] == sent[arrived:]
        assert messages.bytes == sum(map(len, sent[arrived:]))


def test_a_pong_tells_that_everything_before_it_arrived():
    async def action():
        outbox = Outbox(JSON)
        outbox.post(m.End(context="a"))
        t = outbox.send_ping()
        outbox.post(m.End(context="b"))
        outbox.on_pong(t)
        outbox.on_pong(t)
        outbox.on_pong(99)
        return outbox.received, outbox.has_unsent

    assert asyncio.run(action()) == (2, True)


def test_a_count_of_messages_that_were_never_sent_is_not_believed():
    async def action():
        outbox = Outbox(JSON)
        outbox.post(m.End(context="a"))
        outbox.acknowledge(7)
        return outbox.received, outbox.post(m.End(context="b"))

    assert asyncio.run(action()) == (1, 1)


# -- where to go on ---------------------------------------------------------------------------------------------------


def transcript(text: str, clauses: list[tuple[int, int, int]], words: bool = True) -> Transcript:
    """A text whose characters sound for ten samples each, in clauses (first character, last, pts)."""
    spoken = Transcript()
    spoken.append(text)
    for start, end, pts in clauses:
        spoken.clause(m.ClauseStarted(context="a", chars=(start, end), pts=pts))
        if words:
            spoken.timing(m.Timing(context="a", words=tuple(word_timings(text[start:end], start, pts))))
    return spoken


def word_timings(clause, start, pts):
    at = 0
    for word in clause.split(" "):
        if any(map(str.isalnum, word)):
            bare = word.strip("\"'.,!")
            first = at + word.index(bare)
            last = first + len(bare)
            yield m.WordTiming(
                text=bare, chars=(start + first, start + last), pts=pts + first * 10, end_pts=pts + last * 10
            )
        at += len(word) + 1


SAID = 'He said "yes". Then he left.'
CLAUSES = [(0, 14, 0), (14, 28, 200)]


@pytest.mark.parametrize(
    ("pts", "anew"),
    [
        (0, SAID),
        (10, SAID),
        (20, 'said "yes". Then he left.'),
        (69, 'said "yes". Then he left.'),
        (70, '"yes". Then he left.'),
        (119, '"yes". Then he left.'),
        (120, " Then he left."),
        (200, " Then he left."),
        (201, "Then he left."),
        (290, "left."),
        (1000, ""),
    ],
)
def test_speech_goes_on_with_the_first_word_that_was_not_received_whole(pts, anew):
    assert SAID[transcript(SAID, CLAUSES).first_unheard(pts, 0) :] == anew


def test_words_whose_times_were_not_received_are_spoken_again():
    spoken = Transcript()
    spoken.append("One. Two three.")
    spoken.clause(m.ClauseStarted(context="a", chars=(0, 15), pts=0))
    spoken.timing(m.Timing(context="a", words=(m.WordTiming(text="One", chars=(0, 3), pts=100, end_pts=200),)))
    assert spoken.first_unheard(250, 0) == 4


@pytest.mark.parametrize(("pts", "whole_pts", "anew"), [(0, 0, SAID), (50, 0, SAID), (200, 0, SAID[14:])])
def test_without_word_times_it_goes_on_with_the_clause(pts, whole_pts, anew):
    assert SAID[transcript(SAID, CLAUSES, words=False).first_unheard(pts, whole_pts) :] == anew


def test_an_utterance_that_was_received_whole_is_not_spoken_again():
    spoken = transcript(SAID, CLAUSES[:1], words=False)
    assert spoken.first_unheard(160, 160) == 14
    assert spoken.first_unheard(180, 160) == 0


@given(st.integers(0, 400))
def test_after_the_cut_no_more_counts_as_heard_than_was(pts):
    spoken = transcript(SAID, CLAUSES)
    chars = spoken.first_unheard(pts, 0)
    before, _ = spoken.heard(pts, None)
    spoken.cut(pts, chars)
    spoken.clause(m.ClauseStarted(context="a", chars=(chars, len(SAID)), pts=pts))
    for at in range(0, pts + 1, 10):
        heard, _ = spoken.heard(at, None)
        assert heard.chars <= chars
    heard, unheard = spoken.heard(pts, None)
    assert heard.chars >= before.chars
    assert heard.text + unheard.text == SAID


def test_messages_of_the_first_session_are_left_as_they_are():
    done = m.Done(context="a", reason=m.DoneReason.NO_SPEAKABLE_TEXT, frames=0, samples=0, chars=4)
    assert NO_OFFSET.shift(done) is done


def test_everything_with_a_place_is_moved():
    offset = TimelineOffset(seq=10, pts=4800, chars=100)
    timing = m.Timing(
        context="a",
        words=(m.WordTiming(text="Hi", chars=(0, 2), pts=5, end_pts=9),),
        phonemes=(m.PhonemeTiming(ipa="h", pts=5, end_pts=6),),
        visemes=(m.VisemeTiming(id=1, weight=0.5, pts=7),),
    )
    assert offset.shift(timing) == m.Timing(
        context="a",
        words=(m.WordTiming(text="Hi", chars=(100, 102), pts=4805, end_pts=4809),),
        phonemes=(m.PhonemeTiming(ipa="h", pts=4805, end_pts=4806),),
        visemes=(m.VisemeTiming(id=1, weight=0.5, pts=4807),),
    )
    assert offset.shift(m.Flushed(context="a", seq=2)).seq == 12
    assert offset.shift(m.Flushed(context="a")).seq == 9
    rest = m.Done(context="a", reason=m.DoneReason.NO_SPEAKABLE_TEXT, frames=0, samples=0, chars=1)
    assert offset.shift(rest) == m.Done(context="a", reason=m.DoneReason.COMPLETED, frames=10, samples=4800, chars=101)
    assert offset.shift(m.ClauseStarted(context="a", chars=(0, 3), pts=1)).pts == 4801
