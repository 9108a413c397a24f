"""Serves POST `/v1/speak` and `/v2/speak`: one text, one stream of audio."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import BaseModel

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.deepgram.messages import spoken
from voxwire_server.compat.deepgram.parameters import AURA_SPEEDS, FLUX_SPEEDS, SpeakQuery, speak_wish
from voxwire_server.compat.speech import Speech, audio_response

if TYPE_CHECKING:
    from starlette.responses import Response

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call


class SpeakBody(BaseModel):
    """What is to be spoken."""

    text: str


async def speak_aura(host: CompatHost, call: Call[SpeakBody, SpeakQuery]) -> Response:
    """Answer POST `/v1/speak`."""
    return await _speak(host, call, AURA_SPEEDS)


async def speak_flux(host: CompatHost, call: Call[SpeakBody, SpeakQuery]) -> Response:
    """Answer POST `/v2/speak`."""
    return await _speak(host, call, FLUX_SPEEDS)


async def _speak(host: CompatHost, call: Call[SpeakBody, SpeakQuery], speeds: tuple[float, float]) -> Response:
    wish = speak_wish(host, call.query, speeds)
    text = call.body.text
    if not text.strip():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "the text is empty", details={"field": "text"})
    speech = await Speech.begin(host, call.request, spoken(text), wish.start, wish.format)
    headers = {
        "dg-request-id": str(uuid4()),
        "dg-model-name": wish.model_name,
        "dg-model-uuid": wish.model_uuid,
        "dg-char-count": str(len(text)),
    }
    return audio_response(speech, wish.format.media_type, headers)
