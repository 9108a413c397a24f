"""Owns the threads that encode audio frames, earliest deadline first. Encoding releases the GIL; nobody waits."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_server.audio.encode import OpusStream
    from voxwire_server.audio.framing import FrameBlock


@dataclass(slots=True)
class EncodeTask:
    """Encode the frames [start, stop) of a PCM block; `done` gets the packets, or the error, on the loop.

    A stream's next task is given only after its last one came back, so a stream is never used by two threads.
    """

    stream: OpusStream
    block: FrameBlock
    start: int
    stop: int
    done: Callable[[FrameBlock | None, Exception | None], None]
    result: FrameBlock | None = field(default=None)
    error: Exception | None = field(default=None)


class EncodeLane:
    """A few threads and one queue. The queue is bounded by its users: one task a context at a time."""

    def __init__(self, wake: Callable[[Callable[[], None]], None], threads: int = 1) -> None:
        self._wake = wake
        self._queue: list[tuple[float, int, EncodeTask]] = []
        self._order = itertools.count()
        self._finished: deque[EncodeTask] = deque()
        self._ready = threading.Condition()
        self._waking = False
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"voxwire-encode-{i}", daemon=True) for i in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop and join the threads; what is queued is dropped."""
        with self._ready:
            self._stopping = True
            self._queue.clear()
            self._ready.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def submit(self, task: EncodeTask, deadline: float) -> None:
        """Queue a task; `deadline` is the moment at which its first frame is to be sent."""
        with self._ready:
            heapq.heappush(self._queue, (deadline, next(self._order), task))
            self._ready.notify()

    def _work(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._stopping:
                    self._ready.wait()
                if self._stopping:
                    return
                task = heapq.heappop(self._queue)[2]
            try:
                task.result = task.stream.encode(task.block, task.start, task.stop)
            except Exception as error:
                task.error = error
            self._finished.append(task)
            del task  # a thread that waits must not keep a session
            with self._ready:
                waking, self._waking = self._waking, True
            if not waking:
                self._wake(self._deliver)

    def _deliver(self) -> None:
        with self._ready:
            self._waking = False
        while self._finished:
            task = self._finished.popleft()
            task.done(task.result, task.error)
