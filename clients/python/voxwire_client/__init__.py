"""The voxwire client: text in as it is written, audio out as it is spoken. Needs no numpy and no torch."""

from voxwire_client.playout import PlayoutClock
from voxwire_client.session import Audio, ConnectionLost, Event, Session, Utterance, connect
from voxwire_protocol.errors import ErrorCode, VoxwireError

__all__ = [
    "Audio",
    "ConnectionLost",
    "ErrorCode",
    "Event",
    "PlayoutClock",
    "Session",
    "Utterance",
    "VoxwireError",
    "connect",
]
