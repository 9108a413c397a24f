r"""The life cycle of a context: its phase, and how the caller, the server and the connection change it.

      NEW ---open---> OPENING ---started---> OPEN ----done----> OVER
       |                 |  \                  |                  ^
       |               error  +----cancel------+--> CANCELLING --done
       |                 v                                        |
       +---cancel     REFUSED --text sent after `start` is--------+
            |                   discarded                         |
            +-----------------------------------------------------+

Where the server no longer has the session, the context goes back to OPENING on a fresh one, with the text that was not
heard yet. When the connection is lost for good the context is OVER. Messages of the server come by `on_message` and
`on_frame`, which never wait: a program that reads the events of one context slowly holds up that context alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from voxwire_client import options as o
from voxwire_client.audio_receiver import AudioReceiver
from voxwire_client.errors import ConnectionLost, pause_seconds
from voxwire_client.rate_control import RateController
from voxwire_client.text_sender import TextSender
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorClass, ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from voxwire_client.events import Audio, Event, Interrupted, Reconnected
    from voxwire_client.outbox import Outbox
    from voxwire_client.playout_clock import PlayoutClock
    from voxwire_client.resumable_connection import ContextHandler, ResumableConnection
    from voxwire_protocol.audio import AudioFrame

EVENTS_HOLD = 1500
"""When so many events wait to be taken out (thirty seconds of audio), the server is asked to hold."""
EVENTS_RELEASE = 500
EVENTS_MAX = 1 << 16
"""The context fails beyond this; what can be on its way when a `hold` is sent stays far below."""

RESTARTS_MAX = 5
"""Fresh sessions in a row without a new frame; beyond that, this context's text may be what ends the sessions."""

LATE_ERRORS = frozenset({ErrorCode.UNKNOWN_CONTEXT, ErrorCode.CONTEXT_ENDED})
"""Answers to messages that crossed the end of the context on the wire; harmless."""
ACKED_FIELDS = frozenset({"seq", "played_pts"})


