"""Stages that are recorded and played give what the network gives; `support.fake_cuda_graph` stands for CUDA."""

from __future__ import annotations

import logging

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support.fake_cuda_graph import TapeCapture  # noqa: E402
from support.kokoro_torch import jobs_of, random_ids, random_network  # noqa: E402
from voxwire_server.engines.kokoro.model.network import Encoded, Fronted  # noqa: E402
from voxwire_server.engines.kokoro.model.ragged import Rows  # noqa: E402
from voxwire_server.engines.kokoro.runtime.cuda_graphs import GIVEN, TAKEN, CudaGraphRunner, Options  # noqa: E402
from voxwire_server.engines.kokoro.runtime.dummy_inputs import dummy_inputs  # noqa: E402
from voxwire_server.engines.kokoro.runtime.graph_buckets import BUCKETS, Shape, ShapeBuckets, Stage, in_order, shape_of  # noqa: E402
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
def replayed(network):
    found = CudaGraphRunner(network, TapeCapture(), Options(ONE_EACH, only_faster=False, seconds_max=ENDLESS))
    found.record()
    assert {shape.stage for shape in found.recorded} == set(Stage)
    return found


def called(network, stage: Stage, taken) -> list:
    """A stage over a batch, each row's own part of what comes: tensors by row."""
    *others, lengths = taken
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
            parts, along, factor = (network.generate(Fronted(frames, pitch), styles, rows, seeds),), 0, 600
    return [[part[b].narrow(along, 0, factor * n) for part in parts] for b, n in enumerate(lengths.tolist())]


def batch(network, stage: Stage, rows: int, turn: int = 0, length: int = 9):
    """A batch that a class of `ONE_EACH` holds."""
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
def test_a_batch_in_a_class_is_as_the_network_alone_makes_it(network, replayed, stage, rows):
    taken = batch(network, stage, rows)
    before = replayed._capture.played
    found = called(replayed, stage, taken)
    assert replayed._capture.played == before + 1, "it was played"
    assert_same(found, called(network, stage, taken))


@pytest.mark.parametrize("stage", [Stage.ENCODE, Stage.FRONT])
def test_a_recording_is_played_again_and_again_with_other_contents(network, replayed, stage):
    batches = [batch(network, stage, rows, turn, length) for rows, turn, length in ((4, 0, 10), (1, 1, 7), (3, 0, 9))]
    found = [called(replayed, stage, taken) for taken in batches]
    for mine, taken in zip(found, batches, strict=True):
        assert_same(mine, called(network, stage, taken))


def test_what_was_given_is_not_touched_by_the_next_call(network, replayed):
    taken = batch(network, Stage.ENCODE, 3)
    found = called(replayed, Stage.ENCODE, taken)
    kept = [[part.clone() for part in parts] for parts in found]
    called(replayed, Stage.ENCODE, batch(network, Stage.ENCODE, 2, 1, 12))
    assert_same(found, kept, 0)


def test_a_row_without_numbers_is_alone_with_it_and_leaves_nothing_behind(network, replayed):
    stage = Stage.GENERATE
    taken = batch(network, stage, 3)
    broken = [each.clone() for each in taken]
    broken[0][1] = torch.nan
    found, clean = called(replayed, stage, broken), called(network, stage, taken)
    assert bool(found[1][0].isnan().any())
    assert_same([found[0], found[2]], [clean[0], clean[2]])
    shorter = batch(network, stage, 3, 1, 3)
    assert int(shorter[-1][1]) < int(taken[-1][1])
    assert_same(called(replayed, stage, shorter), called(network, stage, shorter))


def test_jobs_are_spoken_alike_with_and_without_recordings(network, replayed):
    spoken = []
    for stages in (network, replayed):
        steps = TorchSteps(network, torch.device("cpu"))
        steps._stages = stages
        jobs = jobs_of([random_ids(size, size) for size in (6, 4, 5)])
        steps.encode(jobs)
        durations = [job.durations.tolist() for job in jobs]
        for job in jobs:
            job.durations = torch.ones_like(job.durations)
        steps.front(jobs)
        spoken.append((durations, steps.generate(jobs)))
    (durations, samples), (again, played) = spoken
    assert durations == again
    for one, other in zip(samples, played, strict=True):
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 1e-4
        assert np.corrcoef(one, other)[0, 1] > 0.9999


