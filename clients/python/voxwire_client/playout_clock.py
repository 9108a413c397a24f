"""Which sample of a context is heard now, from the frames received and what the player reports. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_SAMPLE_RATE = 24000


@dataclass(slots=True)
class PlayoutClock:
    """The playout of one context at `sample_rate`. Times are seconds of one monotonic clock, given by the caller.

    A player that knows its position reports it (`played`), or is asked for it (`follow`). One that only knows when it
    started calls `start`; it is assumed to wait while audio is missing. Without a player `position` is None, and
    `estimate` assumes one that started with the first frame.
    """

    sample_rate: int = DEFAULT_SAMPLE_RATE
    received_pts: int = 0
    _origin: float | None = field(default=None)
    _started: bool = field(default=False)
    _played_pts: int | None = field(default=None)
    _paused_at: float | None = field(default=None)
    _player: Callable[[], int] | None = field(default=None)

    def received(self, end_pts: int, now: float) -> None:
        """Audio up to `end_pts` has come; a player without audio goes on now."""
        received_seconds = self.received_pts / self.sample_rate
        if self._origin is None or self._at(now) - self._origin > received_seconds:
            self._origin = self._at(now) - received_seconds
        self.received_pts = max(self.received_pts, end_pts)

    def start(self, now: float) -> None:
        """The player starts; further calls have no effect."""
        if not self._started:
            self._started = True
            self._origin = self._at(now)

    def played(self, pts: int) -> None:
        """The player has played up to `pts`."""
        self._played_pts = max(0, int(pts))

    def follow(self, position: Callable[[], int]) -> None:
        """Call `position` whenever the clock is asked: `playout.follow(lambda: player.played_samples)`."""
        self._player = position

    @property
    def paused(self) -> bool:
        """Whether the player pauses."""
        return self._paused_at is not None

    def pause(self, now: float) -> None:
        """The player pauses."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """The player goes on."""
        if self._paused_at is not None and self._origin is not None:
            self._origin += now - self._paused_at
        self._paused_at = None

    def position(self, now: float) -> int | None:
        """The pts that is heard now; None where no player has reported anything."""
        known = self._started or self._played_pts is not None or self._player is not None
        return self.estimate(now) if known else None

    def estimate(self, now: float) -> int:
        """The pts that is heard now, as far as is known; never beyond the audio received."""
        if self._player is not None:
            self.played(self._player())
        if self._played_pts is not None:
            return min(self._played_pts, self.received_pts)
        if self._origin is None:
            return 0
        return max(0, min(self.received_pts, int((self._at(now) - self._origin) * self.sample_rate)))

    def _at(self, now: float) -> float:
        return now if self._paused_at is None else self._paused_at
