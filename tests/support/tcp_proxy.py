"""A TCP proxy on loopback that cuts, stalls and throttles what passes through it, where a test wants it.

async with Proxy(server_port) as proxy:
    proxy.cut_after(bytes_down=1000)
    ... connect to proxy.port ...
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

READ_BYTES = 16384
THROTTLED_READ_BYTES = 1024
"""Small, so that a throttled line trickles rather than bursts."""


@dataclass
class Direction:
    """One way through the proxy: how many bytes passed in all, and how many may still pass before everything is cut."""

    passed: int = 0
    left: int | None = None


class Proxy:
    """Passes connections on to a port of this machine. `up` is from the client to the server, `down` the other way."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        """How many were accepted so far."""
        self.cuts = 0
        """How many were cut while they were open."""
        self.up = Direction()
        self.down = Direction()
        self._schedule: deque[tuple[int | None, int | None]] = deque()
        self._refusing = False
        self._bytes_per_second: float | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._accepted = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0, limit=READ_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self._abort_all()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what a test does to the line -------------------------------------------------------------------------------

    def cut(self) -> None:
        """Abort every connection, without a goodbye. New ones are taken."""
        self.cuts += len(self._open) // 2
        self._abort_all()

    def cut_after(self, *, bytes_up: int | None = None, bytes_down: int | None = None) -> None:
        """Cut everything once so many more bytes have passed in one of the directions; exact to the byte."""
        self.up.left, self.down.left = bytes_up, bytes_down

    def cut_each(self, *schedule: tuple[int | None, int | None]) -> None:
        """Cut each of the next connections after so many bytes (up, down) of its own; later ones are left alone."""
        self._schedule.extend(schedule)

    def stall(self) -> None:
        """Let nothing pass, and keep everything open: a line that went dead without a word."""
        self._flowing.clear()

    def flow(self) -> None:
        """Let everything pass again."""
        self._flowing.set()

    def throttle(self, bytes_per_second: float | None) -> None:
        """Let no more pass per connection and direction; None: as much as there is."""
        self._bytes_per_second = bytes_per_second

    def refuse(self, refusing: bool) -> None:
        """Close new connections at once, as if nobody listened; or take them again."""
        self._refusing = refusing

    async def accepted(self) -> None:
        """Wait until the next connection has been taken."""
        self._accepted.clear()
        await self._accepted.wait()

    # -- passing on ---------------------------------------------------------------------------------------------------

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._refusing:
                writer.transport.abort()
            else:
                await self._connect(reader, writer)
        except OSError:
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()  # Only the end of the proxy cancels; a server's own task may not be seen to fail.
        finally:
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.target_port, limit=READ_BYTES)
        if self._schedule:
            self.up.left, self.down.left = self._schedule.popleft()
        self.connections += 1
        self._accepted.set()
        both = {writer, back_writer}
        self._open |= both
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(self.up, reader, back_writer))
                group.create_task(self._pass(self.down, back_reader, writer))
        except* OSError:
            pass
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()

    async def _pass(self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await reader.read(READ_BYTES if self._bytes_per_second is None else THROTTLED_READ_BYTES)
            await self._flowing.wait()
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            if direction.left is not None and len(data) >= direction.left:
                await self._cut_at(direction, data[: direction.left], writer)
                return
            if direction.left is not None:
                direction.left -= len(data)
            direction.passed += len(data)
            writer.write(data)
            await writer.drain()
            if self._bytes_per_second is not None:
                await asyncio.sleep(len(data) / self._bytes_per_second)

    async def _cut_at(self, direction: Direction, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Let the last bytes through, then close that side in order, so that they are read before the end."""
        self.up.left = self.down.left = None
        direction.passed += len(data)
        if data:
            writer.write(data)
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.write_eof()
        # Without a turn of the loop the kernel would throw away with the reset what it has not handed over.
        for _ in range(3):
            await asyncio.sleep(0)
        self.cut()

    def _abort_all(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()
