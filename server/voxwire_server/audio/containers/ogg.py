"""Writes Ogg Opus (RFC 3533, RFC 7845): libopus' packets in pages that end with each push."""

from __future__ import annotations

import struct
import zlib
from typing import ClassVar

from voxwire_server.audio.encode import OpusPackets

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
