"""Writes MP3, AAC in ADTS and FLAC: FFmpeg's encoders through PyAV, and the few header bytes that streams of them need.

No muxers: they want files, and hold bytes back. PyAV is loaded at the first push, in the thread that pushes.
"""

from __future__ import annotations

import functools
import importlib.util
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from av import AudioCodecContext, Packet


@functools.cache
def is_available() -> bool:
    """Whether PyAV is installed; it is not loaded."""
    return importlib.util.find_spec("av") is not None


def warm() -> None:
    """Load PyAV, and have FFmpeg build its tables."""
    Mp3Writer(24000).push(b"\0\0" * 2400)


class _Encoder:
    """An encoder of FFmpeg's, opened at the first samples. It cuts its input into frames by itself."""

    def __init__(
        self, name: str, sample_format: str, sample_rate: int, bitrate: int | None, options: Mapping[str, str]
    ) -> None:
        self._name = name
        self._sample_format = sample_format
        self._sample_rate = sample_rate
        self._bitrate = bitrate
        self._options = options
        self._odd = b""
        self._samples = 0
        self._context: AudioCodecContext | None = None

    def open(self) -> AudioCodecContext:
        """The encoder itself."""
        if self._context is None:
            from av import CodecContext
            from av.codec.context import Flags

            context: AudioCodecContext = CodecContext.create(self._name, "w")  # type: ignore[assignment]
            context.sample_rate = self._sample_rate
            context.format = self._sample_format
            context.layout = "mono"
            context.time_base = Fraction(1, self._sample_rate)
            context.bit_rate = self._bitrate or 0
            # Or the encoder's name and version are in the stream.
            context.flags |= Flags.bitexact
            context.options = dict(self._options)
            context.open()
            self._context = context
        return self._context

    def encode(self, data: bytes) -> list[bytes]:
        """16-bit samples in, whole packets out."""
        from av import AudioFrame

        data = self._odd + data
        samples = len(data) // 2
        self._odd = data[2 * samples :]
        if not samples:
            return []
        frame = AudioFrame(format="s16", layout="mono", samples=samples)
        frame.planes[0].update(_filled(data[: 2 * samples], frame.planes[0].buffer_size))
        frame.sample_rate = self._sample_rate
        frame.time_base = Fraction(1, self._sample_rate)
        frame.pts = self._samples
        self._samples += samples
        return _payloads(self.open().encode(frame))

    def finish(self) -> list[bytes]:
        """The packets that were held back. The encoder is gone then."""
        context, self._context = self._context, None
        return [] if context is None else _payloads(context.encode(None))


def _filled(data: bytes, size: int) -> bytes:
    """FFmpeg's buffers may be longer than the samples in them."""
    return data if len(data) == size else data + bytes(size - len(data))


def _payloads(packets: Sequence[Packet[Any]]) -> list[bytes]:
    return [bytes(packet) for packet in packets if packet.size]


