"""What this side says to one session: in order, each message once, whatever becomes of the sockets under it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from voxwire_client.journal import BYTES_MAX, Journal
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from voxwire_client.errors import ConnectionLost
    from voxwire_protocol.codec import Codec


class Outbox:
    """Numbers the messages of one session, and keeps each until the server is known to have it."""

    def __init__(self, codec: Codec) -> None:
        self.over: ConnectionLost | None = None
        """Why nothing can be said any more."""
        self.flowing = False
        """Whether there is a connection now."""
        self._codec = codec
        self._journal = Journal()
        self._written = 0
        self._times = itertools.count(1)
        self._pings: dict[int, int] = {}
        self._pongs: dict[int, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()

    @property
    def received(self) -> int:
        """How many messages the server is known to have."""
        return self._journal.first

    @property
    def waiting(self) -> bool:
        """Whether something has not been written yet."""
        return self._written < self._journal.end

    # -- saying -----------------------------------------------------------------------------------------------------

    def post(self, message: m.ClientMessage) -> int:
        """Say something as soon as there is a connection; returns its number. Never waits.

        Raises:
            ConnectionLost: there will be none any more.
            ProtocolError: the message can't be encoded.
        """
        if self.over is not None:
            raise self.over
        number = self._journal.append(self._codec.encode(message))
        self._wake.set()
        return number

    async def send(self, message: m.ClientMessage) -> None:
        """Say something, and wait until it is on its way; not while the connection is away, unless too much waits.

        Raises: as `post`.
        """
        number, journal = self.post(message), self._journal
        while self.over is None and journal is self._journal:
            full = journal.bytes > BYTES_MAX
            if not full and not (self.flowing and self._written <= number):
                return
            if full and not self._pings:
                self.ask()  # The answer tells that everything before it has come.
            await self.moved()

    def ask(self) -> int:
        """Say a `ping`; returns its `t`."""
        t = next(self._times)
        self._pings[t] = self.post(m.Ping(t=t))
        return t

    async def ping(self) -> None:
        """Wait until the server has answered everything that was said so far.

        Raises:
            ConnectionLost: it does not answer any more.
        """
        t = self.ask()
        pong = self._pongs[t] = asyncio.get_running_loop().create_future()
        try:
            await pong
        finally:
            self._pongs.pop(t, None)

    async def moved(self) -> None:
        """Wait until something was written or arrived, or a connection came or went."""
        await self._moved.wait()

    # -- what becomes of it -----------------------------------------------------------------------------------------

    async def write(self, socket: ClientConnection) -> None:
        """Write everything there is and will be, until the connection is gone."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self.waiting:
                    raw = self._journal.at(self._written)
                    # Counted before: the server may have told that it came before this task goes on.
                    self._written += 1
                    await socket.send(raw)
                    self._pulse()
                self._wake.clear()
                await self._wake.wait()

    def flow(self, flowing: bool) -> None:
        """A connection came, or went."""
        self.flowing = flowing
        self._pulse()

    def arrived(self, count: int) -> None:
        """The server has got the first `count` messages."""
        self._journal.received(min(count, self._journal.end))
        self._written = max(self._written, self._journal.first)
        self._pulse()

    def answered(self, t: int) -> None:
        """A `pong` came."""
        number = self._pings.pop(t, None)
        if number is not None:
            self.arrived(number + 1)
        pong = self._pongs.get(t)
        if pong is not None and not pong.done():
            pong.set_result(None)

    def say_again(self, count: int) -> None:
        """The server has got the first `count` messages, and none of the rest."""
        self.arrived(count)
        self._written = self._journal.first

    def begin_anew(self) -> None:
        """There is a fresh session: nothing of what was said counts any more, but for pings that somebody awaits."""
        self._journal, self._written = Journal(), 0
        self._pings.clear()
        for t in self._pongs:
            self._pings[t] = self.post(m.Ping(t=t))
        self._pulse()

    def end(self, lost: ConnectionLost) -> None:
        """Nothing can be said any more."""
        self.over = lost
        self.flowing = False
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(lost)
        self._pulse()

    def _pulse(self) -> None:
        self._moved.set()
        self._moved.clear()
