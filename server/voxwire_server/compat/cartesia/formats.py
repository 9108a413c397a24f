"""Owns Cartesia's output formats: what the session produces for each, and how its samples become the client's bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import PCM_RATES, Codec
from voxwire_server.audio.containers import SAMPLE_RATES, Container
from voxwire_server.audio.containers.wav import wav_header
from voxwire_server.audio.pcm import alaw_table, mulaw_table
from voxwire_server.compat.formats import OutputFormat

if TYPE_CHECKING:
    from voxwire_server.compat.cartesia.messages import WantedFormat

Encoding = Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"]

ENCODINGS: tuple[Encoding, ...] = ("pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw")
BIT_RATES = (32_000, 64_000, 96_000, 128_000, 192_000)
BIT_RATE_DEFAULT = 128_000
G711_RATE = 8000

_G711: Mapping[Encoding, Codec] = {"pcm_mulaw": "mulaw", "pcm_alaw": "alaw"}


@dataclass(frozen=True, slots=True)
class Sound:
    """A format as the client hears it. `request` is what the session makes; `encoded` turns that into `encoding`.

    `header` stands before the first samples.
    """

    request: OutputFormat
    encoding: Encoding
    header: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of a response body."""
        return "audio/wav" if self.header else self.request.media_type

    def encoded(self, payload: bytes) -> bytes:
        """What the session produced, as the client wants it."""
        if self.request.container is not Container.RAW or self.request.codec != "pcm_s16le":
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


def raw_sound(wanted: WantedFormat) -> Sound:
    """The sound of a stream of messages, which has no container.

    Raises:
        VoxwireError: client.unsupported_audio.
    """
    if wanted.container != "raw":
        raise _unsupported("container", f"the container is {wanted.container[:32]!r}; only raw audio comes in messages")
    return sound(wanted)


def sound(wanted: WantedFormat) -> Sound:
    """The sound of a response body.

    Raises:
        VoxwireError: client.unsupported_audio.
    """
    match wanted.container:
        case "raw":
            return _uncontained(wanted)
        case "wav":
            return _wav(wanted)
        case "mp3":
            return _mp3(wanted)
        case _:
            raise _unsupported("container", f"there is no container {wanted.container[:32]!r}; there are raw, wav, mp3")


def pieces(data: bytes, size_max: int) -> Iterator[bytes]:
    """Some bytes in parts of that size, the last maybe smaller."""
    for at in range(0, len(data), size_max):
        yield data[at : at + size_max]


def _uncontained(wanted: WantedFormat) -> Sound:
    encoding, rate = _encoding(wanted), _rate(wanted, PCM_RATES)
    codec = _G711.get(encoding, "pcm_s16le") if rate == G711_RATE else "pcm_s16le"
    return Sound(OutputFormat(codec=codec, sample_rate=rate), encoding)


def _wav(wanted: WantedFormat) -> Sound:
    raw = _uncontained(wanted)
    if raw.encoding == "pcm_f32le":
        return Sound(raw.request, raw.encoding, wav_header("pcm_f32le", raw.request.sample_rate))
    if raw.encoding in _G711 and raw.request.sample_rate != G711_RATE:
        raise _unsupported("sample_rate", f"{raw.encoding} comes in wav at {G711_RATE} Hz alone")
    codec, rate = raw.request.codec, raw.request.sample_rate
    return Sound(OutputFormat(codec=codec, sample_rate=rate, container=Container.WAV), raw.encoding)


def _mp3(wanted: WantedFormat) -> Sound:
    bit_rate = wanted.bit_rate or BIT_RATE_DEFAULT
    if bit_rate not in BIT_RATES:
        raise _unsupported("bit_rate", f"mp3 comes with {_list(BIT_RATES)} bits a second, not with {bit_rate}")
    rates = [rate for rate in PCM_RATES if rate in SAMPLE_RATES[Container.MP3]]
    rate = _rate(wanted, rates)
    return Sound(OutputFormat(sample_rate=rate, container=Container.MP3, bitrate=bit_rate), "pcm_s16le")


def _encoding(wanted: WantedFormat) -> Encoding:
    for encoding in ENCODINGS:
        if wanted.encoding == encoding:
            return encoding
    raise _unsupported(
        "encoding", f"there is no encoding {(wanted.encoding or '')[:32]!r}; there are {', '.join(ENCODINGS)}"
    )


def _rate(wanted: WantedFormat, rates: tuple[int, ...] | list[int]) -> int:
    if wanted.sample_rate not in rates:
        raise _unsupported("sample_rate", f"the sample rate is {wanted.sample_rate}; there are {_list(rates)}")
    return wanted.sample_rate


def _list(numbers: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, numbers))


def _unsupported(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, message, details={"field": f"output_format.{field}"})
