"""Translates ElevenLabs' two WebSockets: one context per connection, and many. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.elevenlabs.errors import close_for, error_message
from voxwire_server.compat.elevenlabs.messages import (
    DEFAULT_CONTEXT_ID,
    ClientMessage,
    client_message,
    lexicons_of,
)
from voxwire_server.compat.elevenlabs.timestamps import Chunker
from voxwire_server.compat.translator import Action, Close, ContextNames, Forward, Reply, StartContext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from voxwire_server.compat.elevenlabs.messages import ClientMessage
    from voxwire_server.compat.elevenlabs.timestamps import Chunk
    from voxwire_server.compat.session import EncodedAudio, OutputFormat

_MESSAGE_ERRORS = frozenset(
    {
        ErrorCode.MALFORMED_MESSAGE,
        ErrorCode.MISSING_FIELD,
        ErrorCode.INVALID_FIELD,
    }
)
"""Errors of one message: the connection goes on."""

_ADDRESS_ERRORS = frozenset({ErrorCode.UNKNOWN_VOICE, ErrorCode.UNSUPPORTED_LANGUAGE, ErrorCode.UNSUPPORTED_AUDIO})
"""Errors in the address: every further context would fail, too."""

HOLD_SECONDS = 2.5
"""How long text may wait for `chunk_length_schedule`: Pipecat takes three seconds without audio for the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """The options of all contexts of a connection: of its address, and of the configuration."""

    voice: str
    format: OutputFormat
    language: str | None = None
    seed: int | None = None
    auto_mode: bool = False
    ssml: bool = False
    cumulative: bool = False
    inactivity_seconds: float = 180.0


