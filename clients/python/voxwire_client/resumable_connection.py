"""One session of the server over all its WebSockets: reconnects, then resumes the session or begins a fresh one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any, Protocol

from websockets.exceptions import ConnectionClosed

from voxwire_client.backoff import Backoff
from voxwire_client.dialer import connection_lost, refusal_code
from voxwire_client.errors import ABNORMAL, ConnectionLost
from voxwire_client.events import Interrupted, Reconnected
from voxwire_client.outbox import Outbox
from voxwire_protocol import messages as m
from voxwire_protocol.audio import is_audio_frame, unpack_frame
from voxwire_protocol.errors import CloseCode, ErrorCode, ProtocolError, VoxwireError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from voxwire_client.dialer import Dialer, OpenSocket
    from voxwire_protocol.audio import AudioFrame

log = logging.getLogger("voxwire.client")

ACK_SECONDS = 0.2
SILENT_HEARTBEATS_MAX = 3


class ContextHandler(Protocol):
    """What a connection needs of a context: it handles the context's messages, and changes of the connection."""

    context: str

    @property
    def closing(self) -> bool:
        """Whether it was cancelled or refused, and only the server's last message is missing."""

    def on_message(self, message: Any) -> None:
        """A message of this context came."""

    def on_frame(self, frame: AudioFrame, now: float) -> None:
        """An audio frame of this context came."""

    def next_ack(self, now: float) -> m.Ack | None:
        """The `ack` for the audio received and played; None where there is nothing new."""

    def progress(self) -> tuple[int | None, int | None]:
        """The newest frame received and the newest text accepted, by the session's numbers; None: none."""

    def on_interrupted(self, event: Interrupted) -> None:
        """The connection dropped, and may come back."""

    def on_resumed(self, event: Reconnected) -> None:
        """The connection is back, and the server still has the session."""

    def restart(self, connection: ResumableConnection, event: Reconnected | None) -> None:
        """Continue on `connection`, whose session is fresh; without an event there is no interruption to report."""

    def on_lost(self, error: ConnectionLost) -> None:
        """The connection will not come back."""


class ConnectionOwner(Protocol):
    """What a connection needs of the session object that opened it."""

    reconnect: bool
    reconnect_seconds: float | None

    def on_connection_event(self, connection: ResumableConnection, event: Interrupted | Reconnected) -> None:
        """A connection dropped, or came back."""

    def successor(self, connection: ResumableConnection) -> ResumableConnection | None:
        """The connection that takes over this one's unfinished speech; None where this one has to reconnect."""

    def on_connection_lost(self, connection: ResumableConnection, lost: ConnectionLost) -> None:
        """A connection is gone for good."""

    def on_context_detached(self) -> None:
        """A context is over, and its name is free."""


