"""What a server sends, each message as a typed value, and what each of its fields may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from voxwire_protocol import schema as s
from voxwire_protocol.errors import VoxwireError
from voxwire_protocol.messages import values as v
from voxwire_protocol.schema import Field

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The session is open."""

    type: ClassVar[str] = "ready"
    session: str
    token: str
    heartbeat_ms: int
    resume_window_ms: int
    limits: v.Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A context is open; its audio frames carry `number`."""

    type: ClassVar[str] = "started"
    context: str
    number: int
    voice: str
    engine: str
    audio: v.AudioInfo


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
    words: tuple[v.WordTiming, ...] = ()
    phonemes: tuple[v.PhonemeTiming, ...] = ()
    visemes: tuple[v.VisemeTiming, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The `mark` of that name in the context's SSML is reached at `pts`; sent no later than the audio there."""

    type: ClassVar[str] = "mark"
    context: str
    name: str
    pts: int


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
    reason: v.DoneReason
    frames: int
    samples: int
    chars: int
    timings: v.PipelineTimes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """A context was cancelled: no frame of it follows."""

    type: ClassVar[str] = "cancelled"
    context: str
    heard: v.Heard
    unheard: v.Unheard
    sent_seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What every open context is doing, and how many of the client's messages came on this session."""

    type: ClassVar[str] = "state"
    contexts: Mapping[str, v.ContextState]
    received: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningMessage:
    """Something to know; nothing has to be done."""

    type: ClassVar[str] = "warning"
    code: str
    message: str
    context: str | None = None
    details: Mapping[str, Any] | None = None


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
    contexts: Mapping[str, v.ResumedContext]


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
    | Mark
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

# -- errors as messages -----------------------------------------------------------------------------------------------


def error_to_message(error: VoxwireError, context: str | None = None) -> ErrorMessage:
    """The `error` message for an error; `context` is the context's name where the error does not carry one itself."""
    return ErrorMessage(
        code=error.raw_code,
        message=error.message,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        context=error.context or context,
        details=error.details or None,
        hint=error.hint or None,
    )


def error_from_message(message: ErrorMessage) -> VoxwireError:
    """The error that an `error` message carries; a code of a later version of the protocol counts by its class."""
    return VoxwireError(
        message.code,
        message.message,
        retryable=message.retryable,
        retry_after_ms=message.retry_after_ms,
        context=message.context,
        details=message.details,
        hint=message.hint,
    )


# -- what their fields may hold ---------------------------------------------------------------------------------------

_AUDIO_INFO = s.record(
    v.AudioInfo,
    {
        "codec": Field(v.CODEC, required=True),
        "sample_rate": v.REQUIRED_COUNT,
        "frame_ms": v.REQUIRED_COUNT,
        "frame_samples": v.REQUIRED_COUNT,
        "bitrate": v.COUNT,
        "lookahead_samples": v.COUNT,
    },
)
_LIMITS = s.record(
    v.Limits,
    {
        "message_bytes_max": v.REQUIRED_COUNT,
        "contexts_max": v.REQUIRED_COUNT,
        "text_chars_max": v.REQUIRED_COUNT,
        "unspoken_chars_max": v.REQUIRED_COUNT,
        "context_chars_max": v.REQUIRED_COUNT,
    },
)
_WORD = s.record(
    v.WordTiming,
    {"text": v.REQUIRED_TEXT, "chars": v.REQUIRED_SPAN, "pts": v.REQUIRED_COUNT, "end_pts": v.REQUIRED_COUNT},
)
_PHONEME = s.record(v.PhonemeTiming, {"ipa": v.REQUIRED_TEXT, "pts": v.REQUIRED_COUNT, "end_pts": v.REQUIRED_COUNT})
_VISEME = s.record(
    v.VisemeTiming,
    {"id": v.REQUIRED_COUNT, "weight": Field(s.number(0.0, 1.0), required=True), "pts": v.REQUIRED_COUNT},
)
_MS = Field(s.number(0.0))

SERVER_MESSAGES: Mapping[type[Any], Mapping[str, Field]] = {
    Ready: {
        "session": v.REQUIRED_TEXT,
        "token": v.REQUIRED_TEXT,
        "heartbeat_ms": v.REQUIRED_COUNT,
        "resume_window_ms": v.REQUIRED_COUNT,
        "limits": Field(_LIMITS, required=True),
    },
    Started: {
        "context": v.REQUIRED_CONTEXT,
        "number": v.REQUIRED_COUNT,
        "voice": v.REQUIRED_TEXT,
        "engine": v.REQUIRED_TEXT,
        "audio": Field(_AUDIO_INFO, required=True),
    },
    Accepted: {"context": v.REQUIRED_CONTEXT, "chars": v.REQUIRED_COUNT, "text_seq": v.COUNT},
    ClauseStarted: {"context": v.REQUIRED_CONTEXT, "chars": v.REQUIRED_SPAN, "pts": v.REQUIRED_COUNT},
    Timing: {
        "context": v.REQUIRED_CONTEXT,
        "words": Field(s.several(_WORD)),
        "phonemes": Field(s.several(_PHONEME)),
        "visemes": Field(s.several(_VISEME)),
    },
    Mark: {"context": v.REQUIRED_CONTEXT, "name": v.REQUIRED_TEXT, "pts": v.REQUIRED_COUNT},
    Flushed: {"context": v.REQUIRED_CONTEXT, "id": Field(s.text()), "seq": v.COUNT},
    Done: {
        "context": v.REQUIRED_CONTEXT,
        "reason": Field(s.member(v.DoneReason), required=True),
        "frames": v.REQUIRED_COUNT,
        "samples": v.REQUIRED_COUNT,
        "chars": v.REQUIRED_COUNT,
        "timings": Field(s.record(v.PipelineTimes, {"queue_ms": _MS, "ttfa_ms": _MS, "synth_ms": _MS})),
    },
    Cancelled: {
        "context": v.REQUIRED_CONTEXT,
        "sent_seq": v.COUNT,
        "heard": Field(
            s.record(
                v.Heard,
                {"pts": v.REQUIRED_COUNT, "chars": v.REQUIRED_COUNT, "text": v.REQUIRED_TEXT, "word": Field(s.text())},
            ),
            required=True,
        ),
        "unheard": Field(s.record(v.Unheard, {"chars": v.REQUIRED_COUNT, "text": v.REQUIRED_TEXT}), required=True),
    },
    State: {"contexts": Field(s.mapping(s.member(v.ContextState)), required=True), "received": v.COUNT},
    WarningMessage: {
        "code": v.REQUIRED_TEXT,
        "message": v.REQUIRED_TEXT,
        "context": v.CONTEXT,
        "details": Field(s.mapping(s.free)),
    },
    ErrorMessage: {
        "code": v.REQUIRED_TEXT,
        "message": v.REQUIRED_TEXT,
        "retryable": Field(s.boolean, required=True),
        "retry_after_ms": v.COUNT,
        "context": v.CONTEXT,
        "details": Field(s.mapping(s.free)),
        "hint": Field(s.text()),
    },
    Draining: {"deadline_ms": v.REQUIRED_COUNT},
    Resumed: {
        "token": v.REQUIRED_TEXT,
        "received": v.REQUIRED_COUNT,
        "contexts": Field(
            s.mapping(s.record(v.ResumedContext, {"next_seq": v.REQUIRED_COUNT, "text_seq": v.COUNT})), required=True
        ),
    },
    ResumeFailed: {"reason": v.REQUIRED_TEXT},
    Pong: {"t": Field(s.number(), required=True), "server_ms": v.REQUIRED_COUNT},
}
