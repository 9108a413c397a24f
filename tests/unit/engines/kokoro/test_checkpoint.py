"""The original checkpoint: weight norm folded, DataParallel's prefixes gone, nothing else unpickled."""

from __future__ import annotations

import io
import pickle
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from support import kokoro_reference  # noqa: E402
from voxwire_server.engines.kokoro.weights.checkpoint import (  # noqa: E402
    folded,
    parameter_shapes,
    read_checkpoint,
    read_voice,
)
from voxwire_server.models.report import Damaged, ModelError  # noqa: E402

PARTS = ("bert", "bert_encoder", "predictor", "decoder", "text_encoder")


def kmodel():
    """The reference implementation, untrained, with weight norm."""
    if missing := kokoro_reference.missing():
        pytest.skip(f"needs the Python packages {', '.join(missing)}: make test")
    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = kokoro_reference.CONFIG | {"vocab": {"a": 43}}
        model = kokoro_reference._module().KModel(repo_id="local", config=config, model=empty)
    for name, parameter in model.named_parameters():
        if name.endswith("weight_g"):
            # A gain that is the norm already would hide a fold that does nothing.
            parameter.data *= torch.rand_like(parameter) + 0.5
    return model


@pytest.fixture(scope="module")
def model():
    return kmodel()


@pytest.fixture(scope="module")
def checkpoint(model, tmp_path_factory) -> Path:
    """Saved as the hub has it."""
    file = tmp_path_factory.mktemp("hub") / "kokoro-v1_0.pth"
    torch.save(
        {
            part: {f"module.{name}": value for name, value in getattr(model, part).state_dict().items()}
            for part in PARTS
        },
        file,
    )
    return file


def test_a_checkpoint_is_the_reference_with_weight_norm_removed(checkpoint: Path, model) -> None:
    state = read_checkpoint(checkpoint)
    assert {name: value.shape for name, value in state.items()} == dict(parameter_shapes())
    assert all(value.dtype == np.float32 for value in state.values())
    for module in model.modules():
        if hasattr(module, "weight_g"):
            torch.nn.utils.remove_weight_norm(module)
    expected = model.state_dict()
    for name, value in state.items():
        np.testing.assert_allclose(value, expected[name].numpy(), rtol=1e-6, atol=1e-9, err_msg=name)
    left_out = expected.keys() - state.keys()
    assert all(".norm." in name or name.startswith(("bert.pooler", "decoder.generator.stft")) for name in left_out)


@pytest.mark.parametrize("kind", ["conv", "transposed"])
@pytest.mark.parametrize("modern", [False, True])
def test_weight_norm_is_folded_as_torch_does(kind: str, modern: bool) -> None:
    torch.manual_seed(1)
    layer = torch.nn.Conv1d(6, 4, 3) if kind == "conv" else torch.nn.ConvTranspose1d(4, 6, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        norm = torch.nn.utils.parametrizations.weight_norm if modern else torch.nn.utils.weight_norm
        layer = norm(layer)
    for name, parameter in layer.named_parameters():
        if name.endswith(("weight_g", "original0")):
            parameter.data *= 3.0
    layer(torch.zeros(1, layer.in_channels, 8))
    state = {f"a.b.{name}": value.numpy() for name, value in layer.state_dict().items()}
    result = folded(state)
    assert result.keys() == {"a.b.weight", "a.b.bias"}
    np.testing.assert_allclose(result["a.b.weight"], layer.weight.detach().numpy(), rtol=1e-6)
    np.testing.assert_array_equal(result["a.b.bias"], state["a.b.bias"])


def test_what_is_folded_already_stays() -> None:
    state = {"a.weight": np.ones((2, 3), np.float32)}
    assert folded(state).keys() == state.keys()


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({}, r"1 parameters .* such as bert_encoder\.bias"),
        ({"module.bias": torch.zeros(3)}, r"1 parameters .* such as bert_encoder\.bias"),
        ({"module.bias": torch.zeros(2), "module.norm1.norm.weight": torch.full((2,), 2.0)}, "is not the identity"),
        ({"module.bias": torch.zeros(2), "module.adain2.0.norm.bias": torch.ones(2)}, "is not the identity"),
        (torch.zeros(2), "holds no state dicts"),
    ],
)
def test_another_checkpoint_is_refused(tmp_path: Path, monkeypatch, part, said: str) -> None:
    monkeypatch.setattr(
        "voxwire_server.engines.kokoro.weights.checkpoint.parameter_shapes", lambda: {"bert_encoder.bias": (2,)}
    )
    file = tmp_path / "kokoro-v1_0.pth"
    torch.save({"bert_encoder": part}, file)
    with pytest.raises(Damaged, match=said):
        read_checkpoint(file)
    identity = {"module.norm1.norm.weight": torch.ones(2), "module.adain2.0.norm.bias": torch.zeros(2)}
    torch.save({"bert_encoder": {"module.bias": torch.ones(2), "module.beside": torch.ones(9), **identity}}, file)
    assert read_checkpoint(file).keys() == {"bert_encoder.bias"}


class Trap:
    """Does something when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("/tmp/voxwire-unpickled"),)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    Path("/tmp/voxwire-unpickled").unlink(missing_ok=True)
    torch.save({"bert": {"a": Trap()}}, tmp_path / "trap.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"bert": Trap()}, protocol=2))
    for name in ("trap.pth", "plain.pth"):
        with pytest.raises(Damaged, match="more than tensors"):
            read_checkpoint(tmp_path / name)
    assert not Path("/tmp/voxwire-unpickled").exists()


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut short", b"no pickle at all"])
def test_a_broken_checkpoint_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kokoro-v1_0.pth").write_bytes(content)
    with pytest.raises(Damaged, match=r"kokoro-v1_0\.pth"):
        read_checkpoint(tmp_path / "kokoro-v1_0.pth")


def test_a_voice_is_read_by_rows(tmp_path: Path) -> None:
    rows = torch.rand(510, 1, 256)
    torch.save(rows, tmp_path / "anna.pt")
    np.testing.assert_array_equal(read_voice(tmp_path / "anna.pt"), rows[:, 0].numpy())
    torch.save(torch.rand(7), tmp_path / "bert.pt")
    torch.save({"a": 1}, tmp_path / "carl.pt")
    for name in ("bert.pt", "carl.pt"):
        with pytest.raises(Damaged, match="no voice of Kokoro"):
            read_voice(tmp_path / name)


def test_without_torch_the_other_source_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError, match="torch, which is not installed") as caught:
        read_voice(tmp_path / "anna.pt")
    assert "--source packages" in caught.value.hint
