"""uvicorn's sans-I/O WebSocket protocol, extended: many messages in one write, and limits to what clients send.

A session sends some fifty audio frames a second. As an ASGI event, each costs a coroutine, a framing object and a
socket write; several in one write cost about as much as one. So audio blocks are built with their WebSocket frame
headers included (a server's frames are unmasked: RFC 6455, section 5.2) and written to the transport as they are.
Handshake, control frames, fragments, close and every incoming byte stay with `websockets`.

Input is parsed frame by frame, for a few milliseconds in each iteration of the event loop, and no further ahead than
QUEUED_MESSAGES_MAX messages that the session has not read. The rate of small frames (control frames, and fragments
under FRAGMENT_BYTES_MIN) is limited: beyond it the client gets `client.abuse`, and the connection is closed.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.session.quotas import TokenBucket
from voxwire_server.transport.connection_limiter import EXTENSION as SLOT_EXTENSION
from voxwire_server.transport.connection_limiter import ConnectionState
from voxwire_server.transport.http_protocol import response
from voxwire_server.transport.input_scheduler import SLICE_SECONDS, InputScheduler

if TYPE_CHECKING:
    from asyncio import BaseTransport
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

    from voxwire_server.transport.connection_limiter import ConnectionSlot

EXTENSION = "voxwire.websocket_protocol"
"""The ASGI scope extension that holds the connection's `WebSocketProtocol`."""

BUFFER_HIGH_BYTES = 256 * 1024
"""High-water mark of the transport's write buffer, above which a peer counts as slow: at least 3 s of audio."""

CLOSE_SECONDS = 10.0
"""How long a connection whose session has ended may take to send its last bytes."""

AUTHENTICATION_SECONDS = 15.0
"""How long a connection may stay unauthenticated where the first message brings the key."""

UNAUTHENTICATED_BYTES_MAX = 256 * 1024
"""The largest message of an unauthenticated client, in bytes: the one that brings the key."""

SMALL_READ_BYTES = 512
"""A read of at most so many bytes is parsed at once, even while other connections wait for their turn."""

FRAMES_PER_CLOCK_READ = 8
"""Frames parsed before the clock is read again; parsing one takes some 10 us."""

QUEUED_MESSAGES_MAX = 32
QUEUED_BYTES_MAX = 256 * 1024
"""Messages that are parsed and not yet read by the session, and their bytes: above either, parsing stops."""

FRAGMENT_BYTES_MIN = 64
"""A fragment of fewer bytes, header included, counts as a small frame: parsing it costs more than its data is worth."""

SMALL_FRAMES_PER_SECOND = 400.0
SMALL_FRAMES_BURST = 2000
"""The limit to small frames of a connection that got none from `HttpProtocol`: a rate, and a burst."""

LINGER_SECONDS = 2.0
"""How long input is discarded after a close frame was sent (lingering close): closing a socket with unread data resets
it, and the client would lose the frame."""

ARRIVAL_PING = b"arrived?"
"""The payload of the pings of `on_arrival`; uvicorn's own pings have payloads of four bytes."""

FIN_TEXT = 0x81
FIN_BINARY = 0x82
OPCODE_CONTINUATION = 0x0
OPCODE_CLOSE = 0x8

