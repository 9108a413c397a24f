"""What a listener gets: audio frames, the server's messages as they are, and what became of the connection."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_protocol.audio import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_client.errors import ConnectionLost


@dataclass(frozen=True, slots=True)
class Audio:
    """One audio frame: `payload` in `codec`, its first sample at `pts` of the context's clock."""

    payload: bytes
    pts: int
    seq: int
    flags: Flag
    codec: m.Codec
    sample_rate: int
    frame_samples: int

    @property
    def end_pts(self) -> int:
        """The first sample after the frame."""
        return self.pts + self.frame_samples


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection dropped, because of `reason`; the client tries to come back. Needs no answer."""

    reason: ConnectionLost


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection is back after `away_seconds`. Needs no answer: audio goes on with the very next frame.

    Where the session could not be `resumed`, what was not heard is spoken anew: a context's speech goes on at character
    `chars` of its text, at `pts` of its clock, and timings at or after `pts` that were told before count no more.
    """

    resumed: bool
    away_seconds: float
    pts: int | None = None
    chars: int | None = None


Event = (
    Audio
    | m.Started
    | m.ClauseStarted
    | m.Timing
    | m.Flushed
    | m.Done
    | m.Cancelled
    | m.WarningMessage
    | Interrupted
    | Reconnected
)

UNHEARD = (Audio, m.ClauseStarted, m.Timing)
"""What nobody needs any more when nobody will hear the audio."""


class Inbox:
    """The events of one context in their order, then its end: nothing more, or an error. One reader at a time."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._told: list[Callable[[Event], None]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Append an event; without effect after the end."""
        if not self._closed:
            self._events.append(event)
            self._changed.set()
            for tell in self._told:
                tell(event)

    def follow(self, tell: Callable[[Event], None]) -> None:
        """Call `tell` with every event from now on when it comes, though the reader may take it out much later."""
        self._told.append(tell)

    def leave(self, tell: Callable[[Event], None]) -> None:
        """Call it no more."""
        self._told = [each for each in self._told if each != tell]

    def drop_audio(self) -> None:
        """Forget audio that has not been taken out, and what describes it."""
        self._events = deque(event for event in self._events if not isinstance(event, UNHEARD))

    def put_before_done(self, event: Event) -> None:
        """Insert what should have come before a `done` that has not been taken out yet."""
        if self._events and isinstance(self._events[-1], m.Done):
            self._events.insert(len(self._events) - 1, event)

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more comes; `error` is raised after what is here. The first close counts."""
        if not self._closed:
            self._closed = True
            self._error = error
            self._changed.set()

    def fail(self, error: BaseException) -> None:
        """Raise `error` at once, ahead of everything that is here."""
        if not self._closed:
            self._events.clear()
            self.close(error)

    async def get(self) -> Event | None:
        """The next event, None at the end.

        Raises:
            VoxwireError, ConnectionLost, or what the writer of the text raised: the context ended with it.
        """
        while not self._events:
            if self._closed:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
