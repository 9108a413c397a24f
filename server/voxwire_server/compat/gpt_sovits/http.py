"""GPT-SoVITS' api_v2: `/tts`, and the commands that change its model, which are refused; how errors are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from starlette.responses import JSONResponse, Response

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.errors import coarse_status, describe
from voxwire_server.compat.gpt_sovits.formats import session_format, stream_body, whole_body
from voxwire_server.compat.gpt_sovits.messages import check_request
from voxwire_server.compat.http import SpeechResponse, SpeechStream, read_all
from voxwire_server.compat.voices import voice_of_recording
from voxwire_server.errors import http_headers

if TYPE_CHECKING:
    from starlette.requests import Request

    from voxwire_server.compat.gpt_sovits.messages import Command, TtsRequest
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields

WHOLE_CHARS_MAX = 5000
"""Longer texts are stream_body even if the whole_body body is asked for: these are five minutes, or 20 MB of memory."""


async def get_tts(host: CompatHost, call: Call[NoFields, TtsRequest]) -> Response:
    """GET `/tts`: the parameters are in the query."""
    return await _speak(host, call.request, call.query)


async def post_tts(host: CompatHost, call: Call[TtsRequest, NoFields]) -> Response:
    """POST `/tts`: the parameters are in the body."""
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


async def _speak(host: CompatHost, request: Request, parameters: TtsRequest) -> Response:
    media_type = check_request(parameters)
    text = parameters.text or ""
    start = m.Start(
        voice=_voice(host, parameters),
        language=parameters.language,
        speed=parameters.speed_factor,
        seed=parameters.seed if parameters.seed >= 0 else None,
        timings=(),
    )
    speech = await SpeechStream.open(host, request, text, start, session_format(media_type))
    body = stream_body(host, speech, media_type)
    if parameters.streaming_mode or len(text) > WHOLE_CHARS_MAX:
        return SpeechResponse(speech, body, f"audio/{media_type}")
    return Response(whole_body(media_type, await read_all(request, speech, body)), media_type=f"audio/{media_type}")


def _voice(host: CompatHost, parameters: TtsRequest) -> str | None:
    """The named voice, or the one that the reference audio is named after; None: the server's default."""
    if parameters.voice or not parameters.ref_audio_path:
        return parameters.voice or None
    return voice_of_recording(host, "ref_audio_path", parameters.ref_audio_path)


def http_error(error: VoxwireError) -> Response:
    """`{"message": ...}`, mostly with status 400; 422 and FastAPI's `detail` where a field has the wrong type."""
    if "errors" in error.details:
        body = {"message": describe(error), "detail": error.details["errors"]}
        return JSONResponse(body, 422, http_headers(error))
    return JSONResponse({"message": describe(error)}, coarse_status(error), http_headers(error))
