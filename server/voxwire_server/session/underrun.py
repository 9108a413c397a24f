"""Notices when one context's listener runs dry because of the server, and when that is over. Pure: no I/O, no clock.

    FED --nothing left to hear, and the server owes audio (`owed`)--> DRY
     ^                                                                 |
     +--audio is sent; or the client stops it; or none is to come------+

The server owes audio that was ready before the listener ran dry, and audio of clauses that were wanted
GOOD_TIME_SECONDS before. Text that came late, a held context, and a client that does not read or acknowledge are not
the server's doing. The context calls `observe` before anything changes, so that an event loop that stood still is
noticed as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_protocol.messages import WarningMessage
from voxwire_server.session import effects as fx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_server.session.playout import Playout

UNDERRUN_SECONDS_MIN = 0.01
"""Shorter gaps are within a sound card's own buffer."""

SEND_SLACK_SECONDS = 0.03
"""Frames that are due are sent at the ticker's next step, and a busy loop is a little late with that."""

GOOD_TIME_SECONDS = 0.05
"""The audio of a clause that was wanted so long before the listener runs dry is due in time."""


@dataclass(frozen=True, slots=True)
class Owed:
    """The listener waits for the server from `since` on, the end of all that it was sent; from `counts_at` on that is
    an underrun."""

    since: float
    counts_at: float


@dataclass(slots=True)
class UnderrunWatch:
    """Watches the listener of one context, whose clock is `playout`. Times are in seconds on the clock of `now`.

    `ready_frames` in the methods' parameters is how many frames are ready to be sent; `wanted` are the times at which
    the clauses whose audio is to come were due to be cut.
    """

    context: str
    """The context's name, for the warning."""
    playout: Playout
    emit: Callable[[fx.Effect], None]
    enabled: bool = True
    """False for bulk contexts, and for one that has failed: the server owes them nothing."""
    dry_since: float | None = None
    """Since when the listener has run dry; None while it has not."""
    ready_since: float = 0.0
    """When the first of the frames that wait to be sent became ready."""
    blocked: bool = False
    """Whether the client kept the server from sending when the context last changed."""
    free_at: float = -math.inf
    """Until when the client kept the server from sending, or until when the last underrun lasted."""
    _counted_pts: int = -1

    def observe(self, now: float, ready_frames: int, wanted: Sequence[float]) -> None:
        """Notice that the listener has run dry through the server's doing, or that it is no longer the server's."""
        if self.blocked:
            self.free_at = now
        if self.dry_since is None:
            owed = self.owed(ready_frames, wanted)
            if owed is not None and now >= owed.counts_at:
                self._begin(owed.since)
        elif not self.enabled or self.playout.blocked or not (wanted or self.playout.ready_pts > self.playout.sent_pts):
            self.end(now)

    def owed(self, ready_frames: int, wanted: Sequence[float]) -> Owed | None:
        """What the server owes a listener that has heard all it was sent; None if nothing, or if the client blocks."""
        playout = self.playout
        dry_at = playout.heard_out_at
        if dry_at is None or not self.enabled or playout.blocked:
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

    def _begin(self, since: float) -> None:
        """The listener has run dry; it is counted once for each point of the audio."""
        self.dry_since = since
        if self._counted_pts != self.playout.sent_pts:
            self._counted_pts = self.playout.sent_pts
            self.emit(fx.UnderrunBegan())

    def end(self, now: float) -> None:
        """If the listener has run dry: it waits for the server no more. The client is warned how long it did."""
        if self.dry_since is None:
            return
        since, self.dry_since, self.free_at = self.dry_since, None, now
        self.emit(fx.UnderrunEnded(since))
        message = f"the listener ran dry for {(now - since) * 1000:.0f} ms"
        self.emit(fx.Send(WarningMessage(code="underrun", message=message, context=self.context)))

    def discard(self) -> None:
        """The context is over; the client is sent nothing."""
        if self.dry_since is not None:
            self.emit(fx.UnderrunEnded(self.dry_since))
            self.dry_since = None
