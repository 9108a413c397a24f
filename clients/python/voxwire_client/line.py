"""One session of the server's over all the sockets that carry it: drops, comes back, resumes, or begins anew."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

from voxwire_client.backoff import Backoff
from voxwire_client.dial import Door, connection_lost, refusal_code
from voxwire_client.errors import ABNORMAL, ConnectionLost
from voxwire_client.events import Interrupted, Reconnected
from voxwire_client.outbox import Outbox
from voxwire_protocol import messages as m
from voxwire_protocol.audio import is_audio_frame, unpack_frame
from voxwire_protocol.errors import CloseCode, ErrorCode, ProtocolError, VoxwireError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from voxwire_client.dial import Dialer
    from voxwire_client.parties import Listener, Owner

log = logging.getLogger("voxwire.client")

ACK_SECONDS = 0.2
SILENT_HEARTBEATS_MAX = 3


class Line:
    """One session of the server's. Without a `door` it connects by itself, and takes messages meanwhile.

    What is said goes into `outbox`; everything that comes is counted.
    """

    def __init__(self, owner: Owner, dialer: Dialer, ready: m.Ready, door: Door | None) -> None:
        """`ready` are the facts that hold until the line has its own; with a `door`, those of the door."""
        self.ready = ready
        self.draining: m.Draining | None = None
        self.states: dict[str, m.ContextState] = {}
        self.contexts: dict[str, Listener] = {}
        self.outbox = Outbox(dialer.codec)
        self.received = 0
        self._owner = owner
        self._dialer = dialer
        self._codec = dialer.codec
        self._known = door is not None
        self._gone = False
        self._token = ready.token
        self._numbers: dict[int, Listener] = {}
        self._socket: ClientConnection | None = None
        self._said: VoxwireError | None = None
        self._silent: ConnectionLost | None = None
        self._alive = True
        self._occupied = asyncio.Event()
        self._backoff = Backoff(random.random)
        self._away_since = time.monotonic()
        self._give_up_at: float | None = None
        if door is not None:
            self._enter(door.socket)
        self.task = asyncio.create_task(self._run(door), name="voxwire-line")

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.outbox.flowing

    @property
    def over(self) -> ConnectionLost | None:
        """Why there will be no connection any more."""
        return self.outbox.over

    async def wait_connected(self) -> None:
        """Wait until there is a connection.

        Raises:
            ConnectionLost: there will be none any more.
        """
        while not self.connected:
            if self.over is not None:
                raise self.over
            await self.outbox.moved()

    # -- contexts ---------------------------------------------------------------------------------------------------

    def adopt(self, context: Listener) -> None:
        """Take a context's messages from now on."""
        self.contexts[context.context] = context
        self._occupied.set()

    def detach(self, context: Listener) -> None:
        """A context is over."""
        if self.contexts.get(context.context) is context:
            del self.contexts[context.context]
        self._numbers = {number: each for number, each in self._numbers.items() if each is not context}
        self._owner.vacated()

    # -- the life of a line -----------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the session, from this side."""
        self._end(ConnectionLost(CloseCode.NORMAL, "closed by this side"))
        if self._socket is not None:
            await self._socket.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self, door: Door | None) -> None:
        lost = ConnectionLost(CloseCode.INTERNAL, "the reader failed")
        why = ConnectionLost(ABNORMAL, "no connection was to be had")
        try:
            while True:
                if door is None:
                    door = await self._come_back(why)
                before = self.received, self.outbox.received
                why = lost = await self._converse(door.socket)
                door = None
                if (self.received, self.outbox.received) != before:
                    self._backoff.succeeded()
                    self._give_up_at = None
                if not self._owner.reconnect or not lost.dropped or self._hand_over():
                    break
                self._interrupt(lost)
        except ConnectionLost as error:
            lost = error
        finally:
            self._end(lost)

    def _end(self, lost: ConnectionLost) -> None:
        if self.over is not None:
            return
        self.outbox.end(lost)
        for context in list(self.contexts.values()):
            context.lost(lost)
        self._owner.ended(self, lost)

    def _hand_over(self) -> bool:
        """Let speech that was not finished go on elsewhere, if there is an elsewhere."""
        successor = self._owner.successor(self)
        if successor is None:
            return False
        event = Reconnected(resumed=False, away_seconds=0.0)
        for context in list(self.contexts.values()):
            self.detach(context)
            successor.adopt(context)
            context.restart(successor, event)
        return True

    def _interrupt(self, lost: ConnectionLost) -> None:
        log.info("%s; reconnecting", lost)
        self._away_since = time.monotonic()
        event = Interrupted(lost)
        for context in list(self.contexts.values()):
            context.interrupted(event)
        self._owner.happened(self, event)

    async def _come_back(self, why: ConnectionLost) -> Door:
        """Connect until it succeeds.

        Raises:
            ConnectionLost: it is not wanted, or the time is over.
        """
        now = time.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + self._patience_seconds()
        asked_ms = why.retry_after_ms
        while True:
            delay = self._backoff.next_seconds(None if asked_ms is None else asked_ms / 1000)
            left = self._give_up_at - time.monotonic()
            if delay > left:
                await asyncio.sleep(max(0.0, left))
                raise why
            await asyncio.sleep(delay)
            try:
                return await self._try(min(self._dialer.timeout, max(0.001, left - delay)))
            except VoxwireError as error:
                why = ConnectionLost(refusal_code(error.code), error.message, error)
                # A draining server lets its own sessions in. Asked for again, this one would lead there again.
                self._gone = self._gone or error.code is ErrorCode.DRAINING
            except ConnectionLost as error:
                why = error
            if not why.retryable:
                raise why
            asked_ms = why.retry_after_ms

    def _patience_seconds(self) -> float:
        given = self._owner.reconnect_seconds
        return max(30.0, self.ready.resume_window_ms / 1000) if given is None else given

    async def _try(self, seconds_max: float) -> Door:
        resumable = self._known and not self._gone and self.ready.resume_window_ms > 0
        ends_at = asyncio.get_running_loop().time() + seconds_max
        door = await self._dialer.dial(self.ready.session if resumable else None, seconds_max=seconds_max)
        try:
            async with asyncio.timeout_at(ends_at):
                resumed, fresh_received = await self._resume(door) if resumable else (None, 0)
        except ConnectionClosed as error:
            raise connection_lost(error, None) from None
        except TimeoutError:
            door.socket.transport.abort()
            raise ConnectionLost(ABNORMAL, "the server does not answer") from None
        except BaseException:
            door.socket.transport.abort()
            raise
        self._go_on(door, resumed, fresh_received)
        self._enter(door.socket)
        return door

    async def _resume(self, door: Door) -> tuple[m.Resumed | None, int]:
        """Ask for the session; returns the answer, None where the fresh one stands, and what came on that one."""
        progress = {name: context.progress() for name, context in self.contexts.items()}
        resume = m.Resume(
            session=self.ready.session,
            token=self._token,
            received=self.received,
            contexts={name: seq for name, (seq, _) in progress.items() if seq is not None},
            text_seq={name: text for name, (_, text) in progress.items() if text is not None},
        )
        await door.socket.send(self._codec.encode(resume))
        fresh_received = 0
        while True:
            message = self._decode(await door.socket.recv())
            match message:
                case m.Resumed():
                    return message, 0
                case m.ResumeFailed():
                    log.info("the session could not be resumed: %s", message.reason)
                    return None, fresh_received
                case m.ErrorMessage():
                    raise m.error_from_message(message)
                case _:
                    fresh_received += 1

    def _go_on(self, door: Door, resumed: m.Resumed | None, fresh_received: int) -> None:
        first, self._known = not self._known, True
        event = Reconnected(resumed=resumed is not None, away_seconds=time.monotonic() - self._away_since)
        if resumed is not None:
            self._token = resumed.token
            self.outbox.say_again(resumed.received)
            for context in list(self.contexts.values()):
                context.resumed(event)
        else:
            self.ready, self._token, self.received = door.ready, door.ready.token, fresh_received
            self.draining, self.states, self._gone = None, {}, False
            if not first:
                self._begin_anew(event)
        if not first:
            self._owner.happened(self, event)

    def _begin_anew(self, event: Reconnected) -> None:
        self.outbox.begin_anew()
        self._numbers.clear()
        for context in list(self.contexts.values()):
            context.restart(self, event)

    def _enter(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._said = self._silent = None
        self.outbox.flow(True)

    # -- one connection -----------------------------------------------------------------------------------------------

    async def _converse(self, socket: ClientConnection) -> ConnectionLost:
        """Read until the connection is gone; returns why."""
        tasks = [
            asyncio.create_task(self.outbox.write(socket), name="voxwire-write"),
            asyncio.create_task(self._acknowledge(), name="voxwire-acknowledge"),
            asyncio.create_task(self._watch(socket), name="voxwire-watch"),
        ]
        try:
            while True:
                raw = await socket.recv()
                self._alive = True
                self.received += 1
                self._take(raw)
        except ConnectionClosed as error:
            return self._silent or connection_lost(error, self._said)
        except ProtocolError as error:
            with contextlib.suppress(ConnectionClosed):
                await socket.close(CloseCode.INVALID_DATA, error.raw_code)
            return ConnectionLost(CloseCode.INVALID_DATA, "the server sent what is no message", error)
        finally:
            if self.over is None:
                self.outbox.flow(False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _acknowledge(self) -> None:
        while True:
            await self._occupied.wait()
            while self.contexts:
                await asyncio.sleep(ACK_SECONDS)
                if self.outbox.waiting:
                    continue  # What waits already is not helped by more.
                for context in list(self.contexts.values()):
                    ack = context.acknowledgement(time.monotonic())
                    if ack is not None:
                        self.outbox.post(ack)
            self._occupied.clear()

    async def _watch(self, socket: ClientConnection) -> None:
        """Beats are counted, not seconds: a program that was busy itself has not lost its server."""
        beat_seconds, silent = self.ready.heartbeat_ms / 1000, 0
        while silent < SILENT_HEARTBEATS_MAX:
            self._alive = False
            await asyncio.sleep(beat_seconds)
            silent = 0 if self._alive else silent + 1
            if silent:
                self.outbox.ask()
        self._silent = ConnectionLost(ABNORMAL, "the server does not answer")
        socket.transport.abort()

    # -- what comes -------------------------------------------------------------------------------------------------

    def _take(self, raw: str | bytes) -> None:
        if isinstance(raw, bytes) and is_audio_frame(raw):
            frame = unpack_frame(raw)
            context = self._numbers.get(frame.context_number)
            if context is not None:
                context.take_frame(frame, time.monotonic())
            return
        message = self._decode(raw)
        match message:
            case None | m.Ready() | m.Resumed() | m.ResumeFailed():
                pass
            case m.Pong():
                self.outbox.answered(int(message.t))
            case m.State():
                self.states = dict(message.contexts)
                if message.received is not None:
                    self.outbox.arrived(message.received)
            case m.Draining():
                self.draining = message
            case m.ErrorMessage() | m.WarningMessage() if message.context is None:
                self._take_notice(message)
            case _:
                self._take_of_context(message)

    def _decode(self, raw: str | bytes) -> m.ServerMessage | None:
        """The message; None for what version 1 may still get."""
        if isinstance(raw, bytes) and not (self._codec.binary and is_map(raw)):
            return None
        try:
            return self._codec.decode_server(raw)
        except ProtocolError as error:
            if error.code is not ErrorCode.UNKNOWN_TYPE:
                raise
            return None

    def _take_notice(self, message: m.ErrorMessage | m.WarningMessage) -> None:
        if isinstance(message, m.ErrorMessage):
            self._said = m.error_from_message(message)
        log.warning("the server says: %s (%s)", message.message, message.code)

    def _take_of_context(self, message: Any) -> None:
        context = self.contexts.get(message.context)
        if context is None:
            return
        context.take(message)
        if isinstance(message, m.Started) and self.contexts.get(message.context) is context:
            self._numbers[message.number] = context


def is_map(raw: bytes) -> bool:
    """Whether a binary message is a MessagePack map (fixmap, map 16, map 32)."""
    return len(raw) > 0 and (raw[0] & 0xF0 == 0x80 or raw[0] in (0xDE, 0xDF))
