"""Carries one context over from a session that is gone to a fresh one, so that numbers and clocks go on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from voxwire_protocol import messages as m

Shifted = m.ClauseStarted | m.Timing | m.Flushed | m.Done
S = TypeVar("S", m.ClauseStarted, m.Timing, m.Flushed, m.Done)


@dataclass(frozen=True, slots=True)
class Seam:
    """Where what the server calls 0 lies for the caller: its first frame, its first sample, its first character."""

    seq: int = 0
    pts: int = 0
    chars: int = 0

    def shift(self, message: Shifted) -> Shifted:
        """What a message of the server's means for the caller."""
        if self == START:
            return message
        match message:
            case m.ClauseStarted():
                return replace(message, chars=self._range(message.chars), pts=message.pts + self.pts)
            case m.Timing():
                return self._timing(message)
            case m.Flushed():
                seq = message.seq + self.seq if message.seq is not None else self.seq - 1
                return replace(message, seq=seq if seq >= 0 else None)
            case m.Done():
                return self._done(message)

    def _range(self, chars: tuple[int, int]) -> tuple[int, int]:
        return chars[0] + self.chars, chars[1] + self.chars

    def _timing(self, message: m.Timing) -> m.Timing:
        pts = self.pts
        return replace(
            message,
            words=tuple(
                replace(word, chars=self._range(word.chars), pts=word.pts + pts, end_pts=word.end_pts + pts)
                for word in message.words
            ),
            phonemes=tuple(replace(each, pts=each.pts + pts, end_pts=each.end_pts + pts) for each in message.phonemes),
            visemes=tuple(replace(each, pts=each.pts + pts) for each in message.visemes),
        )

    def _done(self, message: m.Done) -> m.Done:
        # What was left may have been an emoji: the whole was speakable all the same.
        mute = message.reason is m.DoneReason.NO_SPEAKABLE_TEXT and self.seq > 0
        return replace(
            message,
            reason=m.DoneReason.COMPLETED if mute else message.reason,
            frames=message.frames + self.seq,
            samples=message.samples + self.pts,
            chars=message.chars + self.chars,
        )


START = Seam()
