"""Owns the chunks in which a context's audio leaves: small enough for every client, each with the characters in it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxwire_server.compat.elevenlabs.alignment import Aligner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_protocol.messages import Timing
    from voxwire_server.compat.elevenlabs.alignment import Alignment
    from voxwire_server.compat.session_stream import AudioPiece

CHUNK_BYTES = 48_000
"""A second of 24 kHz PCM. aiohttp reads lines of 128 KiB at most, `websockets` messages of 1 MiB."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Audio, and the characters that are told with it."""

    audio: bytes
    alignment: Alignment | None

    def for_socket(self, *, cumulative: bool) -> dict[str, Any]:
        """As a WebSocket message has it."""
        alignment = self.alignment and self.alignment.for_socket(cumulative=cumulative)
        return {"audio": self._base64(), "alignment": alignment, "normalizedAlignment": alignment}

    def for_http(self) -> dict[str, Any]:
        """As a line of an HTTP response has it."""
        alignment = self.alignment and self.alignment.for_http()
        return {"audio_base64": self._base64(), "alignment": alignment, "normalized_alignment": alignment}

    def _base64(self) -> str:
        return base64.b64encode(self.audio).decode()


class Chunker:
    """Makes the chunks of one context."""

    def __init__(self, sample_rate: int) -> None:
        self._aligner = Aligner(sample_rate)
        self._end_pts = 0
        self.chars = 0
        """Characters of text so far."""

    def add(self, text: str) -> None:
        """More text of the context, exactly as it is told to the session."""
        self.chars += len(text)
        self._aligner.add(text)

    def time(self, timing: Timing) -> None:
        """What sounds when in the audio that follows."""
        self._aligner.time(timing.words)

    def audio(self, piece: AudioPiece) -> Iterator[Chunk]:
        """The chunks of a piece of audio."""
        self._end_pts = piece.end_pts
        size = len(piece.payload)
        for at in range(0, size, CHUNK_BYTES):
            end = min(at + CHUNK_BYTES, size)
            until_pts = piece.pts + (piece.end_pts - piece.pts) * end // size
            yield Chunk(piece.payload[at:end], self._aligner.told(until_pts))

    def settle(self, position: int | None = None) -> Iterator[Chunk]:
        """All text up to a position has been spoken (None: all there is): what has not been told of it, if anything."""
        alignment = self._aligner.settle(self.chars if position is None else position, self._end_pts)
        if alignment is not None:
            for part in alignment.parts():
                yield Chunk(b"", part)
