"""Synthesis requests: one clause on its way through an engine, the batch that it shares, what a step did for it.

`UnfinishedRequests` is the table of all that are not over.

A request's states (only the scheduler changes them):

    NEW -submit-> QUEUED <-> RUNNING -> ENDED
                    ^  |        |
                    |  v        v
                  WAITING ->  CANCELLED       WAITING: prepared, but no slot of its engine is free

A running request that is cancelled stays RUNNING, marked `cancelled`, until its step is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from voxwire_server.engines.base import Job
    from voxwire_server.scheduling.policy import Policy
    from voxwire_server.speech import AudioChunk, Clause
    from voxwire_server.text.source_map import SourceMap

PREPARE = "prepare"
"""The stage before an engine's own: text processing, on a CPU worker, one clause at a time."""


class RequestState(Enum):
    """A request's state; see the diagram above."""

    NEW = "new"
    QUEUED = "queued"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(slots=True, eq=False)
class SynthesisRequest:
    """One clause of one context, submitted to one engine.

    `deadline` is in seconds of the monotonic clock: when the audio before it is played out; for an utterance's first
    clause, when its text arrived. `index` counts a context's clauses. `sink` is called in the worker right after a step
    that gave audio or finished the clause, with (request, chunk or None, finished); its result goes into the output.
    `account` is the API key that the request counts for. `bulk`: made as capacity allows, for no active stream.
    `submitted_at` and all fields after it belong to the scheduler and the runner. `units`: the size of its next step,
    see `StageState.units`. `no_slot_count`: how often in a row its engine had no slot for it. `retries`: how often it
    began anew after a lost step. `spoken`: some of its audio was made. `source_map`: where what its engine is given
    came from in `clause.text`; None where that is the same. `unspoken`: ranges of `clause.text` with letters or digits
    of which nothing can be pronounced. `order`, `version` and `queue` are its place in a queue.
    """

    context_key: Hashable
    engine: str
    clause: Clause
    index: int
    deadline: float
    bulk: bool
    first: bool
    ends_utterance: bool
    sink: Callable[[SynthesisRequest, AudioChunk | None, bool], Any]
    account: str = ""
    submitted_at: float = 0.0
    state: RequestState = field(default=RequestState.NEW, init=False)
    job: Job | None = field(default=None, init=False)
    source_map: SourceMap | None = field(default=None, init=False)
    unspoken: tuple[tuple[int, int], ...] = field(default=(), init=False)
    cancelled: bool = field(default=False, init=False)
    queue_seconds: float = field(default=0.0, init=False)
    synth_seconds: float = field(default=0.0, init=False)
    queued_at: float = field(default=0.0, init=False)
    units: float = field(default=0.0, init=False)
    order: int = field(default=0, init=False)
    version: int = field(default=0, init=False)
    no_slot_count: int = field(default=0, init=False)
    retries: int = field(default=0, init=False)
    spoken: bool = field(default=False, init=False)
    queue: Any = field(default=None, init=False)

    @property
    def stage(self) -> str:
        """The stage of its next or running step."""
        return PREPARE if self.job is None else self.job.stage

    @property
    def bucket(self) -> int:
        """The length class of its next or running step."""
        return 0 if self.job is None else self.job.bucket


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests that share one step. `stage` is `PREPARE` (always one request) or one of the engine's."""

    executor: str
    engine: str
    stage: str
    bucket: int
    requests: Sequence[SynthesisRequest]
    units: float
    predicted_seconds: float
    picked_at: float

    @property
    def bulk(self) -> bool:
        """Whether all its requests are bulk."""
        return all(request.bulk for request in self.requests)

    @property
    def abandoned(self) -> bool:
        """Whether all its requests were cancelled since it was picked."""
        return all(request.cancelled for request in self.requests)


class StepStatus(Enum):
    """How a step ended for one of its requests. `RETRY`: the step is lost; the request starts over without its job."""

    NEXT = "next"
    FINISHED = "finished"
    FAILED = "failed"
    NO_SLOT = "no_slot"
    RETRY = "retry"


