"""The runner with real threads. Tests wait on events, never for time to pass."""

import queue
import threading

import numpy as np
import pytest

from support.scheduler_harness import make_request
from support.scheduler_sim import model_info
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import Job, NoSlot, StageInfo, StepResult
from voxwire_server.scheduling.runner import Runner
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.speech import Alignment, AudioChunk, EndReason

WAIT_SECONDS = 10.0
GPU = model_info("model", StageInfo("speak", 8), executor="device", realtime_factor=0.0001)


class FakeEngine:
    """Makes 100 samples per clause. A text that names a fault causes it; steps wait while `gate` is closed."""

    def __init__(self, info=None):
        self.info = info or model_info(concurrency=2)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = queue.Queue()
        self.finished = queue.Queue()
        self.steps = []
        self.threads = set()
        self.memory_rows = 1000

    def warm_up(self):
        pass

    def prepare(self, clause):
        if clause.text == "unreadable":
            raise ValueError(clause.text)
        return Job(clause, self.info.stages[0].name, empty=clause.text == "empty")

    def step(self, stage, jobs):
        texts = [job.clause.text for job in jobs]
        self.steps.append(texts)
        self.threads.add(threading.current_thread().name)
        self.entered.put(texts)
        assert self.gate.wait(WAIT_SECONDS)
        if len(jobs) > self.memory_rows:
            raise MemoryError
        if "breaks the step" in texts:
            raise RuntimeError("a secret that the user wrote")
        if "needs a slot" in texts:
            raise NoSlot
        if "ends the thread" in texts:
            raise SystemExit
        return [self.speak(job) for job in jobs]

    def speak(self, job):
        samples = np.full(100, 0.5, np.float32)
        if job.clause.text == "breaks alone":
            return StepResult(error=ValueError("no"))
        if job.clause.text == "not a number":
            samples[50] = np.nan
        return StepResult(AudioChunk(samples, Alignment()))

    def finish(self, job, reason):
        self.finished.put((job.clause.text, reason, threading.current_thread().name))


class Loop:
    """The event loop's side: runs the functions passed to `wake`, on the test's own thread."""

    def __init__(self):
        self.calls = queue.Queue()
        self.outputs = []

    def until(self, count):
        """Run the loop's calls until there are `count` outputs. Returns them by context key."""
        while len(self.outputs) < count:
            self.calls.get(timeout=WAIT_SECONDS)()
        return {output.request.context_key: output for output in self.outputs}


@pytest.fixture
def services():
    runners = []

    def make(engine=None, workers=2):
        engine = engine or FakeEngine()
        loop = Loop()
        scheduler = Scheduler({"model": engine.info}, workers)
        runner = Runner({"model": engine}, scheduler, loop.outputs.extend, loop.calls.put)
        runners.append((runner, engine))
        runner.start()
        return runner, engine, loop, scheduler

    yield make
    for runner, engine in runners:
        engine.gate.set()
        assert runner.stop(WAIT_SECONDS), "workers end"


def test_a_clause_becomes_audio_in_its_sink_in_a_worker(services):
    runner, engine, loop, _ = services()
    seen = []

    def sink(request, chunk, finished):
        seen.append((request, chunk, finished, threading.current_thread().name))
        return "encoded"

    request = make_request("a", sink=sink)
    runner.submit(request)
    output = loop.until(1)["a"]
    assert (output.request, output.encoded, output.finished, output.error) == (request, "encoded", True, None)
    assert output.synth_seconds > 0.0
    ((passed, chunk, finished, thread),) = seen
    assert (passed, len(chunk.samples), chunk.alignment, finished) == (request, 100, Alignment(), True)
    assert thread.startswith("voxwire-cpu-")
    assert engine.finished.get(timeout=WAIT_SECONDS)[:2] == ("hello there", EndReason.COMPLETED)


def test_hundreds_of_clauses_of_many_contexts_have_one_output_each(services):
    runner, _, loop, scheduler = services()
    for number in range(600):
        runner.submit(make_request((number % 50, number), deadline=float(number % 7)))
    loop.until(600)
    assert len({output.request.context_key for output in loop.outputs}) == 600
    assert scheduler.stats(0.0).requests == 0