@dataclass(slots=True)
class Context:
    """One context. `name` is the session's, `id` the client's; `due` is when `tick` is to be called.

    `text_complete`: the client has flushed after its last text. In auto mode every sentence may come with a flush, and
    only an empty flush after them has that meaning.
    """

    name: str
    id: str | None
    options: StreamOptions
    schedule: Sequence[float] = ()
    due: float | None = None
    text_complete: bool = False
    closing: bool = False
    _chunker: Chunker = field(init=False)
    _held: list[str] = field(default_factory=list)
    _held_chars: int = 0
    _released: int = 0
    _last_char: str = " "
    _to_flush: bool = False

    def __post_init__(self) -> None:
        self._chunker = Chunker(self.options.format.sample_rate)

    def start(self, message: ClientMessage) -> StartContext:
        """The action that opens it, with the settings of its first message."""
        options = self.options
        if message.generation_config is not None:
            self.schedule = tuple(message.generation_config.chunk_length_schedule or ())
        start = m.Start(
            context=self.name,
            voice=options.voice,
            language=options.language,
            speed=message.voice_settings.speed if message.voice_settings is not None else None,
            timings=("word",),
            seed=options.seed,
            format="ssml" if options.ssml else None,
            lexicons=lexicons_of(message.pronunciation_dictionary_locators),
        )
        return StartContext(start, options.format)

    # -- text -----------------------------------------------------------------------------------------------------

    def receive(self, message: ClientMessage, now: float) -> Iterator[Forward]:
        """Take a message's text and flush."""
        text = message.text or ""
        spoken = bool(text) and not text.isspace()
        flush = bool(message.flush)
        if text:
            self.text_complete = False
        if flush:
            self.text_complete = not (spoken and self.options.auto_mode)
        if spoken or self._held or self._chunker.chars:
            self._hold(text, now)
        if flush or (spoken and self.options.auto_mode):
            yield from self._flush()
        elif message.try_trigger_generation or self._held_chars >= self._release_chars():
            yield from self._release()

    def tick(self, now: float) -> Iterator[Forward]:
        """Release text that has waited for HOLD_SECONDS."""
        if self.due is not None and now >= self.due:
            yield from self._release()

    def end(self) -> Iterator[Forward]:
        """No more text comes: speak the rest."""
        self.closing = True
        yield from self._release()
        yield from self._end_word()
        yield Forward(m.End(context=self.name))

    def cancel(self) -> Forward:
        """The message that cancels the context."""
        return Forward(m.Cancel(context=self.name))

    def _hold(self, text: str, now: float) -> None:
        if text:
            self._held.append(text)
            self._held_chars += len(text)
            if self.due is None:
                self.due = now + HOLD_SECONDS

    def _release_chars(self) -> float:
        return self.schedule[min(self._released, len(self.schedule) - 1)] if self.schedule else 0

    def _release(self) -> Iterator[Forward]:
        self.due = None
        if self._held:
            text = "".join(self._held)
            self._held.clear()
            self._held_chars = 0
            self._released += 1
            yield self._text(text)

    def _flush(self) -> Iterator[Forward]:
        yield from self._release()
        if self._to_flush:
            yield from self._end_word()
            self._to_flush = False
            yield Forward(m.Flush(context=self.name, id=str(self._chunker.chars)))

    def _end_word(self) -> Iterator[Forward]:
        """Append a space: clients complete a word at the space after it, and omit that between sentences."""
        if not self._last_char.isspace():
            yield self._text(" ")

    def _text(self, text: str) -> Forward:
        self._chunker.add(text)
        self._last_char = text[-1]
        self._to_flush = self._to_flush or not text.isspace()
        return Forward(m.Text(context=self.name, text=text))

    # -- audio ----------------------------------------------------------------------------------------------------

    def add_timings(self, timing: m.Timing) -> None:
        """Add the timings of the audio that follows."""
        self._chunker.add_timings(timing)

    def audio(self, audio: EncodedAudio) -> Iterator[dict[str, Any]]:
        """The messages that carry audio."""
        for chunk in self._chunker.audio(audio):
            yield self._payload(chunk)

    def flushed(self, flushed: m.Flushed) -> Iterator[dict[str, Any]]:
        """All audio of a flush has been sent. A flush without an id is the session's own: it has no text position."""
        if flushed.id is not None:
            yield from self._complete(int(flushed.id))

    def finished(self) -> Iterator[dict[str, Any]]:
        """All audio has been sent: the last characters and the final message."""
        yield from self._complete(None)
        yield self.final()

    def final(self) -> dict[str, Any]:
        """The final message."""
        return {"audio": None, "isFinal": True} | self._id_field()

    def _complete(self, position: int | None) -> Iterator[dict[str, Any]]:
        for chunk in self._chunker.complete(position):
            yield self._payload(chunk)

    def _payload(self, chunk: Chunk) -> dict[str, Any]:
        return chunk.for_websocket(cumulative=self.options.cumulative) | self._id_field()

    def _id_field(self) -> dict[str, Any]:
        return {} if self.id is None else {"contextId": self.id}


