"""Every module that tests share and every bench has its line in the README beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"^\| `(?:bench/)?([\w./]+)", re.MULTILINE)


@pytest.mark.parametrize("folder", ["tests/support", "bench"])
def test_the_index_names_every_file_and_no_other(folder):
    here = ROOT / folder
    files = [path for path in here.rglob("*") if path.suffix in (".py", ".json") and "results" not in path.parts]
    named = NAMED.findall((here / "README.md").read_text().split("## Results")[0])
    assert sorted(named) == sorted(str(path.relative_to(here)) for path in files)


def test_a_star_marks_what_benches_import():
    starred = set(re.findall(r"^\| `(\w+)\.py` \*", (ROOT / "tests/support/README.md").read_text(), re.MULTILINE))
    imported = set()
    for path in (ROOT / "bench").rglob("*.py"):
        for modules, names in re.findall(r"^ *from support(?:\.(\w+))? import (.+)$", path.read_text(), re.MULTILINE):
            imported |= {modules} if modules else set(re.findall(r"\w+", names))
    imported.add("echo_server")  # as a program
    assert starred == imported
