"""What only a GPU can show. Weights are random, so that these tests run from a checkout on any machine with a GPU.

    PYTHONPATH=protocol:server:tests python -m pytest -c /dev/null --rootdir . --import-mode importlib \\
        tests/engines/kokoro/test_gpu.py

With VOXWIRE_TEST_DEVICE=cpu the tests that need no graphs run on a CPU, which shows no more than that they run.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

NAME = os.environ.get("VOXWIRE_TEST_DEVICE", "cuda")
if NAME == "cuda" and not torch.cuda.is_available():
    pytest.skip("needs a GPU: a machine where torch.cuda.is_available()", allow_module_level=True)

from support import kokoro_torch  # noqa: E402

kokoro_torch.stub_missing_packages()

from support.kokoro_torch import jobs_of, random_ids, random_network, speak  # noqa: E402
from support.logmel import distance_db  # noqa: E402
from voxwire_server.engines.kokoro.model.layers import Rows  # noqa: E402
from voxwire_server.engines.kokoro.model.network import AcousticFeatures, Encoded  # noqa: E402
from voxwire_server.engines.kokoro.options import Graphs  # noqa: E402
from voxwire_server.engines.kokoro.runtime.cuda_capture import CudaCapture  # noqa: E402
from voxwire_server.engines.kokoro.runtime.cuda_graphs import (  # noqa: E402
    CaptureOptions,
    CudaGraphRunner,
    dummy_inputs,
)
from voxwire_server.engines.kokoro.runtime.graph_buckets import Shape, ShapeBuckets, Stage  # noqa: E402
from voxwire_server.engines.kokoro.runtime.steps import TorchSteps  # noqa: E402

DEVICE = torch.device("cuda:0" if NAME == "cuda" else "cpu")
RATE = 24000
SIZES = (30, 12, 21, 44, 9, 17, 25, 38) if NAME == "cuda" else (6, 4, 5)
LENGTH = 80 if NAME == "cuda" else 9
needs_graphs = pytest.mark.skipif(NAME != "cuda", reason="needs a GPU: graphs are CUDA's")
FEW = {
    Stage.ENCODE: ShapeBuckets((1, 4, 8), (32, 64), 512),
    Stage.FRONT: ShapeBuckets((1, 4, 8), (80, 200), 1600),
    Stage.GENERATE: ShapeBuckets((1, 4), (80, 200), 800),
}


@pytest.fixture(scope="module", autouse=True)
def exact():
    """Float32 is float32, as the engine sets it."""
    torch.backends.cudnn.allow_tf32 = False


@pytest.fixture(scope="module")
def network():
    return random_network().to(DEVICE)


@pytest.fixture(scope="module")
def runner(network):
    found = CudaGraphRunner(network, CudaCapture(DEVICE), CaptureOptions(FEW, only_faster=False, seconds_max=300.0))
    found.capture_all()
    return found


def jobs():
    return jobs_of([random_ids(size, size) for size in SIZES])


def by_row(network, stage: Stage, inputs) -> list:
    """A stage over a batch: each row's part of all outputs, flat."""
    *others, lengths = inputs
    rows = Rows(lengths, even=False)
    match stage:
        case Stage.ENCODE:
            out = network.encode(*others, rows)
            parts, factor = (out.prosody, out.speech, out.durations), 1
        case Stage.FRONT:
            prosody, speech, durations, styles = others
            out = network.front(Encoded(prosody, speech, durations), styles, rows, int(lengths.max()))
            parts, factor = (out.frames.transpose(1, 2), out.pitch), 2
        case Stage.GENERATE:
            frames, pitch, styles, seeds = others
            parts, factor = (network.generate(AcousticFeatures(frames, pitch), styles, rows, seeds),), 600
    return [[part[b, : factor * n].flatten().cpu() for part in parts] for b, n in enumerate(lengths.tolist())]


def assert_same(found, wanted, error_max: float) -> None:
    for mine, others in zip(found, wanted, strict=True):
        for a, b in zip(mine, others, strict=True):
            if a.dtype == torch.int64:
                assert torch.equal(a, b), "durations"
            else:
                assert float((a - b).abs().max()) <= error_max * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize("stage", list(Stage))
def test_float32_on_the_device_is_float32_on_the_cpu(network, stage):
    here = random_network()
    inputs = dummy_inputs(here, Shape(stage, 4, LENGTH), 0)
    there = [each.to(DEVICE) for each in inputs]
    assert_same(by_row(network, stage, there), by_row(here, stage, inputs), 2e-3)