BAD_REQUEST = response(400, VoxwireError(ErrorCode.MALFORMED_MESSAGE, "this is no WebSocket handshake"))


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


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O WebSocket protocol. Endpoints reach it (`EXTENSION`) to write without ASGI events."""

    on_writable: Callable[[bool], None] | None = None
    _on_arrival: Callable[[], None] | None = None

    on_flood: Callable[[VoxwireError], None] | None = None
    """Called once, when the client has sent too many small frames: ends its session."""

    require_pongs = True
    """Whether a peer that answers no ping is disconnected. Some libraries (aiohttp) answer only while they are read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app = suppress_disconnect(self.app)
        self.small_frames = TokenBucket(SMALL_FRAMES_PER_SECOND, SMALL_FRAMES_BURST, SMALL_FRAMES_BURST, at=0.0)
        self._slot: ConnectionSlot | None = None
        self._close_reason = "gone"
        self._input_buffer = bytearray()
        self._queued_bytes = 0
        self._queued_sizes: deque[int] = deque()
        self._frame_left = 0
        self._received_at = 0.0
        self._parse_scheduled = False
        self.input_scheduler = InputScheduler()
        self._reading = True
        self._discarding = False

    # -- what the connection limiter calls ----------------------------------------------------------------------------

    def take_over_slot(self, slot: ConnectionSlot | None) -> None:
        """Take over the connection's slot from the HTTP protocol; called before `connection_made`."""
        self._slot = slot
        if slot is not None:
            slot.connection = self
            # A request on this connection may have been authenticated; the handshake has to show a key of its own.
            slot.set_state(ConnectionState.UNAUTHENTICATED)
            slot.authenticated_state = ConnectionState.WEBSOCKET
            slot.deadline = self.loop.time() + AUTHENTICATION_SECONDS

    def deadline_passed(self, now: float) -> None:  # noqa: ARG002
        """See `LimitedConnection`: drop a client that has not authenticated; others have no deadline."""
        assert self._slot is not None, "only connections with a slot are swept"
        self._slot.deadline = math.inf
        if self._slot.state is ConnectionState.UNAUTHENTICATED:
            self._close_reason = "silent"
            self.transport.abort()

    def evict(self) -> None:
        """See `LimitedConnection`."""
        self.transport.abort()

    # -- input --------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: BaseTransport) -> None:
        """Limit the transport's write buffer."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=BUFFER_HIGH_BYTES)
        # The HTTP protocol before this one may have stopped reading.
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the slot."""
        super().connection_lost(exc)
        self._discard_input()
        if self._slot is not None:
            self._slot.release(self._close_reason)

    def handle_connect(self, event: Request) -> None:
        """Put this object and the slot into the ASGI scope, for the endpoint and for authentication."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self
            if self._slot is not None:
                extensions[SLOT_EXTENSION] = self._slot

    def data_received(self, data: bytes) -> None:
        """Buffer input, and parse as much as may be parsed now. The first call brings the whole handshake."""
        if self._discarding:
            return
        if not self.handshake_initiated:
            self._handshake(data)
            return
        self._received_at = self.loop.time()
        self._input_buffer += data
        if not self._parse_scheduled and (self.input_scheduler.can_run_now or len(data) <= SMALL_READ_BYTES):
            self._parse_buffered()
        else:
            self._update_reading()

    def _handshake(self, request: bytes) -> None:
        super().data_received(request)
        if not self.handshake_initiated:
            # `websockets` could not read the handshake. uvicorn does not send the answer that it may have made.
            answer = b"".join(self.conn.data_to_send())
            self.transport.write(answer or BAD_REQUEST)
            self._discard_input()
            self.handshake_complete = self.close_sent = True
            self.transport.close()

    @property
    def _queue_full(self) -> bool:
        return self.queue.qsize() >= QUEUED_MESSAGES_MAX or self._queued_bytes > QUEUED_BYTES_MAX

    @property
    def _parsing_blocked(self) -> bool:
        """Whether parsing waits: for the handshake, for the client to read, or for the session to take messages."""
        full = self._queue_full or (self._is_unauthenticated and not self.queue.empty())
        return not self.handshake_complete or not self.writable.is_set() or (full and not self.close_sent)

    @property
    def _is_unauthenticated(self) -> bool:
        return self._slot is not None and self._slot.state is ConnectionState.UNAUTHENTICATED

    def _parse_buffered(self) -> None:
        self._parse_scheduled = False
        began = perf_counter()
        frames = 0
        while self._input_buffer and not self._parsing_blocked and not self.transport.is_closing():
            size = self._next_frame_bytes()
            if not size:
                break
            piece = bytes(self._input_buffer[:size])
            del self._input_buffer[:size]
            super().data_received(piece)
            frames += 1
            if frames % FRAMES_PER_CLOCK_READ == 0 and perf_counter() - began > SLICE_SECONDS:
                break
        self.input_scheduler.add_time(perf_counter() - began)
        self._update_reading()

    def _next_frame_bytes(self) -> int:
        """Buffered bytes of the first frame, or of its rest; 0: its header is incomplete, or the connection fails."""
        if not self._frame_left:
            size = frame_bytes(self._input_buffer)
            if size is None:
                return 0
            counted = self.close_sent or is_small_frame(self._input_buffer[0], size)
            if counted and not self.small_frames.take(self.loop.time()):
                self._end_flood()
                return 0
            if self._is_unauthenticated and not self.close_sent and not self._check_unauthenticated_size(size):
                return 0
            self._frame_left = size
        size = min(self._frame_left, len(self._input_buffer))
        self._frame_left -= size
        return size

    def _check_unauthenticated_size(self, size: int) -> bool:
        """Whether an unauthenticated client's message may have `size` more bytes; if not, the connection fails."""
        if size + sum(map(len, self.frames)) <= UNAUTHENTICATED_BYTES_MAX:
            return True
        self.conn.fail(CloseCode.TOO_BIG, "too large for a client that has shown no key")
        self.handle_parser_exception()
        return False

    def _end_flood(self) -> None:
        """The client has sent too many small frames: end its session, and discard further input."""
        self._discard_input()
        self._close_reason = "flood"
        if self.close_sent:
            self._linger()
            return
        error = VoxwireError(ErrorCode.ABUSE, "too many control frames and fragments")
        if self.on_flood is not None:
            self.on_flood(error)
        elif self.is_open:
            self.conn.fail(CloseCode.POLICY, ErrorCode.ABUSE.value)
            self.handle_parser_exception()

    def _discard_input(self) -> None:
        self._discarding = True
        self._input_buffer.clear()

    def _update_reading(self) -> None:
        """Resume or pause reading from the socket, and schedule parsing if a frame is buffered."""
        if self.disconnected or self.transport.is_closing():
            return
        held_back = self._parsing_blocked and not self._discarding
        whole = bool(self._input_buffer) and (self._frame_left > 0 or frame_bytes(self._input_buffer) is not None)
        reading = not held_back and not whole
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
        if whole and not held_back and not self._parse_scheduled:
            self._parse_scheduled = True
            principal = "" if self._slot is None else self._slot.principal
            self.input_scheduler.schedule(self._parse_buffered, principal)

    def send_receive_event_to_app(self) -> None:
        """Queue a complete message. uvicorn's own method stops reading here, and logs a traceback for invalid UTF-8."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        self._queued_sizes.append(len(data))
        self._queued_bytes += len(data)
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": bytes(data)})
            return
        try:
            self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
        except UnicodeDecodeError as error:
            self.conn.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """The connection has failed: send the close frame, and give the peer time to read it."""
        assert self.conn.close_sent is not None, "a failure has its code"
        self.queue.put_nowait({"type": "websocket.disconnect", "code": self.conn.close_sent.code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._linger()

    def _linger(self) -> None:
        """Stop sending, and discard input for LINGER_SECONDS before the connection is aborted."""
        self._discard_input()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self._abort_if_connected)
        self.transport.write_eof()

    async def receive(self) -> ASGIReceiveEvent:
        """The next event for the application. Taking it makes room for parsing more."""
        event = await self.queue.get()
        if event["type"] == "websocket.receive":
            self._queued_bytes -= self._queued_sizes.popleft()
        self._update_reading()
        return event

    def pause_writing(self) -> None:
        """The write buffer is above its high-water mark: stop reading, because answers to pings need room, too."""
        super().pause_writing()
        self._update_reading()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """The write buffer is below its low-water mark: read again."""
        super().resume_writing()
        self._update_reading()
        if self.on_writable is not None:
            self.on_writable(True)

    def handle_cont(self, event: Frame) -> None:
        """Keep a fragment; fragments without data take no memory, however many come."""
        if event.data or event.fin:
            super().handle_cont(event)

    def on_arrival(self, arrived: Callable[[], None] | None) -> None:
        """Call `arrived` once the peer has received everything written so far: it answers a ping that is sent after it.

        None: cancel that.
        """
        self._on_arrival = arrived
        if arrived is not None and self.is_open:
            self.conn.send_ping(ARRIVAL_PING)
            self.transport.write(b"".join(self.conn.data_to_send()))

    def handle_pong(self, event: Frame) -> None:
        """A pong came: if it answers the ping of `on_arrival`, call its callback."""
        if self._on_arrival is not None and bytes(event.data) == ARRIVAL_PING:
            arrived, self._on_arrival = self._on_arrival, None
            arrived()
        super().handle_pong(event)

    @property
    def _is_alive(self) -> bool:
        """Whether the peer is alive: bytes came since the last ping, or unparsed input may hold its pong."""
        waits = self.writable.is_set() and (bool(self._input_buffer) or not self.queue.empty())
        return waits or self._received_at > self.ping_sent_at

    def keepalive_timeout(self) -> None:
        """The last ping was not answered in time: end the connection, or ping again if other input came."""
        if self.require_pongs and not self._is_alive:
            super().keepalive_timeout()
            self.abort_later()
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        if not self.close_sent and not self.transport.is_closing():
            self.schedule_ping()

    async def send(self, message: ASGISendEvent) -> None:
        """Send an event of the application; an HTTP response in place of an accept completes the handshake, too."""
        if self.transport.is_closing():
            # uvloop's transport would raise another error, before `connection_lost` is called.
            self.handshake_complete = True
            raise ClientDisconnected
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
        if self._discarding and self.close_sent and not self.transport.is_closing() and not self.conn.eof_sent:
            self._linger()
        self._update_reading()

    def abort_later(self) -> None:
        """Abort the connection after CLOSE_SECONDS if it is still open, even if the peer has not read everything."""
        if not self.disconnected:
            self.loop.call_later(CLOSE_SECONDS, self._abort_if_connected)

    def _abort_if_connected(self) -> None:
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

    def write_frames(self, data: bytes) -> None:
        """Write whole WebSocket frames, header included; nothing happens once the connection closes."""
        if self.is_open:
            self.transport.write(data)

    @property
    def buffered_bytes(self) -> int:
        """Bytes in the write buffer."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def abort(self) -> None:
        """Drop the connection and its buffer at once."""
        self.transport.abort()


def frame_bytes(data: bytearray) -> int | None:
    """Length of the frame that `data` begins with, its header included (RFC 6455, section 5.2); None: not known yet."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    header = 2 + (4 if data[1] & 0x80 else 0)
    if length >= 126:
        length_bytes = 2 if length == 126 else 8
        if len(data) < 2 + length_bytes:
            return None
        header += length_bytes
        length = int.from_bytes(data[2 : 2 + length_bytes], "big")
    return header + length


def is_small_frame(head: int, size: int) -> bool:
    """Whether a frame is a control frame or a fragment under FRAGMENT_BYTES_MIN; `head` is its first byte."""
    opcode, fin = head & 0x0F, head & 0x80
    return opcode >= OPCODE_CLOSE or (size < FRAGMENT_BYTES_MIN and (opcode == OPCODE_CONTINUATION or not fin))


def suppress_disconnect(app: ASGI3Application) -> ASGI3Application:
    """The application, without the exception that Starlette raises when a client disconnects during a send."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await app(scope, receive, send)

    return wrapped
