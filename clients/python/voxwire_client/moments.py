"""Holds what was told ahead of the audio, and gives it out when it is heard. Pure: the caller says what was played."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

from voxwire_client.events import Reconnected
from voxwire_client.mouth import MouthTrack, closed
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from voxwire_client.events import Event

Moment = m.ClauseStarted | m.WordTiming | m.PhonemeTiming | m.VisemeTiming
"""Something that begins at its `pts`."""

PAST_SAMPLES = 48_000
"""So much of the mouth's past is kept: a second at the highest rate, as positions may be told a little late."""


class Moments:
    """The clauses, words, phonemes and visemes of one context, each given out once, when the listener hears it.

    `take` every event; ask `due` as often as you like (a game: in every frame) with what has been played, as a count of
    samples on the context's clock: `player.played_samples`, or `utterance.playout.estimate(time.monotonic())`. What was
    told of audio that will never be heard, after a barge-in or a connection that was lost, is never given out.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, int, Moment]] = []
        self._numbers = count()
        self._mouth = MouthTrack()
        self._cancelled = False

    def __len__(self) -> int:
        """How many have not been given out."""
        return len(self._waiting)

    @property
    def next_pts(self) -> int | None:
        """When the next one is due; None: none is known of."""
        return self._waiting[0][0] if self._waiting else None

    def take(self, event: Event) -> None:
        """Take an event of the context; those that tell no times do nothing."""
        match event:
            case m.ClauseStarted():
                self._wait(event, 0)
            case m.Timing():
                self._mouth.add(event)
                for word in event.words:
                    self._wait(word, 1)
                for phoneme in event.phonemes:
                    self._wait(phoneme, 2)
                for viseme in event.visemes:
                    self._wait(viseme, 3)
            case Reconnected(resumed=False, pts=int(pts)):
                self.forget(pts)
            case m.Cancelled():
                self._cancelled = True
                self.forget(0)
            case _:
                pass

    def due(self, played_pts: int) -> list[Moment]:
        """What has begun to sound since it was asked last, in the order of pts; a clause before its words."""
        moments: list[Moment] = []
        while self._waiting and self._waiting[0][0] <= played_pts:
            moments.append(heapq.heappop(self._waiting)[-1])
        return moments

    def mouth(self, played_pts: int) -> list[float]:
        """The weights of the fifteen mouth shapes now, by id; positions should not go back by more than a second.

        Whoever pauses the player or runs dry shows `voxwire_client.mouth.closed()` meanwhile. After `Cancelled` the
        mouth is closed.
        """
        if self._cancelled:
            return closed()
        self._mouth.drop(played_pts - PAST_SAMPLES)
        return self._mouth.weights(played_pts)

    def forget(self, from_pts: int) -> None:
        """What begins at `from_pts` or later is never heard."""
        self._waiting = [each for each in self._waiting if each[0] < from_pts]
        heapq.heapify(self._waiting)
        self._mouth.forget(from_pts)

    def _wait(self, moment: Moment, order: int) -> None:
        heapq.heappush(self._waiting, (moment.pts, order, next(self._numbers), moment))
