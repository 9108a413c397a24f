"""Serves OpenAI's HTTP endpoints: speech, as bytes or as server-sent events, and the lists of models and voices."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import Container
from voxwire_server.compat.host import voice_of_model
from voxwire_server.compat.http import SpeechResponse, SpeechStream, audio_response
from voxwire_server.compat.openai.errors import error_body, request_id
from voxwire_server.compat.session import EncodedAudio, OutputFormat

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields
    from voxwire_server.engines.base import EngineInfo

SPEECH_MODELS = ("gpt-4o-mini-tts", "tts-1", "tts-1-hd")
ELEVENLABS_MODELS = ("eleven_flash_v2_5", "eleven_multilingual_v2", "eleven_turbo_v2_5", "eleven_v3")
"""Models that clients look for in the list. Shown where they are aliases of an engine."""

ELEVENLABS_HEADER = "xi-api-key"


def elevenlabs_key(request: Request) -> str | None:
    """The API key of an ElevenLabs client."""
    return request.headers.get(ELEVENLABS_HEADER, "").strip() or None


async def list_models(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """Every engine, and its aliases."""
    if ELEVENLABS_HEADER in call.request.headers:
        return JSONResponse(_elevenlabs_models(host))
    return JSONResponse({"object": "list", "data": [_model(name) for name in _models(host, SPEECH_MODELS)]})


async def one_model(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """One model, by an engine's name or an alias."""
    name = call.request.path_params["model"]
    host.resolve_model(name)
    return JSONResponse(_model(name))


async def list_speech_models(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """The same models, in the shape of other servers' lists of speech models."""
    del call
    return JSONResponse({"models": [{"id": name, "name": name} for name in _models(host, SPEECH_MODELS)]})


async def list_voices(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """Every voice, and its aliases; `voice` is the voice's own name."""
    del call
    voices = {voice.name: voice for engine in reversed(host.engines()) for voice in engine.voices}
    return JSONResponse(
        {
            "voices": [
                {"id": name, "name": name, "voice": voice.name, "engine": voice.engine, "languages": voice.languages}
                for name, voice in {**voices, **host.voice_aliases()}.items()
            ]
        }
    )


def _models(host: CompatHost, well_known: Iterable[str]) -> list[str]:
    names = [*(engine.name for engine in host.engines()), *host.model_aliases(), *well_known]
    return [name for name in dict.fromkeys(names) if _engine(host, name) is not None]


def _engine(host: CompatHost, model: str) -> EngineInfo | None:
    try:
        name = host.resolve_model(model)
    except VoxwireError:
        return None
    return next((engine for engine in host.engines() if engine.name == name), None)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "voxwire"}


def _elevenlabs_models(host: CompatHost) -> list[dict[str, Any]]:
    found = []
    for name in _models(host, ELEVENLABS_MODELS):
        engine = _engine(host, name)
        if engine is not None:
            found.append(_elevenlabs_model(name, engine, host.config.limits.unspoken_chars_max))
    return found


def _elevenlabs_model(name: str, engine: EngineInfo, characters_max: int) -> dict[str, Any]:
    languages = dict.fromkeys(tag.split("-")[0] for voice in engine.voices for tag in voice.languages)
    return {
        "model_id": name,
        "name": name,
        "description": engine.description,
        "languages": [{"language_id": language, "name": language} for language in languages],
        "can_do_text_to_speech": True,
        "can_do_voice_conversion": False,
        "can_be_finetuned": False,
        "can_use_style": False,
        "can_use_speaker_boost": False,
        "serves_pro_voices": False,
        "requires_alpha_access": False,
        "token_cost_factor": 1.0,
        "maximum_text_length_per_request": characters_max,
    }


SAMPLE_RATE = 24000
"""The vendor's `pcm` is s16le at this rate; the containers hold the same samples."""

SPEED_MIN, SPEED_MAX = 0.25, 4.0

ResponseFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: Mapping[ResponseFormat, OutputFormat] = {
    "mp3": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.MP3),
    "opus": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.OGG_OPUS),
    "aac": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.AAC),
    "flac": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.FLAC),
    "wav": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.WAV),
    "pcm": OutputFormat(sample_rate=SAMPLE_RATE),
}

USAGE_TOKENS_PER_SECOND = 50
"""One output token for 20 ms of audio, one input token for a character: nothing here is made of tokens."""


class VoiceId(BaseModel):
    """A voice as an object."""

    id: str = Field(min_length=1, max_length=256)


class SpeechBody(BaseModel):
    """The body of a speech request. `instructions` and unknown fields are accepted and have no effect."""

    model_config = ConfigDict(allow_inf_nan=False)

    input: str
    model: str | None = Field(None, max_length=256)
    voice: str | VoiceId | None = None
    response_format: ResponseFormat = "mp3"
    speed: float | None = Field(None, ge=SPEED_MIN, le=SPEED_MAX)
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] = "audio"

    @property
    def voice_name(self) -> str | None:
        """The voice's name, however it was given; None: the server's default."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice or None


async def speak(host: CompatHost, call: Call[SpeechBody, NoFields]) -> Response:
    """The audio in the requested format, its first bytes as soon as the first clause is synthesised."""
    body = call.body
    if not body.input or body.input.isspace():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "the input is empty", details={"field": "input"})
    format = FORMATS[body.response_format]
    start = m.Start(voice=voice_of_model(host, body.model, body.voice_name), speed=body.speed, timings=())
    speech = await SpeechStream.open(host, call.request, body.input, start, format)
    if body.stream_format == "sse":
        events = _server_sent(speech, len(body.input))
        return SpeechResponse(speech, events, "text/event-stream", {"Cache-Control": "no-cache"} | request_id())
    return audio_response(speech, format.media_type, request_id())


async def _server_sent(speech: SpeechStream, characters: int) -> AsyncGenerator[bytes, None]:
    """An event for each part of the audio, then one with the usage; or an error if the speech fails on the way."""
    seconds = 0.0
    events = speech.events()
    try:
        async for event in events:
            if isinstance(event, EncodedAudio):
                seconds = event.end_pts / event.sample_rate
                yield _event(type="speech.audio.delta", audio=base64.b64encode(event.payload).decode())
        yield _event(type="speech.audio.done", usage=_usage(characters, seconds))
    except VoxwireError as error:
        yield _event(type="error", **error_body(error))
        raise
    finally:
        await events.aclose()


def _event(**fields: Any) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def _usage(characters: int, seconds: float) -> dict[str, int]:
    spoken = round(seconds * USAGE_TOKENS_PER_SECOND)
    return {"input_tokens": characters, "output_tokens": spoken, "total_tokens": characters + spoken}
