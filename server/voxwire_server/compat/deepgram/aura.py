"""Translates `/v1/speak`: text in, audio out, a Flushed for every Flush, silence after a Clear. Pure.

A connection has at most one context. It is opened by the first Speak and let go once every Flush has been answered and
no text is left, so a turn always begins on a fresh one; a Clear lets it go at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.compat.deepgram.audio import binary
from voxwire_server.compat.deepgram.errors import aura_error, hangup
from voxwire_server.compat.deepgram.messages import parse, text_of, unknown
from voxwire_server.compat.deepgram.parameters import MODEL_VERSION
from voxwire_server.compat.translation import Action, Begin, Forward, Hangup, Names, Reply

if TYPE_CHECKING:
    from voxwire_server.compat.deepgram.parameters import Wish
    from voxwire_server.compat.session_stream import AudioPiece


class Aura:
    """One connection."""

    due: float | None = None

    def __init__(self, wish: Wish, request_id: str, text_chars_max: int) -> None:
        self._wish = wish
        self._request_id = request_id
        self._text_chars_max = text_chars_max
        self._names = Names()
        self._context: str | None = None
        self._started = False
        self._unflushed = False
        self._flushes = 0
        self._answers = 0
        self._closing = False

    def opened(self, now: float) -> list[Action]:  # noqa: ARG002
        """Says what speaks here."""
        metadata = {
            "type": "Metadata",
            "request_id": self._request_id,
            "model_name": self._wish.model_name,
            "model_version": MODEL_VERSION,
            "model_uuid": self._wish.model_uuid,
        }
        return [Reply(metadata)]

    def received(self, raw: str | bytes, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        kind, fields = parse(raw)
        if self._closing:
            return []
        match kind:
            case "Speak":
                return self._speak(text_of(fields, self._text_chars_max))
            case "Flush":
                return self._flush()
            case "Clear":
                return self._clear()
            case "Close":
                return self._close()
            case _:
                raise unknown(kind, "Speak, Flush, Clear and Close")

    def message(self, message: m.ServerMessage, now: float) -> list[Action]:
        """See `Translator`."""
        match message:
            case m.ErrorMessage():
                return self._error(message, now)
            case m.Started(context=context):
                self._started = context == self._context
                return []
            case m.Flushed(context=context) if context == self._context:
                return self._flushed()
            case m.Done(context=context, reason=reason) if context == self._context:
                self._context = None
                failed = reason is m.DoneReason.ERROR
                return [Hangup(CloseCode.INTERNAL, "speaking failed")] if failed else self._end()
            case m.WarningMessage(context=context, code="text_without_speech") if context == self._context:
                return [Reply(_warning(message.code, message.message))]
            case _:
                return []

    def audio(self, piece: AudioPiece, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        return binary(piece) if piece.context == self._context else []

    def refused(self, error: VoxwireError, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        return [Reply(aura_error(error, self._request_id))]

    def tick(self, now: float) -> list[Action]:  # noqa: ARG002
        """Never due."""
        return []

    # -- what the client says -----------------------------------------------------------------------------------------

    def _speak(self, text: str) -> list[Action]:
        if not text:
            return []
        actions: list[Action] = []
        if self._context is None:
            self._context, self._started = self._names.new(), False
            actions.append(Begin(replace(self._wish.start, context=self._context), self._wish.format))
        self._unflushed = True
        return [*actions, Forward(m.Text(context=self._context, text=text))]

    def _flush(self) -> list[Action]:
        if self._context is None:
            return [self._answer("Flushed")]
        self._flushes += 1
        self._unflushed = False
        return [Forward(m.Flush(context=self._context))]

    def _clear(self) -> list[Action]:
        return [*self._let_go(), self._answer("Cleared")]

    def _close(self) -> list[Action]:
        """What has been said so far is still spoken: clients send Flush and Close in one breath and then listen."""
        self._closing = True
        return self._end() if self._context is None else [Forward(m.End(context=self._context))]

    # -- what the session says ----------------------------------------------------------------------------------------

    def _flushed(self) -> list[Action]:
        self._flushes -= 1
        answer = self._answer("Flushed")
        if self._flushes or self._unflushed or self._closing:
            return [answer]
        return [answer, *self._let_go()]

    def _error(self, message: m.ErrorMessage, now: float) -> list[Action]:
        """A context that is there goes on without what the error is about, or ends with a Done of its own."""
        if message.context is not None and message.context != self._context:
            return []
        error = m.error_from_message(message)
        told = [] if error.code is ErrorCode.IDLE else self.refused(error, now)
        if message.context is None or self._started:
            return told
        return [*told, hangup(error)]

    # -- parts --------------------------------------------------------------------------------------------------------

    def _let_go(self) -> list[Action]:
        """Cancel even where all has been sent: an end would wait for a listener that is behind."""
        context, self._context = self._context, None
        self._flushes, self._unflushed = 0, False
        return [] if context is None else [Forward(m.Cancel(context=context))]

    def _end(self) -> list[Action]:
        return [Hangup()] if self._closing else []

    def _answer(self, kind: str) -> Reply:
        self._answers += 1
        return Reply({"type": kind, "sequence_id": self._answers - 1})


def _warning(code: str, text: str) -> dict[str, Any]:
    """SDK, LiveKit and Pipecat each read other names."""
    return {"type": "Warning", "code": code, "description": text, "warn_code": code, "warn_msg": text}
