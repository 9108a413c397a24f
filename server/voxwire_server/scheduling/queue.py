"""Keeps works in order of urgency. Moving or removing a work leaves a dead entry behind that is dropped when met."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_server.scheduling.request import SynthesisRequest

Entry = tuple[float, int, int, "SynthesisRequest"]
"""Key, submission order, version, work. Order and version are unique together, so works are never compared."""


class DeadlineQueue:
    """Works by key, smallest first; equal keys by submission. A work stands in at most one queue.

    `push`, `pop` and `remove` take O(log n) on average; `head` O(1).
    """

    __slots__ = ("_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, request: SynthesisRequest, key: float) -> None:
        """Put a work in; it must not be in any queue."""
        assert request.queue is None, "a work stands in one queue"
        request.version += 1
        request.queue = self
        heappush(self._heap, (key, request.order, request.version, request))
        self._live += 1

    def first(self) -> Entry | None:
        """The entry of the most urgent work."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if entry[3].version == entry[2]:
                return entry
            heappop(heap)
        return None

    def head(self) -> SynthesisRequest | None:
        """The most urgent work, left in its place."""
        entry = self.first()
        return None if entry is None else entry[3]

    def head_key(self) -> float:
        """The key of the most urgent work. The queue must not be empty."""
        assert self.head() is not None, "the queue is empty"
        return self._heap[0][0]

    def pop(self) -> SynthesisRequest:
        """Take the most urgent work out. The queue must not be empty."""
        request = self.head()
        assert request is not None, "the queue is empty"
        heappop(self._heap)
        self._forget(request)
        return request

    def remove(self, request: SynthesisRequest) -> None:
        """Take a work out, wherever it stands."""
        assert request.queue is self, "the work stands in another queue"
        self._forget(request)
        if len(self._heap) > 2 * self._live + 32:
            self._heap = [entry for entry in self._heap if entry[3].version == entry[2]]
            heapify(self._heap)

    def sample(self, key: float, most: int | None) -> tuple[list[SynthesisRequest], float]:
        """Some works whose key is at most `key`, and for how many of the queue each of them stands. `most`: how many
        of the queue are looked at; None: all."""
        heap = self._heap
        step = 1 if most is None else max(1, -(-len(heap) // most))
        return [entry[3] for entry in heap[::step] if entry[0] <= key and entry[3].version == entry[2]], float(step)

    def until(self, key: float) -> Iterator[SynthesisRequest]:
        """Works whose key is at most `key`, in no order; takes time for those only, not for the whole queue."""
        heap, open_indexes = self._heap, [0]
        while open_indexes:
            index = open_indexes.pop()
            if index < len(heap) and heap[index][0] <= key:
                entry = heap[index]
                if entry[3].version == entry[2]:
                    yield entry[3]
                open_indexes += (2 * index + 1, 2 * index + 2)

    def _forget(self, request: SynthesisRequest) -> None:
        request.version += 1
        request.queue = None
        self._live -= 1
        if not self._live:
            # What is left are dead entries, and a queue without works may not be looked at for long.
            self._heap.clear()
