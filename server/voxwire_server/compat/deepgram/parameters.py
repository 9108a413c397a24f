"""Owns what the address of a request may ask for, and what it stands for here: a voice, a speed, an audio format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, Field

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import RATES, Codec, Start
from voxwire_server.audio.containers import Container
from voxwire_server.compat.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.speech import Voice

MODEL_VERSION = version("voxwire")
"""Voices come with the server and have its version."""

AURA_SPEEDS = (0.7, 1.5)
FLUX_SPEEDS = (0.5, 1.5)

_LANGUAGE = re.compile(r"(?:aura|flux)-.+-([a-z]{2})")
"""A model's name ends in its language: aura-2-thalia-en, flux-alexis-en."""

_RAW: Mapping[str, Codec] = {"linear16": "pcm_s16le", "mulaw": "mulaw", "alaw": "alaw"}


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What an encoding is here; what is left out of a request is `sample_rate` and `bit_rate`."""

    container: Container
    sample_rate: int
    bit_rate: int
    bit_rates: tuple[int, int]


_ENCODED: Mapping[str, _Encoding] = {
    "mp3": _Encoding(Container.MP3, 22050, 48_000, (8_000, 320_000)),
    "aac": _Encoding(Container.AAC, 22050, 48_000, (4_000, 192_000)),
    "opus": _Encoding(Container.OGG_OPUS, 48000, 32_000, (6_000, 510_000)),
    "flac": _Encoding(Container.FLAC, 24000, 0, (0, 0)),
}


class StreamQuery(BaseModel):
    """The parameters of a WebSocket's address; others (`mip_opt_out`, `tag`, `expressivity`) change nothing here."""

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


@dataclass(frozen=True, slots=True)
class Wish:
    """A request's address, understood. `start` lacks the context's name; `model_name` is as the client called it."""

    start: Start
    format: OutputFormat
    model_name: str
    model_uuid: str


def stream_wish(host: CompatHost, query: StreamQuery, speeds: tuple[float, float]) -> Wish:
    """What a WebSocket is to speak with.

    Raises:
        VoxwireError: client.unknown_voice, client.unsupported_language, client.unsupported_audio, client.invalid_field.
    """
    return _wish(host, query, speeds, _raw_format(query, Container.RAW))


def speak_wish(host: CompatHost, query: SpeakQuery, speeds: tuple[float, float]) -> Wish:
    """What a POST is to speak with.

    Raises:
        VoxwireError: as `stream_wish`.
    """
    if query.callback is not None:
        raise _invalid("callback", "callbacks are not made here; take the audio from the response")
    if query.encoding in _RAW:
        containers = {None: Container.WAV, "wav": Container.WAV, "none": Container.RAW}
        if query.container not in containers:
            raise _unsupported("container", f"{query.encoding} comes in wav or none, not in {query.container!r}")
        format = _raw_format(query, containers[query.container])
    else:
        format = _encoded_format(query)
    return _wish(host, query, speeds, format)


def _wish(host: CompatHost, query: StreamQuery, speeds: tuple[float, float], format: OutputFormat) -> Wish:
    slowest, fastest = speeds
    if query.speed is not None and not slowest <= query.speed <= fastest:
        raise _invalid("speed", f"speed is {query.speed:g}, which is not between {slowest:g} and {fastest:g}")
    voice = host.default_voice() if query.model is None else _voice(host, query.model)
    name = f"{voice.engine}/{voice.name}"
    language = _language_of(query.model, voice)
    return Wish(
        start=Start(voice=name, language=language, speed=query.speed, timings=()),
        format=format,
        model_name=query.model or voice.name,
        model_uuid=str(uuid5(NAMESPACE_URL, f"voxwire:{name}")),
    )


def _voice(host: CompatHost, model: str) -> Voice:
    """A voice of that name or alias; else, of the engine that the model's name stands for, one of its language."""
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
    default = host.default_voice()
    voices_there = [voice for info in host.engines() if info.name == engine for voice in info.voices]
    if default in voices_there:
        voices_there.insert(0, default)
    language = _LANGUAGE.fullmatch(model)
    for voice in voices_there:
        if language is None or _tag(voice, language[1]) is not None:
            return voice
    raise VoxwireError(ErrorCode.UNSUPPORTED_LANGUAGE, f"no voice here speaks the language of {model!r}")


def _language_of(model: str | None, voice: Voice) -> str | None:
    """The language in a model's name, where the voice that stands for it has it."""
    named = _LANGUAGE.fullmatch(model or "")
    return None if named is None else _tag(voice, named[1])


def _tag(voice: Voice, language: str) -> str | None:
    return next((tag for tag in voice.languages if tag.lower().split("-")[0] == language), None)


def _raw_format(query: StreamQuery, container: Container) -> OutputFormat:
    codec = _RAW.get(query.encoding)
    if codec is None:
        raise _unsupported("encoding", f"there is no encoding {query.encoding!r}; there are {', '.join(_RAW)}")
    rate = query.sample_rate or (24000 if codec == "pcm_s16le" else 8000)
    if rate not in RATES[codec]:
        rates = ", ".join(map(str, RATES[codec]))
        raise _unsupported("sample_rate", f"{query.encoding} comes at {rates} Hz, not at {rate}")
    return OutputFormat(codec=codec, sample_rate=rate, container=container)


def _encoded_format(query: SpeakQuery) -> OutputFormat:
    encoding = _ENCODED.get(query.encoding)
    if encoding is None:
        known = ", ".join((*_RAW, *_ENCODED))
        raise _unsupported("encoding", f"there is no encoding {query.encoding!r}; there are {known}")
    if query.container not in (None, "none") and (query.encoding, query.container) != ("opus", "ogg"):
        raise _unsupported("container", f"{query.encoding} does not come in {query.container!r}")
    low, high = encoding.bit_rates
    bit_rate = query.bit_rate or encoding.bit_rate or None
    if query.bit_rate is not None and not low <= query.bit_rate <= high:
        raise _unsupported("bit_rate", f"{query.encoding} takes a bit_rate of {low} to {high}, not {query.bit_rate}")
    return OutputFormat(
        sample_rate=query.sample_rate or encoding.sample_rate, container=encoding.container, bitrate=bit_rate
    )


def _unsupported(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, message, details={"field": field})


def _invalid(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.INVALID_FIELD, message, details={"field": field})
