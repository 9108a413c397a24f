"""Runs a vendor's WebSocket: its translator on one side, a line on the other, and the socket they share."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, assert_never

import orjson

from voxwire_protocol.errors import CloseCode, VoxwireError
from voxwire_server.compat.session_stream import AudioPiece, Closed, CompatSession
from voxwire_server.compat.translation import Action, Begin, Forward, Hangup, Reply
from voxwire_server.transport.connection import Connection
from voxwire_server.transport.wire import EXTENSION, FIN_BINARY, FIN_TEXT, message_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.websockets import WebSocket

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.translation import Translator
    from voxwire_server.transport.wire import WireProtocol

log = logging.getLogger("voxwire.compat")


class CompatHandler:
    """A translated session as its connection sees it."""

    def __init__(self, wire: WireProtocol, line: CompatSession, translator: Translator, host: CompatHost) -> None:
        self.closed = asyncio.Event()
        self.connection: Connection | None = None
        self.due = math.inf
        self._wire = wire
        self._line = line
        self._translator = translator
        self._host = host
        self._gathered: list[bytes] = []
        self._closing: tuple[int, str] | None = None
        self._consumer: asyncio.Task[None] | None = None

    # -- what the connection asks -----------------------------------------------------------------------------------

    @property
    def close_reason(self) -> tuple[int, str]:
        """See `Speaker`."""
        return self._closing or (CloseCode.NORMAL, "")

    @property
    def over(self) -> bool:
        """See `Speaker`."""
        return self._closing is not None

    def open(self) -> None:
        """See `Speaker`."""
        self._consumer = asyncio.create_task(self._consume(), name="voxwire-compat")
        self._carry_out(self._translator.opened(self._now()))

    def take(self, raw: str | bytes) -> None:
        """See `Speaker`."""
        if self._closing is not None:
            return
        core = self._line.driver.core
        counted = core.received
        try:
            actions = list(self._translator.received(raw, self._now()))
        except VoxwireError as error:
            # The session counts it: a client that sends nothing else is let go.
            self._line.reject(error)
            actions = list(self._translator.refused(error, self._now()))
        self._carry_out(actions)
        if core.received == counted:
            # Nothing was passed on to the session; the message counts towards its rate all the same.
            core.count_message(self._now())

    def read_delay(self) -> float:
        """See `Speaker`."""
        return self._line.driver.core.read_delay()

    def writable(self, writable: bool) -> None:
        """See `Speaker`."""
        self._line.writable(writable)

    def fail(self, error: VoxwireError) -> None:
        """See `Speaker`."""
        self._host.services.observer.error_sent(error.raw_code)
        self._carry_out([*self._translator.refused(error, self._now()), hangup_for(error)])

    def disconnected(self, code: int) -> None:  # noqa: ARG002 - no session of other vendors' can be resumed
        """See `Speaker`."""
        self._closing = self._closing or (CloseCode.NORMAL, "")
        self._host.services.ticker.forget(self)
        if self._consumer is not None:
            self._consumer.cancel()
        self._line.hang_up()

    def tick(self, now: float) -> None:
        """See `voxwire_server.session.ticker.Ticked`."""
        self._carry_out(self._translator.tick(now))

    # -- what the session says ----------------------------------------------------------------------------------------

    async def _consume(self) -> None:
        try:
            while self._closing is None:
                event = await self._line.next()
                now = self._now()
                match event:
                    case AudioPiece():
                        self._carry_out(self._translator.audio(event, now))
                    case Closed(code, reason):
                        self._carry_out([Hangup(code, reason)])
                    case _:
                        self._carry_out(self._translator.message(event, now))
        except Exception:
            log.exception("a translated session failed")
            self._carry_out([Hangup(CloseCode.INTERNAL, "internal error")])

    # -- actions ------------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._host.services.clock()

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if self._closing is not None:
                break
            match action:
                case Reply(payload):
                    self._gather(payload)
                case Forward(message):
                    self._line.tell(message)
                case Begin():
                    self._begin(action)
                case Hangup(code, reason):
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

    def _begin(self, action: Begin) -> None:
        try:
            self._line.start(action.start, action.format, paced=True)
        except VoxwireError as error:
            self._line.reject(error)
            self._carry_out(self._translator.refused(error, self._now()))

    def _gather(self, payload: bytes | str | dict[str, object]) -> None:
        opcode = FIN_BINARY if isinstance(payload, bytes) else FIN_TEXT
        if isinstance(payload, dict):
            data = orjson.dumps(payload)
        else:
            data = payload.encode("utf-8", "replace") if isinstance(payload, str) else payload
        self._gathered += (message_prefix(opcode, len(data)), data)

    def _write(self) -> None:
        if self._gathered:
            data = b"".join(self._gathered)
            self._gathered.clear()
            self._wire.write_wire(data)
            self._host.services.observer.bytes_sent(len(data))
            if self.connection is not None:
                self.connection.written()


def hangup_for(error: VoxwireError) -> Hangup:
    """How a connection ends that `error` ends."""
    return Hangup(error.close_code or CloseCode.POLICY, error.message)


async def serve_socket(
    host: CompatHost,
    socket: WebSocket,
    translator: Translator,
    *,
    key: str | None = None,
    tokens: bool = False,
    first: Sequence[str | bytes] = (),
    subprotocol: str | None = None,
) -> None:
    """Serve a vendor's WebSocket with a translator of its own until it ends.

    The handshake is accepted unless it has been; whoever is refused is told by `translator.refused`. `key` is an API
    key found where only this vendor's clients put it, `tokens` whether a browser's token will do, `first` are messages
    that were read already.
    """
    wire: WireProtocol | None = socket.scope.get("extensions", {}).get(EXTENSION)
    assert wire is not None, "the server runs with ws=WireProtocol"
    # LiveKit keeps connections between turns and does not read meanwhile; idle ones are let go by the session.
    wire.pongs_wanted = False
    if not wire.handshake_complete:
        await socket.accept(subprotocol)
    try:
        identity = host.authenticate(socket, key, tokens=tokens)
        line = CompatSession(host, identity)
    except VoxwireError as error:
        host.services.observer.refused(error.raw_code)
        await refuse_socket(host, socket, translator, error)
        return
    conversation = CompatHandler(wire, line, translator, host)
    limits = host.config.limits
    connection = conversation.connection = Connection(
        socket,
        wire,
        conversation,
        slow_reader_seconds=limits.slow_reader_seconds,
        outbox_bytes_max=limits.outbox_bytes_max,
        share=host.loop_share_of(identity),
    )
    await connection.run(first)


async def refuse_socket(host: CompatHost, socket: WebSocket, translator: Translator, error: VoxwireError) -> None:
    """Tell an accepted client why it is not let in, the vendor's way, and close."""
    closing = hangup_for(error)
    for action in translator.refused(error, host.services.clock()):
        match action:
            case Reply(payload):
                if isinstance(payload, bytes):
                    await socket.send_bytes(payload)
                else:
                    await socket.send_text(payload if isinstance(payload, str) else orjson.dumps(payload).decode())
            case Hangup():
                closing = action
                break
            case _:
                pass
    await socket.close(closing.code, closing.reason[:120])
