"""The runner on virtual time, engines whose cost is modelled, and listeners who hear what comes and run dry."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxwire_server.engines.base import Engine, EngineInfo, Job, StageInfo, StepResult
from voxwire_server.engines.stepping import carry_out, end_of, outcome_of, overloaded_row
from voxwire_server.engines.work import PREPARE, Batch, Outcome, Picker, Refusal, Row, Work
from voxwire_server.speech import AudioChunk, Clause, EndReason

CHARS_PER_SECOND = 15.0
RATE = 1000
"""The modelled engines' sample rate: samples cost nothing to look at."""


def clause(text: str = "hello there", *, seed: int = 0) -> Clause:
    """A clause whose text stands at the start of its context."""
    return Clause(text, (0, len(text)), range(len(text)), "anna", "en", 1.0, seed)


class VirtualRunner:
    """What `Runner` does, with its workers' time counted instead of spent. `now` moves by `advance` only.

    A step's work is done when it is picked and takes effect `seconds(batch)` later.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        scheduler: Picker,
        deliver: Callable[[list[Outcome]], None],
        seconds: Callable[[Batch], float],
        now: float = 0.0,
    ) -> None:
        self.now = now
        self.batches: list[Batch] = []
        self._engines = engines
        self.scheduler = scheduler
        self._deliver = deliver
        self._seconds = seconds
        self._order = itertools.count()
        self._running: list[tuple[float, int, Batch, list[Row]]] = []

    @property
    def next_at(self) -> float:
        """When the next step ends; infinite while nothing runs."""
        return self._running[0][0] if self._running else float("inf")

    def advance(self, until: float) -> None:
        """Let all steps end that end by `until`, and move there."""
        while self._running and self._running[0][0] <= until:
            ends_at, _, batch, rows = heapq.heappop(self._running)
            self.now = max(self.now, ends_at)
            self._complete(batch, rows)
        self.now = max(self.now, until)

    def run_out(self) -> None:
        """Let everything that is queued be done."""
        while self._running:
            self.advance(self.next_at)

    def submit(self, work: Work) -> None:
        self.scheduler.submit(work, self.now)
        self._start_all()

    def cancel(self, owner: Hashable) -> None:
        for work in self.scheduler.cancel(owner):
            if work.job is not None:
                self._engines[work.engine].finish(work.job, EndReason.CANCELLED)
        self._start_all()

    def reprioritise(self, owner: Hashable, deadline: float) -> None:
        self.scheduler.reprioritise(owner, deadline)
        self._start_all()

    def listener_joined(self, owner: Hashable, engine: str, account: str = "") -> None:
        self.scheduler.listener_joined(owner, engine, self.now, account)

    def listener_left(self, owner: Hashable, caller: Hashable = None) -> None:
        self.scheduler.listener_left(owner, self.now, caller)
        self._start_all()

    def caller_left(self, caller: Hashable) -> None:
        self.scheduler.caller_left(caller)

    def admission(
        self, engine: str, *, bulk: bool = False, speaking: int = 0, caller: Hashable = None, account: str = ""
    ) -> Refusal | None:
        return self.scheduler.admission(engine, bulk, self.now, speaking, caller, account)

    def _start_all(self) -> None:
        for lane in self.scheduler.lanes:
            while (batch := self.scheduler.pick(lane, self.now)) is not None:
                rows = carry_out(self._engines[batch.engine], batch, lambda: None)
                self.batches.append(batch)
                heapq.heappush(self._running, (self.now + self._seconds(batch), next(self._order), batch, rows))

    def _complete(self, batch: Batch, rows: list[Row]) -> None:
        starved = self.scheduler.complete(batch, rows, self.now - batch.picked_at, self.now)
        rows = [overloaded_row(row.work, "no slot is free") if row.work in starved else row for row in rows]
        outcomes = [outcome for outcome in map(outcome_of, rows) if outcome is not None]
        for row in rows:
            reason = end_of(row)
            if reason is not None and row.job is not None:
                self._engines[batch.engine].finish(row.job, reason)
        self._start_all()
        if outcomes:
            self._deliver(outcomes)


class ModelEngine:
    """Speaks silence, `CHARS_PER_SECOND` a second, through stages that only pass the job on; the last one speaks.

    With `frame_seconds` the last stage speaks so much at every step. `buckets` are greatest lengths in characters.
    """

    def __init__(self, info: EngineInfo, buckets: Sequence[int] = (), frame_seconds: float = 0.0) -> None:
        self.info = info
        self.finished: dict[Job, EndReason] = {}
        self._buckets = buckets
        self._frame = round(frame_seconds * RATE)
        self._left: dict[Job, int] = {}

    def warm_up(self) -> None:
        pass

    def prepare(self, clause: Clause) -> Job:
        bucket = next((size for size in self._buckets if len(clause.text) <= size), 0)
        job = Job(clause, self.info.stages[0].name, bucket, empty=not clause.text.strip())
        self._left[job] = round(len(clause.text) / CHARS_PER_SECOND * RATE)
        return job

    def step(self, stage: str, jobs: Sequence[Job]) -> list[StepResult]:
        names = [info.name for info in self.info.stages]
        after = names[names.index(stage) + 1 :]
        return [self._pass_on(job, after[0]) if after else self._speak(job, stage) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:
        self.finished.setdefault(job, reason)
        self._left.pop(job, None)

    def _pass_on(self, job: Job, stage: str) -> StepResult:
        return StepResult(None, stage, job.bucket, job.cost)

    def _speak(self, job: Job, stage: str) -> StepResult:
        left = self._left[job]
        count = min(left, self._frame) if self._frame else left
        self._left[job] = left - count
        chunk = AudioChunk(np.zeros(count, np.float32))
        return StepResult(chunk, stage if left > count else None, job.bucket, job.cost)


def model_info(name: str = "model", *stages: StageInfo, **more) -> EngineInfo:
    """An engine's info with one voice; a single stage "speak" of one row unless given."""
    return EngineInfo(name, RATE, voices=(), stages=stages or (StageInfo("speak"),), **more)


