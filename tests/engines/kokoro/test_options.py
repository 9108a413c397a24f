"""Kokoro's options, the engine that they select, and the errors when it can't be created."""

from __future__ import annotations

import pytest

from voxwire_server.engines import kokoro, registry
from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.kokoro import factory
from voxwire_server.engines.kokoro.options import Graphs, KokoroOptions, Precision, read_options


class Machine:
    """Stands for the installed packages; the engine that would be created is returned by name or options."""

    def __init__(self, monkeypatch, *, torch: bool, faster: bool, exported: bool) -> None:
        monkeypatch.setattr(factory, "_is_installed", lambda package: torch or package != "torch")
        monkeypatch.setattr(factory, "_torch_is_faster", lambda options: faster)
        monkeypatch.setattr(factory, "_locate_weights", lambda models: self)
        monkeypatch.setattr(factory, "_on_onnx", lambda name, models: "int8")
        if torch:
            monkeypatch.setattr(factory, "_on_torch", lambda name, models, options: options)
        self.onnx_path = "there" if exported else None


def test_options_are_read_by_name():
    assert read_options("kokoro", {}) == KokoroOptions(Precision.AUTO, Graphs.AUTO)
    assert read_options("kokoro", {"precision": "bfloat16", "graphs": "off"}) == KokoroOptions(
        Precision.BFLOAT16, Graphs.OFF
    )


@pytest.mark.parametrize("given", [{"precison": "float32"}, {"precision": "int8"}, {"graphs": "maybe"}])
@pytest.mark.parametrize("create", [kokoro.create, kokoro.create_torch])
def test_an_unknown_option_or_value_is_refused_with_those_there_are(create, given):
    with pytest.raises(EngineUnavailable) as caught:
        create("", given)
    assert next(iter(given)) in str(caught.value)
    assert "precision" in caught.value.hint or "auto, on, off" in caught.value.hint


def test_the_int8_export_has_no_options():
    with pytest.raises(EngineUnavailable, match="no options") as caught:
        kokoro.create_onnx("", {"precision": "float32"})
    assert "engines.options" in caught.value.hint


@pytest.mark.parametrize(
    ("torch", "faster", "exported", "expected"),
    [
        (False, False, True, "int8"),
        (True, False, True, "int8"),
        (True, True, True, KokoroOptions()),
        (True, False, False, KokoroOptions()),
    ],
)
def test_torch_is_taken_where_it_is_faster_or_all_there_is(monkeypatch, torch, faster, exported, expected):
    Machine(monkeypatch, torch=torch, faster=faster, exported=exported)
    assert kokoro.create() == expected


def test_a_precision_is_torchs_whatever_is_faster(monkeypatch):
    Machine(monkeypatch, torch=True, faster=False, exported=True)
    assert kokoro.create("", {"precision": "float32"}) == KokoroOptions(Precision.FLOAT32)
    assert kokoro.create("", {"precision": "auto", "graphs": "off"}) == "int8"


def test_a_precision_without_torch_is_refused(monkeypatch):
    Machine(monkeypatch, torch=False, faster=False, exported=True)
    with pytest.raises(EngineUnavailable, match="needs torch"):
        kokoro.create("", {"precision": "float32"})


def test_options_reach_the_engine_by_the_registry(monkeypatch):
    Machine(monkeypatch, torch=True, faster=False, exported=True)
    given = {"kokoro-torch": {"precision": "bfloat16"}}
    engines, missing = registry.load_engines(["kokoro-torch", "kokoro-onnx"], "", given)
    assert engines == {"kokoro-torch": KokoroOptions(Precision.BFLOAT16), "kokoro-onnx": "int8"}
    assert not missing
