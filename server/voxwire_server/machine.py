"""How many CPU cores this process may use: the smaller of its affinity and the CPU quotas of its control groups.

A group's quota is the CPU time, in microseconds, that its processes may take per period. On Linux it is read from
cgroup v2 (`cpu.max`) and v1 (`cpu.cfs_quota_us`, `cpu.cfs_period_us`); the quotas of all parent groups hold too.
See https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/scheduler/sched-bwc.html.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
"""One line a hierarchy, `id:controllers:path`; cgroup v2 has the id 0 and names no controllers."""
_V1_CPU = "cpu"


def cores(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> int:
    """Cores open to this process by affinity and by CPU quotas, rounded down; at least 1.

    `root` is where control groups are mounted, `membership` the file that names those of this process.
    """
    allowed = [_cores_by_affinity()]
    for folder in _group_folders(root, membership):
        quota = _v2_quota(folder) or _v1_quota(folder)
        if quota is not None:
            allowed.append(int(quota))
    return max(1, min(allowed))


def _cores_by_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _group_folders(root: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process's control groups and of all their parents, v2 and v1; some may not exist.

    A container often sees its own group as the root, while `membership` has the path on the host.
    """
    yield root
    yield root / _V1_CPU
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "" or _V1_CPU in controllers.split(","):
            base = root if controllers == "" else root / _V1_CPU
            relative = PurePosixPath(path.lstrip("/"))
            yield from (base / each for each in (relative, *relative.parents))


def _v2_quota(folder: Path) -> float | None:
    """Cores by `cpu.max` ("quota period" or "max period"); None without a limit."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _v1_quota(folder: Path) -> float | None:
    """Cores by `cpu.cfs_quota_us` (-1: no limit) and `cpu.cfs_period_us`; None without a limit."""
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
