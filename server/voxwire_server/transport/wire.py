"""The WebSocket protocol that uvicorn runs for us: its sans-I/O one, and a way to write many messages at once.

A session sends some fifty audio frames a second. Each as an ASGI event costs a coroutine, a framing object and a socket
write; several in one write cost about as much as one. So audio blocks are built with their WebSocket frame headers in
place (a server's frames are unmasked: RFC 6455, section 5.2) and written to the transport as they are. Handshake,
control frames, fragments, close and every incoming byte stay with `websockets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from voxwire_protocol.errors import CloseCode

if TYPE_CHECKING:
    from asyncio import BaseTransport
    from collections.abc import Callable

    from uvicorn._types import ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

EXTENSION = "voxwire.wire"
"""The ASGI scope extension that holds the connection's `WireProtocol`."""

BUFFER_HIGH_BYTES = 256 * 1024
"""Bytes in the transport's buffer from which on the peer counts as slow: some three seconds of 24 kHz PCM and more."""

LINGER_SECONDS = 10.0
"""How long a connection that is over may take to hand over its last bytes."""

ARRIVAL = b"arrived?"
"""Told from uvicorn's own pings, whose payloads have four bytes."""

FIN_TEXT = 0x81
FIN_BINARY = 0x82


def message_prefix(opcode_byte: int, length: int) -> bytes:
    """The header of an unmasked, unfragmented WebSocket frame of `length` bytes (RFC 6455, section 5.2)."""
    if length < 126:
        return bytes((opcode_byte, length))
    if length < 1 << 16:
        return bytes((opcode_byte, 126)) + length.to_bytes(2, "big")
    return bytes((opcode_byte, 127)) + length.to_bytes(8, "big")


def binary_prefix(length: int) -> bytes:
    """The header in front of a binary message of `length` bytes."""
    return message_prefix(FIN_BINARY, length)


class WireProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O WebSocket protocol, reachable by the endpoint for writes that go around ASGI."""

    on_writable: Callable[[bool], None] | None = None
    _arrived: Callable[[], None] | None = None

    pongs_wanted = True
    """Whether a peer that answers no ping is let go. Some libraries (aiohttp) answer only while somebody reads."""

    def connection_made(self, transport: BaseTransport) -> None:
        """Bound what may wait in the transport's buffer."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=BUFFER_HIGH_BYTES)

    def handle_connect(self, event: Request) -> None:
        """Let the endpoint find this object."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self

    def pause_writing(self) -> None:
        """The buffer is over its high mark: nothing is read that would have to be answered, pings included."""
        super().pause_writing()
        self.transport.pause_reading()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """The buffer is below its low mark."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()
        if self.on_writable is not None:
            self.on_writable(True)

    def handle_cont(self, event: Frame) -> None:
        """Gather a fragment; one without data takes no room, however many come."""
        if event.data or event.fin:
            super().handle_cont(event)

    def on_arrival(self, arrived: Callable[[], None] | None) -> None:
        """Call `arrived` once the peer has got everything written so far: it answers a ping that is sent behind it.

        None: do not call any more.
        """
        self._arrived = arrived
        if arrived is not None and self.is_open:
            self.conn.send_ping(ARRIVAL)
            self.transport.write(b"".join(self.conn.data_to_send()))

    def handle_pong(self, event: Frame) -> None:
        """A ping is answered."""
        if self._arrived is not None and bytes(event.data) == ARRIVAL:
            arrived, self._arrived = self._arrived, None
            arrived()
        super().handle_pong(event)

    def keepalive_timeout(self) -> None:
        """Nobody answers pings: what is buffered will never leave, so the connection is not left to wait for it."""
        # A client whose messages are read slowly may have answered behind them.
        if self.pongs_wanted and not self.read_paused:
            super().keepalive_timeout()
            self.let_go()
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        if not self.close_sent and not self.transport.is_closing():
            self.schedule_ping()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the endpoint wants; a handshake that it answered with a response of its own is complete then."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    def let_go(self) -> None:
        """See that the connection ends soon, whether or not the peer takes what is buffered."""
        if not self.disconnected:
            self.loop.call_later(LINGER_SECONDS, self._cut)

    def _cut(self) -> None:
        if not self.disconnected:
            self.transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether data messages may be sent."""
        return (
            self.handshake_complete
            and not self.close_sent
            and not self.disconnected
            and self.conn.state is State.OPEN
            and not self.transport.is_closing()
        )

    @property
    def peer_code(self) -> int:
        """The code of the peer's close frame: 1005 where it gave none, 1006 where there was no such frame."""
        closing = self.conn.close_rcvd
        return CloseCode.ABNORMAL if closing is None else closing.code

    def write_wire(self, data: bytes) -> None:
        """Write whole WebSocket frames, header included; nothing happens once the connection closes."""
        if self.is_open:
            self.transport.write(data)

    @property
    def buffered_bytes(self) -> int:
        """Bytes that the peer has not taken yet."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def abort(self) -> None:
        """Drop the connection and what is buffered, at once."""
        self.transport.abort()
