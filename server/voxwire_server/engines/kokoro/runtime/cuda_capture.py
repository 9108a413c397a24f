"""Captures what a function does on a GPU as a CUDA graph, which is replayed without the host. Knows no network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_WARM_UP_RUNS = 2
_MARGIN = 1.25


class Capture(Protocol):
    """Captures graphs that are replayed one after the other, on the device's own stream."""

    @property
    def held_bytes(self) -> int:
        """Device memory that the graphs hold."""

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that repeats on the device what `run` did there: the same operations on the same memory.

        `run` is called several times. It has to copy its results out of the memory that it allocates before it returns:
        graphs share that memory.

        Raises:
            MemoryError: there is no room; nothing was captured, and other graphs still can be.
            RuntimeError: `run` can't be captured.
        """

    def seconds(self, run: Callable[[], object]) -> float:
        """How long `run` takes, with all that it queues on the device."""


class CudaCapture:
    """CUDA graphs in one memory pool, of which they take `share_max` of the device's memory at most.

    Warm-up runs and captures use one stream of its own: cuDNN and cuBLAS keep a workspace per stream, which they would
    otherwise allocate during the capture. `torch.cuda.graph` is not used: when a capture fails it leaves its stream
    behind as the current one. Other threads may use the GPU meanwhile (`thread_local`).

    Free memory is checked before a capture, since torch up to 2.13 can't tell a lack of memory during a capture from
    other failures (https://github.com/pytorch/pytorch/issues/159594), and a pool in which one failed takes no other.
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

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        """See `Capture`."""
        try:
            self._check_memory(self._warmed_up(run))
        except torch.OutOfMemoryError:
            lacking = True
        else:
            lacking = False
        # Raised out here: torch's own error would keep the tensors of the warm-up run alive by its frames.
        if lacking:
            torch.cuda.empty_cache()
            raise MemoryError("no room for a warm-up run")
        before = torch.cuda.memory_reserved(self._device)
        try:
            if self._pool is None:
                self._pool = self._new_pool()
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

    def _new_pool(self) -> Any:
        """A pool with one trivial graph in it that is kept: a pool whose last graph is gone takes no other."""
        pool = torch.cuda.graph_pool_handle()
        mark = torch.zeros(1, device=self._device)
        self._anchors.append((self._captured(lambda: mark.add_(1), pool), mark))
        return pool

    def _warmed_up(self, run: Callable[[], None]) -> int:
        """The most bytes that `run` holds at once; what libraries set up at first use is set up by these runs."""
        current = torch.cuda.current_stream(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP_RUNS):
                run()
        current.wait_stream(self._stream)
        torch.cuda.synchronize(self._device)
        return torch.cuda.max_memory_allocated(self._device) - before

    def _check_memory(self, needed: int) -> None:
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info(self._device)
        growth = max(0, int(needed * _MARGIN) - self._held)
        if self._held + growth > self._share_max * total or growth > free / 2:
            raise MemoryError(f"no room for a graph that works in {needed >> 20} MB")
