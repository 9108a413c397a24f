"""Containers that are written without FFmpeg: WAV of unknown length, and Ogg Opus (RFC 3533, RFC 7845)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import ClassVar, Literal

from voxwire_protocol.messages import Codec
from voxwire_server.audio.encoder_pool import OpusPackets

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


BITRATE_DEFAULT = 48_000
COMPLEXITY = 5
FRAME_MS = 20
PACKETS_MAX = 50
"""In one page: a second, as RFC 7845 recommends, and far fewer bytes than fit."""

_GRANULE_RATE = 48_000
_FIRST, _LAST = 2, 4
_SERIAL = 0
_VENDOR = b"voxwire"
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OggOpusWriter:
    """See `voxwire_server.audio.containers.ContainerWriter`. A decoder gets exactly the samples that were pushed."""

    SAMPLE_RATES: ClassVar = (8000, 12000, 16000, 24000, 48000)

    def __init__(self, sample_rate: int, bitrate: int | None = None) -> None:
        self._opus = OpusPackets(sample_rate, min(max(bitrate or BITRATE_DEFAULT, 6000), 256_000), COMPLEXITY)
        self._ratio = _GRANULE_RATE // sample_rate
        self._frame_samples = sample_rate * FRAME_MS // 1000
        self._input = bytearray()
        self._samples = 0
        self._granule = 0
        self._page_number = 0
        skip = self._opus.lookahead_samples * self._ratio
        self._skip = skip
        head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, skip, sample_rate, 0, 0)
        tags = b"OpusTags" + struct.pack("<I", len(_VENDOR)) + _VENDOR + struct.pack("<I", 0)
        self._header = self._page([head], 0, _FIRST) + self._page([tags], 0)

    def push(self, data: bytes) -> bytes:
        """Take samples; all but less than 20 ms of them are ready at once, in pages of their own."""
        self._input += data
        frames = len(self._input) // (2 * self._frame_samples)
        header, self._header = self._header, b""
        return header + b"".join(self._pages(self._encode(frames)))

    def finish(self) -> bytes:
        """End the stream: what the encoder looks ahead is pushed out of it, and the end cut to the sample."""
        del self._input[len(self._input) // 2 * 2 :]
        self._samples += len(self._input) // 2
        end = self._skip + self._samples * self._ratio
        self._input += bytes(2 * self._opus.lookahead_samples)
        self._input += bytes(-len(self._input) % (2 * self._frame_samples))
        frames = len(self._input) // (2 * self._frame_samples)
        header, self._header = self._header, b""
        self._samples -= frames * self._frame_samples
        packets = self._encode(frames)
        return header + self._page(packets, end, _LAST)

    def _encode(self, frames: int) -> list[bytes]:
        size = 2 * self._frame_samples
        pcm = bytes(self._input[: frames * size])
        del self._input[: frames * size]
        self._samples += frames * self._frame_samples
        return [self._opus.encode(pcm[at : at + size]) for at in range(0, len(pcm), size)]

    def _pages(self, packets: list[bytes]) -> list[bytes]:
        pages = []
        for at in range(0, len(packets), PACKETS_MAX):
            some = packets[at : at + PACKETS_MAX]
            self._granule += len(some) * self._frame_samples * self._ratio
            pages.append(self._page(some, self._granule))
        return pages

    def _page(self, packets: list[bytes], granule: int, flags: int = 0) -> bytes:
        """A page of whole packets. `granule`: the samples at 48 kHz up to its end, the skipped ones among them."""
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
        assert len(lacing) <= 255
        start = struct.pack("<4sBBqII", b"OggS", 0, flags, granule, _SERIAL, self._page_number)
        self._page_number += 1
        rest = bytes((len(lacing),)) + lacing + b"".join(packets)
        return start + struct.pack("<I", ogg_crc(start + b"\0\0\0\0" + rest)) + rest


def ogg_crc(page: bytes) -> int:
    """The checksum of RFC 3533: the polynomial of zlib's, but most significant bit first and begun with nothing.

    So it is zlib's over mirrored bytes, mirrored, without zlib's two inversions: a hundred times faster than a loop.
    """
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
