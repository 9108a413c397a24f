"""What sessions and contexts are configured with: bounds, defaults, and when clauses are made. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxwire_protocol.messages import AudioFormat, Pacing
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Voice
    from voxwire_server.text.lexicon import Lexicon


@dataclass(frozen=True, slots=True)
class PlayoutPolicy:
    """When clauses are cut and how far generation runs ahead, in seconds.

    `ahead`: the next clause is started when less audio than this is left to hear. On a slow engine it is started
    earlier: when less is left than `soon` and the time of `steps_ahead` of its longest clauses, because it may have to
    wait for another context's clause first (with Kokoro on two cores, every listener of more than a few sentences ran
    dry at 3 s, even alone; at 11 s none did at nine tenths of what the engine can feed). `unsent_max`: no clause is
    started while this much audio waits for the socket. `soon` and `dry` (to which an engine's own time is added): less
    than this left allows a cut at a phrase mark, or at a word. `start_wait`: how long the first words wait for a phrase
    to end. `text_idle`: a context with unspoken text that gets no more text for so long is flushed. `burst_frames`: how
    many audio frames leave in one write.
    """

    ahead: float = 3.0
    steps_ahead: float = 2.0
    unsent_max: float = 20.0
    soon: float = 1.0
    dry: float = 0.25
    start_wait: float = 0.5
    text_idle: float = 120.0
    burst_frames: int = 10

    def ahead_of(self, engine: EngineInfo) -> float:
        """How far generation runs ahead with this engine, by its own guess of its cost."""
        longest = engine.clause_chars_max / engine.chars_per_second * engine.realtime_factor
        return min(max(self.ahead, self.soon + self.steps_ahead * longest), self.unsent_max)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Bounds and defaults of a session. Characters are code points; rates are per second.

    All but the last three are keys of the configuration's sections `limits`, `audio` and `text`, which explain them.
    `dialect` is the vendor whose tags are read.
    """

    message_bytes_max: int = 1 << 20
    contexts_max: int = 32
    text_chars_max: int = 20_000
    unspoken_chars_max: int = 50_000
    context_chars_max: int = 200_000
    session_bytes_max: int = 16 << 20
    hold_seconds: float = 300.0
    messages_per_second: float = 400.0
    messages_burst: float = 2000.0
    bad_messages_max: int = 100
    bad_messages_seconds: float = 10.0
    heartbeat_ms: int = 5000
    idle_seconds: float = 600.0
    lead_ms: int = 500
    opus_bitrate: int = 24_000
    breaks: tuple[str, ...] = ("break", "pause")
    skip: tuple[str, ...] = ("think", "thinking", "reasoning", "scratchpad", "tool_call", "function_calls")
    dialect: str = ""
    resume_window_ms: int = 0
    policy: PlayoutPolicy = field(default_factory=PlayoutPolicy)

    @classmethod
    def from_sections(cls, *sections: object, resume_window_ms: int, policy: PlayoutPolicy) -> SessionSettings:
        """Settings whose other fields are the attributes of the same name of `sections`.

        Raises:
            AttributeError: no section has one of the fields.
        """
        given = {
            each.name: _first_attribute(sections, each.name)
            for each in fields(cls)
            if each.name not in ("dialect", "resume_window_ms", "policy")
        }
        return cls(resume_window_ms=resume_window_ms, policy=policy, **given)


def _first_attribute(objects: tuple[object, ...], name: str) -> Any:
    for each in objects:
        if hasattr(each, name):
            return getattr(each, name)
    raise AttributeError(f"no section of the configuration has {name!r}")


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """What a context was opened with, all defaults resolved.

    `serial` names the context for the life of the session, `number` in its audio frames. `lexicon_bytes` is what the
    client's own part of `lexicon` takes in memory.
    """

    name: str
    serial: int
    number: int
    engine: EngineInfo
    voice: Voice
    language: str
    speed: float
    format: AudioFormat
    timings: frozenset[str]
    pacing: Pacing
    bulk: bool
    seed: int
    lexicon: Lexicon | None = None
    lexicon_bytes: int = 0
