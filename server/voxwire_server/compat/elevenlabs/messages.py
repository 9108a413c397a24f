"""What ElevenLabs' clients send: the fields of their messages and requests, and their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field

from voxwire_protocol import messages as m
from voxwire_protocol.errors import VoxwireError
from voxwire_server.compat.elevenlabs.formats import DEFAULT_FORMAT
from voxwire_server.compat.parsing import json_object, validate

SEED_MAX = 2**32 - 1
INACTIVITY_SECONDS = 180.0
"""The default for clients that set no `inactivity_timeout`: the vendor's maximum."""

DEFAULT_CONTEXT_ID = "default"


class VoiceSettings(BaseModel):
    """Settings of the voice: `speed` is used, the others are accepted and have no effect."""

    speed: float | None = Field(None, ge=0.5, le=2.0)


class GenerationConfig(BaseModel):
    """How much text is collected before it is spoken, in characters."""

    chunk_length_schedule: list[Annotated[float, Field(gt=0, le=500)]] | None = Field(None, max_length=64)


class DictionaryLocator(BaseModel):
    """A pronunciation dictionary: the id is the name of a lexicon of the server; versions have no effect."""

    pronunciation_dictionary_id: str = Field(min_length=1, max_length=m.LEXICON_NAME_CHARS_MAX)
    version_id: str | None = None


Locators = Annotated[list[DictionaryLocator], Field(max_length=m.LEXICONS_MAX)]


def lexicons_of(locators: Sequence[DictionaryLocator] | None) -> tuple[str, ...] | None:
    """The lexicons that `start` is to name: the last one wins there, and the first one in a list of locators."""
    return tuple(each.pronunciation_dictionary_id for each in reversed(locators)) if locators else None


class ClientMessage(BaseModel):
    """A message on either WebSocket."""

    text: str | None = None
    context_id: str | None = Field(None, validation_alias=AliasChoices("context_id", "contextId"))
    flush: bool | None = None
    try_trigger_generation: bool | None = None
    close_context: bool | None = None
    close_socket: bool | None = None
    voice_settings: VoiceSettings | None = None
    generation_config: GenerationConfig | None = Field(
        None, validation_alias=AliasChoices("generation_config", "generator_config")
    )
    pronunciation_dictionary_locators: Locators | None = None


class StreamQuery(BaseModel):
    """The parameters of a WebSocket's address."""

    model_id: str | None = None
    output_format: str = DEFAULT_FORMAT
    language_code: str | None = None
    seed: int | None = Field(None, ge=0, le=SEED_MAX)
    auto_mode: bool = False
    enable_ssml_parsing: bool = False
    inactivity_timeout: float = Field(INACTIVITY_SECONDS, gt=0, le=3600)


class SpeechQuery(BaseModel):
    """The parameters of an HTTP endpoint."""

    output_format: str = DEFAULT_FORMAT
    enable_ssml_parsing: bool = False


class SpeechBody(BaseModel):
    """The body of an HTTP endpoint. Fields that are not listed are accepted and have no effect."""

    text: str
    model_id: str | None = None
    language_code: str | None = None
    voice_settings: VoiceSettings | None = None
    seed: int | None = Field(None, ge=0, le=SEED_MAX)
    enable_ssml_parsing: bool = False
    pronunciation_dictionary_locators: Locators | None = None


def client_message(raw: str | bytes) -> ClientMessage:
    """Parse a client's message.

    Raises:
        VoxwireError: client.malformed_message, or client.invalid_field whose `context` is the client's context id.
    """
    fields = json_object(raw)
    try:
        return validate(ClientMessage, fields, "message")
    except VoxwireError as error:
        named = fields.get("context_id") or fields.get("contextId")
        error.context = named if isinstance(named, str) else None
        raise


def key_in_message(raw: str | bytes) -> str | None:
    """The API key in a first message; None if it has none."""
    try:
        fields = json_object(raw)
    except VoxwireError:
        return None
    for name in ("xi-api-key", "xi_api_key", "authorization"):
        value = fields.get(name)
        if isinstance(value, str) and value.strip():
            scheme, _, bearer = value.strip().partition(" ")
            return bearer.strip() if name == "authorization" and scheme.lower() == "bearer" else value.strip()
    return None
