"""Serves OpenAI's endpoint of speech: the audio as it is made, as bytes or as server-sent events."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.openai.errors import error_body, request_id
from voxwire_server.compat.openai.messages import FORMATS
from voxwire_server.compat.session_stream import AudioPiece
from voxwire_server.compat.speech import Speech, SpeechResponse, audio_response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.responses import Response

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.openai.messages import SpeechBody
    from voxwire_server.compat.operation import Call, NoFields

USAGE_TOKENS_PER_SECOND = 50
"""An output token stands for 20 ms of audio, an input token for a character: nothing here counts tokens."""


async def speak(host: CompatHost, call: Call[SpeechBody, NoFields]) -> Response:
    """The audio in the format asked for, first bytes as soon as the first clause is made."""
    body = call.body
    if not body.input or body.input.isspace():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "the input is empty", details={"field": "input"})
    format = FORMATS[body.response_format]
    start = m.Start(voice=_voice(host, body), speed=body.speed, timings=())
    speech = await Speech.begin(host, call.request, body.input, start, format)
    if body.stream_format == "sse":
        events = _server_sent(speech, len(body.input))
        return SpeechResponse(speech, events, "text/event-stream", {"Cache-Control": "no-cache"} | request_id())
    return audio_response(speech, format.media_type, request_id())


def _voice(host: CompatHost, body: SpeechBody) -> str | None:
    """The voice asked for, the one of the model's own engine where two engines have a voice of that name.

    Raises:
        VoxwireError: there is no such model.
    """
    name = body.voice_name
    if body.model is None:
        return name
    engine = host.resolve_model(body.model)
    for info in host.engines():
        if info.name == engine and any(voice.name == name for voice in info.voices):
            return f"{engine}/{name}"
    return name


async def _server_sent(speech: Speech, characters: int) -> AsyncGenerator[bytes, None]:
    """One event a piece of audio, then how much there was; or an error, if it fails on the way."""
    seconds = 0.0
    events = speech.events()
    try:
        async for event in events:
            if isinstance(event, AudioPiece):
                seconds = event.end_pts / event.sample_rate
                yield _event(type="speech.audio.delta", audio=base64.b64encode(event.payload).decode())
        yield _event(type="speech.audio.done", usage=_usage(characters, seconds))
    except VoxwireError as error:
        yield _event(type="error", **error_body(error))
        raise
    finally:
        await events.aclose()


def _event(**fields: Any) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def _usage(characters: int, seconds: float) -> dict[str, int]:
    spoken = round(seconds * USAGE_TOKENS_PER_SECOND)
    return {"input_tokens": characters, "output_tokens": spoken, "total_tokens": characters + spoken}
