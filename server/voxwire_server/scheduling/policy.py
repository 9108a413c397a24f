"""How the scheduler decides: its order, its budgets and its bounds. Read once, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Order(Enum):
    """Which step comes first. `DEADLINE` is for service; the others are there to be measured against."""

    DEADLINE = "deadline"
    ARRIVAL = "arrival"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True)
class Policy:
    """How the scheduler decides.

    `batching` off makes every batch one row. `step_seconds_max`: no row is added to a batch that would last longer.
    `padding_share_max`: where a stage's buckets may join, a row of another length joins a batch if the padding costs at
    most this share of what the row spares, its part of a step's fixed cost; 0 joins none.
    `protect_seconds`: a clause whose listener has only this much left to hear ranks with first clauses that come now: a
    late first word is a delay, a gap in the middle is a fault.
    `relaxed_seconds`: a listener with more than this left to hear can wait, so its step leaves the last free worker of
    an executor to whoever comes; `reserve` off lets it take any. `bulk_period`: while bulk work waits, it gets one step
    in so many, where no listener is kept waiting too long by it. `bulk_step_seconds_max`: while somebody listens, a
    longer bulk step never takes the last free worker.
    `utilisation_max`: listeners are refused above this share of an executor's time, and bulk above `bulk_share` of it.
    `start_seconds`: audio that a listener takes beyond real time when it begins (its lead, and the rest of its second
    clause); `horizon_seconds`: the time in which it does. `pending_admission_seconds`: who was let in counts for so
    long as a listener before it begins; `reservation_seconds`: the place of one who breaks in is kept for it for so
    long. `queue_seconds_max`: listeners are also refused while a first clause would wait longer
    than this. `late_share_max`: and while a greater share of clauses comes too late, on an executor that is busy at
    all. `requests_max`, `context_requests_max`: unfinished works in all and an owner; bulk has half of `requests_max`.
    `bulk_seconds_max`: bulk work queued on an executor, in seconds.
    `accounts`: how many may come; where there are several, one that has more than its share gets at most
    `account_share` of what there is (of an executor's time, of works), and the rest is kept for those below theirs.
    """

    order: Order = Order.DEADLINE
    batching: bool = True
    reserve: bool = True
    step_seconds_max: float = 0.1
    padding_share_max: float = 0.6
    protect_seconds: float = 0.5
    relaxed_seconds: float = 1.5
    bulk_period: int = 64
    bulk_step_seconds_max: float = 0.5
    bulk_share: float = 0.9
    pending_admission_seconds: float = 3.0
    reservation_seconds: float = 5.0
    utilisation_max: float = 0.9
    start_seconds: float = 9.0
    horizon_seconds: float = 3.0
    queue_seconds_max: float = 1.0
    late_share_max: float = 0.02
    requests_max: int = 8192
    context_requests_max: int = 64
    bulk_seconds_max: float = 600.0
    accounts: int = 1
    account_share: float = 0.9
