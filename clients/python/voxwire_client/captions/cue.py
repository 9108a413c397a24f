"""A caption's cue, the segments of its lines, and the limits of its length and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_protocol.messages import WordTiming


@dataclass(frozen=True, slots=True)
class Layout:
    """The limits of a cue.

    The defaults are those of Netflix' Timed Text Style Guide (42 characters a line, two lines, at most 7 seconds, half
    a second of staying on, 16 Chinese, Japanese or Korean characters a line) and the BBC's Subtitle Guidelines. A line
    of 42 columns holds sixteen wide characters.
    """

    line_columns: float = 42.0
    wide_columns: float = 42.0 / 16
    seconds_min: float = 1.0
    seconds_max: float = 7.0
    linger_seconds: float = 0.5
    """How long a cue stays after its last word, unless the next one comes."""
    gap_seconds: float = 2 / 24
    """Shorter gaps between cues would flicker: the earlier cue is extended to close them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a line, and the first sample of its speech; None where it has no time of its own."""

    text: str
    pts: int | None


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: shown from `start_pts` to before `end_pts`, which is no later than the next one's start.

    `chars` is the range of the original text that it shows; in its lines white space is a single space, and long
    unspoken parts are an ellipsis. `words` are its spoken words as the server sent them: none where the engine has no
    word times.
    """

    start_pts: int
    end_pts: int
    chars: tuple[int, int]
    lines: tuple[tuple[Segment, ...], ...]
    words: tuple[WordTiming, ...]

    @property
    def text(self) -> str:
        """Its lines."""
        return "\n".join("".join(segment.text for segment in line) for line in self.lines)
