"""Builds C# with Debian's mcs and runs it with mono: apt-get install mono-mcs mono-runtime."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

MCS = shutil.which("mcs")
MONO = shutil.which("mono")
MISSING = "needs C#: apt-get install mono-mcs mono-runtime"

UNITY = Path(__file__).parents[2] / "clients" / "unity"
TESTS = UNITY / "Tests~"

PACKAGE = [*sorted((UNITY / "Runtime").rglob("*.cs")), *sorted((UNITY / "Samples~").rglob("*.cs"))]
"""All that is shipped."""
STUBS = TESTS / "UnityStubs.cs"
SCENARIOS = sorted(TESTS.glob("*Scenarios.cs"))
"""A program that speaks with a server."""
UNITS = [TESTS / "Units.cs", *sorted(TESTS.glob("*Tests.cs"))]
"""A program that needs none."""
UNIT_TESTS = [
    f"{group}.{name}"
    for path in UNITS[1:]
    for group, body in re.findall(r"static class (\w+Tests)\n(.*?)\n    }", path.read_text(encoding="utf-8"), re.DOTALL)
    for name in re.findall(r"public static void (\w+)\(", body)
]

SECONDS_MAX = 120


def build(program: Path, files: Iterable[Path]) -> Path:
    """Compile a program as Unity 2021 understands C#, where every warning is an error; returns its path."""
    assert MCS is not None, MISSING
    command = [MCS, "-langversion:7.2", "-warn:4", "-warnaserror", f"-out:{program}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return program


def run(program: Path, *arguments: str) -> str:
    """The one line that a program prints when it has done what it has to do; then it is ended.

    Left to itself Mono 6.8 at times waits for a thread of its pool that only sleeps, for up to a minute.
    """
    assert MONO is not None, MISSING
    command = [MONO, "--debug", str(program), *arguments]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        watchdog = threading.Timer(SECONDS_MAX, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            with process.stdout as output:
                line = output.readline()
        finally:
            watchdog.cancel()
            watchdog.join()
            process.kill()
            process.wait()
        errors.seek(0)
        assert line.endswith("\n"), line[-5000:] + errors.read()[-5000:]
    return line


def play(program: Path, scenario: str, **wish: Any) -> dict[str, Any]:
    """Run a scenario of `Scenarios.cs`; returns what it found."""
    result = json.loads(run(program, scenario, json.dumps(wish)))
    assert isinstance(result, dict)
    return result
