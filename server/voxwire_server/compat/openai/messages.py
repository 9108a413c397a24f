"""What OpenAI's clients send: the fields of a speech request, and the audio formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from voxwire_server.audio.containers import Container
from voxwire_server.compat.formats import OutputFormat

SAMPLE_RATE = 24000
"""The vendor's `pcm` is s16le at this rate; the containers hold the same samples."""

SPEED_MIN, SPEED_MAX = 0.25, 4.0

ResponseFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: Mapping[ResponseFormat, OutputFormat] = {
    "mp3": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.MP3),
    "opus": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.OGG_OPUS),
    "aac": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.AAC),
    "flac": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.FLAC),
    "wav": OutputFormat(sample_rate=SAMPLE_RATE, container=Container.WAV),
    "pcm": OutputFormat(sample_rate=SAMPLE_RATE),
}


class VoiceId(BaseModel):
    """A voice as an object."""

    id: str = Field(min_length=1, max_length=256)


class SpeechBody(BaseModel):
    """The body of a speech request. `instructions` and unknown fields are accepted and have no effect."""

    model_config = ConfigDict(allow_inf_nan=False)

    input: str
    model: str | None = Field(None, max_length=256)
    voice: str | VoiceId | None = None
    response_format: ResponseFormat = "mp3"
    speed: float | None = Field(None, ge=SPEED_MIN, le=SPEED_MAX)
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] = "audio"

    @property
    def voice_name(self) -> str | None:
        """The voice's name, however it was given; None: the server's default."""
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice or None
