"""Finds the voice behind a Deepgram model: its clients name one model for each voice, such as aura-2-thalia-en."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.speech import Voice

MODEL_VERSION = version("voxwire")
"""Voices are released with the server and have its version."""

_LANGUAGE = re.compile(r"(?:aura|flux)-.+-([a-z]{2})")
"""A model's name ends in its language: aura-2-thalia-en, flux-alexis-en."""


def voice_of_model(host: CompatHost, model: str | None) -> Voice:
    """The voice with that name or alias, else a voice of the model's engine that speaks the model's language.

    Raises:
        VoxwireError: client.unknown_voice, client.unsupported_language.
    """
    if model is None:
        return host.default_voice()
    found = host.find_voice(model)
    if found is not None:
        return found
    try:
        engine = host.resolve_model(model)
    except VoxwireError as unknown:
        voices = sorted({voice.name for info in host.engines() for voice in info.voices})
        raise VoxwireError(
            ErrorCode.UNKNOWN_VOICE, f"there is no model or voice {model!r}", details={"voices": voices[:100]}
        ) from unknown
    return _voice_of_engine(host, engine, model)


def language_of_model(model: str | None, voice: Voice) -> str | None:
    """The language in a model's name as a tag of `voice`; None where the voice does not speak it."""
    named = _LANGUAGE.fullmatch(model or "")
    return None if named is None else _tag(voice, named[1])


def _voice_of_engine(host: CompatHost, engine: str, model: str) -> Voice:
    """The first voice of an engine that speaks a model's language; the default voice is tried first."""
    default = host.default_voice()
    voices = [voice for info in host.engines() if info.name == engine for voice in info.voices]
    if default in voices:
        voices.insert(0, default)
    language = _LANGUAGE.fullmatch(model)
    for voice in voices:
        if language is None or _tag(voice, language[1]) is not None:
            return voice
    raise VoxwireError(ErrorCode.UNSUPPORTED_LANGUAGE, f"no voice here speaks the language of {model!r}")


def _tag(voice: Voice, language: str) -> str | None:
    return next((tag for tag in voice.languages if tag.lower().split("-")[0] == language), None)
