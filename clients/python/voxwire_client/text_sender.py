"""Sends a context's text, flushes and end to the server, and keeps track of what the server has accepted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_client.outbox import Outbox
    from voxwire_client.transcript import Transcript

PIPELINED_TEXTS_MAX = 16
"""Texts sent before `started` has come. If the `start` is refused, the server counts each of them as a mistake."""


class TextContext(Protocol):
    """What a `TextSender` needs of its context."""

    context: str

    @property
    def takes_text(self) -> bool:
        """Whether the server still takes text for it."""

    @property
    def starting(self) -> bool:
        """Whether `started` has not come yet."""

    @property
    def limits(self) -> m.Limits:
        """The session's bounds."""

    @property
    def outbox(self) -> Outbox:
        """Where its messages are sent."""

    def refusal(self) -> Exception:
        """Why it takes no more text."""


@dataclass(frozen=True, slots=True)
class Flush:
    """A flush that was asked for after `chars` characters."""

    id: str | None
    chars: int


@dataclass(frozen=True, slots=True)
class End:
    """No more text."""


class TextSender:
    """Sends text, flushes and the end in the order in which the caller wrote them, as fast as the server accepts them.

    There is no task of its own: each call that writes also sends what is queued, including what an earlier call left
    when it was cancelled. After `restart` the text is sent to another session, from a given character on.
    """

    def __init__(self, context: TextContext, transcript: Transcript) -> None:
        self.ended = False
        self.first_text_at: float | None = None
        self._context = context
        self._transcript = transcript
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._queue: deque[str | Flush | End] = deque()
        self._unanswered: deque[Flush] = deque()
        self._session_number = 0
        self._from_char = 0
        self._sent_chars = 0
        self._next_seq = 0
        self._accepted_seq = -1
        self._accepted_chars = 0
        self._accepted_count = 0
        self._pauses_seconds: list[float] = []

    # -- what the caller writes -------------------------------------------------------------------------------------

    async def text(self, text: str, *, flush: bool) -> None:
        """See `Context.text`."""
        async with self._lock:
            self._check()
            if text:
                self._queue.append(text)
                self._transcript.append(text)
                if self.first_text_at is None:
                    self.first_text_at = time.monotonic()
            if flush:
                self._queue_flush(None)
            await self._send_all()

    async def flush(self, id: str | None) -> None:
        """See `Context.flush`."""
        async with self._lock:
            self._check()
            self._queue_flush(id)
            await self._send_all()

    def _queue_flush(self, id: str | None) -> None:
        flush = Flush(id, self._transcript.chars)
        self._queue.append(flush)
        self._unanswered.append(flush)

    async def end(self) -> None:
        """See `Context.end`."""
        async with self._lock:
            if self._context.takes_text and not self.ended:
                self.ended = True
                self._queue.append(End())
                await self._send_queued()

    async def retract(self, from_char: int) -> int:
        """See `Context.retract`."""
        async with self._lock:
            self._check()
            while True:
                await self._send_queued()
                session = self._session_number
                await self._wait_until(lambda: self._accepted_seq == self._next_seq - 1, session)
                self._check()
                before = self._accepted_count
                session_char = max(0, from_char - self._from_char)
                await self._context.outbox.send(m.Retract(context=self._context.context, from_char=session_char))
                await self._wait_until(lambda: self._accepted_count > before, session)  # noqa: B023 - awaited here
                if self._accepted_count > before and session == self._session_number:
                    break
                if not self._context.takes_text:
                    raise self._context.refusal()
            self._transcript.truncate(self._accepted_chars)
            self._sent_chars = self._accepted_chars
            self._unanswered = deque(Flush(f.id, min(f.chars, self._accepted_chars)) for f in self._unanswered)
            return self._accepted_chars

    def _check(self) -> None:
        if self.ended or not self._context.takes_text:
            raise self._context.refusal()

    # -- what the server answers ------------------------------------------------------------------------------------

    def on_accepted(self, message: m.Accepted) -> None:
        """The server accepted text."""
        self._accepted_chars = message.chars + self._from_char
        self._accepted_count += 1
        if message.text_seq is not None:
            self._accepted_seq = max(self._accepted_seq, message.text_seq)
        self.notify()

    @property
    def sent_any(self) -> bool:
        """Whether any text was sent to the current session."""
        return self._next_seq > 0

    @property
    def accepted_seq(self) -> int | None:
        """The newest text that the current session accepted, by its `seq`; None: none."""
        return self._accepted_seq if self._accepted_seq >= 0 else None

    def on_flushed(self, message: m.Flushed) -> None:
        """A flush is done; one without an id may be the server's own."""
        if self._unanswered and self._unanswered[0].id == message.id:
            self._unanswered.popleft()

    def on_full(self, pause_seconds: float) -> None:
        """The server refused a text because too much is waiting to be spoken; it may be sent again after a pause."""
        self._pauses_seconds.append(pause_seconds)
        self.notify()

    def notify(self) -> None:
        """Something changed that a call may wait for."""
        self._changed.set()

    # -- a fresh session --------------------------------------------------------------------------------------------

    def restart(self, from_char: int) -> list[Flush]:
        """Queue everything from a character on for a fresh session; nothing is sent before `send_pending`.

        Returns the flushes whose text lies before `from_char`: their audio was received, so they are done.
        """
        done = []
        while self._unanswered and 0 < self._unanswered[0].chars <= from_char:
            done.append(self._unanswered.popleft())
        self._session_number += 1
        self._from_char = self._sent_chars = from_char
        self._next_seq, self._accepted_seq = 0, -1
        self._pauses_seconds.clear()
        self._queue.clear()
        text, at = self._transcript.text, from_char
        for flush in self._unanswered:
            if flush.chars > at:
                self._queue.append(text[at : flush.chars])
                at = flush.chars
            self._queue.append(flush)
        if at < len(text):
            self._queue.append(text[at:])
        if self.ended:
            self._queue.append(End())
        self.notify()
        return done

    async def send_pending(self) -> None:
        """Send what is queued."""
        async with self._lock:
            await self._send_queued()

    # -- sending ----------------------------------------------------------------------------------------------------

    async def _send_all(self) -> None:
        """Send everything that is queued.

        Raises: what ended the context, if it ended before all was sent.
        """
        await self._send_queued()
        if self._queue:
            raise self._context.refusal()

    async def _send_queued(self) -> None:
        while self._queue and self._context.takes_text:
            match self._queue[0]:
                case str(text):
                    await self._send_text(text)
                case Flush(id):
                    self._queue.popleft()
                    await self._context.outbox.send(m.Flush(context=self._context.context, id=id))
                case End():
                    self._queue.popleft()
                    await self._context.outbox.send(m.End(context=self._context.context))

    async def _send_text(self, text: str) -> None:
        limits, session = self._context.limits, self._session_number
        # On a fresh session no text goes ahead of `started`: were the `start` refused, the text would open a context
        # with default settings, and it would be heard.
        pipelined_max = PIPELINED_TEXTS_MAX if session == 0 else 0
        if self._context.starting and self._next_seq >= pipelined_max:
            await self._wait_until(lambda: not self._context.starting, session)
            return
        piece = text[: limits.text_chars_max]
        waiting_chars = self._sent_chars - self._transcript.spoken_chars
        if waiting_chars + len(piece) > limits.unspoken_chars_max:
            await self._send_until_accepted(piece, session)
            return
        message = self._message(piece)
        self._mark_sent(piece)
        await self._context.outbox.send(message)

    def _message(self, piece: str) -> m.Text:
        return m.Text(context=self._context.context, text=piece, seq=self._next_seq)

    def _mark_sent(self, piece: str) -> None:
        head = self._queue[0]
        assert isinstance(head, str), "the text that is being sent stays at the head of the queue"
        if len(head) > len(piece):
            self._queue[0] = head[len(piece) :]
        else:
            self._queue.popleft()
        self._next_seq += 1
        self._sent_chars += len(piece)

    async def _send_until_accepted(self, piece: str, session: int) -> None:
        """Send text that may exceed the server's bound, again and again until it is accepted."""
        seq = self._next_seq
        await self._wait_until(lambda: self._accepted_seq >= seq - 1, session)
        while self._accepted_seq < seq and self._context.takes_text and session == self._session_number:
            self._pauses_seconds.clear()
            await self._context.outbox.send(self._message(piece))
            await self._wait_until(lambda: self._accepted_seq >= seq or bool(self._pauses_seconds), session)
            # The server counts attempts that come too often as abuse.
            await asyncio.sleep(max(self._pauses_seconds, default=0))
        if self._accepted_seq >= seq and session == self._session_number:
            self._mark_sent(piece)

    async def _wait_until(self, condition: Callable[[], bool], session: int) -> None:
        """Wait until a condition holds, the context takes no more text, or another session has begun."""
        while self._context.takes_text and session == self._session_number and not condition():
            self._changed.clear()
            await self._changed.wait()
