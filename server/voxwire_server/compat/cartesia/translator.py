"""Translates Cartesia's WebSocket: many contexts on one connection, each with its own voice and format. No I/O.

An error that names a context ends it, because clients take it so. The id of a context that failed, is done or was
cancelled can be used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cartesia.context import Context
from voxwire_server.compat.cartesia.errors import error_event
from voxwire_server.compat.cartesia.formats import raw_stream_format
from voxwire_server.compat.cartesia.messages import Cancellation, client_message
from voxwire_server.compat.translator import Action, ContextNames, Forward, Reply, StartContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voxwire_server.compat.cartesia.messages import Generation
    from voxwire_server.compat.session import EncodedAudio

    VoiceFinder = Callable[[str | None, str | None], str | None]
    """The voice's name for a model's and a voice's id."""


class CartesiaTranslator:
    """Translates one connection."""

    def __init__(self, find_voice: VoiceFinder, request_id: str) -> None:
        self.due: float | None = None
        self._find_voice = find_voice
        self._request_id = request_id
        self._names = ContextNames()
        self._by_name: dict[str, Context] = {}
        self._by_id: dict[str, Context] = {}

    def opened(self, now: float) -> Iterable[Action]:  # noqa: ARG002 - clients speak first
        """See `Translator`."""
        return ()

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """See `Translator`."""
        message = client_message(raw)
        if isinstance(message, Cancellation):
            return self._with_due(self._cancel(self._by_id.get(message.context_id)))
        try:
            return self._with_due(self._generate(message, now))
        except VoxwireError as error:
            error.context = message.context_id
            raise

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:  # noqa: ARG002 - needs no clock
        """See `Translator`."""
        if isinstance(message, m.ErrorMessage):
            return self._with_due(self._failed(message))
        context = self._by_name.get(getattr(message, "context", None) or "")
        if context is None:
            return ()
        match message:
            case m.Timing():
                return [Reply(payload) for payload in context.add_timings(message)]
            case m.Flushed():
                return [Reply(payload) for payload in context.flushed(message)]
            case m.Done():
                return self._with_due(self._done(context, message))
            case _:
                return ()

    def audio(self, audio: EncodedAudio, now: float) -> Iterable[Action]:
        """See `Translator`."""
        context = self._by_name.get(audio.context)
        return () if context is None else self._with_due(Reply(payload) for payload in context.audio(audio, now))

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        context = self._by_id.get(error.context or "")
        return self._with_due([self._error_reply(error, error.context), *self._cancel(context)])

    def tick(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        return self._with_due(action for context in self._by_name.values() for action in context.tick(now))

    # -- messages of the client ---------------------------------------------------------------------------------------

    def _generate(self, message: Generation, now: float) -> Iterator[Action]:
        context = self._by_id.get(message.context_id or "")
        if context is None:
            context, start = self._open(message, now)
            yield start
        elif context.closing:
            raise VoxwireError(ErrorCode.CONTEXT_ENDED, "the context was ended by a message without `continue`")
        yield from context.receive(message, now)

    def _open(self, message: Generation, now: float) -> tuple[Context, Action]:
        if message.context_id is None and message.more:
            raise VoxwireError(
                ErrorCode.MISSING_FIELD,
                "context_id: it is needed where `continue` is true",
                details={"field": "context_id"},
            )
        context_id = message.context_id or str(uuid4())
        format = raw_stream_format(message.output_format)
        voice = self._find_voice(message.model_id, message.voice_id())
        context = Context(self._names.new(), context_id, format, message.timings(), now)
        self._by_name[context.name] = self._by_id[context_id] = context
        start = message.start(voice, context.name, context.timings)
        return context, StartContext(start, format.session_format)

    def _cancel(self, context: Context | None) -> Iterator[Action]:
        """Cancel without a message to the client: the SDK would take it for the end of another context."""
        if context is not None:
            self._forget(context)
            yield Forward(m.Cancel(context=context.name))

    # -- messages of the session --------------------------------------------------------------------------------------

    def _done(self, context: Context, done: m.Done) -> Iterator[Action]:
        self._forget(context)
        if done.reason is m.DoneReason.ERROR:
            error = VoxwireError(ErrorCode.ENGINE_FAILED, "the transcript could not be spoken to its end")
            yield self._error_reply(error, context.id)
            return
        for payload in context.finished():
            yield Reply(payload)

    def _failed(self, message: m.ErrorMessage) -> Iterator[Action]:
        error = m.error_from_message(message)
        if message.context is None:
            if error.code is not ErrorCode.IDLE:
                yield self._error_reply(error, None)
            return
        context = self._by_name.get(message.context)
        if context is not None:
            yield self._error_reply(error, context.id)
            yield from self._cancel(context)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _error_reply(self, error: VoxwireError, context_id: str | None) -> Reply:
        """An error message, always with a `context_id`, null if need be: Pipecat fails on messages without."""
        return Reply(error_event(error, self._request_id) | {"context_id": context_id})

    def _forget(self, context: Context) -> None:
        self._by_name.pop(context.name, None)
        self._by_id.pop(context.id, None)

    def _with_due(self, actions: Iterable[Action]) -> list[Action]:
        """The actions; `due` is updated once they have been made."""
        done = list(actions)
        self.due = min((context.due for context in self._by_name.values()), default=None)
        return done
