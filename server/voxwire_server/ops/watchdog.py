"""Detects a callback that holds the event loop: a probe runs on the loop, and a thread watches the probe.

The probe notes the time every 25 ms. If it has not run for longer than `held_seconds`, the thread logs the stack of the
loop's thread: file, line and function, never values. One long call into C that keeps the interpreter's lock (a regular
expression, JSON) is seen too: the thread gets the lock at the end of the call, while the stack is still at the call.

Two things look like a hold and are not counted. A process that was stopped (SIGSTOP, a suspended machine): the thread
was late itself, and the loop's thread used hardly any CPU. A loop between two callbacks, which waits for the CPU or for
the interpreter's lock: that shows in `voxwire_loop_lag_seconds` only.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

log = logging.getLogger("voxwire.watchdog")

PROBE_SECONDS = 0.025
"""Between two runs of the probe. A hold is measured less this time, which may have passed before it began."""

LOOKS_PER_HOLD = 4
"""How often the thread looks within `held_seconds`."""

LOG_SECONDS = 10.0
"""The least time in seconds between two logged stacks."""

FRAMES_MAX = 40
"""Calls of a stack that are logged, the innermost ones."""

STOPPED_SHARE = 0.7
"""The part of a look's time without CPU use from which on the process counts as stopped, not as short of CPU."""

IDLE_FILES = (
    "asyncio/runners.py",
    "asyncio/base_events.py",
    "uvloop/__init__.py",
    "uvicorn/_compat.py",
    "selectors.py",
)
"""The source file that the loop's thread is in while it runs no callback is one of these."""


class HoldCounts(Protocol):
    """Where holds and lateness are counted."""

    def loop_late(self, seconds: float) -> None:
        """The event loop ran a timer `seconds` too late. Called on the loop."""

    def loop_held(self) -> None:
        """Something holds the event loop. Called on the watchdog's thread."""

    def loop_freed(self, seconds: float) -> None:
        """The event loop runs again after a hold of `seconds`. Called on the watchdog's thread."""


class LoopTicks(NamedTuple):
    """When the probe ran last, and between which two runs since the last look most time passed."""

    newest: float
    worst: tuple[float, float]


class Probe:
    """Notes when the loop runs. Started and stopped on the loop; `ticks` is for the thread that watches."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, late: Callable[[float], None], clock: Callable[[], float]
    ) -> None:
        """`late` is called on the loop with how late each run was, in seconds."""
        self._loop = loop
        self._late = late
        self._clock = clock
        self._newest = clock()
        self._worst = (self._newest, self._newest)
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Run from now on."""
        self._newest = self._clock()
        self._worst = (self._newest, self._newest)
        self._handle = self._loop.call_later(PROBE_SECONDS, self._run)

    def stop(self) -> None:
        """Run no more."""
        if self._handle is not None:
            self._handle.cancel()

    def ticks(self) -> LoopTicks:
        """What was noted since the last call."""
        newest, worst = self._newest, self._worst
        self._worst = (newest, newest)
        return LoopTicks(newest, worst)

    def _run(self) -> None:
        now, before = self._clock(), self._newest
        self._newest = now
        if now - before > self._worst[1] - self._worst[0]:
            self._worst = (before, now)
        self._late(max(0.0, now - before - PROBE_SECONDS))
        self._handle = self._loop.call_later(PROBE_SECONDS, self._run)


@dataclass(frozen=True, slots=True)
class HoldBegan:
    """The loop has been held for `seconds` so far."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """The loop runs again after a hold of `seconds`. `reported`: `HoldBegan` was returned for it before."""

    seconds: float
    reported: bool


class ProcessStopped(NamedTuple):
    """The process was stopped for `seconds` at some time between two looks."""

    since: float
    until: float
    seconds: float


class HoldDetector:
    """Says at each look whether a hold began or ended. Pure: `look` is given what the probe noted, and the time."""

    def __init__(self, held_seconds: float, now: float) -> None:
        self._held_seconds = held_seconds
        self._every = held_seconds / LOOKS_PER_HOLD
        self._looked_at = now
        self._loop_cpu = 0.0
        self._stop = ProcessStopped(now, now, 0.0)
        self._holding: float | None = None
        """The probe's last run before the hold that was reported."""

    def look(self, ticks: LoopTicks, now: float, loop_cpu: float) -> HoldBegan | HoldEnded | None:
        """`loop_cpu`: CPU seconds that the loop's thread has used so far."""
        elapsed = now - self._looked_at
        still = elapsed - self._every - (loop_cpu - self._loop_cpu)
        if still > max(self._held_seconds / 2, STOPPED_SHARE * elapsed):
            self._stop = ProcessStopped(self._looked_at, now, still)
        self._looked_at, self._loop_cpu = now, loop_cpu
        if self._holding is not None:
            if ticks.newest == self._holding:
                return None
            began, self._holding = self._holding, None
            until = ticks.worst[1] if ticks.worst[0] == began else ticks.newest
            return HoldEnded(self._length(began, until), reported=True)
        held = self._length(ticks.newest, now)
        if held > self._held_seconds:
            self._holding = ticks.newest
            return HoldBegan(held)
        over = self._length(*ticks.worst)
        return HoldEnded(over, reported=False) if over > self._held_seconds else None

    def _length(self, since: float, until: float) -> float:
        """How long the loop was held between two runs of the probe, less the time for which the process was stopped."""
        stop = self._stop
        stood = stop.seconds if since < stop.until and until > stop.since else 0.0
        return until - since - stood - PROBE_SECONDS


