"""Owns the audio of GPT-SoVITS' api_v2: 32 kHz, as its clients expect of its second model, WAV whole or as a stream."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import TYPE_CHECKING

import numpy as np

from voxwire_server.audio.containers import Container
from voxwire_server.audio.containers.wav import wav_header
from voxwire_server.audio.pcm import pcm_s16le
from voxwire_server.audio.resample import Resampler
from voxwire_server.compat.formats import OutputFormat

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from voxwire_server.compat.gpt_sovits.messages import MediaType
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.speech import Speech

SAMPLE_RATE = 32000
"""Of wav and raw: clients that play a stream assume it without a look at the header. It is no rate of a session's."""

SESSION_RATE = 24000


def session_format(media_type: MediaType) -> OutputFormat:
    """What to ask of the session."""
    containers = {"ogg": Container.OGG_OPUS, "aac": Container.AAC}
    return OutputFormat(sample_rate=SESSION_RATE, container=containers.get(media_type, Container.RAW))


def streamed(host: CompatHost, speech: Speech, media_type: MediaType) -> AsyncGenerator[bytes, None]:
    """The body as it is made; WAV begins with a header that leaves the length open."""
    match media_type:
        case "wav":
            return _resampled(host, speech, wav_header("pcm_s16le", SAMPLE_RATE))
        case "raw":
            return _resampled(host, speech, b"")
        case "ogg" | "aac":
            return speech.audio()


def whole(media_type: MediaType, body: bytes) -> bytes:
    """A whole body made of a streamed one's: the header of a WAV then tells the length."""
    if media_type != "wav":
        return body
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(body[len(wav_header("pcm_s16le", SAMPLE_RATE)) :])
    return file.getvalue()


async def _resampled(host: CompatHost, speech: Speech, header: bytes) -> AsyncGenerator[bytes, None]:
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
