r"""Where a context stands, and what becomes of it: by its caller, by the server, and by the connection.

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
from typing import TYPE_CHECKING

from voxwire_client import options as o
from voxwire_client.arrival import Adaptation
from voxwire_client.errors import ConnectionLost, pause_seconds
from voxwire_client.hearing import Hearing
from voxwire_client.writing import Writing
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorClass, ErrorCode, VoxwireError

if TYPE_CHECKING:
    from voxwire_client.events import Audio, Event, Interrupted, Reconnected
    from voxwire_client.line import Line
    from voxwire_client.outbox import Outbox
    from voxwire_client.parties import Link
    from voxwire_client.playout import PlayoutClock
    from voxwire_protocol.audio import AudioFrame

EVENTS_HOLD = 1500
"""So many events waiting for the listener (thirty seconds of audio), and the server is asked to hold."""
EVENTS_RELEASE = 500
EVENTS_MAX = 1 << 16
"""What can be on its way when a `hold` is sent stays far below."""

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


class Speaking:
    """The inner side of a `Context`; see there."""

    def __init__(self, link: Link, start: m.Start, *, adapt: bool = False) -> None:
        self.context = start.context
        self.ttfa_client_ms: float | None = None
        self._link = link
        self._line: Line | None = None
        self._start = self._wanted = start
        self._adapt = adapt
        self._adaptation: Adaptation | None = None
        self._phase = Phase.NEW
        self._hearing = Hearing(start.context)
        self._inbox = self._hearing.inbox
        self._writing = Writing(self, self._hearing.transcript)
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._held = False
        self._held_back = False
        self._restarts = 0

    @property
    def playout(self) -> PlayoutClock:
        """What the listener hears now; a player may tell it."""
        return self._hearing.playout

    @property
    def started(self) -> m.Started | None:
        """What the server said it speaks with."""
        return self._hearing.started

    @property
    def done(self) -> m.Done | None:
        """How it ended."""
        return self._hearing.done

    @property
    def cancelled(self) -> m.Cancelled | None:
        """What was heard of it when it was cancelled."""
        return self._hearing.cancelled

    @property
    def over(self) -> bool:
        """Nothing more comes from the server."""
        return self._phase is Phase.OVER

    @property
    def leaving(self) -> bool:
        """It was cancelled or refused, and the server has not said the last of it."""
        return self._phase in (Phase.LEAVING, Phase.REFUSED)

    # -- leaving --------------------------------------------------------------------------------------------------

    def _leave(self, played_pts: int | None) -> None:
        """Stop writing, forget audio; LEAVING until `done` has come, so that the name is not taken too early."""
        now, hearing, was_live = time.monotonic(), self._hearing, self._phase in LIVE
        played_pts = self.playout.position(now) if played_pts is None else played_pts
        if self._phase is not Phase.LEAVING:
            hearing.cancelled_pts = self.playout.estimate(now) if played_pts is None else played_pts
        self._stop_writing()
        self._inbox.drop_audio()
        if self._phase is Phase.NEW:
            self._phase = Phase.OVER
            self._inbox.close()
        elif was_live:
            self._phase = Phase.LEAVING
            self._post(m.Cancel(context=self.context, played_pts=hearing.there(played_pts)))
            if not self.outbox.flowing:
                hearing.report_here()
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

    def take(self, message: Event | m.Accepted | m.ErrorMessage) -> None:
        """Something of this context came from the server."""
        match message:
            case _ if self._phase in (Phase.REFUSED, Phase.OVER):
                return
            case m.Accepted():
                self._writing.accepted(message)
            case m.ErrorMessage():
                self._take_error(m.error_from_message(message))
            case m.Done():
                self._take_done(message)
            case m.Started():
                self._take_started(message)
            case m.Cancelled():
                self._hearing.cancel(message)
            case m.ClauseStarted() | m.Timing() | m.Flushed():
                self._take_note(message)
            case _ if self._phase in LIVE:
                self._inbox.put(message)
            case _:
                pass
        self._tell()

    def take_frame(self, frame: AudioFrame, now: float) -> None:
        """An audio frame of this context came."""
        if self._phase is not Phase.OPEN:
            return
        audio = self._hearing.frame(frame, now)
        if audio is None:
            return
        self._restarts = 0
        if self.ttfa_client_ms is None and self._writing.first_text_at is not None:
            self.ttfa_client_ms = (now - self._writing.first_text_at) * 1000
        if self._adaptation is not None:
            self._measure(self._adaptation, audio, now)
        self._hold_back()

    def _measure(self, adaptation: Adaptation, audio: Audio, now: float) -> None:
        level = adaptation.frame(audio.frame_samples / audio.sample_rate, len(audio.payload), now)
        self._link.narrow |= adaptation.narrow
        if level is not None and self._adapt:
            self._link.step = adaptation.step if level.bitrate is not None else 0
            change = level.request(self.context)
            self._start = o.configured(self._start, change)
            self._post(change)

    def acknowledgement(self, now: float) -> m.Ack | None:
        """What to tell the server of audio received and played; None when it knows."""
        return self._hearing.acknowledgement(now) if self._phase is Phase.OPEN else None

    def progress(self) -> tuple[int | None, int | None]:
        """The newest frame received and the newest text accepted, by the server's numbers; None: none."""
        return self._hearing.received_there, self._writing.accepted_seq

    def _take_started(self, message: m.Started) -> None:
        if self._phase is Phase.OPENING:
            self._phase = Phase.OPEN
        self._hearing.start(message)
        if self._adaptation is None:
            self._adaptation = Adaptation.of(self._wanted, message.audio, self._link.step if self._adapt else 0)

    def _take_note(self, message: m.ClauseStarted | m.Timing | m.Flushed) -> None:
        shifted = self._hearing.note(message)
        if isinstance(shifted, m.Flushed):
            self._writing.flushed(shifted)
        if self._phase in LIVE:
            self._inbox.put(shifted)

    def _take_done(self, message: m.Done) -> None:
        if self.done is None:
            done = self._hearing.note(message)
            assert isinstance(done, m.Done), "a message stays what it is"
            failed = done.reason is m.DoneReason.ERROR
            error = self._failure or VoxwireError(ErrorCode.ENGINE_FAILED, "the speech failed")
            self._hearing.finish(done, error if failed else None)
        self._over()

    def _take_error(self, error: VoxwireError) -> None:
        if error.code in CROSSED or self._phase is Phase.LEAVING:
            return
        if self._phase is Phase.OPENING:
            self._take_refusal(error)
        elif error.code is ErrorCode.TEXT_BUFFER_FULL:
            self._writing.full(pause_seconds(error))
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
        await asyncio.sleep(pause_seconds(error))
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
            self._leave(None)

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
            self._hearing.report_here()
            self._tell()
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
            self._end_here()
            return
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            self.lost(ConnectionLost(CloseCode.INTERNAL, f"context {self.context!r} ended {RESTARTS_MAX} sessions"))
            return
        pts, chars = self._hearing.begin_anew()
        if event is not None:
            self._inbox.put(replace(event, pts=pts, chars=chars))
        self._hearing.answer(self._writing.begin_anew(chars))
        if self._writing.ended and self._hearing.heard_all(chars):
            self._hearing.finish_here(m.DoneReason.COMPLETED)
            self._over()
            return
        self._phase = Phase.OPENING
        self._post(self._start_anew())
        if self._held or self._held_back:
            self._post(m.Hold(context=self.context))
        self._link.later(self._writing.say_left())

    def _end_here(self) -> None:
        if self._phase is Phase.LEAVING:
            self._hearing.report_here()
        self._inbox.close(self._failure)
        self._over()

    def _start_anew(self) -> m.Start:
        return self._start if self.started is None else o.same_again(self._start, self.started)

    def lost(self, error: ConnectionLost) -> None:
        """The connection is gone."""
        if self._phase is not Phase.OVER:
            self._failure = self._failure or error
            self._inbox.close(error)
            self._over()
