"""Owns the TCP port of the Wyoming protocol and the connections to it."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from voxwire_server.compat.wyoming_server.conversation import WyomingHandler
from voxwire_server.compat.wyoming_server.events import LINE_BYTES_MAX
from voxwire_server.transport.door import State

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost

log = logging.getLogger("voxwire.wyoming")

WRITE_BUFFER_BYTES = 256 * 1024

FIRST_EVENT_SECONDS = 10.0
"""How long a connection may take to send its first event, to its end."""


class WyomingServer:
    """Listens from `start` to `stop`. Takes at most as many connections as the server takes sessions."""

    def __init__(self, host: CompatHost) -> None:
        self._host = host
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken, or is none of this machine's.
        """
        compat = self._host.config.compat
        self._server = await asyncio.start_server(
            self._connected, compat.wyoming_host, compat.wyoming_port, limit=LINE_BYTES_MAX
        )
        log.info("listening: tcp://%s:%d (Wyoming)", compat.wyoming_host, compat.wyoming_port)

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        guest = Guest(self._host, writer)
        if guest.place is None:
            writer.close()
            return
        if len(self._conversations) >= self._host.config.server.sessions_max:
            log.warning("%d connections are open, one more is refused", len(self._conversations))
            guest.leave()
            writer.close()
            return
        self._conversations.add(task)
        try:
            writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
            await WyomingHandler(self._host, reader, writer, guest.place.recognised).run()
        except Exception:
            log.exception("a connection failed")
        finally:
            self._conversations.discard(task)
            guest.leave()
            writer.close()


class Guest:
    """A connection as the door has it. There are no keys here: a client that has sent a whole event is let in."""

    def __init__(self, host: CompatHost, writer: asyncio.StreamWriter) -> None:
        self._transport = writer.transport
        self._reason = "gone"
        peer = writer.get_extra_info("peername")
        now = asyncio.get_running_loop().time()
        self.place = host.door.arrive(self, peer[0] if peer else "", now + FIRST_EVENT_SECONDS, now)
        if self.place is not None:
            self.place.known = State.WEBSOCKET

    def overdue(self, now: float) -> None:  # noqa: ARG002
        """See `Connection`."""
        assert self.place is not None, "only who has a place is looked after"
        self.place.due = math.inf
        if self.place.state is State.UNKNOWN:
            self._reason = "silent"
            self._transport.abort()

    def evict(self) -> None:
        """See `Connection`."""
        self._transport.abort()

    def leave(self) -> None:
        """The connection is over."""
        if self.place is not None:
            self.place.leave(self._reason)
