"""The caller's session with a server: any number of utterances, over one connection after another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from voxwire_client import options as o
from voxwire_client.context import Context
from voxwire_client.dialer import Dialer, Encoding, OpenSocket
from voxwire_client.errors import ConnectionLost
from voxwire_client.events import Interrupted, Reconnected
from voxwire_client.resumable_connection import ResumableConnection
from voxwire_client.utterance import Utterance
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from voxwire_client.resumable_connection import ContextHandler
    from voxwire_client.tokens import Tokens

CONNECT_SECONDS_MAX = 10.0
SEED_BITS = 32
"""The protocol takes any whole number; short ones are easier to write down."""


class Session:
    """A session; `connect` makes it. Many utterances can be spoken on it, one after another or at once.

    When its connection drops it reconnects by itself, and speech goes on where it was. It is `closed` only when that
    fails, when `reconnect` is off, or when `close` was called.
    """

    def __init__(
        self,
        dialer: Dialer,
        open_socket: OpenSocket,
        *,
        reconnect: bool,
        reconnect_seconds: float | None,
        on_change: Callable[[Interrupted | Reconnected], None] | None,
    ) -> None:
        self.reconnect = reconnect
        self.reconnect_seconds = reconnect_seconds
        self.on_change = on_change
        self.narrow = False
        """Whether the network link was measured to carry the audio without headroom; then `codec="auto"` is Opus."""
        self.step = 0
        """How many steps below the bitrate that was asked for the newest context with `adapt` is."""
        self._dialer = dialer
        self._lost: ConnectionLost | None = None
        self._names = itertools.count(1)
        self._context_detached = asyncio.Event()
        self._closed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._draining: set[ResumableConnection] = set()
        self._connection = ResumableConnection(self, dialer, open_socket.ready, open_socket)

    # -- speaking -------------------------------------------------------------------------------------------------

    def speak(self, text: Tokens, **options: Unpack[o.SpeakOptions]) -> Utterance:
        """Speak a text, or pieces of text as they are written. Iterate over the result for its events.

        `text` is a string, an iterable or an asynchronous iterable of strings, such as a language model's tokens.
        Nothing is sent before the first step of the iteration (or `open`).

        Raises:
            TypeError, ValueError: there is no such option, or a context can't have such a name.
        """
        return Utterance(self, self._start(options), text, adapt=options.get("adapt", False))

    def context(self, **options: Unpack[o.SpeakOptions]) -> Context:
        """A context whose text you write yourself: `text`, `flush`, `end`. Options as in `speak`."""
        return Context(self, self._start(options), adapt=options.get("adapt", False))

    def utterance(self, **options: Unpack[o.SpeakOptions]) -> Context:
        """Another name of `context`."""
        return self.context(**options)

    def _start(self, options: o.SpeakOptions) -> m.Start:
        start = o.start(options, f"u{next(self._names)}", narrow=self.narrow)
        if start.seed is None and self.reconnect:
            # What another server has to speak again is to sound the same there.
            start = replace(start, seed=random.getrandbits(SEED_BITS))
        return start

    # -- the connection -------------------------------------------------------------------------------------------

    @property
    def ready(self) -> m.Ready:
        """The server's `ready`, with its limits; replaced when a fresh session takes over."""
        return self._connection.ready

    @property
    def limits(self) -> m.Limits:
        """The session's bounds."""
        return self._connection.ready.limits

    @property
    def draining(self) -> m.Draining | None:
        """Set once the server is going away; new speech goes to another connection."""
        return self._connection.draining

    @property
    def states(self) -> dict[str, m.ContextState]:
        """What each open context is doing, from the server's last `state`."""
        return self._connection.states

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection.connected

    @property
    def closed(self) -> bool:
        """Whether the session is over: the connection is gone and will not come back."""
        return self._lost is not None

    async def wait_connected(self) -> None:
        """Wait until there is a connection.

        Raises:
            ConnectionLost: there will be none any more.
        """
        await self._connection.wait_connected()

    async def wait_closed(self) -> ConnectionLost:
        """Wait until the session is over; returns why."""
        await self._closed.wait()
        assert self._lost is not None, "it is set before `_closed`"
        return self._lost

    async def send(self, message: m.ClientMessage) -> None:
        """Send any message of the protocol as it is; `speak` and `context` send theirs themselves.

        Raises:
            ConnectionLost: there is no connection, nor will be.
            ProtocolError: the message can't be encoded.
        """
        await self._connection.outbox.send(message)

    async def ping(self) -> float:
        """Ask the server for an answer; returns the milliseconds it took.

        Raises:
            ConnectionLost: it does not answer any more.
        """
        asked_at = time.monotonic()
        await self._connection.outbox.ping()
        return (time.monotonic() - asked_at) * 1000

    async def close(self) -> None:
        """End the session; what is still being spoken is dropped."""
        await asyncio.gather(*(connection.close() for connection in [self._connection, *self._draining]))
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- for its contexts (`ContextSession`) -------------------------------------------------------------------------

    async def attach(self, context: ContextHandler) -> ResumableConnection:
        """See `ContextSession`."""
        while (former := self._named(context.context)) is not None:
            if not former.closing:
                raise ValueError(f"context {context.context!r} is in use")
            self._context_detached.clear()
            await self._context_detached.wait()
        connection = self._connection_for_new_speech()
        connection.attach(context)
        return connection

    def move(self, context: ContextHandler) -> bool:
        """See `ContextSession`."""
        connection = self._connection_of(context)
        if not self.reconnect or connection is None or self._lost is not None:
            return False
        if connection is self._connection:
            self._open_successor()
        connection.detach(context)
        self._connection.attach(context)
        context.restart(self._connection, None)
        return True

    def run_in_background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        """See `ContextSession`."""
        task = asyncio.create_task(_ignoring_lost_connection(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _named(self, name: str) -> ContextHandler | None:
        for connection in (self._connection, *self._draining):
            if name in connection.contexts:
                return connection.contexts[name]
        return None

    def _connection_of(self, context: ContextHandler) -> ResumableConnection | None:
        connections = (self._connection, *self._draining)
        return next((each for each in connections if each.contexts.get(context.context) is context), None)

    def _connection_for_new_speech(self) -> ResumableConnection:
        """The connection for new contexts; another one is opened when the server is draining.

        Raises:
            ConnectionLost: there is none.
        """
        if self._lost is not None:
            raise self._lost
        if self._connection.draining is not None and self.reconnect:
            self._open_successor()
        return self._connection

    def _open_successor(self) -> None:
        """Open another connection; the current one finishes the speech that is under way."""
        self._draining.add(self._connection)
        self._connection = ResumableConnection(self, self._dialer, self._connection.ready, None)

    # -- for its connections (`ConnectionOwner`) --------------------------------------------------------------------

    def on_connection_event(self, connection: ResumableConnection, event: Interrupted | Reconnected) -> None:
        """See `ConnectionOwner`."""
        if connection is self._connection and self.on_change is not None:
            self.on_change(event)

    def successor(self, connection: ResumableConnection) -> ResumableConnection | None:
        """See `ConnectionOwner`."""
        return None if connection is self._connection or self._lost is not None else self._connection

    def on_connection_lost(self, connection: ResumableConnection, lost: ConnectionLost) -> None:
        """See `ConnectionOwner`."""
        self._draining.discard(connection)
        if connection is self._connection and self._lost is None:
            self._lost = lost
            self._closed.set()
        self._context_detached.set()

    def on_context_detached(self) -> None:
        """See `ConnectionOwner`."""
        self._context_detached.set()


class connect:  # noqa: N801 - used like a function
    """Connect to a server: `async with connect(url) as session`, or `session = await connect(url)` and `close`.

    `url` may leave out the path, and may begin with http or https. By default it is the environment variable
    VOXWIRE_URL, or else a server on this machine. `api_key` (or VOXWIRE_API_KEY) is an API key or a token.
    `timeout` is in seconds, for the whole of connecting.

    With `reconnect` a session whose connection drops reconnects by itself, and tries for `reconnect_seconds` (by
    default as long as the server keeps the session, thirty seconds at least). `on_change` is called when the connection
    drops and when it is back. The first connection is tried once.

    Raises:
        VoxwireError: the server refused (client.not_authenticated, server.too_many_sessions, …).
        ConnectionLost: there is no server, or it does not speak this protocol.
        ValueError: the URL is not valid, or there is no such encoding.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        encoding: Encoding = "msgpack",
        timeout: float = CONNECT_SECONDS_MAX,
        reconnect: bool = True,
        reconnect_seconds: float | None = None,
        on_change: Callable[[Interrupted | Reconnected], None] | None = None,
    ) -> None:
        self._dialer = Dialer(url, api_key, encoding, timeout)
        self._reconnect = reconnect
        self._reconnect_seconds = reconnect_seconds
        self._on_change = on_change
        self._session: Session | None = None

    @property
    def url(self) -> str:
        """Where it connects to."""
        return self._dialer.url

    def __await__(self) -> Generator[Any, None, Session]:
        return self._connect().__await__()

    async def __aenter__(self) -> Session:
        self._session = await self._connect()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def _connect(self) -> Session:
        return Session(
            self._dialer,
            await self._dialer.dial(),
            reconnect=self._reconnect,
            reconnect_seconds=self._reconnect_seconds,
            on_change=self._on_change,
        )


async def _ignoring_lost_connection(work: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(ConnectionLost):
        await work