def test_outputs_that_gather_are_delivered_in_one_call_of_the_loop(services):
    runner, engine, loop, _ = services(workers=1)
    for number in range(20):
        runner.submit(make_request(number))
    for _ in range(20):
        engine.finished.get(timeout=WAIT_SECONDS)
    assert loop.calls.qsize() == 1
    loop.until(20)


def test_steps_of_an_engine_with_a_device_stay_on_its_own_thread(services):
    runner, engine, loop, _ = services(FakeEngine(GPU))
    for number in range(50):
        runner.submit(make_request(number))
    loop.until(50)
    assert engine.threads == {"voxwire-device:model-0"}


def test_requests_that_wait_for_the_device_share_its_next_step(services):
    runner, engine, loop, _ = services(FakeEngine(GPU), workers=1)
    engine.gate.clear()
    runner.submit(make_request("first"))
    engine.entered.get(timeout=WAIT_SECONDS)
    prepared = threading.Semaphore(0)
    prepare = engine.prepare
    engine.prepare = lambda clause: (prepared.release(), prepare(clause))[1]
    for number in range(4):
        runner.submit(make_request(number))
    runner.submit(make_request("empty", text="empty", deadline=1000.0))  # it ends when all before it are prepared
    loop.until(1)
    engine.gate.set()
    loop.until(6)
    assert max(len(texts) for texts in engine.steps) == 4


def test_a_clause_with_nothing_to_say_is_finished_without_a_step(services):
    runner, engine, loop, _ = services()
    calls = []
    runner.submit(
        make_request("a", text="empty", sink=lambda request, chunk, finished: calls.append((chunk, finished)))
    )
    output = loop.until(1)["a"]
    assert output.finished
    assert output.error is None
    assert calls == [(None, True)]
    assert engine.steps == []
    assert output.request.unspoken == ((0, 5),)


@pytest.mark.parametrize(("text", "read"), [("an αβ here", "an    here"), ("plain", "plain")])
def test_letters_that_no_reader_of_the_language_knows_are_kept_from_it_and_told(services, text, read):
    runner, engine, loop, _ = services()
    runner.submit(make_request("a", text=text))
    output = loop.until(1)["a"]
    assert engine.steps == [[read]]
    assert [text[slice(*each)] for each in output.request.unspoken] == (["αβ"] if "α" in text else [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("unreadable", ErrorCode.CLAUSE_FAILED),
        ("breaks alone", ErrorCode.CLAUSE_FAILED),
        ("not a number", ErrorCode.CLAUSE_FAILED),
        ("breaks the step", ErrorCode.ENGINE_FAILED),
        ("needs a slot", ErrorCode.ENGINE_OVERLOADED),
        ("ends the thread", ErrorCode.ENGINE_FAILED),
    ],
)
def test_a_clause_that_fails_says_why_and_the_workers_go_on(services, text, code):
    runner, engine, loop, _ = services()
    sunk = []
    runner.submit(make_request("bad", text=text, sink=lambda *facts: sunk.append(facts)))
    output = loop.until(1)["bad"]
    assert (output.finished, output.error.code, output.encoded) == (True, code, None)
    assert sunk == []
    if text != "unreadable":
        assert engine.finished.get(timeout=WAIT_SECONDS)[:2] == (text, EndReason.FAILED)
    for number in range(4):
        runner.submit(make_request(number))
    assert loop.until(5)[3].error is None


def test_what_a_user_wrote_is_in_no_error_and_no_log(services, caplog):
    runner, _, loop, _ = services()
    runner.submit(make_request("bad", text="breaks the step"))
    error = loop.until(1)["bad"].error
    assert "secret" not in str(error)
    assert "secret" not in caplog.text
    assert "RuntimeError" in caplog.text


