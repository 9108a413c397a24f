"""Maps the numbers of a fresh session to those of the context that it continues, so that both count on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from voxwire_protocol import messages as m

TimelineMessage = m.ClauseStarted | m.Timing | m.Mark | m.Flushed | m.Done
"""Messages that name frames, samples or characters."""


@dataclass(frozen=True, slots=True)
class TimelineOffset:
    """Where a session begins on the caller's timeline: its first frame (`seq`), sample (`pts`) and character."""

    seq: int = 0
    pts: int = 0
    chars: int = 0

    def shift(self, message: TimelineMessage) -> TimelineMessage:
        """The message with the caller's numbers in place of the session's."""
        if self == NO_OFFSET:
            return message
        match message:
            case m.ClauseStarted():
                return replace(message, chars=self._range(message.chars), pts=message.pts + self.pts)
            case m.Timing():
                return self._timing(message)
            case m.Mark():
                return replace(message, pts=message.pts + self.pts)
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
        # The rest of the text may hold nothing speakable, such as an emoji, though the whole did.
        spoken_before = message.reason is m.DoneReason.NO_SPEAKABLE_TEXT and self.seq > 0
        return replace(
            message,
            reason=m.DoneReason.COMPLETED if spoken_before else message.reason,
            frames=message.frames + self.seq,
            samples=message.samples + self.pts,
            chars=message.chars + self.chars,
        )


NO_OFFSET = TimelineOffset()
