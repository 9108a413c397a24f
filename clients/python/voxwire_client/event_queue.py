"""The events of one context on their way to the program that iterates over it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from voxwire_client.events import Audio
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_client.events import Event

AUDIO_EVENTS = (Audio, m.ClauseStarted, m.Timing, m.Mark)
"""Audio and what describes it: of no use when the audio will not be played."""


class EventQueue:
    """The events of one context in their order, then its end: nothing more, or an error. One reader at a time.

    It has no bound of its own: the context asks the server to hold when too many events wait.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._subscribers: list[Callable[[Event], None]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Append an event; without effect after the end."""
        if not self._closed:
            self._events.append(event)
            self._changed.set()
            for subscriber in self._subscribers:
                subscriber(event)

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Call `subscriber` with every event from now on as soon as it is put; the reader may take it much later."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Stop calling `subscriber`."""
        self._subscribers = [each for each in self._subscribers if each != subscriber]

    def drop_audio(self) -> None:
        """Forget audio that has not been taken out, and what describes it."""
        self._events = deque(event for event in self._events if not isinstance(event, AUDIO_EVENTS))

    def put_before_done(self, event: Event) -> None:
        """Insert an event ahead of a `done` that has not been taken out yet; without effect where there is none."""
        if self._events and isinstance(self._events[-1], m.Done):
            self._events.insert(len(self._events) - 1, event)

    def close(self, error: BaseException | None = None) -> None:
        """Nothing more comes; `error` is raised after the events that wait. The first close counts."""
        if not self._closed:
            self._closed = True
            self._error = error
            self._changed.set()

    def fail(self, error: BaseException) -> None:
        """Drop the events that wait, and raise `error`."""
        if not self._closed:
            self._events.clear()
            self.close(error)

    async def get(self) -> Event | None:
        """The next event, None at the end.

        Raises:
            VoxwireError, ConnectionLost, or what the iterator of the text raised: the context ended with it.
        """
        while not self._events:
            if self._closed:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()
