"""Translates ElevenLabs' two WebSockets: one stream of text a connection, and many contexts on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.elevenlabs.contexts import Context, StreamOptions
from voxwire_server.compat.elevenlabs.errors import hangup, socket_error
from voxwire_server.compat.elevenlabs.messages import DEFAULT_CONTEXT_ID, ClientMessage, client_message
from voxwire_server.compat.translation import Action, Hangup, Names, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voxwire_server.compat.session_stream import AudioPiece

_OF_ONE_MESSAGE = frozenset(
    {
        ErrorCode.MALFORMED_MESSAGE,
        ErrorCode.MISSING_FIELD,
        ErrorCode.INVALID_FIELD,
    }
)
"""Mistakes that say nothing about the rest of a connection."""

_OF_EVERY_CONTEXT = frozenset({ErrorCode.UNKNOWN_VOICE, ErrorCode.UNSUPPORTED_LANGUAGE, ErrorCode.UNSUPPORTED_AUDIO})
"""Mistakes in what the address says: the next context would fail alike."""


class _Contexts:
    """What both endpoints share: contexts by their session's name, what the session says of them, and the clock."""

    def __init__(self, options: StreamOptions) -> None:
        self.due: float | None = None
        self._options = options
        self._names = Names()
        self._contexts: dict[str, Context] = {}
        self._active_at = 0.0

    def opened(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        return self._scheduled(())

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        return self._scheduled(self._received(client_message(raw), now))

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        if isinstance(message, m.ErrorMessage):
            return self._scheduled(self._failed(m.error_from_message(message)))
        context = self._contexts.get(getattr(message, "context", None) or "")
        if context is None:
            return ()
        match message:
            case m.Timing():
                context.time(message)
            case m.Flushed():
                return [Reply(payload) for payload in context.flushed(message)]
            case m.Done():
                return self._scheduled(self._done(context))
            case _:
                pass
        return ()

    def audio(self, piece: AudioPiece, now: float) -> Iterable[Action]:
        """See `Translator`."""
        self._active_at = now
        context = self._contexts.get(piece.context)
        return [] if context is None else [Reply(payload) for payload in context.audio(piece)]

    def tick(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        actions: list[Action] = [tell for context in self._contexts.values() for tell in context.tick(now)]
        if now >= self._active_at + self._options.inactivity_seconds:
            seconds = self._options.inactivity_seconds
            error = VoxwireError(ErrorCode.IDLE, f"no text came for {seconds:g} seconds")
            actions += [Reply(socket_error(error)), hangup(error)]
        return self._scheduled(actions)

    def _scheduled(self, actions: Iterable[Action]) -> list[Action]:
        """The actions, and `due` as it is after them."""
        done = list(actions)
        moments = [context.due for context in self._contexts.values() if context.due is not None]
        self.due = min([self._active_at + self._options.inactivity_seconds, *moments])
        return done

    def _open(self, context_id: str | None, message: ClientMessage) -> tuple[Context, Action]:
        context = Context(self._names.new(), context_id, self._options)
        self._contexts[context.name] = context
        return context, context.begin(message)

    def _forget(self, context: Context) -> None:
        self._contexts.pop(context.name, None)

    # -- what the endpoints do differently --------------------------------------------------------------------------

    def _received(self, message: ClientMessage, now: float) -> Iterator[Action]:
        raise NotImplementedError

    def _done(self, context: Context) -> Iterator[Action]:
        raise NotImplementedError

    def _failed(self, error: VoxwireError) -> Iterator[Action]:
        raise NotImplementedError


class StreamInput(_Contexts):
    """`/stream-input`: one text, ended by an empty one; after its audio the connection is closed."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__(options)
        self._context: Context | None = None

    def _received(self, message: ClientMessage, now: float) -> Iterator[Action]:
        context = self._context
        if context is None:
            context, begin = self._open(None, message)
            self._context = context
            yield begin
        if context.closing:
            return
        if message.text == "" or message.close_socket:
            yield from context.end()
        else:
            yield from context.take(message, now)

    def _done(self, context: Context) -> Iterator[Action]:
        self._forget(context)
        for payload in context.finished():
            yield Reply(payload)
        yield Hangup()

    def _failed(self, error: VoxwireError) -> Iterator[Action]:
        yield Reply(socket_error(error))
        yield hangup(error)

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        return list(self._failed(error))


class MultiStreamInput(_Contexts):
    """`/multi-stream-input`: contexts by the client's ids. An id can be used again once its context is closed."""

    def __init__(self, options: StreamOptions) -> None:
        super().__init__(options)
        self._by_id: dict[str, Context] = {}
        self._leaving = False

    def _received(self, message: ClientMessage, now: float) -> Iterator[Action]:
        context_id = message.context_id or DEFAULT_CONTEXT_ID
        context = self._by_id.get(context_id)
        if message.close_socket:
            yield from self._leave()
        elif message.close_context:
            if context is not None:
                yield from self._close(context)
        elif message.text or (message.flush and context is not None):
            if context is None:
                if self._leaving:
                    return
                context, begin = self._open(context_id, message)
                self._by_id[context_id] = context
                yield begin
            if not context.closing:
                yield from context.take(message, now)

    def _close(self, context: Context) -> Iterator[Action]:
        """An interruption is a close that no empty flush came before, or a second one."""
        if context.said_all and not context.closing:
            yield from context.end()
        else:
            yield context.cancel()
            yield from self._over(context)

    def _leave(self) -> Iterator[Action]:
        """Everything is spoken to its end first; whoever says so again does not want to wait."""
        if self._leaving or not self._contexts:
            yield Hangup()
        self._leaving = True
        for context in self._contexts.values():
            if not context.closing:
                yield from context.end()

    def _done(self, context: Context) -> Iterator[Action]:
        *told, _ = context.finished()
        for payload in told:
            yield Reply(payload)
        yield from self._over(context)

    def _over(self, context: Context) -> Iterator[Action]:
        self._forget(context)
        yield Reply(context.final())
        if self._leaving and not self._contexts:
            yield Hangup()

    def _forget(self, context: Context) -> None:
        super()._forget(context)
        self._by_id.pop(context.id or "", None)

    def _failed(self, error: VoxwireError) -> Iterator[Action]:
        """An error ends its context, and the connection too when that leaves nothing: Pipecat sees nothing else."""
        context = self._contexts.get(error.context or "")
        if context is None:
            if error.context is None:
                yield Reply(socket_error(error))
            return
        yield Reply(socket_error(error, context.id))
        if error.code in _OF_EVERY_CONTEXT or len(self._contexts) == 1:
            yield hangup(error)
        yield context.cancel()
        yield from self._over(context)

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        actions: list[Action] = [Reply(socket_error(error, error.context))]
        if error.code not in _OF_ONE_MESSAGE:
            actions.append(hangup(error))
        return actions
