"""The nouns of captions: a cue, what stands in it, and how long and wide it may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_protocol.messages import WordTiming


@dataclass(frozen=True, slots=True)
class Layout:
    """What a cue may be.

    The defaults are those of Netflix' Timed Text Style Guide (42 characters a line, two lines, at most 7 seconds, half
    a second of staying on, 16 Chinese, Japanese or Korean characters a line) and the BBC's Subtitle Guidelines. A line
    of 42 columns holds sixteen wide characters.
    """

    line_columns: float = 42.0
    wide_columns: float = 42.0 / 16
    seconds_min: float = 1.0
    seconds_max: float = 7.0
    linger_seconds: float = 0.5
    """So long a cue stays after its last word, unless the next one comes."""
    gap_seconds: float = 2 / 24
    """Shorter gaps between cues flicker: they are closed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a line, and the first sample of what is said of it; None where that is not known of the piece."""

    text: str
    pts: int | None


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: shown from `start_pts` to before `end_pts`, which is no later than the next one's start.

    `chars` is the stretch of the original text that it shows; in its lines white space is a single space, and long
    stretches that are not spoken are an ellipsis. `words` are those that are said of it, as the server told them: none
    where the engine does not know when words sound.
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
