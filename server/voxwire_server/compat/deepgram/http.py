"""Deepgram's POST `/v1/speak` and `/v2/speak`: the audio of one text."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.deepgram.messages import AURA_SPEEDS, FLUX_SPEEDS, http_options, strip_controls
from voxwire_server.compat.http import SpeechStream, audio_response

if TYPE_CHECKING:
    from starlette.responses import Response

    from voxwire_server.compat.deepgram.messages import SpeakBody, SpeakQuery
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call


async def speak_aura(host: CompatHost, call: Call[SpeakBody, SpeakQuery]) -> Response:
    """Answer POST `/v1/speak`."""
    return await _speak(host, call, AURA_SPEEDS)


async def speak_flux(host: CompatHost, call: Call[SpeakBody, SpeakQuery]) -> Response:
    """Answer POST `/v2/speak`."""
    return await _speak(host, call, FLUX_SPEEDS)


async def _speak(host: CompatHost, call: Call[SpeakBody, SpeakQuery], speeds: tuple[float, float]) -> Response:
    options = http_options(host, call.query, speeds)
    text = call.body.text
    if not text.strip():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "the text is empty", details={"field": "text"})
    speech = await SpeechStream.open(host, call.request, strip_controls(text), options.start, options.format)
    headers = {
        "dg-request-id": str(uuid4()),
        "dg-model-name": options.model_name,
        "dg-model-uuid": options.model_uuid,
        "dg-char-count": str(len(text)),
    }
    return audio_response(speech, options.format.media_type, headers)
