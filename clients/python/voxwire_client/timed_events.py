"""Holds timings, which come ahead of the audio, and returns each when its audio is heard. Pure: positions are given."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from voxwire_client.events import Reconnected
from voxwire_client.mouth_track import MouthTrack, closed_mouth
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from voxwire_client.events import Event

TimedEvent = m.ClauseStarted | m.Mark | m.WordTiming | m.PhonemeTiming | m.VisemeTiming
"""What begins to sound at its `pts`."""

PAST_SAMPLES = 48_000
"""How much of the mouth's past is kept: a second at the highest sample rate, as positions may go back a little."""


class TimedEvents:
    """The clauses, marks, words, phonemes and visemes of one context, each returned once, when the listener hears it.

    `take` every event, and call `due` as often as you like (a game: in every frame) with the position of the player, in
    samples on the context's clock: `player.played_samples`, or `utterance.playout.estimate(time.monotonic())`. Events
    of audio that will not be played, after a barge-in or a lost connection, are never returned.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, int, TimedEvent]] = []
        self._numbers = count()
        self._mouth = MouthTrack()
        self._cancelled = False

    def __len__(self) -> int:
        """How many have not been returned."""
        return len(self._waiting)

    @property
    def next_pts(self) -> int | None:
        """The pts of the next one; None where there is none yet."""
        return self._waiting[0][0] if self._waiting else None

    def take(self, event: Event) -> None:
        """Take an event of the context; events without times have no effect."""
        match event:
            case m.ClauseStarted():
                self._add(event, 0)
            case m.Mark():
                self._add(event, 1)
            case m.Timing():
                self._mouth.add(event)
                for word in event.words:
                    self._add(word, 2)
                for phoneme in event.phonemes:
                    self._add(phoneme, 3)
                for viseme in event.visemes:
                    self._add(viseme, 4)
            case Reconnected(resumed=False, pts=int(pts)):
                self.forget(pts)
            case m.Cancelled():
                self._cancelled = True
                self.forget(0)
            case _:
                pass

    def due(self, played_pts: int) -> list[TimedEvent]:
        """What has begun to sound since the last call, in the order of pts; a clause before its words."""
        due: list[TimedEvent] = []
        while self._waiting and self._waiting[0][0] <= played_pts:
            due.append(heapq.heappop(self._waiting)[-1])
        return due

    def mouth(self, played_pts: int) -> list[float]:
        """The weights of the fifteen mouth shapes now, by id; positions should not go back by more than a second.

        While the player pauses or has no audio, show `voxwire_client.mouth_track.closed_mouth()` instead. After
        `Cancelled` the mouth is closed.
        """
        if self._cancelled:
            return closed_mouth()
        self._mouth.drop(played_pts - PAST_SAMPLES)
        return self._mouth.weights(played_pts)

    def forget(self, from_pts: int) -> None:
        """Drop what begins at `from_pts` or later: its audio will not be played."""
        self._waiting = [each for each in self._waiting if each[0] < from_pts]
        heapq.heapify(self._waiting)
        self._mouth.forget(from_pts)

    def _add(self, event: TimedEvent, order: int) -> None:
        heapq.heappush(self._waiting, (event.pts, order, next(self._numbers), event))
