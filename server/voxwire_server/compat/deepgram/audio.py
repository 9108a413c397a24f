"""Cuts audio into binary messages that every client takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.compat.translation import Action, Reply

if TYPE_CHECKING:
    from voxwire_server.compat.session_stream import AudioPiece

MESSAGE_BYTES_MAX = 64 * 1024
"""An even number, so that samples stay whole; the Python packages close at messages above 1 MiB."""


def binary(piece: AudioPiece) -> list[Action]:
    """The messages that carry a piece."""
    data = piece.payload
    return [Reply(data[at : at + MESSAGE_BYTES_MAX]) for at in range(0, len(data), MESSAGE_BYTES_MAX)]
