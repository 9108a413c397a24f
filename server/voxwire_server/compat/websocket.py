"""Runs a vendor's WebSocket: a translator between the connection and a session."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, assert_never

import orjson

from voxwire_protocol.errors import CloseCode, VoxwireError
from voxwire_server.compat.session import CompatSession, EncodedAudio, SessionClosed
from voxwire_server.compat.translator import Action, Close, Forward, Reply, StartContext
from voxwire_server.transport.connection import Connection
from voxwire_server.transport.websocket_protocol import EXTENSION, FIN_BINARY, FIN_TEXT, message_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translator import Translator
    from voxwire_server.transport.websocket_protocol import WebSocketProtocol

log = logging.getLogger("voxwire.compat")


class CompatHandler:
    """The `SessionHandler` of a translated session."""

    def __init__(
        self, protocol: WebSocketProtocol, session: CompatSession, translator: Translator, host: CompatHost
    ) -> None:
        self.closed = asyncio.Event()
        self.connection: Connection | None = None
        self.due = math.inf
        self._protocol = protocol
        self._session = session
        self._translator = translator
        self._host = host
        self._buffered: list[bytes] = []
        self._closing: tuple[int, str] | None = None
        self._consumer: asyncio.Task[None] | None = None

    # -- what the connection calls ------------------------------------------------------------------------------------

    @property
    def close_reason(self) -> tuple[int, str]:
        """See `SessionHandler`."""
        return self._closing or (CloseCode.NORMAL, "")

    @property
    def ended(self) -> bool:
        """See `SessionHandler`."""
        return self._closing is not None

    def open(self) -> None:
        """See `SessionHandler`."""
        self._consumer = asyncio.create_task(self._consume(), name="voxwire-compat")
        self._execute(self._translator.opened(self._now()))

    def receive(self, raw: str | bytes) -> None:
        """See `SessionHandler`."""
        if self._closing is not None:
            return
        core = self._session.driver.core
        counted = core.received
        try:
            actions = list(self._translator.received(raw, self._now()))
        except VoxwireError as error:
            # The session counts invalid messages, and ends when a client sends too many.
            self._session.reject(error)
            actions = list(self._translator.refused(error, self._now()))
        self._execute(actions)
        if core.received == counted:
            # No message was passed to the session; this one counts towards its rate limit, too.
            core.count_message(self._now())

    def read_delay(self) -> float:
        """See `SessionHandler`."""
        return self._session.driver.core.read_delay()

    def writable(self, writable: bool) -> None:
        """See `SessionHandler`."""
        self._session.writable(writable)

    def fail(self, error: VoxwireError) -> None:
        """See `SessionHandler`."""
        self._host.services.observer.error_sent(error.raw_code)
        self._execute([*self._translator.refused(error, self._now()), close_for(error)])

    def disconnected(self, code: int) -> None:  # noqa: ARG002 - sessions of vendors' clients can't be resumed
        """See `SessionHandler`."""
        self._closing = self._closing or (CloseCode.NORMAL, "")
        self._host.services.ticker.forget(self)
        if self._consumer is not None:
            self._consumer.cancel()
        self._session.disconnect()

    def tick(self, now: float) -> None:
        """See `voxwire_server.session.ticker.Ticked`."""
        self._execute(self._translator.tick(now))

    # -- events of the session ----------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        try:
            while self._closing is None:
                event = await self._session.next_event()
                now = self._now()
                match event:
                    case EncodedAudio():
                        self._execute(self._translator.audio(event, now))
                    case SessionClosed(code, reason):
                        self._execute([Close(code, reason)])
                    case _:
                        self._execute(self._translator.message(event, now))
        except Exception:
            log.exception("a translated session failed")
            self._execute([Close(CloseCode.INTERNAL, "internal error")])

    # -- actions ------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._host.services.clock()

    def _execute(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if self._closing is not None:
                break
            match action:
                case Reply(payload):
                    self._buffer(payload)
                case Forward(message):
                    self._session.forward(message)
                case StartContext():
                    self._start_context(action)
                case Close(code, reason):
                    self._closing = (code, reason[:120])
                case _:
                    assert_never(action)
        self._write()
        if self._closing is not None:
            self.closed.set()
        elif self._translator.due is not None:
            self._host.services.ticker.schedule(self, self._translator.due)
        else:
            self._host.services.ticker.forget(self)

    def _start_context(self, action: StartContext) -> None:
        try:
            self._session.start(action.start, action.format, paced=True)
        except VoxwireError as error:
            self._session.reject(error)
            self._execute(self._translator.refused(error, self._now()))

    def _buffer(self, payload: bytes | str | dict[str, object]) -> None:
        opcode = FIN_BINARY if isinstance(payload, bytes) else FIN_TEXT
        if isinstance(payload, dict):
            data = orjson.dumps(payload)
        else:
            data = payload.encode("utf-8", "replace") if isinstance(payload, str) else payload
        self._buffered += (message_prefix(opcode, len(data)), data)

    def _write(self) -> None:
        if self._buffered:
            data = b"".join(self._buffered)
            self._buffered.clear()
            self._protocol.write_frames(data)
            self._host.services.observer.bytes_sent(len(data))
            if self.connection is not None:
                self.connection.written()


def close_for(error: VoxwireError) -> Close:
    """The close that follows an error which ends the connection."""
    return Close(error.close_code or CloseCode.POLICY, error.message)


async def serve_websocket(
    host: CompatHost,
    websocket: WebSocket,
    translator: Translator,
    *,
    key: str | None = None,
    tokens: bool = False,
    first: Sequence[str | bytes] = (),
    subprotocol: str | None = None,
    dialect: str = "",
) -> None:
    """Serve a vendor's WebSocket with a translator of its own until it is closed.

    The handshake is accepted unless it was before; a refused client gets the messages of `translator.refused`. `key` is
    an API key from a place where only this vendor's clients put it; with `tokens` a browser's token is accepted, too.
    `first` are messages that were read already. `dialect` is the vendor whose tags the text has.
    """
    protocol: WebSocketProtocol | None = websocket.scope.get("extensions", {}).get(EXTENSION)
    assert protocol is not None, "the server runs with ws=WebSocketProtocol"
    # LiveKit keeps connections between turns and does not read meanwhile; the session ends idle ones.
    protocol.require_pongs = False
    if not protocol.handshake_complete:
        await websocket.accept(subprotocol)
    try:
        identity = host.authenticate(websocket, key, tokens=tokens)
        session = CompatSession(host, identity, dialect)
    except VoxwireError as error:
        host.services.observer.refused(error.raw_code)
        await refuse_websocket(host, websocket, translator, error)
        return
    handler = CompatHandler(protocol, session, translator, host)
    limits = host.config.limits
    connection = handler.connection = Connection(
        websocket,
        protocol,
        handler,
        slow_reader_seconds=limits.slow_reader_seconds,
        outbox_bytes_max=limits.outbox_bytes_max,
        share=host.fair_share_of(identity),
    )
    await connection.run(first)


async def refuse_websocket(host: CompatHost, websocket: WebSocket, translator: Translator, error: VoxwireError) -> None:
    """Tell a client whose handshake was accepted why it is refused, and close."""
    closing = close_for(error)
    for action in translator.refused(error, host.services.clock()):
        match action:
            case Reply(payload):
                if isinstance(payload, bytes):
                    await websocket.send_bytes(payload)
                else:
                    await websocket.send_text(payload if isinstance(payload, str) else orjson.dumps(payload).decode())
            case Close():
                closing = action
                break
            case _:
                pass
    await websocket.close(closing.code, closing.reason[:120])
