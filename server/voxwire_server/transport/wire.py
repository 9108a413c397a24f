"""The WebSocket protocol that uvicorn runs for us: its sans-I/O one, and a way to write many messages at once.

A session sends some fifty audio frames a second. Each as an ASGI event costs a coroutine, a framing object and a socket
write; several in one write cost about as much as one. So audio blocks are built with their WebSocket frame headers in
place (a server's frames are unmasked: RFC 6455, section 5.2) and written to the transport as they are. Handshake,
control frames, fragments, close and every incoming byte stay with `websockets`.

What comes in is parsed frame by frame, a few milliseconds at a turn of the event loop, and no further ahead than
MESSAGES_WAITING_MAX messages that the session has not read. Small frames, which are control frames and fragments under
FRAGMENT_BYTES_MIN, have a bound to their rate: beyond it the client gets `client.abuse`, and the connection is closed.
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
from voxwire_server.transport import door
from voxwire_server.transport.requests import response
from voxwire_server.transport.turns import SHARE_SECONDS, Turns

if TYPE_CHECKING:
    from asyncio import BaseTransport
    from collections.abc import Callable

    from uvicorn._types import ASGI3Application, ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

EXTENSION = "voxwire.wire"
"""The ASGI scope extension that holds the connection's `WireProtocol`."""

BUFFER_HIGH_BYTES = 256 * 1024
"""Bytes in the transport's buffer from which on the peer counts as slow: some three seconds of 24 kHz PCM and more."""

LINGER_SECONDS = 10.0
"""How long a connection that is over may take to hand over its last bytes."""

RECOGNITION_SECONDS = 15.0
"""How long a connection may stay without a key, where the first message brings it."""

UNAUTHENTICATED_BYTES_MAX = 256 * 1024
"""The largest message of a client that has shown no key yet, in bytes: what the message that brings it may have."""

SMALL_BYTES = 512
"""A read of no more bytes is parsed at once, even while other connections wait for their turn."""

FRAMES_BETWEEN_LOOKS = 8
"""Frames parsed before the clock is read again; parsing one takes some 10 us."""

MESSAGES_WAITING_MAX = 32
WAITING_BYTES_MAX = 256 * 1024
"""Messages parsed and not yet read by the session, and their bytes, from which on no more are parsed."""

FRAGMENT_BYTES_MIN = 64
"""A fragment of fewer bytes, header included, counts as a small frame: parsing it costs more than its data is worth."""

SMALL_FRAMES_PER_SECOND = 400.0
SMALL_FRAMES_BURST = 2000
"""The bound to small frames of a connection that `RequestProtocol` gave none: a rate, and how many at once."""

LEAVING_SECONDS = 2.0
"""How long input is discarded after a close frame was sent: closing a socket with unread data resets it, and the client
would lose the frame."""

ARRIVAL = b"arrived?"
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


class WireProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sans-I/O WebSocket protocol, reachable by the endpoint for writes that go around ASGI."""

    on_writable: Callable[[bool], None] | None = None
    _arrived: Callable[[], None] | None = None

    on_flood: Callable[[VoxwireError], None] | None = None
    """Called once, when the client has sent too many small frames and its session is to end."""

    pongs_wanted = True
    """Whether a peer that answers no ping is disconnected. Some libraries (aiohttp) answer only while they are read."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app = ending_quietly(self.app)
        self.small_frames = TokenBucket(SMALL_FRAMES_PER_SECOND, SMALL_FRAMES_BURST, SMALL_FRAMES_BURST, at=0.0)
        self._place: door.Place | None = None
        self._reason = "gone"
        self._inbox = bytearray()
        self._waiting_bytes = 0
        self._sizes: deque[int] = deque()
        self._frame_left = 0
        self._heard_at = 0.0
        self._waiting = False
        self.turns = Turns()
        self._reading = True
        self._discarding = False

    # -- the door -----------------------------------------------------------------------------------------------------

    def take_place(self, place: door.Place | None) -> None:
        """Take over the connection's place from the HTTP protocol; called before `connection_made`."""
        self._place = place
        if place is not None:
            place.connection = self
            # A request on this connection may have been authenticated; the handshake has to show a key of its own.
            place.become(door.State.UNKNOWN)
            place.known = door.State.WEBSOCKET
            place.due = self.loop.time() + RECOGNITION_SECONDS

    def overdue(self, now: float) -> None:  # noqa: ARG002
        """See `door.Connection`: a client without a key in time is dropped; one that was let in has no deadline."""
        assert self._place is not None, "only who has a place is looked after"
        self._place.due = math.inf
        if self._place.state is door.State.UNKNOWN:
            self._reason = "silent"
            self.transport.abort()

    def evict(self) -> None:
        """See `door.Connection`."""
        self.transport.abort()

    # -- what comes in ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: BaseTransport) -> None:
        """Bound what may wait in the transport's buffer."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=BUFFER_HIGH_BYTES)
        # The HTTP protocol before this one may have stopped reading.
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._discard_input()
        if self._place is not None:
            self._place.leave(self._reason)

    def handle_connect(self, event: Request) -> None:
        """Let the endpoint find this object, and authentication the client's place."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self
            if self._place is not None:
                extensions[door.EXTENSION] = self._place

    def data_received(self, data: bytes) -> None:
        """Keep what came, and parse as much as may be parsed now. The first is the handshake, whole."""
        if self._discarding:
            return
        if not self.handshake_initiated:
            self._shake_hands(data)
            return
        self._heard_at = self.loop.time()
        self._inbox += data
        if not self._waiting and (self.turns.free or len(data) <= SMALL_BYTES):
            self._feed()
        else:
            self._steer()

    def _shake_hands(self, request: bytes) -> None:
        super().data_received(request)
        if not self.handshake_initiated:
            # websockets could not read it. It says so, if at all, in what is to be sent, which uvicorn leaves there.
            said = b"".join(self.conn.data_to_send())
            self.transport.write(said or BAD_REQUEST)
            self._discard_input()
            self.handshake_complete = self.close_sent = True
            self.transport.close()

    @property
    def _full(self) -> bool:
        return self.queue.qsize() >= MESSAGES_WAITING_MAX or self._waiting_bytes > WAITING_BYTES_MAX

    @property
    def _held_back(self) -> bool:
        """Whether the client, or what it sent, has to be attended to before more is parsed."""
        full = self._full or (self._is_unauthenticated and not self.queue.empty())
        return not self.handshake_complete or not self.writable.is_set() or (full and not self.close_sent)

    @property
    def _is_unauthenticated(self) -> bool:
        return self._place is not None and self._place.state is door.State.UNKNOWN

    def _feed(self) -> None:
        self._waiting = False
        began = perf_counter()
        frames = 0
        while self._inbox and not self._held_back and not self.transport.is_closing():
            size = self._take_frame()
            if not size:
                break
            piece = bytes(self._inbox[:size])
            del self._inbox[:size]
            super().data_received(piece)
            frames += 1
            if frames % FRAMES_BETWEEN_LOOKS == 0 and perf_counter() - began > SHARE_SECONDS:
                break
        self.turns.spend(perf_counter() - began)
        self._steer()

    def _take_frame(self) -> int:
        """Bytes of the first frame, or of the rest of it, that are there; 0 while its header is incomplete."""
        if not self._frame_left:
            size = frame_bytes(self._inbox)
            if size is None:
                return 0
            counted = self.close_sent or is_small_frame(self._inbox[0], size)
            if counted and not self.small_frames.take(self.loop.time()):
                self._flooded()
                return 0
            if self._is_unauthenticated and not self.close_sent and not self._may_gather(size):
                return 0
            self._frame_left = size
        size = min(self._frame_left, len(self._inbox))
        self._frame_left -= size
        return size

    def _may_gather(self, size: int) -> bool:
        """Whether a frame may be gathered before its client has shown a key; if not, the connection fails."""
        if size + sum(map(len, self.frames)) <= UNAUTHENTICATED_BYTES_MAX:
            return True
        self.conn.fail(CloseCode.TOO_BIG, "too large for a client that has shown no key")
        self.handle_parser_exception()
        return False

    def _flooded(self) -> None:
        """The client has sent too many small frames: end its session, and discard what else it sends."""
        self._discard_input()
        self._reason = "flood"
        if self.close_sent:
            self._leave()
            return
        error = VoxwireError(ErrorCode.ABUSE, "too many control frames and fragments")
        if self.on_flood is not None:
            self.on_flood(error)
        elif self.is_open:
            self.conn.fail(CloseCode.POLICY, ErrorCode.ABUSE.value)
            self.handle_parser_exception()

    def _discard_input(self) -> None:
        self._discarding = True
        self._inbox.clear()

    def _steer(self) -> None:
        """Resume or pause reading from the socket, and queue parsing for a turn if a frame is there."""
        if self.disconnected or self.transport.is_closing():
            return
        held_back = self._held_back and not self._discarding
        whole = bool(self._inbox) and (self._frame_left > 0 or frame_bytes(self._inbox) is not None)
        reading = not held_back and not whole
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
        if whole and not held_back and not self._waiting:
            self._waiting = True
            self.turns.ask(self._feed, "" if self._place is None else self._place.principal)

    def send_receive_event_to_app(self) -> None:
        """Queue a complete message. uvicorn's own method stops reading here, and logs a traceback for invalid UTF-8."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        self._sizes.append(len(data))
        self._waiting_bytes += len(data)
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
        self._leave()

    def _leave(self) -> None:
        """Stop sending, and discard input for LEAVING_SECONDS before the connection is dropped."""
        self._discard_input()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(LEAVING_SECONDS, self._cut)
        self.transport.write_eof()

    async def receive(self) -> ASGIReceiveEvent:
        """The next event for the application. Taking it makes room for parsing more."""
        event = await self.queue.get()
        if event["type"] == "websocket.receive":
            self._waiting_bytes -= self._sizes.popleft()
        self._steer()
        return event

    def pause_writing(self) -> None:
        """The write buffer is over its high mark: stop reading, because pings too would have to be answered."""
        super().pause_writing()
        self._steer()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """The write buffer is below its low mark: read again."""
        super().resume_writing()
        self._steer()
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
        """A pong came: call what `on_arrival` was given if it answers that ping."""
        if self._arrived is not None and bytes(event.data) == ARRIVAL:
            arrived, self._arrived = self._arrived, None
            arrived()
        super().handle_pong(event)

    @property
    def _heard(self) -> bool:
        """Whether the peer is alive: bytes came since the last ping, or wait to be parsed in front of its pong."""
        waits = self.writable.is_set() and (bool(self._inbox) or not self.queue.empty())
        return waits or self._heard_at > self.ping_sent_at

    def keepalive_timeout(self) -> None:
        """The last ping was not answered in time: end the connection, whose buffer would never empty, or ping again."""
        if self.pongs_wanted and not self._heard:
            super().keepalive_timeout()
            self.let_go()
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        if not self.close_sent and not self.transport.is_closing():
            self.schedule_ping()

    async def send(self, message: ASGISendEvent) -> None:
        """Send an event of the application's; an HTTP response instead of an accept completes the handshake as well."""
        if self.transport.is_closing():
            # uvloop's transport would raise another error, before the protocol hears that the connection is over.
            self.handshake_complete = True
            raise ClientDisconnected
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
        if self._discarding and self.close_sent and not self.transport.is_closing() and not self.conn.eof_sent:
            self._leave()
        self._steer()

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
    """Whether a frame of `size` bytes, whose first is `head`, is a control frame or a fragment below the minimum."""
    opcode, fin = head & 0x0F, head & 0x80
    return opcode >= OPCODE_CLOSE or (size < FRAGMENT_BYTES_MIN and (opcode == OPCODE_CONTINUATION or not fin))


def ending_quietly(app: ASGI3Application) -> ASGI3Application:
    """The same application; a client that disconnects while it is sent something raises nothing in it."""

    async def quiet(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await app(scope, receive, send)

    return quiet
