"""The command that makes API keys."""

from __future__ import annotations

import argparse
import io
import re
import tomllib
from typing import TYPE_CHECKING

from voxwire_server.cli import add_key_arguments, make_key
from voxwire_server.config import load_config
from voxwire_server.ops.auth import hash_key

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_key_arguments(parser)
    return make_key(parser.parse_args(arguments))


def test_standard_output_has_the_key_alone_and_its_configuration_is_shown_beside(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("phone.app") == 0
    shown = capsys.readouterr()
    key = shown.out.strip()
    snippet = "\n".join(line.strip() for line in shown.err.splitlines() if line.startswith("    "))
    assert tomllib.loads(snippet)["auth"]["keys"] == {"phone.app": hash_key(key)}
    variable = re.search(r"VOXWIRE_AUTH_KEYS=(\S+)", shown.err)
    assert variable is not None
    config = load_config(env={"VOXWIRE_AUTH_KEYS": variable[1]})
    assert config.auth.keys[0].hash == hash_key(key)
    assert key not in shown.err


def test_an_existing_key_is_hashed_and_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("vw_mine\n"))
    assert run("agent", "--stdin") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert hash_key("vw_mine") in shown.err
    assert "vw_mine" not in shown.err


def test_a_name_that_the_configuration_would_refuse_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("two words") == 2
    assert "name" in capsys.readouterr().err
