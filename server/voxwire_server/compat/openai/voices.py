"""OpenAI's lists of voices and models, and ElevenLabs' list of models, which has the same path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import VoxwireError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

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
