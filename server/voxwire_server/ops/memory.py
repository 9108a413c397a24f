"""Returns freed memory to the system after much was freed.

glibc keeps free pages between used ones until it is told to trim. When the sessions of a flood end, their memory is
freed but stays with the process: by itself glibc returns only the top of its heap. `malloc_trim(3)` returns every free
page. It holds each arena's lock meanwhile, so it is called only after much has been freed, and at most every
TRIM_SECONDS.
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
