"""The life of one accepted WebSocket: reads until it ends, and sees that a slow or dead peer is let go."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.transport.turns import SHARE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.websockets import WebSocket

    from voxwire_server.transport.loop_share import LoopShare
    from voxwire_server.transport.wire import WireProtocol

log = logging.getLogger("voxwire.stream")


class SessionHandler(Protocol):
    """Whose connection it is: a session, native or translated. Calls never wait."""

    closed: asyncio.Event
    """Set once the session wants the connection closed and has written everything before."""

    @property
    def close_reason(self) -> tuple[int, str]:
        """How the session wants it closed: code and reason."""

    @property
    def over(self) -> bool:
        """Whether the session has ended."""

    def open(self) -> None:
        """The connection is open."""

    def take(self, raw: str | bytes) -> None:
        """A message came."""

    def read_delay(self) -> float:
        """Seconds to wait before the next message is read."""

    def writable(self, writable: bool) -> None:
        """The socket takes more, or does not."""

    def fail(self, error: VoxwireError) -> None:
        """End the session with an error."""

    def disconnected(self, code: int) -> None:
        """The connection is gone; `code` is the peer's, 1005 for none, 1006 when it vanished."""


class Connection:
    """Runs one session on one socket."""

    def __init__(
        self,
        socket: WebSocket,
        wire: WireProtocol,
        speaker: SessionHandler,
        *,
        slow_reader_seconds: float,
        outbox_bytes_max: int,
        share: LoopShare,
    ) -> None:
        """`slow_reader_seconds`: how long a client may leave its socket full. `outbox_bytes_max`: how many bytes may
        wait for it. `share`: its part of the loop's time."""
        self._socket = socket
        self._wire = wire
        self._speaker = speaker
        self._slow_reader_seconds = slow_reader_seconds
        self._outbox_bytes_max = outbox_bytes_max
        self._share = share
        self._slow: asyncio.TimerHandle | None = None

    async def run(self, first: Sequence[str | bytes] = ()) -> None:
        """Serve the connection; returns when it is over. `first` are messages that were read already."""
        speaker = self._speaker
        self._wire.on_writable = self._writable
        self._wire.on_flood = speaker.fail
        reader = asyncio.create_task(self._read(), name="voxwire-read")
        closed = asyncio.create_task(speaker.closed.wait(), name="voxwire-closed")
        try:
            speaker.open()
            for raw in first:
                speaker.take(raw)
            await asyncio.wait((reader, closed), return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                await self._close(*speaker.close_reason)
            elif reader.exception() is not None:
                log.error("a session failed", exc_info=reader.exception())
                speaker.fail(VoxwireError(ErrorCode.INTERNAL, "the session failed"))
                await self._close(*speaker.close_reason)
        finally:
            self._wire.on_writable = self._wire.on_flood = None
            if self._slow is not None:
                self._slow.cancel()
            closed.cancel()
            reader.cancel()
            await asyncio.gather(reader, closed, return_exceptions=True)
            speaker.disconnected(self._wire.peer_code)
            self._wire.let_go()

    def written(self) -> None:
        """Something was written: bound what waits."""
        if self._wire.buffered_bytes > self._outbox_bytes_max and not self._speaker.over:
            self._too_slow()

    async def _read(self) -> None:
        socket, speaker = self._socket, self._speaker
        turn_ends = 0.0
        while True:
            # A client that asks without reading the answers is not listened to until it reads.
            await self._wire.writable.wait()
            if self._wire.disconnected:
                # Whoever is gone has no use for what they still wanted; a flood would be read for minutes.
                return
            event: Any = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            wait = self._share.wait(time.monotonic())
            if wait > 0:
                await asyncio.sleep(wait)
            # `receive` does not suspend where messages wait already. They are taken in one turn: of a loop that others
            # keep busy there are few.
            if wait > 0 or time.perf_counter() >= turn_ends:
                await self._wire.turns.wait(self._share.principal)
                turn_ends = time.perf_counter() + SHARE_SECONDS
            raw: str | bytes | None = event.get("text")
            began, cpu_began = time.perf_counter(), time.thread_time()
            speaker.take(event["bytes"] if raw is None else raw)
            self._share.spent(time.thread_time() - cpu_began)
            self._wire.turns.spend(time.perf_counter() - began)
            delay = speaker.read_delay()
            if delay > 0 or speaker.over or time.perf_counter() >= turn_ends:
                turn_ends = 0.0
                await asyncio.sleep(max(0.0, delay))

    def _writable(self, writable: bool) -> None:
        self._speaker.writable(writable)
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if not writable:
            loop = asyncio.get_running_loop()
            self._slow = loop.call_later(self._slow_reader_seconds, self._too_slow)

    def _too_slow(self) -> None:
        """What is buffered would have to leave before a close frame could: the connection is cut instead."""
        self._slow = None
        self._speaker.fail(VoxwireError(ErrorCode.SLOW_READER, "the client does not read what it is sent"))
        self._wire.abort()

    async def _close(self, code: int, reason: str) -> None:
        if self._wire.is_open:
            await self._socket.close(code, reason)
