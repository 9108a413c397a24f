"""Finds out how many cores this process may really use."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""`quota period` in microseconds, or `max period` (Linux cgroup v2)."""


def cores(cpu_max: Path = CGROUP_CPU_MAX) -> int:
    """Cores open to this process by affinity and by a container's CPU quota, rounded down; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cpu_max.read_text().split()
        allowed = affinity if quota == "max" else int(quota) // int(period)
    except (OSError, ValueError, ZeroDivisionError):
        allowed = affinity
    return max(1, min(affinity, allowed))
