"""What Deepgram's clients send: parameters of an address, with the voice for a model; bodies; WebSocket messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, Field

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import Start
from voxwire_server.compat.deepgram.formats import body_format, raw_format
from voxwire_server.compat.parsing import json_object
from voxwire_server.compat.translator import Action, Reply

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.session import EncodedAudio, OutputFormat
    from voxwire_server.speech import Voice

AURA_SPEEDS = (0.7, 1.5)
FLUX_SPEEDS = (0.5, 1.5)

AUDIO_BYTES_MAX = 64 * 1024
"""Bytes of one audio message. Even, so that samples stay whole; the Python packages close at messages above 1 MiB."""

MODEL_VERSION = version("voxwire")
"""Voices are released with the server and have its version."""

_LANGUAGE = re.compile(r"(?:aura|flux)-.+-([a-z]{2})")
"""A model's name ends in its language: aura-2-thalia-en, flux-alexis-en."""

_STRING = r'"((?:[^"\\]|\\.){0,256})"'
_WORD = re.compile(rf'\\\{{\s*"word"\s*:\s*{_STRING}\s*,\s*"pronounce"\s*:\s*{_STRING}\s*\\\}}')
_PAUSE = re.compile(r"\\\{pause:\d{1,5}ms\\\}")


# -- parameters and bodies --------------------------------------------------------------------------------------------


class StreamQuery(BaseModel):
    """The parameters of a WebSocket's address; others (`mip_opt_out`, `tag`, `expressivity`) have no effect."""

    model: str | None = Field(None, min_length=1, max_length=200)
    encoding: str = "linear16"
    sample_rate: int | None = None
    speed: float | None = None


class SpeakQuery(StreamQuery):
    """The parameters of a POST."""

    encoding: str = "mp3"
    container: str | None = None
    bit_rate: int | None = None
    callback: str | None = None


class SpeakBody(BaseModel):
    """The body of a POST."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeakOptions:
    """The validated parameters. `start` lacks the context's name; `model_name` is the client's name for the model."""

    start: Start
    format: OutputFormat
    model_name: str
    model_uuid: str


def websocket_options(host: CompatHost, query: StreamQuery, speeds: tuple[float, float]) -> SpeakOptions:
    """The options of a WebSocket, for all of its contexts. `speeds`: the slowest and the fastest speed.

    Raises:
        VoxwireError: client.unknown_voice, client.unsupported_language, client.unsupported_audio, client.invalid_field.
    """
    return _options(host, query, speeds, raw_format(query.encoding, query.sample_rate))


def http_options(host: CompatHost, query: SpeakQuery, speeds: tuple[float, float]) -> SpeakOptions:
    """The options of a POST. `speeds`: the slowest and the fastest speed.

    Raises:
        VoxwireError: as `websocket_options`.
    """
    if query.callback is not None:
        raise _invalid("callback", "callbacks are not made here; take the audio from the response")
    format = body_format(query.encoding, query.container, query.sample_rate, query.bit_rate)
    return _options(host, query, speeds, format)


def _options(host: CompatHost, query: StreamQuery, speeds: tuple[float, float], format: OutputFormat) -> SpeakOptions:
    slowest, fastest = speeds
    if query.speed is not None and not slowest <= query.speed <= fastest:
        raise _invalid("speed", f"speed is {query.speed:g}, which is not between {slowest:g} and {fastest:g}")
    voice = voice_of_model(host, query.model)
    name = f"{voice.engine}/{voice.name}"
    language = language_of_model(query.model, voice)
    return SpeakOptions(
        start=Start(voice=name, language=language, speed=query.speed, timings=()),
        format=format,
        model_name=query.model or voice.name,
        model_uuid=str(uuid5(NAMESPACE_URL, f"voxwire:{name}")),
    )


def _invalid(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.INVALID_FIELD, message, details={"field": field})


# -- voices -----------------------------------------------------------------------------------------------------------


def voice_of_model(host: CompatHost, model: str | None) -> Voice:
    """The voice with that name or alias, else a voice of the model's engine that speaks the model's language.

    Raises:
        VoxwireError: client.unknown_voice, client.unsupported_language.
    """
    if model is None:
        return host.default_voice()
    found = host.find_voice(model)
    if found is not None:
        return found
    try:
        engine = host.resolve_model(model)
    except VoxwireError as unknown:
        voices = sorted({voice.name for info in host.engines() for voice in info.voices})
        raise VoxwireError(
            ErrorCode.UNKNOWN_VOICE, f"there is no model or voice {model!r}", details={"voices": voices[:100]}
        ) from unknown
    return _voice_of_engine(host, engine, model)


def language_of_model(model: str | None, voice: Voice) -> str | None:
    """The language in a model's name as a tag of `voice`; None where the voice does not speak it."""
    named = _LANGUAGE.fullmatch(model or "")
    return None if named is None else _tag(voice, named[1])