# -- what is recorded, and when it is not played --------------------------------------------------------------------


class Small(torch.nn.Module):
    """Stands for the network where only the way there matters: sums and products over what a row holds."""

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
        return Fronted(frames * self.weight, frames[:, 0])

    def generate(self, fronted, styles, rows, seeds):
        self.calls.append(("generate", len(styles)))
        if self.waits:
            assert fronted.pitch.sum().item() is not None
        self.drift *= 4
        level = fronted.pitch.sum(1) + self.drift + seeds * 1e-18
        return level[:, None].expand(-1, 300 * fronted.pitch.shape[1]) * self.weight


SMALL = dict.fromkeys(Stage, ShapeBuckets((1, 2, 4), (10, 20), 40))


class Room:
    """A small network and its recordings."""

    def __init__(self, **options) -> None:
        self.network, self.capture, self.now = Small(), TapeCapture(), 0.0
        self.replayed = CudaGraphRunner(self.network, self.capture, Options(SMALL, **options), clock=lambda: self.now)

    def shapes(self, stage: Stage) -> set[tuple[int, int]]:
        return {(shape.rows, shape.length) for shape in self.replayed.recorded if shape.stage is stage}

    def plays(self, stage: Stage, rows: int, length: int) -> bool:
        """Whether a batch is played; it has to come out right either way."""
        taken = dummy_inputs(self.network, Shape(stage, rows, length), 0)
        before = self.capture.played
        found = called(self.replayed, stage, taken)
        assert_same(found, called(self.network, stage, taken))
        return self.capture.played > before


ALL = {(1, 10), (1, 20), (2, 10), (2, 20), (4, 10)}


def test_every_class_that_is_small_enough_is_recorded_and_played():
    room = Room()
    room.replayed.record()
    for stage in Stage:
        assert room.shapes(stage) == ALL
        assert room.plays(stage, 3, 8)
        assert room.plays(stage, 1, 20)
        assert not room.plays(stage, 3, 12), "4 rows of 20 are too many"
        assert not room.plays(stage, 5, 8)
        assert not room.plays(stage, 1, 21)


def test_nothing_is_played_before_it_is_recorded():
    room = Room()
    assert not room.plays(Stage.GENERATE, 1, 10)


def test_a_stage_that_cannot_be_recorded_is_left_to_the_network_and_told_of_once(caplog):
    room = Room()
    room.network.waits = True
    with caplog.at_level(logging.WARNING):
        room.replayed.record()
    assert len(caplog.records) == 1
    assert "generate runs without graphs" in caplog.text
    assert "not permitted when stream is capturing" in caplog.text
    assert room.shapes(Stage.GENERATE) == set()
    assert not room.plays(Stage.GENERATE, 1, 10)
    assert room.shapes(Stage.FRONT) == ALL
    assert room.plays(Stage.FRONT, 1, 10)


def test_a_stage_whose_recording_is_stale_is_left_to_the_network(caplog):
    room = Room()
    room.network.drift = 1.0
    with caplog.at_level(logging.WARNING):
        room.replayed.record()
    assert "gives something else" in caplog.text
    assert room.shapes(Stage.GENERATE) == set()
    assert room.shapes(Stage.ENCODE) == ALL


def test_a_later_failure_takes_the_earlier_recordings_of_its_stage_away():
    room = Room()
    room.capture.errors = {room_order(Stage.GENERATE, (2, 10)): RuntimeError("invalidated")}
    room.replayed.record()
    assert room.shapes(Stage.GENERATE) == set()
    assert room.shapes(Stage.FRONT) == ALL


