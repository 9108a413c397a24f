"""The text side of a context: what its caller wrote, in order, and how much of it the server has been told."""

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
"""Texts sent before `started` has come: each of them is one mistake more if the `start` is refused."""


class Speech(Protocol):
    """What the text side needs of its context."""

    context: str

    @property
    def takes_text(self) -> bool:
        """Whether the server still takes text of it."""

    @property
    def starting(self) -> bool:
        """Whether `started` has not come yet."""

    @property
    def limits(self) -> m.Limits:
        """The session's bounds."""

    @property
    def outbox(self) -> Outbox:
        """Where messages of it go."""

    def why_over(self) -> Exception:
        """Why no more text is taken."""


@dataclass(frozen=True, slots=True)
class Flush:
    """A flush that was asked for after `chars` characters."""

    id: str | None
    chars: int


@dataclass(frozen=True, slots=True)
class End:
    """No more text."""


class Writing:
    """Says text, flushes and the end to the server, in the order in which they were written, as fast as it takes them.

    Whoever writes also sends: what a caller that was cancelled has left over goes out with the next write. After
    `begin_anew` it is said to another session, from some character on.
    """

    def __init__(self, speech: Speech, transcript: Transcript) -> None:
        self.ended = False
        self.first_text_at: float | None = None
        self._speech = speech
        self._transcript = transcript
        self._lock = asyncio.Lock()
        self._news = asyncio.Event()
        self._steps: deque[str | Flush | End] = deque()
        self._unanswered: deque[Flush] = deque()
        self._sessions = 0
        self._from_char = 0
        self._said_chars = 0
        self._next_seq = 0
        self._accepted_seq = -1
        self._accepted_chars = 0
        self._answers = 0
        self._pauses_seconds: list[float] = []

    # -- what the caller writes ---------------------------------------------------------------------------------------

    async def text(self, text: str, *, flush: bool) -> None:
        """See `Context.text`."""
        async with self._lock:
            self._check()
            if text:
                self._steps.append(text)
                self._transcript.append(text)
                if self.first_text_at is None:
                    self.first_text_at = time.monotonic()
            if flush:
                self._flush(None)
            await self._say_all()

    async def flush(self, id: str | None) -> None:
        """See `Context.flush`."""
        async with self._lock:
            self._check()
            self._flush(id)
            await self._say_all()

    def _flush(self, id: str | None) -> None:
        flush = Flush(id, self._transcript.chars)
        self._steps.append(flush)
        self._unanswered.append(flush)

    async def end(self) -> None:
        """See `Context.end`."""
        async with self._lock:
            if self._speech.takes_text and not self.ended:
                self.ended = True
                self._steps.append(End())
                await self._say()

    async def retract(self, from_char: int) -> int:
        """See `Context.retract`."""
        async with self._lock:
            self._check()
            while True:
                await self._say()
                session = self._sessions
                await self._until(lambda: self._accepted_seq == self._next_seq - 1, session)
                self._check()
                before = self._answers
                from_there = max(0, from_char - self._from_char)
                await self._speech.outbox.send(m.Retract(context=self._speech.context, from_char=from_there))
                await self._until(lambda: self._answers > before, session)  # noqa: B023 - awaited here
                if self._answers > before and session == self._sessions:
                    break
                if not self._speech.takes_text:
                    raise self._speech.why_over()
            self._transcript.truncate(self._accepted_chars)
            self._said_chars = self._accepted_chars
            self._unanswered = deque(Flush(f.id, min(f.chars, self._accepted_chars)) for f in self._unanswered)
            return self._accepted_chars

    def _check(self) -> None:
        if self.ended or not self._speech.takes_text:
            raise self._speech.why_over()

    # -- what the server says -----------------------------------------------------------------------------------------

    def accepted(self, message: m.Accepted) -> None:
        """The server took text."""
        self._accepted_chars = message.chars + self._from_char
        self._answers += 1
        if message.text_seq is not None:
            self._accepted_seq = max(self._accepted_seq, message.text_seq)
        self.news()

    @property
    def said(self) -> bool:
        """Whether any text was said to this session."""
        return self._next_seq > 0

    @property
    def accepted_seq(self) -> int | None:
        """The newest text that the server took, by its own number; None: none."""
        return self._accepted_seq if self._accepted_seq >= 0 else None

    def flushed(self, message: m.Flushed) -> None:
        """A flush is answered; one without an id may be the server's own."""
        if self._unanswered and self._unanswered[0].id == message.id:
            self._unanswered.popleft()

    def full(self, pause_seconds: float) -> None:
        """The server took a text not yet."""
        self._pauses_seconds.append(pause_seconds)
        self.news()

    def news(self) -> None:
        """Something changed that a writer may wait for."""
        self._news.set()

    # -- a fresh session ----------------------------------------------------------------------------------------------

    def begin_anew(self, from_char: int) -> list[Flush]:
        """Another session is to be told everything from a character on; returns flushes that are answered by that.

        Nothing is said before `say_left`.
        """
        answered = []
        while self._unanswered and 0 < self._unanswered[0].chars <= from_char:
            answered.append(self._unanswered.popleft())
        self._sessions += 1
        self._from_char = self._said_chars = from_char
        self._next_seq, self._accepted_seq = 0, -1
        self._pauses_seconds.clear()
        self._steps.clear()
        text, at = self._transcript.text, from_char
        for flush in self._unanswered:
            if flush.chars > at:
                self._steps.append(text[at : flush.chars])
                at = flush.chars
            self._steps.append(flush)
        if at < len(text):
            self._steps.append(text[at:])
        if self.ended:
            self._steps.append(End())
        self.news()
        return answered

    async def say_left(self) -> None:
        """Say what has not been said yet."""
        async with self._lock:
            await self._say()

    # -- saying it ----------------------------------------------------------------------------------------------------

    async def _say_all(self) -> None:
        """Say everything.

        Raises: what ended the context, if it did before all was said.
        """
        await self._say()
        if self._steps:
            raise self._speech.why_over()

    async def _say(self) -> None:
        while self._steps and self._speech.takes_text:
            match self._steps[0]:
                case str(text):
                    await self._say_text(text)
                case Flush(id):
                    self._steps.popleft()
                    await self._speech.outbox.send(m.Flush(context=self._speech.context, id=id))
                case End():
                    self._steps.popleft()
                    await self._speech.outbox.send(m.End(context=self._speech.context))

    async def _say_text(self, text: str) -> None:
        limits, session = self._speech.limits, self._sessions
        # In a fresh session nothing may be opened by a text whose `start` was refused: it would be heard.
        ahead_max = PIPELINED_TEXTS_MAX if session == 0 else 0
        if self._speech.starting and self._next_seq >= ahead_max:
            await self._until(lambda: not self._speech.starting, session)
            return
        piece = text[: limits.text_chars_max]
        waiting_chars = self._said_chars - self._transcript.spoken_chars
        if waiting_chars + len(piece) > limits.unspoken_chars_max:
            await self._squeeze_in(piece, session)
            return
        message = self._message(piece)
        self._said(piece)
        await self._speech.outbox.send(message)

    def _message(self, piece: str) -> m.Text:
        return m.Text(context=self._speech.context, text=piece, seq=self._next_seq)

    def _said(self, piece: str) -> None:
        rest = self._steps[0]
        assert isinstance(rest, str), "nothing else is in the way while a text is being said"
        if len(rest) > len(piece):
            self._steps[0] = rest[len(piece) :]
        else:
            self._steps.popleft()
        self._next_seq += 1
        self._said_chars += len(piece)

    async def _squeeze_in(self, piece: str, session: int) -> None:
        """Say text that may be too much until it is accepted."""
        seq = self._next_seq
        await self._until(lambda: self._accepted_seq >= seq - 1, session)
        while self._accepted_seq < seq and self._speech.takes_text and session == self._sessions:
            self._pauses_seconds.clear()
            await self._speech.outbox.send(self._message(piece))
            await self._until(lambda: self._accepted_seq >= seq or bool(self._pauses_seconds), session)
            # Asked often, the server would take it for abuse.
            await asyncio.sleep(max(self._pauses_seconds, default=0))
        if self._accepted_seq >= seq and session == self._sessions:
            self._said(piece)

    async def _until(self, condition: Callable[[], bool], session: int) -> None:
        """Wait until something is so, or the context takes no more text, or another session has begun."""
        while self._speech.takes_text and session == self._sessions and not condition():
            self._news.clear()
            await self._news.wait()
