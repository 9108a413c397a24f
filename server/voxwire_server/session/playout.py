"""Keeps one context's playout clock (what was sent, what is heard, when more is due), and notices underruns. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_protocol.messages import WarningMessage
from voxwire_server.session import effects as fx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxwire_protocol.messages import Pacing

ACK_SLACK_SECONDS = 2.0
"""A client that acknowledges may be this far beyond its lead: the time of some acks and of the network's round trip."""

BURST_UNACKED_SECONDS = 20.0
"""A client in burst pacing that acknowledges may have this much audio unacknowledged."""


@dataclass(slots=True)
class Playout:
    """A playout clock at `sample_rate`, for audio frames of `frame_samples`.

    In realtime pacing frames go out in bursts of at most `burst_frames`, so that one socket write carries several.
    `received_pts` and `acked_pts` are what the client's acks say that it received and played; None before the first.
    `writable` is whether the socket takes more. `origin` is None before the first frame, `held_at` while not held.
    """

    sample_rate: int
    frame_samples: int
    pacing: Pacing
    burst_frames: int
    sent_pts: int = 0
    ready_pts: int = 0
    acked_pts: int | None = None
    received_pts: int | None = None
    origin: float | None = field(default=None)
    held_at: float | None = field(default=None)
    writable: bool = True

    @property
    def frame_seconds(self) -> float:
        """How long one audio frame lasts."""
        return self.frame_samples / self.sample_rate

    @property
    def lead_seconds(self) -> float:
        """How far ahead of the listener audio may be sent."""
        return self.pacing.lead_ms / 1000

    @property
    def paced(self) -> bool:
        """Whether frames wait for their time (realtime) or go as they come (burst)."""
        return self.pacing.mode == "realtime"

    def _at(self, now: float) -> float:
        return now if self.held_at is None else self.held_at

    def position(self, now: float) -> int:
        """The pts that the listener hears at `now`, never beyond what was sent."""
        if self.origin is None:
            return 0
        return max(0, min(self.sent_pts, int((self._at(now) - self.origin) * self.sample_rate)))

    def dry_at(self, now: float) -> float:
        """When everything that is ready will have been heard; `now` when nothing is."""
        if self.origin is None:
            return now + (self.ready_pts - self.sent_pts) / self.sample_rate
        dry = self.origin + self.ready_pts / self.sample_rate
        return dry if self.held_at is None else dry + now - self.held_at

    @property
    def heard_out_at(self) -> float | None:
        """When everything that was sent will have been heard, unless held; None before anything was sent."""
        return None if self.origin is None else self.origin + self.sent_pts / self.sample_rate

    def remaining(self, now: float) -> float:
        """Seconds of audio that the listener has not heard yet, sent or not; at least 0."""
        return max(0.0, self.dry_at(now) - now)

    def unsent_seconds(self) -> float:
        """Seconds of audio that are ready and not sent."""
        return (self.ready_pts - self.sent_pts) / self.sample_rate

    @property
    def blocked(self) -> bool:
        """Whether the client keeps the server from sending: it does not read, holds, or acknowledges nothing more."""
        return not self.writable or self.held_at is not None or self._acked_room() <= 0

    def _acked_room(self) -> float:
        """How many frames the client's acks allow; infinity while it sends none."""
        room = math.inf
        if self.received_pts is not None:
            ahead = self.lead_seconds if self.paced else BURST_UNACKED_SECONDS
            room = self.received_pts + (ahead + ACK_SLACK_SECONDS) * self.sample_rate
        if self.acked_pts is not None and self.paced:
            room = min(room, self.acked_pts + (self.lead_seconds + ACK_SLACK_SECONDS) * self.sample_rate)
        return (room - self.sent_pts) / self.frame_samples

    def frames_due(self, now: float, available: int) -> int:
        """How many of `available` frames go out now; 0 while held, or while the client acknowledges nothing more."""
        available = int(min(available, self._acked_room()))
        if self.held_at is not None or available <= 0:
            return 0
        if not self.paced:
            return available
        if self._ran_dry(now):
            return min(available, self._lead_frames())
        assert self.origin is not None
        limit_pts = (now - self.origin + self.lead_seconds) * self.sample_rate
        due = int((limit_pts - self.sent_pts) / self.frame_samples + 1e-6)
        if due < min(self._burst(), available):
            return 0
        return min(due, available)

    def next_send_at(self, available: int) -> float | None:
        """When `frames_due` next gives frames, if `available` stays the same; None: not before something happens."""
        available = int(min(available, self._acked_room()))
        if self.held_at is not None or available <= 0 or self.origin is None or not self.paced:
            return None
        end_pts = self.sent_pts + min(self._burst(), available) * self.frame_samples
        return self.origin + end_pts / self.sample_rate - self.lead_seconds

    def sent(self, frames: int, now: float) -> float:
        """Account for `frames` sent at `now`; returns for how many seconds the listener had been dry."""
        gap = 0.0
        if self.origin is None:
            self.origin = now - self.sent_pts / self.sample_rate
        elif self._ran_dry(now):
            gap = now - self.origin - self.sent_pts / self.sample_rate
            self.origin += gap
        self.sent_pts += frames * self.frame_samples
        return gap

    def hold(self, now: float) -> None:
        """Stop the clock."""
        if self.held_at is None:
            self.held_at = now

    def release(self, now: float) -> None:
        """Let the clock go on where it stopped."""
        if self.held_at is not None and self.origin is not None:
            self.origin += now - self.held_at
        self.held_at = None

    def heard_pts(self, now: float, played_pts: int | None) -> int:
        """The pts up to which audio counts as heard: what the client says, else its newest ack, else this clock."""
        if played_pts is not None:
            return max(0, min(played_pts, self.sent_pts))
        if self.acked_pts is not None:
            return min(self.acked_pts, self.sent_pts)
        return self.position(now)

    def _ran_dry(self, now: float) -> bool:
        return self.origin is None or now - self.origin > self.sent_pts / self.sample_rate

    def _lead_frames(self) -> int:
        return max(1, int(self.lead_seconds / self.frame_seconds + 1e-6))

    def _burst(self) -> int:
        return max(1, min(self.burst_frames, self._lead_frames() // 2))


UNDERRUN_SECONDS_MIN = 0.01
"""Shorter gaps are within a sound card's own buffer."""

SEND_SLACK_SECONDS = 0.03
"""Frames that are due are sent at the ticker's next step, and a busy loop is a little late with that."""

GOOD_TIME_SECONDS = 0.05
"""The audio of a clause that was wanted so long before the listener runs dry is due in time."""


@dataclass(frozen=True, slots=True)
class OverdueAudio:
    """Audio that a listener waits for from `since` on, when all that was sent has been heard; from `counts_at` on that
    is an underrun."""

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
    """False for bulk contexts, and for one that has failed: their audio is never overdue."""
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
        """Begin an underrun where the listener runs dry and the server is the cause; end it where it no longer is."""
        if self.blocked:
            self.free_at = now
        if self.dry_since is None:
            overdue = self.overdue(ready_frames, wanted)
            if overdue is not None and now >= overdue.counts_at:
                self._begin(overdue.since)
        elif not self.enabled or self.playout.blocked or not (wanted or self.playout.ready_pts > self.playout.sent_pts):
            self.end(now)

    def overdue(self, ready_frames: int, wanted: Sequence[float]) -> OverdueAudio | None:
        """The audio that has to be sent by the time the listener has heard all it was sent; None if there is none, or
        if the client keeps the server from sending."""
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
            return OverdueAudio(since, since + SEND_SLACK_SECONDS)
        if any(wanted_at + GOOD_TIME_SECONDS < dry_at for wanted_at in wanted):
            return OverdueAudio(since, since + UNDERRUN_SECONDS_MIN)
        return None

    def _begin(self, since: float) -> None:
        """The listener has run dry since `since`; an underrun is counted once for each pts."""
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
