"""The time of each call of the scheduler while thousands of requests, of one account or of hundreds, wait for a device.

    python bench/scheduler_calls.py [--requests 3200] [--accounts 1 2 20 300]

Requests are first clauses that are all due, in as many buckets as Kokoro has: the worst case of a selection. Times are
the median and the 99th percentile, in microseconds; every call is made under the lock that all workers share.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

from support.scheduler_harness import make_request
from support.scheduler_sim import model_info
from voxwire_server.engines.base import Job, StageInfo
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import StepOutcome, StepStatus
from voxwire_server.scheduling.scheduler import Scheduler

BUCKETS = 30
DEVICE = "device:model"
ROWS = 16

Result = TypeVar("Result")


class Times:
    """Microseconds by call."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def call(self, name: str, action: Callable[[], Result]) -> Result:
        """Make a call, and record its time."""
        began = time.perf_counter()
        result = action()
        self.seen.setdefault(name, []).append(1e6 * (time.perf_counter() - began))
        return result

    def line(self, name: str) -> str:
        """Median and 99th percentile."""
        ordered = sorted(self.seen[name])
        return f"{statistics.median(ordered):8.1f} {ordered[int(0.99 * len(ordered))]:8.1f}"


def run(requests: int, accounts: int) -> Times:
    """Have `requests` prepared, then stepped until they are finished."""
    info = model_info("model", StageInfo("speak", ROWS), executor="device", realtime_factor=0.001)
    sched = Scheduler({"model": info}, 2, Policy(context_requests_max=requests, accounts=accounts))
    times = Times()
    for number in range(requests):
        request = make_request(number, deadline=0.0, first=True, account=f"account {number % accounts}")
        times.call("submit", lambda request=request: sched.submit(request, 0.0))
    for number in range(requests):
        batch = times.call("pick prepare", lambda: sched.pick("cpu", 0.0))
        assert batch is not None
        (request,) = batch.requests
        outcome = StepOutcome(request, StepStatus.NEXT, Job(request.clause, "speak", number * 7 % BUCKETS))
        times.call(
            "complete prepare", lambda batch=batch, outcome=outcome: sched.complete(batch, [outcome], 0.0002, 0.0)
        )
    for _ in range(20):
        times.call("admission", lambda: sched.admission("model", False, 0.0))
        times.call("full", lambda: sched.full(0.0))
    now = 0.0
    while (batch := times.call("pick step", lambda now=now: sched.pick(DEVICE, now))) is not None:
        outcomes = [
            StepOutcome(request, StepStatus.FINISHED, request.job, audio_seconds=1.0) for request in batch.requests
        ]
        now += 0.01
        times.call(
            "complete step", lambda batch=batch, outcomes=outcomes, now=now: sched.complete(batch, outcomes, 0.01, now)
        )
        times.call("ready", lambda now=now: sched.ready(DEVICE, now))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=3200)
    parser.add_argument("--accounts", type=int, nargs="+", default=(1, 2, 20, 300))
    args = parser.parse_args()
    names = ("submit", "pick prepare", "complete prepare", "pick step", "complete step", "ready", "admission", "full")
    print(f"{args.requests} requests; median and p99, microseconds")
    print("accounts  " + "  ".join(f"{name:>17}" for name in names))
    for accounts in args.accounts:
        times = run(args.requests, accounts)
        print(f"{accounts:8}  " + "  ".join(times.line(name) for name in names), flush=True)


if __name__ == "__main__":
    main()
