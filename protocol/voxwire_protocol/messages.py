"""Every message of protocol version 1 as a typed value, and what each of their fields may hold.

Client messages say what is wanted of a context; server messages say what became of it. `chars` are half-open ranges of
code points in a context's original text; `pts` counts samples on a context's clock, at its sample rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from voxwire_protocol import schema as s
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.schema import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

Codec = Literal["pcm_s16le", "opus", "mulaw", "alaw"]
PacingMode = Literal["realtime", "burst"]
Priority = Literal["interactive", "bulk"]
TimingKind = Literal["word", "phoneme", "viseme"]

DEFAULT_CONTEXT = "0"
CONTEXT_CHARS_MAX = 64

PCM_RATES = (8000, 16000, 22050, 24000, 44100, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
G711_RATES = (8000,)
FRAME_MS = (10, 20, 40, 60)
BITRATE_MIN = 6000
BITRATE_MAX = 510_000
"""The range of RFC 6716, section 2.1.1."""
LEAD_MS_MAX = 30_000

RATES: Mapping[Codec, tuple[int, ...]] = {
    "pcm_s16le": PCM_RATES,
    "opus": OPUS_RATES,
    "mulaw": G711_RATES,
    "alaw": G711_RATES,
}


class DoneReason(Enum):
    """Why a context is over."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SPEAKABLE_TEXT = "no_speakable_text"
    ERROR = "error"


class ContextState(Enum):
    """What a context is doing."""

    WAITING_FOR_TEXT = "waiting_for_text"
    QUEUED = "queued"
    SPEAKING = "speaking"
    HELD = "held"


# -- values ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFormat:
    """How a context's audio is encoded. `bitrate` (bits a second) is Opus' alone.

    Raises:
        VoxwireError: client.unsupported_audio; what was asked for does not go together.
    """

    codec: Codec = "pcm_s16le"
    sample_rate: int = 24000
    frame_ms: int = 20
    bitrate: int | None = None

    def __post_init__(self) -> None:
        if self.sample_rate not in RATES[self.codec]:
            rates = ", ".join(map(str, RATES[self.codec]))
            raise unsupported("audio.sample_rate", f"{self.codec} is spoken at {rates} Hz, not at {self.sample_rate}")
        if self.frame_ms not in FRAME_MS or self.sample_rate * self.frame_ms % 1000:
            raise unsupported("audio.frame_ms", f"{self.frame_ms} ms at {self.sample_rate} Hz is no audio frame")
        if self.bitrate is not None and self.codec != "opus":
            raise unsupported("audio.bitrate", f"{self.codec} has no bitrate to choose")

    @property
    def frame_samples(self) -> int:
        """Samples of one audio frame."""
        return self.sample_rate * self.frame_ms // 1000


