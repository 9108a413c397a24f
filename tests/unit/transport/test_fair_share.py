"""The loop's time is shared between principals by what their messages take, on virtual time."""

from __future__ import annotations

import heapq
import itertools

import pytest

from voxwire_server.transport.fair_share import BURST_SECONDS, PRINCIPAL_SHARE, TOTAL_SHARE, FairShares


class Loop:
    """One thread that handles messages in order; each connection sends its next message at once."""

    def __init__(self) -> None:
        self.shares, self.now, self.order = FairShares(), 100.0, itertools.count()
        self.queue: list = []
        self.spent: dict[str, float] = {}
        self.waits: dict[str, list[float]] = {}

    def connect(self, principal: str, cost: float, every: float = 0.0) -> None:
        self._next(principal, cost, every, self.now)

    def _next(self, principal, cost, every, at):
        wait = self.shares.wait(principal, at)
        self.waits.setdefault(principal, []).append(wait)
        heapq.heappush(self.queue, (at + wait, next(self.order), principal, cost, every))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.queue and self.queue[0][0] <= end:
            at, _, principal, cost, every = heapq.heappop(self.queue)
            self.now = max(self.now, at) + cost
            self.shares.spent(principal, cost)
            self.spent[principal] = self.spent.get(principal, 0.0) + cost
            self._next(principal, cost, every, self.now + every)


def test_a_principal_with_many_connections_leaves_half_of_the_loop():
    loop = Loop()
    loop.connect("listener", 1e-4, every=0.2)
    for _ in range(800):
        loop.connect("flood", 2e-4)
    loop.run(5)
    assert loop.spent["flood"] <= 5 * PRINCIPAL_SHARE * 1.1
    assert max(loop.waits["listener"]) == 0.0


def test_a_single_principal_leaves_time_for_sending():
    loop = Loop()
    for _ in range(100):
        loop.connect("only", 2e-4)
    loop.run(5)
    assert loop.spent["only"] == pytest.approx(5 * TOTAL_SHARE, rel=0.05)


def test_expensive_messages_are_handled_less_often():
    loop = Loop()
    loop.connect("dear", 5e-3)
    loop.connect("cheap", 1e-4)
    loop.run(10)
    assert loop.spent["dear"] <= 10 * PRINCIPAL_SHARE * 1.1
    assert loop.spent["cheap"] >= 10 * TOTAL_SHARE / 2 * 0.9


def test_many_floods_together_leave_time_for_sending():
    loop = Loop()
    for principal in range(10):
        for _ in range(20):
            loop.connect(f"flood-{principal}", 2e-4)
    loop.run(5)
    assert sum(loop.spent.values()) <= 5 * (TOTAL_SHARE + 0.1) + 10 * BURST_SECONDS


def test_slow_writers_never_wait():
    loop = Loop()
    for principal in range(50):
        loop.connect(f"p{principal}", 1e-4, every=0.02)
    loop.run(5)
    assert max(max(waits) for waits in loop.waits.values()) == 0.0
