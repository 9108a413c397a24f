"""Learns how long listeners stay, and remembers whom it asked to come back. Says so when the next can be let in."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

STAY_SECONDS = 3.0
"""First guess: an answer of one sentence. Who comes back too early asks once more, who comes back too late leaves a
place empty; so the guess is rather short."""

STAYS_GUESSED = 2.0
"""The first guess weighs as much as so many listeners who left."""

STAYS_KEPT = 50.0
"""Of what was seen, the part that is older than so many listeners who left counts less than a third."""

PROMISES_MAX = 4096


class Stays:
    """How long a listener stays on average: the time that all listened, those who still do included, by how many left.

    That is the maximum likelihood estimate for stays that end at a constant rate, some of them not over yet (Epstein
    and Sobel 1953), with a conjugate prior.
    """

    __slots__ = ("_at", "_left", "_listened")

    def __init__(self) -> None:
        self._left = STAYS_GUESSED
        self._listened = STAYS_GUESSED * STAY_SECONDS
        self._at = 0.0

    @property
    def seconds(self) -> float:
        """The mean stay."""
        return self._listened / self._left

    def pass_time(self, listeners: int, now: float) -> None:
        """So many have listened since the last call."""
        self._listened += listeners * max(0.0, now - self._at)
        self._at = max(now, self._at)

    def leave(self) -> None:
        """One left."""
        keep = 1.0 - 1.0 / STAYS_KEPT
        self._left = self._left * keep + 1.0
        self._listened *= keep


class Promises:
    """When those who were refused were asked to come back."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: list[float] = []

    def ahead(self, now: float) -> int:
        """How many are still to come back: they stand in front of whoever is refused now."""
        while self._due and self._due[0] <= now:
            heappop(self._due)
        return len(self._due)

    def soon(self, now: float, seconds: float) -> int:
        """How many are to come back within so many seconds."""
        return sum(due <= now + seconds for due in self._due[: self.ahead(now)])

    def add(self, due: float) -> None:
        """One more was asked to come back at `due`."""
        if len(self._due) < PROMISES_MAX:
            heappush(self._due, due)


class Kept:
    """Places of listeners who broke in, each kept for one caller for a while."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: list[tuple[float, Hashable]] = []

    def count(self, now: float) -> int:
        """How many are kept."""
        if self._places and self._places[0][0] <= now:
            self._places = [place for place in self._places if place[0] > now]
        return len(self._places)

    def add(self, caller: Hashable, until: float) -> None:
        """Keep one more for a caller until then, no sooner than those before it."""
        self._places.append((until, caller))

    def take(self, caller: Hashable, now: float) -> bool:
        """Give a caller its place back, if one is kept for it."""
        if self.count(now):
            for index, (_, owner) in enumerate(self._places):
                if owner == caller:
                    del self._places[index]
                    return True
        return False

    def forget(self, caller: Hashable) -> None:
        """Keep none for a caller any more."""
        if self._places:
            self._places = [place for place in self._places if place[1] != caller]


class Expected:
    """Who was let in and has not begun to listen: each counts as a listener for a while."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: deque[float] = deque()

    def count(self, now: float) -> int:
        """How many are expected."""
        while self._until and self._until[0] <= now:
            self._until.popleft()
        return len(self._until)

    def add(self, until: float) -> None:
        """One more was let in; given up at `until`, no sooner than those before it."""
        self._until.append(until)

    def came(self) -> None:
        """One of them began to listen."""
        if self._until:
            self._until.popleft()
