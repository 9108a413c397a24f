"""The engines of docs/engines.md, installed as a package from the code there: held to the contract, and served."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.server import serving
from voxwire_client.sync import connect

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "engines.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """The environment of a process in which the package of the page is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "beeper.py").write_text("\n\n".join(blocks("python")), encoding="utf-8")
    project = tomllib.loads(blocks("toml")[0])["project"]
    meta = site / f"{project['name']}-{project['version']}.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["voxwire.engines"]
    lines = [f"{name} = {place}" for name, place in points.items()]
    (meta / "entry_points.txt").write_text("\n".join(["[voxwire.engines]", *lines, ""]))
    paths = [str(site), str(REPOSITORY / "protocol"), str(REPOSITORY / "server"), str(REPOSITORY / "clients/python")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300
    )


def test_they_keep_the_contract(environment):
    engines = ("--engine", "beeper", "--engine", "beeper-frames")
    kept = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    said = python(kept, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/engines/test_contract.py", *engines)
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr
    passed = re.search(r"(\d+) passed", said.stdout)
    assert passed is not None
    assert int(passed[1]) > 50


def test_their_code_is_tidy(environment):
    pytest.importorskip("ruff", reason="needs ruff: pip install ruff")
    source = str(Path(environment["PYTHONPATH"].split(os.pathsep)[0], "beeper.py"))
    for command in (("format", "--check"), ("check", "--ignore", "ARG002")):
        said = python(environment, "-m", "ruff", *command, "--config", "pyproject.toml", source)
        assert said.returncode == 0, said.stdout


def test_the_server_speaks_with_one_and_its_options(environment):
    settings = ("engines.enabled=beeper", "engines.default=beeper", "engines.options=beeper.pitch_hz=600")
    with serving(*settings, env=environment) as host, connect(host.url) as session:
        utterance = session.speak("Hello there.", pacing="burst")
        list(utterance)
        assert utterance.done is not None
        assert utterance.done.samples == 1440 * len("Hello there.")


def test_a_wrong_option_is_reported_with_a_remedy(environment):
    wanted = "from voxwire_server.engines.registry import load_engine; load_engine('beeper', '', {'pitch_hz': '9'})"
    said = python(environment, "-c", wanted)
    assert "pitch_hz = 9 is out of range" in said.stderr
