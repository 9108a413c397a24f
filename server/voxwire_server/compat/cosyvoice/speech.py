"""Serves CosyVoice's routes: the text of a form in, raw s16le samples out as they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cosyvoice.messages import wanted
from voxwire_server.compat.formats import OutputFormat
from voxwire_server.compat.reference import voice_of_recording
from voxwire_server.compat.speech import Speech, audio_response

if TYPE_CHECKING:
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
    start = m.Start(voice=_voice(host, fields), speed=fields.speed, timings=())
    format = OutputFormat(sample_rate=fields.sample_rate or sample_rate)
    speech = await Speech.begin(host, call.request, fields.tts_text, start, format)
    return audio_response(speech, format.media_type, {"X-Sample-Rate": str(format.sample_rate)})


def _voice(host: CompatHost, fields: Wanted) -> str | None:
    """The speaker, or the voice that the reference audio stands for; None: the server's default."""
    recording = fields.prompt_wav
    if isinstance(recording, UploadFile):
        recording = recording.filename or "prompt_wav"
    if fields.spk_id or not recording:
        return fields.spk_id or None
    return voice_of_recording(host, "prompt_wav", str(recording))
