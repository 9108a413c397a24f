"""Whole sessions on virtual time: the real core, driver, scheduler, audio pipeline and text intake; no threads.

Only the time that an engine's steps take is modelled. Clients write and interrupt as a test says; what each was sent is
kept.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from support.core_harness import FakeDirectory
from support.scheduler_sim import VirtualRunner
from voxwire_protocol import messages as m
from voxwire_server.audio.encoder_pool import EncodeTask
from voxwire_server.audio.framing import FrameBlock
from voxwire_server.engines.tone import create as create_tone
from voxwire_server.scheduling.request import Batch
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.session.core import SessionCore
from voxwire_server.session.driver import Driver
from voxwire_server.session.ports import ResolvedVoice, SessionServices
from voxwire_server.session.quotas import ClientIdentity
from voxwire_server.session.registry import Sessions
from voxwire_server.session.settings import SessionSettings


@dataclass(frozen=True)
class Sent:
    """One audio frame as it left, and when."""

    at: float
    number: int
    seq: int
    pts: int
    flags: int
    payload: bytes


@dataclass
class Counter:
    """An `Observer` that counts."""

    underruns: list[float] = field(default_factory=list)
    """How many seconds each lasted that is over."""
    dry: int = 0
    """How many underruns began."""
    ttfa: list[float] = field(default_factory=list)
    contexts: int = 0
    failed: int = 0

    def first_audio(self, engine, ttfa_seconds):
        self.ttfa.append(ttfa_seconds)

    def underrun_began(self):
        self.dry += 1

    def underrun_ended(self, seconds):
        self.underruns.append(seconds)

    def contexts_changed(self, change):
        self.contexts += change

    def session_failed(self):
        self.failed += 1

    def frames_sent(self, frames): ...
    def bytes_sent(self, count): ...
    def clause_spoken(self, engine, queue_seconds, synth_seconds): ...
    def error_sent(self, code): ...
    def refused(self, code): ...
    def resumed(self, result): ...


class Client:
    """One session's client; `received` is what it was sent, in order."""

    def __init__(self, world: World, name: str, account: str = "anonymous") -> None:
        self.world = world
        self.received: list[m.ServerMessage | Sent] = []
        self.closed: tuple[int, str] | None = None
        identity = ClientIdentity(account)
        core = SessionCore(name, "t", world.settings, world.directory, lambda: 5, world.now, identity)
        self.driver = Driver(core, self, world.services)
        world.sessions.add(self.driver)
        self.driver.open()

    def send(self, message: m.ClientMessage) -> None:
        """Send a message now."""
        self.driver.receive(message)

    # -- Sink ---------------------------------------------------------------------------------------------------

    def message(self, message: m.ServerMessage) -> None:
        self.received.append(message)

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        for i in range(start, stop):
            pts = block.first_pts + i * block.frame_samples
            sent = Sent(
                self.world.now, block.context_number, block.first_seq + i, pts, int(block.flags(i)), block.payload(i)
            )
            self.received.append(sent)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def flush(self) -> None:
        pass

    def prefix(self, length: int) -> bytes:
        return b""

    # -- what came ------------------------------------------------------------------------------------------------

    def of(self, type_):
        """All messages (or frames) of one type."""
        return [each for each in self.received if isinstance(each, type_)]

    def frames_of(self, number: int) -> list[Sent]:
        """The frames of one context number."""
        return [each for each in self.received if isinstance(each, Sent) and each.number == number]


class ToneDirectory(FakeDirectory):
    """The tone engine's voices."""

    def __init__(self, info) -> None:
        super().__init__()
        self.info = info

    def resolve(self, voice, language):
        return ResolvedVoice(self.info, self.info.voices[0], language or "en-us")


class World:
    """Virtual time for many clients. `step_seconds(batch)` models what a step costs; `workers` CPU workers share it.

    `realtime_factor` is the engine's own first guess of its cost.
    """

    def __init__(
        self,
        step_seconds: Callable[[Batch], float] = lambda batch: 0.002,
        workers: int = 2,
        settings: SessionSettings | None = None,
        realtime_factor: float = 0.001,
    ) -> None:
        self.now = 1000.0
        self.settings = settings or SessionSettings()
        self.sessions = Sessions()
        self.counter = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        engine = create_tone()
        engine.info = dataclasses.replace(engine.info, realtime_factor=realtime_factor)
        self.directory = ToneDirectory(engine.info)
        scheduler = Scheduler({"tone": engine.info}, workers)
        self.runner = VirtualRunner({"tone": engine}, scheduler, self.sessions.deliver, step_seconds, self.now)
        self.services = SessionServices(self.runner, self, self, self.counter, lambda: self.now)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Let `action` happen at `when`."""
        heapq.heappush(self._events, (max(when, self.now), next(self._order), action))

    def run(self, seconds: float = math.inf) -> None:
        """Let time pass until nothing is left to happen, or for so long."""
        end = self.now + seconds
        while True:
            event_at = self._events[0][0] if self._events else math.inf
            step_at = self.runner.next_at
            when = min(event_at, step_at)
            if when > end or when == math.inf:
                break
            self.now = max(self.now, when)
            if step_at <= event_at:
                self.runner.advance(step_at)
            else:
                self.runner.advance(event_at)
                heapq.heappop(self._events)[2]()
        if end < math.inf:
            self.now = max(self.now, end)

    # -- Ticker ---------------------------------------------------------------------------------------------------

    def schedule(self, driver: Driver, due: float) -> None:
        """Tick a driver on the ticker's grid."""
        due = (math.floor(due / 0.01) + 1) * 0.01
        if due == driver.due:
            return
        driver.due = due

        def fire() -> None:
            if driver.due == due and not driver.core.closed:
                driver.due = math.inf
                driver.tick(self.now)

        self.at(due, fire)

    def forget(self, driver: Driver) -> None:
        """Never tick it again."""
        driver.due = math.inf

    # -- EncoderPool ----------------------------------------------------------------------------------------------

    def submit(self, task: EncodeTask, deadline: float) -> None:
        """Encode a millisecond later."""

        def encode() -> None:
            task.done(task.stream.encode(task.block, task.start, task.stop), None)

        self.at(self.now + 0.001, encode)
