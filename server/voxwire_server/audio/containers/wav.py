"""Writes WAV whose length is not known in advance."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import ClassVar, Literal

from voxwire_protocol.messages import Codec

WavCodec = Codec | Literal["pcm_f32le"]
"""What may stand in a file. Sessions produce no floating point, but clients of other vendors ask for it."""

_PCM, _FLOAT, _ALAW, _MULAW = 1, 3, 6, 7
_FORMATS: Mapping[WavCodec, tuple[int, int]] = {
    "pcm_s16le": (_PCM, 2),
    "pcm_f32le": (_FLOAT, 4),
    "alaw": (_ALAW, 1),
    "mulaw": (_MULAW, 1),
}
"""Format tag and bytes a sample (RFC 2361)."""

UNKNOWN_LENGTH = 0xFFFFFFFF
"""The length of a RIFF or data chunk that is still being written, as FFmpeg writes and reads it in pipes. Readers that
know nothing of the convention take it for "up to the end" all the same, since no file is that long; with 0 they would
find no samples."""


def wav_header(codec: WavCodec, sample_rate: int) -> bytes:
    """A header for mono samples up to the end of the stream.

    No `fact` chunk for G.711 and floating point, though the standard wants one: it holds the number of samples, and
    readers believe it.
    """
    tag, sample_bytes = _FORMATS[codec]
    form = struct.pack("<HHIIHH", tag, 1, sample_rate, sample_rate * sample_bytes, sample_bytes, 8 * sample_bytes)
    if tag != _PCM:
        form += struct.pack("<H", 0)
    return b"".join(
        (
            b"RIFF" + struct.pack("<I", UNKNOWN_LENGTH) + b"WAVE",
            b"fmt " + struct.pack("<I", len(form)) + form,
            b"data" + struct.pack("<I", UNKNOWN_LENGTH),
        )
    )


class WavWriter:
    """See `voxwire_server.audio.containers.ContainerWriter`."""

    SAMPLE_RATES: ClassVar = (8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

    def __init__(self, codec: Codec, sample_rate: int) -> None:
        self._header = wav_header(codec, sample_rate)

    def push(self, data: bytes) -> bytes:
        """Take samples; they are ready at once."""
        header, self._header = self._header, b""
        return header + data

    def finish(self) -> bytes:
        """End the stream."""
        return self.push(b"")
