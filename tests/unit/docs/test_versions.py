"""One version for all that is published together (docs/releasing.md); hooks of commits use what is locked."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def locked(package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (REPOSITORY / "requirements/dev.lock").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_all_packages_have_one_version():
    python = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    package, lock, unity = (
        json.loads((REPOSITORY / "clients" / name).read_text())["version"]
        for name in ("js/package.json", "js/package-lock.json", "unity/package.json")
    )
    plugin = re.search(
        r'^version="(.*)"$', (REPOSITORY / "clients/godot/addons/voxwire/plugin.cfg").read_text(), re.MULTILINE
    )
    assert plugin is not None
    assert {python, package, lock, unity, plugin[1]} == {python}


def test_commits_are_checked_by_the_tools_that_are_locked():
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"rev: v(\S+)\n", hooks) == [locked("ruff")]
