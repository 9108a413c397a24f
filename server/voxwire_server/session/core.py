"""Owns one session: takes messages, audio and the time, and returns effects. Does no I/O and reads no clock.

A driver decodes what the client sends, calls one method a fact (`receive`, `produced`, `encoded`, `writable`, `tick`),
and carries out the effects that each returns, in order. `next_due` says when `tick` is wanted next.

    NEW --open--> LIVE --drain--> DRAINING --all contexts done--> CLOSED
                   |                  |
                   +--abuse, idle-----+--> CLOSED
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, assert_never

from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.audio.framing import lookahead_samples
from voxwire_server.session import effects as fx
from voxwire_server.session.bucket import TokenBucket
from voxwire_server.session.context import FLUSH_BYTES, Context, ContextSpec, Phase, PlayoutPolicy, fed_bytes
from voxwire_server.session.identity import ClientIdentity
from voxwire_server.session.ledger import Ledger
from voxwire_server.session.places import Use
from voxwire_server.session.replay import Frames
from voxwire_server.text.intake import Allowance, ClauseLimits, TextIntake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Voice

DRAIN_GRACE_SECONDS = 2.0
"""While draining, a context that has been waiting for text for so long does not hold the session open."""

DRAIN_AWAY_SECONDS = 5.0
"""While draining, a client that has been away for so long is not waited for: it has what it missed spoken elsewhere."""

READING_WORK = 1500.0
READING_WORK_PER_SECOND = 150_000.0
"""How much text a session reads at once and in the long run, in units of work of about a microsecond: 2,000 and 200,000
characters of what models write, much less of what is made to be hard to read. Its contexts share it."""

CONTEXT_NUMBERS = 1 << 16

FLUSHES_WAITING_MAX = 1024
"""Flushes of one context that may wait for their answers: each is worth a sentence."""

NUMBERS_KEPT = 256
"""Of so many contexts that are over the number is known, for clients that resume without counting."""


class ResolvedVoice(NamedTuple):
    """A voice, the engine that has it, and the language it will speak."""

    engine: EngineInfo
    voice: Voice
    language: str


class Directory(Protocol):
    """Where voices are looked up and new speech is admitted. Answers at once."""

    def resolve(self, voice: str | None, language: str | None) -> ResolvedVoice:
        """Find a voice by name (None: the default).

        Raises:
            VoxwireError: client.unknown_voice (details list what there is) or client.unsupported_language.
        """

    def admit(self, engine: str, *, bulk: bool, now: float, session: str, account: str) -> None:
        """Let one more listener of an account in; `session` asks, which may have a place from a listener that it just
        interrupted.

        Raises:
            VoxwireError: system.engine_overloaded with retry_after_ms.
        """


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Bounds and defaults of a session. Characters are code points; rates are per second."""

    message_bytes_max: int = 1 << 20
    contexts_max: int = 32
    text_chars_max: int = 20_000
    unspoken_chars_max: int = 50_000
    context_chars_max: int = 200_000
    session_bytes_max: int = 16 << 20
    hold_seconds: float = 300.0
    messages_per_second: float = 400.0
    messages_burst: float = 2000.0
    bad_messages_max: int = 100
    bad_messages_seconds: float = 10.0
    heartbeat_ms: int = 5000
    resume_window_ms: int = 0
    idle_seconds: float = 600.0
    lead_ms: int = 500
    opus_bitrate: int = 24_000
    policy: PlayoutPolicy = field(default_factory=PlayoutPolicy)


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
        ledger: Ledger | None = None,
    ) -> None:
        """`ledger` bounds what all sessions of the account hold; left out, nothing does."""
        self.session_id = session_id
        self.identity = identity or ClientIdentity()
        self._ledger = ledger or Ledger(sys.maxsize)
        self.kept_bytes = 0
        """What the driver keeps of this session beside the contexts: what was sent and not acknowledged."""
        self._context_bytes = 0
        self._frugal = False
        self._token = token
        self._settings = settings
        self._directory = directory
        self._seeds = seeds
        self._contexts: dict[str, Context] = {}
        self._by_serial: dict[int, Context] = {}
        self._held: dict[int, Context] = {}
        """By serial too: the contexts that the client holds."""
        self._serial = 0
        self.numbers: dict[str, int] = {}
        """The number of the newest context of each name, of those that are over too."""
        self._turned_away: dict[str, int | None] = {}
        """Contexts for which there was no room, and after how many milliseconds to try again."""
        self._reading = Allowance(READING_WORK_PER_SECOND, READING_WORK, READING_WORK, now)
        self._first = 0
        """Which context comes first: when the allowance is used up, another one the next time."""
        self._effects: list[fx.Effect] = []
        self._messages = TokenBucket(
            settings.messages_per_second, settings.messages_burst, settings.messages_burst, now
        )
        self._mistakes = TokenBucket(
            settings.bad_messages_max / settings.bad_messages_seconds,
            settings.bad_messages_max,
            settings.bad_messages_max,
            now,
        )
        self._state_at = now
        self._active_at = now
        self._drain_by: float | None = None
        self._writable = True
        self._away_since: float | None = None
        self.received = 0
        """How many messages came from the client, whatever they were."""
        self._opened_at = self._spoke_at = now
        self.closed = False

    # -- facts ----------------------------------------------------------------------------------------------------

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
        self._send(
            m.Ready(
                session=self.session_id,
                token=self._token,
                heartbeat_ms=s.heartbeat_ms,
                resume_window_ms=s.resume_window_ms,
                limits=limits,
            )
        )
        return self._take()

    def receive(self, message: m.ClientMessage, now: float) -> list[fx.Effect]:
        """A message came. Every mistake in it is answered with an `error`; nothing else is disturbed."""
        if self.closed:
            return []
        self.received += 1
        self._active_at = now
        self._messages.take(now)
        self._reading.renew(now)
        try:
            context = self._dispatch(message, now)
        except VoxwireError as error:
            self._mistake(error, getattr(message, "context", None), now)
        else:
            if context is not None:
                self._advance(context, now)
        self._close_if_drained(now)
        return self._take()

    def count_message(self, now: float) -> None:
        """Count a message of a vendor's client that the translator did not pass on to this session."""
        self.received += 1
        self._active_at = now
        self._messages.take(now)

    def reject(self, error: VoxwireError, now: float) -> list[fx.Effect]:
        """Something came that is no message; `error` says what is wrong with it."""
        if not self.closed:
            self.received += 1
            self._messages.take(now)
            self._mistake(error, None, now)
        return self._take()

    def produced(
        self,
        serial: int,
        index: int,
        pieces: Sequence[EncodedChunk],
        now: float,
        *,
        queue_seconds: float | None = None,
        synth_seconds: float | None = None,
    ) -> list[fx.Effect]:
        """A step made audio of context `serial`; late audio of a context that is gone is dropped here."""
        self._reading.renew(now)
        context = self._by_serial.get(serial)
        if context is not None:
            if queue_seconds is not None and synth_seconds is not None:
                context.step_times(queue_seconds, synth_seconds)
            context.produced(index, pieces, now)
            self._advance(context, now)
        return self._take()

    def failed(self, serial: int, error: VoxwireError, now: float) -> list[fx.Effect]:
        """A clause of context `serial` could not be spoken."""
        self._reading.renew(now)
        context = self._by_serial.get(serial)
        if context is not None:
            context.failed(error)
            self._advance(context, now)
        return self._take()

    def encoded(self, serial: int, block: FrameBlock, now: float) -> list[fx.Effect]:
        """Packets of context `serial` are ready, in the order asked for."""
        self._reading.renew(now)
        context = self._by_serial.get(serial)
        if context is not None:
            context.encoded(block)
            self._advance(context, now)
        return self._take()

    def writable(self, writable: bool, now: float) -> list[fx.Effect]:
        """The socket takes more, or does not."""
        self._writable = writable
        for context in self._in_turn(now):
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
        for context in self._in_turn(now):
            self._advance(context, now)
        if self._away_since is None:
            self._beat(now)
        self._close_if_drained(now)
        return self._take()

    def _beat(self, now: float) -> None:
        """Say what is going on, or end a session in which nothing is."""
        if self._contexts and now >= self._state_at + self._settings.heartbeat_ms / 1000:
            self._state_at = now
            states = {name: c.state(now) for name, c in self._contexts.items()}
            self._send(m.State(contexts=states, received=self.received))
        elif not self._contexts:
            self._state_at = now
            if now - self._active_at >= self._settings.idle_seconds:
                self._fail(VoxwireError(ErrorCode.IDLE, f"nothing happened for {self._settings.idle_seconds:g} s"))

    def drain(self, deadline_ms: int, now: float) -> list[fx.Effect]:
        """The server goes away: no new contexts; speech under way is finished, within `deadline_ms`."""
        if not self.closed and self._drain_by is None:
            self._drain_by = now + deadline_ms / 1000
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
        """The client is gone: drop all its work."""
        self._drop_contexts()
        return self._take()

    # -- questions ------------------------------------------------------------------------------------------------

    @property
    def held_bytes(self) -> int:
        """What the session holds in memory: text, what is to be sent, what may have to be sent again."""
        return self._context_bytes + self.kept_bytes

    @property
    def worth_resuming(self) -> bool:
        """Whether a client that comes back finds anything here: a context was opened."""
        return self._serial > 0

    @property
    def use(self) -> tuple[Use, float]:
        """What its place is used for, and since when."""
        if self._away_since is not None:
            return Use.AWAY, self._away_since
        if not self.received:
            return Use.SILENT, self._opened_at
        return (Use.LIVE if self._contexts else Use.IDLE), max(self._active_at, self._spoke_at)

    @property
    def contexts_open(self) -> int:
        """How many contexts are open."""
        return len(self._contexts)

    def resumed_contexts(self, to_come: Iterable[m.ServerMessage | Frames]) -> dict[str, m.ResumedContext]:
        """Every context of which something is to come: those that are open, and those that end in `to_come`."""
        first_seq: dict[int, int] = {}
        ended: dict[str, int] = {}
        for item in to_come:
            if isinstance(item, Frames):
                first_seq.setdefault(item.block.context_number, item.block.first_seq + item.start)
            elif isinstance(item, m.Done):
                ended[item.context] = item.frames
        found = {name: m.ResumedContext(next_seq=seq) for name, seq in ended.items()}
        for name, context in self._contexts.items():
            found[name] = m.ResumedContext(next_seq=context.frames_sent, text_seq=context.text_seq)
        for name, each in found.items():
            next_seq = first_seq.get(self.numbers.get(name, -1), each.next_seq)
            found[name] = m.ResumedContext(next_seq=next_seq, text_seq=each.text_seq)
        return found

    def next_due(self, now: float) -> float:
        """When `tick` is wanted next, at the latest."""
        due = self._session_due()
        for context in self._contexts.values():
            at = context.next_due(now)
            if at is not None and at < due:
                due = at
        for context in self._held.values():
            due = min(due, now + self._settings.hold_seconds - context.held_seconds(now))
        if self._drain_by is not None:
            due = min(due, self._drain_by, now + DRAIN_GRACE_SECONDS / 2)
        return due

    def _session_due(self) -> float:
        """When the session itself has something to do."""
        if self._away_since is not None:
            return self._away_since + self._settings.resume_window_ms / 1000
        if self._contexts:
            return self._state_at + self._settings.heartbeat_ms / 1000
        return self._active_at + self._settings.idle_seconds

    def read_delay(self) -> float:
        """Seconds to wait before the next message is read: a flood is slowed down, and nothing of it is lost."""
        return self._messages.delay()

    # -- messages -------------------------------------------------------------------------------------------------

    def _dispatch(self, message: m.ClientMessage, now: float) -> Context | None:
        match message:
            case m.Start():
                return self._open_context(message, now)
            case m.Text():
                return self._text(message, now)
            case m.Flush():
                context = self._open(message.context)
                self._check_bytes(FLUSH_BYTES)
                _check_flushes(context)
                context.flush(message.id, now)
                return context
            case m.End():
                context = self._open(message.context)
                context.end(now)
                return context
            case m.Cancel():
                context = self._known(message.context)
                context.cancel(message.played_pts, now)
                return context
            case m.Hold():
                context = self._known(message.context)
                context.hold(now)
                self._held[context.spec.serial] = context
                return context
            case m.Release():
                context = self._known(message.context)
                context.release(now)
                self._held.pop(context.spec.serial, None)
                return context
            case m.Retract():
                return self._retract(message)
            case m.Configure():
                return self._configure(message)
            case m.Ack():
                return self._ack(message)
            case m.Ping():
                self._send(m.Pong(t=message.t, server_ms=round(now * 1000)))
                return None
            case m.Resume():
                reason = "not_first" if self._settings.resume_window_ms else "not_supported"
                self._send(m.ResumeFailed(reason=reason))
                return None
            case _:
                assert_never(message)

    def _open_context(self, message: m.Start, now: float) -> Context:
        s, name = self._settings, message.context
        if name in self._contexts:
            raise VoxwireError(ErrorCode.CONTEXT_EXISTS, f"context {name!r} is open already")
        if self._drain_by is not None:
            raise VoxwireError(ErrorCode.DRAINING, "the server takes no new contexts, it is going away")
        if len(self._contexts) >= s.contexts_max:
            raise VoxwireError(
                ErrorCode.TOO_MANY_CONTEXTS,
                f"{s.contexts_max} contexts are open on this connection",
                details={"contexts_max": s.contexts_max},
            )
        resolved = self._directory.resolve(message.voice, message.language)
        bulk = message.priority == "bulk"
        audio = (message.audio or m.AudioRequest()).resolve(
            sample_rate=resolved.engine.sample_rate, bitrate=s.opus_bitrate
        )
        self._admit(name, resolved.engine.name, bulk, now)
        self._serial += 1
        spec = ContextSpec(
            name=name,
            serial=self._serial,
            number=self._free_number(),
            engine=resolved.engine,
            voice=resolved.voice,
            language=resolved.language,
            speed=1.0 if message.speed is None else message.speed,
            format=audio,
            timings=frozenset(("word",) if message.timings is None else message.timings),
            pacing=(message.pacing or m.PacingRequest()).resolve(lead_ms=s.lead_ms),
            bulk=bulk,
            seed=self._seeds() if message.seed is None else message.seed,
        )
        intake = TextIntake(resolved.language, clause_limits(resolved.engine), self._reading)
        context = Context(spec, s.policy, intake, self._effects.append, now)
        context.writable, context.frugal = self._writable, self._frugal
        self._contexts[name] = context
        self._by_serial[spec.serial] = context
        self.numbers.pop(name, None)
        self.numbers[name] = spec.number
        if len(self.numbers) > NUMBERS_KEPT + s.contexts_max:
            del self.numbers[next(iter(self.numbers))]
        if len(self._contexts) == 1:
            self._state_at = now
        self._send(started(spec))
        return context

    def _admit(self, name: str, engine: str, bulk: bool, now: float) -> None:
        """Let a context in. One that is not keeps its name, so that text already on its way opens no other."""
        self._turned_away.pop(name, None)
        try:
            account = self.identity.account
            self._directory.admit(engine, bulk=bulk, now=now, session=self.session_id, account=account)
        except VoxwireError as error:
            self._turned_away[name] = error.retry_after_ms
            if len(self._turned_away) > NUMBERS_KEPT:
                del self._turned_away[next(iter(self._turned_away))]
            raise

    def _free_number(self) -> int:
        if self._serial <= CONTEXT_NUMBERS:
            return self._serial - 1
        used = {c.spec.number for c in self._contexts.values()}
        number = (self._serial - 1) % CONTEXT_NUMBERS
        while number in used:
            number = (number + 1) % CONTEXT_NUMBERS
        return number

    def _text(self, message: m.Text, now: float) -> Context:
        s = self._settings
        if len(message.text) > s.text_chars_max:
            raise _too_long(f"a text may have {s.text_chars_max} characters", "text_chars_max", s.text_chars_max)
        context = self._contexts.get(message.context)
        if context is None:
            if message.context in self._turned_away:
                raise VoxwireError(
                    ErrorCode.ENGINE_OVERLOADED,
                    "there was no room for this context; start it again later",
                    retry_after_ms=self._turned_away[message.context],
                )
            context = self._open_context(m.Start(context=message.context), now)
        elif context.phase is not Phase.OPEN:
            raise _ended(message.context)
        if message.seq is not None and not self._is_next(context, message.seq):
            return context
        self._check_room(context, len(message.text))
        self._check_bytes(fed_bytes(message.text))
        if message.flush:
            _check_flushes(context)
        if message.text:
            context.feed(message.text, now)
        if message.seq is not None:
            context.text_seq = message.seq
            self._accepted(context)
        if message.flush:
            context.flush(None, now)
        return context

    def _check_room(self, context: Context, chars: int) -> None:
        s, intake = self._settings, context.intake
        if intake.unspoken_chars + chars > s.unspoken_chars_max:
            raise VoxwireError(
                ErrorCode.TEXT_BUFFER_FULL,
                f"more than {s.unspoken_chars_max} characters would wait to be spoken; send this text again later",
                retry_after_ms=1000,
                details={"unspoken_chars_max": s.unspoken_chars_max, "unspoken_chars": intake.unspoken_chars},
            )
        if intake.chars + chars > s.context_chars_max:
            raise _too_long(
                f"a context may have {s.context_chars_max} characters in all; open another",
                "context_chars_max",
                s.context_chars_max,
            )

    def _check_bytes(self, count: int) -> None:
        """Whether so many bytes more may be held."""
        over = self._ledger.over(self.identity.account, self.session_id)
        if not over and self.held_bytes + count <= self._settings.session_bytes_max:
            return
        bound = "the sessions of one account" if over else "one session"
        raise VoxwireError(
            ErrorCode.TEXT_BUFFER_FULL,
            f"{bound} would hold too much in memory; send this again once some of it has been heard",
            retry_after_ms=1000,
            details={"session_bytes_max": self._settings.session_bytes_max, "session_bytes": self.held_bytes},
        )

    def _is_next(self, context: Context, seq: int) -> bool:
        """Whether a text is new. One that was accepted before is acknowledged again and not spoken again."""
        expected = 0 if context.text_seq is None else context.text_seq + 1
        if seq == expected:
            return True
        if seq < expected:
            self._accepted(context)
            return False
        raise VoxwireError(
            ErrorCode.TEXT_GAP,
            f"text {seq} came where {expected} was expected",
            details={"expected": expected, "seq": seq},
        )

    def _accepted(self, context: Context) -> None:
        self._send(m.Accepted(context=context.spec.name, text_seq=context.text_seq, chars=context.intake.chars))

    def _retract(self, message: m.Retract) -> Context:
        context = self._open(message.context)
        context.intake.retract(message.from_char)
        self._accepted(context)
        return context

    def _configure(self, message: m.Configure) -> Context:
        context = self._known(message.context)
        bitrate = None if message.audio is None else message.audio.bitrate
        if bitrate is not None and context.spec.format.codec != "opus":
            raise VoxwireError(
                ErrorCode.UNSUPPORTED_AUDIO,
                f"codec {context.spec.format.codec} has no bitrate to change",
                details={"field": "audio.bitrate"},
            )
        pacing = None
        if message.pacing is not None:
            now_so = context.playout.pacing
            pacing = m.Pacing(
                mode=now_so.mode if message.pacing.mode is None else message.pacing.mode,
                lead_ms=now_so.lead_ms if message.pacing.lead_ms is None else message.pacing.lead_ms,
            )
        context.configure(bitrate=bitrate, pacing=pacing)
        return context

    def _ack(self, message: m.Ack) -> Context | None:
        context = self._contexts.get(message.context)
        if context is None:
            # A context may well end while its last ack is on the way.
            return None
        playout, sent_seq = context.playout, context.sent_seq
        if message.seq is not None and (sent_seq is None or message.seq > sent_seq):
            raise _from_the_future("seq", message.seq, sent_seq)
        if message.played_pts is not None:
            if message.played_pts > playout.sent_pts:
                raise _from_the_future("played_pts", message.played_pts, playout.sent_pts)
            playout.acked_pts = max(playout.acked_pts or 0, message.played_pts)
        if message.seq is not None:
            playout.received_pts = max(playout.received_pts or 0, (message.seq + 1) * playout.frame_samples)
            self._effects.append(fx.Acknowledged(context.spec.number, message.seq))
        return context

    def _known(self, name: str) -> Context:
        context = self._contexts.get(name)
        if context is None:
            raise VoxwireError(ErrorCode.UNKNOWN_CONTEXT, f"there is no open context {name!r}")
        return context

    def _open(self, name: str) -> Context:
        context = self._known(name)
        if context.phase is not Phase.OPEN:
            raise _ended(name)
        return context

    # -- housekeeping ---------------------------------------------------------------------------------------------

    def _in_turn(self, now: float) -> list[Context]:
        """All contexts, in another order when those that came first left nothing of the reading allowance."""
        contexts = list(self._contexts.values())
        if self._reading.left <= 0 and contexts:
            self._first = (self._first + 1) % len(contexts)
        self._reading.renew(now)
        return contexts[self._first :] + contexts[: self._first]

    def _advance(self, context: Context, now: float) -> None:
        if context.held_seconds(now) >= self._settings.hold_seconds:
            self._end_hold(context, now)
        context.advance(now)
        self._spoke_at = now
        self._forget_if_closed(context)
        self._measure(context)

    def _measure(self, context: Context) -> None:
        """Take in how much a context holds now, and be frugal while it is all too much."""
        held = context.held_bytes
        self._context_bytes += held - context.counted_bytes
        context.counted_bytes = held
        account = self.identity.account
        self._ledger.hold(account, self.session_id, self.held_bytes)
        frugal = self.held_bytes > self._settings.session_bytes_max or self._ledger.over(account, self.session_id)
        if frugal != self._frugal:
            self._frugal = frugal
            for each in self._contexts.values():
                each.frugal = frugal

    def _end_hold(self, context: Context, now: float) -> None:
        """A client that holds a context and does not come back to it is told what was heard, and its memory is free."""
        name = context.spec.name
        error = VoxwireError(
            ErrorCode.HOLD_EXPIRED,
            f"context {name!r} was held for {self._settings.hold_seconds:g} s",
            details={"hold_seconds": self._settings.hold_seconds},
        )
        self._send(m.error_to_message(error, context=name))
        context.cancel(None, now)

    def _forget_if_closed(self, context: Context) -> None:
        if context.phase is Phase.CLOSED:
            self._contexts.pop(context.spec.name, None)
            self._by_serial.pop(context.spec.serial, None)
            self._held.pop(context.spec.serial, None)

    def _mistake(self, error: VoxwireError, context: str | None, now: float) -> None:
        if self._mistakes.take(now):
            self._send(m.error_to_message(error, context=error.context or context))
        else:
            self._fail(VoxwireError(ErrorCode.ABUSE, "too many messages that are wrong"))

    def _fail(self, error: VoxwireError) -> None:
        self._send(m.error_to_message(error))
        self._shut(error.close_code or CloseCode.POLICY, error.code.value)

    def _shut(self, code: int, reason: str) -> None:
        self._effects.append(fx.Close(code, reason))
        self._drop_contexts()

    def _drop_contexts(self) -> None:
        self.closed = True
        for context in self._contexts.values():
            self._effects.append(fx.Abandon(context.spec.serial))
            context.discard()
        self._contexts.clear()
        self._by_serial.clear()
        self._held.clear()
        self._context_bytes = self.kept_bytes = 0
        self._ledger.release(self.identity.account, self.session_id)

    def _close_if_drained(self, now: float) -> None:
        if self._drain_by is None or self.closed:
            return
        waiting = all(c.idle and now - c.last_text_at >= DRAIN_GRACE_SECONDS for c in self._contexts.values())
        absent = self._away_since is not None and now - self._away_since >= DRAIN_AWAY_SECONDS
        if waiting or absent or now >= self._drain_by:
            self._shut(CloseCode.RESTART, "the server is going away")

    def _send(self, message: m.ServerMessage) -> None:
        self._effects.append(fx.Send(message))

    def _take(self) -> list[fx.Effect]:
        effects = self._effects[:]
        # Contexts hold this list's append; it is emptied, never replaced.
        self._effects.clear()
        return effects


