"""When each character of a context is heard, and the chunks in which audio and characters are sent. No I/O.

ElevenLabs' clients add up the durations of characters. So the characters cover the whole time line: each lasts until
the next one begins, and is sent once its end is known. Words' times are spread evenly over their characters.
"""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass
from itertools import chain
from operator import sub
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voxwire_protocol.messages import Timing, WordTiming
    from voxwire_server.compat.session import EncodedAudio

ALIGNMENT_CHARS_MAX = 2000
"""Characters of one alignment: `websockets` reads messages of 1 MiB at most, and a character takes up to 40 bytes."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Characters and when each begins, in milliseconds of the context; the last ends at `end_ms`.

    `after_ms` is where the previous alignment ended.
    """

    chars: tuple[str, ...]
    starts_ms: tuple[int, ...]
    end_ms: int
    after_ms: int

    def for_websocket(self, *, cumulative: bool) -> dict[str, Any]:
        """The fields of a WebSocket message. Times count from the previous alignment; `cumulative`: from the start."""
        base_ms = 0 if cumulative else self.after_ms
        return {
            "chars": list(self.chars),
            "charStartTimesMs": list(map((-base_ms).__add__, self.starts_ms)),
            "charDurationsMs": list(map(sub, self._ends_ms(), self.starts_ms)),
        }

    def for_http(self) -> dict[str, Any]:
        """The fields of an HTTP response; times in seconds from its start."""
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


TimedChars = tuple[str, "np.ndarray[Any, np.dtype[np.int64]]"]
"""Consecutive characters, and when each begins, in samples."""


class Aligner:
    """Aligns one context. Positions and characters are code points, pts are samples at `sample_rate`."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._untimed: deque[str] = deque()
        self._untimed_chars = 0
        self._position = 0  # in the text, of the first character without a time
        self._timed: deque[TimedChars] = deque()  # characters with a time that have not been returned
        self._timed_chars = 0
        self._timed_until = 0
        self._returned_ms = 0

    def add(self, text: str) -> None:
        """Append text of the context, exactly as it is sent to the session."""
        if text:
            self._untimed.append(text)
            self._untimed_chars += len(text)

    def add_timings(self, words: Iterable[WordTiming]) -> None:
        """Add the times of words; the characters between words fill the gaps."""
        for word in words:
            start, end = word.chars
            self._spread(start, word.pts)
            self._timed_until = max(self._timed_until, word.pts)
            self._spread(end, word.end_pts)

    def take_until(self, until_pts: int) -> Alignment | None:
        """The characters that begin before `until_pts`, have an end, and were not returned before."""
        found: list[TimedChars] = []
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

    def complete(self, position: int, end_pts: int) -> Alignment | None:
        """The text up to `position` has been spoken, up to `end_pts`: its characters that were not returned before."""
        if position < self._position:
            return None
        self._spread(position, max(end_pts, self._timed_until))
        found = list(self._timed)
        self._timed.clear()
        self._timed_chars = 0
        self._timed_until = max(end_pts, self._timed_until)
        return self._alignment(found, self._ms(end_pts)) if found else None

    def _spread(self, position: int, until_pts: int) -> None:
        """Spread the characters up to `position` evenly over the time up to `until_pts`."""
        count = min(position - self._position, self._untimed_chars)
        if count > 0:
            first, span = self._timed_until, max(0, until_pts - self._timed_until)
            pts = first + span * np.arange(count, dtype=np.int64) // count
            self._timed.append((self._next_chars(count), pts))
            self._timed_chars += count
            self._position += count
        self._timed_until = max(self._timed_until, until_pts)

    def _next_chars(self, count: int) -> str:
        """Take the first characters without a time."""
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

    def _alignment(self, timed: list[TimedChars], end_ms: int) -> Alignment:
        """An alignment of at least one character; the last ends at `end_ms`, but not before it begins."""
        starts = [(pts * 1000 // self._sample_rate).tolist() for _, pts in timed]
        end_ms = max(end_ms, starts[-1][-1])
        after_ms, self._returned_ms = self._returned_ms, end_ms
        return Alignment(tuple("".join(chars for chars, _ in timed)), tuple(chain(*starts)), end_ms, after_ms)

    def _ms(self, pts: int) -> int:
        return pts * 1000 // self._sample_rate


CHUNK_BYTES = 48_000
"""A second of 24 kHz PCM. aiohttp reads lines of 128 KiB at most, `websockets` messages of 1 MiB."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio, and the characters that are sent with it."""

    audio: bytes
    alignment: Alignment | None

    def for_websocket(self, *, cumulative: bool) -> dict[str, Any]:
        """The fields of a WebSocket message."""
        alignment = self.alignment and self.alignment.for_websocket(cumulative=cumulative)
        return {"audio": self._base64(), "alignment": alignment, "normalizedAlignment": alignment}

    def for_http(self) -> dict[str, Any]:
        """The fields of a line of an HTTP response."""
        alignment = self.alignment and self.alignment.for_http()
        return {"audio_base64": self._base64(), "alignment": alignment, "normalized_alignment": alignment}

    def _base64(self) -> str:
        return base64.b64encode(self.audio).decode()


class Chunker:
    """Splits the audio of one context into chunks."""

    def __init__(self, sample_rate: int) -> None:
        self._aligner = Aligner(sample_rate)
        self._end_pts = 0
        self.chars = 0
        """The number of characters so far."""

    def add(self, text: str) -> None:
        """Append text of the context, exactly as it is sent to the session."""
        self.chars += len(text)
        self._aligner.add(text)

    def add_timings(self, timing: Timing) -> None:
        """Add the timings of the audio that follows."""
        self._aligner.add_timings(timing.words)

    def audio(self, audio: EncodedAudio) -> Iterator[Chunk]:
        """The chunks of a part of the audio."""
        self._end_pts = audio.end_pts
        size = len(audio.payload)
        for at in range(0, size, CHUNK_BYTES):
            end = min(at + CHUNK_BYTES, size)
            until_pts = audio.pts + (audio.end_pts - audio.pts) * end // size
            yield Chunk(audio.payload[at:end], self._aligner.take_until(until_pts))

    def complete(self, position: int | None = None) -> Iterator[Chunk]:
        """The text up to `position` (None: all) has been spoken: chunks with those of its characters that are left."""
        alignment = self._aligner.complete(self.chars if position is None else position, self._end_pts)
        if alignment is not None:
            for part in alignment.parts():
                yield Chunk(b"", part)
