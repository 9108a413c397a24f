"""Owns giving memory back: glibc keeps what was freed between what is still in use, until it is told to trim.

What the sessions of a flood held is freed when they end, and stays with the process: by itself glibc returns only the
top of its heap. `malloc_trim(3)` returns every page that is free. It holds each arena's lock while it goes over it, so
it is called only after much has been freed, and seldom.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("voxwire.memory")

LOOK_SECONDS = 2.0

TRIM_BYTES_MIN = 4 << 20
"""Less than this is used again sooner than it is missed."""

TRIM_SECONDS = 15.0
"""Between two trims at the least."""


class Trimming:
    """Decides when to trim. Pure: whoever holds it says how much sessions hold, and when."""

    def __init__(self) -> None:
        self._peak = 0
        self._at = float("-inf")

    def wanted(self, held_bytes: int, now: float) -> bool:
        """Whether so much less is held than once was that it is time to trim."""
        self._peak = max(self._peak, held_bytes)
        if self._peak - held_bytes < TRIM_BYTES_MIN or now < self._at + TRIM_SECONDS:
            return False
        self._peak, self._at = held_bytes, now
        return True


def trimmer() -> Callable[[], None] | None:
    """What gives memory back to the system; None where there is no such thing (musl, macOS, Windows)."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda: trim(0)


async def watch_memory(held_bytes: Callable[[], int], clock: Callable[[], float]) -> None:
    """Trim, in a thread, whenever much has been freed, until cancelled."""
    trim, trimming = trimmer(), Trimming()
    while trim is not None:
        await asyncio.sleep(LOOK_SECONDS)
        if trimming.wanted(held_bytes(), clock()):
            began = clock()
            await asyncio.to_thread(trim)
            log.debug("memory that was free was given back within %.0f ms", (clock() - began) * 1000)
