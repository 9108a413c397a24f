"""Turns whatever a caller has for a text into an asynchronous stream of pieces, and closes it when it is not needed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

Tokens = str | Iterable[str | None] | AsyncIterable[str | None]
"""A text, or its pieces as they are written. None counts as empty: language models send deltas without text."""

DRAWN_AHEAD_MAX = 64
"""Pieces that a thread may draw before they are wanted."""


async def pieces(tokens: Tokens) -> AsyncGenerator[str, None]:
    """The pieces of `tokens` that are not empty.

    An iterable that is no list or tuple is drawn in a thread of its own, as its next piece may be long in coming.
    Generators are closed when the iteration ends early, so that a language model can stop writing.

    Raises:
        TypeError: a piece is no text.
    """
    async with contextlib.aclosing(_stream(tokens)) as stream:
        async for token in stream:
            if token is None or token == "":
                continue
            if not isinstance(token, str):
                raise TypeError(f"text comes in pieces of str, not of {type(token).__name__}")
            yield token


async def _stream(tokens: Any) -> AsyncGenerator[Any, None]:
    if isinstance(tokens, str):
        yield tokens
    elif isinstance(tokens, list | tuple):
        for token in tokens:
            yield token
    elif isinstance(tokens, AsyncIterable):
        iterator = aiter(tokens)
        try:
            async for token in iterator:
                yield token
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
    else:
        async with contextlib.aclosing(_drawn(tokens)) as drawn:
            async for token in drawn:
                yield token


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


async def _drawn(tokens: Iterable[Any]) -> AsyncGenerator[Any, None]:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Any] = asyncio.Queue()
    room = threading.Semaphore(DRAWN_AHEAD_MAX)
    stopped = threading.Event()

    def tell(item: Any) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: nobody listens any more.
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def draw() -> None:
        error: BaseException | None = None
        try:
            _draw(tokens, tell, room, stopped)
        except BaseException as raised:
            error = raised
        tell(_End(error))

    # A daemon: a program must be able to end while a piece is waited for.
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(draw,), name="voxwire-tokens", daemon=True).start()
    try:
        while not isinstance(item := await queue.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        room.release()


def _draw(tokens: Iterable[Any], tell: Any, room: threading.Semaphore, stopped: threading.Event) -> None:
    iterator = iter(tokens)
    try:
        for token in iterator:
            room.acquire()
            if stopped.is_set():
                return
            tell(token)
    finally:
        if isinstance(iterator, GeneratorType):
            iterator.close()
