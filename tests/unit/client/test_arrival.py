"""Adapting to the line: what is measured, and what is asked of the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_client.arrival import BITRATES, LEAD_MS_MAX, Adaptation, Arrival, Level

FRAME = 0.02


class Line:
    """A server that keeps a listener `lead` ahead, over a line that carries so many bytes a second."""

    def __init__(self, adaptation, frame_bytes):
        self.adaptation = adaptation
        self.frame_bytes = frame_bytes
        self.now = 0.0
        self.sent = 0.0
        self.free_at = 0.0
        self.origin = 0.0
        self.asked = []

    def carry(self, seconds, bytes_per_second):
        until = self.now + seconds
        while True:
            lead = self.adaptation.level.lead_ms / 1000
            due = self.origin + self.sent - lead
            size = self.frame_bytes(self.adaptation.level)
            at = max(due, self.free_at) + size / bytes_per_second
            if at > until:
                self.now = until
                return
            self.free_at = at
            self.sent += FRAME
            self.origin = max(self.origin, at - self.sent)
            self.now = at
            level = self.adaptation.frame(FRAME, size, at)
            if level is not None:
                self.asked.append(level)


def opus(level):
    return level.bitrate / 8 * FRAME


def pcm(_level):
    return 960


def test_a_line_that_is_wide_enough_is_left_alone():
    line = Line(Adaptation(32_000, 500), opus)
    line.carry(60, 1_000_000)
    assert line.asked == []
    assert not line.adaptation.narrow


def test_a_line_that_gets_narrow_gets_less_and_more_lead_and_then_suffices():
    line = Line(Adaptation(32_000, 500), opus)
    line.carry(5, 1_000_000)
    line.carry(60, 2200)
    assert [level.bitrate for level in line.asked[:2]] == [24_000, 16_000]
    assert [level.lead_ms for level in line.asked[:2]] == [750, 1250]
    assert line.adaptation.narrow
    last = line.asked[-1]
    assert last.bitrate / 8 <= 2200
    assert line.adaptation.arrival.fill_seconds(line.now) > 0.4


def test_a_line_that_gets_wide_again_gets_more_slowly():
    line = Line(Adaptation(32_000, 500), opus)
    line.carry(30, 1600)
    down = len(line.asked)
    assert line.adaptation.level.bitrate == 12_000
    line.carry(12, 1_000_000)
    assert len(line.asked) <= down + 1
    line.carry(60, 1_000_000)
    assert line.adaptation.level == Level(32_000, 500)


def test_a_text_that_is_slow_in_coming_is_not_taken_for_a_narrow_line():
    adaptation = Adaptation(32_000, 500)
    now = 0.0
    for _ in range(30):
        now += 1.5
        for _ in range(20):
            now += 0.001
            assert adaptation.frame(FRAME, 80, now) is None
    assert not adaptation.narrow


def test_pcm_over_a_narrow_line_is_noticed():
    wide, narrow, short = (Line(Adaptation(None, 500), pcm) for _ in range(3))
    wide.carry(10, 200_000)
    narrow.carry(10, 40_000)
    short.carry(3, 52_000)
    assert (wide.adaptation.narrow, narrow.adaptation.narrow, short.adaptation.narrow) == (False, True, True)
    assert all(level.bitrate is None for level in narrow.asked)


def test_bytes_a_second_are_those_of_the_line():
    line = Line(Adaptation(None, 500), pcm)
    line.carry(5, 30_000)
    assert line.adaptation.arrival.bytes_per_second == pytest.approx(30_000, rel=0.05)
    assert line.adaptation.arrival.pace == pytest.approx(30_000 / 48_000, rel=0.05)


def test_what_is_not_known_is_not_guessed():
    arrival = Arrival(500)
    assert (arrival.pace, arrival.bytes_per_second, arrival.fill_seconds(3.0)) == (None, None, 0.0)
    assert arrival.frame(FRAME, 960, 10.0) == 0
    assert arrival.fill_seconds(10.005) == pytest.approx(0.015)
    assert arrival.fill_seconds(11.0) == 0
    assert arrival.pace is None


@given(
    st.one_of(st.none(), st.integers(6000, 64_000)),
    st.integers(0, 6000),
    st.lists(st.floats(0, 2), max_size=200),
)
def test_whatever_comes_only_levels_are_asked_for(bitrate, lead_ms, gaps):
    adaptation, now = Adaptation(bitrate, lead_ms), 0.0
    leads = [level.lead_ms for level in adaptation.levels]
    assert leads == sorted(leads)
    assert max(leads) <= max(lead_ms, LEAD_MS_MAX)
    for gap in gaps:
        now += gap
        before = adaptation.level
        asked = adaptation.frame(FRAME, 80, now)
        assert adaptation.arrival.fill_seconds(now) > 0
        assert asked in (None, adaptation.level)
        assert (asked is None) == (before is adaptation.level)
        assert adaptation.level.bitrate in (bitrate, *BITRATES)
