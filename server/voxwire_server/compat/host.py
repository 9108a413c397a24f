"""The interface of the application for vendors' endpoints, and how they find the voice that a request names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from starlette.requests import HTTPConnection

    from voxwire_server.config import Config
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.session.core import SessionCore
    from voxwire_server.session.ports import SessionServices
    from voxwire_server.session.quotas import ClientIdentity
    from voxwire_server.session.registry import Sessions
    from voxwire_server.speech import Voice
    from voxwire_server.transport.connection_limiter import ConnectionLimiter
    from voxwire_server.transport.fair_share import FairShare


class CompatHost(Protocol):
    """What vendors' endpoints need of the application."""

    services: SessionServices
    sessions: Sessions
    connection_limiter: ConnectionLimiter

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def containers(self) -> Executor:
        """The threads that encode MP3, AAC, FLAC and Ogg."""

    def authenticate(
        self, connection: HTTPConnection, key: str | None = None, *, tokens: bool = False
    ) -> ClientIdentity:
        """Identify a client. `key` is an API key from a place where only this vendor's clients put it; with `tokens` a
        browser's token is accepted, too.

        Raises:
            VoxwireError: client.not_authenticated, client.not_allowed or client.rate_limited.
        """

    def admit_session(self, identity: ClientIdentity) -> None:
        """Admit one more session of `identity`.

        Raises:
            VoxwireError: server.not_ready, server.draining, server.too_many_sessions, server.overloaded or
                client.rate_limited.
        """

    def fair_share_of(self, identity: ClientIdentity) -> FairShare:
        """The share of the event loop's time that a connection of `identity` counts towards."""

    def check_session(self, identity: ClientIdentity) -> None:
        """Check whether a session of `identity` would be admitted, without admitting it.

        Raises:
            VoxwireError: as `admit_session`.
        """

    def new_core(self, session_id: str, token: str, identity: ClientIdentity, dialect: str = "") -> SessionCore:
        """A session core of `identity` with the configured limits; `dialect` is the vendor whose tags its text has."""

    def engines(self) -> Sequence[EngineInfo]:
        """The engines that are loaded, the default first."""

    def default_voice(self) -> Voice:
        """The voice for clients that name none."""

    def find_voice(self, name: str) -> Voice | None:
        """The voice with a name or an alias (patterns included); None if there is none."""

    def voice_aliases(self) -> Mapping[str, Voice]:
        """The aliases of voices, patterns excluded, and their voices."""

    def model_aliases(self) -> Sequence[str]:
        """The aliases of engines, patterns excluded."""

    def resolve_model(self, model: str) -> str:
        """The engine behind a vendor's model name.

        Raises:
            VoxwireError: client.invalid_field, with the known names in `details["models"]`.
        """


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