def clause_limits(engine: EngineInfo) -> ClauseLimits:
    """How an engine's clauses may grow: a fast one can be given long clauses early without starving the listener."""
    growth = min(6.0, max(1.5, 0.5 / max(engine.realtime_factor, 1e-3)))
    return ClauseLimits(
        growth=growth, clause_chars_max=engine.clause_chars_max, chars_per_second=engine.chars_per_second
    )


def started(spec: ContextSpec) -> m.Started:
    """The answer to `start`."""
    audio = spec.format
    return m.Started(
        context=spec.name,
        number=spec.number,
        voice=spec.voice.name,
        engine=spec.engine.name,
        audio=m.AudioInfo(
            codec=audio.codec,
            sample_rate=audio.sample_rate,
            frame_ms=audio.frame_ms,
            frame_samples=audio.frame_samples,
            bitrate=audio.bitrate,
            lookahead_samples=lookahead_samples(audio),
        ),
    )


def _check_flushes(context: Context) -> None:
    if context.flushes_waiting >= FLUSHES_WAITING_MAX:
        raise VoxwireError(
            ErrorCode.TEXT_BUFFER_FULL,
            f"{FLUSHES_WAITING_MAX} flushes wait for their answers; send this one again later",
            retry_after_ms=1000,
            details={"flushes_waiting_max": FLUSHES_WAITING_MAX},
        )


def _too_long(message: str, limit: str, value: int) -> VoxwireError:
    return VoxwireError(ErrorCode.TEXT_TOO_LONG, message, details={"field": "text", limit: value})


def _ended(name: str) -> VoxwireError:
    return VoxwireError(ErrorCode.CONTEXT_ENDED, f"context {name!r} has been ended and is still speaking")


def _from_the_future(name: str, value: int, sent: int | None) -> VoxwireError:
    return VoxwireError(
        ErrorCode.INVALID_FIELD,
        f"{name} {value} is beyond what was sent ({sent})",
        details={"field": name, "sent": sent},
    )
