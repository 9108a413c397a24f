"""The answer to Home Assistant's `describe`: one program with every voice."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice

from voxwire_protocol.messages import PCM_RATES

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.speech import Voice

_MAKER = Attribution(name="voxwire", url="")
SAMPLE_RATE = 24000
"""The rate for an engine whose own rate the protocol does not have."""


def info(host: CompatHost) -> Info:
    """The answer to `describe`. A voice with a name that an earlier engine has is called `engine/voice`."""
    names: dict[str, Voice] = {}
    for engine in host.engines():
        for voice in engine.voices:
            names[voice.name if voice.name not in names else f"{voice.engine}/{voice.name}"] = voice
    voices = [
        TtsVoice(
            name=name,
            description=voice.description or name,
            attribution=_MAKER,
            installed=True,
            version=None,
            languages=list(voice.languages),
        )
        for name, voice in names.items()
    ]
    program = TtsProgram(
        name="voxwire",
        description="Streaming speech",
        attribution=_MAKER,
        installed=True,
        version=version("voxwire"),
        voices=voices,
        supports_synthesize_streaming=True,
    )
    return Info(tts=[program])


def sample_rate_of(host: CompatHost, voice: Voice) -> int:
    """The sample rate of a voice: its engine's own, where the protocol has it."""
    own = next(engine.sample_rate for engine in host.engines() if engine.name == voice.engine)
    return own if own in PCM_RATES else SAMPLE_RATE
