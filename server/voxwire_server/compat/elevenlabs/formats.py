"""ElevenLabs' audio formats, whose names hold codec, sample rate and, for some, bit rate in kbit/s."""

from __future__ import annotations

import re
from collections.abc import Mapping

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import PCM_RATES, Codec
from voxwire_server.audio.containers import Container
from voxwire_server.compat.session import OutputFormat

DEFAULT_FORMAT = "mp3_44100_128"

_NAME = re.compile(r"(pcm|wav|ulaw|alaw|mp3|opus)_([0-9]{4,5})(?:_([0-9]{1,3}))?")
_CODECS: Mapping[str, tuple[Codec, Container]] = {
    "pcm": ("pcm_s16le", Container.RAW),
    "wav": ("pcm_s16le", Container.WAV),
    "ulaw": ("mulaw", Container.RAW),
    "alaw": ("alaw", Container.RAW),
    "mp3": ("pcm_s16le", Container.MP3),
    "opus": ("pcm_s16le", Container.OGG_OPUS),
}
_RATES: Mapping[str, tuple[int, ...]] = {
    "pcm": PCM_RATES,
    "wav": PCM_RATES,
    "ulaw": (8000,),
    "alaw": (8000,),
    "mp3": (22050, 24000, 44100),
    "opus": (48000,),
}
_KILOBITS: Mapping[str, tuple[int, ...]] = {"mp3": (32, 48, 64, 96, 128, 192), "opus": (32, 64, 96, 128, 192)}


def output_format(name: str) -> OutputFormat:
    """The format behind a name such as `pcm_16000` or `mp3_22050_32`.

    Raises:
        VoxwireError: client.unsupported_audio, with the supported formats in `details["formats"]`.
    """
    parts = _NAME.fullmatch(name)
    if parts is not None:
        kind, rate, kilobits = parts[1], int(parts[2]), int(parts[3]) if parts[3] else None
        if rate in _RATES[kind] and (kilobits is None or kilobits in _KILOBITS.get(kind, ())):
            codec, container = _CODECS[kind]
            bitrate = None if kilobits is None else kilobits * 1000
            return OutputFormat(codec=codec, sample_rate=rate, container=container, bitrate=bitrate)
    raise VoxwireError(
        ErrorCode.UNSUPPORTED_AUDIO,
        f"there is no output format {name[:64]!r}; there are {', '.join(format_names())}",
        details={"field": "output_format", "formats": format_names()},
        hint="Use one of `details.formats`.",
    )


def format_names() -> list[str]:
    """Every output format."""
    return [
        f"{kind}_{rate}{bits}"
        for kind, rates in _RATES.items()
        for rate in rates
        for bits in [f"_{kilobits}" for kilobits in _KILOBITS.get(kind, ())] or [""]
    ]