def _voice_of_engine(host: CompatHost, engine: str, model: str) -> Voice:
    """The first voice of an engine that speaks a model's language; the default voice is tried first."""
    default = host.default_voice()
    voices = [voice for info in host.engines() if info.name == engine for voice in info.voices]
    if default in voices:
        voices.insert(0, default)
    language = _LANGUAGE.fullmatch(model)
    for voice in voices:
        if language is None or _tag(voice, language[1]) is not None:
            return voice
    raise VoxwireError(ErrorCode.UNSUPPORTED_LANGUAGE, f"no voice here speaks the language of {model!r}")


def _tag(voice: Voice, language: str) -> str | None:
    return next((tag for tag in voice.languages if tag.lower().split("-")[0] == language), None)


# -- messages on a WebSocket ------------------------------------------------------------------------------------------


def parse_message(raw: str | bytes) -> tuple[str, dict[str, Any]]:
    """A message's type and its fields.

    Raises:
        VoxwireError: client.malformed_message, client.missing_field.
    """
    if isinstance(raw, bytes):
        raise VoxwireError(ErrorCode.UNEXPECTED_BINARY, "messages are text with a JSON object, this one is binary")
    fields = json_object(raw)
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise VoxwireError(ErrorCode.MISSING_FIELD, "the message has no `type`", details={"field": "type"})
    return kind, fields


def unknown_type(kind: str, known: str) -> VoxwireError:
    """The error for a message of an unknown type; `known` lists the types."""
    return VoxwireError(ErrorCode.UNKNOWN_TYPE, f"there is no message {kind[:40]!r}; there are {known}")


def text_of(fields: dict[str, Any], chars_max: int) -> str:
    """The text of a Speak, without inline controls.

    Raises:
        VoxwireError: client.missing_field, client.invalid_field, client.text_too_long.
    """
    text = fields.get("text")
    if text is None:
        raise VoxwireError(ErrorCode.MISSING_FIELD, "Speak has no `text`", details={"field": "text"})
    if not isinstance(text, str):
        raise VoxwireError(ErrorCode.INVALID_FIELD, "`text` is no string", details={"field": "text"})
    if len(text) > chars_max:
        raise VoxwireError(
            ErrorCode.TEXT_TOO_LONG, f"the text has {len(text)} characters, {chars_max} are allowed at once"
        )
    return strip_controls(text)


def strip_controls(text: str) -> str:
    """A text without inline controls: a word with a pronunciation stays as the word, a pause is removed."""
    if "\\{" not in text:
        return text
    return _PAUSE.sub(" ", _WORD.sub(lambda found: found[1].replace('\\"', '"'), text))


def audio_messages(audio: EncodedAudio) -> list[Action]:
    """The binary messages that carry audio."""
    data = audio.payload
    return [Reply(data[at : at + AUDIO_BYTES_MAX]) for at in range(0, len(data), AUDIO_BYTES_MAX)]
