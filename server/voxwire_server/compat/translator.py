"""The interface of translators between a vendor's WebSocket messages and a session, and the actions they return."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.compat.session import EncodedAudio, OutputFormat


@dataclass(frozen=True, slots=True)
class StartContext:
    """Open a context whose audio comes in `format`. Its name must not have been used on this connection."""

    start: m.Start
    format: OutputFormat


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass a message to the session."""

    message: m.Text | m.Flush | m.End | m.Cancel | m.Hold | m.Release | m.Ack


@dataclass(frozen=True, slots=True)
class Reply:
    """Send a message to the client: bytes as a binary message, a string as a text message, a dictionary as JSON."""

    payload: bytes | str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection once everything before has been sent."""

    code: int = 1000
    reason: str = ""


Action = StartContext | Forward | Reply | Close


class Translator(Protocol):
    """Translates one connection, without I/O and without a clock: each method takes an event and returns actions.

    `due` is the monotonic second at which `tick` is to be called (None: never), read after every call.
    """

    due: float | None

    def opened(self, now: float) -> Iterable[Action]:
        """The connection is open and its client admitted."""

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """The client sent a message.

        Raises:
            VoxwireError: the message is invalid. `refused` makes the reply, and the connection goes on.
        """

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:
        """The session sent a message."""

    def audio(self, audio: EncodedAudio, now: float) -> Iterable[Action]:
        """The session sent audio."""

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:
        """A message was invalid, a context could not be opened, or the client is not admitted."""

    def tick(self, now: float) -> Iterable[Action]:
        """The time `due` has come."""


@dataclass(slots=True)
class ContextNames:
    """Makes a new context name for each use of a vendor's context id: a session takes each name once."""

    _count: int = field(default=0)

    def new(self) -> str:
        """A name that was not returned before."""
        self._count += 1
        return f"c{self._count}"