def test_a_batch_of_unequal_rows_is_as_each_alone(network):
    steps = TorchSteps(network, DEVICE, Graphs.OFF)
    together = speak(steps, batch := jobs())
    lengths = [len(samples) for samples in together]
    for k, size in enumerate(SIZES):
        (job,) = jobs_of([random_ids(size, size)], first_seed=k)
        (alone,) = speak(steps, [job])
        assert len(alone) == lengths[k]
        assert np.corrcoef(alone, together[k])[0, 1] > 0.999
    assert len(batch) == len(SIZES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_sound_like_float32(network, dtype):
    half = random_network()
    half.lower(dtype)
    whole, lowered = (speak(TorchSteps(each, DEVICE, Graphs.OFF), jobs()) for each in (network, half))
    assert [len(each) for each in whole] == [len(each) for each in lowered]
    distances = [distance_db(a, b, RATE) for a, b in zip(whole, lowered, strict=True)]
    print(f"{dtype}: {np.mean(distances):.3f} dB, at most {np.max(distances):.3f}")
    assert max(distances) < 1.0


@pytest.mark.parametrize("stage", list(Stage))
@needs_graphs
def test_every_shape_of_a_stage_can_be_captured(runner, stage):
    own = FEW[stage]
    wanted = {(r, n) for r in own.rows for n in own.lengths if r * n <= own.positions_max}
    assert {(shape.rows, shape.length) for shape in runner.captured if shape.stage is stage} == wanted


@pytest.mark.parametrize("stage", list(Stage))
@needs_graphs
def test_a_graph_is_as_the_network_with_any_contents(network, runner, stage):
    batches = [
        dummy_inputs(network, Shape(stage, rows, n), turn) for rows, n, turn in ((3, 60, 0), (1, 33, 1), (4, 64, 0))
    ]
    found = [by_row(runner, stage, inputs) for inputs in batches]
    for mine, inputs in zip(found, batches, strict=True):
        assert_same(mine, by_row(network, stage, inputs), 2e-3)


@needs_graphs
def test_a_step_without_memory_raises_and_the_next_is_as_before(network, runner):
    steps = TorchSteps(network, DEVICE, Graphs.OFF)
    steps._stages = runner
    before = speak(steps, jobs())
    torch.cuda.empty_cache()
    share = (torch.cuda.memory_reserved(DEVICE) + (64 << 20)) / torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction(share, DEVICE)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            speak(steps, jobs_of([random_ids(300, k) for k in range(32)]))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, DEVICE)
    after = speak(steps, jobs())
    assert all(np.corrcoef(a, b)[0, 1] > 0.9999 for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("replays", [False, pytest.param(True, marks=needs_graphs)])
def test_nothing_in_a_step_waits_but_its_end(network, request, replays):
    steps = TorchSteps(network, DEVICE, Graphs.OFF)
    if replays:
        steps._stages = request.getfixturevalue("runner")
    speak(steps, jobs())
    if NAME == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        speak(steps, jobs())
    finally:
        if NAME == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@needs_graphs
def test_what_cannot_be_captured_runs_without_graphs_and_spoils_nothing(network, monkeypatch):
    forward = network.decoder.generator.conv_post.forward
    monkeypatch.setattr(network.decoder.generator.conv_post, "forward", lambda x: forward(x) + 0 * x.sum().item())
    buckets = {stage: ShapeBuckets((1,), (80,), 80) for stage in (Stage.GENERATE, Stage.FRONT, Stage.ENCODE)}
    found = CudaGraphRunner(network, CudaCapture(DEVICE), CaptureOptions(buckets, only_faster=False))
    found.capture_all()
    assert {shape.stage for shape in found.captured} == {Stage.FRONT, Stage.ENCODE}
    for stage in Stage:
        inputs = dummy_inputs(network, Shape(stage, 1, 60), 0)
        assert_same(by_row(found, stage, inputs), by_row(network, stage, inputs), 2e-3)


@needs_graphs
def test_memory_is_reported_and_graphs_stay_within_their_share(network, runner):
    memory = TorchSteps(network, DEVICE, Graphs.OFF).device_memory()
    assert 300 << 20 < memory.allocated_bytes <= memory.reserved_bytes < memory.total_bytes
    assert 0 < runner._capture.held_bytes < memory.total_bytes / 4
