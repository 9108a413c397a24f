r"""A context on a session: text goes in, events come out.

      NEW ---open---> OPENING ---started---> OPEN ----done----> OVER
       |                 |  \                  |                  ^
       |               error  +----cancel------+--> LEAVING -done-+
       |                 v                                        |
       +---cancel     REFUSED --what was sent after `start` is----+
            |                   swept up                          |
            +-----------------------------------------------------+

Where the session is gone that it was spoken on, it goes back to OPENING on a fresh one with what was not heard yet.
Whatever is lost with the connection for good is OVER. Facts from the server come by `take`, which never waits: whoever
does not listen to one context holds back that context alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, Self

from voxwire_client import options as o
from voxwire_client import report
from voxwire_client.errors import ConnectionLost
from voxwire_client.events import Audio, Event, Inbox, Interrupted, Reconnected
from voxwire_client.playout import PlayoutClock
from voxwire_client.seam import START, Seam
from voxwire_client.transcript import Transcript
from voxwire_client.writing import Writing
from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame, Flag
from voxwire_protocol.errors import ErrorClass, ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from types import TracebackType

    from voxwire_client.line import Line
    from voxwire_client.outbox import Outbox

EVENTS_HOLD = 1500
"""So many events waiting for the listener (thirty seconds of audio), and the server is asked to hold."""
EVENTS_RELEASE = 500
EVENTS_MAX = 1 << 16
"""What can be on its way when a `hold` is sent stays far below."""

RETRY_SECONDS = 0.5
RESTARTS_MAX = 5
"""So many fresh sessions without a single new frame: it may be this very text that ends them."""

CROSSED = frozenset({ErrorCode.UNKNOWN_CONTEXT, ErrorCode.CONTEXT_ENDED})
"""Answers to what crossed the end of a context on the wire; harmless."""
ACKED_FIELDS = frozenset({"seq", "played_pts"})


class Phase(Enum):
    """Where a context stands; see the drawing above."""

    NEW = auto()
    OPENING = auto()
    OPEN = auto()
    LEAVING = auto()
    REFUSED = auto()
    OVER = auto()


LIVE = frozenset({Phase.OPENING, Phase.OPEN})


class Link(Protocol):
    """What a context needs of its session."""

    async def attach(self, context: Context) -> Line:
        """Take the context's messages from now on; waits until a former context of its name is over.

        Raises:
            ValueError: the name is in use.
            ConnectionLost: there is no connection, nor will be.
        """

    def move(self, context: Context) -> bool:
        """Let the context begin anew elsewhere, as its server goes away; False where there is no elsewhere."""

    def later(self, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
        """Do something in the background; a lost connection is no error there."""


class Context:
    """One stream of text and its audio. Iterate over it for its events; the iteration ends after `Done`.

    `async with session.context() as context:` opens it and, unless it is over, cancels it at the end. Between, the
    iteration can be left and taken up again. Not thread-safe.

    An error that ends the context is raised as `VoxwireError` where the iteration stands (after the audio that was
    ready before it), a lost connection that does not come back as `ConnectionLost`.
    """

    def __init__(self, link: Link, start: m.Start) -> None:
        self.context = start.context
        self.playout = PlayoutClock()
        self.started: m.Started | None = None
        self.done: m.Done | None = None
        self.cancelled: m.Cancelled | None = None
        self.ttfa_client_ms: float | None = None
        self._link = link
        self._line: Line | None = None
        self._start = start
        self._phase = Phase.NEW
        self._inbox = Inbox()
        self._transcript = Transcript()
        self._writing = Writing(self, self._transcript)
        self._failure: Exception | None = None
        self._opening = asyncio.Lock()
        self._news = asyncio.Event()
        self._held = False
        self._held_back = False
        self._seam = START
        self._restarts = 0
        self._received_seq = -1
        self._whole_pts = 0
        self._cancelled_pts: int | None = None
        self._acked: m.Ack | None = None

    # -- text in --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the context, so that the server is ready for its text. Everything else does it by itself.

        Raises:
            ConnectionLost: there is no connection.
            ValueError: a context of this name is in use on this session.
        """
        async with self._opening:
            if self._phase is Phase.NEW:
                self._line = await self._link.attach(self)
                if self.over:
                    self._line.detach(self)
                    return
                self._phase = Phase.OPENING
                await self.outbox.send(self._start)

    async def text(self, text: str, *, flush: bool = False) -> None:
        """Append text, in pieces of any size. Waits while more would be waiting to be spoken than the server takes.

        Raises:
            VoxwireError: client.context_ended, or the error that ended the context; client.invalid_field where the
                text can't be written as UTF-8.
            ConnectionLost: there is no connection, nor will be.
        """
        if not o.is_unicode(text):
            raise VoxwireError(ErrorCode.INVALID_FIELD, "text holds a lone surrogate", details={"field": "text"})
        await self.open()
        await self._writing.text(text, flush=flush)

    async def flush(self, id: str | None = None) -> None:
        """What was written is complete: speak it. A `Flushed` event follows its last frame.

        Raises: as `text`.
        """
        await self.open()
        await self._writing.flush(id)

    async def end(self) -> None:
        """No more text; `Done` follows the last frame. Without effect when the context is over."""
        await self.open()
        await self._writing.end()

    async def retract(self, from_char: int) -> int:
        """Drop text that is not being spoken yet, from a character on; returns how many characters are left.

        Raises: as `text`.
        """
        await self.open()
        return await self._writing.retract(from_char)

    # -- control --------------------------------------------------------------------------------------------------

    async def cancel(self, played_pts: int | None = None) -> m.Cancelled:
        """Barge-in: stop now. Returns what was heard, for the conversation's history, and what was not.

        Stop your player before you call it. `played_pts` is what it has played; left out, the playout clock tells.
        Events that were not taken out are dropped; the iteration goes on with `Cancelled` and `Done`, and ends. When
        everything had been sent already, or the connection is away or lost, the answer is worked out here. Never
        raises but for the caller's own cancellation.
        """
        now = time.monotonic()
        played_pts = self.playout.position(now) if played_pts is None else max(0, int(played_pts))
        self._cancelled_pts = self.playout.estimate(now) if played_pts is None else played_pts
        was_live = self._phase in LIVE
        self._leave()
        if was_live:
            with contextlib.suppress(ConnectionLost):
                await self.outbox.send(self._cancel(played_pts))
            if not self.outbox.flowing:
                self._answer_cancel()
        while self.cancelled is None and self._phase is Phase.LEAVING:
            self._news.clear()
            await self._news.wait()
        if self.cancelled is None:
            self.cancelled = self._own_report(self._cancelled_pts)
            self._inbox.put_before_done(self.cancelled)
        return self.cancelled

    async def hold(self) -> None:
        """Send no more audio for now; nothing is lost. Pause your player too."""
        await self.open()
        self._held = True
        self.playout.pause(time.monotonic())
        if self._phase in LIVE:
            await self.outbox.send(m.Hold(context=self.context))

    async def release(self) -> None:
        """Go on after `hold`."""
        self._held = False
        self.playout.go_on(time.monotonic())
        if self._phase in LIVE and not self._held_back:
            await self.outbox.send(m.Release(context=self.context))

    async def configure(
        self, *, bitrate: int | None = None, pacing: m.PacingMode | None = None, lead_ms: int | None = None
    ) -> None:
        """Change Opus' bitrate or the pacing while it speaks.

        Raises:
            VoxwireError: client.unsupported_audio; the codec has no bitrate.
        """
        codec = self._start.audio.codec if self._start.audio is not None else None
        if bitrate is not None and codec != "opus":
            raise m.unsupported("audio.bitrate", f"{codec or 'pcm_s16le'} has no bitrate to choose")
        await self.open()
        configure = o.configure(self.context, bitrate=bitrate, pacing=pacing, lead_ms=lead_ms)
        if self._phase in LIVE and configure is not None:
            # A fresh session gets it with its `start`.
            self._start = o.configured(self._start, configure)
            await self.outbox.send(configure)

    @property
    def text_so_far(self) -> str:
        """The text that was written, less what was retracted."""
        return self._transcript.text

    @property
    def over(self) -> bool:
        """Nothing more comes from the server."""
        return self._phase is Phase.OVER

    @property
    def leaving(self) -> bool:
        """It was cancelled or refused, and the server has not said the last of it."""
        return self._phase in (Phase.LEAVING, Phase.REFUSED)

    def heard(self, played_pts: int | None = None) -> m.Heard:
        """What the listener has heard by now, as far as can be known here. Does not disturb anything."""
        pts = self.playout.estimate(time.monotonic()) if played_pts is None else played_pts
        return self._own_report(pts).heard

    def _own_report(self, pts: int) -> m.Cancelled:
        end_pts = self.done.samples if self.done is not None else None
        sent_seq = self._received_seq if self._received_seq >= 0 else None
        pts = min(pts, self.playout.received_pts)
        return report.own(self.context, self._transcript, pts, end_pts, sent_seq)

    def _cancel(self, played_pts: int | None) -> m.Cancel:
        there = None if played_pts is None else max(0, played_pts - self._seam.pts)
        return m.Cancel(context=self.context, played_pts=there)

    def _answer_cancel(self) -> None:
        """Nobody else is there to do it; what the server says later is about what is known by then."""
        if self.cancelled is None and self.done is None:
            self.cancelled = self._own_report(self._cancelled_pts or 0)
            self.done = report.done(self.context, self._received_seq + 1, self.playout.received_pts, self._transcript)
            self._inbox.put(self.cancelled)
            self._inbox.put(self.done)
            self._inbox.close()
            self._news.set()

    # -- events out -----------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[Event, None]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[Event, None]:
        await self.open()
        while (event := await self._inbox.get()) is not None:
            self._let_more_come()
            yield event

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Cancel without waiting for what was heard. Without effect when the context is over."""
        was_live = self._phase in LIVE
        now = time.monotonic()
        played_pts = self.playout.position(now)
        if self._cancelled_pts is None:
            self._cancelled_pts = self.playout.estimate(now)
        self._leave()
        if was_live:
            self._post(self._cancel(played_pts))
            if not self.outbox.flowing:
                self._answer_cancel()

    def _leave(self) -> None:
        """Stop writing, forget audio; LEAVING until `done` has come, so that the name is not taken too early."""
        self._stop_writing()
        self._inbox.drop_audio()
        if self._phase is Phase.NEW:
            self._phase = Phase.OVER
            self._inbox.close()
        elif self._phase in LIVE:
            self._phase = Phase.LEAVING
        self._tell()

    def _stop_writing(self) -> None:
        """Nobody needs more text."""

    def _tell(self) -> None:
        self._news.set()
        self._writing.news()

    def _post(self, message: m.ClientMessage) -> None:
        with contextlib.suppress(ConnectionLost):
            self.outbox.post(message)

    def _hold_back(self) -> None:
        """The listener is slow: let the server wait, rather than all other contexts."""
        if len(self._inbox) >= EVENTS_MAX:
            self._fail(VoxwireError(ErrorCode.SLOW_READER, f"nobody takes the events of {self.context!r}"))
        elif len(self._inbox) >= EVENTS_HOLD and not self._held_back:
            self._held_back = True
            if not self._held:
                self._post(m.Hold(context=self.context))

    def _let_more_come(self) -> None:
        if self._held_back and len(self._inbox) <= EVENTS_RELEASE:
            self._held_back = False
            if not self._held and self._phase in LIVE:
                self._post(m.Release(context=self.context))

    # -- what its text side needs -----------------------------------------------------------------------------------

    @property
    def takes_text(self) -> bool:
        """See `Speech`."""
        return self._phase in LIVE and self._failure is None

    @property
    def starting(self) -> bool:
        """See `Speech`."""
        return self._phase is Phase.OPENING

    @property
    def limits(self) -> m.Limits:
        """See `Speech`."""
        return self._spoken_on.ready.limits

    @property
    def outbox(self) -> Outbox:
        """See `Speech`."""
        return self._spoken_on.outbox

    @property
    def _spoken_on(self) -> Line:
        assert self._line is not None, "it is open"
        return self._line

    def why_over(self) -> Exception:
        """See `Speech`."""
        if self._failure is not None:
            return self._failure
        return VoxwireError(
            ErrorCode.CONTEXT_ENDED, f"context {self.context!r} takes no more text", context=self.context
        )

    # -- what the server says -----------------------------------------------------------------------------------------

    def take(self, message: Event | m.Accepted | m.ErrorMessage, now: float) -> None:
        """Something of this context came from the server."""
        del now
        match message:
            case _ if self._phase in (Phase.REFUSED, Phase.OVER):
                return
            case m.Accepted():
                self._writing.accepted(message)
            case m.ErrorMessage():
                self._take_error(VoxwireError.from_message(message))
            case m.Done():
                self._take_done(message)
            case m.Started():
                self._take_started(message)
            case m.Cancelled():
                self._take_cancelled(message)
            case m.ClauseStarted() | m.Timing() | m.Flushed():
                self._take_event(message)
            case _ if self._phase in LIVE:
                self._inbox.put(message)
            case _:
                pass
        self._tell()

    def take_frame(self, frame: AudioFrame, now: float) -> None:
        """An audio frame of this context came."""
        if self._phase is not Phase.OPEN or self.started is None:
            return
        seam, info = self._seam, self.started.audio
        seq, pts = frame.seq + seam.seq, frame.pts + seam.pts
        if seq <= self._received_seq:
            return
        audio = Audio(frame.payload, pts, seq, frame.flags, info.codec, info.sample_rate, info.frame_samples)
        if self.ttfa_client_ms is None and self._writing.first_text_at is not None:
            self.ttfa_client_ms = (now - self._writing.first_text_at) * 1000
        self._received_seq, self._restarts = seq, 0
        if Flag.LAST in frame.flags:
            self._whole_pts = audio.end_pts
        self.playout.received(audio.end_pts, now)
        self._inbox.put(audio)
        self._hold_back()

    def acknowledgement(self, now: float) -> m.Ack | None:
        """What to tell the server of audio received and played; None when it knows."""
        seam = self._seam
        if self._phase is not Phase.OPEN or self._received_seq < max(0, seam.seq):
            return None
        played_pts = self.playout.position(now)
        there = None if played_pts is None else max(0, played_pts - seam.pts)
        ack = m.Ack(context=self.context, seq=self._received_seq - seam.seq, played_pts=there)
        if ack == self._acked:
            return None
        self._acked = ack
        return ack

    def progress(self) -> tuple[int | None, int | None]:
        """The newest frame received and the newest text accepted, by the server's numbers; None: none."""
        seq = self._received_seq - self._seam.seq
        return (seq if seq >= 0 else None), self._writing.accepted_seq

    def _take_started(self, message: m.Started) -> None:
        known, self.started = self.started, message
        self.playout.sample_rate = message.audio.sample_rate
        if self._phase is Phase.OPENING:
            self._phase = Phase.OPEN
        if known is None or known.audio != message.audio:
            self._inbox.put(message)

    def _take_event(self, message: m.ClauseStarted | m.Timing | m.Flushed) -> None:
        shifted = self._seam.shift(message)
        match shifted:
            case m.ClauseStarted():
                self._transcript.clause(shifted)
            case m.Timing():
                self._transcript.timing(shifted)
            case m.Flushed():
                self._writing.flushed(shifted)
            case m.Done():
                pass
        if self._phase in LIVE:
            self._inbox.put(shifted)

    def _take_cancelled(self, message: m.Cancelled) -> None:
        if self.cancelled is None:
            pts = self._cancelled_pts
            if pts is not None and pts < self._seam.pts:
                # The listener is before the seam, of which the server knows nothing.
                self.cancelled = self._own_report(pts)
            else:
                self.cancelled = report.shifted(message, self._seam, self._transcript)
            self._inbox.put(self.cancelled)

    def _take_done(self, message: m.Done) -> None:
        if self.done is None:
            done = self._seam.shift(message)
            assert isinstance(done, m.Done), "a message stays what it is"
            self.done = done
            if message.reason is m.DoneReason.ERROR:
                self._inbox.close(self._failure or VoxwireError(ErrorCode.ENGINE_FAILED, "the speech failed"))
            else:
                self._inbox.put(done)
                self._inbox.close()
        self._over()

    def _take_error(self, error: VoxwireError) -> None:
        if error.code in CROSSED or self._phase is Phase.LEAVING:
            return
        if self._phase is Phase.OPENING:
            self._take_refusal(error)
        elif error.code is ErrorCode.TEXT_BUFFER_FULL:
            wanted_ms = error.retry_after_ms
            self._writing.full(RETRY_SECONDS if wanted_ms is None else wanted_ms / 1000)
        elif error.error_class is not ErrorClass.CLIENT:
            # What is ready still comes, then `done`.
            self._failure = error
            self._stop_writing()
        elif error.details.get("field") not in ACKED_FIELDS:
            self._fail(error)

    def _take_refusal(self, error: VoxwireError) -> None:
        """There is no such context; but a text sent after its `start` may have opened one, with defaults."""
        if error.code is ErrorCode.DRAINING and self._link.move(self):
            return
        if self._restarts and error.retryable:
            self._link.later(self._start_again(error, self._line))
            return
        self._failure = error
        self._inbox.fail(error)
        self._stop_writing()
        if self._writing.said:
            self._phase = Phase.REFUSED
            self._link.later(self._sweep_up())
        else:
            self._over()

    async def _start_again(self, error: VoxwireError, line: Line | None) -> None:
        """What was being heard is worth another attempt; every attempt counts as a restart."""
        if self._restarts >= RESTARTS_MAX:
            self._fail(error)
            return
        self._restarts += 1
        await asyncio.sleep(RETRY_SECONDS if error.retry_after_ms is None else error.retry_after_ms / 1000)
        if self._phase is Phase.OPENING and self._line is line:
            self._post(self._start_anew())

    async def _sweep_up(self) -> None:
        try:
            await self.outbox.send(m.Cancel(context=self.context))
            await self.outbox.ping()
        finally:
            self._over()

    def _fail(self, error: Exception) -> None:
        """End it from this side, at once."""
        if self._phase in LIVE:
            self._failure = error
            self._inbox.fail(error)
            self.abandon()

    def _over(self) -> None:
        self._phase = Phase.OVER
        self._stop_writing()
        if self._line is not None:
            self._line.detach(self)
        self._tell()

    # -- what becomes of the connection -------------------------------------------------------------------------------

    def interrupted(self, event: Interrupted) -> None:
        """The connection dropped, and may come back."""
        if self._phase is Phase.LEAVING:
            self._answer_cancel()
        elif self._phase in LIVE:
            self._inbox.put(event)

    def resumed(self, event: Reconnected) -> None:
        """The session goes on where it was."""
        if self._phase in LIVE:
            self._inbox.put(event)

    def restart(self, line: Line, event: Reconnected | None) -> None:
        """The session is gone: go on with what was not heard on `line`, whose session is fresh.

        Without an event nobody needs to be told.
        """
        self._line = line
        if self._phase not in LIVE or self._failure is not None:
            self._answer_cancel() if self._phase is Phase.LEAVING else self._inbox.close(self._failure)
            self._over()
            return
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            self.lost(ConnectionLost(1011, f"context {self.context!r} ended {RESTARTS_MAX} sessions"))
            return
        pts = self.playout.received_pts
        chars = self._transcript.first_unheard(pts, self._whole_pts)
        self._transcript.cut(pts, chars)
        self._seam = Seam(seq=self._received_seq + 1, pts=pts, chars=chars)
        if event is not None:
            self._inbox.put(replace(event, pts=pts, chars=chars))
        for flush in self._writing.begin_anew(chars):
            self._inbox.put(m.Flushed(context=self.context, id=flush.id, seq=self._received_seq))
        self._acked = None
        if self._writing.ended and pts and not self._transcript.text[chars:].strip():
            reason = m.DoneReason.COMPLETED
            self._seam = START
            self._take_done(report.done(self.context, self._received_seq + 1, pts, self._transcript, reason))
            return
        self._phase = Phase.OPENING
        self._post(self._start_anew())
        if self._held or self._held_back:
            self._post(m.Hold(context=self.context))
        self._link.later(self._writing.say_left())

    def _start_anew(self) -> m.Start:
        return self._start if self.started is None else o.same_again(self._start, self.started)

    def lost(self, error: ConnectionLost) -> None:
        """The connection is gone."""
        if self._phase is not Phase.OVER:
            self._failure = self._failure or error
            self._inbox.close(error)
            self._over()
