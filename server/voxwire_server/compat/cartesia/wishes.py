"""Owns what a request asks for, understood: which voice of which engine, how fast, in what sound, with which times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import Start, TimingKind
from voxwire_server.compat.cartesia.formats import Sound, raw_sound, sound
from voxwire_server.compat.cartesia.messages import Generation, TimedGeneration, WantedVoice

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost

_SPEEDS: Mapping[str, float] = {"slow": 0.8, "normal": 1.0, "fast": 1.2}
"""What the names of the older field `speed` stand for here."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How to speak. `start` lacks the context's name."""

    start: Start
    sound: Sound


Understand = Callable[[TimedGeneration], Wish]


def timed_wish(host: CompatHost, request: TimedGeneration) -> Wish:
    """How to speak what is answered by events.

    Raises:
        VoxwireError: client.unknown_voice, client.unsupported_audio or client.invalid_field (the model).
    """
    timings: tuple[TimingKind, ...] = ()
    if request.add_timestamps:
        timings += ("word",)
    if request.add_phoneme_timestamps:
        timings += ("phoneme",)
    return Wish(_start(host, request, timings), raw_sound(request.output_format))


def body_wish(host: CompatHost, request: Generation) -> Wish:
    """How to speak what is answered by audio alone.

    Raises:
        VoxwireError: as `timed_wish`.
    """
    return Wish(_start(host, request, ()), sound(request.output_format))


def unknown_voice(host: CompatHost, name: str) -> VoxwireError:
    """The error for a voice that is not there."""
    known = sorted({voice.name for engine in host.engines() for voice in engine.voices})
    return VoxwireError(
        ErrorCode.UNKNOWN_VOICE,
        f"there is no voice {name[:64]!r}",
        details={"field": "voice", "voices": known[:100]},
    )


def _start(host: CompatHost, request: Generation, timings: tuple[TimingKind, ...]) -> Start:
    return Start(
        voice=_voice(host, request),
        language=request.language or request.locale,
        speed=_speed(request),
        timings=timings,
    )


def _voice(host: CompatHost, request: Generation) -> str | None:
    """The voice asked for, the one of the model's own engine where two engines have a voice of that name."""
    name = request.voice
    if isinstance(name, WantedVoice):
        if name.mode != "id":
            message = f"voices have ids here, there are none by {name.mode[:32]}"
            raise VoxwireError(ErrorCode.INVALID_FIELD, message, details={"field": "voice.mode"})
        name = name.id
    engine = None if request.model_id is None else host.resolve_model(request.model_id)
    if not name:
        return None
    for info in host.engines():
        if info.name == engine and any(voice.name == name for voice in info.voices):
            return f"{engine}/{name}"
    if host.find_voice(name) is None:
        raise unknown_voice(host, name)
    return name


def _speed(request: Generation) -> float | None:
    if request.generation_config is not None and request.generation_config.speed is not None:
        return request.generation_config.speed
    return _SPEEDS.get(request.speed or "")
