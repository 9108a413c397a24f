"""Threads that hang or die, and engines with invalid results: other clauses are served. Real threads, a clock that the
test sets."""

import queue
import threading

import numpy as np
import pytest

from support.scheduler_harness import make_request
from support.scheduler_sim import model_info
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import Job, NoSlot, StageInfo, StepResult
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.runner import Runner
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.speech import Alignment, AudioChunk, PhonemeMark, WordMark

WAIT_SECONDS = 10.0
GPU = model_info("model", StageInfo("speak", 8), executor="device", realtime_factor=0.0001)
CPU = model_info("model", concurrency=3)
AUDIO = AudioChunk(np.full(100, 0.5, np.float32))


def audio(samples, alignment=None):
    return StepResult(AudioChunk(samples, alignment))


INVALID_RESULTS = {
    "unknown stage": lambda: StepResult(AUDIO, "no such stage"),
    "empty stage": lambda: StepResult(AUDIO, ""),
    "stage no text": lambda: StepResult(AUDIO, ["speak"]),
    "cost nan": lambda: StepResult(AUDIO, "speak", cost=float("nan")),
    "cost endless": lambda: StepResult(AUDIO, "speak", cost=float("inf")),
    "cost negative": lambda: StepResult(AUDIO, "speak", cost=-1.0),
    "cost no number": lambda: StepResult(AUDIO, "speak", cost="much"),
    "bucket unhashable": lambda: StepResult(AUDIO, "speak", bucket=[1]),
    "bucket no whole number": lambda: StepResult(AUDIO, "speak", bucket=1.5),
    "no result": lambda: None,
    "not a result": lambda: "audio",
    "samples are integers": lambda: audio(np.ones(100, np.int16)),
    "samples are stereo": lambda: audio(np.ones((100, 2), np.float32)),
    "samples are a list": lambda: audio([0.5] * 100),
    "samples are endless": lambda: audio(np.full(100, np.inf, np.float32)),
    "chunk is none": lambda: StepResult(b"audio"),
    "alignment is none": lambda: audio(AUDIO.samples, "words"),
    "mark is none": lambda: audio(AUDIO.samples, Alignment(("word",))),
    "mark nan": lambda: audio(AUDIO.samples, Alignment((WordMark("a", float("nan"), 5, (0, 1)),))),
    "mark backwards": lambda: audio(AUDIO.samples, Alignment((), (PhonemeMark("a", 9, 5, (0, 1)),))),
    "chars are none": lambda: audio(AUDIO.samples, Alignment((WordMark("a", 0, 5, None),))),
}


BROKEN_STEPS = ("too few", "results are none", "interrupts", "no slot for nothing", "cannot finish")


class FaultyEngine:
    """Makes 100 samples per clause; a text that names a fault causes it. A text that begins with "hang" waits at a gate
    of its own until the test opens it."""

    def __init__(self, info):
        self.info = info
        self.entered = queue.Queue()
        self.gates = {}
        self.finished = queue.Queue()
        self.steps = []

    def warm_up(self):
        pass

    def wait(self, text):
        gate = self.gates.setdefault(text, threading.Event())
        self.entered.put(text)
        assert gate.wait(WAIT_SECONDS)

    def prepare(self, clause):
        match clause.text:
            case "job is none":
                return None
            case "job of no stage":
                return Job(clause, "no such stage")
            case "job of a bad bucket":
                return Job(clause, "speak", bucket="large")
            case "prepare exits":
                raise SystemExit
        if clause.text.startswith("hang in prepare"):
            self.wait(clause.text)
        return Job(clause, self.info.stages[0].name)

    def step(self, stage, jobs):
        texts = [job.clause.text for job in jobs]
        self.steps.append(texts)
        for text in texts:
            if text.startswith("hang") and "prepare" not in text:
                self.wait(text)
        if "too few" in texts:
            return []
        if "results are none" in texts:
            return None
        if "interrupts" in texts:
            raise KeyboardInterrupt
        if "no slot for nothing" in texts:
            raise NoSlot(None)
        return [INVALID_RESULTS.get(text, lambda: StepResult(AUDIO))() for text in texts]

    def finish(self, job, reason):
        if job.clause.text == "cannot finish":
            raise SystemExit
        if job.clause.text.startswith("finish hangs"):
            self.wait(job.clause.text)
        self.finished.put((job.clause.text, reason))


