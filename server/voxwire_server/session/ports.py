"""What a session needs of the rest of the server, as interfaces: where it sends, synthesises, counts and looks up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from voxwire_protocol.messages import ServerMessage
    from voxwire_server.audio.encoder_pool import EncoderPool
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.scheduling.request import SynthesisRequest
    from voxwire_server.session.ticker import Ticker
    from voxwire_server.speech import Voice
    from voxwire_server.text.lexicon import Lexicon


class Sink(Protocol):
    """Where a session's messages and audio frames leave. Calls never wait; `flush` writes what was gathered."""

    def message(self, message: ServerMessage) -> None:
        """Gather a message."""

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """Gather the audio frames [start, stop) of a block."""

    def close(self, code: int, reason: str) -> None:
        """Close the connection after everything gathered so far."""

    def flush(self) -> None:
        """Write what was gathered."""

    def prefix(self, length: int) -> bytes:
        """What goes in front of an audio frame of `length` bytes; nothing where the transport adds it itself."""


class NullSink:
    """The sink of a session whose client is away: it drops everything. The replay log keeps what the client missed."""

    def message(self, message: ServerMessage) -> None:
        """Drop a message."""

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """Drop audio frames."""

    def close(self, code: int, reason: str) -> None:
        """Do nothing: there is no connection."""

    def flush(self) -> None:
        """Do nothing: nothing was gathered."""

    def prefix(self, length: int) -> bytes:
        """Only a client that is connected opens contexts, which alone ask for prefixes."""
        raise AssertionError(f"a context was opened while the client was away ({length} bytes)")


class Synthesis(Protocol):
    """Where clauses are submitted for synthesis; thread-safe, never waits.

    `context_key` names the context that a request belongs to; `engine` and `account` are names.
    """

    def submit(self, request: SynthesisRequest) -> None:
        """Queue a request."""

    def cancel(self, context_key: Hashable) -> None:
        """Drop all requests of a context."""

    def reprioritise(self, context_key: Hashable, deadline: float) -> None:
        """Move the deadline of a context's requests; seconds of the sessions' clock."""

    def stream_started(self, context_key: Hashable, engine: str, account: str = "") -> None:
        """Count a context as an active stream of an account."""

    def stream_ended(self, context_key: Hashable, session_id: Hashable = None) -> None:
        """Count it no more. If `session_id` is given, capacity stays reserved for that session for a while."""

    def session_ended(self, session_id: Hashable) -> None:
        """Reserve nothing for a session any more."""


class Observer(Protocol):
    """What is counted for the metrics. Text and audio never reach it."""

    def first_audio(self, engine: str, ttfa_seconds: float) -> None:
        """An utterance's first audio frame was sent."""

    def underrun_began(self) -> None:
        """A listener has run dry."""

    def underrun_ended(self, seconds: float) -> None:
        """An underrun is over, after so many seconds."""

    def frames_sent(self, frames: int) -> None:
        """Audio frames were handed to the transport."""

    def bytes_sent(self, count: int) -> None:
        """Bytes were handed to a socket."""

    def clause_spoken(self, engine: str, queue_seconds: float, synth_seconds: float) -> None:
        """A clause is finished: it waited and was synthesised for so many seconds."""

    def refused(self, code: str) -> None:
        """A session was refused with an error code."""

    def resumed(self, result: str) -> None:
        """A client asked to resume: "resumed", or the reason why it could not."""

    def error_sent(self, code: str) -> None:
        """An `error` message was sent to a client."""

    def contexts_changed(self, change: int) -> None:
        """So many contexts were opened (above zero) or closed (below)."""

    def session_failed(self) -> None:
        """A session was ended by an error of the server's own."""


class ResolvedVoice(NamedTuple):
    """A voice, the engine that has it, and the language it will speak."""

    engine: EngineInfo
    voice: Voice
    language: str


class Identify(Protocol):
    """Tells languages apart; takes well under a millisecond for a clause."""

    def __call__(self, text: str, candidates: Sequence[str], /) -> str | None:
        """The one of `candidates`, BCP 47 tags, that `text` is in; None where that is not certain."""


class Directory(Protocol):
    """Where voices and lexicons are looked up and new contexts are admitted. Answers at once."""

    def resolve(self, voice: str | None, language: str | None) -> ResolvedVoice:
        """Find a voice by name (None: the default).

        Raises:
            VoxwireError: client.unknown_voice (details list what there is) or client.unsupported_language.
        """

    def lexicon(self, names: Sequence[str]) -> Lexicon:
        """The server's lexicons that are used by default, and those of `names` over them.

        Raises:
            VoxwireError: client.invalid_field; there is no lexicon of that name.
        """

    def speakers(self, beside: ResolvedVoice) -> Sequence[ResolvedVoice]:
        """The voices that may speak in a context of the voice `beside`: that one first, then those that stand in for
        it in languages that it does not read."""

    def reader_of(self, language: str) -> Voice | None:
        """Any voice that reads a language."""

    def identifier(self) -> Identify:
        """What tells languages apart, for contexts with language "auto".

        Raises:
            VoxwireError: client.unsupported_language; it is not installed.
        """

    def admit(self, engine: str, *, bulk: bool, now: float, session: str, account: str) -> None:
        """Let one more context of an account use an engine.

        `session` asks; capacity may be reserved for it because it has just interrupted a context.

        Raises:
            VoxwireError: system.engine_overloaded with retry_after_ms.
        """


@dataclass(frozen=True, slots=True)
class SessionServices:
    """What all sessions share. `clock` gives monotonic seconds."""

    synthesis: Synthesis
    encoder: EncoderPool
    ticker: Ticker
    observer: Observer
    clock: Callable[[], float]
    opus_complexity: int = 5
