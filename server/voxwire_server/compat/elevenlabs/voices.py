"""ElevenLabs' lists of voices. `/v1/voices` is an endpoint of the native protocol, too, and has the fields of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from voxwire_server.compat.voices import unknown_voice
from voxwire_server.transport.http import filter_voices, voice_fields

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Voice


class VoicesQuery(BaseModel):
    """The filters of the list: the native parameters, and the vendor's `search`."""

    language: str = ""
    engine: str | None = None
    search: str = ""


async def list_voices(host: CompatHost, call: Call[NoFields, VoicesQuery]) -> Response:
    """Every voice, and the default."""
    return JSONResponse({"voices": _voices(host, call.query), "default": host.default_voice().name})


async def search_voices(host: CompatHost, call: Call[NoFields, VoicesQuery]) -> Response:
    """Every voice, as one page."""
    found = _voices(host, call.query)
    return JSONResponse({"voices": found, "has_more": False, "total_count": len(found), "next_page_token": None})


async def one_voice(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """One voice, by its name or an alias."""
    name = call.request.path_params["voice_id"]
    found = host.find_voice(name)
    for engine in host.engines():
        if found is not None and found.engine == engine.name:
            return JSONResponse(_fields(found, engine) | {"voice_id": name})
    raise unknown_voice(host, name)


def _voices(host: CompatHost, query: VoicesQuery) -> list[dict[str, Any]]:
    filters = {"language": query.language} | ({} if query.engine is None else {"engine": query.engine})
    wanted = query.search.lower()
    return [
        _fields(voice, engine)
        for voice, engine in filter_voices(host.engines(), filters)
        if wanted in f"{voice.name} {voice.description}".lower()
    ]


def _fields(voice: Voice, engine: EngineInfo) -> dict[str, Any]:
    labels = {"language": voice.languages[0].split("-")[0], "accent": voice.languages[0], "gender": voice.gender}
    return voice_fields(voice, engine) | {
        "voice_id": voice.name,
        "category": "premade",
        "labels": {name: value for name, value in labels.items() if value},
        "preview_url": None,
        "available_for_tiers": [],
        "high_quality_base_model_ids": [],
        "settings": None,
    }
