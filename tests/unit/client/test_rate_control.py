"""Adapting to the network link: what is measured, and what is asked of the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_client.rate_control import BITRATES, LEAD_MS_MAX, BufferMonitor, RateController, RateLevel

FRAME = 0.02


class Link:
    """A server that keeps the buffer at `lead`, over a link of a given throughput in bytes per second."""

    def __init__(self, controller, frame_bytes):
        self.controller = controller
        self.frame_bytes = frame_bytes
        self.now = 0.0
        self.sent = 0.0
        self.free_at = 0.0
        self.origin = 0.0
        self.asked = []

    def carry(self, seconds, bytes_per_second):
        until = self.now + seconds
        while True:
            lead = self.controller.level.lead_ms / 1000
            due = self.origin + self.sent - lead
            size = self.frame_bytes(self.controller.level)
            at = max(due, self.free_at) + size / bytes_per_second
            if at > until:
                self.now = until
                return
            self.free_at = at
            self.sent += FRAME
            self.origin = max(self.origin, at - self.sent)
            self.now = at
            level = self.controller.frame(FRAME, size, at)
            if level is not None:
                self.asked.append(level)


def opus(level):
    return level.bitrate / 8 * FRAME


def pcm(_level):
    return 960


def test_a_link_that_is_wide_enough_is_left_alone():
    link = Link(RateController(32_000, 500), opus)
    link.carry(60, 1_000_000)
    assert link.asked == []
    assert not link.controller.narrow


def test_a_link_that_gets_narrow_gets_less_and_more_lead_and_then_suffices():
    link = Link(RateController(32_000, 500), opus)
    link.carry(5, 1_000_000)
    link.carry(60, 2200)
    assert [level.bitrate for level in link.asked[:2]] == [24_000, 16_000]
    assert [level.lead_ms for level in link.asked[:2]] == [750, 1250]
    assert link.controller.narrow
    last = link.asked[-1]
    assert last.bitrate / 8 <= 2200
    assert link.controller.buffer.buffered_seconds(link.now) > 0.4


def test_a_link_that_gets_wide_again_gets_more_slowly():
    link = Link(RateController(32_000, 500), opus)
    link.carry(30, 1600)
    down = len(link.asked)
    assert link.controller.level.bitrate == 12_000
    link.carry(12, 1_000_000)
    assert len(link.asked) <= down + 1
    link.carry(60, 1_000_000)
    assert link.controller.level == RateLevel(32_000, 500)


def test_a_text_that_is_slow_in_coming_is_not_taken_for_a_narrow_link():
    controller = RateController(32_000, 500)
    now = 0.0
    for _ in range(30):
        now += 1.5
        for _ in range(20):
            now += 0.001
            assert controller.frame(FRAME, 80, now) is None
    assert not controller.narrow


def test_pcm_over_a_narrow_link_is_noticed():
    wide, narrow, short = (Link(RateController(None, 500), pcm) for _ in range(3))
    wide.carry(10, 200_000)
    narrow.carry(10, 40_000)
    short.carry(3, 52_000)
    assert (wide.controller.narrow, narrow.controller.narrow, short.controller.narrow) == (False, True, True)
    assert all(level.bitrate is None for level in narrow.asked)


def test_bytes_a_second_are_those_of_the_link():
    link = Link(RateController(None, 500), pcm)
    link.carry(5, 30_000)
    assert link.controller.buffer.bytes_per_second == pytest.approx(30_000, rel=0.05)
    assert link.controller.buffer.throughput == pytest.approx(30_000 / 48_000, rel=0.05)


def test_without_measurements_the_throughput_is_unknown():
    buffer = BufferMonitor(500)
    assert (buffer.throughput, buffer.bytes_per_second, buffer.buffered_seconds(3.0)) == (None, None, 0.0)
    assert buffer.frame(FRAME, 960, 10.0) == 0
    assert buffer.buffered_seconds(10.005) == pytest.approx(0.015)
    assert buffer.buffered_seconds(11.0) == 0
    assert buffer.throughput is None


@given(
    st.one_of(st.none(), st.integers(6000, 64_000)),
    st.integers(0, 6000),
    st.lists(st.floats(0, 2), max_size=200),
)
def test_only_the_levels_are_ever_asked_for(bitrate, lead_ms, gaps):
    controller, now = RateController(bitrate, lead_ms), 0.0
    leads = [level.lead_ms for level in controller.levels]
    assert leads == sorted(leads)
    assert max(leads) <= max(lead_ms, LEAD_MS_MAX)
    for gap in gaps:
        now += gap
        before = controller.level
        asked = controller.frame(FRAME, 80, now)
        assert controller.buffer.buffered_seconds(now) > 0
        assert asked in (None, controller.level)
        assert (asked is None) == (before is controller.level)
        assert controller.level.bitrate in (bitrate, *BITRATES)