@pytest.mark.parametrize("error", [MemoryError("no room"), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_shape_without_room_is_passed_over_with_those_that_are_larger(error, caplog):
    room = Room()
    room.capture.errors = {room_order(Stage.FRONT, (2, 10)): error}
    with caplog.at_level(logging.WARNING):
        room.replayed.record()
    assert room.shapes(Stage.FRONT) == {(1, 10), (1, 20), (2, 20)}, "the largest came first"
    assert room.shapes(Stage.GENERATE) == ALL
    assert not caplog.records, "that is no fault"
    assert room.plays(Stage.FRONT, 1, 10)


def room_order(stage: Stage, pair: tuple[int, int]) -> int:
    """Which recording a shape is, if none fails."""
    return in_order(SMALL).index(Shape(stage, *pair)) + 1


def test_what_is_no_faster_is_not_kept_unless_it_is_asked_for():
    slow, asked = Room(), Room(only_faster=False)
    for room in (slow, asked):
        room.capture.speeds = lambda played: 1.95 if played else 2.0
        room.replayed.record()
    assert slow.replayed.recorded == ()
    assert not slow.plays(Stage.GENERATE, 1, 10)
    assert asked.shapes(Stage.GENERATE) == ALL


def test_more_rows_are_not_tried_where_fewer_did_not_pay():
    room = Room()
    room.capture.speeds = lambda played: 1.0
    room.replayed.record()
    assert room.capture.tries < len(in_order(SMALL))


def test_recording_ends_when_its_time_is_over_and_what_there_is_is_played():
    room = Room(seconds_max=5.0)
    room.capture.speeds = lambda played: setattr(room, "now", room.now + 0.5) or (1.0 if played else 2.0)
    room.replayed.record()
    assert 0 < len(room.replayed.recorded) < len(in_order(SMALL))
    assert all(room.plays(shape.stage, shape.rows, shape.length) for shape in room.replayed.recorded)


def test_a_step_without_memory_leaves_the_recordings_as_they_were():
    room = Room()
    room.replayed.record()
    taken = dummy_inputs(room.network, Shape(Stage.FRONT, 3, 9), 0)
    room.capture.play_errors = [torch.OutOfMemoryError("CUDA out of memory")]
    with pytest.raises(torch.OutOfMemoryError):
        called(room.replayed, Stage.FRONT, taken)
    assert room.plays(Stage.FRONT, 3, 9)
    assert room.plays(Stage.FRONT, 1, 4)


def test_memory_is_one_for_all_shapes_of_a_stage():
    room = Room()
    room.replayed.record()
    starts = {
        recording.taken[0].data_ptr()
        for shape, recording in room.replayed._recordings.items()
        if shape.stage is Stage.FRONT
    }
    assert len(starts) == 1


# -- classes --------------------------------------------------------------------------------------------------------


def test_a_batch_goes_into_the_smallest_class_that_holds_it():
    assert shape_of(BUCKETS, Stage.GENERATE, 3, 81) == Shape(Stage.GENERATE, 4, 125)
    assert shape_of(BUCKETS, Stage.GENERATE, 4, 125) == Shape(Stage.GENERATE, 4, 125)
    assert shape_of(BUCKETS, Stage.GENERATE, 33, 20) is None
    assert shape_of(BUCKETS, Stage.GENERATE, 1, 801) is None
    assert shape_of(BUCKETS, Stage.GENERATE, 17, 80) is None, "32 rows of 80 frames keep a GPU busy by themselves"


def test_the_set_of_shapes_and_its_memory_are_bounded():
    shapes = in_order(BUCKETS)
    assert len(shapes) == len(set(shapes)) <= 130
    held = 0
    for stage in Stage:
        for slots in (TAKEN[stage], GIVEN[stage]):
            for slot in slots:
                sizes = [slot.sizes(s.rows, s.length) for s in shapes if s.stage is stage]
                held += max(int(np.prod(size)) for size in sizes) * slot.dtype.itemsize
    assert held < 128 << 20


def test_each_stage_begins_with_its_largest_shape_and_goes_on_with_single_rows():
    shapes = in_order(BUCKETS)
    for shape in shapes[:3]:
        same = [each for each in shapes if each.stage is shape.stage]
        assert shape.rows * shape.length == max(each.rows * each.length for each in same)
    assert {shape.stage for shape in shapes[:3]} == set(Stage)
    assert [shape.rows for shape in shapes[3:]] == sorted(shape.rows for shape in shapes[3:])
