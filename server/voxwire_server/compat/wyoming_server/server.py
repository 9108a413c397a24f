"""Owns the TCP port of the Wyoming protocol and the connections to it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from voxwire_server.compat.wyoming_server.conversation import Conversation
from voxwire_server.compat.wyoming_server.events import LINE_BYTES_MAX

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost

log = logging.getLogger("voxwire.wyoming")

WRITE_BUFFER_BYTES = 256 * 1024


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
        if len(self._conversations) >= self._host.config.server.sessions_max:
            log.warning("%d connections are open, one more is refused", len(self._conversations))
            writer.close()
            return
        self._conversations.add(task)
        try:
            writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
            await Conversation(self._host, reader, writer).run()
        except Exception:
            log.exception("a connection failed")
        finally:
            self._conversations.discard(task)
            writer.close()
