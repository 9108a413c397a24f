"""Owns the containers around audio: WAV, MP3, AAC (ADTS), FLAC and Ogg Opus, written piece by piece as samples come.

All but WAV are encoded by FFmpeg's libraries through PyAV, which comes with the extra `formats`. Nothing here is for
the event loop: `push` and `finish` are called in a thread, one at a time for a writer.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from voxwire_protocol.messages import Codec


class Container(Enum):
    """What is written around samples. RAW: nothing, the bytes of the codec as they are."""

    RAW = "raw"
    WAV = "wav"
    MP3 = "mp3"
    AAC = "aac"
    FLAC = "flac"
    OGG_OPUS = "ogg_opus"


class ContainerWriter(Protocol):
    """Writes one stream."""

    def push(self, data: bytes) -> bytes:
        """Take samples as the session produces them; returns the bytes that are ready, maybe none."""

    def finish(self) -> bytes:
        """End the stream; returns what is left of it."""


def open_writer(container: Container, codec: Codec, sample_rate: int, bitrate: int | None = None) -> ContainerWriter:
    """A writer for mono samples in `codec` (pcm_s16le, or for WAV mulaw and alaw too) at `sample_rate`.

    Raises:
        VoxwireError: client.unsupported_audio; the container does not take that, or the extra `formats` is missing.
    """
    raise VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, f"{container.value} of {codec} at {sample_rate} Hz, {bitrate}")
