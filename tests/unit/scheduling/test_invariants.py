"""The scheduler's invariants hold after any sequence of calls: submit, cancel, reprioritise, pick, complete, lose."""

from collections import Counter
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.scheduler_harness import make_request
from support.scheduler_sim import model_info
from voxwire_server.engines.base import Job, StageInfo
from voxwire_server.scheduling.execution import failed_outcomes
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import PREPARE, RequestState, StepOutcome, StepStatus
from voxwire_server.scheduling.scheduler import Scheduler

ENGINES = {
    "plain": model_info("plain", StageInfo("speak"), concurrency=1, realtime_factor=0.005),
    "staged": model_info(
        "staged", StageInfo("encode", 4), StageInfo("speak", 3), executor="device", concurrency=2, realtime_factor=0.001
    ),
    "frames": model_info(
        "frames", StageInfo("frame", 8), executor="device", slots=3, unit="codec_frame", realtime_factor=0.001
    ),
}
EXECUTORS = {"cpu": 2, "device:staged": 2, "device:frames": 1}
CONTEXT_KEYS = st.integers(0, 5)
STATUSES = st.sampled_from(
    [StepStatus.NEXT, StepStatus.NEXT, StepStatus.FINISHED, StepStatus.FAILED, StepStatus.NO_SLOT]
)


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.scheduler = Scheduler(ENGINES, 2, Policy(reserve=False, bulk_period=1_000_000, bulk_step_seconds_max=inf))
        self.now = 0.0
        self.requests = []
        self.running = []
        self.ended = Counter()

    @rule(
        context_key=CONTEXT_KEYS,
        engine=st.sampled_from(list(ENGINES)),
        ahead=st.floats(-1.0, 10.0),
        bulk=st.booleans(),
        first=st.booleans(),
        chars=st.integers(1, 200),
        account=st.sampled_from("aabc"),
    )
    def submit(self, context_key, engine, ahead, bulk, first, chars, account):
        flags = {"bulk": bulk, "first": first, "account": account}
        request = make_request(context_key, engine=engine, deadline=self.now + ahead, text="x" * chars, **flags)
        if len(self.scheduler._requests.by_context.get(context_key, ())) < self.scheduler.policy.context_requests_max:
            self.scheduler.submit(request, self.now)
            self.requests.append(request)

    @rule(context_key=CONTEXT_KEYS)
    def cancel(self, context_key):
        left = self.scheduler.cancel(context_key)
        self.ended.update(left)
        assert all(request.state is RequestState.CANCELLED and request.context_key == context_key for request in left)

    @rule(context_key=CONTEXT_KEYS, deadline=st.floats(-5.0, 100.0) | st.just(float("inf")))
    def reprioritise(self, context_key, deadline):
        self.scheduler.reprioritise(context_key, deadline)

    @rule(context_key=CONTEXT_KEYS, engine=st.sampled_from(list(ENGINES)), joins=st.booleans())
    def listen(self, context_key, engine, joins):
        if joins:
            self.scheduler.stream_started(context_key, engine, self.now)
        else:
            self.scheduler.stream_ended(context_key, self.now)

    @rule(seconds=st.floats(0.0, 2.0))
    def wait(self, seconds):
        self.now += seconds

    @rule(executor=st.sampled_from(list(EXECUTORS)))
    def pick(self, executor):
        waiting = self.pickable(executor)
        ready = self.scheduler.ready(executor, self.now)
        batch = self.scheduler.pick(executor, self.now)
        assert ready == (batch is not None) == bool(waiting), (
            "a free worker never idles while a request could be stepped"
        )
        if batch is None:
            return
        self.check(batch, waiting)
        self.running.append(batch)

    def pickable(self, executor):
        """Requests that a worker of the executor could step now."""
        if sum(batch.executor == executor for batch in self.running) >= EXECUTORS[executor]:
            return []
        stepping = Counter(batch.engine for batch in self.running if batch.stage != PREPARE)
        return [
            request
            for request in self.requests
            if request.state is RequestState.QUEUED
            and self.executor_of(request) == executor
            and (request.stage == PREPARE or stepping[request.engine] < ENGINES[request.engine].concurrency)
        ]

    @staticmethod
    def executor_of(request):
        on_cpu = request.stage == PREPARE or ENGINES[request.engine].executor == "cpu"
        return "cpu" if on_cpu else f"device:{request.engine}"

    @staticmethod
    def check(batch, waiting):
        assert set(batch.requests) <= set(waiting)
        assert all(request.state is RequestState.RUNNING and not request.cancelled for request in batch.requests)
        assert len(batch.requests) == 1 or not any(request.retries for request in batch.requests)
        kinds = {(request.engine, request.stage, request.bucket) for request in batch.requests}
        assert kinds == {(batch.engine, batch.stage, batch.bucket)}
        stages = {stage.name: stage.batch_size_max for stage in ENGINES[batch.engine].stages} | {PREPARE: 1}
        assert len(batch.requests) <= stages[batch.stage]
        assert batch.predicted_seconds >= 0.0
        if batch.requests[0].bulk:
            assert all(request.bulk for request in waiting), "bulk never goes before an interactive request"

    @precondition(lambda self: self.running)
    @rule(data=st.data(), seconds=st.floats(0.0001, 0.5), audio=st.floats(0.0, 5.0))
    def complete(self, data, seconds, audio):
        batch = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.now += seconds
        outcomes = [
            self.outcome(batch, request, data.draw(STATUSES), data.draw(st.integers(0, 1)), audio)
            for request in batch.requests
        ]
        cancelled = [outcome.request for outcome in outcomes if outcome.request.cancelled]
        starved = self.scheduler.complete(batch, outcomes, seconds, self.now)
        assert all(request.state is RequestState.CANCELLED for request in cancelled)
        over = [
            r.request
            for r in outcomes
            if not r.request.cancelled and r.status in (StepStatus.FINISHED, StepStatus.FAILED)
        ]
        self.ended.update([*cancelled, *starved, *over])

    @precondition(lambda self: self.running)
    @rule(data=st.data(), retry=st.booleans())
    def lose(self, data, retry):
        """A step never comes back."""
        batch = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        outcomes = failed_outcomes(batch, "hangs", retry=retry)
        cancelled = [outcome.request for outcome in outcomes if outcome.request.cancelled]
        self.scheduler.lose(batch, outcomes, self.now)
        failed = [
            outcome.request
            for outcome in outcomes
            if not outcome.request.cancelled and outcome.status is StepStatus.FAILED
        ]
        self.ended.update([*cancelled, *failed])
        again = [outcome.request for outcome in outcomes if outcome.status is StepStatus.RETRY]
        assert all(request.job is None and request.state is RequestState.QUEUED for request in again)

    @rule(engine=st.sampled_from(list(ENGINES)))
    def disable(self, engine):
        """An engine does not respond for a moment."""
        self.ended.update(self.scheduler.disable_engine(engine, "it hangs"))
        self.scheduler.enable_engine(engine)

    @staticmethod
    def outcome(batch, request, status, bucket, audio):
        if batch.stage == PREPARE:
            status = StepStatus.NEXT if status is StepStatus.NO_SLOT else status
            return StepOutcome(request, status, Job(request.clause, ENGINES[batch.engine].stages[0].name, bucket))
        if status is StepStatus.NEXT:
            request.job.stage, request.job.bucket = ENGINES[batch.engine].stages[-1].name, bucket
        return StepOutcome(request, status, request.job, audio_seconds=0.0 if status is StepStatus.NO_SLOT else audio)

    @invariant()
    def slots_are_counted(self):
        for engine in self.scheduler.stats(self.now).engines:
            assert engine.slots_held == sum(
                request.engine == engine.engine
                and request.job is not None
                and request.state in (RequestState.QUEUED, RequestState.RUNNING)
                for request in self.requests
            )
            assert not engine.slots or engine.slots_held <= engine.slots

    @invariant()
    def accounts_are_counted(self):
        waiting = [request for request in self.requests if request.state is RequestState.QUEUED]
        for name, executor in self.scheduler._executors.items():
            for bulk in (False, True):
                here = [w.account for w in waiting if self.executor_of(w) == name and w.bulk == bulk]
                assert executor.queued[bulk] == dict(Counter(here))
        for engine in self.scheduler._engines.values():
            assert sum(engine.slots_by_account.values()) == engine.slots_held
            assert all(count > 0 for count in engine.slots_by_account.values())

    @invariant()
    def every_request_ends_once(self):
        assert all(count == 1 for count in self.ended.values())
        unfinished = [request for request in self.requests if request not in self.ended]
        stats = self.scheduler.stats(self.now)
        assert stats.requests == len(unfinished)
        assert stats.submitted == stats.requests + stats.completed + stats.failed + stats.cancelled
        over = (RequestState.ENDED, RequestState.CANCELLED)
        assert all((request.state in over) == (request in self.ended) for request in self.requests)

    @invariant()
    def owed_lead_is_the_sum_over_streams(self):
        for engine in self.scheduler._engines.values():
            assert abs(engine.lead_owed_seconds - sum(engine.streams.values())) < 1e-6

    def teardown(self):
        """All requests end when all steps are made."""
        for _ in range(10_000):
            for executor in EXECUTORS:
                while (batch := self.scheduler.pick(executor, self.now)) is not None:
                    self.running.append(batch)
            if not self.running:
                break
            batch = self.running.pop()
            status = StepStatus.NEXT if batch.stage == PREPARE else StepStatus.FINISHED
            outcomes = [self.outcome(batch, request, status, 0, 1.0) for request in batch.requests]
            self.scheduler.complete(batch, outcomes, 0.01, self.now)
        assert self.scheduler.stats(self.now).requests == 0
        assert self.scheduler._requests.by_context == {}
        assert self.scheduler._requests.by_account == ({}, {})
        assert all(engine.slots_by_account == {} for engine in self.scheduler._engines.values())


SchedulerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestScheduler = SchedulerMachine.TestCase