# -- listeners ----------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What the listeners of one run went through, in seconds."""

    ttfa: list[float] = field(default_factory=list)
    dry: list[float] = field(default_factory=list)
    clauses: int = 0
    refused: int = 0

    @property
    def underruns(self) -> int:
        """Times that a listener waited in the middle of an utterance."""
        return sum(1 for seconds in self.dry if seconds > 0.01)

    def ttfa_at(self, share: float) -> float:
        """A quantile of the times to first audio."""
        ordered = sorted(self.ttfa)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(eq=False)
class Listener:
    """One context: utterances of a few clauses, with a pause after each; hears what comes at once."""

    engine: str
    random: random.Random
    clauses_left: int = 0
    text_at: float = 0.0
    playing_until: float = -1.0
    index: int = 0


class Audience:
    """Listeners who follow a language model: a short first clause, longer ones after it, the next one asked for when
    less than `ahead` seconds are left to hear. Drives a `VirtualRunner`."""

    def __init__(self, make_runner, engine: str, listeners: int, *, seed: int = 1, ahead: float = 3.0, admit=False):
        self.reports: dict[str, Report] = {}
        self.runner: VirtualRunner = make_runner(self._heard)
        self._ahead = ahead
        self._admit = admit
        self._events: list[tuple[float, int, Listener]] = []
        self._order = itertools.count()
        self._source = random.Random(seed)
        self.join(engine, listeners)

    def join(self, engine: str, listeners: int) -> None:
        """Let listeners of another engine come, within five seconds."""
        self.reports[engine] = Report()
        for _ in range(listeners):
            listener = Listener(engine, random.Random(self._source.random()))
            self._at(self.runner.now + self._source.uniform(0.0, 5.0), listener)

    @property
    def report(self) -> Report:
        """What the listeners of the only engine went through."""
        (report,) = self.reports.values()
        return report

    def run(self, seconds: float) -> None:
        """Let time pass until then."""
        while True:
            event_at = self._events[0][0] if self._events else float("inf")
            at = min(event_at, self.runner.next_at)
            if at > seconds:
                return
            self.runner.advance(at)
            while self._events and self._events[0][0] <= at:
                self._speak(heapq.heappop(self._events)[2])

    def _at(self, when: float, listener: Listener) -> None:
        heapq.heappush(self._events, (when, next(self._order), listener))

    def _speak(self, listener: Listener) -> None:
        now = self.runner.now
        first = listener.clauses_left == 0
        if first:
            if self._admit and self.runner.admission(listener.engine) is not None:
                self.reports[listener.engine].refused += 1
                self._at(now + 1.0, listener)
                return
            listener.clauses_left = listener.random.randint(2, 6)
            listener.text_at = now
            self.runner.listener_joined(listener, listener.engine)
        chars = listener.random.randint(15, 60) if first else listener.random.randint(60, 200)
        self.reports[listener.engine].clauses += 1
        deadline = now if first else listener.playing_until
        text = clause("x" * chars)
        work = Work(listener, listener.engine, text, listener.index, deadline, False, first, False, lambda *_: True)
        listener.index += 1
        self.runner.submit(work)

    def _heard(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            work = outcome.work
            if outcome.finished:
                self._finished(work.owner, work)

    def _finished(self, listener: Listener, work: Work) -> None:
        now, report = self.runner.now, self.reports[listener.engine]
        if work.first:
            report.ttfa.append(now - listener.text_at)
        else:
            report.dry.append(max(0.0, now - listener.playing_until))
        seconds = len(work.clause.text) / CHARS_PER_SECOND
        listener.playing_until = max(now, listener.playing_until) + seconds
        listener.clauses_left -= 1
        if listener.clauses_left:
            self._at(max(now, listener.playing_until - self._ahead), listener)
        else:
            self.runner.listener_left(listener)
            self._at(listener.playing_until + listener.random.uniform(0.5, 3.0), listener)


def batch_seconds(fixed: float, per_char: float, prepare: float = 0.0002) -> Callable[[Batch], float]:
    """A model of step times: a fixed part and one that grows with the longest row times the rows (padding is paid)."""

    def seconds(batch: Batch) -> float:
        if batch.stage == PREPARE:
            return prepare
        longest = max(len(work.clause.text) for work in batch.works)
        return fixed + per_char * longest * len(batch.works)

    return seconds
