"""The ticker wakes each entry once when it is due, keeps no stale ones, and yields to the event loop."""

from __future__ import annotations

import gc
import math
import weakref

from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.session.ticker import GRID_SECONDS, Ticker


class Timer:
    """An event loop with timers only, whose time is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Handle] = []

    def call_at(self, at, callback):
        handle = Handle(at, callback)
        self.timers.append(handle)
        return handle

    def call_soon(self, callback):
        return self.call_at(self.now, callback)

    def advance(self, until):
        while due := [each for each in self.timers if each.at <= until and not each.cancelled]:
            first = min(due, key=lambda each: each.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.callback()
        self.now = until


class Handle:
    def __init__(self, at, callback) -> None:
        self.at, self.callback, self.cancelled = at, callback, False

    def cancel(self):
        self.cancelled = True


class Sleeper:
    def __init__(self, timer) -> None:
        self.due = math.inf
        self.ticks = []
        self._timer = timer

    def tick(self, now):
        self.ticks.append(now)


def make():
    timer = Timer()
    return timer, Ticker(timer, lambda: timer.now)


def test_a_forgotten_entry_is_not_referred_to_until_its_due_time():
    timer, ticker = make()
    awake = Sleeper(timer)
    ticker.schedule(awake, 5.0)
    gone = []
    for _ in range(1000):
        sleeper = Sleeper(timer)
        ticker.schedule(sleeper, 600.0)
        gone.append(weakref.ref(sleeper))
        ticker.forget(sleeper)
    del sleeper
    gc.collect()
    assert sum(each() is not None for each in gone) <= 1
    timer.advance(10.0)
    assert len(awake.ticks) == 1


def test_rescheduling_leaves_few_stale_entries():
    timer, ticker = make()
    sleepers = [Sleeper(timer) for _ in range(10)]
    for turn in range(1000):
        ticker.schedule(sleepers[turn % 10], 100.0 + turn)
    assert len(ticker._heap) <= 21


@given(st.lists(st.tuples(st.integers(0, 4), st.none() | st.floats(0.0, 50.0), st.floats(0.0, 3.0)), max_size=60))
def test_each_is_woken_once_when_due(moves):
    timer, ticker = make()
    sleepers = [Sleeper(timer) for _ in range(5)]
    due = [math.inf] * 5
    woken = [0] * 5
    for who, ahead, wait in moves:
        if ahead is None:
            ticker.forget(sleepers[who])
            due[who] = math.inf
        else:
            ticker.schedule(sleepers[who], timer.now + ahead)
            due[who] = timer.now + ahead
        until = timer.now + wait
        timer.advance(until)
        for index, sleeper in enumerate(sleepers):
            if due[index] + 2 * GRID_SECONDS < until:
                woken[index] += 1
                due[index] = math.inf
            elif len(sleeper.ticks) > woken[index]:
                assert due[index] <= until
                woken[index] += 1
                due[index] = math.inf
            assert len(sleeper.ticks) == woken[index]


class Busy(Sleeper):
    """Its ticks take 3 ms."""

    def tick(self, now):
        super().tick(now)
        self._timer.now += 0.003


def test_slow_ticks_yield_to_the_event_loop_in_between():
    timer, ticker = make()
    busy = [Busy(timer) for _ in range(10)]
    for each in busy:
        ticker.schedule(each, 1.0)
    between = []
    call_soon = timer.call_soon

    def watched(callback):
        between.append(sum(len(each.ticks) for each in busy))
        return call_soon(callback)

    timer.call_soon = watched
    ticker.schedule(late := Sleeper(timer), 1.5)
    timer.advance(2.0)
    awake = [len(each.ticks) for each in busy]
    assert awake == [1] * 10
    assert len(late.ticks) == 1
    assert between == [2, 4, 6, 8]
