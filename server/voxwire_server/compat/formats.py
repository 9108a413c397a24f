"""The audio format of a vendor's endpoint: what the session produces, and the container around it."""

from __future__ import annotations

from dataclasses import dataclass

from voxwire_protocol.messages import AudioFormat, AudioRequest, Codec
from voxwire_server.audio.containers import Container

_MEDIA_TYPES = {
    Container.WAV: "audio/wav",
    Container.MP3: "audio/mpeg",
    Container.AAC: "audio/aac",
    Container.FLAC: "audio/flac",
    Container.OGG_OPUS: "audio/ogg",
}
_RAW_MEDIA_TYPES: dict[Codec, str] = {
    "pcm_s16le": "audio/pcm",
    "mulaw": "audio/basic",
    "alaw": "audio/x-alaw-basic",
    "opus": "audio/opus",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """An audio format of a vendor. `bitrate` (bits per second) is that of MP3, AAC and Ogg Opus; None: a usual one.

    `codec` is what the session produces: pcm_s16le for all encoded containers; WAV and RAW may hold G.711 too.

    Raises:
        VoxwireError: client.unsupported_audio; there is no such sample rate.
    """

    codec: Codec = "pcm_s16le"
    sample_rate: int = 24000
    container: Container = Container.RAW
    bitrate: int | None = None

    def __post_init__(self) -> None:
        AudioFormat(codec=self.codec, sample_rate=self.sample_rate)

    @property
    def request(self) -> AudioRequest:
        """The format to request of the session."""
        return AudioRequest(codec=self.codec, sample_rate=self.sample_rate, frame_ms=20)

    @property
    def media_type(self) -> str:
        """The media type of a response body."""
        if self.container is Container.RAW:
            return _RAW_MEDIA_TYPES[self.codec]
        return _MEDIA_TYPES[self.container]

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample as the session produces it."""
        return 2 if self.codec == "pcm_s16le" else 1

    def silence(self, samples: int) -> bytes:
        """Silent samples, as the session would produce them (G.711: ITU-T G.711, the code of zero)."""
        codes: dict[Codec, bytes] = {"mulaw": b"\xff", "alaw": b"\xd5"}
        return codes.get(self.codec, b"\0\0") * samples
