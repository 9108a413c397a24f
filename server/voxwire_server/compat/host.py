"""The interface of the application for vendors' endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

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

    def new_core(self, session_id: str, token: str, identity: ClientIdentity) -> SessionCore:
        """A session core of `identity` with the configured limits."""

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
