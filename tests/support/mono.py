"""Builds C# with Debian's mcs and runs it with mono: apt-get install mono-mcs mono-runtime."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MCS = shutil.which("mcs")
MONO = shutil.which("mono")
MISSING = "needs C#: apt-get install mono-mcs mono-runtime"

UNITY = Path(__file__).parents[2] / "clients" / "unity"
CORE = UNITY / "Runtime" / "Core"
GLUE = UNITY / "Runtime" / "Unity"
TESTS = UNITY / "Tests~"

SECONDS_MAX = 120


def sources(*folders: Path) -> list[Path]:
    """Every C# file in some folders and below."""
    return sorted(path for folder in folders for path in folder.rglob("*.cs"))


def build(program: Path, files: Iterable[Path]) -> Path:
    """Compile a program as Unity 2021 understands C#, where every warning is an error; returns its path."""
    assert MCS is not None, MISSING
    command = [MCS, "-langversion:7.2", "-warn:4", "-warnaserror", f"-out:{program}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return program


def run(program: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What a program prints; it must end well."""
    assert MONO is not None, MISSING
    done = subprocess.run(
        [MONO, "--debug", str(program), *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return done.stdout


def play(program: Path, scenario: str, **wish: Any) -> dict[str, Any]:
    """Run a scenario of `Scenarios.cs`; returns what it found."""
    result = json.loads(run(program, scenario, json.dumps(wish)))
    assert isinstance(result, dict)
    return result
