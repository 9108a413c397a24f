"""The events of a context: audio frames, messages of the server as they are, and changes of the connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_protocol.audio import Flag

if TYPE_CHECKING:
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
    """The connection dropped, because of `reason`; the client reconnects by itself. The program need not react."""

    reason: ConnectionLost


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection is back after `away_seconds`. The program need not react: audio goes on with the next frame.

    `resumed` is false where the server no longer had the session. Then a fresh session speaks what was not received:
    the context goes on at character `chars` of its text, at `pts` of its clock, and timings at or after `pts` that were
    received before are void.
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
    | m.Mark
    | m.Flushed
    | m.Done
    | m.Cancelled
    | m.WarningMessage
    | Interrupted
    | Reconnected
)
