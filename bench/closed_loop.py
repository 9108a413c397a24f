"""A closed loop of clients on an engine's scheduler and workers, without sessions, sockets and text intake.

Each client requests an answer of some sentences, plays it, pauses, and requests the next. It submits a sentence when a
session would: the first when its text arrives, the next as soon as less audio is left than sessions keep ready, due
when that audio ends. So first sentences compete with those that can wait, which is where the order of steps matters.
"""

from __future__ import annotations

import heapq
import queue
import random
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from host import cores
from load_client import percentile
from support import kokoro
from support.harvard_sentences import SENTENCES
from voxwire_server.engines.base import Engine
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import SynthesisRequest
from voxwire_server.scheduling.runner import Runner
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.session.settings import PlayoutPolicy

SENTENCES_PER_ANSWER = (2, 4)
PAUSE_SECONDS = (0.5, 1.5)
ARRIVING_SECONDS = 2.0


@dataclass(slots=True)
class LoopResult:
    """What the clients met; runs of the same kind add up."""

    first_audio: list[float] = field(default_factory=list)
    stalled: float = 0.0
    audio_seconds: float = 0.0
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """The figures. `stalled_share`: time without speech in the middle of answers, divided by the time of speech."""
        return {
            "answers": len(self.first_audio),
            "ttfa_p50_ms": round(1000 * percentile(self.first_audio, 0.5), 1),
            "ttfa_p95_ms": round(1000 * percentile(self.first_audio, 0.95), 1),
            "stalled_share": round(self.stalled / max(self.audio_seconds, 1e-9), 4),
            "times_realtime": round(self.audio_seconds / max(self.seconds, 1e-9), 3),
        }


@dataclass(slots=True)
class LoopClient:
    """One client: sentences left of its answer, when it requested that, when its audio ends (None: not begun)."""

    number: int
    left: int = 0
    turn: int = 0
    asked_at: float = 0.0
    audio_ends_at: float | None = None
    waits: bool = False


class ClosedLoop:
    """`count` clients of an engine."""

    def __init__(self, engine: Engine, count: int, policy: Policy, seed: int) -> None:
        self._engine = engine
        self._ahead = PlayoutPolicy().ahead_of(engine.info)
        self._random = random.Random(seed)
        self._done: queue.SimpleQueue[tuple[LoopClient, float, float]] = queue.SimpleQueue()
        scheduler = Scheduler({engine.info.name: engine.info}, cores(), policy)
        self._runner = Runner({engine.info.name: engine}, scheduler, lambda outcomes: None, lambda callback: None)
        self._clients = [LoopClient(number) for number in range(count)]
        self._due: list[tuple[float, int]] = []
        self._submitted = 0

    def run(self, seconds: float, result: LoopResult) -> None:
        """Run for `seconds`, and add to `result`."""
        self._runner.start()
        began = time.monotonic()
        self._due = [(began + self._random.uniform(0, ARRIVING_SECONDS), each.number) for each in self._clients]
        heapq.heapify(self._due)
        while (now := time.monotonic()) < began + seconds:
            while self._due and self._due[0][0] <= now:
                self._ask(self._clients[heapq.heappop(self._due)[1]], now)
            try:
                client, at, audio_seconds = self._done.get(timeout=0.005)
            except queue.Empty:
                continue
            self._play(client, at, audio_seconds, result)
        result.seconds += seconds
        # A client that still waits counts with its wait so far; otherwise the slowest would be left out.
        now = time.monotonic()
        for client in self._clients:
            if client.waits and client.audio_ends_at is None:
                result.first_audio.append(now - client.asked_at)
            elif client.waits:
                result.stalled += max(0.0, now - client.audio_ends_at)
        assert self._runner.stop(60), "the last steps end"

    def _ask(self, client: LoopClient, now: float) -> None:
        if not client.left:
            client.left = self._random.randint(*SENTENCES_PER_ANSWER)
            client.turn += 1
            client.asked_at, client.audio_ends_at = now, None
        self._submitted += 1
        first = client.audio_ends_at is None
        request = SynthesisRequest(
            context_key=(client.number, client.turn),
            engine=self._engine.info.name,
            clause=kokoro.clause(self._random.choice(SENTENCES), seed=self._submitted),
            index=self._submitted,
            deadline=now if first else client.audio_ends_at,
            bulk=False,
            first=first,
            ends_utterance=client.left == 1,
            sink=partial(self._sink, client),
        )
        client.left -= 1
        client.waits = True
        self._runner.submit(request)

    def _sink(self, client: LoopClient, request: SynthesisRequest, chunk: Any, finished: bool) -> bool:
        if finished and not request.cancelled:
            rate = self._engine.info.sample_rate
            self._done.put((client, time.monotonic(), 0.0 if chunk is None else len(chunk.samples) / rate))
        return True

    def _play(self, client: LoopClient, at: float, audio_seconds: float, result: LoopResult) -> None:
        client.waits = False
        result.audio_seconds += audio_seconds
        if client.audio_ends_at is None:
            result.first_audio.append(at - client.asked_at)
            client.audio_ends_at = at
        result.stalled += max(0.0, at - client.audio_ends_at)
        client.audio_ends_at = max(at, client.audio_ends_at) + audio_seconds
        wait = -self._ahead if client.left else self._random.uniform(*PAUSE_SECONDS)
        next_at = client.audio_ends_at + wait
        heapq.heappush(self._due, (max(at, next_at), client.number))
