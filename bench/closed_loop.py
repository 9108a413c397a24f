"""Listeners straight in front of an engine's scheduler and workers: no session, no socket, no text intake.

Each asks for an answer of some sentences, hears it, pauses, asks again. A sentence is asked for as a session would: the
first when its text comes, the next as soon as less is left to hear than sessions keep ready, due when the listener runs
dry. So first sentences compete with those that can wait, which is where the order of steps matters.
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

SENTENCES_AN_ANSWER = (2, 4)
PAUSE_SECONDS = (0.5, 1.5)
ARRIVING_SECONDS = 2.0


@dataclass(slots=True)
class Tally:
    """What listeners met; runs of the same kind add up."""

    first_audio: list[float] = field(default_factory=list)
    stalled: float = 0.0
    audio_seconds: float = 0.0
    seconds: float = 0.0

    def row(self) -> dict[str, Any]:
        """As figures. `stalled_share`: time without speech in the middle of answers, as a share of the speech."""
        return {
            "answers": len(self.first_audio),
            "ttfa_p50_ms": round(1000 * percentile(self.first_audio, 0.5), 1),
            "ttfa_p95_ms": round(1000 * percentile(self.first_audio, 0.95), 1),
            "stalled_share": round(self.stalled / max(self.audio_seconds, 1e-9), 4),
            "times_realtime": round(self.audio_seconds / max(self.seconds, 1e-9), 3),
        }


@dataclass(slots=True)
class Asker:
    """One listener: what is left of its answer, when it asked, when it runs dry."""

    number: int
    left: int = 0
    turn: int = 0
    asked_at: float = 0.0
    dry_at: float | None = None
    waits: bool = False


class Askers:
    """So many listeners in front of an engine."""

    def __init__(self, engine: Engine, count: int, policy: Policy, seed: int) -> None:
        self._engine = engine
        self._ahead = PlayoutPolicy().ahead_of(engine.info)
        self._random = random.Random(seed)
        self._done: queue.SimpleQueue[tuple[Asker, float, float]] = queue.SimpleQueue()
        scheduler = Scheduler({engine.info.name: engine.info}, cores(), policy)
        self._runner = Runner({engine.info.name: engine}, scheduler, lambda outcomes: None, lambda callback: None)
        self._askers = [Asker(number) for number in range(count)]
        self._due: list[tuple[float, int]] = []
        self._submitted = 0

    def run(self, seconds: float, tally: Tally) -> None:
        """Let them listen for so long."""
        self._runner.start()
        began = time.monotonic()
        self._due = [(began + self._random.uniform(0, ARRIVING_SECONDS), each.number) for each in self._askers]
        heapq.heapify(self._due)
        while (now := time.monotonic()) < began + seconds:
            while self._due and self._due[0][0] <= now:
                self._ask(self._askers[heapq.heappop(self._due)[1]], now)
            try:
                asker, at, audio_seconds = self._done.get(timeout=0.005)
            except queue.Empty:
                continue
            self._hear(asker, at, audio_seconds, tally)
        tally.seconds += seconds
        # Who still waits counts with what it has waited: otherwise the slowest would be left out.
        now = time.monotonic()
        for asker in self._askers:
            if asker.waits and asker.dry_at is None:
                tally.first_audio.append(now - asker.asked_at)
            elif asker.waits:
                tally.stalled += max(0.0, now - asker.dry_at)
        assert self._runner.stop(60), "the last steps end"

    def _ask(self, asker: Asker, now: float) -> None:
        if not asker.left:
            asker.left = self._random.randint(*SENTENCES_AN_ANSWER)
            asker.turn += 1
            asker.asked_at, asker.dry_at = now, None
        self._submitted += 1
        first = asker.dry_at is None
        request = SynthesisRequest(
            owner=(asker.number, asker.turn),
            engine=self._engine.info.name,
            clause=kokoro.clause(self._random.choice(SENTENCES), seed=self._submitted),
            index=self._submitted,
            deadline=now if first else asker.dry_at,
            bulk=False,
            first=first,
            ends_utterance=asker.left == 1,
            sink=partial(self._sink, asker),
        )
        asker.left -= 1
        asker.waits = True
        self._runner.submit(request)

    def _sink(self, asker: Asker, request: SynthesisRequest, chunk: Any, finished: bool) -> bool:
        if finished and not request.cancelled:
            rate = self._engine.info.sample_rate
            self._done.put((asker, time.monotonic(), 0.0 if chunk is None else len(chunk.samples) / rate))
        return True

    def _hear(self, asker: Asker, at: float, audio_seconds: float, tally: Tally) -> None:
        asker.waits = False
        tally.audio_seconds += audio_seconds
        if asker.dry_at is None:
            tally.first_audio.append(at - asker.asked_at)
            asker.dry_at = at
        tally.stalled += max(0.0, at - asker.dry_at)
        asker.dry_at = max(at, asker.dry_at) + audio_seconds
        next_at = asker.dry_at - self._ahead if asker.left else asker.dry_at + self._random.uniform(*PAUSE_SECONDS)
        heapq.heappush(self._due, (max(at, next_at), asker.number))
