"""Writes received audio to a WAV file as 16-bit PCM; G.711 is decoded."""

from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from voxwire_protocol.messages import Codec


def mulaw_sample(code: int) -> int:
    """The 16-bit sample of a mu-law code (ITU-T G.711, table 2a)."""
    code = ~code & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def alaw_sample(code: int) -> int:
    """The 16-bit sample of an A-law code (ITU-T G.711, table 1a)."""
    code ^= 0x55
    segment, magnitude = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude += 8 if segment == 0 else 0x108
    if segment > 1:
        magnitude <<= segment - 1
    return magnitude if code & 0x80 else -magnitude


def _table(sample: Callable[[int], int]) -> list[bytes]:
    return [struct.pack("<h", sample(code)) for code in range(256)]


class WavWriter:
    """A WAV file of one context's audio, by path or open file. Payloads must come in order.

    Raises:
        ValueError: the codec is Opus; ask for PCM, which loses nothing.
    """

    def __init__(self, file: str | Path | BinaryIO, sample_rate: int, codec: Codec = "pcm_s16le") -> None:
        match codec:
            case "pcm_s16le":
                self._samples: list[bytes] | None = None
            case "mulaw":
                self._samples = _table(mulaw_sample)
            case "alaw":
                self._samples = _table(alaw_sample)
            case "opus":
                raise ValueError("Opus can't be written to a WAV file; ask for pcm_s16le")
        self._file = wave.open(str(file) if isinstance(file, str | Path) else file, "wb")  # noqa: SIM115 - closed by close
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(sample_rate)

    def write(self, payload: bytes) -> None:
        """Append a frame's payload."""
        if self._samples is not None:
            payload = b"".join([self._samples[code] for code in payload])
        self._file.writeframesraw(payload)

    def close(self) -> None:
        """Write the header's lengths and close."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
