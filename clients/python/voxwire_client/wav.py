"""Writes what was received to a WAV file: 16-bit PCM, G.711 decoded on the way."""

from __future__ import annotations

import wave
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from voxwire_protocol.messages import Codec


def mulaw_sample(code: int) -> int:
    """The 16-bit sample of a mu-law code (ITU-T G.711, table 2a)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def alaw_sample(code: int) -> int:
    """The 16-bit sample of an A-law code (ITU-T G.711, table 1a)."""
    code ^= 0x55
    segment, magnitude = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude += 8 if segment == 0 else 0x108
    if segment > 1:
        magnitude <<= segment - 1
    return magnitude if code & 0x80 else -magnitude


class WavWriter:
    """A WAV file of one context's audio. Payloads must come in order.

    Raises:
        ValueError: the codec is Opus; ask for PCM, which loses nothing.
    """

    def __init__(self, path: str, sample_rate: int, codec: Codec = "pcm_s16le") -> None:
        if codec == "opus":
            raise ValueError("Opus can't be written to a WAV file; ask for pcm_s16le")
        self._decode = {"mulaw": mulaw_sample, "alaw": alaw_sample}.get(codec)
        self._table = [self._decode(code) for code in range(256)] if self._decode is not None else None
        self._file = wave.open(path, "wb")  # noqa: SIM115 - closed by close
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(sample_rate)

    def write(self, payload: bytes) -> None:
        """Append a frame's payload."""
        if self._table is not None:
            table = self._table
            payload = array("h", [table[code] for code in payload]).tobytes()
        self._file.writeframesraw(payload)

    def close(self) -> None:
        """Write the header's lengths and close."""
        self._file.close()

    def __enter__(self) -> WavWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
