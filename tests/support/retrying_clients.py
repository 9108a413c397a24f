"""Callers at a server that has too little room: turned away, they come back as they were told, on virtual time.

The sessions are whole and real (`World`), admission is the scheduler's own. A caller listens with the strictest player:
it starts with the first frame, and whatever comes after it ran dry is an underrun.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from support.session_sim import Client, Sent, World
from voxwire_protocol import messages as m
from voxwire_server.ops.voices import VoiceDirectory
from voxwire_server.scheduling.request import PREPARE, Batch

CHARS_PER_SECOND = 1000 / 60
"""How fast the tone engine speaks."""

FRAME_SECONDS = 0.04
JITTER = 0.25
SENTENCE = "Glue the sheet to the dark blue background, and then wait a while. "


def costing(realtime_factor: float):
    """Step times of an engine that takes so many seconds for a second of audio."""

    def seconds(batch: Batch) -> float:
        if batch.stage == PREPARE:
            return 0.0002
        return sum(len(request.clause.text) for request in batch.requests) / CHARS_PER_SECOND * realtime_factor

    return seconds


def busy_world(
    realtime_factor: float, *, workers: int = 2, guess: float | None = None, admission: bool = True
) -> World:
    """A world whose engine costs so much; `guess` is what it thinks of itself at first."""
    guess = realtime_factor if guess is None else guess
    world = World(costing(realtime_factor), workers, realtime_factor=guess)
    if admission:
        world.directory = VoiceDirectory({"tone": world.directory.info}, "tone", "", world.runner)
    return world


@dataclass
class Wish:
    """A turn that a caller wants to hear: when it first asked, how often it was refused, when it was let in."""

    asked_at: float
    refusals: list[int] = field(default_factory=list)
    started_at: float | None = None
    over: bool = False


class Caller(Client):
    """Wants turn after turn for as long as `until`; each is one context."""

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
        self.wishes: list[Wish] = []
        self.stalls: list[tuple[float, float]] = []
        self._until, self._chars, self._bulk = until, chars, bulk
        self._dry_at: float | None = None
        super().__init__(world, name, account)
        world.at(begin, self._wish)

    @property
    def granted(self) -> list[Wish]:
        """The turns that were let in."""
        return [wish for wish in self.wishes if wish.started_at is not None]

    def message(self, message: m.ServerMessage) -> None:
        super().message(message)
        match message:
            case m.ErrorMessage():
                assert message.retryable, message
                assert message.retry_after_ms is not None
                self.wishes[-1].refusals.append(message.retry_after_ms)
                wait = message.retry_after_ms / 1000 * (1 + self.random.uniform(0, JITTER))
                self.world.at(self.world.now + wait, self._ask)
            case m.Started():
                self.wishes[-1].started_at = self.world.now
                self._dry_at = None
                self.world.at(self.world.now, self._speak)
            case m.Done():
                self.wishes[-1].over = True
                left = 0.0 if self._dry_at is None else max(0.0, self._dry_at - self.world.now)
                self.world.at(self.world.now + left + self.random.uniform(0.5, 3.0), self._wish)

    def frames(self, block, start: int, stop: int) -> None:
        now = self.world.now
        for _ in range(start, stop):
            if self._dry_at is None:
                self._dry_at = now
            if now > self._dry_at + 0.01 and not self._bulk:
                self.stalls.append((now, now - self._dry_at))
            self._dry_at = max(self._dry_at, now) + FRAME_SECONDS

    def _wish(self) -> None:
        if self.world.now < self._until:
            self.wishes.append(Wish(self.world.now))
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


__all__ = ["Caller", "Sent", "Wish", "busy_world", "costing"]
