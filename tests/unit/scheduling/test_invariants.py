"""Whatever is submitted, cancelled, moved, refused and failed, in any order: the scheduler's promises hold."""

from collections import Counter
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.scheduler_harness import work
from support.scheduler_sim import model_info
from voxwire_server.engines.base import Job, StageInfo
from voxwire_server.engines.stepping import failed_rows
from voxwire_server.engines.work import PREPARE, Row, Verdict, WorkState
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.scheduler import Scheduler

ENGINES = {
    "plain": model_info("plain", StageInfo("speak"), concurrency=1, realtime_factor=0.005),
    "staged": model_info(
        "staged", StageInfo("encode", 4), StageInfo("speak", 3), lane="device", concurrency=2, realtime_factor=0.001
    ),
    "frames": model_info(
        "frames", StageInfo("frame", 8), lane="device", slots=3, unit="codec_frame", realtime_factor=0.001
    ),
}
LANES = {"cpu": 2, "device:staged": 2, "device:frames": 1}
OWNERS = st.integers(0, 5)
VERDICTS = st.sampled_from([Verdict.NEXT, Verdict.NEXT, Verdict.FINISHED, Verdict.FAILED, Verdict.NO_SLOT])


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.scheduler = Scheduler(ENGINES, 2, Policy(reserve=False, bulk_period=1_000_000, bulk_step_seconds_max=inf))
        self.now = 0.0
        self.works = []
        self.running = []
        self.ended = Counter()

    @rule(
        owner=OWNERS,
        engine=st.sampled_from(list(ENGINES)),
        ahead=st.floats(-1.0, 10.0),
        bulk=st.booleans(),
        first=st.booleans(),
        chars=st.integers(1, 200),
        account=st.sampled_from("aabc"),
    )
    def submit(self, owner, engine, ahead, bulk, first, chars, account):
        flags = {"bulk": bulk, "first": first, "account": account}
        owned = work(owner, engine=engine, deadline=self.now + ahead, text="x" * chars, **flags)
        if len(self.scheduler._owners.get(owner, ())) < self.scheduler.policy.owner_works_max:
            self.scheduler.submit(owned, self.now)
            self.works.append(owned)

    @rule(owner=OWNERS)
    def cancel(self, owner):
        left = self.scheduler.cancel(owner)
        self.ended.update(left)
        assert all(owned.state is WorkState.CANCELLED and owned.owner == owner for owned in left)

    @rule(owner=OWNERS, deadline=st.floats(-5.0, 100.0) | st.just(float("inf")))
    def reprioritise(self, owner, deadline):
        self.scheduler.reprioritise(owner, deadline)

    @rule(owner=OWNERS, engine=st.sampled_from(list(ENGINES)), joins=st.booleans())
    def listen(self, owner, engine, joins):
        if joins:
            self.scheduler.listener_joined(owner, engine, self.now)
        else:
            self.scheduler.listener_left(owner, self.now)

    @rule(seconds=st.floats(0.0, 2.0))
    def wait(self, seconds):
        self.now += seconds

    @rule(lane=st.sampled_from(list(LANES)))
    def pick(self, lane):
        waiting = self.pickable(lane)
        ready = self.scheduler.ready(lane, self.now)
        batch = self.scheduler.pick(lane, self.now)
        assert ready == (batch is not None) == bool(waiting), "a free worker never idles beside work"
        if batch is None:
            return
        self.check(batch, waiting)
        self.running.append(batch)

    def pickable(self, lane):
        """Works that a worker of the lane could step now."""
        if sum(batch.lane == lane for batch in self.running) >= LANES[lane]:
            return []
        stepping = Counter(batch.engine for batch in self.running if batch.stage != PREPARE)
        return [
            owned
            for owned in self.works
            if owned.state is WorkState.QUEUED
            and self.lane_of(owned) == lane
            and (owned.stage == PREPARE or stepping[owned.engine] < ENGINES[owned.engine].concurrency)
        ]

    @staticmethod
    def lane_of(owned):
        on_cpu = owned.stage == PREPARE or ENGINES[owned.engine].lane == "cpu"
        return "cpu" if on_cpu else f"device:{owned.engine}"

    @staticmethod
    def check(batch, waiting):
        assert set(batch.works) <= set(waiting)
        assert all(owned.state is WorkState.RUNNING and not owned.cancelled for owned in batch.works)
        assert len(batch.works) == 1 or not any(owned.retries for owned in batch.works)
        kinds = {(owned.engine, owned.stage, owned.bucket) for owned in batch.works}
        assert kinds == {(batch.engine, batch.stage, batch.bucket)}
        stages = {stage.name: stage.batch_size_max for stage in ENGINES[batch.engine].stages} | {PREPARE: 1}
        assert len(batch.works) <= stages[batch.stage]
        assert batch.predicted_seconds >= 0.0
        if batch.works[0].bulk:
            assert all(owned.bulk for owned in waiting), "bulk never goes before a listener"

    @precondition(lambda self: self.running)
    @rule(data=st.data(), seconds=st.floats(0.0001, 0.5), audio=st.floats(0.0, 5.0))
    def complete(self, data, seconds, audio):
        batch = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.now += seconds
        rows = [
            self.row(batch, owned, data.draw(VERDICTS), data.draw(st.integers(0, 1)), audio) for owned in batch.works
        ]
        cancelled = [row.work for row in rows if row.work.cancelled]
        starved = self.scheduler.complete(batch, rows, seconds, self.now)
        assert all(owned.state is WorkState.CANCELLED for owned in cancelled)
        over = [r.work for r in rows if not r.work.cancelled and r.verdict in (Verdict.FINISHED, Verdict.FAILED)]
        self.ended.update([*cancelled, *starved, *over])

    @precondition(lambda self: self.running)
    @rule(data=st.data(), retry=st.booleans())
    def lose(self, data, retry):
        """A step never comes back."""
        batch = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        rows = failed_rows(batch, "hangs", retry=retry)
        cancelled = [row.work for row in rows if row.work.cancelled]
        self.scheduler.lose(batch, rows, self.now)
        failed = [row.work for row in rows if not row.work.cancelled and row.verdict is Verdict.FAILED]
        self.ended.update([*cancelled, *failed])
        again = [row.work for row in rows if row.verdict is Verdict.RETRY]
        assert all(owned.job is None and owned.state is WorkState.QUEUED for owned in again)

    @rule(engine=st.sampled_from(list(ENGINES)))
    def shut(self, engine):
        """An engine does not answer, for a moment."""
        self.ended.update(self.scheduler.shut(engine, "it hangs"))
        self.scheduler.reopen(engine)

    @staticmethod
    def row(batch, owned, verdict, bucket, audio):
        if batch.stage == PREPARE:
            verdict = Verdict.NEXT if verdict is Verdict.NO_SLOT else verdict
            return Row(owned, verdict, Job(owned.clause, ENGINES[batch.engine].stages[0].name, bucket))
        if verdict is Verdict.NEXT:
            owned.job.stage, owned.job.bucket = ENGINES[batch.engine].stages[-1].name, bucket
        return Row(owned, verdict, owned.job, audio_seconds=0.0 if verdict is Verdict.NO_SLOT else audio)

    @invariant()
    def slots_are_kept(self):
        for engine in self.scheduler.stats(self.now).engines:
            assert engine.holders == sum(
                owned.engine == engine.engine
                and owned.job is not None
                and owned.state in (WorkState.QUEUED, WorkState.RUNNING)
                for owned in self.works
            )
            assert not engine.slots or engine.holders <= engine.slots

    @invariant()
    def accounts_are_counted(self):
        waiting = [owned for owned in self.works if owned.state is WorkState.QUEUED]
        for name, lane in self.scheduler._lanes.items():
            for bulk in (False, True):
                here = [w.account for w in waiting if self.lane_of(w) == name and w.bulk == bulk]
                assert lane.queued[bulk] == dict(Counter(here))
        for engine in self.scheduler._engines.values():
            assert sum(engine.held.values()) == engine.holders
            assert all(count > 0 for count in engine.held.values())

    @invariant()
    def every_work_ends_once(self):
        assert all(count == 1 for count in self.ended.values())
        unfinished = [owned for owned in self.works if owned not in self.ended]
        stats = self.scheduler.stats(self.now)
        assert stats.works == len(unfinished)
        assert stats.submitted == stats.works + stats.completed + stats.failed + stats.cancelled
        over = (WorkState.ENDED, WorkState.CANCELLED)
        assert all((owned.state in over) == (owned in self.ended) for owned in self.works)

    @invariant()
    def the_books_balance(self):
        for engine in self.scheduler._engines.values():
            assert abs(engine.owed_seconds - sum(engine.listeners.values())) < 1e-6

    def teardown(self):
        """Everything ends when the engines do their work."""
        for _ in range(10_000):
            for lane in LANES:
                while (batch := self.scheduler.pick(lane, self.now)) is not None:
                    self.running.append(batch)
            if not self.running:
                break
            batch = self.running.pop()
            verdict = Verdict.NEXT if batch.stage == PREPARE else Verdict.FINISHED
            rows = [self.row(batch, owned, verdict, 0, 1.0) for owned in batch.works]
            self.scheduler.complete(batch, rows, 0.01, self.now)
        assert self.scheduler.stats(self.now).works == 0
        assert self.scheduler._owners == {}
        assert self.scheduler._account_works == ({}, {})
        assert all(engine.held == {} for engine in self.scheduler._engines.values())


SchedulerMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestScheduler = SchedulerMachine.TestCase
