"""Owns the messages that Cartesia's clients get, the same on the WebSocket and as server-sent events."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from voxwire_server.compat.cartesia.words import phoneme_timestamps, word_timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_protocol.messages import Timing
    from voxwire_server.compat.cartesia.formats import Sound
    from voxwire_server.compat.cartesia.words import TimedWord
    from voxwire_server.compat.line import AudioPiece

Event = dict[str, Any]

CHUNK_BYTES_MAX = 64 * 1024
"""A multiple of every sample's size. The Python packages close at messages above 1 MiB."""

MORE, COMPLETE = 206, 200
"""Statuses: more follows, or nothing does."""


def chunks(piece: AudioPiece, sound: Sound) -> Iterator[Event]:
    """The events that carry a piece of audio. Nothing here measures `step_time`, the milliseconds a chunk took."""
    data = sound.shaped(piece.payload)
    for at in range(0, len(data), CHUNK_BYTES_MAX):
        encoded = base64.b64encode(data[at : at + CHUNK_BYTES_MAX]).decode()
        yield {"type": "chunk", "data": encoded, "done": False, "status_code": MORE, "step_time": 0.0}


def words(told: Sequence[TimedWord], sample_rate: int) -> Iterator[Event]:
    """The event that tells when some words sound, if there are any."""
    if told:
        yield _more("timestamps", word_timestamps=word_timestamps(told, sample_rate))


def phonemes(timing: Timing, sample_rate: int) -> Iterator[Event]:
    """The event that tells when phonemes sound, if there are any."""
    if timing.phonemes:
        yield _more("phoneme_timestamps", phoneme_timestamps=phoneme_timestamps(timing.phonemes, sample_rate))


def flush_done(flush_id: int) -> Event:
    """All audio of a flush is there."""
    return _more("flush_done", flush_done=True, flush_id=flush_id)


def done() -> Event:
    """All is there."""
    return {"type": "done", "done": True, "status_code": COMPLETE}


def _more(kind: str, **fields: Any) -> Event:
    return {"type": kind, "done": False, "status_code": MORE} | fields
