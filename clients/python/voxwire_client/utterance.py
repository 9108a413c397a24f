"""An utterance: a context that sends a given text, or the pieces of an iterable, and ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from voxwire_client.context import Context
from voxwire_client.context_lifecycle import LIVE
from voxwire_client.errors import ConnectionLost
from voxwire_client.tokens import Tokens, pieces

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from voxwire_client.context_lifecycle import ContextSession
    from voxwire_client.events import Event
    from voxwire_protocol import messages as m


class Utterance(Context):
    """A context that sends a given text, or the pieces of an iterable, and ends. `Session.speak` makes it.

    Leaving the iteration early, by `break`, by an exception or because the task is cancelled, cancels the utterance and
    closes the iterable. An exception of the iterable cancels the utterance and is raised where its events are read.
    """

    def __init__(self, session: ContextSession, start: m.Start, tokens: Tokens, *, adapt: bool = False) -> None:
        super().__init__(session, start, adapt=adapt)
        self._tokens = tokens
        self._writer: asyncio.Task[None] | None = None
        self._writer_stopped = False

    async def open(self) -> None:
        """Open the context and begin to write. The first step of the iteration does it, too."""
        await super().open()
        if self._writer is None and self._phase in LIVE:
            self._writer = self._session.run_in_background(self._write())

    async def _iterate(self) -> AsyncGenerator[Event, None]:
        try:
            async for event in super()._iterate():
                yield event
        finally:
            self.abandon()

    async def _write(self) -> None:
        try:
            async with contextlib.aclosing(pieces(self._tokens)) as stream:
                async for piece in stream:
                    await self.text(piece)
            await self.end()
        except asyncio.CancelledError:
            if not self._writer_stopped:
                self._events.fail(asyncio.CancelledError("the stream of text was cancelled"))
            raise
        except ConnectionLost as error:
            self._events.close(error)
        except Exception as error:
            self._fail(error)

    def _stop_writing(self) -> None:
        self._writer_stopped = True
        # When its stream fails the writer calls this itself; it must not cancel itself.
        if self._writer is not None and self._writer is not asyncio.current_task():
            self._writer.cancel()
