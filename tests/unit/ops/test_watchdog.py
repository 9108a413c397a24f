"""A held loop is noticed, with where it stands; a process that was stopped is none."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import uvloop

from voxwire_server.ops.watchdog import (
    PROBE_SECONDS,
    HoldBegan,
    HoldDetector,
    HoldEnded,
    LoopTicks,
    Watchdog,
    own_cpu_clock,
    runs_nothing,
    stack_of,
)

HELD_SECONDS = 0.2
SECRET = "a text that nobody may read in a log"


@dataclass
class Counts:
    late: list[float] = field(default_factory=list)
    held: int = 0
    freed: list[float] = field(default_factory=list)

    def loop_late(self, seconds: float) -> None:
        self.late.append(seconds)

    def loop_held(self) -> None:
        self.held += 1

    def loop_freed(self, seconds: float) -> None:
        self.freed.append(seconds)


# -- what is a hold, on virtual time --------------------------------------------------------------------------------


def ticks(newest: float, worst: tuple[float, float] | None = None) -> LoopTicks:
    return LoopTicks(newest, worst or (newest - PROBE_SECONDS, newest))


def test_a_loop_that_beats_is_not_held() -> None:
    detector = HoldDetector(0.25, 0.0)
    for look in range(1, 100):
        now = look * 0.0625
        assert detector.look(ticks(now - 0.02), now, now) is None


def test_a_hold_is_reported_once_when_long_enough_and_once_with_its_length() -> None:
    detector, told = HoldDetector(0.25, 0.0), []
    for look in range(1, 40):
        now = look * 0.0625
        newest, worst = (0.0, None) if now < 1.0 else (now, (0.0, 1.0) if now < 1.06 else None)
        told.append(detector.look(ticks(newest, worst), now, now))
    assert [each for each in told if each] == [
        HoldBegan(pytest.approx(0.2875)),
        HoldEnded(pytest.approx(0.975), reported=True),
    ]


def test_a_hold_that_was_over_before_a_look_is_reported_too() -> None:
    detector = HoldDetector(0.25, 0.0)
    assert detector.look(ticks(0.7, (0.1, 0.6)), 0.7, 0.65) == HoldEnded(pytest.approx(0.475), reported=False)


@pytest.mark.parametrize("thread_first", [True, False])
def test_a_process_that_was_stopped_held_no_loop(thread_first: bool) -> None:
    detector = HoldDetector(0.25, 0.0)
    assert detector.look(ticks(0.05), 0.0625, 0.01) is None
    # Stopped for an hour; either the thread or the loop runs first afterwards.
    first = ticks(0.05) if thread_first else ticks(3600.1, (0.05, 3600.1))
    assert detector.look(first, 3600.1, 0.02) is None
    assert detector.look(ticks(3600.15, (0.05, 3600.1)), 3600.16, 0.02) is None
    assert detector.look(ticks(3600.2), 3600.22, 0.03) is None


def test_one_long_call_that_keeps_the_interpreter_s_lock_is_a_hold() -> None:
    detector = HoldDetector(0.25, 0.0)
    assert detector.look(ticks(0.05), 0.0625, 0.01) is None
    # The thread could not look either, but the loop's thread computed all the time.
    assert detector.look(ticks(0.05), 2.1, 2.0) == HoldBegan(pytest.approx(2.025, abs=0.06))


def test_a_hold_on_a_busy_machine_is_measured_in_wall_time() -> None:
    detector = HoldDetector(0.25, 0.0)
    assert detector.look(ticks(0.05), 0.0625, 0.01) is None
    assert detector.look(ticks(0.05), 10.05, 5.5) == HoldBegan(pytest.approx(9.975))


# -- real loops, held by real work ----------------------------------------------------------------------------------


def compute_in_python(until: Callable[[], bool]) -> int:
    text, total = SECRET, 0
    while not until():
        total += sum(range(1000)) + len(text)
    return total


def compute_in_one_call(until: Callable[[], bool]) -> None:
    # Backtracks for seconds without giving the interpreter's lock away.
    re.match(r"(a|a)+$", "a" * 24 + "b")
    # Otherwise the loop could tick before the watchdog's thread runs, which then reports the hold's end alone.
    while not until():
        pass


def wait_in_a_call(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(0.01)


def held_by(
    work: Callable[[Callable[[], bool]], object], loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> Counts:
    counts = Counts()

    async def hold() -> None:
        watchdog = Watchdog(HELD_SECONDS, counts)
        watchdog.start(asyncio.get_running_loop())
        await asyncio.sleep(0.1)
        work(lambda: counts.held > 0)
        while not counts.freed:  # noqa: ASYNC110 - told by another thread
            await asyncio.sleep(0.01)
        watchdog.stop()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.wait_for(hold(), 60))
    return counts


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize("work", [compute_in_python, compute_in_one_call, wait_in_a_call])
def test_the_stack_of_a_hold_is_logged_without_values(work, loop_factory, caplog) -> None:
    caplog.set_level(logging.WARNING, "voxwire.watchdog")
    counts = held_by(work, loop_factory)
    assert counts.held >= 1
    assert counts.freed[0] > HELD_SECONDS
    held, freed = caplog.records[0].getMessage(), caplog.records[1].getMessage()
    assert re.match(r"the event loop is held, for \d+\.\d\d s so far:\n", held)
    assert "unit/ops/test_watchdog.py:" in held
    assert work.__name__ in held
    assert held.index("held_by.<locals>.hold") < held.index(work.__name__), "the innermost call is last"
    assert re.fullmatch(r"the event loop was held for \d+\.\d\d s", freed)
    assert SECRET not in caplog.text
    assert max(counts.late) > HELD_SECONDS / 2


def test_stacks_are_logged_seldom_and_holds_counted_always(caplog) -> None:
    caplog.set_level(logging.WARNING, "voxwire.watchdog")
    counts = Counts()

    async def hold() -> None:
        watchdog = Watchdog(HELD_SECONDS, counts)
        watchdog.start(asyncio.get_running_loop())
        for times in range(1, 4):
            await asyncio.sleep(0.1)
            wait_in_a_call(lambda times=times: counts.held >= times)
            while len(counts.freed) < times:  # noqa: ASYNC110 - told by another thread
                await asyncio.sleep(0.01)
        watchdog.stop()

    asyncio.run(asyncio.wait_for(hold(), 60))
    assert counts.held >= 3
    assert sum("so far" in record.getMessage() for record in caplog.records) == 1


def test_switched_off_the_lag_is_still_measured() -> None:
    counts, before = Counts(), set(threading.enumerate())

    async def probe() -> None:
        watchdog = Watchdog(0.0, counts)
        watchdog.start(asyncio.get_running_loop())
        assert set(threading.enumerate()) <= before
        while len(counts.late) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        watchdog.stop()
        await asyncio.sleep(2 * PROBE_SECONDS)
        told = len(counts.late)
        await asyncio.sleep(4 * PROBE_SECONDS)
        assert len(counts.late) == told

    asyncio.run(probe())


def test_a_stack_has_a_bound_and_shows_no_more_of_a_path_than_a_package() -> None:
    def deep(left: int) -> list[str]:
        return deep(left - 1) if left else stack_of(sys._getframe())

    lines = deep(200)
    assert len(lines) == 40
    assert lines[-1].startswith("  unit/ops/test_watchdog.py:")
    assert stack_of(None) == []


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_loop_between_callbacks_differs_from_one_in_a_callback(loop_factory) -> None:
    main, seen = threading.get_ident(), []

    def look() -> bool:
        return runs_nothing(sys._current_frames()[main])

    def look_from_a_thread() -> None:
        thread = threading.Thread(target=lambda: seen.append(look()))
        thread.start()
        thread.join()

    async def run() -> None:
        look_from_a_thread()
        idle = asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.05), look())[1])
        seen.append(await idle)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())
    assert seen == [False, True]


def test_reading_the_cpu_clock_of_a_dead_thread_does_not_crash() -> None:
    clocks: list[Callable[[], float]] = []
    thread = threading.Thread(target=lambda: clocks.append(own_cpu_clock()))
    thread.start()
    thread.join()
    with contextlib.suppress(OSError):
        clocks[0]()


STOPPED = """
import asyncio, logging, sys, uvloop
from voxwire_server.ops.watchdog import Watchdog
class Counts:
    def loop_late(self, seconds): pass
    def loop_held(self): print("held", flush=True)
    def loop_freed(self, seconds): print("freed", flush=True)
async def run():
    Watchdog(0.2, Counts()).start(asyncio.get_running_loop())
    print("started", flush=True)
    await asyncio.sleep(0.3)
    print("slept", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.sleep(0.3)
uvloop.run(run())
"""


def test_a_stopped_process_raises_no_alarm_when_it_goes_on() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert [process.stdout.readline().strip() for _ in range(2)] == ["started", "slept"]
    for _ in range(3):
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.6)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.15)
    told, _ = process.communicate("go on\n", timeout=30)
    assert told == ""