def unsupported(path: str, message: str) -> VoxwireError:
    """The error for audio that can't be had."""
    return VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, message, details={"field": path})


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRequest:
    """What a client asks of `audio`; what it leaves out is the server's choice."""

    codec: Codec | None = None
    sample_rate: int | None = None
    frame_ms: int | None = None
    bitrate: int | None = None

    def resolve(self, *, sample_rate: int, bitrate: int) -> AudioFormat:
        """Fill in what was left out: an engine's own `sample_rate` where the codec has it, and Opus' `bitrate`.

        Raises:
            VoxwireError: client.unsupported_audio.
        """
        codec = self.codec or "pcm_s16le"
        rates = RATES[codec]
        own = sample_rate if sample_rate in rates else min((r for r in rates if r >= sample_rate), default=rates[-1])
        chosen_bitrate = self.bitrate if self.bitrate is not None or codec != "opus" else bitrate
        return AudioFormat(
            codec=codec,
            sample_rate=self.sample_rate or own,
            frame_ms=self.frame_ms or 20,
            bitrate=chosen_bitrate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """When audio frames are sent: at playout speed up to `lead_ms` ahead (realtime), or as they come (burst)."""

    mode: PacingMode = "realtime"
    lead_ms: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PacingRequest:
    """What a client asks of `pacing`."""

    mode: PacingMode | None = None
    lead_ms: int | None = None

    def resolve(self, *, lead_ms: int) -> Pacing:
        """Fill in what was left out."""
        return Pacing(mode=self.mode or "realtime", lead_ms=lead_ms if self.lead_ms is None else self.lead_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTiming:
    """A word as it stands in the text, its characters, and when it sounds."""

    text: str
    chars: tuple[int, int]
    pts: int
    end_pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonemeTiming:
    """A phoneme and when it sounds."""

    ipa: str
    pts: int
    end_pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisemeTiming:
    """A mouth shape, how far it is reached (0 to 1), and when."""

    id: int
    weight: float
    pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the listener heard: up to `pts`, the first `chars` characters, which are `text`; `word` was sounding."""

    pts: int
    chars: int
    text: str
    word: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard:
    """The text that was accepted and not heard."""

    chars: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioInfo:
    """How a context's audio is encoded. A decoder's output lags behind pts by `lookahead_samples`."""

    codec: Codec
    sample_rate: int
    frame_ms: int
    frame_samples: int
    bitrate: int | None = None
    lookahead_samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The session's bounds."""

    message_bytes_max: int
    contexts_max: int
    text_chars_max: int
    unspoken_chars_max: int
    context_chars_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineTimes:
    """Milliseconds: the first clause's wait, first speakable text to first frame, all synthesis."""

    queue_ms: float | None = None
    ttfa_ms: float | None = None
    synth_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedContext:
    """Where a context goes on after a resume."""

    next_seq: int
    text_seq: int | None = None


# -- client to server -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Open a context."""

    type: ClassVar[str] = "start"
    context: str = DEFAULT_CONTEXT
    voice: str | None = None
    language: str | None = None
    speed: float | None = None
    audio: AudioRequest | None = None
    timings: tuple[TimingKind, ...] | None = None
    pacing: PacingRequest | None = None
    priority: Priority | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Append text; on an unknown context open it with defaults."""

    type: ClassVar[str] = "text"
    context: str = DEFAULT_CONTEXT
    text: str
    seq: int | None = None
    flush: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """Speak all that is buffered; answered by `flushed`."""

    type: ClassVar[str] = "flush"
    context: str = DEFAULT_CONTEXT
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """No more text; answered by `done`."""

    type: ClassVar[str] = "end"
    context: str = DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Barge-in: stop now, drop everything unsent; answered by `cancelled`."""

    type: ClassVar[str] = "cancel"
    context: str = DEFAULT_CONTEXT
    played_pts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Stop sending without losing anything."""

    type: ClassVar[str] = "hold"
    context: str = DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Go on after `hold`."""

    type: ClassVar[str] = "release"
    context: str = DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Retract:
    """Drop text that is not yet being synthesised, from a character on; answered by `accepted`."""

    type: ClassVar[str] = "retract"
    context: str = DEFAULT_CONTEXT
    from_char: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BitrateRequest:
    """What `configure.audio` may change."""

    bitrate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Change a context while it speaks."""

    type: ClassVar[str] = "configure"
    context: str = DEFAULT_CONTEXT
    audio: BitrateRequest | None = None
    pacing: PacingRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Received up to `seq`, played up to `played_pts`."""

    type: ClassVar[str] = "ack"
    context: str = DEFAULT_CONTEXT
    seq: int | None = None
    played_pts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Answered by `pong` with the same `t`."""

    type: ClassVar[str] = "ping"
    t: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Take a session up again: how much of it was received.

    `received` counts the session's messages, audio frames included; where a client does not count, the newest frame of
    each of `contexts` tells.
    """

    type: ClassVar[str] = "resume"
    session: str
    token: str
    received: int | None = None
    contexts: Mapping[str, int] = field(default_factory=dict)
    text_seq: Mapping[str, int] = field(default_factory=dict)


ClientMessage = Start | Text | Flush | End | Cancel | Hold | Release | Retract | Configure | Ack | Ping | Resume

# -- server to client -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The session is open."""

    type: ClassVar[str] = "ready"
    session: str
    token: str
    heartbeat_ms: int
    resume_window_ms: int
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A context is open; its audio frames carry `number`."""

    type: ClassVar[str] = "started"
    context: str
    number: int
    voice: str
    engine: str
    audio: AudioInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Text up to `text_seq` is accepted, `chars` characters in all."""

    type: ClassVar[str] = "accepted"
    context: str
    chars: int
    text_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseStarted:
    """The clause that stands for `chars` begins at `pts`; its first frame follows."""

    type: ClassVar[str] = "clause"
    context: str
    chars: tuple[int, int]
    pts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What sounds when; sent no later than the audio it describes."""

    type: ClassVar[str] = "timing"
    context: str
    words: tuple[WordTiming, ...] = ()
    phonemes: tuple[PhonemeTiming, ...] = ()
    visemes: tuple[VisemeTiming, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """All audio of a flush has been sent; `seq` is its last frame (absent when there has been none at all)."""

    type: ClassVar[str] = "flushed"
    context: str
    id: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A context is over. `samples` counts speech alone, without the silence that fills its last frames."""

    type: ClassVar[str] = "done"
    context: str
    reason: DoneReason
    frames: int
    samples: int
    chars: int
    timings: PipelineTimes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """A context was cancelled: no frame of it follows."""

    type: ClassVar[str] = "cancelled"
    context: str
    heard: Heard
    unheard: Unheard
    sent_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What every open context is doing, and how many of the client's messages came on this session."""

    type: ClassVar[str] = "state"
    contexts: Mapping[str, ContextState]
    received: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningMessage:
    """Something to know; nothing has to be done."""

    type: ClassVar[str] = "warning"
    code: str
    message: str
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorMessage:
    """Something went wrong; without a context it is about the session."""

    type: ClassVar[str] = "error"
    code: str
    message: str
    retryable: bool
    retry_after_ms: int | None = None
    context: str | None = None
    details: Mapping[str, Any] | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """The server goes away: finish within `deadline_ms`, open nothing new here."""

    type: ClassVar[str] = "draining"
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The session goes on. `token` is for the next resume, `received` counts the client's messages that came."""

    type: ClassVar[str] = "resumed"
    token: str
    received: int
    contexts: Mapping[str, ResumedContext]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeFailed:
    """The session can't go on: not_supported, not_first, unknown, expired or refused."""

    type: ClassVar[str] = "resume_failed"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """The answer to `ping`; `server_ms` is the server's own clock, of no known origin."""

    type: ClassVar[str] = "pong"
    t: float
    server_ms: int


ServerMessage = (
    Ready
    | Started
    | Accepted
    | ClauseStarted
    | Timing
    | Flushed
    | Done
    | Cancelled
    | State
    | WarningMessage
    | ErrorMessage
    | Draining
    | Resumed
    | ResumeFailed
    | Pong
)

# -- what fields may hold ---------------------------------------------------------------------------------------------

_CONTEXT = Field(s.text(1, CONTEXT_CHARS_MAX))
_IN_CONTEXT = Field(s.text(1, CONTEXT_CHARS_MAX), required=True)
_COUNT = Field(s.integer())
_COUNTED = Field(s.integer(), required=True)
_NAME = Field(s.text(1, 256))
_WORDS = Field(s.text(), required=True)
_SPAN = Field(s.span, required=True)
_CODEC = s.choice(*get_args(Codec))
_BITRATE = Field(s.integer(BITRATE_MIN, BITRATE_MAX))

_PACING = Field(
    s.record(
        PacingRequest,
        {"mode": Field(s.choice(*get_args(PacingMode))), "lead_ms": Field(s.integer(0, LEAD_MS_MAX))},
    )
)
_AUDIO_REQUEST = Field(
    s.record(
        AudioRequest,
        {
            "codec": Field(_CODEC),
            "sample_rate": Field(s.integer(1, 768_000)),
            "frame_ms": Field(s.choice(*FRAME_MS)),
            "bitrate": _BITRATE,
        },
    )
)
_SEQS = Field(s.mapping(s.integer(), 65_536, CONTEXT_CHARS_MAX))

CLIENT_MESSAGES: Mapping[type[Any], Mapping[str, Field]] = {
    Start: {
        "context": _CONTEXT,
        "voice": _NAME,
        "language": Field(s.text(1, 64)),
        "speed": Field(s.number(0.5, 2.0)),
        "audio": _AUDIO_REQUEST,
        "timings": Field(s.several(s.choice(*get_args(TimingKind)), 8)),
        "pacing": _PACING,
        "priority": Field(s.choice(*get_args(Priority))),
        "seed": Field(s.integer()),
    },
    Text: {"context": _CONTEXT, "text": _WORDS, "seq": _COUNT, "flush": Field(s.boolean)},
    Flush: {"context": _CONTEXT, "id": _NAME},
    End: {"context": _CONTEXT},
    Cancel: {"context": _CONTEXT, "played_pts": _COUNT},
    Hold: {"context": _CONTEXT},
    Release: {"context": _CONTEXT},
    Retract: {"context": _CONTEXT, "from_char": _COUNTED},
    Configure: {
        "context": _CONTEXT,
        "audio": Field(s.record(BitrateRequest, {"bitrate": _BITRATE})),
        "pacing": _PACING,
    },
    Ack: {"context": _CONTEXT, "seq": _COUNT, "played_pts": _COUNT},
    Ping: {"t": Field(s.number(), required=True)},
    Resume: {
        "session": Field(s.text(1, 256), required=True),
        "token": Field(s.text(1, 1024), required=True),
        "received": _COUNT,
        "contexts": _SEQS,
        "text_seq": _SEQS,
    },
}

_AUDIO_INFO = s.record(
    AudioInfo,
    {
        "codec": Field(_CODEC, required=True),
        "sample_rate": _COUNTED,
        "frame_ms": _COUNTED,
        "frame_samples": _COUNTED,
        "bitrate": _COUNT,
        "lookahead_samples": _COUNT,
    },
)
_LIMITS = s.record(
    Limits,
    {
        "message_bytes_max": _COUNTED,
        "contexts_max": _COUNTED,
        "text_chars_max": _COUNTED,
        "unspoken_chars_max": _COUNTED,
        "context_chars_max": _COUNTED,
    },
)
_WORD = s.record(WordTiming, {"text": _WORDS, "chars": _SPAN, "pts": _COUNTED, "end_pts": _COUNTED})
_PHONEME = s.record(PhonemeTiming, {"ipa": _WORDS, "pts": _COUNTED, "end_pts": _COUNTED})
_VISEME = s.record(VisemeTiming, {"id": _COUNTED, "weight": Field(s.number(0.0, 1.0), required=True), "pts": _COUNTED})
_MS = Field(s.number(0.0))

SERVER_MESSAGES: Mapping[type[Any], Mapping[str, Field]] = {
    Ready: {
        "session": _WORDS,
        "token": _WORDS,
        "heartbeat_ms": _COUNTED,
        "resume_window_ms": _COUNTED,
        "limits": Field(_LIMITS, required=True),
    },
    Started: {
        "context": _IN_CONTEXT,
        "number": _COUNTED,
        "voice": _WORDS,
        "engine": _WORDS,
        "audio": Field(_AUDIO_INFO, required=True),
    },
    Accepted: {"context": _IN_CONTEXT, "chars": _COUNTED, "text_seq": _COUNT},
    ClauseStarted: {"context": _IN_CONTEXT, "chars": _SPAN, "pts": _COUNTED},
    Timing: {
        "context": _IN_CONTEXT,
        "words": Field(s.several(_WORD)),
        "phonemes": Field(s.several(_PHONEME)),
        "visemes": Field(s.several(_VISEME)),
    },
    Flushed: {"context": _IN_CONTEXT, "id": Field(s.text()), "seq": _COUNT},
    Done: {
        "context": _IN_CONTEXT,
        "reason": Field(s.member(DoneReason), required=True),
        "frames": _COUNTED,
        "samples": _COUNTED,
        "chars": _COUNTED,
        "timings": Field(s.record(PipelineTimes, {"queue_ms": _MS, "ttfa_ms": _MS, "synth_ms": _MS})),
    },
    Cancelled: {
        "context": _IN_CONTEXT,
        "sent_seq": _COUNT,
        "heard": Field(
            s.record(Heard, {"pts": _COUNTED, "chars": _COUNTED, "text": _WORDS, "word": Field(s.text())}),
            required=True,
        ),
        "unheard": Field(s.record(Unheard, {"chars": _COUNTED, "text": _WORDS}), required=True),
    },
    State: {"contexts": Field(s.mapping(s.member(ContextState)), required=True), "received": _COUNT},
    WarningMessage: {"code": _WORDS, "message": _WORDS, "context": _CONTEXT},
    ErrorMessage: {
        "code": _WORDS,
        "message": _WORDS,
        "retryable": Field(s.boolean, required=True),
        "retry_after_ms": _COUNT,
        "context": _CONTEXT,
        "details": Field(s.mapping(s.free)),
        "hint": Field(s.text()),
    },
    Draining: {"deadline_ms": _COUNTED},
    Resumed: {
        "token": _WORDS,
        "received": _COUNTED,
        "contexts": Field(
            s.mapping(s.record(ResumedContext, {"next_seq": _COUNTED, "text_seq": _COUNT})), required=True
        ),
    },
    ResumeFailed: {"reason": _WORDS},
    Pong: {"t": Field(s.number(), required=True), "server_ms": _COUNTED},
}