class Watchdog:
    """The thread. `start` is called on the loop that it watches, `stop` from anywhere."""

    def __init__(self, held_seconds: float, counts: HoldCounts, clock: Callable[[], float] = time.monotonic) -> None:
        """Holds longer than `held_seconds` are logged and counted; 0: none, the probe runs alone."""
        self._held_seconds = held_seconds
        self._counts = counts
        self._clock = clock
        self._stopping = threading.Event()
        self._probe: Probe | None = None
        self._loop_thread = 0
        self._loop_cpu: Callable[[], float] = time.process_time
        self._logged_at = -math.inf
        self._logging = False
        self._counted = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch `loop`, which is the one that runs here."""
        self._probe = Probe(loop, self._counts.loop_late, self._clock)
        self._probe.start()
        self._loop_thread = threading.get_ident()
        self._loop_cpu = own_cpu_clock()
        if self._held_seconds:
            threading.Thread(target=self._watch, name="voxwire-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching. The thread ends by itself within a look."""
        self._stopping.set()
        if self._probe is not None:
            self._probe.stop()

    def _watch(self) -> None:
        probe = self._probe
        assert probe is not None, "started"
        detector = HoldDetector(self._held_seconds, self._clock())
        while not self._stopping.wait(self._held_seconds / LOOKS_PER_HOLD):
            try:
                change = detector.look(probe.ticks(), self._clock(), self._loop_cpu())
            except OSError:
                # The loop's thread is gone, and its clock with it.
                return
            if isinstance(change, HoldBegan):
                self._hold_began(change)
            elif isinstance(change, HoldEnded):
                self._hold_ended(change)

    def _hold_began(self, change: HoldBegan) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        self._counted = not runs_nothing(frame)
        if not self._counted:
            return
        now = self._clock()
        self._logging = now - self._logged_at >= LOG_SECONDS
        if self._logging:
            self._logged_at = now
            stack = "\n".join(stack_of(frame))
            log.warning("the event loop is held, for %.2f s so far:\n%s", change.seconds, stack)
        self._counts.loop_held()

    def _hold_ended(self, change: HoldEnded) -> None:
        if change.reported and not self._counted:
            return
        now = self._clock()
        if self._logging or (not change.reported and now - self._logged_at >= LOG_SECONDS):
            self._logged_at = now
            log.warning("the event loop was held for %.2f s", change.seconds)
        self._logging = False
        if not change.reported:
            self._counts.loop_held()
        self._counts.loop_freed(change.seconds)


def runs_nothing(frame: FrameType | None) -> bool:
    """Whether a loop's thread is between two callbacks."""
    return frame is None or frame.f_code.co_filename.endswith(IDLE_FILES)


def stack_of(frame: FrameType | None) -> list[str]:
    """Where a thread is, the outermost call first: file, line and function alone."""
    lines: list[str] = []
    while frame is not None and len(lines) < FRAMES_MAX:
        code = frame.f_code
        lines.append(f"  {shown_path(code.co_filename)}:{frame.f_lineno} {code.co_qualname}")
        frame = frame.f_back
    return lines[::-1]


def shown_path(filename: str) -> str:
    """The last three parts of a path: enough to find the file in its package."""
    return "/".join(Path(filename).parts[-3:])


def own_cpu_clock() -> Callable[[], float]:
    """A clock of the CPU seconds of the thread that asks for it, which any other may read; of the whole process where
    the system has none."""
    try:
        clock = time.pthread_getcpuclockid(threading.get_ident())
        time.clock_gettime(clock)
    except (AttributeError, OSError):
        return time.process_time
    return partial(time.clock_gettime, clock)
