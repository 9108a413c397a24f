"""Owns the open contexts of one session: opens, finds and forgets them, and knows the number of each name. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.framing import lookahead_samples
from voxwire_server.session import effects as fx
from voxwire_server.session.context import Context, Phase
from voxwire_server.session.quotas import text_bytes
from voxwire_server.session.resume import Frames
from voxwire_server.session.settings import ContextSpec
from voxwire_server.session.stretches import ClauseSplitter
from voxwire_server.text.inline import DIALECT_TAGS
from voxwire_server.text.intake import ClauseLimits, TextIntake
from voxwire_server.text.lexicon import Lexicon, LexiconError, make_entry
from voxwire_server.text.markup import Markup
from voxwire_server.text.ssml import Ssml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.session.ports import Directory, ResolvedVoice
    from voxwire_server.session.settings import SessionSettings
    from voxwire_server.text.intake import Allowance
    from voxwire_server.text.lexicon import Entry

CONTEXT_NUMBERS = 1 << 16
"""How many contexts of a session can have different numbers in audio frames."""

AUTO = "auto"
"""The language of a context whose sentences are identified."""

NAMES_KEPT = 256
"""Of so many contexts that are over the number is kept, for clients that resume without counting; and of so many that
were refused the name."""

ENTRY_BYTES = 1024
"""What CPython takes for an entry of a lexicon beside its characters."""


class OpenContexts:
    """The contexts of one session that are open, by name and by serial.

    `reading` bounds how much text they read, all together. `emit` takes their effects.
    """

    def __init__(
        self,
        settings: SessionSettings,
        directory: Directory,
        seeds: Callable[[], int],
        reading: Allowance,
        emit: Callable[[fx.Effect], None],
        session_id: str,
        account: str,
    ) -> None:
        self.by_name: dict[str, Context] = {}
        self.numbers: dict[str, int] = {}
        """The number of the newest context of each name, of those that are over too."""
        self.opened = 0
        """How many were opened in all; also the newest one's serial."""
        self.writable = True
        """Whether the socket takes more when a context is opened."""
        self.draining = False
        """Whether no new ones are opened, because the server goes away."""
        self._settings = settings
        self._directory = directory
        self._seeds = seeds
        self._reading = reading
        self._emit = emit
        self._session_id = session_id
        self._account = account
        self._by_serial: dict[int, Context] = {}
        self._held: dict[int, Context] = {}
        """By serial: the contexts that the client holds."""
        self._refused: dict[str, int | None] = {}
        """The names of contexts that were not admitted, and after how many milliseconds to try again."""
        self._frugal = False
        self._first = 0
        """Index of the context that may read first; it moves on when the reading allowance was used up."""

    def __len__(self) -> int:
        return len(self.by_name)

    # -- finding ------------------------------------------------------------------------------------------------

    def find(self, serial: int) -> Context | None:
        """The open context with a serial."""
        return self._by_serial.get(serial)

    def known(self, name: str) -> Context:
        """The open context with a name.

        Raises:
            VoxwireError: client.unknown_context.
        """
        context = self.by_name.get(name)
        if context is None:
            raise VoxwireError(ErrorCode.UNKNOWN_CONTEXT, f"there is no open context {name!r}")
        return context

    def accepting(self, name: str) -> Context:
        """The open context with a name that has not been ended.

        Raises:
            VoxwireError: client.unknown_context or client.context_ended.
        """
        context = self.known(name)
        if context.phase is not Phase.OPEN:
            raise VoxwireError(ErrorCode.CONTEXT_ENDED, f"context {name!r} has been ended and is still speaking")
        return context

    def in_turn(self, now: float) -> list[Context]:
        """All contexts, in another order when those that came first left nothing of the reading allowance."""
        contexts = list(self.by_name.values())
        if self._reading.left <= 0 and contexts:
            self._first = (self._first + 1) % len(contexts)
        self._reading.renew(now)
        return contexts[self._first :] + contexts[: self._first]

    def next_due(self, now: float) -> float:
        """When one of them has something to do, at the latest; infinity: not before something happens."""
        due = min((context.next_due(now) for context in self.by_name.values()), default=math.inf)
        for context in self._held.values():
            due = min(due, now + self._settings.hold_seconds - context.held_seconds(now))
        return due

    def resumed(self, to_come: Iterable[m.ServerMessage | Frames]) -> dict[str, m.ResumedContext]:
        """Every context of which something is to come: those that are open, and those that end in `to_come`."""
        first_seq: dict[int, int] = {}
        ended: dict[str, int] = {}
        for item in to_come:
            if isinstance(item, Frames):
                first_seq.setdefault(item.block.context_number, item.block.first_seq + item.start)
            elif isinstance(item, m.Done):
                ended[item.context] = item.frames
        found = {name: m.ResumedContext(next_seq=seq) for name, seq in ended.items()}
        for name, context in self.by_name.items():
            found[name] = m.ResumedContext(next_seq=context.frames_sent, text_seq=context.text_seq)
        for name, each in found.items():
            next_seq = first_seq.get(self.numbers.get(name, -1), each.next_seq)
            found[name] = m.ResumedContext(next_seq=next_seq, text_seq=each.text_seq)
        return found

    # -- opening ------------------------------------------------------------------------------------------------

    def open(self, message: m.Start, now: float) -> Context:
        """Open a context and answer `started`.

        Raises:
            VoxwireError: the name is in use, a value can't be had, or there is no room.
        """
        self._check_start(message.context)
        lexicon = self._lexicon(message)
        auto = (message.language or "").lower() == AUTO
        identify = self._directory.identifier() if auto else None
        resolved = self._directory.resolve(message.voice, None if auto else message.language)
        audio = (message.audio or m.AudioRequest()).resolve(
            sample_rate=resolved.engine.sample_rate, bitrate=self._settings.opus_bitrate
        )
        self._admit(message.context, resolved.engine.name, message.priority == "bulk", now)
        self.opened += 1
        spec = self._spec(message, resolved, audio, lexicon)
        opening = front_end(message.format, resolved.language, self._settings)
        intake = TextIntake(resolved.language, clause_limits(resolved.engine), self._reading, opening)
        splitter = ClauseSplitter(resolved, self._directory, identify, lexicon)
        context = Context(spec, self._settings.policy, intake, splitter, self._emit, now)
        context.playout.writable = self.writable
        context.set_frugal(self._frugal)
        self._add(context)
        self._emit(fx.Send(started(spec)))
        return context

    def open_for_text(self, name: str, now: float) -> Context:
        """Open a context with all defaults, because text came for it.

        Raises:
            VoxwireError: as `open`; also if a `start` of that name was refused: this text belongs to that context.
        """
        if name in self._refused:
            raise VoxwireError(
                ErrorCode.ENGINE_OVERLOADED,
                "there was no room for this context; start it again later",
                retry_after_ms=self._refused[name],
            )
        return self.open(m.Start(context=name), now)

    def _check_start(self, name: str) -> None:
        contexts_max = self._settings.contexts_max
        if name in self.by_name:
            raise VoxwireError(ErrorCode.CONTEXT_EXISTS, f"context {name!r} is open already")
        if self.draining:
            raise VoxwireError(ErrorCode.DRAINING, "the server takes no new contexts, it is going away")
        if len(self.by_name) >= contexts_max:
            raise VoxwireError(
                ErrorCode.TOO_MANY_CONTEXTS,
                f"{contexts_max} contexts are open on this connection",
                details={"contexts_max": contexts_max},
            )

    def _admit(self, name: str, engine: str, bulk: bool, now: float) -> None:
        """Ask for room. The name of a context that gets none is kept, so that text on its way opens no other."""
        self._refused.pop(name, None)
        try:
            self._directory.admit(engine, bulk=bulk, now=now, session=self._session_id, account=self._account)
        except VoxwireError as error:
            self._refused[name] = error.retry_after_ms
            if len(self._refused) > NAMES_KEPT:
                del self._refused[next(iter(self._refused))]
            raise

    def _lexicon(self, message: m.Start) -> Lexicon | None:
        """The server's lexicons, and the client's own over them; None where nothing is in them."""
        found = self._directory.lexicon(message.lexicons or ())
        if message.lexicon:
            found = found.under(Lexicon(entries_of(message.lexicon)))
        return found if found.size else None

    def _spec(
        self, message: m.Start, resolved: ResolvedVoice, audio: m.AudioFormat, lexicon: Lexicon | None
    ) -> ContextSpec:
        return ContextSpec(
            name=message.context,
            serial=self.opened,
            number=self._free_number(),
            engine=resolved.engine,
            voice=resolved.voice,
            language=resolved.language,
            speed=1.0 if message.speed is None else message.speed,
            format=audio,
            timings=frozenset(("word",) if message.timings is None else message.timings),
            pacing=(message.pacing or m.PacingRequest()).resolve(lead_ms=self._settings.lead_ms),
            bulk=message.priority == "bulk",
            seed=self._seeds() if message.seed is None else message.seed,
            lexicon=lexicon,
            lexicon_bytes=lexicon_bytes(message.lexicon),
        )

    def _free_number(self) -> int:
        """A number that no open context has."""
        if self.opened <= CONTEXT_NUMBERS:
            return self.opened - 1
        used = {context.spec.number for context in self.by_name.values()}
        number = (self.opened - 1) % CONTEXT_NUMBERS
        while number in used:
            number = (number + 1) % CONTEXT_NUMBERS
        return number

    def _add(self, context: Context) -> None:
        name = context.spec.name
        self.by_name[name] = context
        self._by_serial[context.spec.serial] = context
        self.numbers.pop(name, None)
        self.numbers[name] = context.spec.number
        if len(self.numbers) > NAMES_KEPT + self._settings.contexts_max:
            del self.numbers[next(iter(self.numbers))]

    # -- changes ------------------------------------------------------------------------------------------------

    def hold(self, context: Context, now: float) -> None:
        """The client holds a context."""
        context.hold(now)
        self._held[context.spec.serial] = context

    def release(self, context: Context, now: float) -> None:
        """The client lets a context go on."""
        context.release(now)
        self._held.pop(context.spec.serial, None)

    def set_frugal(self, frugal: bool) -> None:
        """Whether the session holds too much: all contexts, and those to come, make audio only as it is sent."""
        if frugal != self._frugal:
            self._frugal = frugal
            for context in self.by_name.values():
                context.set_frugal(frugal)

    def forget_if_closed(self, context: Context) -> None:
        """Forget a context that is over."""
        if context.phase is Phase.CLOSED:
            self.by_name.pop(context.spec.name, None)
            self._by_serial.pop(context.spec.serial, None)
            self._held.pop(context.spec.serial, None)

    def drop_all(self) -> None:
        """End every context; nothing is sent to the client."""
        for context in self.by_name.values():
            self._emit(fx.CancelSynthesis(context.spec.serial))
            context.discard()
        self.by_name.clear()
        self._by_serial.clear()
        self._held.clear()


