"""Queues of requests by deadline and account, and what each account used lately: which account is next when many wait.

A request's key says how urgent it is. Requests that are not due are taken in the order of their keys, whatever their
account. Among requests that are due, accounts take turns: the one that used the fewest worker seconds lately goes
first. How far an account may count as behind another is bounded by `DEFICIT_SECONDS_MAX`, so that an account that was
alone for an hour shares equally with a new one, and does not wait for what it used before.

Removing a request from a queue leaves a dead entry in its heap, which is dropped when it is met.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, KeysView, Mapping

    from voxwire_server.scheduling.request import SynthesisRequest

Entry = tuple[float, int, int, "SynthesisRequest"]
"""Key, submission order, version, request. Order and version are unique together, so requests are never compared."""

Rank = tuple[float, int]
"""Key and submission order of a request; the smallest is taken first."""

HEADS_MAX = 6
"""Accounts whose most urgent requests are compared at one choice in one queue. It bounds the time that a choice takes
(bench/scheduler_calls.py)."""

USE_HALF_LIFE_SECONDS = 5.0
"""After this time, what an account used counts half. It is longer than several of the longest steps."""

DEFICIT_SECONDS_MAX = 0.5
"""An account counts as at most this many worker seconds behind the one that used most. A new account has the executor
to itself for no longer than this, and the streams of others still have that much audio left."""

FORGOTTEN_SECONDS = 0.001
"""An account that used less than this lately is forgotten."""


class DeadlineQueue:
    """Requests by key, smallest first; equal keys by submission. A request is in at most one queue.

    `push`, `pop` and `remove` take O(log n) on average; `head` O(1).
    """

    __slots__ = ("_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def push(self, request: SynthesisRequest, key: float) -> None:
        """Add a request, which must not be in any queue."""
        assert request.queue is None, "a request is in one queue"
        request.version += 1
        request.queue = self
        heappush(self._heap, (key, request.order, request.version, request))
        self._live += 1

    def first(self) -> Entry | None:
        """The entry of the most urgent request."""
        heap = self._heap
        while heap:
            entry = heap[0]
            if entry[3].version == entry[2]:
                return entry
            heappop(heap)
        return None

    def head(self) -> SynthesisRequest | None:
        """The most urgent request; it stays in the queue."""
        entry = self.first()
        return None if entry is None else entry[3]

    def head_key(self) -> float:
        """The key of the most urgent request. The queue must not be empty."""
        assert self.head() is not None, "the queue is empty"
        return self._heap[0][0]

    def pop(self) -> SynthesisRequest:
        """Remove the most urgent request and return it. The queue must not be empty."""
        request = self.head()
        assert request is not None, "the queue is empty"
        heappop(self._heap)
        self._forget(request)
        return request

    def remove(self, request: SynthesisRequest) -> None:
        """Remove a request, whatever its place."""
        assert request.queue is self, "the request is in another queue"
        self._forget(request)
        if len(self._heap) > 2 * self._live + 32:
            self._heap = [entry for entry in self._heap if entry[3].version == entry[2]]
            heapify(self._heap)

    def sample(self, key: float, most: int | None) -> tuple[list[SynthesisRequest], float]:
        """Requests whose key is at most `key`, out of about `most` that are looked at (None: all), and for how many
        requests of the queue each of them stands."""
        heap = self._heap
        step = 1 if most is None else max(1, -(-len(heap) // most))
        return [entry[3] for entry in heap[::step] if entry[0] <= key and entry[3].version == entry[2]], float(step)

    def until(self, key: float) -> Iterator[SynthesisRequest]:
        """Requests whose key is at most `key`, in no order; takes time for those only, not for the whole queue."""
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
            # All that is left are dead entries, which would keep their requests alive until the next push.
            self._heap.clear()


class AccountQueues:
    """Requests by key, smallest first, equal keys by submission: over all accounts, and of each account.

    `push`, `pop` and `remove` take O(log n) on average; `head` O(1). `counts` has how many requests each account has in
    all queues that share it; an account that has none is not in it.
    """

    __slots__ = ("_counts", "_heads", "_live", "_queues")

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self._counts = {} if counts is None else counts
        self._queues: dict[str, DeadlineQueue] = {}
        """In the order in which accounts were served, where there are more than `HEADS_MAX`."""
        self._heads: list[Entry] = []
        """At least the first entry of each account's queue; dead entries are dropped when met."""
        self._live = 0

    def __len__(self) -> int:
        return self._live

    @property
    def accounts(self) -> KeysView[str]:
        """The accounts that have requests in the queue."""
        return self._queues.keys()

    def push(self, request: SynthesisRequest, key: float) -> None:
        """Add a request, which must not be in any queue."""
        account = request.account
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = DeadlineQueue()
        queue.push(request, key)
        request.queue = self
        self._live += 1
        self._counts[account] = self._counts.get(account, 0) + 1
        if queue.head() is request:
            self._add_head(queue)

    def head(self, account: str | None = None) -> SynthesisRequest | None:
        """The most urgent request of one account, or of all; it stays in the queue."""
        first = self._first(account)
        return None if first is None else first[3]

    def head_key(self, account: str | None = None) -> float:
        """The key of the most urgent request. There must be one."""
        first = self._first(account)
        assert first is not None, "the queue is empty"
        return first[0]

    def pop(self, account: str | None = None) -> SynthesisRequest:
        """Remove the most urgent request and return it. There must be one."""
        request = self.head(account)
        assert request is not None, "the queue is empty"
        self.remove(request)
        return request

    def remove(self, request: SynthesisRequest) -> None:
        """Remove a request, whatever its place."""
        assert request.queue is self, "the request is in another queue"
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
                # All that is left are dead entries, which would keep their requests alive until the next push.
                self._heads.clear()
            return
        if was_head:
            self._add_head(queue)
        if len(self._queues) > HEADS_MAX:
            self._queues[account] = self._queues.pop(account)

    def heads_until(self, key: float, most: int = HEADS_MAX) -> list[tuple[Rank, str]]:
        """Rank and account of each account's most urgent request where its key is at most `key`.

        Of more accounts than `most`, half are the most urgent and half those that were served longest ago.
        """
        if len(self._queues) <= most:
            firsts = [(queue.first(), account) for account, queue in self._queues.items()]
            return [(first[:2], account) for first, account in firsts if first is not None and first[0] <= key]
        found = self._most_urgent(key, most // 2)
        if found:
            self._add_longest_unserved(found, key, most)
        return [(rank, account) for account, rank in found.items()]

    def by_account(self) -> Iterator[tuple[str, DeadlineQueue]]:
        """Each account's own queue, which must not be changed."""
        return iter(self._queues.items())

    def _most_urgent(self, key: float, most: int) -> dict[str, Rank]:
        """The rank of the first `most` accounts whose most urgent requests have keys up to `key`."""
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

    def _add_longest_unserved(self, found: dict[str, Rank], key: float, most: int) -> None:
        """Add accounts that were served longest ago, until there are `most`. Those without a due request move to the
        end of the order of service."""
        for account in list(islice(self._queues, 2 * most)):
            first = self._queues[account].first()
            if first is None or first[0] > key:
                self._queues[account] = self._queues.pop(account)
            elif len(found) < most:
                found.setdefault(account, first[:2])

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

    def _add_head(self, queue: DeadlineQueue) -> None:
        first = queue.first()
        assert first is not None, "the queue has requests"
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
        """Worker seconds that an account used lately; older use counts less."""
        seconds, at = self._used.get(account, (0.0, now))
        keep: float = 0.5 ** (max(0.0, now - at) / USE_HALF_LIFE_SECONDS)
        return seconds * keep

    def add(self, account: str, seconds: float, now: float) -> None:
        """Count `seconds` of use; a negative number corrects an earlier one that was too large."""
        self._used[account] = max(0.0, self.seconds(account, now) + seconds), now
        if len(self._used) > self._forget_at:
            self._used = {a: u for a, u in self._used.items() if self.seconds(a, now) >= FORGOTTEN_SECONDS}
            self._forget_at = max(64, 2 * len(self._used))

    def next_account(self, ranks: Mapping[str, Rank], now: float) -> tuple[str, float]:
        """The account whose turn it is, and the worker seconds that it is to count as having used, for `raise_to`.

        `ranks` has the rank of the most urgent request of each account that may be next.
        """
        used = {account: self.seconds(account, now) for account in ranks}
        least = max(used.values()) - DEFICIT_SECONDS_MAX
        account = min(ranks, key=lambda each: (max(used[each], least), ranks[each]))
        return account, least

    def raise_to(self, account: str, least: float, now: float) -> None:
        """Let an account count as having used at least `least` worker seconds."""
        if least > self.seconds(account, now):
            self._used[account] = least, now
