"""What Cartesia's clients send: the fields of their messages and requests, and their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import DEFAULT_CONTEXT, Start, TimingKind
from voxwire_server.compat.parsing import json_object, validate

DELAY_MS_DEFAULT = 2500
"""How long text waits for more before it is flushed. The vendor waits 3 s, which Pipecat takes for the end."""

DELAY_MS_MAX = 5000

ID_CHARS_MAX = 200

_SPEEDS: Mapping[str, float] = {"slow": 0.8, "normal": 1.0, "fast": 1.2}
"""The values of the older field `speed`."""


class RequestedFormat(BaseModel):
    """An output format, validated by `voxwire_server.compat.cartesia.formats`."""

    container: str
    encoding: str | None = None
    sample_rate: int
    bit_rate: int | None = None


class RequestedVoice(BaseModel):
    """A voice by its id."""

    mode: str = "id"
    id: str | None = Field(None, max_length=ID_CHARS_MAX)


class GenerationConfig(BaseModel):
    """How to speak: `speed` is used, `volume` and `emotion` are accepted and have no effect."""

    speed: float | None = Field(None, ge=0.5, le=2.0)


class BytesBody(BaseModel):
    """The fields of every request. Fields that are not listed are accepted and have no effect."""

    transcript: str
    output_format: RequestedFormat
    voice: Annotated[str, Field(max_length=ID_CHARS_MAX)] | RequestedVoice | None = None
    model_id: str | None = None
    language: str | None = None
    locale: str | None = None
    speed: Literal["slow", "normal", "fast"] | None = None
    generation_config: GenerationConfig | None = None

    def voice_id(self) -> str | None:
        """The voice's id; None: the server's default.

        Raises:
            VoxwireError: client.invalid_field; the voice is not given by an id.
        """
        if not isinstance(self.voice, RequestedVoice):
            return self.voice or None
        if self.voice.mode != "id":
            message = f"voices have ids here, there are none by {self.voice.mode[:32]}"
            raise VoxwireError(ErrorCode.INVALID_FIELD, message, details={"field": "voice.mode"})
        return self.voice.id or None

    def start(self, voice: str | None, context: str = DEFAULT_CONTEXT, timings: tuple[TimingKind, ...] = ()) -> Start:
        """The message that opens a context with these settings."""
        speed = _SPEEDS.get(self.speed or "")
        if self.generation_config is not None and self.generation_config.speed is not None:
            speed = self.generation_config.speed
        language = self.language or self.locale or None
        return Start(context=context, voice=voice, language=language, speed=speed, timings=timings)


class SseBody(BytesBody):
    """The fields of a request that is answered with server-sent events."""

    context_id: str | None = Field(None, max_length=ID_CHARS_MAX)
    add_timestamps: bool | None = None
    add_phoneme_timestamps: bool | None = None

    def timings(self) -> tuple[TimingKind, ...]:
        """Which timings are requested."""
        words: tuple[TimingKind, ...] = ("word",) if self.add_timestamps else ()
        phonemes: tuple[TimingKind, ...] = ("phoneme",) if self.add_phoneme_timestamps else ()
        return words + phonemes


class Generation(SseBody):
    """A message with text on the WebSocket."""

    more: bool | None = Field(None, alias="continue")
    flush: bool | None = None
    max_buffer_delay_ms: int | None = Field(None, ge=0, le=DELAY_MS_MAX)


class Cancellation(BaseModel):
    """A message that cancels a context."""

    cancel: Literal[True]
    context_id: str


def client_message(raw: str | bytes) -> Generation | Cancellation:
    """Parse a client's message.

    Raises:
        VoxwireError: client.malformed_message, or client.invalid_field whose `context` is the client's context id.
    """
    fields = json_object(raw)
    try:
        if fields.get("cancel"):
            return validate(Cancellation, fields, "message")
        return validate(Generation, fields, "message")
    except VoxwireError as error:
        named = fields.get("context_id")
        error.context = named if isinstance(named, str) else None
        raise
