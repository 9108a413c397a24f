"""Owns when each character of a context's text sounds: words' times spread over their characters, each told once.

The characters tile the time line: each lasts until the next begins, so that a client which adds up what it is told
arrives where the audio is. A character is told once its end is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_protocol.messages import WordTiming


@dataclass(frozen=True, slots=True)
class Alignment:
    """Characters and when each begins, in milliseconds of the context; the last ends at `end_ms`.

    `after_ms` is where the alignment before this one ended.
    """

    chars: tuple[str, ...]
    starts_ms: tuple[int, ...]
    end_ms: int
    after_ms: int

    def for_socket(self, *, cumulative: bool) -> dict[str, Any]:
        """As WebSocket messages have it: times from the alignment before, or from the start of the context."""
        base_ms = 0 if cumulative else self.after_ms
        return {
            "chars": list(self.chars),
            "charStartTimesMs": [start - base_ms for start in self.starts_ms],
            "charDurationsMs": [end - start for start, end in zip(self.starts_ms, self._ends_ms(), strict=True)],
        }

    def for_http(self) -> dict[str, Any]:
        """As HTTP responses have it: seconds from the start of the response."""
        return {
            "characters": list(self.chars),
            "character_start_times_seconds": [start / 1000 for start in self.starts_ms],
            "character_end_times_seconds": [end / 1000 for end in self._ends_ms()],
        }

    def _ends_ms(self) -> tuple[int, ...]:
        return (*self.starts_ms[1:], self.end_ms)


class Aligner:
    """Aligns one context. Positions and characters are code points, pts are samples at `sample_rate`."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._untimed: deque[str] = deque()
        self._position = 0  # in the text, of the first character without a time
        self._timed: deque[tuple[str, int]] = deque()  # characters with a time that have not been told, and their pts
        self._timed_until = 0
        self._told_ms = 0

    def add(self, text: str) -> None:
        """More text of the context, exactly as it is told to the session."""
        self._untimed.extend(text)

    def time(self, words: Iterable[WordTiming]) -> None:
        """Words have times; what stands between them fills the gaps."""
        for word in words:
            start, end = word.chars
            self._spread(start, word.pts)
            self._timed_until = max(self._timed_until, word.pts)
            self._spread(end, word.end_pts)

    def told(self, until_pts: int) -> Alignment | None:
        """What begins before `until_pts`, has an end, and has not been told."""
        chars: list[str] = []
        starts_ms: list[int] = []
        while len(self._timed) > 1 and self._timed[0][1] < until_pts:
            char, pts = self._timed.popleft()
            chars.append(char)
            starts_ms.append(self._ms(pts))
        return self._alignment(chars, starts_ms, self._ms(self._timed[0][1])) if chars else None

    def settle(self, position: int, end_pts: int) -> Alignment | None:
        """The text up to `position` has been spoken, its audio ends at `end_pts`: what of it has not been told."""
        if position < self._position:
            return None
        self._spread(position, max(end_pts, self._timed_until))
        chars = [char for char, _ in self._timed]
        starts_ms = [self._ms(pts) for _, pts in self._timed]
        self._timed.clear()
        end_ms = max(self._ms(end_pts), *starts_ms) if starts_ms else 0
        self._timed_until = max(end_pts, self._timed_until)
        return self._alignment(chars, starts_ms, end_ms) if chars else None

    def _spread(self, position: int, until_pts: int) -> None:
        """Time the characters up to a position evenly, from where the last ones ended."""
        count = min(position - self._position, len(self._untimed))
        if count > 0:
            first, span = self._timed_until, max(0, until_pts - self._timed_until)
            for i in range(count):
                self._timed.append((self._untimed.popleft(), first + span * i // count))
            self._position += count
        self._timed_until = max(self._timed_until, until_pts)

    def _alignment(self, chars: list[str], starts_ms: list[int], end_ms: int) -> Alignment:
        after_ms, self._told_ms = self._told_ms, end_ms
        return Alignment(tuple(chars), tuple(starts_ms), end_ms, after_ms)

    def _ms(self, pts: int) -> int:
        return pts * 1000 // self._sample_rate
