"""What the benchmarks share: a server in a process of its own, and a line about the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from support.server import Host, serving

__all__ = ["OPEN_DOORS", "Host", "cores", "machine", "serving"]

OPEN_DOORS = (
    "scheduling.utilisation_max=100",
    "scheduling.queue_seconds_max=60",
    "server.sessions_max=5000",
    "limits.messages_per_second=100000",
    "limits.sessions_per_second=100000",
)
"""Admission would refuse what a benchmark wants to see fail."""


def cores() -> int:
    """The cores that this process may use, which is how many workers a server has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """One line that says what this ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}, {system}"
