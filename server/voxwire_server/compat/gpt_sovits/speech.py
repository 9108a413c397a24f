"""Serves GPT-SoVITS' api_v2: `/tts`, and the commands that change its model, which there is none of here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from starlette.responses import Response

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.gpt_sovits.audio import session_format, streamed, whole
from voxwire_server.compat.gpt_sovits.messages import check
from voxwire_server.compat.reference import voice_of_recording
from voxwire_server.compat.speech import Speech, SpeechResponse, gathered

if TYPE_CHECKING:
    from starlette.requests import Request

    from voxwire_server.compat.gpt_sovits.messages import Command, TtsRequest
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields

WHOLE_CHARS_MAX = 5000
"""A longer text is streamed even to who wants it whole: that is some five minutes, or 20 MB that wait in memory."""


async def get_tts(host: CompatHost, call: Call[NoFields, TtsRequest]) -> Response:
    """Speak what the query says."""
    return await _speak(host, call.request, call.query)


async def post_tts(host: CompatHost, call: Call[TtsRequest, NoFields]) -> Response:
    """Speak what the body says."""
    return await _speak(host, call.request, call.body)


async def refuse_control(host: CompatHost, call: Call[Command, Command]) -> Response:
    """`/control`."""
    del host, call
    _refuse("the server is not controlled over HTTP: start and stop its process")


async def refuse_weights(host: CompatHost, call: Call[NoFields, Command]) -> Response:
    """`/set_gpt_weights` and `/set_sovits_weights`."""
    del host, call
    _refuse("weights are not changed over HTTP: name a voice in each request, as `voice` or `ref_audio_path`")


async def refuse_reference(host: CompatHost, call: Call[NoFields, Command]) -> Response:
    """`/set_refer_audio`."""
    del host, call
    _refuse("reference audio is not kept: name a voice in each request, as `voice` or `ref_audio_path`")


def _refuse(message: str) -> NoReturn:
    raise VoxwireError(ErrorCode.INVALID_FIELD, message)


async def _speak(host: CompatHost, request: Request, wanted: TtsRequest) -> Response:
    media_type = check(wanted)
    text = wanted.text or ""
    start = m.Start(
        voice=_voice(host, wanted),
        language=wanted.language,
        speed=wanted.speed_factor,
        seed=wanted.seed if wanted.seed >= 0 else None,
        timings=(),
    )
    speech = await Speech.begin(host, request, text, start, session_format(media_type))
    body = streamed(host, speech, media_type)
    if wanted.streaming_mode or len(text) > WHOLE_CHARS_MAX:
        return SpeechResponse(speech, body, f"audio/{media_type}")
    return Response(whole(media_type, await gathered(request, speech, body)), media_type=f"audio/{media_type}")


def _voice(host: CompatHost, wanted: TtsRequest) -> str | None:
    """The voice that is named, or that the reference audio stands for; None: the server's default."""
    if wanted.voice or not wanted.ref_audio_path:
        return wanted.voice or None
    return voice_of_recording(host, "ref_audio_path", wanted.ref_audio_path)
