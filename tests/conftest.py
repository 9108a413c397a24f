"""How tests share a machine when they run in several processes: what stays together, what comes first, what runs alone.

`make test` gives each process (pytest-xdist's worker) a module after the other. Without xdist nothing of that matters.
At the end it is said what was skipped, and what would have to be installed for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import skip_summary
from support.locking import locked

if "PYTEST_XDIST_WORKER" in os.environ:
    # The processes are many enough: threads of each would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ALONE = "alone"
"""The name of what runs while no other test does: what is heard or drawn by a clock of its own, or measured."""

GROUPS = {
    "tests/e2e/test_leaks.py": ALONE,
    "tests/e2e/test_overload.py": ALONE,
    "tests/e2e/test_page.py": ALONE,
    "tests/e2e/test_playback.py": ALONE,
    "tests/e2e/test_playback_troubles.py": ALONE,
    # They run in one project folder.
    "tests/e2e/test_godot.py": "godot",
    "tests/e2e/test_godot_mouth.py": "godot",
    "tests/protocol/test_scripts.py": "godot",
}
"""Modules that one process runs, one after the other; every other module is a group of its own."""

LONGEST = (
    "tests/engines/test_contract.py",
    "tests/e2e/test_kokoro.py",
    "tests/e2e/test_connection_limits.py",
    "tests/engines/kokoro/test_speech.py",
    "tests/e2e/test_resume.py",
    "tests/e2e/test_fuzz.py",
    "tests/simulation/test_sessions.py",
    "tests/engines/kokoro/test_equality.py",
    "tests/e2e/test_js_client.py",
    "tests/e2e/test_speech.py",
    "tests/e2e/test_page_use.py",
)
"""What is begun first, so that no process ends long after the others."""


def group(nodeid: str) -> str:
    """The tests that are run by one process."""
    module = nodeid.split("::", 1)[0]
    return GROUPS.get(module, module)


def turn(item: pytest.Item) -> int:
    """When a test's group is begun: the least first."""
    name = group(item.nodeid)
    if name == ALONE:
        return len(LONGEST) + 1
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out groups, as xdist's `--dist loadscope` hands out modules and classes."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Groups(config, log) if config.getvalue("dist") == "loadscope" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with locked(Path(__file__), shared=group(item.nodeid) != ALONE):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", ())
    lines = skip_summary.lines((each.nodeid.split("::")[0], each.longrepr[2]) for each in skipped)
    if lines:
        terminalreporter.section("skipped")
        terminalreporter.write_line("\n".join(lines))