class _ContextsTranslator:
    """The part that both endpoints share: the contexts by name, the session's messages, and timeouts."""

    def __init__(self, options: StreamOptions) -> None:
        self.due: float | None = None
        self._options = options
        self._names = ContextNames()
        self._contexts: dict[str, Context] = {}
        self._active_at = 0.0

    def opened(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        return self._with_due(())

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        return self._with_due(self._received(client_message(raw), now))

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        if isinstance(message, m.ErrorMessage):
            return self._with_due(self._failed(m.error_from_message(message)))
        context = self._contexts.get(getattr(message, "context", None) or "")
        if context is None:
            return ()
        match message:
            case m.Timing():
                context.add_timings(message)
            case m.Flushed():
                return [Reply(payload) for payload in context.flushed(message)]
            case m.Done():
                return self._with_due(self._done(context))
            case _:
                pass
        return ()

    def audio(self, audio: EncodedAudio, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        context = self._contexts.get(audio.context)
        return [] if context is None else [Reply(payload) for payload in context.audio(audio)]

    def tick(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        actions: list[Action] = [forward for context in self._contexts.values() for forward in context.tick(now)]
        if now >= self._active_at + self._options.inactivity_seconds:
            seconds = self._options.inactivity_seconds
            error = VoxwireError(ErrorCode.IDLE, f"no text came for {seconds:g} seconds")
            actions += [Reply(error_message(error)), close_for(error)]
        return self._with_due(actions)

    def _with_due(self, actions: Iterable[Action]) -> list[Action]:
        """The actions; `due` is updated once they have been made."""
        done = list(actions)
        times = [context.due for context in self._contexts.values() if context.due is not None]
        self.due = min([self._active_at + self._options.inactivity_seconds, *times])
        return done

    def _open(self, context_id: str | None, message: ClientMessage) -> tuple[Context, Action]:
        context = Context(self._names.new(), context_id, self._options)
        self._contexts[context.name] = context
        return context, context.start(message)

    def _forget(self, context: Context) -> None:
        self._contexts.pop(context.name, None)

    # -- the parts that differ between the endpoints ----------------------------------------------------------------

    def _received(self, message: ClientMessage, now: float) -> Iterator[Action]:
        raise NotImplementedError

    def _done(self, context: Context) -> Iterator[Action]:
        raise NotImplementedError

    def _failed(self, error: VoxwireError) -> Iterator[Action]:
        raise NotImplementedError


class StreamInputTranslator(_ContextsTranslator):
    """`/stream-input`: one context, ended by an empty text; the connection is closed after its audio."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__(options)
        self._context: Context | None = None

    def _received(self, message: ClientMessage, now: float) -> Iterator[Action]:
        context = self._context
        if context is None:
            context, start = self._open(None, message)
            self._context = context
            yield start
        if context.closing:
            return
        if message.text == "" or message.close_socket:
            yield from context.end()
        else:
            yield from context.receive(message, now)

    def _done(self, context: Context) -> Iterator[Action]:
        self._forget(context)
        for payload in context.finished():
            yield Reply(payload)
        yield Close()

    def _failed(self, error: VoxwireError) -> Iterator[Action]:
        yield Reply(error_message(error))
        yield close_for(error)

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        return list(self._failed(error))


class MultiStreamInputTranslator(_ContextsTranslator):
    """`/multi-stream-input`: many contexts. A client's id can be used again once its context is closed."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__(options)
        self._by_id: dict[str, Context] = {}
        self._closing_socket = False

    def _received(self, message: ClientMessage, now: float) -> Iterator[Action]:
        context_id = message.context_id or DEFAULT_CONTEXT_ID
        context = self._by_id.get(context_id)
        if message.close_socket:
            yield from self._close_socket()
        elif message.close_context:
            if context is not None:
                yield from self._close(context)
        elif message.text or (message.flush and context is not None):
            if context is None:
                if self._closing_socket:
                    return
                context, start = self._open(context_id, message)
                self._by_id[context_id] = context
                yield start
            if not context.closing:
                yield from context.receive(message, now)

    def _close(self, context: Context) -> Iterator[Action]:
        """Speak to the end; but a close without an empty flush before it, or a second close, is an interruption."""
        if context.text_complete and not context.closing:
            yield from context.end()
        else:
            yield context.cancel()
            yield from self._finish(context)

    def _close_socket(self) -> Iterator[Action]:
        """`close_socket`: speak everything to its end, then close; a second one closes at once."""
        if self._closing_socket or not self._contexts:
            yield Close()
        self._closing_socket = True
        for context in self._contexts.values():
            if not context.closing:
                yield from context.end()

    def _done(self, context: Context) -> Iterator[Action]:
        *payloads, _ = context.finished()
        for payload in payloads:
            yield Reply(payload)
        yield from self._finish(context)

    def _finish(self, context: Context) -> Iterator[Action]:
        self._forget(context)
        yield Reply(context.final())
        if self._closing_socket and not self._contexts:
            yield Close()

    def _forget(self, context: Context) -> None:
        super()._forget(context)
        self._by_id.pop(context.id or "", None)

    def _failed(self, error: VoxwireError) -> Iterator[Action]:
        """An error ends its context, and the connection if that was its last: Pipecat notices only that."""
        context = self._contexts.get(error.context or "")
        if context is None:
            if error.context is None:
                yield Reply(error_message(error))
            return
        yield Reply(error_message(error, context.id))
        if error.code in _ADDRESS_ERRORS or len(self._contexts) == 1:
            yield close_for(error)
        yield context.cancel()
        yield from self._finish(context)

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        actions: list[Action] = [Reply(error_message(error, error.context))]
        if error.code not in _MESSAGE_ERRORS:
            actions.append(close_for(error))
        return actions
