"""Owns what Cartesia's clients say: the fields of their messages and requests, and what they may hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.operation import checked

BUFFER_MS_MAX = 5000


class WantedFormat(BaseModel):
    """An output format; `voxwire_server.compat.cartesia.formats` says which there are."""

    container: str
    encoding: str | None = None
    sample_rate: int
    bit_rate: int | None = None


class WantedVoice(BaseModel):
    """A voice by its id."""

    mode: str = "id"
    id: str | None = Field(None, max_length=200)


class GenerationConfig(BaseModel):
    """How to speak: `speed` is used, `volume` and `emotion` are taken and have no effect."""

    speed: float | None = Field(None, ge=0.5, le=2.0)


class Generation(BaseModel):
    """What every request says. Fields that are not listed are taken and have no effect."""

    model_id: str | None = None
    transcript: str
    voice: Annotated[str, Field(max_length=200)] | WantedVoice | None = None
    output_format: WantedFormat
    language: str | None = None
    locale: str | None = None
    speed: Literal["slow", "normal", "fast"] | None = None
    generation_config: GenerationConfig | None = None


class TimedGeneration(Generation):
    """What requests say whose answers are events."""

    context_id: str | None = Field(None, max_length=200)
    add_timestamps: bool | None = None
    add_phoneme_timestamps: bool | None = None


class SocketGeneration(TimedGeneration):
    """A message on the WebSocket."""

    more: bool | None = Field(None, alias="continue")
    flush: bool | None = None
    max_buffer_delay_ms: int | None = Field(None, ge=0, le=BUFFER_MS_MAX)


class CancelContext(BaseModel):
    """The other message on the WebSocket."""

    cancel: Literal[True]
    context_id: str


def client_message(raw: str | bytes) -> SocketGeneration | CancelContext:
    """A message as a client sent it.

    Raises:
        VoxwireError: client.malformed_message, or client.invalid_field whose `context` is the client's context id.
    """
    fields = _json_object(raw)
    try:
        if fields.get("cancel"):
            return checked(CancelContext, fields, "message")
        return checked(SocketGeneration, fields, "message")
    except VoxwireError as error:
        named = fields.get("context_id")
        error.context = named if isinstance(named, str) else None
        raise


def _json_object(raw: str | bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, f"the message is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the message is no JSON object")
    return fields
