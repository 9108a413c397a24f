"""Owns how reference audio stands for a voice, for vendors whose clients name no voices but send recordings.

No engine here clones a voice from a recording. A recording's name may be a voice's, though, or an alias of one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost


def voice_of_recording(host: CompatHost, path: str) -> str:
    """The voice that a recording's path, file name, or file name without its ending stands for.

    Where none is known, it is the last of these: a pattern among the aliases may still match it.
    """
    known = {*host.voice_aliases(), *(voice.name for engine in host.engines() for voice in engine.voices)}
    names = _names(path)
    return next((name for name in names if name in known), names[-1])


def no_cloning(error: VoxwireError, field: str, path: str) -> VoxwireError:
    """What to tell a client whose recording stands for no voice."""
    voices = ", ".join(error.details.get("voices", ()))
    return VoxwireError(
        ErrorCode.UNKNOWN_VOICE,
        f"{field}: voices are not made from reference audio here, and {_names(path)[-1][:64]!r} is no voice; "
        f"there are {voices}. The operator can name one for it in `aliases.voices`.",
        details={"field": field},
    )


def _names(path: str) -> list[str]:
    file = re.split(r"[/\\]", path)[-1]
    stem = file.rpartition(".")[0] or file
    return [path, file, stem]