@dataclass(slots=True)
class StepOutcome:
    """What a step did for one request. `job` has its next stage, bucket and cost already written into it; `encoded` is
    what the request's sink returned."""

    request: SynthesisRequest
    status: StepStatus
    job: Job | None = None
    audio_seconds: float = 0.0
    encoded: Any = None
    error: VoxwireError | None = None


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """What a step did for one request, as delivered to its session. A cancelled request has no output.

    `encoded` is what the sink returned (None: it was not called). `finished` is true once and last, also with `error`.
    `queue_seconds` and `synth_seconds` are the request's sums so far.
    """

    request: SynthesisRequest
    encoded: Any
    finished: bool
    error: VoxwireError | None
    queue_seconds: float
    synth_seconds: float


class UnfinishedRequests:
    """All requests that were submitted and are not over, by context and counted by account; checks their bounds."""

    def __init__(self) -> None:
        self.by_context: dict[Hashable, dict[SynthesisRequest, None]] = {}
        """Each context's requests in the order in which they were submitted."""
        self.by_account: tuple[dict[str, int], dict[str, int]] = ({}, {})
        """How many each account has, interactive and bulk."""
        self._count = self._bulk_count = 0

    def __len__(self) -> int:
        return self._count

    def of_context(self, context_key: Hashable) -> Mapping[SynthesisRequest, None]:
        """A context's requests, in the order in which they were submitted."""
        return self.by_context.get(context_key, {})

    def of_engine(self, engine: str) -> list[SynthesisRequest]:
        """All requests for an engine."""
        return [request for requests in self.by_context.values() for request in requests if request.engine == engine]

    def check_bounds(self, request: SynthesisRequest, policy: Policy) -> None:
        """Check that a request may be added.

        Raises:
            VoxwireError: `system.engine_overloaded` when there are too many requests in all, of its account or of its
                context.
        """
        full = self._count >= policy.requests_max or (request.bulk and 2 * self._bulk_count >= policy.requests_max)
        over_share = self._over_share(request.account, request.bulk, policy)
        if full or over_share or len(self.of_context(request.context_key)) >= policy.context_requests_max:
            whose = "requests" if full else "requests of one key" if over_share else "requests of one context"
            raise VoxwireError(ErrorCode.ENGINE_OVERLOADED, f"too many unfinished {whose}", retry_after_ms=1000)

    def add(self, request: SynthesisRequest) -> None:
        """Count a request."""
        self.by_context.setdefault(request.context_key, {})[request] = None
        counts = self.by_account[request.bulk]
        counts[request.account] = counts.get(request.account, 0) + 1
        self._count += 1
        self._bulk_count += request.bulk

    def remove(self, request: SynthesisRequest) -> None:
        """Count a request no more."""
        self._count -= 1
        self._bulk_count -= request.bulk
        requests = self.by_context[request.context_key]
        del requests[request]
        if not requests:
            del self.by_context[request.context_key]
        counts = self.by_account[request.bulk]
        counts[request.account] -= 1
        if not counts[request.account]:
            del counts[request.account]

    def _over_share(self, account: str, bulk: bool, policy: Policy) -> bool:
        """Whether an account has its share of the requests that there may be, and the rest is kept for others."""
        interactive, bulky = self.by_account
        if policy.accounts == 1:
            return False
        bulk_max = policy.requests_max // 2
        accounts = len(bulky.keys() | {account})
        if bulk and _exceeds_share(policy, bulky.get(account, 0), self._bulk_count, bulk_max, accounts):
            return True
        own = interactive.get(account, 0) + bulky.get(account, 0)
        accounts = len(interactive.keys() | bulky.keys() | {account})
        return _exceeds_share(policy, own, self._count, policy.requests_max, accounts)


def _exceeds_share(policy: Policy, own: int, total: int, most: int, accounts: int) -> bool:
    """Whether an account with `own` requests has its share of `most`, and all have `account_share` of `most`."""
    return total >= policy.account_share * most and own >= most / max(2, accounts)
