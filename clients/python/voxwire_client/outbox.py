"""What the client sends to one session: in order and each message once, over all connections that carry the session."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from voxwire_client.errors import ConnectionLost
    from voxwire_protocol.codec import Codec

BYTES_MAX = 4 << 20
"""Bytes of unacknowledged messages from which on `send` waits for the server to acknowledge some."""


class SentMessages:
    """The encoded messages of one session that the server has not acknowledged, numbered from `first` on. Pure."""

    def __init__(self) -> None:
        self._kept: deque[str | bytes] = deque()
        self.first = 0
        self.bytes = 0

    @property
    def end(self) -> int:
        """The number that the next message will get."""
        return self.first + len(self._kept)

    def append(self, raw: str | bytes) -> int:
        """Keep a message; returns its number."""
        self._kept.append(raw)
        self.bytes += len(raw)
        return self.end - 1

    def at(self, number: int) -> str | bytes:
        """The message of a number from `first` to before `end`."""
        return self._kept[number - self.first]

    def acknowledge(self, count: int) -> None:
        """The server has received the first `count` messages of the session: forget them."""
        while self._kept and self.first < count:
            self.bytes -= len(self._kept.popleft())
            self.first += 1


class Outbox:
    """Numbers the messages of one session, and keeps each until the server is known to have received it."""

    def __init__(self, codec: Codec) -> None:
        self.lost: ConnectionLost | None = None
        """Why nothing can be sent any more; None while the session lives."""
        self.connected = False
        """Whether there is a connection now."""
        self._codec = codec
        self._messages = SentMessages()
        self._written = 0
        self._ping_times = itertools.count(1)
        self._pings: dict[int, int] = {}
        self._pongs: dict[int, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def received(self) -> int:
        """How many messages the server is known to have received."""
        return self._messages.first

    @property
    def has_unsent(self) -> bool:
        """Whether there are messages that have not been written to a socket yet."""
        return self._written < self._messages.end

    # -- sending ----------------------------------------------------------------------------------------------------

    def post(self, message: m.ClientMessage) -> int:
        """Send a message as soon as there is a connection; returns its number. Never waits.

        Raises:
            ConnectionLost: there will be no connection any more.
            ProtocolError: the message can't be encoded.
        """
        if self.lost is not None:
            raise self.lost
        number = self._messages.append(self._codec.encode(message))
        self._wake.set()
        return number

    async def send(self, message: m.ClientMessage) -> None:
        """Send a message, and wait until it is written to the socket.

        While there is no connection it does not wait, unless more than BYTES_MAX are unacknowledged.

        Raises: as `post`.
        """
        number, messages = self.post(message), self._messages
        while self.lost is None and messages is self._messages:
            full = messages.bytes > BYTES_MAX
            if not full and not (self.connected and self._written <= number):
                return
            if full and not self._pings:
                self.send_ping()  # Its answer acknowledges everything that was sent before it.
            await self.wait_changed()

    def send_ping(self) -> int:
        """Post a `ping`; returns its `t`."""
        t = next(self._ping_times)
        self._pings[t] = self.post(m.Ping(t=t))
        return t

    async def ping(self) -> None:
        """Wait until the server has answered everything that was sent so far.

        Raises:
            ConnectionLost: it does not answer any more.
        """
        t = self.send_ping()
        pong = self._pongs[t] = asyncio.get_running_loop().create_future()
        try:
            await pong
        finally:
            self._pongs.pop(t, None)

    async def wait_changed(self) -> None:
        """Wait until a message is written or acknowledged, or a connection comes or goes."""
        await self._changed.wait()

    # -- the connection, and what the server acknowledges -----------------------------------------------------------

    async def write_to(self, socket: ClientConnection) -> None:
        """Write all messages, those to come as well, until the connection is gone."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self.has_unsent:
                    raw = self._messages.at(self._written)
                    # Counted before it is written: the server may acknowledge it before this task goes on.
                    self._written += 1
                    await socket.send(raw)
                    self._notify()
                self._wake.clear()
                await self._wake.wait()

    def set_connected(self, connected: bool) -> None:
        """A connection came, or went."""
        self.connected = connected
        self._notify()

    def acknowledge(self, count: int) -> None:
        """The server has received the first `count` messages."""
        self._messages.acknowledge(min(count, self._messages.end))
        self._written = max(self._written, self._messages.first)
        self._notify()

    def on_pong(self, t: int) -> None:
        """A `pong` came."""
        number = self._pings.pop(t, None)
        if number is not None:
            self.acknowledge(number + 1)
        pong = self._pongs.get(t)
        if pong is not None and not pong.done():
            pong.set_result(None)

    def resend(self, count: int) -> None:
        """The session was resumed: the server has received the first `count` messages; write the rest again."""
        self.acknowledge(count)
        self._written = self._messages.first

    def reset(self) -> None:
        """The session was replaced by a fresh one: drop all messages, but send the pings again that are awaited."""
        self._messages, self._written = SentMessages(), 0
        self._pings.clear()
        for t in self._pongs:
            self._pings[t] = self.post(m.Ping(t=t))
        self._notify()

    def close(self, lost: ConnectionLost) -> None:
        """Nothing can be sent any more; `lost` is raised from now on, and where a `ping` is awaited."""
        self.lost = lost
        self.connected = False
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(lost)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed.clear()
