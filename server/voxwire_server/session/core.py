"""Owns one session: takes messages, audio and the time, and returns effects. Does no I/O and reads no clock.

A driver calls one method for each thing that happens (`receive`, `produced`, `encoded`, `writable`, `tick`), and
carries out the effects that each returns, in order. `next_due` says when `tick` is wanted next.

    NEW --open--> LIVE --drain--> DRAINING --all contexts done--> CLOSED
                   |                  |
                   +--abuse, idle-----+--> CLOSED
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.session import effects as fx
from voxwire_server.session.message_handler import MessageHandler
from voxwire_server.session.open_contexts import OpenContexts
from voxwire_server.session.quotas import ClientIdentity, MemoryAccounts, SessionMemory, TokenBucket, Use
from voxwire_server.text.intake import Allowance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.session.context import Context
    from voxwire_server.session.ports import Directory
    from voxwire_server.session.resume import Frames
    from voxwire_server.session.settings import SessionSettings

DRAIN_GRACE_SECONDS = 2.0
"""While draining, a context that has been waiting for text for so long does not hold the session open."""

DRAIN_AWAY_SECONDS = 5.0
"""While draining, a client that has been away for so long is not waited for: another node speaks what it missed."""

READING_WORK = 1500.0
READING_WORK_PER_SECOND = 150_000.0
"""How much text a session reads at once and in the long run, in units of work of about a microsecond: 2,000 and 200,000
characters of what models write, much less of what is made to be hard to read. Its contexts share it."""


class SessionCore:
    """One session. Not thread-safe; one driver calls it."""

    def __init__(
        self,
        session_id: str,
        token: str,
        settings: SessionSettings,
        directory: Directory,
        seeds: Callable[[], int],
        now: float,
        identity: ClientIdentity | None = None,
        memory_accounts: MemoryAccounts | None = None,
    ) -> None:
        """`token` resumes the session; `seeds` gives the seed of a context whose client chose none.

        `memory_accounts` bounds what all sessions of the account hold; left out, nothing does.
        """
        self.session_id = session_id
        self.identity = identity or ClientIdentity()
        self.received = 0
        """How many messages the client has sent, invalid ones included."""
        self.closed = False
        self._token = token
        self._settings = settings
        self._effects: list[fx.Effect] = []
        emit = self._effects.append
        account = self.identity.account
        self.memory = SessionMemory(
            account, session_id, settings.session_bytes_max, memory_accounts or MemoryAccounts(sys.maxsize)
        )
        self._reading = Allowance(READING_WORK_PER_SECOND, READING_WORK, READING_WORK, now)
        self._contexts = OpenContexts(settings, directory, seeds, self._reading, emit, session_id, account)
        self._handler = MessageHandler(settings, self._contexts, self.memory, emit)
        burst, mistakes = settings.messages_burst, settings.bad_messages_max
        self._messages = TokenBucket(settings.messages_per_second, burst, burst, now)
        self._mistakes = TokenBucket(mistakes / settings.bad_messages_seconds, mistakes, mistakes, now)
        self._state_at = now
        """When `state` was last sent, or would have been had a context been open."""
        self._opened_at = now
        self._active_at = now
        """When the client's last message came."""
        self._spoke_at = now
        """When a context last made progress."""
        self._drain_by: float | None = None
        self._away_since: float | None = None

    # -- what happens ---------------------------------------------------------------------------------------------

    def open(self, now: float) -> list[fx.Effect]:
        """The client is connected and authenticated."""
        s = self._settings
        self._active_at = now
        limits = m.Limits(
            message_bytes_max=s.message_bytes_max,
            contexts_max=s.contexts_max,
            text_chars_max=s.text_chars_max,
            unspoken_chars_max=s.unspoken_chars_max,
            context_chars_max=s.context_chars_max,
        )
        ready = m.Ready(
            session=self.session_id,
            token=self._token,
            heartbeat_ms=s.heartbeat_ms,
            resume_window_ms=s.resume_window_ms,
            limits=limits,
        )
        self._send(ready)
        return self._take()

    def receive(self, message: m.ClientMessage, now: float) -> list[fx.Effect]:
        """A message came. Every mistake in it is answered with an `error`; nothing else is disturbed."""
        if self.closed:
            return []
        self.count_message(now)
        self._reading.renew(now)
        was_empty = not len(self._contexts)
        try:
            context = self._handler.handle(message, now)
        except VoxwireError as error:
            self._answer_mistake(error, getattr(message, "context", None), now)
        else:
            if context is not None:
                self._advance(context, now)
        if was_empty and len(self._contexts):
            self._state_at = now
        self._close_if_drained(now)
        return self._take()

    def count_message(self, now: float) -> None:
        """Count a message; by itself, one of a vendor's client that its translator did not pass on to this session."""
        self.received += 1
        self._active_at = now
        self._messages.take(now)

    def reject(self, error: VoxwireError, now: float) -> list[fx.Effect]:
        """Something came that is no message; `error` says what is wrong with it."""
        if not self.closed:
            self.received += 1
            self._messages.take(now)
            self._answer_mistake(error, None, now)
        return self._take()

    def produced(
        self,
        serial: int,
        index: int,
        chunks: Sequence[EncodedChunk],
        now: float,
        *,
        queue_seconds: float | None = None,
        synth_seconds: float | None = None,
        unspoken: Sequence[tuple[int, int]] = (),
    ) -> list[fx.Effect]:
        """A step made audio of context `serial`; late audio of a context that is over is dropped here.

        `unspoken` are the ranges of the clause's text of which nothing could be pronounced. `queue_seconds` and
        `synth_seconds` come with a clause's last audio: for how long it waited and was stepped.
        """
        self._reading.renew(now)
        context = self._contexts.find(serial)
        if context is not None:
            if queue_seconds is not None and synth_seconds is not None:
                context.add_times(queue_seconds, synth_seconds)
            if unspoken:
                context.unspoken(index, unspoken)
            context.produced(index, chunks, now)
            self._advance(context, now)
        return self._take()

    def failed(self, serial: int, error: VoxwireError, now: float) -> list[fx.Effect]:
        """A clause of context `serial` could not be spoken."""
        self._reading.renew(now)
        context = self._contexts.find(serial)
        if context is not None:
            context.failed(error)
            self._advance(context, now)
        return self._take()

    def encoded(self, serial: int, block: FrameBlock, now: float) -> list[fx.Effect]:
        """Packets of context `serial` are ready, in the order asked for."""
        self._reading.renew(now)
        context = self._contexts.find(serial)
        if context is not None:
            context.encoded(block)
            self._advance(context, now)
        return self._take()

    def writable(self, writable: bool, now: float) -> list[fx.Effect]:
        """The socket takes more, or does not."""
        self._contexts.writable = writable
        for context in self._contexts.in_turn(now):
            context.set_writable(writable, now)
            if writable:
                self._advance(context, now)
        return self._take()

    def tick(self, now: float) -> list[fx.Effect]:
        """Time passed."""
        if self.closed:
            return []
        if self._away_since is not None and now >= self._session_due():
            self._drop_contexts()
            return self._take()
        for context in self._contexts.in_turn(now):
            self._advance(context, now)
        if self._away_since is None:
            self._beat(now)
        self._close_if_drained(now)
        return self._take()

    def drain(self, deadline_ms: int, now: float) -> list[fx.Effect]:
        """The server goes away: no new contexts; speech under way is finished, within `deadline_ms`."""
        if not self.closed and self._drain_by is None:
            self._drain_by = now + deadline_ms / 1000
            self._contexts.draining = True
            self._send(m.Draining(deadline_ms=deadline_ms))
            self._close_if_drained(now)
        return self._take()

    def fail(self, error: VoxwireError) -> list[fx.Effect]:
        """End the session with `error` and its close code."""
        if not self.closed:
            self._fail(error)
        return self._take()

    def detached(self, now: float) -> list[fx.Effect]:
        """The connection dropped; the client may come back within the window. Nothing is sent meanwhile."""
        self._away_since = now
        return self.writable(False, now)

    def attached(self, now: float) -> list[fx.Effect]:
        """The client is back, on a new connection."""
        self._away_since = None
        self._active_at = self._state_at = now
        return self.writable(True, now)

    def disconnected(self) -> list[fx.Effect]:
        """The client is gone: drop all its contexts."""
        self._drop_contexts()
        return self._take()

    # -- questions ------------------------------------------------------------------------------------------------

    @property
    def worth_resuming(self) -> bool:
        """Whether there is anything to come back to: a context was opened."""
        return self._contexts.opened > 0

    @property
    def use(self) -> tuple[Use, float]:
        """What the session uses its place for, and since when."""
        if self._away_since is not None:
            return Use.AWAY, self._away_since
        if not self.received:
            return Use.SILENT, self._opened_at
        return (Use.LIVE if len(self._contexts) else Use.IDLE), max(self._active_at, self._spoke_at)

    @property
    def contexts_open(self) -> int:
        """How many contexts are open."""
        return len(self._contexts)

    @property
    def numbers(self) -> Mapping[str, int]:
        """The number of the newest context of each name, of those that are over too."""
        return self._contexts.numbers

    def resumed_contexts(self, to_come: Iterable[m.ServerMessage | Frames]) -> dict[str, m.ResumedContext]:
        """Every context of which something is to come: those that are open, and those that end in `to_come`."""
        return self._contexts.resumed(to_come)

    def next_due(self, now: float) -> float:
        """When `tick` is wanted next, at the latest."""
        due = min(self._session_due(), self._contexts.next_due(now))
        if self._drain_by is not None:
            due = min(due, self._drain_by, now + DRAIN_GRACE_SECONDS / 2)
        return due

    def _session_due(self) -> float:
        """When the session itself has something to do."""
        if self._away_since is not None:
            return self._away_since + self._settings.resume_window_ms / 1000
        if len(self._contexts):
            return self._state_at + self._settings.heartbeat_ms / 1000
        return self._active_at + self._settings.idle_seconds

    def read_delay(self) -> float:
        """Seconds to wait before the next message is read: a flood is slowed down, and nothing of it is lost."""
        return self._messages.delay()

    # -- progress -------------------------------------------------------------------------------------------------

    def _advance(self, context: Context, now: float) -> None:
        if context.held_seconds(now) >= self._settings.hold_seconds:
            self._end_hold(context, now)
        context.advance(now)
        self._spoke_at = now
        self._contexts.forget_if_closed(context)
        self._measure(context)

    def _measure(self, context: Context) -> None:
        """Count how much a context holds now; make audio only as it is sent while the session holds too much."""
        held = context.held_bytes
        too_much = self.memory.change(held - context.counted_bytes)
        context.counted_bytes = held
        self._contexts.set_frugal(too_much)

    def _end_hold(self, context: Context, now: float) -> None:
        """End a context that was held for too long: its client is told what was heard, and its memory is free."""
        name, seconds = context.spec.name, self._settings.hold_seconds
        error = VoxwireError(
            ErrorCode.HOLD_EXPIRED,
            f"context {name!r} was held for {seconds:g} s",
            details={"hold_seconds": seconds},
        )
        self._send(m.error_to_message(error, context=name))
        context.cancel(None, now)

    def _beat(self, now: float) -> None:
        """Send `state` when it is due, or end a session in which nothing is open."""
        if len(self._contexts) and now >= self._state_at + self._settings.heartbeat_ms / 1000:
            self._state_at = now
            states = {name: context.state(now) for name, context in self._contexts.by_name.items()}
            self._send(m.State(contexts=states, received=self.received))
        elif not len(self._contexts):
            self._state_at = now
            if now - self._active_at >= self._settings.idle_seconds:
                self._fail(VoxwireError(ErrorCode.IDLE, f"nothing happened for {self._settings.idle_seconds:g} s"))

    # -- the end --------------------------------------------------------------------------------------------------

    def _answer_mistake(self, error: VoxwireError, context: str | None, now: float) -> None:
        """Answer a mistake of the client's, or end the session after too many."""
        if self._mistakes.take(now):
            self._send(m.error_to_message(error, context=error.context or context))
        else:
            self._fail(VoxwireError(ErrorCode.ABUSE, "too many messages that are wrong"))

    def _fail(self, error: VoxwireError) -> None:
        self._send(m.error_to_message(error))
        self._close(error.close_code or CloseCode.POLICY, error.code.value)

    def _close_if_drained(self, now: float) -> None:
        if self._drain_by is None or self.closed:
            return
        contexts = self._contexts.by_name.values()
        waiting = all(c.idle and now - c.last_text_at >= DRAIN_GRACE_SECONDS for c in contexts)
        absent = self._away_since is not None and now - self._away_since >= DRAIN_AWAY_SECONDS
        if waiting or absent or now >= self._drain_by:
            self._close(CloseCode.RESTART, "the server is going away")

    def _close(self, code: int, reason: str) -> None:
        self._effects.append(fx.Close(code, reason))
        self._drop_contexts()

    def _drop_contexts(self) -> None:
        self.closed = True
        self._contexts.drop_all()
        self.memory.release()

    def _send(self, message: m.ServerMessage) -> None:
        self._effects.append(fx.Send(message))

    def _take(self) -> list[fx.Effect]:
        effects = self._effects[:]
        # Contexts hold this list's append; it is emptied, never replaced.
        self._effects.clear()
        return effects
