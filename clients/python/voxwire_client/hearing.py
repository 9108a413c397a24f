"""What came of one context, across all sessions that spoke it, and what its listener has heard of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_client.events import Audio, Inbox
from voxwire_client.playout import PlayoutClock
from voxwire_client.seam import START, Seam
from voxwire_client.transcript import Transcript
from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame, Flag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_client.seam import Shifted
    from voxwire_client.writing import Flush


class Hearing:
    """Numbers and clocks are the caller's; what the server says is moved behind the seam first."""

    def __init__(self, context: str) -> None:
        self.context = context
        self.inbox = Inbox()
        self.playout = PlayoutClock()
        self.transcript = Transcript()
        self.started: m.Started | None = None
        self.done: m.Done | None = None
        self.cancelled: m.Cancelled | None = None
        self.cancelled_pts: int | None = None
        """Where the listener was when the speech was cancelled."""
        self._seam = START
        self._received_seq = -1
        self._whole_pts = 0
        self._acked: m.Ack | None = None

    # -- what comes -------------------------------------------------------------------------------------------------

    def start(self, message: m.Started) -> None:
        """The context is open; told once, unless a fresh session speaks it otherwise."""
        known, self.started = self.started, message
        self.playout.sample_rate = message.audio.sample_rate
        if known is None or known.audio != message.audio:
            self.inbox.put(message)

    def frame(self, frame: AudioFrame, now: float) -> Audio | None:
        """An audio frame came; None for one that had come before."""
        assert self.started is not None, "frames come after `started`"
        seam, info = self._seam, self.started.audio
        seq = frame.seq + seam.seq
        if seq <= self._received_seq:
            return None
        pts = frame.pts + seam.pts
        audio = Audio(frame.payload, pts, seq, frame.flags, info.codec, info.sample_rate, info.frame_samples)
        self._received_seq = seq
        if Flag.LAST in frame.flags:
            self._whole_pts = audio.end_pts
        self.playout.received(audio.end_pts, now)
        self.inbox.put(audio)
        return audio

    def note(self, message: Shifted) -> Shifted:
        """Something about the audio came; returns what it means for the caller."""
        shifted = self._seam.shift(message)
        match shifted:
            case m.ClauseStarted():
                self.transcript.clause(shifted)
            case m.Timing():
                self.transcript.timing(shifted)
            case _:
                pass
        return shifted

    def cancel(self, message: m.Cancelled) -> None:
        """The server says what was heard; it knows nothing of what came before the seam."""
        if self.cancelled is None:
            pts = self.cancelled_pts
            known = pts is None or pts >= self._seam.pts
            self.cancelled = self._spanning(message) if known or pts is None else self.report(pts)
            self.inbox.put(self.cancelled)

    def _spanning(self, message: m.Cancelled) -> m.Cancelled:
        seam, text = self._seam, self.transcript.text
        if seam == START:
            return message
        chars = seam.chars + message.heard.chars
        return m.Cancelled(
            context=message.context,
            sent_seq=seam.seq - 1 if message.sent_seq is None else seam.seq + message.sent_seq,
            heard=m.Heard(pts=seam.pts + message.heard.pts, chars=chars, text=text[:chars], word=message.heard.word),
            unheard=m.Unheard(chars=len(text) - chars, text=text[chars:]),
        )

    def finish(self, done: m.Done, error: Exception | None) -> None:
        """Nothing more comes; `error` is why, if the speech failed."""
        self.done = done
        if error is None:
            self.inbox.put(done)
        self.inbox.close(error)

    # -- what is worked out here --------------------------------------------------------------------------------------

    def report(self, pts: int) -> m.Cancelled:
        """What was heard up to `pts`, as far as can be known here."""
        end_pts = self.done.samples if self.done is not None else None
        heard, unheard = self.transcript.heard(min(pts, self.playout.received_pts), end_pts)
        sent_seq = self._received_seq if self._received_seq >= 0 else None
        return m.Cancelled(context=self.context, sent_seq=sent_seq, heard=heard, unheard=unheard)

    def finish_here(self, reason: m.DoneReason) -> None:
        """End with what was received, as the server's own end will not come, or comes too late."""
        frames, samples = self._received_seq + 1, self.playout.received_pts
        chars = self.transcript.chars
        done = m.Done(context=self.context, reason=reason, frames=frames, samples=samples, chars=chars)
        self.finish(done, None)

    def report_here(self) -> None:
        """Answer a cancel in the server's place. Without effect when it is answered, or over."""
        if self.cancelled is None and self.done is None:
            self.cancelled = self.report(self.cancelled_pts or 0)
            self.inbox.put(self.cancelled)
            self.finish_here(m.DoneReason.CANCELLED)

    # -- over sessions ------------------------------------------------------------------------------------------------

    def there(self, pts: int | None) -> int | None:
        """A place of the caller's on the clock of the session that speaks now."""
        return None if pts is None else max(0, pts - self._seam.pts)

    @property
    def received_there(self) -> int | None:
        """The newest frame of the session that speaks now, by its own number; None: none came."""
        seq = self._received_seq - self._seam.seq
        return seq if seq >= 0 else None

    def acknowledgement(self, now: float) -> m.Ack | None:
        """What to tell the server of audio received and played; None when it knows."""
        seq = self.received_there
        if seq is None:
            return None
        ack = m.Ack(context=self.context, seq=seq, played_pts=self.there(self.playout.position(now)))
        if ack == self._acked:
            return None
        self._acked = ack
        return ack

    def begin_anew(self) -> tuple[int, int]:
        """Another session goes on: the pts and the character from which on it does."""
        pts = self.playout.received_pts
        chars = self.transcript.first_unheard(pts, self._whole_pts)
        self.transcript.cut(pts, chars)
        self._seam = Seam(seq=self._received_seq + 1, pts=pts, chars=chars)
        self._acked = None
        return pts, chars

    def answer(self, flushes: Iterable[Flush]) -> None:
        """Flushes whose audio has come, but not their answer."""
        for flush in flushes:
            self.inbox.put(m.Flushed(context=self.context, id=flush.id, seq=self._received_seq))

    def heard_all(self, chars: int) -> bool:
        """Whether nothing is left to hear of the text from a character on, and something was heard."""
        return self._received_seq >= 0 and not self.transcript.text[chars:].strip()