class ContextSession(Protocol):
    """What a context needs of its session."""

    narrow: bool
    """Set when the network link was measured to carry the audio without headroom."""

    step: int
    """How many steps below the bitrate that was asked for the newest context with `adapt` is."""

    async def attach(self, context: ContextHandler) -> ResumableConnection:
        """Deliver the context's messages from now on; waits until a former context of its name is over.

        Raises:
            ValueError: the name is in use.
            ConnectionLost: there is no connection, nor will be.
        """

    def move(self, context: ContextHandler) -> bool:
        """Restart the context on another connection, as its server is draining; False where there can be none."""

    def run_in_background(self, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
        """Run `work` in a task of the session; `ConnectionLost` ends it without an error."""


class Phase(Enum):
    """Where a context stands; see the drawing above."""

    NEW = auto()
    OPENING = auto()
    OPEN = auto()
    CANCELLING = auto()
    REFUSED = auto()
    OVER = auto()


LIVE = frozenset({Phase.OPENING, Phase.OPEN})


class ContextLifecycle:
    """The base class of `Context`: it handles the messages of one context, and changes of its connection."""

    def __init__(self, session: ContextSession, start: m.Start, *, adapt: bool = False) -> None:
        self.context = start.context
        self.ttfa_client_ms: float | None = None
        self._session = session
        self._connection: ResumableConnection | None = None
        self._start = self._requested_start = start
        self._adapt = adapt
        self._rate_controller: RateController | None = None
        self._phase = Phase.NEW
        self._receiver = AudioReceiver(start.context)
        self._events = self._receiver.events
        self._sender = TextSender(self, self._receiver.transcript)
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self._held = False
        self._overfull = False
        """Whether the server was asked to hold because too many events wait."""
        self._restarts = 0

    @property
    def playout(self) -> PlayoutClock:
        """What the listener hears now; a player may drive it."""
        return self._receiver.playout

    @property
    def started(self) -> m.Started | None:
        """The server's `started`: voice, engine and audio format."""
        return self._receiver.started

    @property
    def done(self) -> m.Done | None:
        """How it ended."""
        return self._receiver.done

    @property
    def cancelled(self) -> m.Cancelled | None:
        """What was heard of it when it was cancelled."""
        return self._receiver.cancelled

    @property
    def over(self) -> bool:
        """Nothing more comes from the server."""
        return self._phase is Phase.OVER

    @property
    def closing(self) -> bool:
        """It was cancelled or refused, and the server has not sent its last message yet."""
        return self._phase in (Phase.CANCELLING, Phase.REFUSED)

    # -- cancelling, and slow readers -------------------------------------------------------------------------------

    def _begin_cancel(self, played_pts: int | None) -> None:
        """Stop writing, drop audio; CANCELLING until `done` has come, so that the name is not reused too early."""
        now, receiver, was_live = time.monotonic(), self._receiver, self._phase in LIVE
        played_pts = self.playout.position(now) if played_pts is None else played_pts
        if self._phase is not Phase.CANCELLING:
            receiver.cancelled_pts = self.playout.estimate(now) if played_pts is None else played_pts
        self._stop_writing()
        self._events.drop_audio()
        if self._phase is Phase.NEW:
            self._phase = Phase.OVER
            self._events.close()
        elif was_live:
            self._phase = Phase.CANCELLING
            self._post(m.Cancel(context=self.context, played_pts=receiver.to_session_pts(played_pts)))
            if not self.outbox.connected:
                receiver.report_locally()
        self._notify()

    def _stop_writing(self) -> None:
        """No more text is needed; an `Utterance` stops its own writer."""

    def _notify(self) -> None:
        self._changed.set()
        self._sender.notify()

    def _post(self, message: m.ClientMessage) -> None:
        with contextlib.suppress(ConnectionLost):
            self.outbox.post(message)

    def _hold_if_overfull(self) -> None:
        """Too many events wait: ask the server to hold this context, rather than stop reading for all contexts."""
        if len(self._events) >= EVENTS_MAX:
            self._fail(VoxwireError(ErrorCode.SLOW_READER, f"the events of {self.context!r} are not taken out"))
        elif len(self._events) >= EVENTS_HOLD and not self._overfull:
            self._overfull = True
            if not self._held:
                self._post(m.Hold(context=self.context))

    def _release_if_drained(self) -> None:
        if self._overfull and len(self._events) <= EVENTS_RELEASE:
            self._overfull = False
            if not self._held and self._phase in LIVE:
                self._post(m.Release(context=self.context))

    # -- what the text sender needs (`TextContext`) -----------------------------------------------------------------

    @property
    def takes_text(self) -> bool:
        """See `TextContext`."""
        return self._phase in LIVE and self._failure is None

    @property
    def starting(self) -> bool:
        """See `TextContext`."""
        return self._phase is Phase.OPENING

    @property
    def limits(self) -> m.Limits:
        """See `TextContext`."""
        return self._attached.ready.limits

    @property
    def outbox(self) -> Outbox:
        """See `TextContext`."""
        return self._attached.outbox

    @property
    def _attached(self) -> ResumableConnection:
        assert self._connection is not None, "it is open"
        return self._connection

    def refusal(self) -> Exception:
        """See `TextContext`."""
        if self._failure is not None:
            return self._failure
        return VoxwireError(
            ErrorCode.CONTEXT_ENDED, f"context {self.context!r} takes no more text", context=self.context
        )

    # -- what the server sends --------------------------------------------------------------------------------------

    def on_message(self, message: Event | m.Accepted | m.ErrorMessage) -> None:
        """A message of this context came from the server."""
        match message:
            case _ if self._phase in (Phase.REFUSED, Phase.OVER):
                return
            case m.Accepted():
                self._sender.on_accepted(message)
            case m.ErrorMessage():
                self._on_error(m.error_from_message(message))
            case m.Done():
                self._on_done(message)
            case m.Started():
                self._on_started(message)
            case m.Cancelled():
                self._receiver.on_cancelled(message)
            case m.ClauseStarted() | m.Timing() | m.Mark() | m.Flushed():
                self._on_annotation(message)
            case _ if self._phase in LIVE:
                self._events.put(message)
            case _:
                pass
        self._notify()

    def on_frame(self, frame: AudioFrame, now: float) -> None:
        """An audio frame of this context came."""
        if self._phase is not Phase.OPEN:
            return
        audio = self._receiver.on_frame(frame, now)
        if audio is None:
            return
        self._restarts = 0
        if self.ttfa_client_ms is None and self._sender.first_text_at is not None:
            self.ttfa_client_ms = (now - self._sender.first_text_at) * 1000
        if self._rate_controller is not None:
            self._control_rate(self._rate_controller, audio, now)
        self._hold_if_overfull()

    def _control_rate(self, controller: RateController, audio: Audio, now: float) -> None:
        level = controller.frame(audio.frame_samples / audio.sample_rate, len(audio.payload), now)
        self._session.narrow |= controller.narrow
        if level is not None and self._adapt:
            self._session.step = controller.step if level.bitrate is not None else 0
            change = level.request(self.context)
            self._start = o.configured(self._start, change)
            self._post(change)

    def next_ack(self, now: float) -> m.Ack | None:
        """The `ack` for the audio received and played; None where there is nothing new."""
        return self._receiver.next_ack(now) if self._phase is Phase.OPEN else None

    def progress(self) -> tuple[int | None, int | None]:
        """The newest frame received and the newest text accepted, by the session's numbers; None: none."""
        return self._receiver.received_session_seq, self._sender.accepted_seq

    def _on_started(self, message: m.Started) -> None:
        if self._phase is Phase.OPENING:
            self._phase = Phase.OPEN
        self._receiver.on_started(message)
        if self._rate_controller is None:
            step = self._session.step if self._adapt else 0
            self._rate_controller = RateController.for_context(self._requested_start, message.audio, step)

    def _on_annotation(self, message: m.ClauseStarted | m.Timing | m.Mark | m.Flushed) -> None:
        shifted = self._receiver.on_message(message)
        if isinstance(shifted, m.Flushed):
            self._sender.on_flushed(shifted)
        if self._phase in LIVE:
            self._events.put(shifted)

    def _on_done(self, message: m.Done) -> None:
        if self.done is None:
            done = self._receiver.on_message(message)
            assert isinstance(done, m.Done), "shifting keeps a message's type"
            failed = done.reason is m.DoneReason.ERROR
            error = self._failure or VoxwireError(ErrorCode.ENGINE_FAILED, "the speech failed")
            self._receiver.finish(done, error if failed else None)
        self._close()

    def _on_error(self, error: VoxwireError) -> None:
        if error.code in LATE_ERRORS or self._phase is Phase.CANCELLING:
            return
        if self._phase is Phase.OPENING:
            self._on_refused(error)
        elif error.code is ErrorCode.TEXT_BUFFER_FULL:
            self._sender.on_full(pause_seconds(error))
        elif error.error_class is not ErrorClass.CLIENT:
            # The audio that is ready still comes, then `done`.
            self._failure = error
            self._stop_writing()
        elif error.details.get("field") not in ACKED_FIELDS:
            self._fail(error)

    def _on_refused(self, error: VoxwireError) -> None:
        """The `start` was refused; but a text sent after it may have opened a context of its name, with defaults."""
        if error.code is ErrorCode.DRAINING and self._session.move(self):
            return
        if self._restarts and error.retryable:
            self._session.run_in_background(self._retry_start(error, self._connection))
            return
        self._failure = error
        self._events.fail(error)
        self._stop_writing()
        if self._sender.sent_any:
            self._phase = Phase.REFUSED
            self._session.run_in_background(self._discard_sent_text())
        else:
            self._close()

    async def _retry_start(self, error: VoxwireError, connection: ResumableConnection | None) -> None:
        """Ask again for speech that was under way on another session; every attempt counts as a restart."""
        if self._restarts >= RESTARTS_MAX:
            self._fail(error)
            return
        self._restarts += 1
        await asyncio.sleep(pause_seconds(error))
        if self._phase is Phase.OPENING and self._connection is connection:
            self._post(self._restart_message())

    async def _discard_sent_text(self) -> None:
        try:
            await self.outbox.send(m.Cancel(context=self.context))
            await self.outbox.ping()
        finally:
            self._close()

    def _fail(self, error: Exception) -> None:
        """Cancel it, and raise `error` at once where its events are read."""
        if self._phase in LIVE:
            self._failure = error
            self._events.fail(error)
            self._begin_cancel(None)

    def _close(self) -> None:
        self._phase = Phase.OVER
        self._stop_writing()
        if self._connection is not None:
            self._connection.detach(self)
        self._notify()

    # -- changes of the connection ----------------------------------------------------------------------------------

    def on_interrupted(self, event: Interrupted) -> None:
        """The connection dropped, and may come back."""
        if self._phase is Phase.CANCELLING:
            self._receiver.report_locally()
            self._notify()
        elif self._phase in LIVE:
            self._events.put(event)

    def on_resumed(self, event: Reconnected) -> None:
        """The connection is back, and the server still has the session."""
        if self._phase in LIVE:
            self._events.put(event)

    def restart(self, connection: ResumableConnection, event: Reconnected | None) -> None:
        """Continue on `connection`, whose session is fresh, with the text that was not heard.

        `event` is put into the context's events; None where the restart is no interruption to report.
        """
        self._connection = connection
        if self._phase not in LIVE or self._failure is not None:
            self._end_locally()
            return
        self._restarts += 1
        if self._restarts > RESTARTS_MAX:
            problem = f"context {self.context!r} ended {RESTARTS_MAX} sessions"
            self.on_lost(ConnectionLost(CloseCode.INTERNAL, problem))
            return
        pts, chars = self._receiver.restart()
        if event is not None:
            self._events.put(replace(event, pts=pts, chars=chars))
        self._receiver.put_flushed(self._sender.restart(chars))
        if self._sender.ended and self._receiver.complete_at(chars):
            self._receiver.finish_locally(m.DoneReason.COMPLETED)
            self._close()
            return
        self._phase = Phase.OPENING
        self._post(self._restart_message())
        if self._held or self._overfull:
            self._post(m.Hold(context=self.context))
        self._session.run_in_background(self._sender.send_pending())

    def _end_locally(self) -> None:
        if self._phase is Phase.CANCELLING:
            self._receiver.report_locally()
        self._events.close(self._failure)
        self._close()

    def _restart_message(self) -> m.Start:
        return self._start if self.started is None else o.same_again(self._start, self.started)

    def on_lost(self, error: ConnectionLost) -> None:
        """The connection is gone for good."""
        if self._phase is not Phase.OVER:
            self._failure = self._failure or error
            self._events.close(error)
            self._close()
