"""A context on a session: text goes in, events come out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from voxwire_client import options as o
from voxwire_client.arrival import Adaptation
from voxwire_client.events import Reconnected
from voxwire_client.moments import PAST_SAMPLES, Moments
from voxwire_client.mouth import MouthTrack, closed
from voxwire_client.speaking import LIVE, Phase, Speaking
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from types import TracebackType

    from voxwire_client.events import Event
    from voxwire_client.moments import Moment
    from voxwire_client.parties import Link

MOMENT_SECONDS = 0.01
"""How late what is heard may be told: players are asked so often."""


class Context(Speaking):
    """One stream of text and its audio. Iterate over it for its events; the iteration ends after `Done`.

    `async with session.context() as context:` opens it and, unless it is over, cancels it at the end. Between, the
    iteration can be left and taken up again. Not thread-safe.

    An error that ends the context is raised as `VoxwireError` where the iteration stands (after the audio that was
    ready before it), a lost connection that does not come back as `ConnectionLost`.
    """

    def __init__(self, link: Link, start: m.Start, *, adapt: bool = False) -> None:
        super().__init__(link, start, adapt=adapt)
        self._opening = asyncio.Lock()
        self._mouth = MouthTrack()
        if "viseme" in (start.timings or ()):
            self._inbox.follow(self._follow_mouth)

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
                if self._adapt and self._link.step:
                    # What was learnt from speech before holds from the first frame on.
                    level = Adaptation.of(self._wanted, None, self._link.step).level
                    self._start = o.configured(self._wanted, level.request(self.context))
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
        hearing = self._hearing
        self._leave(None if played_pts is None else max(0, int(played_pts)))
        while hearing.cancelled is None and self._phase is Phase.LEAVING:
            self._news.clear()
            await self._news.wait()
        if hearing.cancelled is None:
            hearing.cancelled = hearing.report(hearing.cancelled_pts or 0)
            self._inbox.put_before_done(hearing.cancelled)
        return hearing.cancelled

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
        return self._hearing.transcript.text

    def heard(self, played_pts: int | None = None) -> m.Heard:
        """What the listener has heard by now, as far as can be known here. Does not disturb anything."""
        pts = self.playout.estimate(time.monotonic()) if played_pts is None else played_pts
        return self._hearing.report(pts).heard

    # -- what is heard --------------------------------------------------------------------------------------------

    def moments(self) -> AsyncIterator[Moment]:
        """Clauses, words, phonemes and visemes, each at the moment when the listener hears it, as `playout` tells.

        Iterate over it in a task of its own, while another takes the audio out and feeds a player. It ends when the
        last one was heard, at once when the context is cancelled, and raises nothing. Call it before audio comes: what
        was told earlier is not told again. For a loop of your own with a clock of its own there is `Moments`.
        """
        moments = Moments()
        self._inbox.follow(moments.take)
        return self._heard_moments(moments)

    async def _heard_moments(self, moments: Moments) -> AsyncGenerator[Moment, None]:
        try:
            while not self._silenced() and not (self.over and self._unheard(moments)):
                # At 0 nothing has been heard yet.
                if played_pts := self.playout.estimate(time.monotonic()):
                    for moment in moments.due(played_pts):
                        yield moment
                        if self._silenced():
                            return
                await asyncio.sleep(MOMENT_SECONDS)
        finally:
            self._inbox.leave(moments.take)

    def _unheard(self, moments: Moments) -> bool:
        """Whether what is left will never be heard."""
        return moments.next_pts is None or moments.next_pts > self.playout.received_pts

    def _silenced(self) -> bool:
        """Whether it was cancelled: what is in the player is not heard any more."""
        return self.leaving or self.cancelled is not None

    def mouth(self) -> list[float]:
        """The weights of the fifteen mouth shapes that belong to what is heard now, by id: for a face that is drawn.

        Closed before speech and after it, while the listener has run dry, while held, and once cancelled. Needs
        `timings` with "viseme".
        """
        now, clock = time.monotonic(), self.playout
        pts = clock.estimate(now)
        if self._silenced() or clock.paused or pts >= clock.received_pts:
            return closed()
        return self._mouth.weights(pts)

    def _follow_mouth(self, event: Event) -> None:
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
        self._leave(None)