def outputs_of_one_step(runner, engine, loop, texts):
    """Have clauses stepped as one batch. Returns their outputs by text."""
    engine.gate.clear()
    runner.submit(make_request("before"))
    engine.entered.get(timeout=WAIT_SECONDS)
    for text in texts:
        runner.submit(make_request(text, text=text))
    runner.submit(make_request("empty", text="empty", deadline=1000.0))
    loop.until(1)
    engine.gate.set()
    return loop.until(2 + len(texts))


def test_one_requests_failure_does_not_fail_its_batch(services):
    runner, engine, loop, _ = services(FakeEngine(GPU), workers=1)
    outputs = outputs_of_one_step(runner, engine, loop, ["one", "breaks alone", "not a number", "two"])
    assert outputs["one"].error is None
    assert outputs["two"].error is None
    assert outputs["breaks alone"].error.code is ErrorCode.CLAUSE_FAILED
    assert outputs["not a number"].error.code is ErrorCode.CLAUSE_FAILED


def test_a_step_that_does_not_fit_into_memory_is_split_in_two(services):
    engine = FakeEngine(GPU)
    engine.memory_rows = 2
    runner, _, loop, _ = services(engine, workers=1)
    outputs = outputs_of_one_step(runner, engine, loop, ["a", "b", "c", "d"])
    assert all(output.error is None for output in outputs.values())
    assert [len(texts) for texts in engine.steps] == [1, 4, 2, 2]


def test_what_does_not_fit_even_then_fails_and_the_engine_goes_on(services):
    engine = FakeEngine(GPU)
    engine.memory_rows = 1
    runner, _, loop, _ = services(engine, workers=1)
    outputs = outputs_of_one_step(runner, engine, loop, ["a", "b", "c"])
    assert outputs["a"].error.code is ErrorCode.ENGINE_OVERLOADED
    assert outputs["c"].error is None
    runner.submit(make_request("after"))
    assert loop.until(6)["after"].error is None


def test_a_sink_that_fails_fails_its_own_clause_only(services):
    def sink(request, chunk, finished):
        raise RuntimeError("broken")

    runner, _, loop, _ = services()
    runner.submit(make_request("bad", sink=sink))
    runner.submit(make_request("good"))
    outputs = loop.until(2)
    assert outputs["bad"].error.code is ErrorCode.INTERNAL
    assert outputs["good"].error is None


def test_a_clause_cancelled_while_it_waits_is_never_stepped(services):
    runner, engine, loop, _ = services(FakeEngine(model_info(concurrency=1)), workers=1)
    engine.gate.clear()
    runner.submit(make_request("running"))
    engine.entered.get(timeout=WAIT_SECONDS)
    runner.submit(make_request("waits", text="never"))
    runner.cancel("waits")
    engine.gate.set()
    runner.submit(make_request("after"))
    assert set(loop.until(2)) == {"running", "after"}
    assert ["never"] not in engine.steps


def test_a_prepared_clause_that_is_cancelled_is_finished_in_a_worker(services):
    runner, engine, loop, _ = services(FakeEngine(GPU), workers=1)
    engine.gate.clear()
    runner.submit(make_request("running"))
    engine.entered.get(timeout=WAIT_SECONDS)
    runner.submit(make_request("waits", text="prepared"))
    runner.submit(make_request("empty", text="empty", deadline=1000.0))
    loop.until(1)
    runner.cancel("waits")
    texts = {engine.finished.get(timeout=WAIT_SECONDS) for _ in range(2)}
    ended = next(entry for entry in texts if entry[0] == "prepared")
    assert ended[1] is EndReason.CANCELLED
    assert ended[2].startswith("voxwire-")


def test_a_clause_cancelled_in_its_step_yields_nothing(services):
    runner, engine, loop, _ = services()
    engine.gate.clear()
    sunk = []
    runner.submit(make_request("gone", sink=lambda *facts: sunk.append(facts)))
    engine.entered.get(timeout=WAIT_SECONDS)
    runner.cancel("gone")
    engine.gate.set()
    assert engine.finished.get(timeout=WAIT_SECONDS)[1] is EndReason.CANCELLED
    runner.submit(make_request("after"))
    assert set(loop.until(1)) == {"after"}
    assert sunk == []


