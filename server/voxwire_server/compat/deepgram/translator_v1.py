"""Translates `/v1/speak`: text in, audio out, a Flushed for every Flush, silence after a Clear. No I/O.

A connection has at most one context. The first Speak opens it; it is dropped once every Flush is answered and no text
is left, so that each turn begins with a new one. A Clear drops it at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.compat.deepgram.errors import aura_error, close_for
from voxwire_server.compat.deepgram.messages import MODEL_VERSION, audio_messages, parse_message, text_of, unknown_type
from voxwire_server.compat.translator import Action, Close, ContextNames, Forward, Reply, StartContext

if TYPE_CHECKING:
    from voxwire_server.compat.deepgram.messages import SpeakOptions
    from voxwire_server.compat.session import EncodedAudio


_TEXT_WARNINGS = ("text_without_speech", "unreadable_text")
"""What a client is told about its text."""


class AuraTranslator:
    """Translates one connection."""

    due: float | None = None

    def __init__(self, options: SpeakOptions, request_id: str, text_chars_max: int) -> None:
        self._options = options
        self._request_id = request_id
        self._text_chars_max = text_chars_max
        self._names = ContextNames()
        self._context: str | None = None
        self._started = False
        self._unflushed = False
        self._flushes = 0
        self._answers = 0
        self._closing = False

    def opened(self, now: float) -> list[Action]:  # noqa: ARG002
        """Tell the client which model speaks."""
        metadata = {
            "type": "Metadata",
            "request_id": self._request_id,
            "model_name": self._options.model_name,
            "model_version": MODEL_VERSION,
            "model_uuid": self._options.model_uuid,
        }
        return [Reply(metadata)]

    def received(self, raw: str | bytes, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        kind, fields = parse_message(raw)
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
                raise unknown_type(kind, "Speak, Flush, Clear and Close")

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
                return [Close(CloseCode.INTERNAL, "speaking failed")] if failed else self._close_when_done()
            case m.WarningMessage(context=context, code=code) if context == self._context and code in _TEXT_WARNINGS:
                return [Reply(_warning(message.code, message.message))]
            case _:
                return []

    def audio(self, audio: EncodedAudio, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        return audio_messages(audio) if audio.context == self._context else []

    def refused(self, error: VoxwireError, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        return [Reply(aura_error(error, self._request_id))]

    def tick(self, now: float) -> list[Action]:  # noqa: ARG002
        """Never due."""
        return []

    # -- messages of the client ---------------------------------------------------------------------------------------

    def _speak(self, text: str) -> list[Action]:
        if not text:
            return []
        actions: list[Action] = []
        if self._context is None:
            self._context, self._started = self._names.new(), False
            actions.append(StartContext(replace(self._options.start, context=self._context), self._options.format))
        self._unflushed = True
        return [*actions, Forward(m.Text(context=self._context, text=text))]

    def _flush(self) -> list[Action]:
        if self._context is None:
            return [self._answer("Flushed")]
        self._flushes += 1
        self._unflushed = False
        return [Forward(m.Flush(context=self._context))]

    def _clear(self) -> list[Action]:
        return [*self._drop_context(), self._answer("Cleared")]

    def _close(self) -> list[Action]:
        """Speak the text received so far: clients send Flush and Close together and then wait for the audio."""
        self._closing = True
        return self._close_when_done() if self._context is None else [Forward(m.End(context=self._context))]

    # -- messages of the session --------------------------------------------------------------------------------------

    def _flushed(self) -> list[Action]:
        self._flushes -= 1
        answer = self._answer("Flushed")
        if self._flushes or self._unflushed or self._closing:
            return [answer]
        return [answer, *self._drop_context()]

    def _error(self, message: m.ErrorMessage, now: float) -> list[Action]:
        """A context that was started continues after an error, or ends with a Done; one that was not is lost."""
        if message.context is not None and message.context != self._context:
            return []
        error = m.error_from_message(message)
        replies = [] if error.code is ErrorCode.IDLE else self.refused(error, now)
        if message.context is None or self._started:
            return replies
        return [*replies, close_for(error)]

    # -- parts --------------------------------------------------------------------------------------------------------

    def _drop_context(self) -> list[Action]:
        """Cancel the context, even if all its audio was sent: an End would wait until the audio has been heard."""
        context, self._context = self._context, None
        self._flushes, self._unflushed = 0, False
        return [] if context is None else [Forward(m.Cancel(context=context))]

    def _close_when_done(self) -> list[Action]:
        return [Close()] if self._closing else []

    def _answer(self, kind: str) -> Reply:
        self._answers += 1
        return Reply({"type": kind, "sequence_id": self._answers - 1})


def _warning(code: str, text: str) -> dict[str, Any]:
    """A warning with the field names of the SDK, of LiveKit and of Pipecat."""
    return {"type": "Warning", "code": code, "description": text, "warn_code": code, "warn_msg": text}