class RunnerHarness:
    """A runner whose clock the test moves, and the event loop's side of it."""

    def __init__(self, info, workers, **policy):
        self.now = 0.0
        self.engine = FaultyEngine(info)
        self.scheduler = Scheduler({"model": info}, workers, Policy(**policy))
        self.calls, self.outputs = queue.Queue(), []
        self.runner = Runner(
            {"model": self.engine}, self.scheduler, self.outputs.extend, self.calls.put, clock=lambda: self.now
        )
        self.runner.start()

    def submit(self, *texts):
        for text in texts:
            self.runner.submit(make_request(text, text=text))

    def until(self, count):
        """Run the loop's calls until there are `count` outputs. Returns them by context key."""
        while len(self.outputs) < count:
            self.calls.get(timeout=WAIT_SECONDS)()
        return {output.request.context_key: output for output in self.outputs}

    def hang(self, text):
        """Have a step hang beyond its limit."""
        self.submit(text)
        assert self.engine.entered.get(timeout=WAIT_SECONDS) == text
        self.now += 31.0
        self.runner.look_after()

    def open(self, text):
        self.engine.gates[text].set()

    @property
    def stats(self):
        return self.runner.worker_stats()

    def until_healthy(self):
        """Wait until the engine has recovered and no problem is reported."""
        while self.stats.problems:
            self.now += 0.02
            self.runner.look_after()
            threading.Event().wait(0.001)


@pytest.fixture
def bench():
    made = []

    def make(info=GPU, workers=2, **policy):
        made.append(RunnerHarness(info, workers, **policy))
        return made[-1]

    yield make
    for each in made:
        for gate in each.engine.gates.values():
            gate.set()
        assert each.runner.stop(WAIT_SECONDS), "workers end"


# -- threads that hang ------------------------------------------------------------------------------------------------


def test_a_step_that_hangs_fails_its_clause_and_the_next_are_spoken(bench):
    b = bench()
    b.hang("hang")
    error = b.until(1)["hang"].error
    assert (error.code, error.retryable) == (ErrorCode.ENGINE_FAILED, True)
    assert b.stats.hung["device:model"] == 1
    assert b.stats.replacements == {("device:model", "hung"): 1}
    b.submit("after")
    assert b.until(2)["after"].error is None


def test_a_step_within_its_time_limit_is_not_replaced(bench):
    b = bench()
    b.submit("hang")
    b.engine.entered.get(timeout=WAIT_SECONDS)
    b.now += 29.0
    b.runner.look_after()
    b.open("hang")
    assert b.until(1)["hang"].error is None
    assert b.stats.replacements == {}


def test_a_step_that_is_predicted_to_take_long_has_a_longer_limit(bench):
    b = bench(model_info("model", StageInfo("speak", 8), executor="device", realtime_factor=10.0))
    b.runner.submit(make_request("slow", text="hang " + "x" * 60))
    b.engine.entered.get(timeout=WAIT_SECONDS)
    b.now += 300.0
    b.runner.look_after()
    assert b.stats.replacements == {}


def test_a_problem_is_reported_until_a_health_check_succeeds(bench):
    b = bench()
    b.hang("hang")
    assert "hangs" in b.stats.problems["model"]
    b.until_healthy()
    assert ["one"] in b.engine.steps, "its health was checked with a word"


def test_a_successful_clause_ends_the_report_of_a_problem(bench):
    b = bench()
    b.hang("hang")
    b.submit("after")
    b.until(2)
    assert "model" in b.stats.problems, "it is reported for a while, as load balancers poll"
    b.now += 11.0
    b.runner.look_after()
    assert b.stats.problems == {}


def test_the_results_of_a_hung_step_are_dropped_and_its_thread_ends(bench):
    b = bench()
    sunk = []
    b.runner.submit(make_request("hang", text="hang", sink=lambda *facts: sunk.append(facts)))
    b.engine.entered.get(timeout=WAIT_SECONDS)
    thread = next(each for each in threading.enumerate() if each.name == "voxwire-device:model-0")
    b.now += 31.0
    b.runner.look_after()
    b.until(1)
    b.open("hang")
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert sunk == []
    assert len(b.outputs) == 1
    assert b.engine.finished.get(timeout=WAIT_SECONDS)[0] in ("hang", "one")
    assert b.stats.hung["device:model"] == 0


def test_a_clause_moves_to_another_worker_where_there_are_several_and_is_spoken_there(bench):
    b = bench(CPU, workers=3)
    b.hang("hang")
    assert b.engine.entered.get(timeout=WAIT_SECONDS) == "hang", "another worker steps it"
    b.open("hang")
    assert b.until(1)["hang"].error is None


def test_a_clause_that_hangs_twice_fails(bench):
    b = bench(CPU, workers=3)
    b.hang("hang")
    assert b.engine.entered.get(timeout=WAIT_SECONDS) == "hang"
    b.now += 31.0
    b.runner.look_after()
    assert b.until(1)["hang"].error.code is ErrorCode.ENGINE_FAILED
    assert b.engine.entered.empty()


def test_a_clause_that_is_cancelled_while_it_hangs_has_no_output(bench):
    b = bench(CPU, workers=3)
    b.submit("hang")
    b.engine.entered.get(timeout=WAIT_SECONDS)
    b.runner.cancel("hang")
    b.now += 31.0
    b.runner.look_after()
    b.submit("after")
    assert set(b.until(1)) == {"after"}
    assert b.scheduler.stats(b.now).requests == 0


