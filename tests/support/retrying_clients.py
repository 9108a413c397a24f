"""Clients of a server with too little capacity: refused, they retry when they were told to, on virtual time.

The sessions are real (`World`), admission is the scheduler's own. A client plays without a buffer: it starts with the
first frame, and every frame that comes after the audio before it has ended is an underrun.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_server.ops.admission import SpeechDirectory
from voxwire_server.ops.voices import VoiceDirectory
from voxwire_server.scheduling.request import PREPARE, Batch

CHARS_PER_SECOND = 1000 / 60
"""The speaking rate of the tone engine."""

FRAME_SECONDS = 0.04
JITTER = 0.25
SENTENCE = "Glue the sheet to the dark blue background, and then wait a while. "


def step_times(realtime_factor: float):
    """Step times of an engine that takes `realtime_factor` seconds per second of audio."""

    def seconds(batch: Batch) -> float:
        if batch.stage == PREPARE:
            return 0.0002
        return sum(len(request.clause.text) for request in batch.requests) / CHARS_PER_SECOND * realtime_factor

    return seconds


def modelled_world(
    realtime_factor: float, *, workers: int = 2, guess: float | None = None, admission: bool = True
) -> World:
    """A world whose engine has this realtime factor; `guess`: the one that it states of itself (default: the same)."""
    guess = realtime_factor if guess is None else guess
    world = World(step_times(realtime_factor), workers, realtime_factor=guess)
    if admission:
        world.directory = SpeechDirectory(VoiceDirectory({"tone": world.directory.info}, "tone", ""), world.runner)
    return world


@dataclass
class Turn:
    """An answer that a client wants to hear: when it first asked, how often it was refused, when it was admitted."""

    asked_at: float
    refusals: list[int] = field(default_factory=list)
    started_at: float | None = None
    over: bool = False


class RetryingClient(Client):
    """Asks for turn after turn until `until`; each is one context."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        begin: float,
        until: float,
        chars: tuple[int, int],
        bulk: bool = False,
        account: str = "anonymous",
    ) -> None:
        self.random = random.Random(name)
        self.turns: list[Turn] = []
        self.stalls: list[tuple[float, float]] = []
        self._until, self._chars, self._bulk = until, chars, bulk
        self._plays_until: float | None = None
        super().__init__(world, name, account)
        world.at(begin, self._next_turn)

    @property
    def admitted(self) -> list[Turn]:
        """The turns that were admitted."""
        return [turn for turn in self.turns if turn.started_at is not None]

    def message(self, message: m.ServerMessage) -> None:
        super().message(message)
        match message:
            case m.ErrorMessage():
                assert message.retryable, message
                assert message.retry_after_ms is not None
                self.turns[-1].refusals.append(message.retry_after_ms)
                wait = message.retry_after_ms / 1000 * (1 + self.random.uniform(0, JITTER))
                self.world.at(self.world.now + wait, self._ask)
            case m.Started():
                self.turns[-1].started_at = self.world.now
                self._plays_until = None
                self.world.at(self.world.now, self._speak)
            case m.Done():
                self.turns[-1].over = True
                left = 0.0 if self._plays_until is None else max(0.0, self._plays_until - self.world.now)
                self.world.at(self.world.now + left + self.random.uniform(0.5, 3.0), self._next_turn)

    def frames(self, block, start: int, stop: int) -> None:
        now = self.world.now
        for _ in range(start, stop):
            if self._plays_until is None:
                self._plays_until = now
            if now > self._plays_until + 0.01 and not self._bulk:
                self.stalls.append((now, now - self._plays_until))
            self._plays_until = max(self._plays_until, now) + FRAME_SECONDS

    def _next_turn(self) -> None:
        if self.world.now < self._until:
            self.turns.append(Turn(self.world.now))
            self._ask()

    def _ask(self) -> None:
        if self._bulk:
            pacing, priority = m.PacingRequest(mode="burst"), "bulk"
        else:
            pacing, priority = m.PacingRequest(mode="realtime"), "interactive"
        self.send(m.Start(context="c", audio=m.AudioRequest(frame_ms=40), pacing=pacing, priority=priority))

    def _speak(self) -> None:
        chars = self.random.randint(*self._chars)
        text = (SENTENCE * (chars // len(SENTENCE) + 1))[:chars] + "."
        self.send(m.Text(context="c", text=text))
        self.send(m.End(context="c"))
