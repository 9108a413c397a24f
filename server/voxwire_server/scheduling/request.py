"""The nouns that scheduler and runner share: a clause on its way through an engine, a batch, and what a step did.

A work's life (the scheduler alone moves it):

    NEW -submit-> QUEUED <-> RUNNING -> ENDED
                    ^  |        |
                    |  v        v
                  WAITING ->  CANCELLED       WAITING: prepared, but no slot of its engine is free

A running work that is cancelled stays RUNNING, marked `cancelled`, until its step is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.engines.base import Job
    from voxwire_server.speech import Alignment, AudioChunk, Clause

PREPARE = "prepare"
"""The stage before an engine's own: text work, on a CPU worker, one clause at a time."""


class RequestState(Enum):
    """Where a work is; see the module's drawing."""

    NEW = "new"
    QUEUED = "queued"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(slots=True, eq=False)
class SynthesisRequest:
    """One clause of one owner (a context), submitted to one engine.

    `deadline` is in seconds of the monotonic clock: when the listener runs dry; for an utterance's first clause, when
    its text came. `index` counts an owner's clauses. `sink` is called in the worker right after a step that gave audio
    or ended the clause, with (work, chunk or None, finished); what it returns goes into the outcome.
    `account` is whose work it is, for fairness between keys.
    All that follows `account` is the scheduler's and the runner's.
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
    cancelled: bool = field(default=False, init=False)
    queue_seconds: float = field(default=0.0, init=False)
    synth_seconds: float = field(default=0.0, init=False)
    queued_at: float = field(default=0.0, init=False)
    units: float = field(default=0.0, init=False)
    order: int = field(default=0, init=False)
    version: int = field(default=0, init=False)
    refusals: int = field(default=0, init=False)
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
    """Works that share one step. `stage` is `PREPARE` (always one work) or one of the engine's."""

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
        """Whether nobody listens to any of it."""
        return all(request.bulk for request in self.requests)

    @property
    def abandoned(self) -> bool:
        """Whether all of it was cancelled since it was picked."""
        return all(request.cancelled for request in self.requests)


class StepStatus(Enum):
    """What a step meant for one of its works. `RETRY`: the step is lost; the work begins anew, without its job."""

    NEXT = "next"
    FINISHED = "finished"
    FAILED = "failed"
    NO_SLOT = "no_slot"
    RETRY = "retry"


@dataclass(slots=True)
class StepOutcome:
    """What a step did for one work. `job` has its next stage, bucket and cost already written into it."""

    request: SynthesisRequest
    verdict: StepStatus
    job: Job | None = None
    audio_seconds: float = 0.0
    encoded: Any = None
    alignment: Alignment | None = None
    error: VoxwireError | None = None


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """What a step did for one work, for the work's owner.

    `encoded` is what the sink returned (None: it was not called). `finished` is true once and last, also with `error`.
    `queue_seconds` and `synth_seconds` are the work's sums so far. A cancelled work has no outcome.
    """

    request: SynthesisRequest
    encoded: Any
    alignment: Alignment | None
    finished: bool
    error: VoxwireError | None
    queue_seconds: float
    synth_seconds: float


class RefusalReason(StrEnum):
    """Why an engine takes no more. `starting`: for as long as those who just began build up their lead."""

    UTILISATION = "utilisation"
    QUEUE = "queue"
    LATENESS = "lateness"
    STARTING = "starting"
    BULK_BACKLOG = "bulk_backlog"
    BULK_YIELDS = "bulk_yields"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An engine takes no more for now; to be tried again after `retry_after_ms`."""

    retry_after_ms: int
    reason: RefusalReason


class SchedulerInterface(Protocol):
    """What the runner asks of a scheduler. Every call is made under the runner's lock and never waits."""

    @property
    def executors(self) -> Mapping[str, int]:
        """Workers an executor."""

    def executor_of(self, engine: str) -> str:
        """The executor on which an engine's steps run."""

    def submit(self, request: SynthesisRequest, now: float) -> None:
        """Queue a work."""

    def cancel(self, context_key: Hashable) -> list[SynthesisRequest]:
        """Drop an owner's works."""

    def clear(self) -> list[SynthesisRequest]:
        """Drop all works."""

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        """Move an owner's deadlines."""

    def pick(self, executor: str, now: float) -> Batch | None:
        """The batch to step now, or None."""

    def ready(self, executor: str, now: float) -> bool:
        """Whether `pick` would give a batch."""

    def complete(
        self, batch: Batch, outcomes: Sequence[StepOutcome], seconds: float, now: float
    ) -> list[SynthesisRequest]:
        """A step is over."""

    def lose(self, batch: Batch, outcomes: Sequence[StepOutcome], now: float) -> list[StepOutcome]:
        """A step will never be over, or what it did is not known; gives the rows that hold."""

    def shut(self, engine: str, problem: str) -> list[SynthesisRequest]:
        """Take nothing more for an engine, and drop what it has."""

    def reopen(self, engine: str) -> None:
        """Take works for an engine again."""

    def out_of_memory(self, batch: Batch) -> None:
        """A step did not fit into memory."""

    def admission(
        self, engine: str, bulk: bool, now: float, speaking: int = 0, session_id: Hashable = None, account: str = ""
    ) -> Refusal | None:
        """Whether an engine takes one more listener."""

    def stream_started(self, context_key: Hashable, engine: str, now: float, account: str = "") -> None:
        """Count a listener."""

    def stream_ended(self, context_key: Hashable, now: float, session_id: Hashable = None) -> None:
        """Stop counting a listener."""

    def session_ended(self, session_id: Hashable) -> None:
        """Keep no places for a caller."""

    def expect_accounts(self, accounts: int) -> None:
        """From now on so many accounts may come."""
