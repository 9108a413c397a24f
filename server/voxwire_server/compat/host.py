"""What vendors' endpoints need of the application."""

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
    from voxwire_server.transport.door import Door
    from voxwire_server.transport.loop_share import LoopShare


class CompatHost(Protocol):
    """The application, as vendors' endpoints see it."""

    services: SessionServices
    sessions: Sessions
    door: Door

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def containers(self) -> Executor:
        """The threads in which MP3, AAC, FLAC and Ogg are written."""

    def authenticate(
        self, connection: HTTPConnection, key: str | None = None, *, tokens: bool = False
    ) -> ClientIdentity:
        """Who asks. `key` is an API key found where only this vendor's clients put it, `tokens` whether a browser's
        token will do.

        Raises:
            VoxwireError: client.not_authenticated, client.not_allowed or client.rate_limited.
        """

    def admit_session(self, identity: ClientIdentity) -> None:
        """Let one more session of `identity` in.

        Raises:
            VoxwireError: server.not_ready, server.draining, server.too_many_sessions, server.overloaded or
                client.rate_limited.
        """

    def loop_share_of(self, identity: ClientIdentity) -> LoopShare:
        """The part of the loop's time that a connection of `identity` has."""

    def check_session(self, identity: ClientIdentity) -> None:
        """Say whether a session of `identity` would be let in; none is.

        Raises:
            VoxwireError: as `admit_session`.
        """

    def new_core(self, session_id: str, token: str, identity: ClientIdentity) -> SessionCore:
        """A session core of `identity` with the configured limits."""

    def engines(self) -> Sequence[EngineInfo]:
        """The engines that are loaded, the default first."""

    def default_voice(self) -> Voice:
        """The voice that speaks when a client names none."""

    def find_voice(self, name: str) -> Voice | None:
        """The voice of a name or an alias, patterns too; None where there is none."""

    def voice_aliases(self) -> Mapping[str, Voice]:
        """Other names under which voices can be had, and which they are."""

    def model_aliases(self) -> Sequence[str]:
        """Other names under which engines can be had."""

    def resolve_model(self, model: str) -> str:
        """The engine behind a vendor's model name.

        Raises:
            VoxwireError: client.invalid_field, with the names there are in `details["models"]`.
        """
