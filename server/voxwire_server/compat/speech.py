"""One text, one stream of audio: what vendors' HTTP endpoints answer with."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import StreamingResponse

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.session_stream import AudioPiece, Closed, CompatSession

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from voxwire_server.compat.formats import OutputFormat
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.session_stream import Event

SpeechEvent = AudioPiece | m.Timing | m.Done

CONTEXT = "speech"

ResultT = TypeVar("ResultT")


class Speech:
    """A text being spoken. Iterate over `events` once, or `close`."""

    def __init__(self, line: CompatSession, first: SpeechEvent) -> None:
        self._line = line
        self._first = first

    @classmethod
    async def begin(cls, host: CompatHost, request: Request, text: str, start: m.Start, format: OutputFormat) -> Speech:
        """Have `text` spoken with the voice, language, speed, seed and timings of `start`; returns at its first event.

        The session is that of `request.state.identity`.

        Raises:
            VoxwireError: it can't be spoken; nothing of it goes on. Also when the client has gone (`client.idle`).
        """
        limit = host.config.limits.unspoken_chars_max
        if len(text) > limit:
            raise VoxwireError(
                ErrorCode.TEXT_TOO_LONG,
                f"the text has {len(text)} characters, {limit} are allowed",
                details={"unspoken_chars_max": limit},
            )
        line = CompatSession(host, request.state.identity)
        try:
            return cls(line, await _while_connected(request, _begin(line, text, start, format)))
        except BaseException:
            line.hang_up()
            raise

    async def events(self) -> AsyncGenerator[SpeechEvent, None]:
        """Audio and timings in order, `Done` last. When the iteration ends, however it does, so does the work.

        Raises:
            VoxwireError: speaking failed in the middle.
        """
        event: SpeechEvent | None = self._first
        try:
            while True:
                if event is not None:
                    yield event
                    if isinstance(event, m.Done):
                        return
                event = _speech_event(await self._line.next())
        finally:
            self._line.hang_up()

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """The audio alone, as bytes."""
        events = self.events()
        try:
            async for event in events:
                if isinstance(event, AudioPiece):
                    yield event.payload
        finally:
            await events.aclose()

    def close(self) -> None:
        """Drop it."""
        self._line.hang_up()


async def gathered(request: Request, speech: Speech, content: AsyncGenerator[bytes, None]) -> bytes:
    """All of a body made of a speech, for clients that want to know its length before they read it.

    Raises:
        VoxwireError: speaking failed, or the client has gone (`client.idle`); the work is over either way.
    """

    async def gather() -> bytes:
        return b"".join([part async for part in content])

    try:
        return await _while_connected(request, gather())
    finally:
        await content.aclose()
        speech.close()


class SpeechResponse(StreamingResponse):
    """A chunked body made of a speech. The speech ends with the response, even one that no byte was asked of."""

    def __init__(
        self,
        speech: Speech,
        content: AsyncGenerator[bytes, None],
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(content, media_type=media_type, headers=dict(headers or {}))
        self._speech = speech

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `starlette.responses.Response`."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._speech.close()


def audio_response(speech: Speech, media_type: str, headers: Mapping[str, str] | None = None) -> SpeechResponse:
    """The audio as a chunked body, as it is made; its work ends when the client goes away."""
    return SpeechResponse(speech, speech.audio(), media_type, headers)


async def _begin(line: CompatSession, text: str, start: m.Start, format: OutputFormat) -> SpeechEvent:
    line.start(replace(start, context=CONTEXT), format, paced=False)
    line.tell(m.Text(context=CONTEXT, text=text), m.End(context=CONTEXT))
    while True:
        event = _speech_event(await line.next())
        if event is not None:
            return event


def _speech_event(event: Event) -> SpeechEvent | None:
    match event:
        case AudioPiece() | m.Timing():
            return event
        case m.Done(reason=m.DoneReason.ERROR):
            raise VoxwireError(ErrorCode.ENGINE_FAILED, "the text could not be spoken to its end")
        case m.Done():
            return event
        case m.ErrorMessage():
            raise m.error_from_message(event)
        case Closed(_, reason):
            raise VoxwireError(ErrorCode.DRAINING, reason or "the session is over")
        case _:
            return None


async def _while_connected(request: Request, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """What comes of some work, which is cancelled when the client goes away first."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise VoxwireError(ErrorCode.IDLE, "the client has gone")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
