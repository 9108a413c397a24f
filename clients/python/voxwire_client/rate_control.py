"""Adapts bitrate and lead to the network link: measures the player's buffer, and says what to ask of the server. Pure.

The player is modelled as one that starts with the first frame and pauses while its buffer is empty. In realtime pacing
the server keeps the buffer at `lead_ms`, and sends as fast as it can while it is lower. So the audio that arrives while
the buffer is below REFILL of the lead shows the link's throughput, in seconds of audio per second. Gaps of more than
GAP_SECONDS are left out: there the text or the engine was slow, not the link.

The rule: when the buffer falls below LOW of the lead and the throughput is below 1, one step down; when the buffer has
not been below STEADY of the lead for UP_SECONDS, one step up. A step down is a lower bitrate (Opus) and a longer lead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from voxwire_protocol import messages as m

REFILL = 0.8
LOW = 0.4
STEADY = 0.7

GAP_SECONDS = 0.3
WINDOW_SECONDS = 2.0
JUDGED_SECONDS = 0.5
"""The throughput is unknown until so much arrival time was measured."""
DOWN_SECONDS = 1.0
"""The effect of a step down shows only after so long."""
UP_SECONDS = 10.0

HEADROOM = 1.25
"""A link with less than this throughput is narrow."""

BITRATE = 24_000
LEAD_MS = 500
"""The servers' defaults."""
BITRATES = (24_000, 16_000, 12_000)
LEADS = (1.0, 1.5, 2.5, 4.0)
LEAD_MS_MAX = 5000


@dataclass(frozen=True, slots=True)
class RateLevel:
    """What to ask of the server: bits per second, None where the codec has no bitrate, and the lead."""

    bitrate: int | None
    lead_ms: int

    def request(self, context: str) -> m.Configure:
        """The message that asks for it."""
        audio = None if self.bitrate is None else m.BitrateRequest(bitrate=self.bitrate)
        return m.Configure(context=context, audio=audio, pacing=m.PacingRequest(lead_ms=self.lead_ms))


@dataclass(frozen=True, slots=True)
class _Arrival:
    gap_seconds: float
    seconds: float
    bytes: int


class BufferMonitor:
    """The player's buffer of one context, and the link's throughput. Times are seconds of one monotonic clock."""

    def __init__(self, lead_ms: int) -> None:
        self.lead_seconds = lead_ms / 1000
        self._empty_at: float | None = None
        self._last_at: float | None = None
        self._arrivals: deque[_Arrival] = deque()
        self._measured_seconds = 0.0

    def frame(self, seconds: float, size: int, now: float) -> float:
        """A frame of `seconds` and `size` bytes came; returns the seconds that were buffered just before it."""
        buffered = self.buffered_seconds(now)
        gap = None if self._last_at is None else now - self._last_at
        self._last_at = now
        if buffered >= REFILL * self.lead_seconds:
            self._reset()
        elif gap is not None and gap <= GAP_SECONDS:
            self._add(_Arrival(gap, seconds, size))
        self._empty_at = now + buffered + seconds
        return buffered

    def buffered_seconds(self, now: float) -> float:
        """Audio that was received and not played yet."""
        return 0.0 if self._empty_at is None else max(0.0, self._empty_at - now)

    @property
    def throughput(self) -> float | None:
        """Seconds of audio per second, while the buffer was being refilled; None while it is unknown."""
        if self._measured_seconds < JUDGED_SECONDS:
            return None
        return sum(arrival.seconds for arrival in self._arrivals) / self._measured_seconds

    @property
    def bytes_per_second(self) -> float | None:
        """The same in bytes of payload per second."""
        if self._measured_seconds < JUDGED_SECONDS:
            return None
        return sum(arrival.bytes for arrival in self._arrivals) / self._measured_seconds

    def _add(self, arrival: _Arrival) -> None:
        self._arrivals.append(arrival)
        self._measured_seconds += arrival.gap_seconds
        while self._measured_seconds - self._arrivals[0].gap_seconds > WINDOW_SECONDS:
            self._measured_seconds -= self._arrivals.popleft().gap_seconds

    def _reset(self) -> None:
        self._arrivals.clear()
        self._measured_seconds = 0.0


class RateController:
    """Applies the rule above to one context: chooses among its `levels`."""

    @classmethod
    def for_context(cls, start: m.Start, granted: m.AudioInfo | None, step: int) -> RateController:
        """The controller for a `start` and the format that the server granted, None where it has not answered yet."""
        audio, pacing = start.audio or m.AudioRequest(), start.pacing or m.PacingRequest()
        bitrate = None
        if (audio.codec if granted is None else granted.codec) == "opus":
            known = granted.bitrate if granted is not None and step == 0 else None
            bitrate = audio.bitrate or known or BITRATE
        return cls(bitrate, LEAD_MS if pacing.lead_ms is None else pacing.lead_ms, step)

    def __init__(self, bitrate: int | None, lead_ms: int, step: int = 0) -> None:
        """`bitrate` (None: not Opus) and `lead_ms` are the highest level; it begins `step` levels below."""
        lower = [] if bitrate is None else [each for each in BITRATES if each < bitrate]
        bitrates = [bitrate, *lower] + [lower[-1] if lower else bitrate] * len(LEADS)
        self.levels = [
            RateLevel(rate, max(lead_ms, min(LEAD_MS_MAX, round(lead_ms * factor))))
            for rate, factor in zip(bitrates, LEADS, strict=False)
        ]
        self.step = min(step, len(self.levels) - 1)
        """How many steps below the highest level it is."""
        self.buffer = BufferMonitor(self.level.lead_ms)
        self.narrow = False
        """Whether the link was measured to carry this format without headroom."""
        self._changed_at: float | None = None
        self._steady_since: float | None = None

    @property
    def level(self) -> RateLevel:
        """What is asked of the server now."""
        return self.levels[self.step]

    def frame(self, seconds: float, size: int, now: float) -> RateLevel | None:
        """A frame of `seconds` and `size` bytes came; returns what to ask of the server where the level changes."""
        buffer = self.buffer
        buffered = buffer.frame(seconds, size, now)
        throughput = buffer.throughput
        if throughput is not None and throughput < HEADROOM:
            self.narrow = True
        if buffered < STEADY * buffer.lead_seconds or self._steady_since is None:
            self._steady_since = now
        low = buffered < LOW * buffer.lead_seconds and throughput is not None and throughput < 1
        if low and self._settled(now, DOWN_SECONDS):
            return self._step(+1, now)
        if now - self._steady_since >= UP_SECONDS and self._settled(now, UP_SECONDS):
            return self._step(-1, now)
        return None

    def _settled(self, now: float, seconds: float) -> bool:
        return self._changed_at is None or now - self._changed_at >= seconds

    def _step(self, change: int, now: float) -> RateLevel | None:
        step = min(max(0, self.step + change), len(self.levels) - 1)
        if step == self.step:
            return None
        self.step, self._changed_at, self._steady_since = step, now, now
        self.buffer.lead_seconds = self.level.lead_ms / 1000
        return self.level
