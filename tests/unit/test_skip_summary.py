"""What is said at the end of a run about skipped tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import skip_summary

TESTS = Path(__file__).parents[1]


def test_skips_are_counted_by_what_is_missing_and_where():
    lines = skip_summary.lines(
        [
            ("tests/e2e/test_nodes.py", "Skipped: needs HAProxy: apt-get install haproxy"),
            ("tests/e2e/test_nodes.py", "needs HAProxy: apt-get install haproxy"),
            ("tests/e2e/test_restarts.py", "needs HAProxy: apt-get install haproxy"),
            ("tests/e2e/test_page.py", "needs Chromium: apt-get install chromium"),
            ("tests/unit/test_a.py", "Skipped: could not import 'safetensors.numpy': No module named 'safetensors'"),
            ("tests/unit/test_b.py", "needs a GPU: a machine that has one"),
        ]
    )
    assert lines == [
        "   1 in tests/e2e/test_page.py without Chromium: apt-get install chromium",
        "   3 in tests/e2e/test_nodes.py, tests/e2e/test_restarts.py without HAProxy: apt-get install haproxy",
        "   1 in tests/unit/test_b.py without a GPU: a machine that has one",
        "   1 in tests/unit/test_a.py without the Python package safetensors: make test",
        "All that apt has of these: apt-get install chromium haproxy",
    ]


def test_a_skip_that_is_meant_comes_last_with_its_reason():
    meant = ("tests/engines/test_contract.py", "Skipped: its steps run on one thread")
    lines = skip_summary.lines([meant, ("tests/e2e/test_unity.py", "needs C#: apt-get install mono-mcs")])
    assert lines[-1] == "   1 in tests/engines/test_contract.py, as nothing is missing: its steps run on one thread"


def test_nothing_is_said_when_nothing_was_skipped():
    assert skip_summary.lines([]) == []


def test_pytest_prints_it_at_the_end_of_a_run(tmp_path):
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "@pytest.mark.skipif(True, reason='needs HAProxy: apt-get install haproxy')\n"
        "def test_it(number): pass\n"
    )
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "PYTEST_ADDOPTS": ""}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_XDIST")}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert "   2 in test_some.py without HAProxy: apt-get install haproxy\n" in said
    assert "   1 in test_module.py without the Python package no_such_module: make test\n" in said