def test_nothing_is_delivered_of_what_was_cancelled_after_its_step(services):
    runner, engine, loop, _ = services()
    runner.submit(make_request("gone"))
    engine.finished.get(timeout=WAIT_SECONDS)
    runner.cancel("gone")
    runner.submit(make_request("after"))
    assert set(loop.until(1)) == {"after"}


def test_a_stopped_runner_takes_no_requests_and_finishes_every_job(services):
    runner, engine, _, _ = services(FakeEngine(GPU), workers=1)
    engine.gate.clear()
    runner.submit(make_request("running"))
    engine.entered.get(timeout=WAIT_SECONDS)
    assert not runner.stop(timeout=0.0)
    engine.gate.set()
    assert runner.stop(WAIT_SECONDS)
    assert engine.finished.get(timeout=WAIT_SECONDS)[1] is EndReason.CANCELLED
    with pytest.raises(VoxwireError) as refusal:
        runner.submit(make_request("late"))
    assert refusal.value.code is ErrorCode.DRAINING


def test_a_loop_that_is_closed_does_not_end_the_workers():
    engine = FakeEngine()

    def closed(_):
        raise RuntimeError("Event loop is closed")

    runner = Runner({"model": engine}, Scheduler({"model": engine.info}, 1), lambda _: None, closed)
    runner.start()
    for number in range(3):
        runner.submit(make_request(number))
        engine.finished.get(timeout=WAIT_SECONDS)
    assert runner.stop(WAIT_SECONDS)


def test_streams_and_admission_are_passed_on(services):
    runner, _, _, scheduler = services(FakeEngine(model_info(realtime_factor=10.0)))
    assert runner.admission("model") is None
    runner.stream_started("a", "model")
    assert scheduler.stats(0.0).engines[0].streams == 1
    assert runner.admission("model") is not None
    assert runner.admission("model", bulk=True) is not None
    runner.stream_ended("a")
    assert runner.admission("model") is None