def front_end(format: m.TextFormat | None, language: str, settings: SessionSettings) -> Markup | Ssml:
    """What reads a context's text."""
    if format == "ssml":
        return Ssml(language, dialect=settings.dialect)
    tags = frozenset((*settings.breaks, *DIALECT_TAGS.get(settings.dialect, ())))
    return Markup(language, tags=tags, skip=settings.skip)


def entries_of(lexicon: Mapping[str, str | m.Pronunciation]) -> list[Entry]:
    """The entries of a client's lexicon.

    Raises:
        VoxwireError: client.invalid_field; one of them can't be used.
    """
    entries = []
    for word, said in lexicon.items():
        given = m.Pronunciation(alias=said) if isinstance(said, str) else said
        try:
            entries.append(make_entry(word, alias=given.alias or "", ipa=given.ipa or "", case=given.case))
        except LexiconError as error:
            raise VoxwireError(
                ErrorCode.INVALID_FIELD, f"lexicon: {error}", details={"field": f"lexicon.{word}"}
            ) from error
    return entries


def lexicon_bytes(lexicon: Mapping[str, str | m.Pronunciation] | None) -> int:
    """What a client's lexicon takes in memory for as long as its context is open, about."""
    total = 0
    for word, said in (lexicon or {}).items():
        spoken = said if isinstance(said, str) else said.alias or said.ipa or ""
        total += 4 * text_bytes(word) + text_bytes(spoken) + ENTRY_BYTES
    return total


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
