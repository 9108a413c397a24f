"""The runner on virtual time, engines whose step times are modelled, and streams that play their audio and underrun."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from voxwire_server.engines.base import Engine, EngineInfo, Job, StageInfo, StepResult
from voxwire_server.scheduling.admission import Refusal
from voxwire_server.scheduling.execution import end_reason, execute_step, output_of, overloaded_outcome
from voxwire_server.scheduling.request import PREPARE, Batch, RequestOutput, StepOutcome, SynthesisRequest
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.speech import AudioChunk, Clause, EndReason

CHARS_PER_SECOND = 15.0
RATE = 1000
"""The modelled engines' sample rate, low because their samples are not listened to."""


def clause(text: str = "hello there", *, seed: int = 0) -> Clause:
    """A clause whose text is at the start of its context."""
    return Clause(text, (0, len(text)), range(len(text)), "anna", "en", 1.0, seed)


class VirtualRunner:
    """What `Runner` does, on virtual time: `now` moves by `advance` only.

    A step is executed when it is picked, and completed `seconds(batch)` later.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        scheduler: Scheduler,
        deliver: Callable[[list[RequestOutput]], None],
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
        self._running: list[tuple[float, int, Batch, list[StepOutcome]]] = []

    @property
    def next_at(self) -> float:
        """When the next step ends; infinite while nothing runs."""
        return self._running[0][0] if self._running else float("inf")

    def advance(self, until: float) -> None:
        """Complete all steps that end by `until`, and move the time there."""
        while self._running and self._running[0][0] <= until:
            ends_at, _, batch, outcomes = heapq.heappop(self._running)
            self.now = max(self.now, ends_at)
            self._complete(batch, outcomes)
        self.now = max(self.now, until)

    def run_out(self) -> None:
        """Complete all steps until nothing runs."""
        while self._running:
            self.advance(self.next_at)

    def submit(self, request: SynthesisRequest) -> None:
        self.scheduler.submit(request, self.now)
        self._start_all()

    def cancel(self, context_key: Hashable) -> None:
        for request in self.scheduler.cancel(context_key):
            if request.job is not None:
                self._engines[request.engine].finish(request.job, EndReason.CANCELLED)
        self._start_all()

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        self.scheduler.reprioritise(context_key, deadline)
        self._start_all()

    def stream_started(self, context_key: Hashable, engine: str, account: str = "") -> None:
        self.scheduler.stream_started(context_key, engine, self.now, account)

    def stream_ended(self, context_key: Hashable, session_id: Hashable = None) -> None:
        self.scheduler.stream_ended(context_key, self.now, session_id)
        self._start_all()

    def session_ended(self, session_id: Hashable) -> None:
        self.scheduler.session_ended(session_id)

    def admission(
        self, engine: str, *, bulk: bool = False, session_id: Hashable = None, account: str = ""
    ) -> Refusal | None:
        return self.scheduler.admission(engine, bulk, self.now, session_id, account)

    def _start_all(self) -> None:
        for executor in self.scheduler.executors:
            while (batch := self.scheduler.pick(executor, self.now)) is not None:
                outcomes = execute_step(self._engines[batch.engine], batch, lambda: None)
                self.batches.append(batch)
                heapq.heappush(self._running, (self.now + self._seconds(batch), next(self._order), batch, outcomes))

    def _complete(self, batch: Batch, outcomes: list[StepOutcome]) -> None:
        without_slot = self.scheduler.complete(batch, outcomes, self.now - batch.picked_at, self.now)
        outcomes = [
            overloaded_outcome(outcome.request, "no slot is free") if outcome.request in without_slot else outcome
            for outcome in outcomes
        ]
        outputs = [output for output in map(output_of, outcomes) if output is not None]
        for outcome in outcomes:
            reason = end_reason(outcome)
            if reason is not None and outcome.job is not None:
                self._engines[batch.engine].finish(outcome.job, reason)
        self._start_all()
        if outputs:
            self._deliver(outputs)


class ModelEngine:
    """Makes silence, a second per `CHARS_PER_SECOND` characters, in its last stage; the others only pass the job on.

    With `frame_seconds` every step of the last stage makes that much. `buckets` are greatest lengths in characters.
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
        return [self._pass_on(job, after[0]) if after else self._make_audio(job, stage) for job in jobs]

    def finish(self, job: Job, reason: EndReason) -> None:
        self.finished.setdefault(job, reason)
        self._left.pop(job, None)

    def _pass_on(self, job: Job, stage: str) -> StepResult:
        return StepResult(None, stage, job.bucket, job.cost)

    def _make_audio(self, job: Job, stage: str) -> StepResult:
        left = self._left[job]
        count = min(left, self._frame) if self._frame else left
        self._left[job] = left - count
        chunk = AudioChunk(np.zeros(count, np.float32))
        return StepResult(chunk, stage if left > count else None, job.bucket, job.cost)


