"""How many CPU cores this process may use, and when it returns freed memory to the system.

Cores are the smaller of its affinity and the CPU quotas of its control groups. A group's quota is the CPU time, in
microseconds, that its processes may take per period. On Linux it is read from cgroup v2 (`cpu.max`) and v1
(`cpu.cfs_quota_us`, `cpu.cfs_period_us`); the quotas of all parent groups hold too.
See https://docs.kernel.org/admin-guide/cgroup-v2.html and https://docs.kernel.org/scheduler/sched-bwc.html.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


log = logging.getLogger("voxwire.memory")

LOOK_SECONDS = 2.0
"""Between two readings of how much memory sessions hold."""

TRIM_BYTES_MIN = 4 << 20
"""How much sessions must have freed since their peak; less is soon used again."""

TRIM_SECONDS = 15.0
"""The least time between two trims."""


class TrimPolicy:
    """Decides when to trim. Pure: `wanted` is given the bytes that sessions hold and the time in seconds."""

    def __init__(self) -> None:
        self._peak = 0
        self._at = float("-inf")

    def wanted(self, held_bytes: int, now: float) -> bool:
        """Whether to trim now: sessions hold TRIM_BYTES_MIN less than at their peak since the last trim."""
        self._peak = max(self._peak, held_bytes)
        if self._peak - held_bytes < TRIM_BYTES_MIN or now < self._at + TRIM_SECONDS:
            return False
        self._peak, self._at = held_bytes, now
        return True


def trimmer() -> Callable[[], None] | None:
    """A function that returns free memory to the system; None where there is none (musl, macOS, Windows)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


async def watch_memory(held_bytes: Callable[[], int], clock: Callable[[], float]) -> None:
    """Trim, in a thread, at once (loading engines frees much) and whenever much has been freed, until cancelled."""
    trim, policy = trimmer(), TrimPolicy()
    if trim is not None:
        await asyncio.to_thread(trim)
    while trim is not None:
        await asyncio.sleep(LOOK_SECONDS)
        if policy.wanted(held_bytes(), clock()):
            began = clock()
            await asyncio.to_thread(trim)
            log.debug("free memory was returned to the system within %.0f ms", (clock() - began) * 1000)
