"""The effects that a session core returns and its driver carries out, as values.

`serial` names a context for the life of its session.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxwire_protocol.messages import AudioFormat, ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Clause


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the client, in order with everything else that is sent."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class SendFrames:
    """Send the audio frames [start, stop) of a block."""

    block: FrameBlock
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class OpenPipeline:
    """Make the audio pipeline of a new context; `number` is the context's in audio frames.

    `visemes`: the pipeline also makes viseme keyframes.
    """

    serial: int
    number: int
    engine: EngineInfo
    format: AudioFormat
    visemes: bool = False


@dataclass(frozen=True, slots=True)
class ClosePipeline:
    """Drop a context's audio pipeline; its requests are over or cancelled."""

    serial: int


@dataclass(frozen=True, slots=True)
class ClauseSpec:
    """What is to be synthesised, and when; the fields are those of the same name of `SynthesisRequest`.

    `index` counts the context's clauses. `deadline` is when the listener runs dry, in seconds of the sessions' clock;
    for a `first` clause, which begins to speak after silence, when its text came.
    """

    engine: str
    clause: Clause
    index: int
    deadline: float
    bulk: bool
    first: bool
    ends_utterance: bool

    def by_name(self) -> dict[str, Any]:
        """The fields as keyword arguments."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Synthesise:
    """Have a clause synthesised; its audio comes back through `SessionCore.produced`."""

    serial: int
    spec: ClauseSpec


@dataclass(frozen=True, slots=True)
class EndUtterance:
    """Tell the audio pipeline that clause `index` has no audio and ends an utterance.

    What the pipeline then gives comes back through `SessionCore.produced`.
    """

    serial: int
    index: int


@dataclass(frozen=True, slots=True)
class Silence:
    """Make the silence of a clause without text, in a worker as other clauses, and without the engine.

    It comes back through `SessionCore.produced`.
    """

    serial: int
    spec: ClauseSpec


@dataclass(frozen=True, slots=True)
class Encode:
    """Encode the frames [start, stop) of a PCM block, off the loop; the packets come back as `encoded`."""

    serial: int
    block: FrameBlock
    start: int
    stop: int
    deadline: float


@dataclass(frozen=True, slots=True)
class SetBitrate:
    """Change a context's encoder to `bitrate` bits per second, from the next encoded frame on."""

    serial: int
    bitrate: int


@dataclass(frozen=True, slots=True)
class CancelSynthesis:
    """Drop all requests of a context, those that run at the end of their step."""

    serial: int


@dataclass(frozen=True, slots=True)
class Reprioritise:
    """Move the deadline of a context's requests: the moment at which its listener runs dry has changed."""

    serial: int
    deadline: float


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """A context wants audio at playout speed from now on; admission counts it as an active stream."""

    serial: int
    engine: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A context wants no audio for now. `interrupted`: its client cancelled it, and may well start again at once."""

    serial: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class FirstAudio:
    """The first audio of an utterance is sent `ttfa_seconds` after its first speakable text came (for metrics)."""

    engine: str
    ttfa_seconds: float


@dataclass(frozen=True, slots=True)
class UnderrunBegan:
    """A listener has run dry because of the server (for metrics)."""


@dataclass(frozen=True, slots=True)
class UnderrunEnded:
    """The underrun that began at `since`, on the sessions' clock, is over when this effect is carried out."""

    since: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The client has received frame `seq` of the context with this number: what was sent before need not be kept."""

    number: int
    seq: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once everything before has been sent."""

    code: int
    reason: str


Effect = (
    Send
    | SendFrames
    | OpenPipeline
    | ClosePipeline
    | Synthesise
    | EndUtterance
    | Silence
    | Encode
    | SetBitrate
    | CancelSynthesis
    | Reprioritise
    | StreamStarted
    | StreamEnded
    | FirstAudio
    | UnderrunBegan
    | UnderrunEnded
    | Acknowledged
    | Close
)
