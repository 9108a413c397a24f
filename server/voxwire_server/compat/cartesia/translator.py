"""Translates Cartesia's WebSocket: many contexts on one connection, each in a format and with a voice of its own. Pure.

An error that names a context ends it, because that is how the clients take it; its id can be used again, and so can
that of a context that is done or cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cartesia.contexts import Context
from voxwire_server.compat.cartesia.errors import error_event
from voxwire_server.compat.cartesia.formats import raw_sound
from voxwire_server.compat.cartesia.messages import Cancellation, client_message
from voxwire_server.compat.translation import Action, Begin, Forward, Names, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voxwire_server.compat.cartesia.messages import Generation
    from voxwire_server.compat.session_stream import AudioPiece

    Chooser = Callable[[str | None, str | None], str | None]
    """The voice behind a model's and a voice's id."""


class Contexts:
    """One connection."""

    def __init__(self, choose: Chooser, request_id: str) -> None:
        self.due: float | None = None
        self._choose = choose
        self._request_id = request_id
        self._names = Names()
        self._by_name: dict[str, Context] = {}
        self._by_id: dict[str, Context] = {}

    def opened(self, now: float) -> Iterable[Action]:  # noqa: ARG002 - clients speak first
        """See `Translator`."""
        return ()

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """See `Translator`."""
        message = client_message(raw)
        if isinstance(message, Cancellation):
            return self._scheduled(self._cancel(self._by_id.get(message.context_id)))
        try:
            return self._scheduled(self._generate(message, now))
        except VoxwireError as error:
            error.context = message.context_id
            raise

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:  # noqa: ARG002 - nothing is timed here
        """See `Translator`."""
        if isinstance(message, m.ErrorMessage):
            return self._scheduled(self._failed(message))
        context = self._by_name.get(getattr(message, "context", None) or "")
        if context is None:
            return ()
        match message:
            case m.Timing():
                return [Reply(payload) for payload in context.time(message)]
            case m.Flushed():
                return [Reply(payload) for payload in context.flushed(message)]
            case m.Done():
                return self._scheduled(self._done(context, message))
            case _:
                return ()

    def audio(self, piece: AudioPiece, now: float) -> Iterable[Action]:
        """See `Translator`."""
        context = self._by_name.get(piece.context)
        return () if context is None else self._scheduled(Reply(payload) for payload in context.audio(piece, now))

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        context = self._by_id.get(error.context or "")
        return self._scheduled([self._told(error, error.context), *self._cancel(context)])

    def tick(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        return self._scheduled(action for context in self._by_name.values() for action in context.tick(now))

    # -- what the client says -----------------------------------------------------------------------------------------

    def _generate(self, message: Generation, now: float) -> Iterator[Action]:
        context = self._by_id.get(message.context_id or "")
        if context is None:
            context, begin = self._begin(message, now)
            yield begin
        elif context.closing:
            raise VoxwireError(ErrorCode.CONTEXT_ENDED, "the context was ended by a message without `continue`")
        yield from context.take(message, now)

    def _begin(self, message: Generation, now: float) -> tuple[Context, Action]:
        if message.context_id is None and message.more:
            raise VoxwireError(
                ErrorCode.MISSING_FIELD,
                "context_id: it is needed where `continue` is true",
                details={"field": "context_id"},
            )
        context_id = message.context_id or str(uuid4())
        sound = raw_sound(message.output_format)
        voice = self._choose(message.model_id, message.voice_id())
        context = Context(self._names.new(), context_id, sound, message.timings(), now)
        self._by_name[context.name] = self._by_id[context_id] = context
        start = message.start(voice, context.name, context.timings)
        return context, Begin(start, sound.request)

    def _cancel(self, context: Context | None) -> Iterator[Action]:
        """Nothing more of it is wanted, and nothing more is said of it: the SDK would take it for another's end."""
        if context is not None:
            self._forget(context)
            yield Forward(m.Cancel(context=context.name))

    # -- what the session says ----------------------------------------------------------------------------------------

    def _done(self, context: Context, done: m.Done) -> Iterator[Action]:
        self._forget(context)
        if done.reason is m.DoneReason.ERROR:
            error = VoxwireError(ErrorCode.ENGINE_FAILED, "the transcript could not be spoken to its end")
            yield self._told(error, context.id)
            return
        for payload in context.finished():
            yield Reply(payload)

    def _failed(self, message: m.ErrorMessage) -> Iterator[Action]:
        error = m.error_from_message(message)
        if message.context is None:
            if error.code is not ErrorCode.IDLE:
                yield self._told(error, None)
            return
        context = self._by_name.get(message.context)
        if context is not None:
            yield self._told(error, context.id)
            yield from self._cancel(context)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _told(self, error: VoxwireError, context_id: str | None) -> Reply:
        """Every message has a context id, if only null: Pipecat fails on one that has none."""
        return Reply(error_event(error, self._request_id) | {"context_id": context_id})

    def _forget(self, context: Context) -> None:
        self._by_name.pop(context.name, None)
        self._by_id.pop(context.id, None)

    def _scheduled(self, actions: Iterable[Action]) -> list[Action]:
        """The actions, and `due` as it is after them."""
        done = list(actions)
        self.due = min((context.due for context in self._by_name.values()), default=None)
        return done
