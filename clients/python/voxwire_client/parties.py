"""What a session, its lines and its contexts want of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

    from voxwire_client.errors import ConnectionLost
    from voxwire_client.events import Interrupted, Reconnected
    from voxwire_client.line import Line
    from voxwire_protocol import messages as m
    from voxwire_protocol.audio import AudioFrame


class Listener(Protocol):
    """What a line needs of a context."""

    context: str

    @property
    def leaving(self) -> bool:
        """Whether it only waits for the server's last word."""

    def take(self, message: Any) -> None:
        """A message of this context came."""

    def take_frame(self, frame: AudioFrame, now: float) -> None:
        """An audio frame of this context came."""

    def acknowledgement(self, now: float) -> m.Ack | None:
        """What to tell the server of audio received and played."""

    def progress(self) -> tuple[int | None, int | None]:
        """The newest frame received and the newest text accepted, by the server's numbers; None: none."""

    def interrupted(self, event: Interrupted) -> None:
        """The connection dropped, and may come back."""

    def resumed(self, event: Reconnected) -> None:
        """The session goes on where it was."""

    def restart(self, line: Line, event: Reconnected | None) -> None:
        """The session is gone; `line` has a fresh one."""

    def lost(self, error: ConnectionLost) -> None:
        """The connection will not come back."""


class Link(Protocol):
    """What a context needs of its session."""

    narrow: bool
    """Set when the line was seen to carry what it has to without headroom."""

    step: int
    """How many steps below the bitrate that was wanted the newest speech that adapts is."""

    async def attach(self, context: Listener) -> Line:
        """Take the context's messages from now on; waits until a former context of its name is over.

        Raises:
            ValueError: the name is in use.
            ConnectionLost: there is no connection, nor will be.
        """

    def move(self, context: Listener) -> bool:
        """Let the context begin anew elsewhere, as its server goes away; False where there is no elsewhere."""

    def later(self, work: Coroutine[object, object, object]) -> asyncio.Task[None]:
        """Do something in the background; a lost connection is no error there."""


class Owner(Protocol):
    """Whose lines they are."""

    reconnect: bool
    reconnect_seconds: float | None

    def happened(self, line: Line, event: Interrupted | Reconnected) -> None:
        """A connection dropped, or came back."""

    def successor(self, line: Line) -> Line | None:
        """The line to which what is left of this one's speech can go; None: it has to come back itself."""

    def ended(self, line: Line, lost: ConnectionLost) -> None:
        """A line is over."""

    def vacated(self) -> None:
        """A context's name is free."""