def disable(b):
    """Have an engine hang twice in a row, with clauses that wait for it: it is disabled."""
    check, b.runner._queue_health_checks = b.runner._queue_health_checks, lambda now: None
    b.hang("hang one")
    b.submit("hang two")
    assert b.engine.entered.get(timeout=WAIT_SECONDS) == "hang two"
    b.submit("waits 1", "waits 2")
    b.now += 31.0
    b.runner.look_after()
    b.runner._queue_health_checks = check
    return b.until(4)


def test_an_engine_that_hangs_again_after_its_thread_was_replaced_is_disabled(bench):
    b = bench()
    outputs = disable(b)
    assert {each.error.code for each in outputs.values()} == {ErrorCode.ENGINE_FAILED}
    with pytest.raises(VoxwireError) as refusal:
        b.submit("after")
    assert (refusal.value.code, refusal.value.retryable) == (ErrorCode.ENGINE_UNAVAILABLE, True)
    with pytest.raises(VoxwireError):
        b.runner.admission("model")
    assert "model" in b.stats.problems
    assert b.scheduler.stats(b.now).requests == 0


def test_a_disabled_engine_is_enabled_when_its_hung_call_returns(bench):
    b = bench()
    disable(b)
    b.open("hang two")
    b.until_healthy()
    b.submit("after")
    assert b.until(5)["after"].error is None


def test_a_prepare_that_hangs_does_not_stop_other_clauses(bench):
    b = bench(workers=1)
    b.hang("hang in prepare")
    assert b.until(1)["hang in prepare"].error.code is ErrorCode.ENGINE_FAILED
    b.submit("after")
    assert b.until(2)["after"].error is None


def test_a_finish_that_hangs_costs_one_thread(bench):
    b = bench()
    b.hang("finish hangs")
    b.submit("after")
    outputs = b.until(2)
    assert outputs["finish hangs"].error is None
    assert outputs["after"].error is None
    assert b.stats.hung["device:model"] == 1


# -- invalid results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info", [GPU, CPU], ids=["device", "cpu"])
@pytest.mark.parametrize(
    "text",
    [*INVALID_RESULTS, *BROKEN_STEPS, "job is none", "job of no stage", "job of a bad bucket", "prepare exits"],
)
def test_an_invalid_result_ends_its_clause_and_no_thread(bench, info, text):
    b = bench(info)
    b.submit(text)
    output = b.until(1)[text]
    assert output.finished
    assert (output.error is None) == (text == "cannot finish")
    b.submit(*(f"after {number}" for number in range(8)))
    assert all(b.until(9)[f"after {number}"].error is None for number in range(8))
    b.runner.look_after()
    assert b.stats.replacements == {}
    stats = b.scheduler.stats(b.now)
    assert (stats.requests, stats.engines[0].slots_held) == (0, 0)


def test_a_worker_that_dies_is_replaced(bench):
    b = bench(workers=1)
    complete, dying = b.scheduler.complete, [True]

    def breaks_once(*facts):
        if dying:
            dying.clear()
            raise MemoryError
        return complete(*facts)

    b.scheduler.complete = breaks_once
    thread = next(each for each in threading.enumerate() if each.name == "voxwire-cpu-0")
    b.submit("doomed")
    thread.join(WAIT_SECONDS)
    b.runner.look_after()
    assert b.until(1)["doomed"].error.code is ErrorCode.ENGINE_FAILED
    assert b.stats.replacements == {("cpu", "died"): 1}
    b.submit("after")
    assert b.until(2)["after"].error is None
    assert b.scheduler.stats(b.now).requests == 0


# -- delivery ---------------------------------------------------------------------------------------------------------


def test_outputs_that_take_long_to_deliver_let_the_loop_run_in_between(bench):
    b = bench(workers=1)
    delivered = []

    def slowly(outputs):
        b.now += 0.001
        delivered.extend(outputs)

    b.runner._delivery.deliver = slowly
    for number in range(20):
        b.submit(f"clause {number}")
    for _ in range(20):
        b.engine.finished.get(timeout=WAIT_SECONDS)
    b.calls.get(timeout=WAIT_SECONDS)()
    assert 1 <= len(delivered) <= 3
    while len(delivered) < 20:
        b.calls.get(timeout=WAIT_SECONDS)()
    assert [each.request.context_key for each in delivered] == [f"clause {number}" for number in range(20)]


def test_a_delivery_that_fails_does_not_lose_the_others(bench):
    b = bench(workers=1)
    delivered = []

    def poisonous(outputs):
        if outputs[0].request.context_key == "poison":
            raise RuntimeError
        delivered.extend(each.request.context_key for each in outputs)

    b.runner._delivery.deliver = poisonous
    b.submit("one", "poison", "two")
    for _ in range(3):
        b.engine.finished.get(timeout=WAIT_SECONDS)
    while len(delivered) < 2:
        b.calls.get(timeout=WAIT_SECONDS)()
    assert delivered == ["one", "two"]
