"""Finds the voice that a vendor's request names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost

_SHOWN_CHARS = 64
_SHOWN_VOICES = 100


def voice_of_model(host: CompatHost, model: str | None, voice: str | None) -> str | None:
    """The voice's name, with its engine where the model's engine has a voice of that name. None: the default voice.

    Raises:
        VoxwireError: client.invalid_field; there is no such model.
    """
    if model is None:
        return voice
    engine = host.resolve_model(model)
    for info in host.engines():
        if info.name == engine and any(each.name == voice for each in info.voices):
            return f"{engine}/{voice}"
    return voice


def voice_of_recording(host: CompatHost, field: str, path: str) -> str:
    """The voice named like a recording's path, file name, or file name without extension; aliases count as names.

    For clients that send reference audio in place of a voice's name: no engine here clones voices.

    Raises:
        VoxwireError: client.unknown_voice; there is no such voice. `field` is where the client named the recording.
    """
    file = re.split(r"[/\\]", path)[-1]
    stem = file.rpartition(".")[0] or file
    for name in (path, file, stem):
        if host.find_voice(name) is not None:
            return name
    voices = ", ".join(sorted({voice.name for engine in host.engines() for voice in engine.voices}))
    raise VoxwireError(
        ErrorCode.UNKNOWN_VOICE,
        f"{field}: voices are not made from reference audio here, and {stem[:_SHOWN_CHARS]!r} names none; "
        f"there are {voices}. The operator can name one for it in `aliases.voices`.",
        details={"field": field},
    )


def unknown_voice(host: CompatHost, name: str) -> VoxwireError:
    """The error for a `voice_id` that does not exist."""
    known = sorted(voice.name for engine in host.engines() for voice in engine.voices)
    return VoxwireError(
        ErrorCode.UNKNOWN_VOICE,
        f"there is no voice {name[:_SHOWN_CHARS]!r}",
        details={"field": "voice_id", "voices": known[:_SHOWN_VOICES]},
    )
