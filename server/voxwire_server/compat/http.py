"""Speech as an HTTP response: the audio of one text, streamed or as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import StreamingResponse

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.session import CompatSession, EncodedAudio, SessionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.session import Event, OutputFormat

SpeechEvent = EncodedAudio | m.Timing | m.Done

CONTEXT = "speech"

ResultT = TypeVar("ResultT")


class SpeechStream:
    """The audio and timings of one text while it is spoken. Iterate over `events` once, or call `close`."""

    def __init__(self, session: CompatSession, first: SpeechEvent) -> None:
        self._session = session
        self._first = first

    @classmethod
    async def open(
        cls, host: CompatHost, request: Request, text: str, start: m.Start, format: OutputFormat, dialect: str = ""
    ) -> SpeechStream:
        """Speak `text` with the voice, language, speed, seed and timings of `start`; returns at the first event.

        The session belongs to `request.state.identity`; `dialect` is the vendor whose tags the text has.

        Raises:
            VoxwireError: the text can't be spoken, or the client has gone (`client.idle`); the session is closed.
        """
        limit = host.config.limits.unspoken_chars_max
        if len(text) > limit:
            raise VoxwireError(
                ErrorCode.TEXT_TOO_LONG,
                f"the text has {len(text)} characters, {limit} are allowed",
                details={"unspoken_chars_max": limit},
            )
        session = CompatSession(host, request.state.identity, dialect)
        try:
            return cls(session, await _while_connected(request, _first_event(session, text, start, format)))
        except BaseException:
            session.disconnect()
            raise

    async def events(self) -> AsyncGenerator[SpeechEvent, None]:
        """Audio and timings in order, `Done` last. The end of the iteration closes the session.

        Raises:
            VoxwireError: the speech failed on the way.
        """
        event: SpeechEvent | None = self._first
        try:
            while True:
                if event is not None:
                    yield event
                    if isinstance(event, m.Done):
                        return
                event = _speech_event(await self._session.next_event())
        finally:
            self._session.disconnect()

    async def audio(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the audio."""
        events = self.events()
        try:
            async for event in events:
                if isinstance(event, EncodedAudio):
                    yield event.payload
        finally:
            await events.aclose()

    def close(self) -> None:
        """Close the session."""
        self._session.disconnect()


async def read_all(request: Request, speech: SpeechStream, content: AsyncGenerator[bytes, None]) -> bytes:
    """The whole body that `content` makes of a speech, for clients that need its length before they read it.

    Raises:
        VoxwireError: the speech failed, or the client has gone (`client.idle`).
    """

    async def join() -> bytes:
        return b"".join([part async for part in content])

    try:
        return await _while_connected(request, join())
    finally:
        await content.aclose()
        speech.close()


class SpeechResponse(StreamingResponse):
    """A chunked body made of a speech, which is closed with the response, even if the body was never read."""

    def __init__(
        self,
        speech: SpeechStream,
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


def audio_response(speech: SpeechStream, media_type: str, headers: Mapping[str, str] | None = None) -> SpeechResponse:
    """The audio as a chunked body, sent as it is synthesised. The speech is closed when the client disconnects."""
    return SpeechResponse(speech, speech.audio(), media_type, headers)


async def _first_event(session: CompatSession, text: str, start: m.Start, format: OutputFormat) -> SpeechEvent:
    session.start(replace(start, context=CONTEXT), format, paced=False)
    session.forward(m.Text(context=CONTEXT, text=text), m.End(context=CONTEXT))
    while True:
        event = _speech_event(await session.next_event())
        if event is not None:
            return event


def _speech_event(event: Event) -> SpeechEvent | None:
    match event:
        case EncodedAudio() | m.Timing():
            return event
        case m.Done(reason=m.DoneReason.ERROR):
            raise VoxwireError(ErrorCode.ENGINE_FAILED, "the text could not be spoken to its end")
        case m.Done():
            return event
        case m.ErrorMessage():
            raise m.error_from_message(event)
        case SessionClosed(_, reason):
            raise VoxwireError(ErrorCode.DRAINING, reason or "the session is over")
        case _:
            return None


async def _while_connected(request: Request, coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """The result of a coroutine, which is cancelled when the client disconnects first."""
    task = asyncio.create_task(coroutine)
    disconnected = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((task, disconnected), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise VoxwireError(ErrorCode.IDLE, "the client has gone")
        return task.result()
    finally:
        disconnected.cancel()
        task.cancel()
        await asyncio.gather(task, disconnected, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
