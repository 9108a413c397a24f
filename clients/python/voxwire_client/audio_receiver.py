"""What was received of one context, over all server sessions that synthesised it, and what of it has been heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_client.event_queue import EventQueue
from voxwire_client.events import Audio
from voxwire_client.playout_clock import PlayoutClock
from voxwire_client.timeline_offset import NO_OFFSET, TimelineOffset
from voxwire_client.transcript import Transcript
from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame, Flag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_client.text_sender import Flush
    from voxwire_client.timeline_offset import TimelineMessage


class AudioReceiver:
    """Puts what the server sends into `events`, with the caller's numbers instead of the session's.

    After a fresh session has taken over, `seq`, `pts` and `chars` go on where the former session stopped. What the
    listener has heard is known from `playout` and `transcript`.
    """

    def __init__(self, context: str) -> None:
        self.context = context
        self.events = EventQueue()
        self.playout = PlayoutClock()
        self.transcript = Transcript()
        self.started: m.Started | None = None
        self.done: m.Done | None = None
        self.cancelled: m.Cancelled | None = None
        self.cancelled_pts: int | None = None
        """Where the listener was when the speech was cancelled."""
        self._offset = NO_OFFSET
        self._received_seq = -1
        self._utterance_end_pts = 0
        self._last_ack: m.Ack | None = None

    # -- what the server sends --------------------------------------------------------------------------------------

    def on_started(self, message: m.Started) -> None:
        """The context is open. A fresh session's `started` is an event only where the audio format differs."""
        known, self.started = self.started, message
        self.playout.sample_rate = message.audio.sample_rate
        if known is None or known.audio != message.audio:
            self.events.put(message)

    def on_frame(self, frame: AudioFrame, now: float) -> Audio | None:
        """An audio frame came; None for one that had come before."""
        assert self.started is not None, "frames come after `started`"
        offset, info = self._offset, self.started.audio
        seq = frame.seq + offset.seq
        if seq <= self._received_seq:
            return None
        pts = frame.pts + offset.pts
        audio = Audio(frame.payload, pts, seq, frame.flags, info.codec, info.sample_rate, info.frame_samples)
        self._received_seq = seq
        if Flag.LAST in frame.flags:
            self._utterance_end_pts = audio.end_pts
        self.playout.received(audio.end_pts, now)
        self.events.put(audio)
        return audio

    def on_message(self, message: TimelineMessage) -> TimelineMessage:
        """A message about the audio came; returns it with the caller's numbers, for the caller to put into `events`."""
        shifted = self._offset.shift(message)
        match shifted:
            case m.ClauseStarted():
                self.transcript.clause(shifted)
            case m.Timing():
                self.transcript.timing(shifted)
            case _:
                pass
        return shifted

    def on_cancelled(self, message: m.Cancelled) -> None:
        """The server reports what was heard. A fresh session does not know what former sessions spoke."""
        if self.cancelled is None:
            pts = self.cancelled_pts
            within_session = pts is None or pts >= self._offset.pts
            self.cancelled = self._shift_report(message) if within_session or pts is None else self.report(pts)
            self.events.put(self.cancelled)

    def _shift_report(self, message: m.Cancelled) -> m.Cancelled:
        offset, text = self._offset, self.transcript.text
        if offset == NO_OFFSET:
            return message
        chars = offset.chars + message.heard.chars
        return m.Cancelled(
            context=message.context,
            sent_seq=offset.seq - 1 if message.sent_seq is None else offset.seq + message.sent_seq,
            heard=m.Heard(pts=offset.pts + message.heard.pts, chars=chars, text=text[:chars], word=message.heard.word),
            unheard=m.Unheard(chars=len(text) - chars, text=text[chars:]),
        )

    def finish(self, done: m.Done, error: Exception | None) -> None:
        """Nothing more comes; `error` is why, if the speech failed."""
        self.done = done
        if error is None:
            self.events.put(done)
        self.events.close(error)

    # -- computed without the server --------------------------------------------------------------------------------

    def report(self, pts: int) -> m.Cancelled:
        """What was heard up to `pts`, from the timings that were received."""
        end_pts = self.done.samples if self.done is not None else None
        heard, unheard = self.transcript.heard(min(pts, self.playout.received_pts), end_pts)
        sent_seq = self._received_seq if self._received_seq >= 0 else None
        return m.Cancelled(context=self.context, sent_seq=sent_seq, heard=heard, unheard=unheard)

    def finish_locally(self, reason: m.DoneReason) -> None:
        """End with what was received, where the server's own `done` will not come, or comes too late."""
        frames, samples = self._received_seq + 1, self.playout.received_pts
        chars = self.transcript.chars
        done = m.Done(context=self.context, reason=reason, frames=frames, samples=samples, chars=chars)
        self.finish(done, None)

    def report_locally(self) -> None:
        """Answer a cancel in the server's place. Without effect when it is answered, or the context is over."""
        if self.cancelled is None and self.done is None:
            self.cancelled = self.report(self.cancelled_pts or 0)
            self.events.put(self.cancelled)
            self.finish_locally(m.DoneReason.CANCELLED)

    # -- over sessions ----------------------------------------------------------------------------------------------

    def to_session_pts(self, pts: int | None) -> int | None:
        """A pts of the caller's on the clock of the current session; 0 where an earlier session spoke it."""
        return None if pts is None else max(0, pts - self._offset.pts)

    @property
    def received_session_seq(self) -> int | None:
        """The newest frame of the current session, by the session's own number; None where none came."""
        seq = self._received_seq - self._offset.seq
        return seq if seq >= 0 else None

    def next_ack(self, now: float) -> m.Ack | None:
        """The `ack` for the audio received and played; None where it would be the same as the last one."""
        seq = self.received_session_seq
        if seq is None:
            return None
        ack = m.Ack(context=self.context, seq=seq, played_pts=self.to_session_pts(self.playout.position(now)))
        if ack == self._last_ack:
            return None
        self._last_ack = ack
        return ack

    def restart(self) -> tuple[int, int]:
        """A fresh session takes over; returns the pts and the character at which it goes on."""
        pts = self.playout.received_pts
        chars = self.transcript.first_unheard(pts, self._utterance_end_pts)
        self.transcript.cut(pts, chars)
        self._offset = TimelineOffset(seq=self._received_seq + 1, pts=pts, chars=chars)
        self._last_ack = None
        return pts, chars

    def put_flushed(self, flushes: Iterable[Flush]) -> None:
        """Report flushes as done whose audio was received, though the server's `flushed` was lost."""
        for flush in flushes:
            self.events.put(m.Flushed(context=self.context, id=flush.id, seq=self._received_seq))

    def complete_at(self, chars: int) -> bool:
        """Whether audio was received, and the text from a character on holds nothing but white space."""
        return self._received_seq >= 0 and not self.transcript.text[chars:].strip()
