"""Deepgram's audio formats: the encodings, containers and bit rates of an address, as this server's output formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import RATES, Codec
from voxwire_server.audio.containers import Container
from voxwire_server.compat.session import OutputFormat

_RAW: Mapping[str, Codec] = {"linear16": "pcm_s16le", "mulaw": "mulaw", "alaw": "alaw"}


@dataclass(frozen=True, slots=True)
class _Encoding:
    """A compressed encoding: its container, the default sample rate and bit rate, and the range of bit rates."""

    container: Container
    sample_rate: int
    bit_rate: int
    bit_rates: tuple[int, int]


_ENCODED: Mapping[str, _Encoding] = {
    "mp3": _Encoding(Container.MP3, 22050, 48_000, (8_000, 320_000)),
    "aac": _Encoding(Container.AAC, 22050, 48_000, (4_000, 192_000)),
    "opus": _Encoding(Container.OGG_OPUS, 48000, 32_000, (6_000, 510_000)),
    "flac": _Encoding(Container.FLAC, 24000, 0, (0, 0)),
}


def raw_format(encoding: str, sample_rate: int | None, container: Container = Container.RAW) -> OutputFormat:
    """An uncompressed format: PCM or G.711, raw or in WAV.

    Raises:
        VoxwireError: client.unsupported_audio.
    """
    codec = _RAW.get(encoding)
    if codec is None:
        raise _unsupported("encoding", f"there is no encoding {encoding!r}; there are {', '.join(_RAW)}")
    rate = sample_rate or (24000 if codec == "pcm_s16le" else 8000)
    if rate not in RATES[codec]:
        rates = ", ".join(map(str, RATES[codec]))
        raise _unsupported("sample_rate", f"{encoding} comes at {rates} Hz, not at {rate}")
    return OutputFormat(codec=codec, sample_rate=rate, container=container)


def body_format(encoding: str, container: str | None, sample_rate: int | None, bit_rate: int | None) -> OutputFormat:
    """The format of an HTTP response body, which may be compressed.

    Raises:
        VoxwireError: client.unsupported_audio.
    """
    if encoding not in _RAW:
        return _encoded_format(encoding, container, sample_rate, bit_rate)
    containers = {None: Container.WAV, "wav": Container.WAV, "none": Container.RAW}
    if container not in containers:
        raise _unsupported("container", f"{encoding} comes in wav or none, not in {container!r}")
    return raw_format(encoding, sample_rate, containers[container])


def _encoded_format(name: str, container: str | None, sample_rate: int | None, bit_rate: int | None) -> OutputFormat:
    encoding = _ENCODED.get(name)
    if encoding is None:
        known = ", ".join((*_RAW, *_ENCODED))
        raise _unsupported("encoding", f"there is no encoding {name!r}; there are {known}")
    if container not in (None, "none") and (name, container) != ("opus", "ogg"):
        raise _unsupported("container", f"{name} does not come in {container!r}")
    low, high = encoding.bit_rates
    if bit_rate is not None and not low <= bit_rate <= high:
        raise _unsupported("bit_rate", f"{name} takes a bit_rate of {low} to {high}, not {bit_rate}")
    return OutputFormat(
        sample_rate=sample_rate or encoding.sample_rate,
        container=encoding.container,
        bitrate=bit_rate or encoding.bit_rate or None,
    )


def _unsupported(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, message, details={"field": field})
