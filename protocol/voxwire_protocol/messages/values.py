"""The values that messages are made of: audio formats, pacing, timings, limits; and the checks that messages share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args

from voxwire_protocol import schema as s
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.schema import Field

Codec = Literal["pcm_s16le", "opus", "mulaw", "alaw"]
PacingMode = Literal["realtime", "burst"]
Priority = Literal["interactive", "bulk"]
TextFormat = Literal["text", "ssml"]
TimingKind = Literal["word", "phoneme", "viseme"]
LetterCase = Literal["any", "exact"]

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
LEXICON_ENTRIES_MAX = 100
LEXICON_CHARS_MAX = 100
"""Of a word in a client's lexicon, and of what is said for it."""
LEXICONS_MAX = 16
LEXICON_NAME_CHARS_MAX = 64

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
class Pronunciation:
    """How a word of a lexicon is said: as other words (`alias`) or in IPA; exactly one of them is given.

    `case`: whether the word is found in any case, or only as it is written. None: in any if it has no capitals.
    """

    alias: str | None = None
    ipa: str | None = None
    case: LetterCase | None = None


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


# -- fields that several messages have --------------------------------------------------------------------------------

CONTEXT = Field(s.text(1, CONTEXT_CHARS_MAX))
REQUIRED_CONTEXT = Field(s.text(1, CONTEXT_CHARS_MAX), required=True)
COUNT = Field(s.integer())
REQUIRED_COUNT = Field(s.integer(), required=True)
NAME = Field(s.text(1, 256))
REQUIRED_TEXT = Field(s.text(), required=True)
REQUIRED_SPAN = Field(s.span, required=True)
CODEC = s.choice(*get_args(Codec))
BITRATE = Field(s.integer(BITRATE_MIN, BITRATE_MAX))
_SPOKEN = s.text(1, LEXICON_CHARS_MAX)
_PRONUNCIATION = s.record(
    Pronunciation,
    {"alias": Field(_SPOKEN), "ipa": Field(_SPOKEN), "case": Field(s.choice(*get_args(LetterCase)))},
)


def spoken_as(value: Any, path: str) -> str | Pronunciation:
    """How a word of a lexicon is said: other words for it, or a `Pronunciation`."""
    if not isinstance(value, Mapping):
        alias: str = _SPOKEN(value, path)
        return alias
    found: Pronunciation = _PRONUNCIATION(value, path)
    if (found.alias is None) == (found.ipa is None):
        raise s.invalid(path, "text, or a map with either alias or ipa")
    return found
