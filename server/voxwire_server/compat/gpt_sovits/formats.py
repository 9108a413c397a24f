"""The audio of GPT-SoVITS' api_v2: 32 kHz, as its clients expect, raw or in WAV; Ogg and AAC as the session encodes."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxwire_server.audio.containers import Container
from voxwire_server.audio.containers.plain import wav_header
from voxwire_server.audio.samples import Resampler, pcm_s16le
from voxwire_server.compat.session import OutputFormat

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.http import SpeechStream

MediaType = Literal["wav", "raw", "ogg", "aac"]

SAMPLE_RATE = 32000
"""The rate of wav and raw, which clients assume without reading the header. Sessions do not have it: resampled."""

SESSION_RATE = 24000


def session_format(media_type: MediaType) -> OutputFormat:
    """The format that the session produces."""
    containers = {"ogg": Container.OGG_OPUS, "aac": Container.AAC}
    return OutputFormat(sample_rate=SESSION_RATE, container=containers.get(media_type, Container.RAW))


def stream_body(host: CompatHost, speech: SpeechStream, media_type: MediaType) -> AsyncGenerator[bytes, None]:
    """The body as it is synthesised; WAV begins with a header without a length."""
    match media_type:
        case "wav":
            return _resampled(host, speech, wav_header("pcm_s16le", SAMPLE_RATE))
        case "raw":
            return _resampled(host, speech, b"")
        case "ogg" | "aac":
            return speech.audio()


def whole_body(media_type: MediaType, body: bytes) -> bytes:
    """The body of a response that is not streamed: a WAV's header gets its length."""
    if media_type != "wav":
        return body
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(body[len(wav_header("pcm_s16le", SAMPLE_RATE)) :])
    return file.getvalue()


async def _resampled(host: CompatHost, speech: SpeechStream, header: bytes) -> AsyncGenerator[bytes, None]:
    resampler = Resampler(SESSION_RATE, SAMPLE_RATE)
    loop = asyncio.get_running_loop()

    def push(data: bytes) -> bytes:
        samples = np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 32768)
        return pcm_s16le(resampler.push(samples)).tobytes()

    parts = speech.audio()
    try:
        if header:
            yield header
        async for part in parts:
            data = await loop.run_in_executor(host.containers, push, part)
            if data:
                yield data
        rest = pcm_s16le(resampler.finish()).tobytes()
        if rest:
            yield rest
    finally:
        await parts.aclose()
