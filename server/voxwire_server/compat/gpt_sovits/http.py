"""GPT-SoVITS' api_v2: the parameters and audio of `/tts`, refused commands, and how errors are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, get_args

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.gpt_sovits.formats import MediaType, session_format, stream_body, whole_body
from voxwire_server.compat.host import voice_of_recording
from voxwire_server.compat.http import SpeechResponse, SpeechStream, read_all
from voxwire_server.errors import coarse_status, describe, http_headers

if TYPE_CHECKING:
    from starlette.requests import Request

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields

SPLIT_METHODS = ("cut0", "cut1", "cut2", "cut3", "cut4", "cut5")
SPEED_MIN, SPEED_MAX = 0.25, 4.0
SEED_MAX = 2**32 - 1

WHOLE_CHARS_MAX = 5000
"""Longer texts are streamed even if a whole body is requested: so many characters are five minutes, or 20 MB."""


class TtsRequest(BaseModel):
    """The parameters of `/tts`, the same for GET and POST.

    `voice` is an addition of this server. The sampling parameters of that model are accepted and have no effect.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    text: str | None = None
    text_lang: str | None = Field(None, max_length=64)
    voice: str | None = Field(None, max_length=256)
    ref_audio_path: str | None = Field(None, max_length=4096)
    aux_ref_audio_paths: Any = None
    prompt_lang: str | None = None
    prompt_text: str | None = None
    top_k: int = 15
    top_p: float = 1
    temperature: float = 1
    text_split_method: str = "cut5"
    batch_size: int = 1
    batch_threshold: float = 0.75
    split_bucket: bool = True
    speed_factor: float = Field(1.0, ge=SPEED_MIN, le=SPEED_MAX)
    fragment_interval: float = 0.3
    seed: int = Field(-1, ge=-1, le=SEED_MAX)
    media_type: str = "wav"
    streaming_mode: bool | int = False
    parallel_infer: bool = True
    repetition_penalty: float = 1.35
    sample_steps: int = 32
    super_sampling: bool = False
    overlap_length: int = 2
    min_chunk_length: int = 16

    @property
    def language(self) -> str | None:
        """The language to speak; None: the voice's own. `all_xx` means xx, `auto` any."""
        name = (self.text_lang or "auto").lower().removeprefix("all_")
        return None if name.startswith("auto") else name


class Command(BaseModel):
    """The parameters of `/control`, `/set_gpt_weights`, `/set_sovits_weights` and `/set_refer_audio`."""

    command: str | None = None
    weights_path: str | None = None
    refer_audio_path: str | None = None


def check_request(request: TtsRequest) -> MediaType:
    """Check the parameters; returns the media type.

    Raises:
        VoxwireError: client.invalid_field.
    """
    if not request.text or request.text.isspace():
        raise _refusal("text", "text is required")
    if request.text_split_method not in SPLIT_METHODS:
        known = ", ".join(SPLIT_METHODS)
        raise _refusal("text_split_method", f"text_split_method: it is not supported; there are {known}")
    if request.streaming_mode not in (0, 1, 2, 3):
        raise _refusal("streaming_mode", "streaming_mode: it must be true, false, 0, 1, 2 or 3")
    for known in get_args(MediaType):
        if request.media_type == known:
            media_type: MediaType = known
            return media_type
    raise _refusal("media_type", f"media_type: it is not supported; there are {', '.join(get_args(MediaType))}")


def _refusal(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.INVALID_FIELD, message, details={"field": field})


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
