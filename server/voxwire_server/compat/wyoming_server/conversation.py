"""Owns one Wyoming connection: what is asked, in order, and the speech that answers it.

    synthesize-start -> synthesize-chunk* -> [synthesize: ignored] -> synthesize-stop
    synthesize

are both answered by audio-start, audio-chunk*, audio-stop; the first also by synthesize-stopped. After an error the
connection is closed, because clients that do not know the event wait for the end of the audio.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import async_write_event
from wyoming.ping import Pong
from wyoming.tts import SynthesizeStopped

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.formats import OutputFormat
from voxwire_server.compat.session_stream import AudioPiece, Closed, CompatSession
from voxwire_server.compat.wyoming_server.events import read_event, text_of, voice_of
from voxwire_server.compat.wyoming_server.voices import info, sample_rate_of
from voxwire_server.session.quotas import ClientIdentity, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from wyoming.event import Eventable

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.wyoming_server.events import Received
    from voxwire_server.speech import Voice

log = logging.getLogger("voxwire.wyoming")

CHUNK_BYTES = 4096
"""Audio in one event: satellites have little memory."""

UTTERANCES_MAX = 16
"""Utterances of one connection that may wait for the one before."""

CONTEXT = "wyoming"


@dataclass(slots=True, eq=False)
class Utterance:
    """Something to say. Text comes before and after its line is there."""

    voice: Voice
    streamed: bool
    chars_max: int
    ended: bool = False
    line: CompatSession | None = None
    waiting: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Append text.

        Raises:
            VoxwireError: client.text_buffer_full.
        """
        if self.line is not None:
            self.line.tell(m.Text(context=CONTEXT, text=text))
            return
        if sum(map(len, self.waiting)) + len(text) > self.chars_max:
            raise VoxwireError(ErrorCode.TEXT_BUFFER_FULL, "too much text waits to be spoken")
        self.waiting.append(text)

    def end(self) -> None:
        """No more text comes."""
        self.ended = True
        if self.line is not None:
            self.line.tell(m.End(context=CONTEXT))

    def begin(self, line: CompatSession, format: OutputFormat) -> None:
        """Speak from now on."""
        self.line = line
        name = f"{self.voice.engine}/{self.voice.name}"
        line.start(m.Start(context=CONTEXT, voice=name, timings=()), format, paced=False)
        line.tell(*(m.Text(context=CONTEXT, text=text) for text in self.waiting))
        self.waiting.clear()
        if self.ended:
            line.tell(m.End(context=CONTEXT))


class WyomingHandler:
    """One connection. `run` serves it to its end."""

    def __init__(
        self,
        host: CompatHost,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        recognised: Callable[[], None],
    ) -> None:
        """`recognised` is called with each event that came."""
        self._host = host
        self._recognised = recognised
        self._limits = host.config.limits
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()
        self._utterances: asyncio.Queue[Utterance] = asyncio.Queue(UTTERANCES_MAX)
        self._open: Utterance | None = None
        self._speaking = False
        limits, now = self._limits, host.services.clock()
        burst = limits.messages_burst
        self._messages = TokenBucket(limits.messages_per_second, burst, burst, now)
        peer = writer.get_extra_info("peername")
        self._identity = ClientIdentity(address=peer[0] if peer else "")
        self._share = host.loop_share_of(self._identity)

    async def run(self) -> None:
        """Serve until the client goes, asks for what can't be had, or does not read."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._speak())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            problem = next((task.exception() for task in done if task.exception() is not None), None)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        match problem:
            case VoxwireError():
                self._host.services.observer.error_sent(problem.raw_code)
                with contextlib.suppress(VoxwireError, OSError):
                    await self._write(Error(problem.message, problem.raw_code))
            case None | OSError() | asyncio.IncompleteReadError():
                log.debug("a client went away")
            case _:
                raise problem

    # -- what is asked -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_seconds):
                    first = await self._reader.read(1)
            except TimeoutError:
                if self._speaking and self._open is None:
                    continue
                return
            if not first:
                return
            event = await read_event(self._reader, first, self._limits.message_bytes_max)
            self._recognised()
            wait = self._share.wait(self._host.services.clock())
            if wait > 0:
                await asyncio.sleep(wait)
            await self._take(event)
            self._messages.take(self._host.services.clock())
            if self._messages.delay() > 0:
                await asyncio.sleep(self._messages.delay())

    async def _take(self, event: Received) -> None:
        chars_max = self._limits.unspoken_chars_max
        match event.type:
            case "describe":
                await self._write(info(self._host))
            case "ping":
                text = event.data.get("text")
                await self._write(Pong(text if isinstance(text, str) else None))
            case "synthesize-start":
                if self._open is not None:
                    self._open.end()
                self._open = Utterance(voice_of(self._host, event), streamed=True, chars_max=chars_max)
                self._queue(self._open)
            case "synthesize-chunk" if self._open is not None:
                self._open.say(text_of(event, chars_max))
            case "synthesize-stop" if self._open is not None:
                self._open.end()
                self._open = None
            case "synthesize" if self._open is None:
                whole = Utterance(voice_of(self._host, event), streamed=False, chars_max=chars_max)
                whole.say(text_of(event, chars_max))
                whole.end()
                self._queue(whole)
            case _:
                # The whole text again in mid-stream, for servers that do not stream; programs and events unknown here.
                pass

    def _queue(self, utterance: Utterance) -> None:
        try:
            self._utterances.put_nowait(utterance)
        except asyncio.QueueFull as error:
            raise VoxwireError(ErrorCode.TEXT_BUFFER_FULL, f"{UTTERANCES_MAX} utterances wait to be spoken") from error

    # -- what is answered ----------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        while True:
            utterance = await self._utterances.get()
            self._speaking = True
            line = CompatSession(self._host, self._identity)
            try:
                rate = sample_rate_of(self._host, utterance.voice)
                utterance.begin(line, OutputFormat(sample_rate=rate))
                await self._pass_on(line, rate)
            finally:
                line.hang_up()
            if utterance.streamed:
                await self._write(SynthesizeStopped())
            self._speaking = False

    async def _pass_on(self, line: CompatSession, rate: int) -> None:
        while True:
            match await line.next():
                case m.Started():
                    await self._write(AudioStart(rate=rate, width=2, channels=1))
                case AudioPiece(payload=pcm):
                    for at in range(0, len(pcm), CHUNK_BYTES):
                        await self._write(AudioChunk(rate, 2, 1, pcm[at : at + CHUNK_BYTES]))
                case m.ErrorMessage() as problem:
                    raise m.error_from_message(problem)
                case m.Done(reason=m.DoneReason.ERROR):
                    raise VoxwireError(ErrorCode.ENGINE_FAILED, "the text could not be spoken to its end")
                case m.Done():
                    await self._write(AudioStop())
                    return
                case Closed(_, reason):
                    raise VoxwireError(ErrorCode.DRAINING, reason or "the session is over")
                case _:
                    pass

    async def _write(self, event: Eventable) -> None:
        """Send an event, when the client takes it.

        Raises:
            VoxwireError: client.slow_reader; the connection is cut.
        """
        try:
            async with asyncio.timeout(self._limits.slow_reader_seconds), self._writing:
                await async_write_event(event.event(), self._writer)
        except TimeoutError as error:
            self._writer.transport.abort()
            raise VoxwireError(ErrorCode.SLOW_READER, "the client does not read what it is sent") from error
