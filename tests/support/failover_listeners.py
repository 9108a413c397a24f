"""Listeners on real sessions, through drains and deaths of servers: what each hears, and whether that is all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from voxwire_client import Audio, Done, Flushed, Interrupted, Reconnected, Session, Timing, connect
from voxwire_protocol import messages as m

PAUSE_SECONDS = 2.5
"""Between two turns of a conversation; longer than a draining server waits for text."""


@dataclass
class Hearing:
    """What was heard of one text: events, and when each came (monotonic seconds)."""

    text: str
    events: list[object] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def listen(self, events: AsyncIterator[object]) -> AsyncIterator[object]:
        """Keep events as they come, and pass them on."""
        async for event in events:
            self.times.append(time.monotonic())
            self.events.append(event)
            yield event

    def of(self, type_):
        """All events of a type."""
        return [event for event in self.events if isinstance(event, type_)]

    @property
    def begun_anew(self) -> bool:
        """Whether the rest of it had to be spoken by another server."""
        return any(not event.resumed for event in self.of(Reconnected))

    @property
    def cut(self) -> bool:
        """Whether another server had to speak the rest of it, after some of it had been heard."""
        return any(not event.resumed and event.pts for event in self.of(Reconnected))

    @property
    def words(self) -> list[m.WordTiming]:
        """Words as the client documents them: where speech begins anew, timings from there on count no more."""
        words: list[m.WordTiming] = []
        for event in self.events:
            match event:
                case Timing():
                    words += event.words
                case Reconnected(resumed=False, pts=pts):
                    words = [word for word in words if word.end_pts <= pts]
                case _:
                    pass
        return words

    @property
    def samples(self) -> np.ndarray:
        """The audio as float32, shape [n]."""
        pcm = b"".join(event.payload for event in self.of(Audio))
        return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768

    def check_whole(self) -> None:
        """Every word once, in order, audible where its timing says; frames without gap or repeat."""
        audio = self.of(Audio)
        assert [(e.seq, e.pts) for e in audio] == [(i, i * e.frame_samples) for i, e in enumerate(audio)]
        done = self.events[-1]
        assert isinstance(done, Done)
        assert (done.reason, done.frames, done.chars) == (m.DoneReason.COMPLETED, len(audio), len(self.text))
        words, samples = self.words, self.samples
        assert [self.text[slice(*word.chars)] for word in words] == self.text.split()
        assert [word.pts for word in words] == sorted(word.pts for word in words)
        for word in words:
            sound = samples[word.pts : word.end_pts]
            assert np.sqrt(np.mean(sound**2)) > 0.05, f"{word} can't be heard"

    def back_after(self, at: float) -> float:
        """Seconds from a moment to the first audio that another server spoke."""
        anew = next(i for i, e in enumerate(self.events) if isinstance(e, Reconnected) and not e.resumed)
        return next(self.times[i] for i, e in enumerate(self.events) if i > anew and isinstance(e, Audio)) - at

    def silence_seconds(self) -> float:
        """How long a player that began with the first frame had nothing to play, in all."""
        late, begun = 0.0, None
        for event, at in zip(self.events, self.times, strict=True):
            if isinstance(event, Audio):
                begun = at if begun is None else begun
                due = begun + late + event.pts / event.sample_rate
                late += max(0.0, at - due)
        return late


@dataclass
class Listener:
    """One client of the cluster's, and everything it has heard."""

    url: str
    heard: list[Hearing] = field(default_factory=list)
    changes: list[Interrupted | Reconnected] = field(default_factory=list)
    session: Session | None = None
    home: str = ""
    """The session's name when it first connected."""

    async def stay(self, action: Callable[[Listener], Awaitable[None]]) -> None:
        """Connect, do something, and leave."""
        async with connect(self.url, on_change=self.changes.append) as session:
            self.session, self.home = session, session.ready.session
            await action(self)

    async def until_frames(self, count: int) -> None:
        """Wait until so many frames of the first text have come."""
        while not self.heard or len(self.heard[0].of(Audio)) < count:  # noqa: ASYNC110 - beside whatever it does
            await asyncio.sleep(0.01)

    async def hear(self, text: str, **options) -> Hearing:
        """Have a text spoken, and listen to the end."""
        assert self.session is not None
        hearing = Hearing(text)
        self.heard.append(hearing)
        async for _ in hearing.listen(aiter(self.session.speak(text, **options))):
            pass
        return hearing

    async def converse(self, turns: AsyncIterator[str]) -> Hearing:
        """Have turns spoken in one context, with pauses between them."""
        assert self.session is not None
        hearing = Hearing("")
        self.heard.append(hearing)
        async with self.session.context(voice="tone-low") as spoken:
            events = hearing.listen(aiter(spoken))
            async for turn in turns:
                hearing.text += turn
                await spoken.text(turn, flush=True)
                async for event in events:
                    if isinstance(event, Flushed):
                        break
                await asyncio.sleep(PAUSE_SECONDS)
            await spoken.end()
            async for _ in events:
                pass
        return hearing
