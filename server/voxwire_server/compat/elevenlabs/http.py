"""Serves ElevenLabs' HTTP endpoints: speech, whole or as it is made, with or without its characters, and the voices."""

from __future__ import annotations

import base64
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response, StreamingResponse

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.elevenlabs.formats import output_format
from voxwire_server.compat.elevenlabs.messages import SpeechBody, SpeechQuery, lexicons_of
from voxwire_server.compat.elevenlabs.timestamps import Alignment, Chunker
from voxwire_server.compat.host import unknown_voice
from voxwire_server.compat.http import SpeechStream, audio_response
from voxwire_server.compat.session import EncodedAudio
from voxwire_server.transport.http import filter_voices, voice_fields

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from voxwire_server.compat.elevenlabs.timestamps import Chunk
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields
    from voxwire_server.compat.session import OutputFormat
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Voice


class VoicesQuery(BaseModel):
    """The filters of the list: the native parameters, and the vendor's `search`."""

    language: str = ""
    engine: str | None = None
    search: str = ""


async def list_voices(host: CompatHost, call: Call[NoFields, VoicesQuery]) -> Response:
    """Every voice, and the default."""
    return JSONResponse({"voices": _voices(host, call.query), "default": host.default_voice().name})


async def search_voices(host: CompatHost, call: Call[NoFields, VoicesQuery]) -> Response:
    """Every voice, as one page."""
    found = _voices(host, call.query)
    return JSONResponse({"voices": found, "has_more": False, "total_count": len(found), "next_page_token": None})


async def one_voice(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """One voice, by its name or an alias."""
    name = call.request.path_params["voice_id"]
    found = host.find_voice(name)
    for engine in host.engines():
        if found is not None and found.engine == engine.name:
            return JSONResponse(_fields(found, engine) | {"voice_id": name})
    raise unknown_voice(host, name)


def _voices(host: CompatHost, query: VoicesQuery) -> list[dict[str, Any]]:
    filters = {"language": query.language} | ({} if query.engine is None else {"engine": query.engine})
    wanted = query.search.lower()
    return [
        _fields(voice, engine)
        for voice, engine in filter_voices(host.engines(), filters)
        if wanted in f"{voice.name} {voice.description}".lower()
    ]


def _fields(voice: Voice, engine: EngineInfo) -> dict[str, Any]:
    labels = {"language": voice.languages[0].split("-")[0], "accent": voice.languages[0], "gender": voice.gender}
    return voice_fields(voice, engine) | {
        "voice_id": voice.name,
        "category": "premade",
        "labels": {name: value for name, value in labels.items() if value},
        "preview_url": None,
        "available_for_tiers": [],
        "high_quality_base_model_ids": [],
        "settings": None,
    }


async def speak(host: CompatHost, call: Call[SpeechBody, SpeechQuery]) -> Response:
    """The audio as the body."""
    format = output_format(call.query.output_format)
    return audio_response(await _open(host, call, format), format.media_type)


async def speak_with_timestamps(host: CompatHost, call: Call[SpeechBody, SpeechQuery]) -> Response:
    """One JSON object: all audio, then all characters."""
    format = output_format(call.query.output_format)
    chunks = _chunks(await _open(host, call, format), call.body.text, format)
    return StreamingResponse(_as_one(chunks), media_type="application/json")


async def stream_with_timestamps(host: CompatHost, call: Call[SpeechBody, SpeechQuery]) -> Response:
    """One JSON object per line, each with some audio and its characters."""
    format = output_format(call.query.output_format)
    chunks = _chunks(await _open(host, call, format), call.body.text, format)
    return StreamingResponse(_as_lines(chunks), media_type="application/x-ndjson")


async def _open(host: CompatHost, call: Call[SpeechBody, SpeechQuery], format: OutputFormat) -> SpeechStream:
    body = call.body
    if not body.text or body.text.isspace():
        raise VoxwireError(
            ErrorCode.INVALID_FIELD, "the text is empty", details={"field": "text"}, hint="Send text to speak."
        )
    if body.model_id is not None:
        host.resolve_model(body.model_id)
    start = m.Start(
        voice=call.request.path_params["voice_id"],
        language=body.language_code,
        speed=body.voice_settings.speed if body.voice_settings is not None else None,
        timings=("word",),
        seed=body.seed,
        format="ssml" if body.enable_ssml_parsing or call.query.enable_ssml_parsing else None,
        lexicons=lexicons_of(body.pronunciation_dictionary_locators),
    )
    return await SpeechStream.open(host, call.request, body.text, start, format)


async def _chunks(speech: SpeechStream, text: str, format: OutputFormat) -> AsyncGenerator[Chunk, None]:
    chunker = Chunker(format.sample_rate)
    chunker.add(text)
    events = speech.events()
    try:
        async for event in events:
            match event:
                case m.Timing():
                    chunker.add_timings(event)
                case EncodedAudio():
                    for chunk in chunker.audio(event):
                        yield chunk
                case m.Done():
                    for chunk in chunker.complete():
                        yield chunk
    finally:
        await events.aclose()


async def _as_lines(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in chunks:
            yield orjson.dumps(chunk.for_http()) + b"\n"
    finally:
        await chunks.aclose()


async def _as_one(chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[bytes, None]:
    """One JSON object, written in parts: an hour of audio is never held in memory at once."""
    left, alignments = b"", []
    try:
        yield b'{"audio_base64":"'
        async for chunk in chunks:
            data = left + chunk.audio
            whole = len(data) - len(data) % 3
            left = data[whole:]
            if chunk.alignment is not None:
                alignments.append(chunk.alignment)
            yield base64.b64encode(data[:whole])
        characters = orjson.dumps(_joined(alignments))
        yield base64.b64encode(left) + b'","alignment":' + characters + b',"normalized_alignment":' + characters + b"}"
    finally:
        await chunks.aclose()


def _joined(alignments: list[Alignment]) -> dict[str, object] | None:
    if not alignments:
        return None
    chars = tuple(chain.from_iterable(each.chars for each in alignments))
    starts_ms = tuple(chain.from_iterable(each.starts_ms for each in alignments))
    return Alignment(chars, starts_ms, alignments[-1].end_ms, 0).for_http()
