"""Turns the text argument of `speak` (string, iterable or asynchronous iterable) into an asynchronous generator."""

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

READ_AHEAD_MAX = 64
"""Pieces that the thread of an iterable may take ahead of the sender."""


async def pieces(tokens: Tokens) -> AsyncGenerator[str, None]:
    """The pieces of `tokens` that are not empty.

    An iterable other than a list or tuple is iterated in a thread of its own, as its next piece may block. Generators
    are closed when the iteration ends early, so that a language model can stop writing.

    Raises:
        TypeError: a piece is not a string.
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
        async with contextlib.aclosing(_from_thread(tokens)) as stream:
            async for token in stream:
                yield token


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None


async def _from_thread(tokens: Iterable[Any]) -> AsyncGenerator[Any, None]:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Any] = asyncio.Queue()
    room = threading.Semaphore(READ_AHEAD_MAX)
    stopped = threading.Event()

    def put(item: Any) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed, and nothing reads the queue any more.
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        error: BaseException | None = None
        try:
            _read(tokens, put, room, stopped)
        except BaseException as raised:
            error = raised
        put(_End(error))

    # A daemon thread: it must not keep the program alive while it waits for a piece.
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(read,), name="voxwire-tokens", daemon=True).start()
    try:
        while not isinstance(item := await queue.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        room.release()


def _read(tokens: Iterable[Any], put: Any, room: threading.Semaphore, stopped: threading.Event) -> None:
    iterator = iter(tokens)
    try:
        for token in iterator:
            room.acquire()
            if stopped.is_set():
                return
            put(token)
    finally:
        if isinstance(iterator, GeneratorType):
            iterator.close()
