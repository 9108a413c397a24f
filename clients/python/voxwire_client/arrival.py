"""Measures how audio arrives against how it is played, and says what to ask of the server. Pure.

The listener is taken to play from the first frame on, and to wait where it has run dry. What it has left is its fill.
In realtime pacing the server keeps the fill at `lead_ms`, and sends as fast as it can while it is below: so what comes
while the listener is hungry, below HUNGRY of the lead, tells how much the line carries. Its pace is in seconds of audio
a second; gaps of more than GAP_SECONDS count for nothing: there the text or the engine is waited for, not the line.

The rule: where the fill falls below LOW of the lead and the pace is below 1, one step down; where the fill has not been
below CALM of the lead for UP_SECONDS, one step up. A step down is a lower bitrate (Opus) and a longer lead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from voxwire_protocol import messages as m

HUNGRY = 0.8
LOW = 0.4
CALM = 0.7

GAP_SECONDS = 0.3
WINDOW_SECONDS = 2.0
JUDGED_SECONDS = 0.5
"""So much flow is needed for a judgement."""
DOWN_SECONDS = 1.0
"""What a step down does shows only after a while."""
UP_SECONDS = 10.0

HEADROOM = 1.25
"""A line that carries less than this many times what is needed is narrow."""

BITRATE = 24_000
LEAD_MS = 500
"""What servers take unless they are asked or configured otherwise."""
BITRATES = (24_000, 16_000, 12_000)
LEADS = (1.0, 1.5, 2.5, 4.0)
LEAD_MS_MAX = 5000


@dataclass(frozen=True, slots=True)
class Level:
    """What to ask of the server; `bitrate` is None where the codec has none."""

    bitrate: int | None
    lead_ms: int

    def request(self, context: str) -> m.Configure:
        """The message that asks for it."""
        audio = None if self.bitrate is None else m.BitrateRequest(bitrate=self.bitrate)
        return m.Configure(context=context, audio=audio, pacing=m.PacingRequest(lead_ms=self.lead_ms))


@dataclass(frozen=True, slots=True)
class _Piece:
    gap_seconds: float
    seconds: float
    bytes: int


class Arrival:
    """How one context's audio arrives. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self, lead_ms: int) -> None:
        self.lead_seconds = lead_ms / 1000
        self._dry_at: float | None = None
        self._last_at: float | None = None
        self._flow: deque[_Piece] = deque()
        self._flow_seconds = 0.0

    def frame(self, seconds: float, size: int, now: float) -> float:
        """A frame of `seconds` and `size` bytes came; returns the fill just before it, in seconds."""
        fill = self.fill_seconds(now)
        gap = None if self._last_at is None else now - self._last_at
        self._last_at = now
        if fill >= HUNGRY * self.lead_seconds:
            self._forget()
        elif gap is not None and gap <= GAP_SECONDS:
            self._count(_Piece(gap, seconds, size))
        self._dry_at = now + fill + seconds
        return fill

    def fill_seconds(self, now: float) -> float:
        """What the listener has left to hear."""
        return 0.0 if self._dry_at is None else max(0.0, self._dry_at - now)

    @property
    def pace(self) -> float | None:
        """Seconds of audio a second, while the listener was hungry and audio flowed; None: not known."""
        if self._flow_seconds < JUDGED_SECONDS:
            return None
        return sum(piece.seconds for piece in self._flow) / self._flow_seconds

    @property
    def bytes_per_second(self) -> float | None:
        """The same in bytes of payload: what the line carries; None: not known."""
        if self._flow_seconds < JUDGED_SECONDS:
            return None
        return sum(piece.bytes for piece in self._flow) / self._flow_seconds

    def _count(self, piece: _Piece) -> None:
        self._flow.append(piece)
        self._flow_seconds += piece.gap_seconds
        while self._flow_seconds - self._flow[0].gap_seconds > WINDOW_SECONDS:
            self._flow_seconds -= self._flow.popleft().gap_seconds

    def _forget(self) -> None:
        self._flow.clear()
        self._flow_seconds = 0.0


class Adaptation:
    """The rule above for one context, from level to level."""

    @classmethod
    def of(cls, wanted: m.Start, granted: m.AudioInfo | None, step: int) -> Adaptation:
        """The rule for what was asked of the server, and granted unless it is not known yet."""
        audio, pacing = wanted.audio or m.AudioRequest(), wanted.pacing or m.PacingRequest()
        bitrate = None
        if (audio.codec if granted is None else granted.codec) == "opus":
            known = granted.bitrate if granted is not None and step == 0 else None
            bitrate = audio.bitrate or known or BITRATE
        return cls(bitrate, LEAD_MS if pacing.lead_ms is None else pacing.lead_ms, step)

    def __init__(self, bitrate: int | None, lead_ms: int, step: int = 0) -> None:
        """The highest level: Opus' bitrate (None: another codec), and the lead; and how many steps below it begins."""
        lower = [] if bitrate is None else [each for each in BITRATES if each < bitrate]
        bitrates = [bitrate, *lower] + [lower[-1] if lower else bitrate] * len(LEADS)
        self.levels = [
            Level(rate, max(lead_ms, min(LEAD_MS_MAX, round(lead_ms * factor))))
            for rate, factor in zip(bitrates, LEADS, strict=False)
        ]
        self.step = min(step, len(self.levels) - 1)
        """How many steps down it is."""
        self.arrival = Arrival(self.level.lead_ms)
        self.narrow = False
        """Whether the line was seen to carry this format without headroom."""
        self._changed_at: float | None = None
        self._calm_since: float | None = None

    @property
    def level(self) -> Level:
        """What is asked of the server now."""
        return self.levels[self.step]

    def frame(self, seconds: float, size: int, now: float) -> Level | None:
        """A frame came; what to ask of the server, if that is something else now."""
        arrival = self.arrival
        fill = arrival.frame(seconds, size, now)
        pace = arrival.pace
        if pace is not None and pace < HEADROOM:
            self.narrow = True
        if fill < CALM * arrival.lead_seconds or self._calm_since is None:
            self._calm_since = now
        low = fill < LOW * arrival.lead_seconds and pace is not None and pace < 1
        if low and self._settled(now, DOWN_SECONDS):
            return self._step(+1, now)
        if now - self._calm_since >= UP_SECONDS and self._settled(now, UP_SECONDS):
            return self._step(-1, now)
        return None

    def _settled(self, now: float, seconds: float) -> bool:
        return self._changed_at is None or now - self._changed_at >= seconds

    def _step(self, change: int, now: float) -> Level | None:
        step = min(max(0, self.step + change), len(self.levels) - 1)
        if step == self.step:
            return None
        self.step, self._changed_at, self._calm_since = step, now, now
        self.arrival.lead_seconds = self.level.lead_ms / 1000
        return self.level
