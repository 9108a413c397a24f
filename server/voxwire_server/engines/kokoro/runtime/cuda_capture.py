"""Records what a function does on a GPU, to be done again without the host. Knows nothing of the network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_REHEARSALS = 2
_MARGIN = 1.25


class Capture(Protocol):
    """Makes recordings that are played one after the other, on the device's own stream."""

    @property
    def held_bytes(self) -> int:
        """Device memory that the recordings hold."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """What does on the device again what `run` did there: the same operations on the same memory.

        `run` is called several times. What it leaves has to be copied out of memory of its own before it returns:
        recordings share what they work in.

        Raises:
            MemoryError: there is no room; nothing was recorded, and others still can be.
            RuntimeError: `run` can't be recorded.
        """

    def seconds(self, run: Callable[[], object]) -> float:
        """How long `run` takes, with all that it queues on the device."""


class CudaCapture:
    """CUDA graphs in one pool of memory, of which they take `share_max` of the device's at most.

    A stream of its own serves rehearsals and recordings alike, for cuDNN and cuBLAS keep a workspace a stream and would
    ask for it amid the recording. `torch.cuda.graph` is not used: when a recording fails it leaves its stream behind as
    the current one. Others may use the GPU meanwhile (`thread_local`).

    Room is looked for before, since torch up to 2.13 can't tell a lack of memory amid a recording from other failures
    (https://github.com/pytorch/pytorch/issues/159594), and a pool in which one failed takes no other.
    """

    def __init__(self, device: torch.device, share_max: float = 0.25) -> None:
        self._device = device
        self._share_max = share_max
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._anchors: list[tuple[torch.cuda.CUDAGraph, torch.Tensor]] = []
        self._pool: Any = None
        self._held = 0

    @property
    def held_bytes(self) -> int:
        """See `Capture`."""
        return self._held

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """See `Capture`."""
        try:
            self._find_room(self._rehearsed(run))
        except torch.OutOfMemoryError:
            lacking = True
        else:
            lacking = False
        if lacking:
            torch.cuda.empty_cache()
            raise MemoryError("no room for a rehearsal")
        before = torch.cuda.memory_reserved(self._device)
        try:
            if self._pool is None:
                self._pool = self._opened_pool()
            graph = self._captured(run, self._pool)
        except RuntimeError:
            self._pool = None
            raise
        finally:
            self._held += max(0, torch.cuda.memory_reserved(self._device) - before)
        return graph.replay

    def seconds(self, run: Callable[[], object]) -> float:
        """See `Capture`."""
        torch.cuda.synchronize(self._device)
        began = time.perf_counter()
        run()
        torch.cuda.synchronize(self._device)
        return time.perf_counter() - began

    def _captured(self, run: Callable[[], object], pool: Any) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                run()
            finally:
                graph.capture_end()
        return graph

    def _opened_pool(self) -> Any:
        """A pool with a graph in it that stays: one whose last graph has gone takes no other."""
        pool = torch.cuda.graph_pool_handle()
        mark = torch.zeros(1, device=self._device)
        self._anchors.append((self._captured(lambda: mark.add_(1), pool), mark))
        return pool

    def _rehearsed(self, run: Callable[[], None]) -> int:
        """Bytes that `run` needs at most at a time; what libraries set up at first use is set up now."""
        current = torch.cuda.current_stream(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            for _ in range(_REHEARSALS):
                run()
        current.wait_stream(self._stream)
        torch.cuda.synchronize(self._device)
        return torch.cuda.max_memory_allocated(self._device) - before

    def _find_room(self, needed: int) -> None:
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info(self._device)
        growth = max(0, int(needed * _MARGIN) - self._held)
        if self._held + growth > self._share_max * total or growth > free / 2:
            raise MemoryError(f"no room for a graph that works in {needed >> 20} MB")
