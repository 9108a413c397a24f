"""The client for programs without asyncio: the same session, its event loop in a thread.

with connect(url) as session:
    for event in session.speak(tokens, voice="heart"):
        ...

Every method may be called from any thread: one can `cancel` an utterance while another iterates over its events.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from voxwire_client import session as asynchronous
from voxwire_client.session import CONNECT_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
    from types import TracebackType

    from voxwire_client.context import Context
    from voxwire_client.dialer import Encoding
    from voxwire_client.events import Event, Interrupted, Reconnected
    from voxwire_client.options import SpeakOptions
    from voxwire_client.playout_clock import PlayoutClock
    from voxwire_client.timed_events import TimedEvent
    from voxwire_protocol import messages as m

T = TypeVar("T")


class SyncContext:
    """One context; iterate over it for its events. Its methods are those of `Context`, and wait."""

    def __init__(self, session: SyncSession, context: Context) -> None:
        self._session = session
        self._context = context

    @property
    def context(self) -> str:
        """The context's name."""
        return self._context.context

    @property
    def playout(self) -> PlayoutClock:
        """What the listener hears now; a player may drive it from its own thread."""
        return self._context.playout

    @property
    def started(self) -> m.Started | None:
        """The server's `started`: voice, engine and audio format."""
        return self._context.started

    @property
    def done(self) -> m.Done | None:
        """How it ended."""
        return self._context.done

    @property
    def ttfa_client_ms(self) -> float | None:
        """From the first text sent to the first audio frame received."""
        return self._context.ttfa_client_ms

    def __iter__(self) -> Iterator[Event]:
        run, events = self._session._run, aiter(self._context)
        try:
            while (event := run(_next(events))) is not None:
                yield event
        finally:
            if not self._session.closed:
                run(_close(events))

    def text(self, text: str, *, flush: bool = False) -> None:
        """Append text."""
        self._session._run(self._context.text(text, flush=flush))

    def flush(self, id: str | None = None) -> None:
        """Speak all text that was written so far."""
        self._session._run(self._context.flush(id))

    def end(self) -> None:
        """No more text."""
        self._session._run(self._context.end())

    def retract(self, from_char: int) -> int:
        """Drop text that is not being spoken yet; returns how many characters are left."""
        return self._session._run(self._context.retract(from_char))

    def cancel(self, played_pts: int | None = None) -> m.Cancelled:
        """Barge-in; returns what was heard and what was not."""
        return self._session._run(self._context.cancel(played_pts))

    def hold(self) -> None:
        """Send no more audio for now."""
        self._session._run(self._context.hold())

    def release(self) -> None:
        """Go on after `hold`."""
        self._session._run(self._context.release())

    def configure(
        self, *, bitrate: int | None = None, pacing: m.PacingMode | None = None, lead_ms: int | None = None
    ) -> None:
        """Change Opus' bitrate or the pacing."""
        self._session._run(self._context.configure(bitrate=bitrate, pacing=pacing, lead_ms=lead_ms))

    def moments(self) -> Iterator[TimedEvent]:
        """Clauses, words, phonemes and visemes when they are heard; waits for each. Needs a thread of its own."""
        run, moments = self._session._run, self._context.moments()
        return iter(lambda: run(_next_timed(moments)), None)

    def mouth(self) -> list[float]:
        """The weights of the fifteen mouth shapes for the audio that is heard now, by id."""
        return self._session._run(_mouth(self._context))

    def __enter__(self) -> Self:
        self._session._run(self._context.open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._session.closed:
            self._session._run(_abandon(self._context))


class SyncSession:
    """A session whose calls wait. `connect` makes it."""

    def __init__(self, opening: asynchronous.connect) -> None:
        self._loop = asyncio.new_event_loop()
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="voxwire-client", daemon=True)
        self._thread.start()
        try:
            self._session = self._run(_connect(opening))
        except BaseException:
            self._stop()
            raise

    @property
    def ready(self) -> m.Ready:
        """The server's `ready`, with its limits."""
        return self._session.ready

    @property
    def draining(self) -> m.Draining | None:
        """Set once the server is going away."""
        return self._session.draining

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._session.connected

    @property
    def closed(self) -> bool:
        """Whether the session was closed from this side."""
        return self._loop.is_closed()

    def speak(self, text: str | Iterable[str | None], **options: Unpack[SpeakOptions]) -> SyncContext:
        """Speak a text or pieces of text; see `Session.speak`. A thread iterates over the pieces."""
        return SyncContext(self, self._session.speak(text, **options))

    def context(self, **options: Unpack[SpeakOptions]) -> SyncContext:
        """A context whose text you write yourself; see `Session.context`."""
        return SyncContext(self, self._session.context(**options))

    def ping(self) -> float:
        """Milliseconds until the server answered."""
        return self._run(self._session.ping())

    def close(self) -> None:
        """Close the connection."""
        with self._closing:
            if not self._loop.is_closed():
                self._run(self._session.close())
                self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("the session is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C raises KeyboardInterrupt in this thread while the loop goes on in its own.
            future.cancel()
            raise

    def _stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_asyncgens(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def connect(
    url: str | None = None,
    *,
    api_key: str | None = None,
    encoding: Encoding = "msgpack",
    timeout: float = CONNECT_SECONDS_MAX,
    reconnect: bool = True,
    reconnect_seconds: float | None = None,
    on_change: Callable[[Interrupted | Reconnected], None] | None = None,
) -> SyncSession:
    """Connect; see `voxwire_client.connect`. `on_change` is called in the session's own thread."""
    return SyncSession(
        asynchronous.connect(
            url,
            api_key=api_key,
            encoding=encoding,
            timeout=timeout,
            reconnect=reconnect,
            reconnect_seconds=reconnect_seconds,
            on_change=on_change,
        )
    )


async def _connect(opening: asynchronous.connect) -> asynchronous.Session:
    return await opening


async def _next(events: AsyncGenerator[Event, None]) -> Event | None:
    return await anext(events, None)


async def _next_timed(moments: AsyncIterator[TimedEvent]) -> TimedEvent | None:
    return await anext(moments, None)


async def _mouth(context: Context) -> list[float]:
    return context.mouth()


async def _close(events: AsyncGenerator[Event, None]) -> None:
    with contextlib.suppress(RuntimeError):  # After Ctrl-C it is being cancelled, and closes by itself.
        await events.aclose()


async def _abandon(context: Context) -> None:
    context.abandon()
