"""Errors in a step of Kokoro: which jobs fail, and that the engine goes on. Its network is a stand-in."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.scheduler_sim import VirtualRunner  # noqa: E402
from voxwire_protocol.errors import ErrorCode  # noqa: E402
from voxwire_server.engines.common.g2p import _own_vocabulary as vocabulary  # noqa: E402
from voxwire_server.engines.kokoro.engine import KokoroEngine, torch_info  # noqa: E402
from voxwire_server.engines.kokoro.g2p import Languages  # noqa: E402
from voxwire_server.engines.kokoro.text_frontend import (  # noqa: E402
    Styles,
    TextFrontend,
    voices_of,
)
from voxwire_server.scheduling.request import SynthesisRequest  # noqa: E402
from voxwire_server.scheduling.scheduler import Scheduler  # noqa: E402
from voxwire_server.speech import Clause  # noqa: E402

FRAMES_PER_SYMBOL, FRAME_SAMPLES = 2, 600
TEXT = "Rice is often served in round bowls."


class Steps:
    """Stands for the network: every symbol lasts two frames. `rows_max` by stage is what fits into memory."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.rows_max: dict[str, int] = {}
        self.error: Exception = torch.OutOfMemoryError("CUDA out of memory")
        self.not_numbers: set[int] = set()
        self.last: weakref.ref | None = None

    def capture_graphs(self) -> None:
        pass

    def encode(self, jobs) -> None:
        self._enter("encode", jobs)
        for job in jobs:
            job.durations = torch.full((len(job.piece.ids),), FRAMES_PER_SYMBOL)

    def front(self, jobs) -> None:
        self._enter("front", jobs)

    def generate(self, jobs):
        self._enter("generate", jobs)
        samples = [np.full(FRAME_SAMPLES * job.length, 0.1, np.float32) for job in jobs]
        for job, part in zip(jobs, samples, strict=True):
            if job.clause.seed in self.not_numbers:
                part[len(part) // 2] = np.nan
        return samples

    def _enter(self, stage, jobs) -> None:
        self.calls.append((stage, len(jobs)))
        batch = torch.zeros(4)
        if len(jobs) > self.rows_max.get(stage, 1000):
            self.last = weakref.ref(batch)
            raise self.error


class EngineUnderTest:
    """The engine under a scheduler and a runner on virtual time; requests are submitted by their seeds."""

    def __init__(self) -> None:
        self.steps = Steps()
        voices = {"af_heart": np.zeros((510, 256), np.float32)}
        languages = Languages(vocabulary())
        known = voices_of("kokoro", voices, ("en-us",))
        info = torch_info("kokoro", known, torch.device("cuda:0"), torch.float16)
        self.engine = KokoroEngine(self.steps, TextFrontend(languages, known, Styles(voices)), info)
        self.outcomes = {}
        scheduler = Scheduler({"kokoro": self.engine.info}, 4)
        self.runner = VirtualRunner({"kokoro": self.engine}, scheduler, self._deliver, lambda batch: 0.01)

    def _deliver(self, outcomes) -> None:
        self.outcomes |= {outcome.request.context_key: outcome for outcome in outcomes if outcome.finished}

    def submit(self, *seeds: int, text: str = TEXT) -> None:
        for seed in seeds:
            clause = Clause(text, (0, len(text)), range(len(text)), "af_heart", "en-us", 1.0, seed)
            sink = lambda request, chunk, finished: True  # noqa: E731
            self.runner.submit(
                SynthesisRequest(
                    seed, "kokoro", clause, 0, 10.0, bulk=False, first=True, ends_utterance=True, sink=sink
                )
            )

    def speak(self, *seeds: int) -> dict[int, ErrorCode | None]:
        """The error code of each request, None if it was synthesised."""
        self.outcomes.clear()
        self.submit(*seeds)
        self.runner.run_out()
        return {seed: each.error and each.error.code for seed, each in sorted(self.outcomes.items())}


@pytest.fixture
def under_test() -> EngineUnderTest:
    return EngineUnderTest()


def test_a_nan_in_one_jobs_audio_fails_that_job_alone(under_test: EngineUnderTest):
    under_test.steps.not_numbers = {2}
    assert under_test.speak(1, 2, 3, 4) == {1: None, 2: ErrorCode.CLAUSE_FAILED, 3: None, 4: None}
    assert any(stage == "generate" and rows > 1 for stage, rows in under_test.steps.calls), "they shared a step"


@pytest.mark.parametrize("stage", ["encode", "front", "generate"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: 12 bytes"),
    ],
    ids=["gpu", "host"],
)
def test_a_step_without_memory_is_split_and_all_are_spoken(under_test: EngineUnderTest, stage, error):
    under_test.steps.rows_max, under_test.steps.error = {stage: 3}, error
    under_test.speak(*range(6))
    assert {seed: each.error for seed, each in under_test.outcomes.items()} == dict.fromkeys(range(6))
    sizes = [rows for name, rows in under_test.steps.calls if name == stage]
    assert max(sizes) > 3, "one did not fit"


def test_halves_that_do_not_fit_are_refused_once_and_the_engine_goes_on(under_test: EngineUnderTest):
    under_test.steps.rows_max = {"generate": 0}
    assert set(under_test.speak(1, 2, 3, 4).values()) == {ErrorCode.ENGINE_OVERLOADED}
    tries = [rows for stage, rows in under_test.steps.calls if stage == "generate"]
    assert sum(tries) <= 2 * 4, "each job is tried with the others and once more"
    under_test.steps.rows_max = {}
    assert under_test.speak(5, 6) == {5: None, 6: None}


def test_other_errors_of_torch_are_not_taken_for_a_lack_of_memory(under_test: EngineUnderTest):
    under_test.steps.rows_max, under_test.steps.error = {"front": 0}, RuntimeError("shapes don't match")
    assert under_test.speak(1) == {1: ErrorCode.ENGINE_FAILED}
    assert [rows for stage, rows in under_test.steps.calls if stage == "front"] == [1], "it is not tried again"


def test_tensors_that_did_not_fit_are_freed_before_the_halves_are_tried(under_test: EngineUnderTest):
    under_test.steps.rows_max = {"encode": 0}
    job = under_test.engine.prepare(Clause(TEXT, (0, len(TEXT)), range(len(TEXT)), "af_heart", "en-us", 1.0, 1))
    try:
        under_test.engine.step("encode", [job])
    except MemoryError:
        under_test.steps.error = ValueError()
        gc.disable()
        try:
            assert under_test.steps.last is not None
            assert under_test.steps.last() is None
        finally:
            gc.enable()
    else:
        pytest.fail("it fitted")


@pytest.mark.parametrize("after", ["encode", "front"])
def test_a_cancelled_job_costs_no_further_step(under_test: EngineUnderTest, after):
    under_test.submit(1)
    while not under_test.steps.calls or under_test.steps.calls[-1][0] != after:
        under_test.runner.advance(under_test.runner.next_at)
    under_test.runner.cancel(1)
    under_test.runner.run_out()
    assert [stage for stage, _ in under_test.steps.calls] == ["encode", "front"][: 1 + (after == "front")]
    assert under_test.outcomes == {}


def test_a_cancelled_job_leaves_nothing_on_the_device(under_test: EngineUnderTest):
    clause = Clause(TEXT, (0, len(TEXT)), range(len(TEXT)), "af_heart", "en-us", 1.0, 1)
    job = under_test.engine.prepare(clause)
    under_test.engine.step("encode", [job])
    assert job.durations is not None
    under_test.engine.finish(job, None)
    under_test.engine.finish(job, None)
    assert (job.prosody, job.speech, job.durations, job.frames, job.pitch) == (None,) * 5


def test_warming_up_goes_once_through_every_stage(under_test: EngineUnderTest):
    under_test.engine.warm_up()
    assert under_test.steps.calls == [("encode", 1), ("front", 1), ("generate", 1)]
