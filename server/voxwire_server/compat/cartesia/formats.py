"""Cartesia's audio formats: what the session produces for each, and how that becomes the client's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import PCM_RATES, Codec
from voxwire_server.audio.containers import SAMPLE_RATES, Container
from voxwire_server.audio.containers.plain import wav_header
from voxwire_server.audio.samples import alaw_table, mulaw_table
from voxwire_server.compat.session import OutputFormat

if TYPE_CHECKING:
    from voxwire_server.compat.cartesia.messages import RequestedFormat

Encoding = Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"]

ENCODINGS: tuple[Encoding, ...] = ("pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw")
BIT_RATES = (32_000, 64_000, 96_000, 128_000, 192_000)
BIT_RATE_DEFAULT = 128_000
G711_RATE = 8000

_G711: Mapping[Encoding, Codec] = {"pcm_mulaw": "mulaw", "pcm_alaw": "alaw"}


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """A client's format. The session produces `session_format`; `encode` converts that to `encoding`.

    `header` precedes the first samples.
    """

    session_format: OutputFormat
    encoding: Encoding
    header: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of a response body."""
        return "audio/wav" if self.header else self.session_format.media_type

    def encode(self, payload: bytes) -> bytes:
        """Convert the session's audio to the client's encoding."""
        if self.session_format.container is not Container.RAW or self.session_format.codec != "pcm_s16le":
            return payload
        match self.encoding:
            case "pcm_f32le":
                return (np.frombuffer(payload, "<i2").astype("<f4") / np.float32(32768)).tobytes()
            case "pcm_mulaw":
                return bytes(mulaw_table()[np.frombuffer(payload, "<u2")])
            case "pcm_alaw":
                return bytes(alaw_table()[np.frombuffer(payload, "<u2")])
            case "pcm_s16le":
                return payload


def raw_stream_format(requested: RequestedFormat) -> StreamFormat:
    """The format of audio in messages, which has no container.

    Raises:
        VoxwireError: client.unsupported_audio.
    """
    if requested.container != "raw":
        name = requested.container[:32]
        raise _unsupported("container", f"the container is {name!r}; only raw audio comes in messages")
    return stream_format(requested)


def stream_format(requested: RequestedFormat) -> StreamFormat:
    """The format of a response body.

    Raises:
        VoxwireError: client.unsupported_audio.
    """
    match requested.container:
        case "raw":
            return _raw(requested)
        case "wav":
            return _wav(requested)
        case "mp3":
            return _mp3(requested)
        case other:
            raise _unsupported("container", f"there is no container {other[:32]!r}; there are raw, wav, mp3")


def split(data: bytes, size_max: int) -> Iterator[bytes]:
    """`data` in parts of at most `size_max` bytes."""
    for at in range(0, len(data), size_max):
        yield data[at : at + size_max]


def _raw(requested: RequestedFormat) -> StreamFormat:
    encoding, rate = _encoding(requested), _rate(requested, PCM_RATES)
    codec = _G711.get(encoding, "pcm_s16le") if rate == G711_RATE else "pcm_s16le"
    return StreamFormat(OutputFormat(codec=codec, sample_rate=rate), encoding)


def _wav(requested: RequestedFormat) -> StreamFormat:
    raw = _raw(requested)
    if raw.encoding == "pcm_f32le":
        return StreamFormat(raw.session_format, raw.encoding, wav_header("pcm_f32le", raw.session_format.sample_rate))
    if raw.encoding in _G711 and raw.session_format.sample_rate != G711_RATE:
        raise _unsupported("sample_rate", f"{raw.encoding} comes in wav at {G711_RATE} Hz alone")
    codec, rate = raw.session_format.codec, raw.session_format.sample_rate
    return StreamFormat(OutputFormat(codec=codec, sample_rate=rate, container=Container.WAV), raw.encoding)


def _mp3(requested: RequestedFormat) -> StreamFormat:
    bit_rate = requested.bit_rate or BIT_RATE_DEFAULT
    if bit_rate not in BIT_RATES:
        raise _unsupported("bit_rate", f"mp3 comes with {_list(BIT_RATES)} bits a second, not with {bit_rate}")
    rates = [rate for rate in PCM_RATES if rate in SAMPLE_RATES[Container.MP3]]
    rate = _rate(requested, rates)
    return StreamFormat(OutputFormat(sample_rate=rate, container=Container.MP3, bitrate=bit_rate), "pcm_s16le")


def _encoding(requested: RequestedFormat) -> Encoding:
    for encoding in ENCODINGS:
        if requested.encoding == encoding:
            return encoding
    raise _unsupported(
        "encoding", f"there is no encoding {(requested.encoding or '')[:32]!r}; there are {', '.join(ENCODINGS)}"
    )


def _rate(requested: RequestedFormat, rates: tuple[int, ...] | list[int]) -> int:
    if requested.sample_rate not in rates:
        raise _unsupported("sample_rate", f"the sample rate is {requested.sample_rate}; there are {_list(rates)}")
    return requested.sample_rate


def _list(numbers: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, numbers))


def _unsupported(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, message, details={"field": f"output_format.{field}"})