def test_a_cancel_storm_from_many_threads_leaves_nothing_behind(services):
    runner, _, loop, scheduler = services()

    def storm(base):
        for number in range(100):
            runner.submit(make_request((base, number % 10), text="x" * 20, index=number))
            if number % 3 == 0:
                runner.cancel((base, number % 10))
            runner.reprioritise((base, number % 7), float(number))

    threads = [threading.Thread(target=storm, args=(base,)) for base in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for base in range(4):
        for number in range(10):
            runner.cancel((base, number))
    runner.submit(make_request("last", deadline=1e6))
    while "last" not in {output.request.context_key for output in loop.outputs}:
        loop.until(len(loop.outputs) + 1)
    stats = scheduler.stats(0.0)
    assert stats.submitted == 401
    assert stats.requests <= 2  # cancelled steps may still be running
    assert stats.completed + stats.cancelled + stats.requests == 401


# -- devices ----------------------------------------------------------------------------------------------------------


class Gauge:
    """Counts how many steps are inside engines now (`inside`) and at most (`most`)."""

    def __init__(self):
        self.most = self.inside = 0
        self.lock = threading.Lock()

    def __enter__(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *exc):
        with self.lock:
            self.inside -= 1


class DeviceEngine(FakeEngine):
    """An engine on a device whose steps are counted while they last; `meets` makes them wait for each other."""

    def __init__(self, name, device, gauge, meets=None):
        super().__init__(
            model_info(name, StageInfo("speak", 1), executor="device", device=device, realtime_factor=0.0001)
        )
        self.gauge = gauge
        self.meets = meets
        self.warmed_on = ""

    def warm_up(self):
        with self.gauge:
            self.warmed_on = threading.current_thread().name

    def step(self, stage, jobs):
        with self.gauge:
            if self.meets is not None:
                self.meets.wait(WAIT_SECONDS)
            return super().step(stage, jobs)


@pytest.fixture
def devices():
    runners = []

    def make(*engines):
        loop = Loop()
        named = {engine.info.name: engine for engine in engines}
        scheduler = Scheduler({name: engine.info for name, engine in named.items()}, 2)
        runner = Runner(named, scheduler, loop.outputs.extend, loop.calls.put)
        runners.append(runner)
        runner.start()
        return runner, loop

    yield make
    for runner in runners:
        assert runner.stop(WAIT_SECONDS), "workers end"


def speak_with_all(runner, loop, engines, clauses):
    for number in range(clauses):
        for engine in engines:
            runner.submit(make_request((engine.info.name, number), engine=engine.info.name))
    return loop.until(clauses * len(engines))


def test_steps_of_two_engines_on_one_device_never_overlap_and_share_a_thread(devices):
    gauge = Gauge()
    engines = [DeviceEngine(name, "cuda:0", gauge) for name in ("a", "b")]
    runner, loop = devices(*engines)
    outputs = speak_with_all(runner, loop, engines, 100)
    assert all(output.error is None for output in outputs.values())
    assert gauge.most == 1
    assert engines[0].threads == engines[1].threads == {"voxwire-device:cuda:0-0"}


def test_steps_of_engines_on_two_devices_overlap(devices):
    gauge, meets = Gauge(), threading.Barrier(2)
    engines = [DeviceEngine(name, device, gauge, meets) for name, device in (("a", "cuda:0"), ("b", "cuda:1"))]
    runner, loop = devices(*engines)
    outputs = speak_with_all(runner, loop, engines, 5)
    assert all(output.error is None for output in outputs.values()), "each step waited for one of the other device"
    assert gauge.most == 2


def test_engines_of_one_device_are_warmed_up_on_its_thread_between_steps(devices):
    gauge = Gauge()
    engines = [DeviceEngine(name, "cuda:0", gauge) for name in ("a", "b")]
    runner, loop = devices(*engines)
    for number in range(20):
        runner.submit(make_request(number, engine="a"))
    for engine in engines:
        runner.warm_up(engine.info.name).result(WAIT_SECONDS)
        assert engine.warmed_on == "voxwire-device:cuda:0-0"
    loop.until(20)
    assert gauge.most == 1


def test_an_engine_that_cannot_be_warmed_up_says_so_and_the_other_speaks(devices):
    engines = [DeviceEngine(name, "cuda:0", Gauge()) for name in ("a", "b")]
    engines[0].gauge = None
    runner, loop = devices(*engines)
    with pytest.raises(TypeError):
        runner.warm_up("a").result(WAIT_SECONDS)
    runner.submit(make_request("b", engine="b"))
    assert loop.until(1)["b"].error is None


def test_an_engine_that_fails_takes_only_its_own_clauses_with_it(devices):
    engines = [DeviceEngine(name, "cuda:0", Gauge()) for name in ("a", "b")]
    engines[0].memory_rows = 0
    runner, loop = devices(*engines)
    for name, text in (("a", "too large"), ("b", "fits"), ("a", "breaks the step"), ("b", "fits too")):
        runner.submit(make_request((name, text), engine=name, text=text))
    outputs = loop.until(4)
    assert {context_key: None if out.error is None else out.error.code for context_key, out in outputs.items()} == {
        ("a", "too large"): ErrorCode.ENGINE_OVERLOADED,
        ("a", "breaks the step"): ErrorCode.ENGINE_OVERLOADED,
        ("b", "fits"): None,
        ("b", "fits too"): None,
    }


def test_a_runner_that_stops_cancels_waiting_warm_ups(devices):
    engine = DeviceEngine("a", "cuda:0", Gauge())
    engine.gate.clear()
    runner, _ = devices(engine)
    runner.submit(make_request(engine="a"))
    engine.entered.get(timeout=WAIT_SECONDS)
    waiting = runner.warm_up("a")
    assert not runner.stop(0.0)
    engine.gate.set()
    assert waiting.cancelled()
    assert runner.warm_up("a").cancelled()