def model_info(name: str = "model", *stages: StageInfo, **more) -> EngineInfo:
    """An engine's info with one voice; a single stage "speak" of one row unless given."""
    return EngineInfo(name, RATE, voices=(), stages=stages or (StageInfo("speak"),), **more)


# -- streams ------------------------------------------------------------------------------------------------------


@dataclass
class LoadReport:
    """What the streams of one engine met, in seconds: times to first audio, and waits for later clauses."""

    ttfa: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    clauses: int = 0
    refused: int = 0

    @property
    def underruns(self) -> int:
        """How often a stream waited in the middle of an utterance."""
        return sum(1 for seconds in self.waits if seconds > 0.01)

    def ttfa_at(self, share: float) -> float:
        """A quantile of the times to first audio."""
        ordered = sorted(self.ttfa)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(eq=False)
class SimulatedStream:
    """One context: utterances of a few clauses, with a pause after each; it plays audio as soon as it is made."""

    engine: str
    random: random.Random
    clauses_left: int = 0
    text_at: float = 0.0
    playing_until: float = -1.0
    index: int = 0


class StreamLoad:
    """Streams that speak a language model's answers: a short first clause, longer ones after it, the next one submitted
    when less than `ahead` seconds are left to play. Drives a `VirtualRunner`."""

    def __init__(self, make_runner, engine: str, streams: int, *, seed: int = 1, ahead: float = 3.0, admit=False):
        self.reports: dict[str, LoadReport] = {}
        self.runner: VirtualRunner = make_runner(self._delivered)
        self._ahead = ahead
        self._admit = admit
        self._events: list[tuple[float, int, SimulatedStream]] = []
        self._order = itertools.count()
        self._source = random.Random(seed)
        self.join(engine, streams)

    def join(self, engine: str, streams: int) -> None:
        """Add streams of an engine, which start within five seconds."""
        self.reports[engine] = LoadReport()
        for _ in range(streams):
            stream = SimulatedStream(engine, random.Random(self._source.random()))
            self._at(self.runner.now + self._source.uniform(0.0, 5.0), stream)

    @property
    def report(self) -> LoadReport:
        """What the streams of the only engine met."""
        (report,) = self.reports.values()
        return report

    def run(self, seconds: float) -> None:
        """Let time pass until `seconds`."""
        while True:
            event_at = self._events[0][0] if self._events else float("inf")
            at = min(event_at, self.runner.next_at)
            if at > seconds:
                return
            self.runner.advance(at)
            while self._events and self._events[0][0] <= at:
                self._submit_next(heapq.heappop(self._events)[2])

    def _at(self, when: float, stream: SimulatedStream) -> None:
        heapq.heappush(self._events, (when, next(self._order), stream))

    def _submit_next(self, stream: SimulatedStream) -> None:
        now = self.runner.now
        first = stream.clauses_left == 0
        if first:
            if self._admit and self.runner.admission(stream.engine) is not None:
                self.reports[stream.engine].refused += 1
                self._at(now + 1.0, stream)
                return
            stream.clauses_left = stream.random.randint(2, 6)
            stream.text_at = now
            self.runner.stream_started(stream, stream.engine)
        chars = stream.random.randint(15, 60) if first else stream.random.randint(60, 200)
        self.reports[stream.engine].clauses += 1
        deadline = now if first else stream.playing_until
        text = clause("x" * chars)
        request = SynthesisRequest(
            stream, stream.engine, text, stream.index, deadline, False, first, False, lambda *_: True
        )
        stream.index += 1
        self.runner.submit(request)

    def _delivered(self, outputs: list[RequestOutput]) -> None:
        for output in outputs:
            request = output.request
            if output.finished:
                self._finished(request.context_key, request)

    def _finished(self, stream: SimulatedStream, request: SynthesisRequest) -> None:
        now, report = self.runner.now, self.reports[stream.engine]
        if request.first:
            report.ttfa.append(now - stream.text_at)
        else:
            report.waits.append(max(0.0, now - stream.playing_until))
        seconds = len(request.clause.text) / CHARS_PER_SECOND
        stream.playing_until = max(now, stream.playing_until) + seconds
        stream.clauses_left -= 1
        if stream.clauses_left:
            self._at(max(now, stream.playing_until - self._ahead), stream)
        else:
            self.runner.stream_ended(stream)
            self._at(stream.playing_until + stream.random.uniform(0.5, 3.0), stream)


def batch_seconds(fixed: float, per_char: float, prepare: float = 0.0002) -> Callable[[Batch], float]:
    """A model of step times: a fixed part, and one that grows with the rows times the longest one, as padding does."""

    def seconds(batch: Batch) -> float:
        if batch.stage == PREPARE:
            return prepare
        longest = max(len(request.clause.text) for request in batch.requests)
        return fixed + per_char * longest * len(batch.requests)

    return seconds
