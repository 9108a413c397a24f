"""A context on a session: text goes in, events come out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from voxwire_client import options as o
from voxwire_client.context_lifecycle import LIVE, ContextLifecycle, Phase
from voxwire_client.events import Reconnected
from voxwire_client.mouth_track import MouthTrack, closed_mouth
from voxwire_client.rate_control import RateController
from voxwire_client.timed_events import PAST_SAMPLES, TimedEvents
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from types import TracebackType

    from voxwire_client.context_lifecycle import ContextSession
    from voxwire_client.events import Event
    from voxwire_client.timed_events import TimedEvent

POLL_SECONDS = 0.01
"""How often `moments` asks the playout clock, and so how late an event may be."""


class Context(ContextLifecycle):
    """One stream of text and its audio. Iterate over it for its events; the iteration ends after `Done`.

    `async with session.context() as context:` opens it and, unless it is over, cancels it at the end. Meanwhile the
    iteration can be left and taken up again. Not thread-safe.

    An error that ends the context is raised as `VoxwireError` where the iteration stands (after the audio that was
    ready before it), a lost connection that does not come back as `ConnectionLost`.
    """

    def __init__(self, session: ContextSession, start: m.Start, *, adapt: bool = False) -> None:
        super().__init__(session, start, adapt=adapt)
        self._opening = asyncio.Lock()
        self._mouth = MouthTrack()
        if "viseme" in (start.timings or ()):
            self._events.subscribe(self._update_mouth)

    # -- text in --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the context, so that the server is ready for its text. All other methods open it when they need to.

        Raises:
            ConnectionLost: there is no connection.
            ValueError: a context of this name is in use on this session.
        """
        async with self._opening:
            if self._phase is Phase.NEW:
                self._connection = await self._session.attach(self)
                if self.over:
                    self._connection.detach(self)
                    return
                if self._adapt and self._session.step:
                    # Earlier contexts of the session have measured the link: begin with their bitrate.
                    level = RateController.for_context(self._requested_start, None, self._session.step).level
                    self._start = o.configured(self._requested_start, level.request(self.context))
                self._phase = Phase.OPENING
                await self.outbox.send(self._start)

    async def text(self, text: str, *, flush: bool = False) -> None:
        """Append text, in pieces of any size. Waits while the server has as much unspoken text as it takes.

        Raises:
            VoxwireError: client.context_ended, or the error that ended the context; client.invalid_field where the
                text can't be written as UTF-8.
            ConnectionLost: there is no connection, nor will be.
        """
        if not o.is_unicode(text):
            raise VoxwireError(ErrorCode.INVALID_FIELD, "text holds a lone surrogate", details={"field": "text"})
        await self.open()
        await self._sender.text(text, flush=flush)

    async def flush(self, id: str | None = None) -> None:
        """Speak all text that was written so far. A `Flushed` event follows its last frame.

        Raises: as `text`.
        """
        await self.open()
        await self._sender.flush(id)

    async def end(self) -> None:
        """No more text; `Done` follows the last frame. Without effect when the context is over."""
        await self.open()
        await self._sender.end()

    async def retract(self, from_char: int) -> int:
        """Drop text that is not being spoken yet, from a character on; returns how many characters are left.

        Raises: as `text`.
        """
        await self.open()
        return await self._sender.retract(from_char)

    # -- control --------------------------------------------------------------------------------------------------

    async def cancel(self, played_pts: int | None = None) -> m.Cancelled:
        """Barge-in: stop now. Returns what was heard, for the conversation's history, and what was not.

        Stop your player before you call it. `played_pts` is what it has played; by default the playout clock is asked.
        Audio that was not taken out is dropped; the iteration goes on with `Cancelled` and `Done`, and ends. Where
        the server had sent everything already, or there is no connection, the client works out the answer itself.
        Raises nothing, except `CancelledError` where the calling task is cancelled.
        """
        receiver = self._receiver
        self._begin_cancel(None if played_pts is None else max(0, int(played_pts)))
        while receiver.cancelled is None and self._phase is Phase.CANCELLING:
            self._changed.clear()
            await self._changed.wait()
        if receiver.cancelled is None:
            receiver.cancelled = receiver.report(receiver.cancelled_pts or 0)
            self._events.put_before_done(receiver.cancelled)
        return receiver.cancelled

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
        self.playout.resume(time.monotonic())
        if self._phase in LIVE and not self._overfull:
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
            # Kept in `_start`, so that a fresh session is asked for the same.
            self._start = o.configured(self._start, configure)
            await self.outbox.send(configure)

    @property
    def text_so_far(self) -> str:
        """The text that was written, less what was retracted."""
        return self._receiver.transcript.text

    def heard(self, played_pts: int | None = None) -> m.Heard:
        """What the listener has heard by now, as far as the client knows. Changes nothing."""
        pts = self.playout.estimate(time.monotonic()) if played_pts is None else played_pts
        return self._receiver.report(pts).heard

    # -- what is heard --------------------------------------------------------------------------------------------

    def moments(self) -> AsyncIterator[TimedEvent]:
        """Clauses, words, phonemes and visemes, each when the listener hears it according to `playout`.

        Iterate over it in a task of its own, while another takes the audio out and feeds a player. It ends when the
        last one was heard, at once when the context is cancelled, and raises nothing. Call it before audio comes:
        events that came earlier are not repeated. `TimedEvents` is the same for a loop and a clock of your own.
        """
        timed = TimedEvents()
        self._events.subscribe(timed.take)
        return self._as_heard(timed)

    async def _as_heard(self, timed: TimedEvents) -> AsyncGenerator[TimedEvent, None]:
        try:
            while not self._silenced() and not (self.over and self._rest_is_lost(timed)):
                # At 0 nothing has been heard yet.
                if played_pts := self.playout.estimate(time.monotonic()):
                    for event in timed.due(played_pts):
                        yield event
                        if self._silenced():
                            return
                await asyncio.sleep(POLL_SECONDS)
        finally:
            self._events.unsubscribe(timed.take)

    def _rest_is_lost(self, timed: TimedEvents) -> bool:
        """Whether the events that are left lie behind the end of the audio."""
        return timed.next_pts is None or timed.next_pts > self.playout.received_pts

    def _silenced(self) -> bool:
        """Whether it was cancelled: the player has been stopped."""
        return self.closing or self.cancelled is not None

    def mouth(self) -> list[float]:
        """The weights of the fifteen mouth shapes for the audio that is heard now, by id: for drawing a face.

        The mouth is closed before and after speech, while the player has no audio, while held, and once cancelled.
        Needs `timings` with "viseme".
        """
        now, clock = time.monotonic(), self.playout
        pts = clock.estimate(now)
        if self._silenced() or clock.paused or pts >= clock.received_pts:
            return closed_mouth()
        return self._mouth.weights(pts)

    def _update_mouth(self, event: Event) -> None:
        if isinstance(event, m.Timing):
            self._mouth.drop(self.playout.estimate(time.monotonic()) - PAST_SAMPLES)
            self._mouth.add(event)
        elif isinstance(event, Reconnected) and event.pts is not None:
            self._mouth.forget(event.pts)

    # -- events out -----------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncGenerator[Event, None]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[Event, None]:
        await self.open()
        while (event := await self._events.get()) is not None:
            self._release_if_drained()
            yield event

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def abandon(self) -> None:
        """Cancel without waiting for the report of what was heard. Without effect when the context is over."""
        self._begin_cancel(None)
