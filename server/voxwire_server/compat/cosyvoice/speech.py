"""Serves CosyVoice's routes: the text of a form in, raw s16le samples out as they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cosyvoice.messages import wanted
from voxwire_server.compat.formats import OutputFormat
from voxwire_server.compat.reference import no_cloning, voice_of_recording
from voxwire_server.compat.speech import Speech, audio_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from voxwire_server.compat.cosyvoice.messages import Fields, Wanted
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call

FIRST_MODEL_RATE = 22050
"""What its first model speaks at, the only one that has speakers of its own: their routes are that model's."""

SECOND_MODEL_RATE = 24000
"""What its later models speak at."""


async def speak_as_first(host: CompatHost, call: Call[Fields, Fields]) -> Response:
    """The routes that only the first model has."""
    return await _speak(host, call, FIRST_MODEL_RATE)


async def speak_as_second(host: CompatHost, call: Call[Fields, Fields]) -> Response:
    """The others."""
    return await _speak(host, call, SECOND_MODEL_RATE)


async def _speak(host: CompatHost, call: Call[Fields, Fields], sample_rate: int) -> Response:
    recording = call.body.prompt_wav
    if isinstance(recording, UploadFile):
        # Its name is all that is of use.
        await recording.close()
    fields = wanted(call.body, call.query)
    if fields.tts_text.isspace():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "tts_text: there is nothing to speak")
    format = OutputFormat(sample_rate=fields.sample_rate or sample_rate)
    speech = await _begin(host, call.request, fields, format)
    return audio_response(speech, format.media_type, {"X-Sample-Rate": str(format.sample_rate)})


async def _begin(host: CompatHost, request: Request, fields: Wanted, format: OutputFormat) -> Speech:
    recording = None if fields.spk_id else _name(fields.prompt_wav)
    start = m.Start(
        voice=voice_of_recording(host, recording) if recording else fields.spk_id or None,
        speed=fields.speed,
        timings=(),
    )
    try:
        return await Speech.begin(host, request, fields.tts_text, start, format)
    except VoxwireError as error:
        if recording and error.code is ErrorCode.UNKNOWN_VOICE:
            raise no_cloning(error, "prompt_wav", recording) from error
        raise


def _name(recording: object) -> str | None:
    """What a recording is called; None where there is none."""
    if isinstance(recording, UploadFile):
        return recording.filename or "prompt_wav"
    return str(recording) if recording else None
