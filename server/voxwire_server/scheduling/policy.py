"""The scheduler's settings: order of steps, time budgets and bounds. Set once; nothing in here changes later."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Order(Enum):
    """Which step comes first. A server uses `DEADLINE`; benchmarks and tests compare the others with it."""

    DEADLINE = "deadline"
    ARRIVAL = "arrival"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True)
class Policy:
    """The scheduler's settings. Times are in seconds, shares between 0 and 1.

    Batches:

    - `batching`: off, every batch has one request.
    - `step_seconds_max`: no request is added to a batch whose step would take longer.
    - `padding_share_max`: where a stage's buckets may join, a request of another length joins a batch if its padding
      costs at most this share of its part of the fixed cost of a step of its own; 0: none joins.

    Order of steps:

    - `protect_seconds`: a clause that is due within this time ranks with first clauses that arrive now. A late first
      clause is a delay, an underrun in the middle of speech is a fault.
    - `relaxed_seconds`: a step that is due later than this does not take the last free worker of an executor, so that a
      first clause that arrives meanwhile finds one. `reserve`: off, it may take it.
    - `bulk_period`: while bulk requests wait, one step in this many is theirs, if no stream's deadline is missed by it.
    - `bulk_step_seconds_max`: while there are active streams, a bulk step that takes longer does not take the last free
      worker.

    Admission:

    - `utilisation_max`: streams are refused above this share of an executor's time; bulk above `bulk_share` of it.
    - `start_seconds`: audio that a starting stream takes beyond real time: its lead and the rest of its second clause.
      `start_window_seconds`: the time in which it takes that audio.
    - `pending_admission_seconds`: an admitted stream that has not started counts as active for this long.
    - `reservation_seconds`: the capacity of an interrupted stream is reserved for its session for this long.
    - `queue_seconds_max`: streams are refused while a first clause would wait longer.
    - `late_share_max`: streams are refused while a greater share of clauses is late and the executor is in use.

    Bounds:

    - `requests_max`, `context_requests_max`: unfinished requests in all and of one context; bulk requests may be half
      of `requests_max`.
    - `bulk_seconds_max`: predicted seconds of bulk requests that wait for an executor.
    - `accounts`: how many accounts (API keys) may send requests. With more than one, an account that has more than its
      share gets at most `account_share` of a bound (an executor's time, unfinished requests); the rest stays free for
      accounts below their share.
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
    start_window_seconds: float = 3.0
    queue_seconds_max: float = 1.0
    late_share_max: float = 0.02
    requests_max: int = 8192
    context_requests_max: int = 64
    bulk_seconds_max: float = 600.0
    accounts: int = 1
    account_share: float = 0.9
