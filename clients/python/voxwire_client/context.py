r"""A context on a session: text goes in, events come out; and the utterance, a context that writes its text itself.

      NEW ---open---> OPENING ---started---> OPEN ----done----> OVER
       |                 |  \                  |                  ^
       |               error  +----cancel------+--> LEAVING -done-+
       |                 v                                        |
       +---cancel     REFUSED --what was sent after `start` is----+
            |                   swept up                          |
            +-----------------------------------------------------+

Whatever is lost with the connection is OVER. Facts from the server come by `take`, which never waits: whoever does not
listen to one context holds back that context alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, Self

from voxwire_client import options as o
from voxwire_client.errors import ConnectionLost
from voxwire_client.events import Audio, Event, Inbox
from voxwire_client.playout import PlayoutClock
from voxwire_client.tokens import Tokens, pieces
from voxwire_client.transcript import Transcript
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorClass, ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from types import TracebackType

EVENTS_HOLD = 1500
"""So many events waiting for the listener (thirty seconds of audio), and the server is asked to hold."""
EVENTS_RELEASE = 500
EVENTS_MAX = 1 << 16
"""What can be on its way when a `hold` is sent stays far below."""

PIPELINED_TEXTS_MAX = 16
"""Texts sent before `started` has come: each of them is one mistake more if the `start` is refused."""

RETRY_SECONDS = 0.5

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

    @property
    def limits(self) -> m.Limits:
        """The session's bounds."""

    async def send(self, message: m.ClientMessage) -> None:
        """Send a message.

        Raises:
            ConnectionLost: there is nobody to send it to.
        """

    async def ping(self) -> float:
        """Wait until the server has answered all that was sent so far; milliseconds."""

    async def attach(self, context: Context) -> None:
        """Take the context's messages from now on; waits until a former context of its name is over.

        Raises:
            ValueError: the name is in use.
        """

    def detach(self, context: Context) -> None:
        """The context is over."""

    def later(self, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
        """Do something in the background; a lost connection is no error there."""


class Context:
    """One stream of text and its audio. Iterate over it for its events; the iteration ends after `Done`.

    `async with session.context() as context:` opens it and, unless it is over, cancels it at the end. Between, the
    iteration can be left and taken up again. Not thread-safe.

    An error that ends the context is raised as `VoxwireError` where the iteration stands (after the audio that was
    ready before it), a lost connection as `ConnectionLost`.
    """

    def __init__(self, link: Link, start: m.Start) -> None:
        self.context = start.context
        self.playout = PlayoutClock()
        self.started: m.Started | None = None
        self.done: m.Done | None = None
        self.cancelled: m.Cancelled | None = None
        self.ttfa_client_ms: float | None = None
        self._link = link
        self._start = start
        self._phase = Phase.NEW
        self._inbox = Inbox()
        self._transcript = Transcript()
        self._failure: Exception | None = None
        self._ended = False
        self._opening = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._news = asyncio.Event()
        self._text_seq = 0
        self._accepted_seq = -1
        self._accepted_chars = 0
        self._answers = 0
        self._retry_seconds: float | None = None
        self._unsettled: m.Text | None = None
        self._first_text_at: float | None = None
        self._held = False
        self._held_back = False
        self._received_seq = -1
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
                await self._link.attach(self)
                if self.over:
                    self._link.detach(self)
                    return
                self._phase = Phase.OPENING
                await self._link.send(self._start)

    async def text(self, text: str, *, flush: bool = False) -> None:
        """Append text, in pieces of any size. Waits while more would be waiting to be spoken than the server takes.

        Raises:
            VoxwireError: client.context_ended, or the error that ended the context; client.invalid_field where the
                text can't be written as UTF-8.
            ConnectionLost: there is no connection.
        """
        if not o.is_unicode(text):
            raise VoxwireError(ErrorCode.INVALID_FIELD, "text holds a lone surrogate", details={"field": "text"})
        await self.open()
        async with self._writing:
            step = self._link.limits.text_chars_max
            for at in range(0, len(text), step):
                await self._text(text[at : at + step])
            if flush:
                await self._settle()
                await self._link.send(m.Flush(context=self.context))

    async def flush(self, id: str | None = None) -> None:
        """What was written is complete: speak it. A `Flushed` event follows its last frame.

        Raises: as `text`.
        """
        await self.open()
        async with self._writing:
            await self._settle()
            await self._link.send(m.Flush(context=self.context, id=id))

    async def end(self) -> None:
        """No more text; `Done` follows the last frame. Without effect when the context is over."""
        await self.open()
        async with self._writing:
            if self._phase in LIVE and not self._ended and self._failure is None:
                await self._settle()
                self._ended = True
                await self._link.send(m.End(context=self.context))

    async def retract(self, from_char: int) -> int:
        """Drop text that is not being spoken yet, from a character on; returns how many characters are left.

        Raises: as `text`.
        """
        await self.open()
        async with self._writing:
            await self._settle()
            await self._until(lambda: self._accepted_seq == self._text_seq - 1)
            self._check_open()
            before = self._answers
            await self._link.send(m.Retract(context=self.context, from_char=from_char))
            await self._until(lambda: self._answers > before)
            if self._answers == before:
                raise self._why_over()
            self._transcript.truncate(self._accepted_chars)
            return self._accepted_chars

    async def _text(self, text: str) -> None:
        await self._settle()
        if self._text_seq >= PIPELINED_TEXTS_MAX:
            await self._until(lambda: self._phase is not Phase.OPENING)
        self._check_open()
        message = m.Text(context=self.context, text=text, seq=self._text_seq)
        # With what is settled below: a caller that is cancelled while it waits has said its text all the same.
        self._unsettled = message
        self._text_seq += 1
        waiting_chars = self._transcript.chars - self._transcript.spoken_chars
        self._transcript.append(text)
        if self._first_text_at is None:
            self._first_text_at = time.monotonic()
        if waiting_chars + len(text) <= self._link.limits.unspoken_chars_max:
            await self._link.send(message)
            self._unsettled = None
        else:
            await self._settle()

    async def _settle(self) -> None:
        """Send the text that may be too much, or whose sending was interrupted, until it is accepted."""
        message = self._unsettled
        if message is not None and message.seq is not None:
            await self._squeeze_in(message, message.seq)
            self._unsettled = None
        self._check_open()

    async def _squeeze_in(self, message: m.Text, seq: int) -> None:
        await self._until(lambda: self._accepted_seq >= seq - 1)
        while self._accepted_seq < seq:
            self._check_open()
            self._retry_seconds = None
            await self._link.send(message)
            await self._until(lambda: self._accepted_seq >= seq or self._retry_seconds is not None)
            # Asked often, the server would take it for abuse.
            # (mypy does not see that the reader sets it meanwhile.)
            await asyncio.sleep(self._retry_seconds or 0)  # type: ignore[redundant-expr]

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, or the context is live no longer."""
        while self._phase in LIVE and self._failure is None and not condition():
            self._news.clear()
            await self._news.wait()

    def _check_open(self) -> None:
        if self._phase not in LIVE or self._failure is not None or self._ended:
            raise self._why_over()

    def _why_over(self) -> Exception:
        if self._failure is not None:
            return self._failure
        return VoxwireError(
            ErrorCode.CONTEXT_ENDED, f"context {self.context!r} takes no more text", context=self.context
        )

    # -- control --------------------------------------------------------------------------------------------------

    async def cancel(self, played_pts: int | None = None) -> m.Cancelled:
        """Barge-in: stop now. Returns what was heard, for the conversation's history, and what was not.

        Stop your player before you call it. `played_pts` is what it has played; left out, the playout clock tells.
        Events that were not taken out are dropped; the iteration goes on with `Cancelled` and `Done`, and ends. When
        everything had been sent already, or the connection is lost, the answer is worked out here. Never raises but
        for the caller's own cancellation.
        """
        now = time.monotonic()
        if played_pts is None:
            played_pts = self.playout.position(now)
        else:
            played_pts = max(0, int(played_pts))
        was_live = self._phase in LIVE
        self._leave()
        if was_live:
            with contextlib.suppress(ConnectionLost):
                await self._link.send(m.Cancel(context=self.context, played_pts=played_pts))
        while self.cancelled is None and self._phase is Phase.LEAVING:
            self._news.clear()
            await self._news.wait()
        if self.cancelled is None:
            self.cancelled = self._own_report(self.playout.estimate(now) if played_pts is None else played_pts)
            self._inbox.put_before_done(self.cancelled)
        return self.cancelled

    async def hold(self) -> None:
        """Send no more audio for now; nothing is lost. Pause your player too."""
        await self.open()
        self._held = True
        self.playout.pause(time.monotonic())
        if self._phase in LIVE:
            await self._link.send(m.Hold(context=self.context))

    async def release(self) -> None:
        """Go on after `hold`."""
        self._held = False
        self.playout.go_on(time.monotonic())
        if self._phase in LIVE and not self._held_back:
            await self._link.send(m.Release(context=self.context))

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
        if self._phase in LIVE:
            audio = None if bitrate is None else m.BitrateRequest(bitrate=bitrate)
            request = m.PacingRequest(mode=pacing, lead_ms=lead_ms)
            wanted = None if request == m.PacingRequest() else request
            await self._link.send(m.Configure(context=self.context, audio=audio, pacing=wanted))

    @property
    def text_so_far(self) -> str:
        """The text that was sent, less what was retracted."""
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
        heard, unheard = self._transcript.heard(min(pts, self.playout.received_pts), end_pts)
        sent_seq = self._received_seq if self._received_seq >= 0 else None
        return m.Cancelled(context=self.context, sent_seq=sent_seq, heard=heard, unheard=unheard)

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
        played_pts = self.playout.position(time.monotonic())
        self._leave()
        if was_live:
            # In the background, as whoever leaves may be a task that is being cancelled.
            self._link.later(self._link.send(m.Cancel(context=self.context, played_pts=played_pts)))

    def _leave(self) -> None:
        """Stop writing, forget audio; LEAVING until `done` has come, so that the name is not taken too early."""
        self._stop_writing()
        self._inbox.drop_audio()
        if self._phase is Phase.NEW:
            self._phase = Phase.OVER
            self._inbox.close()
        elif self._phase in LIVE:
            self._phase = Phase.LEAVING
        self._news.set()

    def _stop_writing(self) -> None:
        """Nobody needs more text."""

    def _hold_back(self) -> None:
        """The listener is slow: let the server wait, rather than all other contexts."""
        if len(self._inbox) >= EVENTS_MAX:
            self._fail(VoxwireError(ErrorCode.SLOW_READER, f"nobody takes the events of {self.context!r}"))
        elif len(self._inbox) >= EVENTS_HOLD and not self._held_back:
            self._held_back = True
            if not self._held:
                self._link.later(self._link.send(m.Hold(context=self.context)))

    def _let_more_come(self) -> None:
        if self._held_back and len(self._inbox) <= EVENTS_RELEASE:
            self._held_back = False
            if not self._held and self._phase in LIVE:
                self._link.later(self._link.send(m.Release(context=self.context)))

    # -- what the session says --------------------------------------------------------------------------------------

    def take(self, message: Event | m.Accepted | m.ErrorMessage, now: float) -> None:
        """Something of this context came from the server."""
        if self._phase is Phase.REFUSED:
            return
        match message:
            case Audio():
                self._take_audio(message, now)
                return
            case m.Accepted():
                self._accepted_chars = message.chars
                self._answers += 1
                if message.text_seq is not None:
                    self._accepted_seq = max(self._accepted_seq, message.text_seq)
            case m.ErrorMessage():
                self._take_error(VoxwireError.from_message(message))
            case m.Done():
                self._take_done(message)
            case _:
                self._take_event(message)
        self._news.set()

    def acknowledgement(self, now: float) -> m.Ack | None:
        """What to tell the server of audio received and played; None when it knows."""
        if self._phase is not Phase.OPEN or self._received_seq < 0:
            return None
        ack = m.Ack(context=self.context, seq=self._received_seq, played_pts=self.playout.position(now))
        if ack == self._acked:
            return None
        self._acked = ack
        return ack

    def lost(self, error: ConnectionLost) -> None:
        """The connection is gone."""
        if self._phase is not Phase.OVER:
            self._failure = self._failure or error
            self._inbox.close(error)
            self._over()

    def _take_audio(self, audio: Audio, now: float) -> None:
        if self._phase is not Phase.OPEN:
            return
        if self.ttfa_client_ms is None and self._first_text_at is not None:
            self.ttfa_client_ms = (now - self._first_text_at) * 1000
        self._received_seq = audio.seq
        self.playout.received(audio.end_pts, now)
        self._inbox.put(audio)
        self._hold_back()

    def _take_event(
        self, message: m.Started | m.ClauseStarted | m.Timing | m.Flushed | m.Cancelled | m.WarningMessage
    ) -> None:
        match message:
            case m.Started():
                self.started = message
                self.playout.sample_rate = message.audio.sample_rate
                if self._phase is Phase.OPENING:
                    self._phase = Phase.OPEN
            case m.ClauseStarted():
                self._transcript.clause(message)
            case m.Timing():
                self._transcript.timing(message)
            case m.Cancelled():
                self.cancelled = message
            case _:
                pass
        if self._phase is not Phase.LEAVING or isinstance(message, m.Cancelled | m.Started):
            self._inbox.put(message)

    def _take_done(self, message: m.Done) -> None:
        self.done = message
        if message.reason is m.DoneReason.ERROR:
            self._inbox.close(self._failure or VoxwireError(ErrorCode.ENGINE_FAILED, "the speech failed"))
        else:
            self._inbox.put(message)
            self._inbox.close()
        self._over()

    def _take_error(self, error: VoxwireError) -> None:
        if error.code in CROSSED or self._phase is Phase.LEAVING:
            return
        if self._phase is Phase.OPENING:
            self._refuse(error)
        elif error.code is ErrorCode.TEXT_BUFFER_FULL:
            self._retry_seconds = RETRY_SECONDS if error.retry_after_ms is None else error.retry_after_ms / 1000
        elif error.error_class is not ErrorClass.CLIENT:
            # What is ready still comes, then `done`.
            self._failure = error
            self._stop_writing()
        elif error.details.get("field") not in ACKED_FIELDS:
            self._fail(error)

    def _refuse(self, error: VoxwireError) -> None:
        """There is no such context; but a text sent after its `start` may have opened one, with defaults."""
        self._failure = error
        self._inbox.fail(error)
        self._stop_writing()
        if self._text_seq:
            self._phase = Phase.REFUSED
            self._link.later(self._sweep_up())
        else:
            self._over()

    async def _sweep_up(self) -> None:
        try:
            await self._link.send(m.Cancel(context=self.context))
            await self._link.ping()
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
        self._link.detach(self)
        self._news.set()


class Utterance(Context):
    """A context that writes its text itself, from a text or a stream of pieces, and ends.

    Leaving the iteration early, by `break`, by an exception or because the task is cancelled, cancels the utterance and
    closes the stream. An exception in the stream cancels the utterance and is raised where the iteration stands.
    """

    def __init__(self, link: Link, start: m.Start, tokens: Tokens) -> None:
        super().__init__(link, start)
        self._tokens = tokens
        self._writer: asyncio.Task[None] | None = None
        self._writer_stopped = False

    async def open(self) -> None:
        """Open the context and begin to write; the first step of the iteration does it otherwise."""
        await super().open()
        if self._writer is None and self._phase in LIVE:
            self._writer = self._link.later(self._write())

    async def _iterate(self) -> AsyncGenerator[Event, None]:
        try:
            async for event in super()._iterate():
                yield event
        finally:
            self.abandon()

    async def _write(self) -> None:
        try:
            async with contextlib.aclosing(pieces(self._tokens)) as stream:
                async for piece in stream:
                    await self.text(piece)
            await self.end()
        except asyncio.CancelledError:
            if not self._writer_stopped:
                self._inbox.fail(asyncio.CancelledError("the stream of text was cancelled"))
            raise
        except ConnectionLost as error:
            self._inbox.close(error)
        except Exception as error:
            self._fail(error)

    def _stop_writing(self) -> None:
        self._writer_stopped = True
        # The writer itself comes here when its stream fails.
        if self._writer is not None and self._writer is not asyncio.current_task():
            self._writer.cancel()
