"""Owns how reference audio stands for a voice, for vendors whose clients name no voices but send recordings.

No engine here makes a voice of a recording. A recording's name may be a voice's, though, or an alias of one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost

_SHOWN_CHARS = 64


def voice_of_recording(host: CompatHost, field: str, path: str) -> str:
    """The voice that a recording's path, file name, or file name without its ending stands for.

    Raises:
        VoxwireError: client.unknown_voice; none of them does. `field` is where the client named the recording.
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
