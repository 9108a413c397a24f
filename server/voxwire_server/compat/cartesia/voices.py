"""Cartesia's lists of voices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.voices import unknown_voice

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields
    from voxwire_server.speech import Voice

_GENDERS = {"female": "feminine", "male": "masculine"}
_CREATED_AT = "1970-01-01T00:00:00Z"
"""Clients require a date, and voices here have none."""


class VoicesQuery(BaseModel):
    """The page of the list, and its filters."""

    limit: Annotated[int, Field(ge=1, le=100)] = 100
    starting_after: str | None = None
    ending_before: str | None = None
    q: str = ""
    gender: str | None = None
    is_owner: bool | None = None


async def list_voices(host: CompatHost, call: Call[NoFields, VoicesQuery]) -> Response:
    """A page of the voices."""
    query = call.query
    found = [fields for fields in _all(host) if _matches(fields, query)]
    ids = [fields["id"] for fields in found]
    if query.ending_before is not None:
        stop = _index(ids, query.ending_before)
        start = max(0, stop - query.limit)
        more = start > 0
    else:
        start = 0 if query.starting_after is None else _index(ids, query.starting_after) + 1
        stop = min(len(ids), start + query.limit)
        more = stop < len(ids)
    following = ids[stop - 1] if more and query.ending_before is None else None
    return JSONResponse({"data": found[start:stop], "has_more": more, "next_page": following})


async def one_voice(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """One voice, by its name or an alias."""
    name = call.request.path_params["voice_id"]
    found = host.find_voice(name)
    if found is None:
        raise unknown_voice(host, name)
    return JSONResponse(_fields(found, name))


def _all(host: CompatHost) -> list[dict[str, Any]]:
    voices = [voice for engine in host.engines() for voice in engine.voices]
    return [_fields(voice, _id_of(host, voice)) for voice in voices]


def _id_of(host: CompatHost, voice: Voice) -> str:
    return voice.name if host.find_voice(voice.name) == voice else f"{voice.engine}/{voice.name}"


def _matches(fields: dict[str, Any], query: VoicesQuery) -> bool:
    if query.is_owner or query.gender not in (None, fields["gender"]):
        return False
    return query.q.lower() in f"{fields['id']} {fields['name']} {fields['description']}".lower()


def _index(ids: list[str], voice_id: str) -> int:
    """The index of a voice at which a page begins or ends.

    Raises:
        VoxwireError: client.invalid_field.
    """
    if voice_id not in ids:
        raise VoxwireError(
            ErrorCode.INVALID_FIELD, f"there is no voice {voice_id[:64]!r} in this list", details={"field": "page"}
        )
    return ids.index(voice_id)


def _fields(voice: Voice, voice_id: str) -> dict[str, Any]:
    return {
        "id": voice_id,
        "name": voice.name,
        "description": voice.description,
        "tagline": "",
        "language": voice.languages[0].split("-")[0],
        "locales": [{"locale": tag, "is_native": tag == voice.languages[0]} for tag in voice.languages],
        "gender": _GENDERS.get(voice.gender, voice.gender or None),
        "is_owner": False,
        "is_public": True,
        "access": "public",
        "visibility": "all",
        "created_at": _CREATED_AT,
    }
