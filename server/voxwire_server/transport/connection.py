"""Runs one accepted WebSocket: reads its messages until it ends, and closes it when the peer is slow or gone."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.transport.input_scheduler import SLICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.websockets import WebSocket

    from voxwire_server.transport.fair_share import FairShare
    from voxwire_server.transport.websocket_protocol import WebSocketProtocol

log = logging.getLogger("voxwire.stream")


class SessionHandler(Protocol):
    """The session on a connection: a native one, or one that is translated for another vendor's client.

    Methods return at once and do not block.
    """

    closed: asyncio.Event
    """Set once the session wants the connection closed and has written everything before."""

    @property
    def close_reason(self) -> tuple[int, str]:
        """The close code and reason with which the session wants the connection closed."""

    @property
    def ended(self) -> bool:
        """Whether the session has ended on this connection."""

    def open(self) -> None:
        """The connection is open."""

    def receive(self, raw: str | bytes) -> None:
        """The client sent a message."""

    def read_delay(self) -> float:
        """Seconds to wait before the next message is read."""

    def writable(self, writable: bool) -> None:
        """Whether the transport's write buffer has room again, or is full from now on."""

    def fail(self, error: VoxwireError) -> None:
        """End the session with an error."""

    def disconnected(self, code: int) -> None:
        """The connection is gone; `code` is the peer's close code, 1005 where it gave none, 1006 without a close."""


class Connection:
    """Runs one session on one WebSocket."""

    def __init__(
        self,
        websocket: WebSocket,
        protocol: WebSocketProtocol,
        handler: SessionHandler,
        *,
        slow_reader_seconds: float,
        outbox_bytes_max: int,
        share: FairShare,
    ) -> None:
        """`slow_reader_seconds`: how long the write buffer may stay full. `outbox_bytes_max`: how many bytes it may
        hold. `share`: the share of the event loop's time that the connection's messages count towards."""
        self._websocket = websocket
        self._protocol = protocol
        self._handler = handler
        self._slow_reader_seconds = slow_reader_seconds
        self._outbox_bytes_max = outbox_bytes_max
        self._share = share
        self._slow_reader_timer: asyncio.TimerHandle | None = None

    async def run(self, first: Sequence[str | bytes] = ()) -> None:
        """Serve the connection; returns when it is closed. `first` are messages that were read already."""
        handler = self._handler
        self._protocol.on_writable = self._writable
        self._protocol.on_flood = handler.fail
        reader = asyncio.create_task(self._read(), name="voxwire-read")
        closed = asyncio.create_task(handler.closed.wait(), name="voxwire-closed")
        try:
            handler.open()
            for raw in first:
                handler.receive(raw)
            await asyncio.wait((reader, closed), return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                await self._close(*handler.close_reason)
            elif reader.exception() is not None:
                log.error("a session failed", exc_info=reader.exception())
                handler.fail(VoxwireError(ErrorCode.INTERNAL, "the session failed"))
                await self._close(*handler.close_reason)
        finally:
            self._protocol.on_writable = self._protocol.on_flood = None
            if self._slow_reader_timer is not None:
                self._slow_reader_timer.cancel()
            closed.cancel()
            reader.cancel()
            await asyncio.gather(reader, closed, return_exceptions=True)
            handler.disconnected(self._protocol.peer_code)
            self._protocol.abort_later()

    def written(self) -> None:
        """The session has written: end it if too many bytes wait to be sent."""
        if self._protocol.buffered_bytes > self._outbox_bytes_max and not self._handler.ended:
            self._end_slow_reader()

    async def _read(self) -> None:
        websocket, handler = self._websocket, self._handler
        input_scheduler = self._protocol.input_scheduler
        slice_ends = 0.0
        while True:
            # A client that sends requests without reading the answers is not read until it reads them.
            await self._protocol.writable.wait()
            if self._protocol.disconnected:
                # Messages of a client that has gone are dropped: a flood of them would take minutes to handle.
                return
            event: Any = await websocket.receive()
            if event["type"] == "websocket.disconnect":
                return
            wait = self._share.wait(time.monotonic())
            if wait > 0:
                await asyncio.sleep(wait)
            # `receive` does not suspend where messages wait already. They are handled in one slice of time, and one
            # iteration of the event loop has few slices.
            if wait > 0 or time.perf_counter() >= slice_ends:
                await input_scheduler.wait(self._share.principal)
                slice_ends = time.perf_counter() + SLICE_SECONDS
            raw: str | bytes | None = event.get("text")
            began, cpu_began = time.perf_counter(), time.thread_time()
            handler.receive(event["bytes"] if raw is None else raw)
            self._share.spent(time.thread_time() - cpu_began)
            input_scheduler.add_time(time.perf_counter() - began)
            delay = handler.read_delay()
            if delay > 0 or handler.ended or time.perf_counter() >= slice_ends:
                slice_ends = 0.0
                await asyncio.sleep(max(0.0, delay))

    def _writable(self, writable: bool) -> None:
        self._handler.writable(writable)
        if self._slow_reader_timer is not None:
            self._slow_reader_timer.cancel()
            self._slow_reader_timer = None
        if not writable:
            loop = asyncio.get_running_loop()
            self._slow_reader_timer = loop.call_later(self._slow_reader_seconds, self._end_slow_reader)

    def _end_slow_reader(self) -> None:
        """Abort the connection: a close frame could leave only after everything that is buffered."""
        self._slow_reader_timer = None
        self._handler.fail(VoxwireError(ErrorCode.SLOW_READER, "the client does not read what it is sent"))
        self._protocol.abort()

    async def _close(self, code: int, reason: str) -> None:
        if self._protocol.is_open:
            await self._websocket.close(code, reason)
