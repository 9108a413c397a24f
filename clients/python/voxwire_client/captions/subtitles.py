"""Writes cues as SubRip (SRT) and as WebVTT (https://www.w3.org/TR/webvtt1/). Pure: text comes out.

Both are UTF-8 with LF, which all players take. SubRip has no escapes; what looks like a tag stays as it is.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from voxwire_client.captions.cue import Cue, Segment


class SubtitleFormat(Protocol):
    """A file is the header, then every cue in its order."""

    @property
    def header(self) -> str:
        """What a file begins with."""

    def cue(self, cue: Cue, sample_rate: int) -> str:
        """A cue as it is written."""


class SrtFormat:
    """SubRip; numbers the cues from 1 on, so one object writes one file."""

    header = ""

    def __init__(self) -> None:
        self._number = 0

    def cue(self, cue: Cue, sample_rate: int) -> str:
        """A number, the times with decimal commas, the lines, a blank line."""
        self._number += 1
        start, end = (_time(_milliseconds(pts, sample_rate), ",") for pts in (cue.start_pts, cue.end_pts))
        return f"{self._number}\n{start} --> {end}\n{cue.text}\n\n"


class VttFormat:
    """WebVTT. `word_times` marks when each word begins, for players that highlight words."""

    header = "WEBVTT\n\n"

    def __init__(self, *, word_times: bool = False) -> None:
        self._word_times = word_times

    def cue(self, cue: Cue, sample_rate: int) -> str:
        """The times, the lines, a blank line."""
        start, end = _milliseconds(cue.start_pts, sample_rate), _milliseconds(cue.end_pts, sample_rate)
        latest = start
        lines: list[str] = []
        for line in cue.lines:
            written = ""
            for segment in line:
                at = self._mark(segment, sample_rate)
                # A cue's timestamps must rise, and lie between its own (4.2.2 of the specification).
                if at is not None and latest < at < end:
                    written += f"<{_time(at, '.')}>"
                    latest = at
                text = html.escape(segment.text, quote=False)
                # Players can style spans, but not bare text.
                written += f"<c>{text}</c>" if at is not None else text
            lines.append(written)
        text = "\n".join(lines)
        return f"{_time(start, '.')} --> {_time(end, '.')}\n{text}\n\n"

    def _mark(self, segment: Segment, sample_rate: int) -> int | None:
        if not self._word_times or segment.pts is None:
            return None
        return _milliseconds(segment.pts, sample_rate)


def _milliseconds(pts: int, sample_rate: int) -> int:
    return (pts * 1000 + sample_rate // 2) // sample_rate


def _time(milliseconds: int, mark: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{milliseconds:03}"
