"""What a client sends, each message as a typed value, and what each of its fields may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from voxwire_protocol import schema as s
from voxwire_protocol.messages import values as v
from voxwire_protocol.schema import Field

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Open a context."""

    type: ClassVar[str] = "start"
    context: str = v.DEFAULT_CONTEXT
    voice: str | None = None
    language: str | None = None
    speed: float | None = None
    audio: v.AudioRequest | None = None
    timings: tuple[v.TimingKind, ...] | None = None
    pacing: v.PacingRequest | None = None
    priority: v.Priority | None = None
    seed: int | None = None
    format: v.TextFormat | None = None
    lexicon: Mapping[str, str | v.Pronunciation] | None = None
    lexicons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Append text; on an unknown context open it with defaults."""

    type: ClassVar[str] = "text"
    context: str = v.DEFAULT_CONTEXT
    text: str
    seq: int | None = None
    flush: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """Speak all that is buffered; answered by `flushed`."""

    type: ClassVar[str] = "flush"
    context: str = v.DEFAULT_CONTEXT
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """No more text; answered by `done`."""

    type: ClassVar[str] = "end"
    context: str = v.DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Barge-in: stop now, drop everything unsent; answered by `cancelled`."""

    type: ClassVar[str] = "cancel"
    context: str = v.DEFAULT_CONTEXT
    played_pts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Stop sending without losing anything."""

    type: ClassVar[str] = "hold"
    context: str = v.DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Go on after `hold`."""

    type: ClassVar[str] = "release"
    context: str = v.DEFAULT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Retract:
    """Drop text that is not yet being synthesised, from a character on; answered by `accepted`."""

    type: ClassVar[str] = "retract"
    context: str = v.DEFAULT_CONTEXT
    from_char: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BitrateRequest:
    """What `configure.audio` may change."""

    bitrate: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Change a context while it speaks."""

    type: ClassVar[str] = "configure"
    context: str = v.DEFAULT_CONTEXT
    audio: BitrateRequest | None = None
    pacing: v.PacingRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """Received up to `seq`, played up to `played_pts`."""

    type: ClassVar[str] = "ack"
    context: str = v.DEFAULT_CONTEXT
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

    `received` counts the session's messages, audio frames included; for clients that do not count there is the newest
    frame of each of `contexts`.
    """

    type: ClassVar[str] = "resume"
    session: str
    token: str
    received: int | None = None
    contexts: Mapping[str, int] = field(default_factory=dict)
    text_seq: Mapping[str, int] = field(default_factory=dict)


ClientMessage = Start | Text | Flush | End | Cancel | Hold | Release | Retract | Configure | Ack | Ping | Resume

# -- what their fields may hold ---------------------------------------------------------------------------------------

_PACING = Field(
    s.record(
        v.PacingRequest,
        {"mode": Field(s.choice(*get_args(v.PacingMode))), "lead_ms": Field(s.integer(0, v.LEAD_MS_MAX))},
    )
)
_AUDIO_REQUEST = Field(
    s.record(
        v.AudioRequest,
        {
            "codec": Field(v.CODEC),
            "sample_rate": Field(s.integer(1, 768_000)),
            "frame_ms": Field(s.choice(*v.FRAME_MS)),
            "bitrate": v.BITRATE,
        },
    )
)
_LEXICON = Field(s.mapping(v.spoken_as, v.LEXICON_ENTRIES_MAX, v.LEXICON_CHARS_MAX))
_SEQS = Field(s.mapping(s.integer(), 65_536, v.CONTEXT_CHARS_MAX))

CLIENT_MESSAGES: Mapping[type[Any], Mapping[str, Field]] = {
    Start: {
        "context": v.CONTEXT,
        "voice": v.NAME,
        "language": Field(s.text(1, 64)),
        "speed": Field(s.number(0.5, 2.0)),
        "audio": _AUDIO_REQUEST,
        "timings": Field(s.several(s.choice(*get_args(v.TimingKind)), 8)),
        "pacing": _PACING,
        "priority": Field(s.choice(*get_args(v.Priority))),
        "seed": Field(s.integer()),
        "format": Field(s.choice(*get_args(v.TextFormat))),
        "lexicon": _LEXICON,
        "lexicons": Field(s.several(s.text(1, v.LEXICON_NAME_CHARS_MAX), v.LEXICONS_MAX)),
    },
    Text: {"context": v.CONTEXT, "text": v.REQUIRED_TEXT, "seq": v.COUNT, "flush": Field(s.boolean)},
    Flush: {"context": v.CONTEXT, "id": v.NAME},
    End: {"context": v.CONTEXT},
    Cancel: {"context": v.CONTEXT, "played_pts": v.COUNT},
    Hold: {"context": v.CONTEXT},
    Release: {"context": v.CONTEXT},
    Retract: {"context": v.CONTEXT, "from_char": v.REQUIRED_COUNT},
    Configure: {
        "context": v.CONTEXT,
        "audio": Field(s.record(BitrateRequest, {"bitrate": v.BITRATE})),
        "pacing": _PACING,
    },
    Ack: {"context": v.CONTEXT, "seq": v.COUNT, "played_pts": v.COUNT},
    Ping: {"t": Field(s.number(), required=True)},
    Resume: {
        "session": Field(s.text(1, 256), required=True),
        "token": Field(s.text(1, 1024), required=True),
        "received": v.COUNT,
        "contexts": _SEQS,
        "text_seq": _SEQS,
    },
}
