"""Notices when one context's listener runs dry because of the server, and when that is over. Pure: no I/O, no clock.

    FED --nothing left to hear, and the server owes audio (`owed`)--> DRY
     ^                                                                 |
     +--audio is sent; or the client stops it; or none is to come------+

The server owes audio that was ready before the listener ran dry, and audio of clauses that it was asked for
GOOD_TIME_SECONDS before. Text that came late, a held context, and a client that does not read or acknowledge are not
the server's doing. The context calls the watch before anything changes, so that an event loop that stood still is
noticed as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.session import effects as fx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voxwire_server.session.playout import Playout

UNDERRUN_SECONDS_MIN = 0.01
"""Shorter gaps are within a sound card's own buffer."""

SEND_SLACK_SECONDS = 0.03
"""Frames that are due leave at the ticker's next step, and a busy loop is a little late with it."""

GOOD_TIME_SECONDS = 0.05
"""A clause asked for so long before the listener runs dry is the server's to bring in time."""


@dataclass(frozen=True, slots=True)
class Owed:
    """The listener waits for the server from `since` on, the end of all that it was sent; from `counts_at` on that is
    an underrun."""

    since: float
    counts_at: float


@dataclass(slots=True)
class UnderrunWatch:
    """Watches the listener of one context, whose clock is `playout`. Times are in seconds on the clock of `now`."""

    playout: Playout
    emit: Callable[[fx.Effect], None]
    dry_since: float | None = None
    """Since when the listener has run dry; None while it has not."""
    ready_since: float = 0.0
    """When the first of the frames that wait to be sent became ready."""
    blocked: bool = False
    """Whether the client kept the server from sending when the context last changed."""
    free_at: float = -math.inf
    """Until when the client kept the server from sending, or until when the last underrun lasted."""
    _counted_pts: int = -1

    def owed(self, ready_frames: int, wanted: Iterable[float]) -> Owed | None:
        """What the server owes a listener that has heard all it was sent; None if nothing. The client blocks nothing.

        `ready_frames` are ready to be sent; `wanted` are the times at which the clauses in flight were due to be cut.
        """
        playout = self.playout
        dry_at = playout.heard_out_at
        if dry_at is None:
            return None
        since = max(dry_at, self.free_at)
        if playout.ready_pts > playout.sent_pts:
            if self.ready_since > dry_at:
                return None
            # A lead of less than a burst lets the listener run dry by itself.
            since = max(since, playout.next_send_at(ready_frames or 1) or since)
            return Owed(since, since + SEND_SLACK_SECONDS)
        if any(wanted_at + GOOD_TIME_SECONDS < dry_at for wanted_at in wanted):
            return Owed(since, since + UNDERRUN_SECONDS_MIN)
        return None

    def begin(self, since: float) -> None:
        """The listener has run dry; it is counted once for each point of the audio."""
        self.dry_since = since
        if self._counted_pts != self.playout.sent_pts:
            self._counted_pts = self.playout.sent_pts
            self.emit(fx.UnderrunBegan())

    def end(self, now: float) -> float | None:
        """The listener waits for the server no more; returns how many seconds it did, None if it did not."""
        if self.dry_since is None:
            return None
        since, self.dry_since, self.free_at = self.dry_since, None, now
        self.emit(fx.UnderrunEnded(since))
        return now - since
