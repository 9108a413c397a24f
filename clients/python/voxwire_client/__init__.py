"""The voxwire client: text in as it is written, audio out as it is spoken. Needs no numpy and no torch."""

from voxwire_client.context import Context
from voxwire_client.errors import ConnectionLost
from voxwire_client.events import Audio, Event, Interrupted, Reconnected
from voxwire_client.mouth_track import MouthTrack
from voxwire_client.options import SpeakOptions
from voxwire_client.playout_clock import PlayoutClock
from voxwire_client.session import Session, connect
from voxwire_client.timed_events import TimedEvent, TimedEvents
from voxwire_client.tokens import Tokens
from voxwire_client.utterance import Utterance
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import (
    Cancelled,
    ClauseStarted,
    Done,
    DoneReason,
    Flushed,
    Mark,
    PhonemeTiming,
    Started,
    Timing,
    VisemeTiming,
    WarningMessage,
    WordTiming,
)

__all__ = [
    "Audio",
    "Cancelled",
    "ClauseStarted",
    "ConnectionLost",
    "Context",
    "Done",
    "DoneReason",
    "ErrorCode",
    "Event",
    "Flushed",
    "Interrupted",
    "Mark",
    "MouthTrack",
    "PhonemeTiming",
    "PlayoutClock",
    "Reconnected",
    "Session",
    "SpeakOptions",
    "Started",
    "TimedEvent",
    "TimedEvents",
    "Timing",
    "Tokens",
    "Utterance",
    "VisemeTiming",
    "VoxwireError",
    "WarningMessage",
    "WordTiming",
    "connect",
]
