"""Owns the containers around audio: WAV, MP3, AAC (ADTS), FLAC and Ogg Opus, written as samples come.

MP3, AAC and FLAC are encoded by FFmpeg's libraries through PyAV, which comes with the extra `formats`; WAV needs
nothing and Ogg Opus only libopus, which the server has anyway. A stream is never sought in: what was given is final.

The bytes depend on the samples and on nothing else, but for Ogg: each push ends a page there, so that all of it can be
played. What is held back of what was pushed, until more is pushed or the stream is finished: of MP3 up to 95 ms at
24 kHz, of AAC 128 ms, of FLAC 50 ms, of Ogg Opus 20 ms, of WAV nothing.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers.ffmpeg import AacWriter, FlacWriter, Mp3Writer, is_available, warm
from voxwire_server.audio.containers.plain import OggOpusWriter, WavWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_protocol.messages import Codec

HINT_INSTALL = "pip install 'voxwire[formats]'"


class Container(Enum):
    """What is written around samples. RAW: nothing, the bytes of the codec as they are."""

    RAW = "raw"
    WAV = "wav"
    MP3 = "mp3"
    AAC = "aac"
    FLAC = "flac"
    OGG_OPUS = "ogg_opus"


SAMPLE_RATES = {
    Container.WAV: WavWriter.SAMPLE_RATES,
    Container.MP3: Mp3Writer.SAMPLE_RATES,
    Container.AAC: AacWriter.SAMPLE_RATES,
    Container.FLAC: FlacWriter.SAMPLE_RATES,
    Container.OGG_OPUS: OggOpusWriter.SAMPLE_RATES,
}
"""The sample rates that each container takes, ascending."""

_ENCODED: dict[Container, Callable[[int, int | None], ContainerWriter]] = {
    Container.MP3: Mp3Writer,
    Container.AAC: AacWriter,
    Container.FLAC: FlacWriter,
    Container.OGG_OPUS: OggOpusWriter,
}
_BY_FFMPEG = (Container.MP3, Container.AAC, Container.FLAC)


class ContainerWriter(Protocol):
    """Writes one stream, one call at a time, from any thread; dropping it unfinished frees it."""

    def push(self, data: bytes) -> bytes:
        """Take samples as the session produces them; returns the bytes that are ready, maybe none."""

    def finish(self) -> bytes:
        """End the stream; returns what is left of it. Nothing may follow.

        Without any samples the stream is valid and silent; MP3 and AAC, which have no header, may be empty then.
        """


def open_writer(container: Container, codec: Codec, sample_rate: int, bitrate: int | None = None) -> ContainerWriter:
    """A writer for mono samples in `codec` (pcm_s16le, or for WAV mulaw and alaw too) at `sample_rate`.

    `bitrate` (bits a second) is that of MP3, AAC and Ogg Opus, or the nearest that the format has at that rate.
    Opening is cheap and may happen on the event loop; encoding, and loading what encodes, happens in `push`.

    Raises:
        VoxwireError: client.unsupported_audio; the container does not take that, or the extra `formats` is missing.
    """
    assert container is not Container.RAW, "raw audio has no container"
    _check(container, codec, sample_rate)
    if container is Container.WAV:
        return WavWriter(codec, sample_rate)
    return _ENCODED[container](sample_rate, bitrate)


def warm_formats() -> None:
    """Load what encodes, if it is there: a good tenth of a second, so before anyone waits for it. For a thread."""
    if is_available():
        warm()


def _check(container: Container, codec: Codec, sample_rate: int) -> None:
    rates = SAMPLE_RATES[container]
    codecs = ("pcm_s16le", "mulaw", "alaw") if container is Container.WAV else ("pcm_s16le",)
    problem = hint = ""
    if codec not in codecs:
        problem, hint = f"{container.value} holds no {codec}", f"Use {', '.join(codecs)}."
    elif sample_rate not in rates:
        problem = f"{container.value} is not written at {sample_rate} Hz"
        hint = f"Use one of {', '.join(map(str, rates))} Hz."
    elif container in _BY_FFMPEG and not is_available():
        problem, hint = f"{container.value} can't be written here: PyAV is not installed", HINT_INSTALL
    if problem:
        raise VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, problem, hint=hint, details={"container": container.value})