class ResumableConnection:
    """One session of the server. Without an `open_socket` it connects by itself; messages can be posted meanwhile.

    Messages are sent by `outbox`; received ones are counted, so that the session can be resumed after any of them.
    """

    def __init__(self, owner: ConnectionOwner, dialer: Dialer, ready: m.Ready, open_socket: OpenSocket | None) -> None:
        """`ready` is that of `open_socket`, or of a former connection until this one has its own."""
        self.ready = ready
        self.draining: m.Draining | None = None
        self.states: dict[str, m.ContextState] = {}
        self.contexts: dict[str, ContextHandler] = {}
        self.outbox = Outbox(dialer.codec)
        self.received = 0
        self._owner = owner
        self._dialer = dialer
        self._codec = dialer.codec
        self._has_session = open_socket is not None
        self._session_gone = False
        self._token = ready.token
        self._numbers: dict[int, ContextHandler] = {}
        self._socket: ClientConnection | None = None
        self._session_error: VoxwireError | None = None
        self._timeout: ConnectionLost | None = None
        self._heard_from_server = True
        self._has_contexts = asyncio.Event()
        self._backoff = Backoff(random.random)
        self._away_since = time.monotonic()
        self._give_up_at: float | None = None
        if open_socket is not None:
            self._use(open_socket.socket)
        self.task = asyncio.create_task(self._run(open_socket), name="voxwire-connection")

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.outbox.connected

    @property
    def lost(self) -> ConnectionLost | None:
        """Why there will be no connection any more."""
        return self.outbox.lost

    async def wait_connected(self) -> None:
        """Wait until there is a connection.

        Raises:
            ConnectionLost: there will be none any more.
        """
        while not self.connected:
            if self.lost is not None:
                raise self.lost
            await self.outbox.wait_changed()

    # -- contexts ---------------------------------------------------------------------------------------------------

    def attach(self, context: ContextHandler) -> None:
        """Deliver a context's messages to it from now on."""
        self.contexts[context.context] = context
        self._has_contexts.set()

    def detach(self, context: ContextHandler) -> None:
        """A context is over."""
        if self.contexts.get(context.context) is context:
            del self.contexts[context.context]
        self._numbers = {number: each for number, each in self._numbers.items() if each is not context}
        self._owner.on_context_detached()

    # -- connecting and reconnecting --------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the session, from this side."""
        self._end(ConnectionLost(CloseCode.NORMAL, "closed by this side"))
        if self._socket is not None:
            await self._socket.close()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self, open_socket: OpenSocket | None) -> None:
        lost = ConnectionLost(CloseCode.INTERNAL, "the reader failed")
        why = ConnectionLost(ABNORMAL, "no connection was to be had")
        try:
            while True:
                if open_socket is None:
                    open_socket = await self._reconnect(why)
                before = self.received, self.outbox.received
                why = lost = await self._read(open_socket.socket)
                open_socket = None
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
        if self.lost is not None:
            return
        self.outbox.close(lost)
        for context in list(self.contexts.values()):
            context.on_lost(lost)
        self._owner.on_connection_lost(self, lost)

    def _hand_over(self) -> bool:
        """Move unfinished contexts to the successor; False where there is none."""
        successor = self._owner.successor(self)
        if successor is None:
            return False
        event = Reconnected(resumed=False, away_seconds=0.0)
        for context in list(self.contexts.values()):
            self.detach(context)
            successor.attach(context)
            context.restart(successor, event)
        return True

    def _interrupt(self, lost: ConnectionLost) -> None:
        log.info("%s; reconnecting", lost)
        self._away_since = time.monotonic()
        event = Interrupted(lost)
        for context in list(self.contexts.values()):
            context.on_interrupted(event)
        self._owner.on_connection_event(self, event)

    async def _reconnect(self, why: ConnectionLost) -> OpenSocket:
        """Connect until it succeeds. `why` is the error that ended the last connection; it sets the first delay.

        Raises:
            ConnectionLost: the server refuses for good, or `reconnect_seconds` are over.
        """
        now = time.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + self._reconnect_seconds()
        asked_ms = why.retry_after_ms
        while True:
            delay = self._backoff.next_seconds(None if asked_ms is None else asked_ms / 1000)
            left = self._give_up_at - time.monotonic()
            if delay > left:
                await asyncio.sleep(max(0.0, left))
                raise why
            await asyncio.sleep(delay)
            try:
                return await self._try_connect(min(self._dialer.timeout, max(0.001, left - delay)))
            except VoxwireError as error:
                why = ConnectionLost(refusal_code(error.code), error.message, error)
                # A draining server still admits its own sessions, so one that refuses does not have this session. A
                # load balancer would lead a resume there again: ask for a fresh session next.
                self._session_gone = self._session_gone or error.code is ErrorCode.DRAINING
            except ConnectionLost as error:
                why = error
            if not why.retryable:
                raise why
            asked_ms = why.retry_after_ms

    def _reconnect_seconds(self) -> float:
        given = self._owner.reconnect_seconds
        return max(30.0, self.ready.resume_window_ms / 1000) if given is None else given

    async def _try_connect(self, seconds_max: float) -> OpenSocket:
        resumable = self._has_session and not self._session_gone and self.ready.resume_window_ms > 0
        ends_at = asyncio.get_running_loop().time() + seconds_max
        opened = await self._dialer.dial(self.ready.session if resumable else None, seconds_max=seconds_max)
        try:
            async with asyncio.timeout_at(ends_at):
                resumed, fresh_received = await self._resume(opened) if resumable else (None, 0)
        except ConnectionClosed as error:
            raise connection_lost(error, None) from None
        except TimeoutError:
            opened.socket.transport.abort()
            raise ConnectionLost(ABNORMAL, "the server does not answer") from None
        except BaseException:
            opened.socket.transport.abort()
            raise
        self._continue(opened, resumed, fresh_received)
        self._use(opened.socket)
        return opened

    async def _resume(self, opened: OpenSocket) -> tuple[m.Resumed | None, int]:
        """Ask for the session to be resumed on a new socket, whose own session is fresh.

        Returns the server's answer, None where the fresh session counts, and how many messages came on that one.
        """
        progress = {name: context.progress() for name, context in self.contexts.items()}
        resume = m.Resume(
            session=self.ready.session,
            token=self._token,
            received=self.received,
            contexts={name: seq for name, (seq, _) in progress.items() if seq is not None},
            text_seq={name: text for name, (_, text) in progress.items() if text is not None},
        )
        await opened.socket.send(self._codec.encode(resume))
        fresh_received = 0
        while True:
            message = self._decode(await opened.socket.recv())
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

    def _continue(self, opened: OpenSocket, resumed: m.Resumed | None, fresh_received: int) -> None:
        first, self._has_session = not self._has_session, True
        event = Reconnected(resumed=resumed is not None, away_seconds=time.monotonic() - self._away_since)
        if resumed is not None:
            self._token = resumed.token
            self.outbox.resend(resumed.received)
            for context in list(self.contexts.values()):
                context.on_resumed(event)
        else:
            self.ready, self._token, self.received = opened.ready, opened.ready.token, fresh_received
            self.draining, self.states, self._session_gone = None, {}, False
            if not first:
                self._restart_contexts(event)
        if not first:
            self._owner.on_connection_event(self, event)

    def _restart_contexts(self, event: Reconnected) -> None:
        self.outbox.reset()
        self._numbers.clear()
        for context in list(self.contexts.values()):
            context.restart(self, event)

    def _use(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._session_error = self._timeout = None
        self.outbox.set_connected(True)

    # -- one socket -------------------------------------------------------------------------------------------------

    async def _read(self, socket: ClientConnection) -> ConnectionLost:
        """Read until the connection is gone; returns why."""
        tasks = [
            asyncio.create_task(self.outbox.write_to(socket), name="voxwire-write"),
            asyncio.create_task(self._acknowledge(), name="voxwire-acknowledge"),
            asyncio.create_task(self._watch_heartbeats(socket), name="voxwire-watch"),
        ]
        try:
            while True:
                raw = await socket.recv()
                self._heard_from_server = True
                self.received += 1
                self._on_raw(raw)
        except ConnectionClosed as error:
            return self._timeout or connection_lost(error, self._session_error)
        except ProtocolError as error:
            with contextlib.suppress(ConnectionClosed):
                await socket.close(CloseCode.INVALID_DATA, error.raw_code)
            return ConnectionLost(CloseCode.INVALID_DATA, "the server sent what is no message", error)
        finally:
            if self.lost is None:
                self.outbox.set_connected(False)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _acknowledge(self) -> None:
        while True:
            await self._has_contexts.wait()
            while self.contexts:
                await asyncio.sleep(ACK_SECONDS)
                if self.outbox.has_unsent:
                    continue  # The link is behind: an ack would only add to what waits.
                for context in list(self.contexts.values()):
                    ack = context.next_ack(time.monotonic())
                    if ack is not None:
                        self.outbox.post(ack)
            self._has_contexts.clear()

    async def _watch_heartbeats(self, socket: ClientConnection) -> None:
        """Drop a socket on which the server has been silent for SILENT_HEARTBEATS_MAX heartbeats.

        Heartbeats are counted rather than seconds: if this program itself was busy for long, the server is not lost.
        """
        beat_seconds, silent = self.ready.heartbeat_ms / 1000, 0
        while silent < SILENT_HEARTBEATS_MAX:
            self._heard_from_server = False
            await asyncio.sleep(beat_seconds)
            silent = 0 if self._heard_from_server else silent + 1
            if silent:
                self.outbox.send_ping()
        self._timeout = ConnectionLost(ABNORMAL, "the server does not answer")
        socket.transport.abort()

    # -- received messages ------------------------------------------------------------------------------------------

    def _on_raw(self, raw: str | bytes) -> None:
        if isinstance(raw, bytes) and is_audio_frame(raw):
            frame = unpack_frame(raw)
            context = self._numbers.get(frame.context_number)
            if context is not None:
                context.on_frame(frame, time.monotonic())
            return
        message = self._decode(raw)
        match message:
            case None | m.Ready() | m.Resumed() | m.ResumeFailed():
                pass
            case m.Pong():
                self.outbox.on_pong(int(message.t))
            case m.State():
                self.states = dict(message.contexts)
                if message.received is not None:
                    self.outbox.acknowledge(message.received)
            case m.Draining():
                self.draining = message
            case m.ErrorMessage() | m.WarningMessage() if message.context is None:
                self._on_session_notice(message)
            case _:
                self._on_context_message(message)

    def _decode(self, raw: str | bytes) -> m.ServerMessage | None:
        """The message; None for a kind of message that later servers may send and this client does not know."""
        if isinstance(raw, bytes) and not (self._codec.binary and is_map(raw)):
            return None
        try:
            return self._codec.decode_server(raw)
        except ProtocolError as error:
            if error.code is not ErrorCode.UNKNOWN_TYPE:
                raise
            return None

    def _on_session_notice(self, message: m.ErrorMessage | m.WarningMessage) -> None:
        if isinstance(message, m.ErrorMessage):
            self._session_error = m.error_from_message(message)
        log.warning("the server says: %s (%s)", message.message, message.code)

    def _on_context_message(self, message: Any) -> None:
        context = self.contexts.get(message.context)
        if context is None:
            return
        context.on_message(message)
        if isinstance(message, m.Started) and self.contexts.get(message.context) is context:
            self._numbers[message.number] = context


def is_map(raw: bytes) -> bool:
    """Whether a binary message is a MessagePack map (fixmap, map 16, map 32)."""
    return len(raw) > 0 and (raw[0] & 0xF0 == 0x80 or raw[0] in (0xDE, 0xDF))
