"""What a translator between a vendor's WebSocket messages and the session is, and what it may ask for. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_protocol.errors import VoxwireError
    from voxwire_server.compat.formats import OutputFormat
    from voxwire_server.compat.session_stream import AudioPiece


@dataclass(frozen=True, slots=True)
class Begin:
    """Open a context whose audio comes in `format`. Its name must be new on this connection."""

    start: m.Start
    format: OutputFormat


@dataclass(frozen=True, slots=True)
class Forward:
    """Pass a message to the session."""

    message: m.Text | m.Flush | m.End | m.Cancel | m.Hold | m.Release | m.Ack


@dataclass(frozen=True, slots=True)
class Reply:
    """Send a message to the client: bytes as a binary one, text as it is, anything else as JSON."""

    payload: bytes | str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the connection once everything before has been sent."""

    code: int = 1000
    reason: str = ""


Action = Begin | Forward | Reply | Hangup


class Translator(Protocol):
    """One connection's translation. No I/O and no clock: every method takes what happened and gives what to do.

    `due` is the monotonic second at which `tick` is wanted (None: never), read after every call.
    """

    due: float | None

    def opened(self, now: float) -> Iterable[Action]:
        """The connection is open and its client let in."""

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """The client sent a message.

        Raises:
            VoxwireError: it can't be understood; `refused` says how the client is told, and the connection goes on.
        """

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:
        """The session says something."""

    def audio(self, piece: AudioPiece, now: float) -> Iterable[Action]:
        """The session has audio."""

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:
        """A message was not understood, a context could not be begun, or the client is not let in at all."""

    def tick(self, now: float) -> Iterable[Action]:
        """It is `due`."""


@dataclass(slots=True)
class Names:
    """Gives every use of a vendor's context id a name of its own, because a line uses each name once."""

    _count: int = field(default=0)

    def new(self) -> str:
        """A name that was not given before."""
        self._count += 1
        return f"c{self._count}"
