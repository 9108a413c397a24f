"""The client for programs without asyncio: the same session, its event loop in a thread.

with connect(url) as session:
    for event in session.speak(tokens, voice="heart"):
        ...
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from voxwire_client import session as asynchronous

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator
    from types import TracebackType

    from voxwire_client.session import Event, Utterance
    from voxwire_protocol.messages import Cancelled

T = TypeVar("T")


class SyncUtterance:
    """One context; iterate over it for its events."""

    def __init__(self, session: SyncSession, utterance: Utterance) -> None:
        self._session = session
        self._utterance = utterance

    @property
    def context(self) -> str:
        """The context's name."""
        return self._utterance.context

    def __iter__(self) -> Iterator[Event]:
        events = self._utterance.__aiter__()
        run = self._session._run
        try:
            while True:
                try:
                    event = run(_next(events))
                except StopAsyncIteration:
                    return
                yield event
        finally:
            with contextlib.suppress(RuntimeError):
                run(_close(events))

    def cancel(self, played_pts: int | None = None) -> Cancelled | None:
        """Barge-in; see `Utterance.cancel`. May be called from another thread than the one that iterates."""
        return self._session._run(self._utterance.cancel(played_pts))

    def hold(self) -> None:
        """Let the server pause."""
        self._session._run(self._utterance.hold())

    def release(self) -> None:
        """Go on after `hold`."""
        self._session._run(self._utterance.release())


async def _next(events: Any) -> Event:
    try:
        event: Event = await anext(events)
    except StopAsyncIteration:
        # A coroutine can't raise it.
        raise _Over from None
    return event


async def _close(events: Any) -> None:
    await events.aclose()


class _Over(Exception):
    """The events are over."""


class SyncSession:
    """A session whose calls wait."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="voxwire-client", daemon=True)
        self._thread.start()
        try:
            self._session = self._run(_connect(url, options))
        except BaseException:
            self._stop()
            raise

    def speak(self, text: str | Iterable[str], **options: Any) -> SyncUtterance:
        """Speak a text or pieces of text; see `Session.speak`. Pieces are drawn in a thread and may take their time."""
        tokens = text if isinstance(text, str) else _in_thread(text)
        return SyncUtterance(self, self._run(_make(self._session, tokens, options)))

    def close(self) -> None:
        """Close the connection."""
        if not self._loop.is_closed():
            self._run(self._session.close())
            self._stop()

    def __enter__(self) -> SyncSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except _Over:
            raise StopAsyncIteration from None

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _connect(url: str, options: dict[str, Any]) -> asynchronous.Session:
    session: asynchronous.Session = await asynchronous.connect(url, **options)
    return session


async def _make(session: asynchronous.Session, tokens: Any, options: dict[str, Any]) -> Utterance:
    return session.speak(tokens, **options)


async def _in_thread(tokens: Iterable[str]) -> Any:
    iterator = iter(tokens)
    while (token := await asyncio.to_thread(next, iterator, None)) is not None:
        yield token


def connect(url: str, **options: Any) -> SyncSession:
    """Connect; see `voxwire_client.connect`."""
    return SyncSession(url, **options)
