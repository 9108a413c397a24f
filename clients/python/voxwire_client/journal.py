"""Keeps what was said to a session and may not have arrived, numbered, so that it can be said again. Pure."""

from __future__ import annotations

from collections import deque

BYTES_MAX = 4 << 20
"""Whoever writes more than that waits until the server has told how much of it came."""


class Journal:
    """The client's messages of one session, encoded, from `first` on; the next one gets number `end`."""

    def __init__(self) -> None:
        self._kept: deque[str | bytes] = deque()
        self.first = 0
        self.bytes = 0

    @property
    def end(self) -> int:
        """The number that the next message will get."""
        return self.first + len(self._kept)

    def append(self, raw: str | bytes) -> int:
        """Keep a message; returns its number."""
        self._kept.append(raw)
        self.bytes += len(raw)
        return self.end - 1

    def at(self, number: int) -> str | bytes:
        """The message of a number from `first` to before `end`."""
        return self._kept[number - self.first]

    def received(self, count: int) -> None:
        """The server has got the first `count` messages: forget them."""
        while self._kept and self.first < count:
            self.bytes -= len(self._kept.popleft())
            self.first += 1
