"""What a session core asks of its driver. Values only; nothing here acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    """Make the audio path of a new context. `serial` names the context for the life of the session.

    `visemes`: the path is to say how the mouth moves.
    """

    serial: int
    number: int
    engine: EngineInfo
    format: AudioFormat
    visemes: bool = False


@dataclass(frozen=True, slots=True)
class ClosePipeline:
    """Forget a context's audio path; its work is over or abandoned."""

    serial: int


@dataclass(frozen=True, slots=True)
class Speak:
    """Synthesise a clause. `deadline` is the moment its listener runs dry (for a first clause: when its text came)."""

    serial: int
    index: int
    engine: str
    clause: Clause
    deadline: float
    bulk: bool
    first: bool
    ends_utterance: bool


@dataclass(frozen=True, slots=True)
class EndUtterance:
    """Tell the audio path that clause `index` has no audio and ends an utterance; its pieces come back as produced."""

    serial: int
    index: int


@dataclass(frozen=True, slots=True)
class Encode:
    """Encode the frames [start, stop) of a PCM block, off the loop; the packets come back through `encoded`."""

    serial: int
    block: FrameBlock
    start: int
    stop: int
    deadline: float


@dataclass(frozen=True, slots=True)
class SetBitrate:
    """Change a context's encoder to `bitrate` bits a second, from the next encoded frame on."""

    serial: int
    bitrate: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Drop all work of a context at the scheduler's next step."""

    serial: int


@dataclass(frozen=True, slots=True)
class Reprioritise:
    """The moment at which a context's listener runs dry has moved."""

    serial: int
    deadline: float


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """A context now wants audio at playout speed; admission counts it."""

    serial: int
    engine: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A context wants no audio for now. `interrupted`: its client broke in, and is expected to start again at once."""

    serial: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class FirstAudio:
    """The first audio of an utterance goes out `ttfa_seconds` after its first speakable text came (for metrics)."""

    engine: str
    ttfa_seconds: float


@dataclass(frozen=True, slots=True)
class UnderrunBegan:
    """A listener has run dry while its text was waiting (for metrics)."""


@dataclass(frozen=True, slots=True)
class UnderrunEnded:
    """A listener who ran dry at `since` on the sessions' clock waits no more, now that this is carried out."""

    since: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The client has got frame `seq` of the context with this number: what was sent before need not be kept."""

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
    | Speak
    | EndUtterance
    | Encode
    | SetBitrate
    | Abandon
    | Reprioritise
    | StreamStarted
    | StreamEnded
    | FirstAudio
    | UnderrunBegan
    | UnderrunEnded
    | Acknowledged
    | Close
)
