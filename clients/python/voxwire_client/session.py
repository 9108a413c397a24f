"""A session with a server: many utterances, over as many connections as it takes."""

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
from voxwire_client.dial import Dialer, Door, Encoding
from voxwire_client.errors import ConnectionLost
from voxwire_client.events import Interrupted, Reconnected
from voxwire_client.line import Line
from voxwire_client.utterance import Utterance
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import TracebackType

    from voxwire_client.parties import Listener
    from voxwire_client.tokens import Tokens

CONNECT_SECONDS_MAX = 10.0
SEED_BITS = 32
"""Any whole number will do; short ones are easier to write down."""


class Session:
    """A session; `connect` makes it. Many utterances can be spoken on it, one after another or at once.

    Where its connection drops it comes back by itself, and speech goes on where it was. It is `closed` only when that
    fails, is not wanted, or when `close` was called.
    """

    def __init__(
        self,
        dialer: Dialer,
        door: Door,
        *,
        reconnect: bool,
        reconnect_seconds: float | None,
        on_change: Callable[[Interrupted | Reconnected], None] | None,
    ) -> None:
        self.reconnect = reconnect
        self.reconnect_seconds = reconnect_seconds
        self.on_change = on_change
        self.narrow = False
        """Whether the line was seen to carry its audio without headroom; then `codec="auto"` is Opus."""
        self.step = 0
        """How many steps below the bitrate that was wanted the newest speech that adapts is."""
        self._dialer = dialer
        self._lost: ConnectionLost | None = None
        self._names = itertools.count(1)
        self._vacated = asyncio.Event()
        self._closed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._former: set[Line] = set()
        self._line = Line(self, dialer, door.ready, door)

    # -- speaking -------------------------------------------------------------------------------------------------

    def speak(self, text: Tokens, **options: Unpack[o.SpeakOptions]) -> Utterance:
        """Speak a text, or pieces of text as they are written. Iterate over the result for its events.

        `text` is a string, an iterable or an asynchronous iterable of strings, such as a language model's tokens.
        Nothing is sent before the first step of the iteration (or `open`).

        Raises:
            TypeError, ValueError: an option that there is not, or a name that can't be.
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
            # What has to be spoken anew on another server is to sound the same there.
            start = replace(start, seed=random.getrandbits(SEED_BITS))
        return start

    # -- the connection -------------------------------------------------------------------------------------------

    @property
    def ready(self) -> m.Ready:
        """The server's greeting, with its limits; another one where the session had to begin anew."""
        return self._line.ready

    @property
    def limits(self) -> m.Limits:
        """The session's bounds."""
        return self._line.ready.limits

    @property
    def draining(self) -> m.Draining | None:
        """Set once the server is going away; what comes next is spoken on another connection."""
        return self._line.draining

    @property
    def states(self) -> dict[str, m.ContextState]:
        """What each open context is doing, as the server last said."""
        return self._line.states

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._line.connected

    @property
    def closed(self) -> bool:
        """Whether the session is over: the connection is gone and will not come back."""
        return self._lost is not None

    async def wait_connected(self) -> None:
        """Wait until there is a connection.

        Raises:
            ConnectionLost: there will be none any more.
        """
        await self._line.wait_connected()

    async def wait_closed(self) -> ConnectionLost:
        """Wait until the session is over; returns why."""
        await self._closed.wait()
        assert self._lost is not None, "it is set first"
        return self._lost

    async def send(self, message: m.ClientMessage) -> None:
        """Send any message of the protocol as it is; `speak` and `context` send theirs themselves.

        Raises:
            ConnectionLost: there is nobody to send it to, nor will be.
            ProtocolError: the message can't be encoded.
        """
        await self._line.outbox.send(message)

    async def ping(self) -> float:
        """Ask the server for an answer; returns the milliseconds it took.

        Raises:
            ConnectionLost: it does not answer any more.
        """
        asked_at = time.monotonic()
        await self._line.outbox.ping()
        return (time.monotonic() - asked_at) * 1000

    async def close(self) -> None:
        """End the session; what is still being spoken is dropped."""
        await asyncio.gather(*(line.close() for line in [self._line, *self._former]))
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

    # -- what contexts want of it -----------------------------------------------------------------------------------

    async def attach(self, context: Listener) -> Line:
        """See `Link`."""
        while (former := self._named(context.context)) is not None:
            if not former.leaving:
                raise ValueError(f"context {context.context!r} is in use")
            self._vacated.clear()
            await self._vacated.wait()
        line = self._open_line()
        line.adopt(context)
        return line

    def move(self, context: Listener) -> bool:
        """See `Link`."""
        line = self._line_of(context)
        if not self.reconnect or line is None or self._lost is not None:
            return False
        if line is self._line:
            self._succeed()
        line.detach(context)
        self._line.adopt(context)
        context.restart(self._line, None)
        return True

    def later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        """See `Link`."""
        task = asyncio.create_task(_quietly(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _named(self, name: str) -> Listener | None:
        for line in (self._line, *self._former):
            if name in line.contexts:
                return line.contexts[name]
        return None

    def _line_of(self, context: Listener) -> Line | None:
        lines = (self._line, *self._former)
        return next((line for line in lines if line.contexts.get(context.context) is context), None)

    def _open_line(self) -> Line:
        """The line for new speech.

        Raises:
            ConnectionLost: there is none.
        """
        if self._lost is not None:
            raise self._lost
        if self._line.draining is not None and self.reconnect:
            self._succeed()
        return self._line

    def _succeed(self) -> None:
        """Open another connection; on the one there is, speech under way is finished."""
        self._former.add(self._line)
        self._line = Line(self, self._dialer, self._line.ready, None)

    # -- what lines tell ----------------------------------------------------------------------------------------------

    def happened(self, line: Line, event: Interrupted | Reconnected) -> None:
        """See `Owner`."""
        if line is self._line and self.on_change is not None:
            self.on_change(event)

    def successor(self, line: Line) -> Line | None:
        """See `Owner`."""
        return None if line is self._line or self._lost is not None else self._line

    def ended(self, line: Line, lost: ConnectionLost) -> None:
        """See `Owner`."""
        self._former.discard(line)
        if line is self._line and self._lost is None:
            self._lost = lost
            self._closed.set()
        self._vacated.set()

    def vacated(self) -> None:
        """See `Owner`."""
        self._vacated.set()


class connect:  # noqa: N801 - used like a function
    """Connect to a server: `async with connect(url) as session`, or `session = await connect(url)` and `close`.

    `url` may leave out the path, and may begin with http or https; left out altogether, the environment variable
    VOXWIRE_URL counts, then a server on this machine. `api_key` (or VOXWIRE_API_KEY) is an API key or a token.
    `timeout` is in seconds, for the whole of connecting.

    With `reconnect` a session whose connection drops comes back by itself, and tries for `reconnect_seconds` (by
    default as long as the server keeps the session, thirty seconds at least). `on_change` is called when the connection
    drops and when it is back. The first connection is tried once.

    Raises:
        VoxwireError: the server refused (client.not_authenticated, server.too_many_sessions, …).
        ConnectionLost: there is no server, or it is not one of ours.
        ValueError: the URL is none, or there is no such encoding.
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


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(ConnectionLost):
        await work
