"""The weights' files: read if they are whole, reported with the command that mends them if not."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.kokoro.weights import (
    MODEL_FILE,
    ONNX_FILE,
    VOCABULARY_FILE,
    VOICES_FILE,
    KokoroWeights,
)
from voxwire_server.models.manifest import MANIFEST_FILE, describe, write_manifest

safetensors = pytest.importorskip("safetensors.numpy")

if TYPE_CHECKING:
    from pathlib import Path

STATE = {"bert_encoder.bias": np.arange(512, dtype=np.float32)}
VOICES = {"af_heart": np.ones((510, 256), np.float32), "zf_xiaobei": np.zeros((510, 256), np.float32)}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "kokoro"
    folder.mkdir()
    safetensors.save_file(STATE, folder / MODEL_FILE)
    safetensors.save_file(VOICES, folder / VOICES_FILE)
    (folder / VOCABULARY_FILE).write_text(json.dumps({"ə": 83, " ": 16}))
    (folder / ONNX_FILE).write_bytes(b"onnx")
    write_manifest(folder, describe("kokoro", "packages", {}, folder))
    return tmp_path


def test_everything_is_read_as_it_was_written(models: Path) -> None:
    weights = KokoroWeights.locate(models)
    state = weights.state()
    np.testing.assert_array_equal(state["bert_encoder.bias"], STATE["bert_encoder.bias"])
    # torch warns of arrays that can't be written to.
    assert all(value.flags.writeable for value in state.values())
    assert {name: rows.shape for name, rows in weights.voices().items()} == dict.fromkeys(VOICES, (510, 256))
    assert weights.vocabulary() == {"ə": 83, " ": 16}
    assert weights.onnx_path == models / "kokoro" / ONNX_FILE


def test_the_folder_is_that_of_the_environment_where_none_is_given(models: Path, monkeypatch) -> None:
    monkeypatch.setenv("VOXWIRE_MODELS", str(models))
    assert KokoroWeights.locate().folder == models / "kokoro"


def test_weights_that_are_not_there_are_reported_with_the_command(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("VOXWIRE_MODELS", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="no weights of Kokoro") as caught:
        KokoroWeights.locate()
    assert caught.value.hint == "voxwire models pull kokoro"
    with pytest.raises(EngineUnavailable) as caught:
        KokoroWeights.locate(tmp_path / "else where")
    assert caught.value.hint == f"voxwire models pull kokoro --path '{tmp_path / 'else where'}'"


@pytest.mark.parametrize("name", [MODEL_FILE, VOICES_FILE, VOCABULARY_FILE, ONNX_FILE, MANIFEST_FILE])
@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_missing_or_short_file_is_reported_with_the_command(models: Path, name: str, damage: str) -> None:
    file = models / "kokoro" / name
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-2])
    said = "no weights" if (name, damage) == (MANIFEST_FILE, "missing") else name
    with pytest.raises(EngineUnavailable, match=said) as caught:
        KokoroWeights.locate(models)
    assert "voxwire models pull kokoro" in caught.value.hint


@pytest.mark.parametrize("name", [MODEL_FILE, VOICES_FILE, VOCABULARY_FILE, ONNX_FILE])
def test_a_changed_file_is_reported_when_it_is_read(models: Path, name: str) -> None:
    file = models / "kokoro" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    weights = KokoroWeights.locate(models)
    read = {
        MODEL_FILE: weights.state,
        VOICES_FILE: weights.voices,
        VOCABULARY_FILE: weights.vocabulary,
        ONNX_FILE: lambda: weights.onnx_path,
    }
    with pytest.raises(EngineUnavailable, match="another checksum") as caught:
        read[name]()
    assert caught.value.hint.endswith("--force")
    for other in read.keys() - {name}:
        read[other]()


def test_the_hubs_weights_have_no_export(models: Path) -> None:
    folder = models / "kokoro"
    (folder / ONNX_FILE).unlink()
    write_manifest(folder, describe("kokoro", "hub", {}, folder))
    assert KokoroWeights.locate(models).onnx_path is None


@pytest.mark.parametrize("name", [MODEL_FILE, VOICES_FILE, VOCABULARY_FILE])
def test_a_manifest_without_a_file_that_is_needed_is_reported(models: Path, name: str) -> None:
    folder = models / "kokoro"
    (folder / name).unlink()
    write_manifest(folder, describe("kokoro", "hub", {}, folder))
    with pytest.raises(EngineUnavailable, match=f"has no {name}"):
        KokoroWeights.locate(models)


def test_a_file_that_is_no_safetensors_is_reported(models: Path) -> None:
    folder = models / "kokoro"
    (folder / MODEL_FILE).write_bytes(b"no tensors")
    write_manifest(folder, describe("kokoro", "hub", {}, folder))
    with pytest.raises(EngineUnavailable, match="can't be read"):
        KokoroWeights.locate(models).state()


def test_without_safetensors_the_extra_is_named(models: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(EngineUnavailable, match="safetensors") as caught:
        KokoroWeights.locate(models).state()
    assert "voxwire[kokoro]" in caught.value.hint
