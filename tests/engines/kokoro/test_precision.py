"""Half precision leaves durations and pitch as they are, and changes spectra by fractions of a decibel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support import half_precision, kokoro  # noqa: E402
from support.logmel import distance_db  # noqa: E402
from voxwire_server.engines.kokoro import factory  # noqa: E402
from voxwire_server.engines.kokoro.engine import torch_info  # noqa: E402
from voxwire_server.engines.kokoro.g2p import Languages  # noqa: E402
from voxwire_server.engines.kokoro.model import network as model  # noqa: E402
from voxwire_server.engines.kokoro.model.layers import Rows  # noqa: E402
from voxwire_server.engines.kokoro.model.network import Kokoro, convolution_dtype  # noqa: E402
from voxwire_server.engines.kokoro.options import Precision  # noqa: E402
from voxwire_server.speech import Voice  # noqa: E402

RATE = 24000
CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
CLAUSES = (
    kokoro.clause("Glue the sheet, and wait.", "bf_emma", seed=1),
    kokoro.clause("Hello there!", "af_nicole", seed=2),
    kokoro.clause("Four hours of steady work faced us.", "am_michael", seed=3),
)
HALF_DB_MAX = {torch.bfloat16: 0.3, torch.float16: 0.05}
"""Twice the mean, and more than the worst, of what `bench/quality.py` found."""

in_bfloat16 = pytest.mark.skipif(
    not model.multiplies_bfloat16(),
    reason="needs bfloat16: a CPU with AVX512_BF16 or AMX (others take minutes a clause)",
)


@pytest.fixture(scope="module")
def whole():
    return kokoro.network()


@pytest.fixture(scope="module")
def half():
    network = kokoro.network()
    network.lower(torch.bfloat16)
    return network


def stages(network, clause):
    """The durations, pitch and samples of a clause, as the network gives them."""
    weights = kokoro.weights()
    (sentence,) = Languages(weights.vocabulary()).read(clause.text, clause.language)
    style = torch.from_numpy(weights.voices()[clause.voice][len(sentence.ids) - 3])[None]
    tokens = torch.tensor([sentence.ids])
    encoded = network.encode(tokens, style, torch.ones(1), Rows(torch.tensor([tokens.shape[1]]), even=True))
    frames = int(encoded.durations.sum())
    rows = Rows(torch.tensor([frames]), even=True)
    features = network.front(encoded, style, rows, frames)
    samples = network.generate(features, style, rows, torch.tensor([clause.seed]))
    return encoded.durations, features.pitch, samples[0].numpy()


@in_bfloat16
def test_durations_and_pitch_are_float32s_and_spectra_near_it(whole, half):
    for clause in CLAUSES[:2]:
        durations, pitch, samples = stages(whole, clause)
        same_durations, same_pitch, near = stages(half, clause)
        assert torch.equal(durations, same_durations)
        assert torch.equal(pitch, same_pitch)
        assert not np.array_equal(samples, near), "something is rounded"
        assert distance_db(samples, near, RATE) < HALF_DB_MAX[torch.bfloat16]


@in_bfloat16
def test_a_batch_in_half_precision_is_as_each_alone():
    half = kokoro.torch_engine("bfloat16")
    together = kokoro.speak(half, CLAUSES, rows_max=len(CLAUSES))
    for clause, (samples, alignment) in zip(CLAUSES, together, strict=True):
        ((alone, marks),) = kokoro.speak(half, [clause])
        assert [(mark.ipa, mark.chars) for mark in alignment.phonemes] == [
            (mark.ipa, mark.chars) for mark in marks.phonemes
        ]
        assert distance_db(alone, samples, RATE) < HALF_DB_MAX[torch.bfloat16]


def test_rounding_as_a_gpus_float16_is_nearer_still(whole):
    rounded = kokoro.network()
    half_precision.round_convolutions(rounded, torch.float16)
    for clause in CLAUSES[:1]:
        durations, _, samples = stages(whole, clause)
        same_durations, _, near = stages(rounded, clause)
        assert torch.equal(durations, same_durations)
        assert 0 < distance_db(samples, near, RATE) < HALF_DB_MAX[torch.float16]


def test_nothing_that_is_rounded_comes_near_float16s_largest_number():
    network = kokoro.network()
    peaks = []
    for convolution in network.large_convolutions():
        convolution.register_forward_hook(
            lambda module, inputs, output: peaks.extend((inputs[0].abs().max().item(), output.abs().max().item()))
        )
    for clause in CLAUSES[:2]:
        stages(network, clause)
    assert 1 < max(peaks) < torch.finfo(torch.float16).max / 16


def test_only_the_decoders_large_convolutions_are_lowered():
    network = Kokoro()
    network.lower(torch.bfloat16)
    lowered = {name: value.numel() for name, value in network.named_parameters() if value.dtype == torch.bfloat16}
    parts = ("decoder.encode", "decoder.decode", "decoder.generator")
    assert all(name.startswith(parts) and ".fc." not in name and "alpha" not in name for name in lowered)
    assert not any(
        ".".join(("decoder.generator", part)) in name for name in lowered for part in ("conv_post", "m_source")
    )
    assert sum(lowered.values()) > 0.9 * sum(
        value.numel() for value in network.decoder.parameters() if value.dim() == 3
    )


@pytest.mark.parametrize(
    ("device", "native", "expected"),
    [(GPU, False, torch.float16), (CPU, True, torch.bfloat16), (CPU, False, torch.float32)],
)
def test_auto_is_a_half_where_the_device_multiplies_halves(monkeypatch, device, native, expected):
    monkeypatch.setattr(model, "multiplies_bfloat16", lambda: native)
    assert convolution_dtype(Precision.AUTO, device) == expected


def test_a_cpu_makes_no_float16():
    with pytest.raises(ValueError, match="GPU"):
        convolution_dtype(Precision.FLOAT16, CPU)


def test_on_a_cpu_batches_have_one_row():
    voices = (Voice("af_heart", "kokoro", ("en-us",)),)
    on_cpu, on_gpu = (torch_info("kokoro", voices, device, torch.bfloat16) for device in (CPU, GPU))
    assert {stage.batch_size_max for stage in on_cpu.stages} == {1}
    assert min(stage.batch_size_max for stage in on_gpu.stages) > 1
    assert (on_cpu.executor, on_cpu.device) == ("cpu", "")
    assert (on_gpu.executor, on_gpu.device) == ("device", "cuda:0")


@pytest.mark.parametrize(
    ("cores", "torchs", "threads", "steps"), [(2, 2, 2, 1), (16, 8, 4, 4), (2, 1, 1, 2), (2, 16, 2, 1)]
)
def test_many_cores_run_several_steps_at_once(monkeypatch, cores, torchs, threads, steps):
    chosen = []
    monkeypatch.setattr(factory, "cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: torchs)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    assert factory._steps_at_once(CPU) == steps
    assert chosen == [threads]


def test_steps_at_once_do_not_disturb_each_other():
    engine = kokoro.torch_engine("auto")
    alone = [samples for clause in CLAUSES[:2] for samples, _ in kokoro.speak(engine, [clause])]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda clause: kokoro.speak(engine, [clause])[0][0], CLAUSES[:2]))
    for once, again in zip(alone, together, strict=True):
        assert np.array_equal(once, again)
