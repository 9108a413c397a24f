"""CosyVoice's endpoints: a form with a text in, raw s16le samples out as they are synthesised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.host import voice_of_recording
from voxwire_server.compat.http import SpeechStream, audio_response
from voxwire_server.compat.parsing import validate
from voxwire_server.compat.session import OutputFormat
from voxwire_server.errors import coarse_status, describe, http_headers

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call

SPEED_MIN, SPEED_MAX = 0.25, 4.0

V1_SAMPLE_RATE = 22050
"""The sample rate of CosyVoice 1, the only version with built-in speakers: of the routes that name a speaker."""

V2_SAMPLE_RATE = 24000
"""The sample rate of the later versions, which speak with the voice of a recording."""


# -- messages ---------------------------------------------------------------------------------------------------------


class Fields(BaseModel):
    """The fields of all routes, in a form or a query. `prompt_text` and `instruct_text` have no effect.

    `prompt_wav` is an uploaded recording, or its name; `speed` and `sample_rate` are additions of this server.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    tts_text: str | None = None
    spk_id: str | None = Field(None, max_length=256)
    prompt_text: str | None = None
    instruct_text: str | None = None
    prompt_wav: Any = None
    speed: float = Field(1.0, ge=SPEED_MIN, le=SPEED_MAX)
    sample_rate: int | None = None


class RequiredFields(Fields):
    """The fields of form and query together, with those that are required."""

    tts_text: str = Field(min_length=1)


def merged_fields(body: Fields, query: Fields) -> RequiredFields:
    """A form's fields, and those of the query that the form lacks.

    Raises:
        VoxwireError: there is no text.
    """
    fields = query.model_dump(exclude_unset=True) | body.model_dump(exclude_unset=True)
    return validate(RequiredFields, fields, "body")


# -- endpoints --------------------------------------------------------------------------------------------------------


async def speak_v1(host: CompatHost, call: Call[Fields, Fields]) -> Response:
    """The routes of CosyVoice 1."""
    return await _speak(host, call, V1_SAMPLE_RATE)


async def speak_v2(host: CompatHost, call: Call[Fields, Fields]) -> Response:
    """The routes of the later versions."""
    return await _speak(host, call, V2_SAMPLE_RATE)


async def _speak(host: CompatHost, call: Call[Fields, Fields], sample_rate: int) -> Response:
    recording = call.body.prompt_wav
    if isinstance(recording, UploadFile):
        # Only its file name is used.
        await recording.close()
    fields = merged_fields(call.body, call.query)
    if fields.tts_text.isspace():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "tts_text: there is nothing to speak")
    start = m.Start(voice=_voice(host, fields), speed=fields.speed, timings=())
    format = OutputFormat(sample_rate=fields.sample_rate or sample_rate)
    speech = await SpeechStream.open(host, call.request, fields.tts_text, start, format)
    return audio_response(speech, format.media_type, {"X-Sample-Rate": str(format.sample_rate)})


def _voice(host: CompatHost, fields: RequiredFields) -> str | None:
    """The speaker, or the voice that the recording is named after; None: the server's default."""
    recording = fields.prompt_wav
    if isinstance(recording, UploadFile):
        recording = recording.filename or "prompt_wav"
    if fields.spk_id or not recording:
        return fields.spk_id or None
    return voice_of_recording(host, "prompt_wav", str(recording))


# -- errors -----------------------------------------------------------------------------------------------------------


def http_error(error: VoxwireError) -> Response:
    """FastAPI's `{"detail": ...}`; 422 with a list where a field is missing or has the wrong type."""
    if "errors" in error.details:
        return JSONResponse({"detail": error.details["errors"]}, 422, http_headers(error))
    return JSONResponse({"detail": describe(error)}, coarse_status(error), http_headers(error))
