"""Stages that run as CUDA graphs give what the network gives; `support.fake_cuda_graph` stands for CUDA."""

from __future__ import annotations

import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.fake_cuda_graph import FakeCapture  # noqa: E402
from support.kokoro_torch import jobs_of, random_ids, random_network  # noqa: E402
from voxwire_server.engines.kokoro.model.layers import Rows  # noqa: E402
from voxwire_server.engines.kokoro.model.network import AcousticFeatures, Encoded  # noqa: E402
from voxwire_server.engines.kokoro.runtime.cuda_graphs import (  # noqa: E402
    INPUTS,
    OUTPUTS,
    CaptureOptions,
    CudaGraphRunner,
    dummy_inputs,
)
from voxwire_server.engines.kokoro.runtime.graph_buckets import (  # noqa: E402
    BUCKETS,
    Shape,
    ShapeBuckets,
    Stage,
    bucket_of,
    capture_order,
)
from voxwire_server.engines.kokoro.runtime.steps import TorchSteps  # noqa: E402

ENDLESS = 1e9
ONE_EACH = {
    Stage.ENCODE: ShapeBuckets((4,), (12,), 48),
    Stage.FRONT: ShapeBuckets((4,), (12,), 48),
    Stage.GENERATE: ShapeBuckets((4,), (6,), 24),
}


@pytest.fixture(scope="module")
def network():
    return random_network()


@pytest.fixture(scope="module")
def runner(network):
    found = CudaGraphRunner(network, FakeCapture(), CaptureOptions(ONE_EACH, only_faster=False, seconds_max=ENDLESS))
    found.capture_all()
    assert {shape.stage for shape in found.captured} == set(Stage)
    return found


def called(network, stage: Stage, inputs) -> list:
    """A stage over a batch: each row's part of all outputs."""
    *others, lengths = inputs
    rows = Rows(lengths, even=len(set(lengths.tolist())) == 1)
    match stage:
        case Stage.ENCODE:
            tokens, styles, speeds = others
            out = network.encode(tokens, styles, speeds, rows)
            parts, along, factor = (out.prosody, out.speech, out.durations), 0, 1
        case Stage.FRONT:
            prosody, speech, durations, styles = others
            out = network.front(Encoded(prosody, speech, durations), styles, rows, int(lengths.max()))
            parts, along, factor = (out.frames.transpose(1, 2), out.pitch), 0, 2
        case Stage.GENERATE:
            frames, pitch, styles, seeds = others
            parts, along, factor = (network.generate(AcousticFeatures(frames, pitch), styles, rows, seeds),), 0, 600
    return [[part[b].narrow(along, 0, factor * n) for part in parts] for b, n in enumerate(lengths.tolist())]


def batch(network, stage: Stage, rows: int, turn: int = 0, length: int = 9):
    """A batch that a bucket of `ONE_EACH` holds."""
    return dummy_inputs(network, Shape(stage, rows, min(length, ONE_EACH[stage].lengths[0] - 1)), turn)


def assert_same(found, wanted, tolerance=1e-4) -> None:
    for mine, others in zip(found, wanted, strict=True):
        for a, b in zip(mine, others, strict=True):
            assert a.shape == b.shape
            if a.dtype == torch.int64:
                assert torch.equal(a, b), "durations"
            else:
                assert float((a - b).abs().max()) <= tolerance * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("rows", [1, 3], ids=["one row", "unequal rows"])
def test_a_batch_in_a_bucket_is_as_the_network_alone_makes_it(network, runner, stage, rows):
    inputs = batch(network, stage, rows)
    before = runner._capture.replays
    found = called(runner, stage, inputs)
    assert runner._capture.replays == before + 1, "it was replayed"
    assert_same(found, called(network, stage, inputs))


@pytest.mark.parametrize("stage", [Stage.ENCODE, Stage.FRONT])
def test_a_graph_is_replayed_with_other_contents(network, runner, stage):
    batches = [batch(network, stage, rows, turn, length) for rows, turn, length in ((4, 0, 10), (1, 1, 7), (3, 0, 9))]
    found = [called(runner, stage, inputs) for inputs in batches]
    for mine, inputs in zip(found, batches, strict=True):
        assert_same(mine, called(network, stage, inputs))


def test_outputs_are_not_changed_by_the_next_call(network, runner):
    inputs = batch(network, Stage.ENCODE, 3)
    found = called(runner, Stage.ENCODE, inputs)
    kept = [[part.clone() for part in parts] for parts in found]
    called(runner, Stage.ENCODE, batch(network, Stage.ENCODE, 2, 1, 12))
    assert_same(found, kept, 0)


def test_nan_stays_in_its_row_and_its_batch(network, runner):
    stage = Stage.GENERATE
    inputs = batch(network, stage, 3)
    broken = [each.clone() for each in inputs]
    broken[0][1] = torch.nan
    found, clean = called(runner, stage, broken), called(network, stage, inputs)
    assert bool(found[1][0].isnan().any())
    assert_same([found[0], found[2]], [clean[0], clean[2]])
    shorter = batch(network, stage, 3, 1, 3)
    assert int(shorter[-1][1]) < int(inputs[-1][1])
    assert_same(called(runner, stage, shorter), called(network, stage, shorter))


