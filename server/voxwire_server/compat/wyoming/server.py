"""The TCP server of the Wyoming protocol: its port and its connections."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from voxwire_server.compat.wyoming.handler import WyomingHandler
from voxwire_server.compat.wyoming.messages import LINE_BYTES_MAX
from voxwire_server.transport.connection_limiter import ConnectionState

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost

log = logging.getLogger("voxwire.wyoming")

WRITE_BUFFER_BYTES = 256 * 1024

FIRST_EVENT_SECONDS = 10.0
"""How long a connection may take to send its first event."""


class WyomingServer:
    """Listens from `start` to `stop`. Accepts at most as many connections as the server has sessions."""

    def __init__(self, host: CompatHost) -> None:
        self._host = host
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken, or the address is not one of this machine.
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs this in a task"
        connection = WyomingConnection(self._host, writer)
        if connection.slot is None:
            writer.close()
            return
        if len(self._tasks) >= self._host.config.server.sessions_max:
            log.warning("%d connections are open, one more is refused", len(self._tasks))
            connection.release()
            writer.close()
            return
        self._tasks.add(task)
        try:
            writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
            await WyomingHandler(self._host, reader, writer, connection.slot.mark_authenticated).run()
        except Exception:
            log.exception("a connection failed")
        finally:
            self._tasks.discard(task)
            connection.release()
            writer.close()


class WyomingConnection:
    """The `LimitedConnection` of a TCP connection.

    The protocol has no keys: a client counts as authenticated once it has sent a whole event.
    """

    def __init__(self, host: CompatHost, writer: asyncio.StreamWriter) -> None:
        self._transport = writer.transport
        self._close_reason = "gone"
        peer = writer.get_extra_info("peername")
        now = asyncio.get_running_loop().time()
        address = peer[0] if peer else ""
        self.slot = host.connection_limiter.acquire(self, address, now + FIRST_EVENT_SECONDS, now)
        if self.slot is not None:
            self.slot.authenticated_state = ConnectionState.WEBSOCKET

    def deadline_passed(self, now: float) -> None:  # noqa: ARG002
        """See `LimitedConnection`."""
        assert self.slot is not None, "only connections with a slot are swept"
        self.slot.deadline = math.inf
        if self.slot.state is ConnectionState.UNAUTHENTICATED:
            self._close_reason = "silent"
            self._transport.abort()

    def evict(self) -> None:
        """See `LimitedConnection`."""
        self._transport.abort()

    def release(self) -> None:
        """Release the slot: the connection has ended."""
        if self.slot is not None:
            self.slot.release(self._close_reason)