class Mp3Writer:
    """See `voxwire_server.audio.containers.ContainerWriter`. Frames of one size, without a header.

    Bit reservoir off: every frame stands alone, streams can be joined, the first leaves a frame (26 ms) earlier, and
    at constant bitrates speech is no worse. LAME's quality 7 costs 4 to 8 ms of CPU a second of audio, its default 8
    to 13, more than the voice itself (bench/micro/audio.py). From 64 kbit/s on nothing is lost by it; the spectrum of
    speech at 32 kbit/s is 7.3 dB off instead of 6.0, its waveform nearer (17.9 dB of signal to noise instead of 16.1).
    """

    SAMPLE_RATES: ClassVar = (8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

    def __init__(self, sample_rate: int, bitrate: int | None = None) -> None:
        options = {"reservoir": "0", "compression_level": "7"}
        self._encoder = _Encoder("libmp3lame", "s16p", sample_rate, mp3_bitrate(sample_rate, bitrate), options)

    def push(self, data: bytes) -> bytes:
        """Take samples."""
        return b"".join(self._encoder.encode(data))

    def finish(self) -> bytes:
        """End the stream."""
        return b"".join(self._encoder.finish())


_MPEG_1_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG_2_KBITS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_25_KBITS = (8, 16, 24, 32, 40, 48, 56, 64)
"""ISO 11172-3 and 13818-3, layer III. Of 2.5 LAME uses no more than is sensible at those rates."""


def mp3_bitrate(sample_rate: int, wanted: int | None) -> int:
    """The nearest constant bitrate that there is at a sample rate, the higher of two equally near."""
    table: tuple[int, ...]
    if sample_rate >= 32000:
        table, usual = _MPEG_1_KBITS, 128
    elif sample_rate >= 16000:
        table, usual = _MPEG_2_KBITS, 64
    else:
        table, usual = _MPEG_25_KBITS, 32
    kbits = wanted / 1000 if wanted else usual
    return 1000 * min(table, key=lambda there: (abs(there - kbits), -there))


class AacWriter:
    """See `voxwire_server.audio.containers.ContainerWriter`. AAC-LC, each frame with its ADTS header (ISO 13818-7).

    FFmpeg's "fast" search: a third of the default's CPU, and at 64 kbit/s 6 dB nearer to the speech.
    """

    SAMPLE_RATES: ClassVar = (8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
    BITRATE_DEFAULT: ClassVar = 64_000

    def __init__(self, sample_rate: int, bitrate: int | None = None) -> None:
        # A frame of 1024 samples has at most 6144 bits a channel.
        bitrate = min(max(bitrate or self.BITRATE_DEFAULT, 8000), 6 * sample_rate)
        self._encoder = _Encoder("aac", "fltp", sample_rate, bitrate, {"aac_coder": "fast"})
        self._rate_index = _ADTS_RATES.index(sample_rate)

    def push(self, data: bytes) -> bytes:
        """Take samples."""
        return self._framed(self._encoder.encode(data))

    def finish(self) -> bytes:
        """End the stream."""
        return self._framed(self._encoder.finish())

    def _framed(self, packets: list[bytes]) -> bytes:
        return b"".join(adts_header(self._rate_index, len(packet)) + packet for packet in packets)


_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def adts_header(rate_index: int, size: int) -> bytes:
    """The seven bytes before a frame of `size` bytes: MPEG-4, no checksum, AAC-LC, mono, variable buffer."""
    sync, low_complexity, mono, buffer = 0xFFF1, 1, 1, 0x7FF
    fields = sync << 40 | low_complexity << 38 | rate_index << 34 | mono << 30 | (size + 7) << 13 | buffer << 2
    return fields.to_bytes(7, "big")


class FlacWriter:
    """See `voxwire_server.audio.containers.ContainerWriter`. The number of samples is left open, as for any stream.

    Frames of 50 ms: twice as soon as FFmpeg's own, and 2 % larger. FFmpeg's encoder takes 7.5 MB, a stream of any other
    format less than 1 MB.
    """

    SAMPLE_RATES: ClassVar = (8000, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

    def __init__(self, sample_rate: int, bitrate: int | None = None) -> None:
        del bitrate
        options = {"frame_size": str(sample_rate // 20)}
        self._encoder = _Encoder("flac", "s16", sample_rate, None, options)
        self._begun = False

    def push(self, data: bytes) -> bytes:
        """Take samples."""
        return b"".join((self._header(), *self._encoder.encode(data)))

    def finish(self) -> bytes:
        """End the stream."""
        return b"".join((self._header(), *self._encoder.finish()))

    def _header(self) -> bytes:
        """The marker, and STREAMINFO as the only block (RFC 9639, section 8)."""
        if self._begun:
            return b""
        self._begun = True
        info = self._encoder.open().extradata or b""
        return b"fLaC" + (0x80 << 24 | len(info)).to_bytes(4, "big") + info