def test_jobs_sound_alike_with_and_without_graphs(network, runner):
    spoken = []
    for stages in (network, runner):
        steps = TorchSteps(network, torch.device("cpu"))
        steps._stages = stages
        jobs = jobs_of([random_ids(size, size) for size in (6, 4, 5)])
        steps.encode(jobs)
        durations = [job.durations.tolist() for job in jobs]
        for job in jobs:
            job.durations = torch.ones_like(job.durations)
        steps.front(jobs)
        spoken.append((durations, steps.generate(jobs)))
    (durations, samples), (again, replayed) = spoken
    assert durations == again
    for one, other in zip(samples, replayed, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 1e-4
        assert np.corrcoef(one, other)[0, 1] > 0.9999


# -- what is captured, and when it is not replayed ------------------------------------------------------------------


class Small(torch.nn.Module):
    """A cheap network for tests of the runner: sums and products over each row."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.5), requires_grad=False)
        self.calls: list[tuple[str, int]] = []
        self.drift = 0.0
        self.waits = False

    def encode(self, tokens, styles, speeds, rows):
        self.calls.append(("encode", len(tokens)))
        own = rows.clear_tokens(tokens[..., None].float() * speeds[:, None, None])
        return Encoded(own.expand(-1, -1, 640) * self.weight, own.expand(-1, -1, 512), tokens.clamp(min=1))

    def front(self, encoded, styles, rows, frames_max):
        self.calls.append(("front", len(styles)))
        level = encoded.prosody.sum((1, 2)) + styles.sum(1)
        frames = level[:, None, None].expand(-1, 512, 2 * frames_max)
        return AcousticFeatures(frames * self.weight, frames[:, 0])

    def generate(self, features, styles, rows, seeds):
        self.calls.append(("generate", len(styles)))
        if self.waits:
            assert features.pitch.sum().item() is not None
        self.drift *= 4
        level = features.pitch.sum(1) + self.drift + seeds * 1e-18
        return level[:, None].expand(-1, 300 * features.pitch.shape[1]) * self.weight


SMALL = dict.fromkeys(Stage, ShapeBuckets((1, 2, 4), (10, 20), 40))


class SmallRunner:
    """A small network and its graph runner."""

    def __init__(self, **options) -> None:
        self.network, self.capture, self.now = Small(), FakeCapture(), 0.0
        self.runner = CudaGraphRunner(
            self.network, self.capture, CaptureOptions(SMALL, **options), clock=lambda: self.now
        )

    def shapes(self, stage: Stage) -> set[tuple[int, int]]:
        return {(shape.rows, shape.length) for shape in self.runner.captured if shape.stage is stage}

    def replays(self, stage: Stage, rows: int, length: int) -> bool:
        """Whether a batch is replayed from a graph; its outputs have to be right either way."""
        inputs = dummy_inputs(self.network, Shape(stage, rows, length), 0)
        before = self.capture.replays
        found = called(self.runner, stage, inputs)
        assert_same(found, called(self.network, stage, inputs))
        return self.capture.replays > before


ALL = {(1, 10), (1, 20), (2, 10), (2, 20), (4, 10)}


def test_every_bucket_that_is_small_enough_is_captured_and_replayed():
    small = SmallRunner()
    small.runner.capture_all()
    for stage in Stage:
        assert small.shapes(stage) == ALL
        assert small.replays(stage, 3, 8)
        assert small.replays(stage, 1, 20)
        assert not small.replays(stage, 3, 12), "4 rows of 20 are too many"
        assert not small.replays(stage, 5, 8)
        assert not small.replays(stage, 1, 21)


def test_nothing_is_replayed_before_it_is_captured():
    small = SmallRunner()
    assert not small.replays(Stage.GENERATE, 1, 10)


def test_a_stage_that_cannot_be_captured_runs_without_graphs_and_is_logged_once(caplog):
    small = SmallRunner()
    small.network.waits = True
    with caplog.at_level(logging.WARNING):
        small.runner.capture_all()
    assert len(caplog.records) == 1
    assert "generate runs without graphs" in caplog.text
    assert "not permitted when stream is capturing" in caplog.text
    assert small.shapes(Stage.GENERATE) == set()
    assert not small.replays(Stage.GENERATE, 1, 10)
    assert small.shapes(Stage.FRONT) == ALL
    assert small.replays(Stage.FRONT, 1, 10)


def test_a_stage_whose_graph_gives_something_else_runs_without_graphs(caplog):
    small = SmallRunner()
    small.network.drift = 1.0
    with caplog.at_level(logging.WARNING):
        small.runner.capture_all()
    assert "gives something else" in caplog.text
    assert small.shapes(Stage.GENERATE) == set()
    assert small.shapes(Stage.ENCODE) == ALL


def test_a_later_failure_removes_the_earlier_graphs_of_its_stage():
    small = SmallRunner()
    small.capture.errors = {capture_number(Stage.GENERATE, (2, 10)): RuntimeError("invalidated")}
    small.runner.capture_all()
    assert small.shapes(Stage.GENERATE) == set()
    assert small.shapes(Stage.FRONT) == ALL


@pytest.mark.parametrize("error", [MemoryError("no room"), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_shape_without_memory_is_skipped_with_larger_ones(error, caplog):
    small = SmallRunner()
    small.capture.errors = {capture_number(Stage.FRONT, (2, 10)): error}
    with caplog.at_level(logging.WARNING):
        small.runner.capture_all()
    assert small.shapes(Stage.FRONT) == {(1, 10), (1, 20), (2, 20)}, "the largest came first"
    assert small.shapes(Stage.GENERATE) == ALL
    assert not caplog.records, "that is no fault"
    assert small.replays(Stage.FRONT, 1, 10)


def capture_number(stage: Stage, pair: tuple[int, int]) -> int:
    """The number of a shape's capture, if none fails."""
    return capture_order(SMALL).index(Shape(stage, *pair)) + 1


def test_a_graph_that_is_no_faster_is_kept_only_if_graphs_are_on():
    slow, asked = SmallRunner(), SmallRunner(only_faster=False)
    for small in (slow, asked):
        small.capture.speeds = lambda replayed: 1.95 if replayed else 2.0
        small.runner.capture_all()
    assert slow.runner.captured == ()
    assert not slow.replays(Stage.GENERATE, 1, 10)
    assert asked.shapes(Stage.GENERATE) == ALL


def test_more_rows_are_not_tried_where_fewer_gained_nothing():
    small = SmallRunner()
    small.capture.speeds = lambda replayed: 1.0
    small.runner.capture_all()
    assert small.capture.tries < len(capture_order(SMALL))


def test_capturing_ends_when_its_time_is_over_and_the_graphs_so_far_are_replayed():
    small = SmallRunner(seconds_max=5.0)
    small.capture.speeds = lambda replayed: setattr(small, "now", small.now + 0.5) or (1.0 if replayed else 2.0)
    small.runner.capture_all()
    assert 0 < len(small.runner.captured) < len(capture_order(SMALL))
    assert all(small.replays(shape.stage, shape.rows, shape.length) for shape in small.runner.captured)


def test_a_step_without_memory_leaves_the_graphs_usable():
    small = SmallRunner()
    small.runner.capture_all()
    inputs = dummy_inputs(small.network, Shape(Stage.FRONT, 3, 9), 0)
    small.capture.replay_errors = [torch.OutOfMemoryError("CUDA out of memory")]
    with pytest.raises(torch.OutOfMemoryError):
        called(small.runner, Stage.FRONT, inputs)
    assert small.replays(Stage.FRONT, 3, 9)
    assert small.replays(Stage.FRONT, 1, 4)


def test_all_shapes_of_a_stage_share_its_buffers():
    small = SmallRunner()
    small.runner.capture_all()
    starts = {graph.inputs[0].data_ptr() for shape, graph in small.runner._graphs.items() if shape.stage is Stage.FRONT}
    assert len(starts) == 1


# -- buckets --------------------------------------------------------------------------------------------------------


def test_a_batch_goes_into_the_smallest_bucket_that_holds_it():
    assert bucket_of(BUCKETS, Stage.GENERATE, 3, 81) == Shape(Stage.GENERATE, 4, 125)
    assert bucket_of(BUCKETS, Stage.GENERATE, 4, 125) == Shape(Stage.GENERATE, 4, 125)
    assert bucket_of(BUCKETS, Stage.GENERATE, 33, 20) is None
    assert bucket_of(BUCKETS, Stage.GENERATE, 1, 801) is None
    assert bucket_of(BUCKETS, Stage.GENERATE, 17, 80) is None, "32 rows of 80 frames keep a GPU busy by themselves"


def test_the_set_of_shapes_and_its_memory_are_bounded():
    shapes = capture_order(BUCKETS)
    assert len(shapes) == len(set(shapes)) <= 130
    held = 0
    for stage in Stage:
        for specs in (INPUTS[stage], OUTPUTS[stage]):
            for spec in specs:
                sizes = [spec.sizes(s.rows, s.length) for s in shapes if s.stage is stage]
                held += max(int(np.prod(size)) for size in sizes) * spec.dtype.itemsize
    assert held < 128 << 20


def test_each_stage_begins_with_its_largest_shape_and_goes_on_with_single_rows():
    shapes = capture_order(BUCKETS)
    for shape in shapes[:3]:
        same = [each for each in shapes if each.stage is shape.stage]
        assert shape.rows * shape.length == max(each.rows * each.length for each in same)
    assert {shape.stage for shape in shapes[:3]} == set(Stage)
    assert [shape.rows for shape in shapes[3:]] == sorted(shape.rows for shape in shapes[3:])
