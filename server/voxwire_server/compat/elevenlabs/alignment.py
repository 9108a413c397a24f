"""Owns when each character of a context's text sounds: words' times spread over their characters, each told once.

The characters tile the time line: each lasts until the next begins, so that a client which adds up what it is told
arrives where the audio is. A character is told once its end is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain
from operator import sub
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voxwire_protocol.messages import WordTiming

ALIGNMENT_CHARS_MAX = 2000
"""Characters of one alignment: `websockets` reads messages of 1 MiB at most, and a character takes up to 40 bytes."""


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
            "charStartTimesMs": list(map((-base_ms).__add__, self.starts_ms)),
            "charDurationsMs": list(map(sub, self._ends_ms(), self.starts_ms)),
        }

    def for_http(self) -> dict[str, Any]:
        """As HTTP responses have it: seconds from the start of the response."""
        return {
            "characters": list(self.chars),
            "character_start_times_seconds": [start / 1000 for start in self.starts_ms],
            "character_end_times_seconds": [end / 1000 for end in self._ends_ms()],
        }

    def parts(self) -> Iterator[Alignment]:
        """The same in alignments of at most ALIGNMENT_CHARS_MAX characters."""
        after_ms, size = self.after_ms, ALIGNMENT_CHARS_MAX
        for at in range(0, len(self.chars), size):
            end_ms = (*self.starts_ms[at + size : at + size + 1], self.end_ms)[0]
            yield Alignment(self.chars[at : at + size], self.starts_ms[at : at + size], end_ms, after_ms)
            after_ms = end_ms

    def _ends_ms(self) -> tuple[int, ...]:
        return (*self.starts_ms[1:], self.end_ms)


Timed = tuple[str, "np.ndarray[Any, np.dtype[np.int64]]"]
"""Characters in a row, and when each begins, in samples."""


class Aligner:
    """Aligns one context. Positions and characters are code points, pts are samples at `sample_rate`."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._untimed: deque[str] = deque()
        self._untimed_chars = 0
        self._position = 0  # in the text, of the first character without a time
        self._timed: deque[Timed] = deque()  # characters with a time that have not been told
        self._timed_chars = 0
        self._timed_until = 0
        self._told_ms = 0

    def add(self, text: str) -> None:
        """More text of the context, exactly as it is told to the session."""
        if text:
            self._untimed.append(text)
            self._untimed_chars += len(text)

    def time(self, words: Iterable[WordTiming]) -> None:
        """Words have times; what stands between them fills the gaps."""
        for word in words:
            start, end = word.chars
            self._spread(start, word.pts)
            self._timed_until = max(self._timed_until, word.pts)
            self._spread(end, word.end_pts)

    def told(self, until_pts: int) -> Alignment | None:
        """What begins before `until_pts`, has an end, and has not been told."""
        found: list[Timed] = []
        left = self._timed_chars - 1  # the last one has no end yet
        while left > 0:
            chars, pts = self._timed.popleft()
            count = min(int(np.searchsorted(pts, until_pts)), left)
            if count < len(chars):
                self._timed.appendleft((chars[count:], pts[count:]))
            if count:
                found.append((chars[:count], pts[:count]))
                left -= count
            if count < len(chars):
                break
        self._timed_chars -= sum(len(chars) for chars, _ in found)
        return self._alignment(found, self._ms(int(self._timed[0][1][0]))) if found else None

    def settle(self, position: int, end_pts: int) -> Alignment | None:
        """The text up to `position` has been spoken, its audio ends at `end_pts`: what of it has not been told."""
        if position < self._position:
            return None
        self._spread(position, max(end_pts, self._timed_until))
        found = list(self._timed)
        self._timed.clear()
        self._timed_chars = 0
        self._timed_until = max(end_pts, self._timed_until)
        return self._alignment(found, self._ms(end_pts)) if found else None

    def _spread(self, position: int, until_pts: int) -> None:
        """Time the characters up to a position evenly, from where the last ones ended."""
        count = min(position - self._position, self._untimed_chars)
        if count > 0:
            first, span = self._timed_until, max(0, until_pts - self._timed_until)
            pts = first + span * np.arange(count, dtype=np.int64) // count
            self._timed.append((self._next_chars(count), pts))
            self._timed_chars += count
            self._position += count
        self._timed_until = max(self._timed_until, until_pts)

    def _next_chars(self, count: int) -> str:
        """Take the first characters that have no time."""
        self._untimed_chars -= count
        parts: list[str] = []
        while count:
            part = self._untimed.popleft()
            if len(part) > count:
                self._untimed.appendleft(part[count:])
                part = part[:count]
            parts.append(part)
            count -= len(part)
        return "".join(parts)

    def _alignment(self, timed: list[Timed], end_ms: int) -> Alignment:
        """An alignment of some characters at the least; the last ends at `end_ms`, or where it begins."""
        starts = [(pts * 1000 // self._sample_rate).tolist() for _, pts in timed]
        end_ms = max(end_ms, starts[-1][-1])
        after_ms, self._told_ms = self._told_ms, end_ms
        return Alignment(tuple("".join(chars for chars, _ in timed)), tuple(chain(*starts)), end_ms, after_ms)

    def _ms(self, pts: int) -> int:
        return pts * 1000 // self._sample_rate
