"""Reads Wyoming's events from a stream, within limits; finds the voice that they ask for; lists the voices.

An event is a line of JSON, then `data_length` bytes of more JSON, then `payload_length` bytes of anything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from wyoming.info import Attribution, Info, TtsProgram, TtsVoice

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.messages import PCM_RATES
from voxwire_server.compat.parsing import json_object

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.speech import Voice

LINE_BYTES_MAX = 64 * 1024
EVENT_SECONDS_MAX = 10.0
"""How long an event may take to arrive, once it has begun."""

_MAKER = Attribution(name="voxwire", url="")
SAMPLE_RATE = 24000
"""The rate for an engine whose own rate the protocol does not have."""


@dataclass(frozen=True, slots=True)
class WyomingEvent:
    """An event without its payload, which no event that is used here has."""

    type: str
    data: dict[str, Any]


async def read_event(reader: asyncio.StreamReader, first: bytes, bytes_max: int) -> WyomingEvent:
    """The event that begins with `first`. The reader's own limit is LINE_BYTES_MAX.

    Raises:
        VoxwireError: the event is malformed, too big, or incomplete.
        asyncio.IncompleteReadError: the client disconnected within the event.
    """
    try:
        async with asyncio.timeout(EVENT_SECONDS_MAX):
            # Buffered input is read without suspending; other connections are served between two events all the same.
            await asyncio.sleep(0)
            fields = json_object(first + await reader.readuntil(b"\n"))
            data = fields.get("data")
            data_bytes, payload_bytes = (_length(fields, name, bytes_max) for name in ("data_length", "payload_length"))
            more = json_object(await reader.readexactly(data_bytes)) if data_bytes else {}
            await reader.readexactly(payload_bytes)
    except asyncio.LimitOverrunError as error:
        raise VoxwireError(ErrorCode.MESSAGE_TOO_BIG, f"a line has more than {LINE_BYTES_MAX} bytes") from error
    except TimeoutError as error:
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, f"an event took over {EVENT_SECONDS_MAX:g} s") from error
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise VoxwireError(ErrorCode.MISSING_FIELD, "the event has no `type`")
    return WyomingEvent(kind, (data if isinstance(data, dict) else {}) | more)


def text_of(event: WyomingEvent, chars_max: int) -> str:
    """The text of an event.

    Raises:
        VoxwireError: client.missing_field, client.invalid_field, client.text_too_long.
    """
    text = event.data.get("text")
    if not isinstance(text, str):
        raise VoxwireError(ErrorCode.MISSING_FIELD, f"{event.type} has no `text`")
    if len(text) > chars_max:
        message = f"the text has {len(text)} characters, {chars_max} are allowed at once"
        raise VoxwireError(ErrorCode.TEXT_TOO_LONG, message)
    return text


def voice_of(host: CompatHost, event: WyomingEvent) -> Voice:
    """The voice that an event asks for, by name or else by language.

    Raises:
        VoxwireError: client.unknown_voice, client.unsupported_language; client.invalid_field for SSML.
    """
    if event.data.get("text_format") not in (None, "text"):
        raise VoxwireError(ErrorCode.INVALID_FIELD, "only plain text is spoken here")
    requested = event.data.get("voice")
    name = requested.get("name") if isinstance(requested, dict) else None
    language = requested.get("language") if isinstance(requested, dict) else None
    if isinstance(name, str):
        found = host.find_voice(name)
        if found is None:
            known = ", ".join(sorted({voice.name for info in host.engines() for voice in info.voices}))
            raise VoxwireError(ErrorCode.UNKNOWN_VOICE, f"there is no voice {name[:100]!r}; there are {known}")
        return found
    if isinstance(language, str):
        return _voice_for_language(host, language)
    return host.default_voice()


def _voice_for_language(host: CompatHost, language: str) -> Voice:
    """A voice for a language, the default voice first; a voice for "en-GB" serves "en_US", too."""
    requested = language.lower().replace("_", "-").split("-")[0]
    for voice in (host.default_voice(), *(voice for info in host.engines() for voice in info.voices)):
        if any(tag.lower().split("-")[0] == requested for tag in voice.languages):
            return voice
    raise VoxwireError(ErrorCode.UNSUPPORTED_LANGUAGE, f"no voice here speaks {language[:40]!r}")


def _length(fields: dict[str, Any], name: str, bytes_max: int) -> int:
    length = fields.get(name)
    if length is None:
        return 0
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise VoxwireError(ErrorCode.INVALID_FIELD, f"`{name}` is no length")
    if length > bytes_max:
        raise VoxwireError(ErrorCode.MESSAGE_TOO_BIG, f"`{name}` is more than {bytes_max}")
    return length


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
