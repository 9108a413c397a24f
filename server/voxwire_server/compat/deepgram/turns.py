"""What `/v2/speak` remembers of a turn, and the messages that report on it. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Turn:
    """What is said between two Flushes. `pending` is text that waits: for the turn before, or to be told as unheard."""

    name: str
    speech_id: str
    speed: float | None
    chars: int = 0
    pending: list[str] = field(default_factory=list)
    flushed: bool = False
    started: bool = False
    offset_ms: int | None = None
    interrupted: bool = False
    samples: int = 0
    sample_rate: int = 24000

    @property
    def open(self) -> bool:
        """Whether it takes more text."""
        return not (self.flushed or self.interrupted)

    @property
    def duration_ms(self) -> int:
        """How much of it has been sent."""
        return self.samples * 1000 // self.sample_rate

    def metadata(self) -> dict[str, Any]:
        """What is reported of a turn."""
        return {
            "speech_id": self.speech_id,
            "audio_duration_ms": self.duration_ms,
            "input_character_count": self.chars,
            "billable_character_count": self.chars,
            "controls_applied": {"pronunciations_applied": 0, "breaks_applied": 0, "pronunciation_warnings": 0},
        }


@dataclass(slots=True)
class Totals:
    """A session's sums, on the clock of what the client has played: where the next turn begins, and where the last
    interrupt was."""

    position_ms: int = 0
    interrupted_ms: int = 0
    chars: int = 0

    def metadata(self) -> dict[str, Any]:
        """What is reported at a session's end."""
        return {
            "type": "SessionMetadata",
            "total_audio_duration_ms": self.position_ms,
            "total_input_character_count": self.chars,
            "total_billable_character_count": self.chars,
        }


def warning(code: str, description: str) -> dict[str, Any]:
    """Something to know."""
    return {"type": "Warning", "code": code, "description": description}
