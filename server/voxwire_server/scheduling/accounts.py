"""Queues works by account and urgency, and keeps what each account used lately: which account is next when many wait.

A work's key says how urgent it is. Works that are not due are taken in the order of their keys, whatever their account.
Among works that are due, accounts take turns: the one that used the fewest worker seconds lately goes first. How far an
account may count as behind another is bounded by LACK_SECONDS_MAX, so that an account that was alone for an hour shares
equally with a new one, and is not kept waiting for what it used before.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

from voxwire_server.scheduling.queue import DeadlineQueue

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView, Mapping

    from voxwire_server.scheduling.queue import Entry
    from voxwire_server.scheduling.request import SynthesisRequest

Rank = tuple[float, int]
"""Key and submission order of a work; the smallest is taken first."""

HEADS_MAX = 6
"""Accounts whose most urgent works are compared at one choice in one queue. It bounds what a choice costs
(bench/scheduler_calls.py)."""

USE_HALF_LIFE_SECONDS = 5.0
"""After this time what an account used counts half. It is longer than several of the longest steps."""

LACK_SECONDS_MAX = 0.5
"""An account counts as at most so many worker seconds behind the one that used most. A new account has the executor to
itself for no longer than this, and the listeners of others still have audio left so long."""

FORGOTTEN_SECONDS = 0.001
"""An account that used less lately is forgotten."""


class AccountQueues:
    """Works by key, smallest first, equal keys by submission, in all and of each account.

    `push`, `pop` and `remove` take O(log n) on average; `head` O(1). `counts` has how many works an account has in all
    queues that share it; an account that has none is not in it.
    """

    __slots__ = ("_counts", "_heads", "_live", "_queues")

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self._counts = {} if counts is None else counts
        self._queues: dict[str, DeadlineQueue] = {}
        """In the order in which accounts were served, where there are many."""
        self._heads: list[Entry] = []
        """At least the first entry of each account's queue; dead entries are dropped when met."""
        self._live = 0

    def __len__(self) -> int:
        return self._live

    @property
    def accounts(self) -> KeysView[str]:
        """The accounts that have works in the queue."""
        return self._queues.keys()

    def push(self, request: SynthesisRequest, key: float) -> None:
        """Put a work in; it must not be in any queue."""
        account = request.account
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = DeadlineQueue()
        queue.push(request, key)
        request.queue = self
        self._live += 1
        self._counts[account] = self._counts.get(account, 0) + 1
        if queue.head() is request:
            self._note_head(queue)

    def head(self, account: str | None = None) -> SynthesisRequest | None:
        """The most urgent work, of one account or of all, left in its place."""
        first = self._first(account)
        return None if first is None else first[3]

    def head_key(self, account: str | None = None) -> float:
        """The key of the most urgent work. There must be one."""
        first = self._first(account)
        assert first is not None, "the queue is empty"
        return first[0]

    def pop(self, account: str | None = None) -> SynthesisRequest:
        """Take the most urgent work out. There must be one."""
        request = self.head(account)
        assert request is not None, "the queue is empty"
        self.remove(request)
        return request

    def remove(self, request: SynthesisRequest) -> None:
        """Take a work out, wherever it stands."""
        assert request.queue is self, "the work stands in another queue"
        account = request.account
        queue = self._queues[account]
        was_head = queue.head() is request
        request.queue = queue
        queue.remove(request)
        self._live -= 1
        count = self._counts[account] - 1
        if count:
            self._counts[account] = count
        else:
            del self._counts[account]
        if not queue:
            del self._queues[account]
            if not self._queues:
                # Entries of works that are gone; an empty queue may not be looked at for long.
                self._heads.clear()
            return
        if was_head:
            self._note_head(queue)
        if len(self._queues) > HEADS_MAX:
            self._queues[account] = self._queues.pop(account)

    def heads_until(self, key: float, most: int = HEADS_MAX) -> list[tuple[Rank, str]]:
        """Rank and account of each account's most urgent work where its key is at most `key`.

        Of more accounts than `most`, half as many are the earliest, and half those that were served longest ago.
        """
        if len(self._queues) <= most:
            firsts = [(queue.first(), account) for account, queue in self._queues.items()]
            return [(first[:2], account) for first, account in firsts if first is not None and first[0] <= key]
        found = self._earliest(key, most // 2)
        if found:
            self._add_longest_served(found, key, most)
        return [(rank, account) for account, rank in found.items()]

    def _earliest(self, key: float, most: int) -> dict[str, Rank]:
        """The rank of the first `most` accounts whose most urgent works have keys up to `key`."""
        found: dict[str, Rank] = {}
        heap = self._heads
        open_heads = [(heap[0], 0)] if heap else []
        while open_heads and len(found) < most:
            entry, index = heappop(open_heads)
            if entry[0] > key:
                break
            if entry[3].version == entry[2]:
                found.setdefault(entry[3].account, entry[:2])
            for below in (2 * index + 1, 2 * index + 2):
                if below < len(heap):
                    heappush(open_heads, (heap[below], below))
        return found

    def _add_longest_served(self, found: dict[str, Rank], key: float, most: int) -> None:
        """Add accounts that were served longest ago, until there are `most`. Those not due move to the line's end."""
        for account in list(islice(self._queues, 2 * most)):
            first = self._queues[account].first()
            if first is None or first[0] > key:
                self._queues[account] = self._queues.pop(account)
            elif len(found) < most:
                found.setdefault(account, first[:2])

    def by_account(self) -> Iterator[tuple[str, DeadlineQueue]]:
        """Each account's own queue, to be looked at only."""
        return iter(self._queues.items())

    def _first(self, account: str | None) -> Entry | None:
        if account is not None:
            queue = self._queues.get(account)
            return None if queue is None else queue.first()
        heads = self._heads
        while heads:
            entry = heads[0]
            if entry[3].version == entry[2]:
                return entry
            heappop(heads)
        return None

    def _note_head(self, queue: DeadlineQueue) -> None:
        first = queue.first()
        assert first is not None, "it has works"
        heappush(self._heads, first)
        if len(self._heads) > 2 * len(self._queues) + 32:
            firsts = (each.first() for each in self._queues.values())
            self._heads = [entry for entry in firsts if entry is not None]
            heapify(self._heads)


class AccountUse:
    """The worker seconds that each account used lately. An account that used next to none is forgotten."""

    __slots__ = ("_forget_at", "_used")

    def __init__(self) -> None:
        self._used: dict[str, tuple[float, float]] = {}
        self._forget_at = 64

    def __len__(self) -> int:
        return len(self._used)

    def seconds(self, account: str, now: float) -> float:
        """Worker seconds that an account used lately, older use counting less."""
        seconds, at = self._used.get(account, (0.0, now))
        keep: float = 0.5 ** (max(0.0, now - at) / USE_HALF_LIFE_SECONDS)
        return seconds * keep

    def add(self, account: str, seconds: float, now: float) -> None:
        """Count `seconds` of use; negative ones take back what was counted too much."""
        self._used[account] = max(0.0, self.seconds(account, now) + seconds), now
        if len(self._used) > self._forget_at:
            self._used = {a: u for a, u in self._used.items() if self.seconds(a, now) >= FORGOTTEN_SECONDS}
            self._forget_at = max(64, 2 * len(self._used))

    def turn(self, ranks: Mapping[str, Rank], now: float) -> tuple[str, float]:
        """The account whose turn it is, and the worker seconds that it counts as having used at least, for `lift`.

        `ranks` has the rank of the most urgent work of each account that may be next.
        """
        used = {account: self.seconds(account, now) for account in ranks}
        least = max(used.values()) - LACK_SECONDS_MAX
        account = min(ranks, key=lambda each: (max(used[each], least), ranks[each]))
        return account, least

    def lift(self, account: str, least: float, now: float) -> None:
        """Let an account count as having used at least `least` worker seconds."""
        if least > self.seconds(account, now):
            self._used[account] = least, now
