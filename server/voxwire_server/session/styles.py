"""Which voice, language and speed a stretch of SSML is said with. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from voxwire_server.session.settings import ContextSpec
    from voxwire_server.speech import Voice
    from voxwire_server.text.controls import Style

SPEED_MIN, SPEED_MAX = 0.5, 2.0
"""What engines are given at most, as in `start.speed`."""


class SpokenBy(NamedTuple):
    """A voice of the context's engine and its language; `missing` says what was wanted and can't be had, or ""."""

    voice: Voice
    language: str
    missing: str


def spoken_by(spec: ContextSpec, style: Style) -> SpokenBy:
    """Who says text in a style: a voice of the context's engine, as the audio of a context has one sample rate.

    The wish for a voice comes before that for a language. What can't be had is the context's own.
    """
    if style.voice is None and not style.language:
        return SpokenBy(spec.voice, spec.language, "")
    wish, voice, missing = style.voice, spec.voice, ""
    voices = (spec.voice, *(each for each in spec.engine.voices if each.name != spec.voice.name))
    if wish is not None:
        named = [each for name in wish.names for each in voices if name in (each.name, f"{each.engine}/{each.name}")]
        fitting = named or [each for each in voices if wish.gender and each.gender == wish.gender]
        spoken = [each for each in fitting if style.language and language_of(each, style.language)]
        chosen = next(iter(spoken or fitting), None)
        if chosen is None or (wish.names and not named):
            missing = f"the engine {spec.engine.name} has no voice {' or '.join(wish.names) or wish.gender}"
        voice = chosen or voice
    own = spec.language if voice is spec.voice else voice.languages[0]
    if not style.language:
        return SpokenBy(voice, own, missing)
    language = language_of(voice, style.language)
    if language is None and wish is None:
        voice = next((each for each in voices if language_of(each, style.language)), voice)
        language = language_of(voice, style.language)
    if language is None:
        missing = missing or f"the engine {spec.engine.name} has no voice that speaks {style.language}"
    return SpokenBy(voice, language or own, missing)


def language_of(voice: Voice, wanted: str) -> str | None:
    """The voice's tag for a language: the same one, or another of the same primary language; None: it has none."""
    tag = wanted.lower()
    same = [each for each in voice.languages if each.lower() == tag]
    alike = [each for each in voice.languages if each.lower().partition("-")[0] == tag.partition("-")[0]]
    return next(iter(same or alike), None)


def styled_speed(spec: ContextSpec, style: Style) -> float:
    """The context's speed in a style."""
    return spec.speed if style.rate == 1.0 else min(max(spec.speed * style.rate, SPEED_MIN), SPEED_MAX)
