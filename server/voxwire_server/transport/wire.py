"""The WebSocket protocol that uvicorn runs for us: its sans-I/O one, and a way to write many messages at once.

A session sends some fifty audio frames a second. Each as an ASGI event costs a coroutine, a framing object and a socket
write; several in one write cost about as much as one. So audio blocks are built with their WebSocket frame headers in
place (a server's frames are unmasked: RFC 6455, section 5.2) and written to the transport as they are. Handshake,
control frames, fragments, close and every incoming byte stay with `websockets`.

What comes in is parsed a frame at a time, a few milliseconds at a turn, and no further than the session has read.
Frames that bring next to nothing, pings and crumbs of messages, have a bound to their rate: beyond it a client is told,
and closed.
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

STRANGERS_BYTES_MAX = 256 * 1024
"""The largest message of a client that has shown no key yet, in bytes: what the message that brings it may have."""

SMALL_BYTES = 512
"""So few bytes are parsed at once, though others wait."""

FRAMES_BETWEEN_LOOKS = 8
"""A frame costs some 10 us; so many are parsed before the clock is looked at."""

MESSAGES_WAITING_MAX = 32
WAITING_BYTES_MAX = 256 * 1024
"""Messages parsed and not yet read by the session, and their bytes, from which on no more are parsed."""

CRUMB_BYTES = 64
"""A fragment of fewer bytes costs more than it brings."""

CRUMBS_PER_SECOND = 400.0
CRUMBS_BURST = 2000
"""Control frames and crumbs that are taken, where the server says nothing else."""

LEAVING_SECONDS = 2.0
"""How long what a closed client still sends is thrown away, so that no reset takes the close frame from it."""
ARRIVAL = b"arrived?"
"""Told from uvicorn's own pings, whose payloads have four bytes."""

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
    """Told once when the client is to be closed for sending too many frames of nothing."""

    pongs_wanted = True
    """Whether a peer that answers no ping is let go. Some libraries (aiohttp) answer only while somebody reads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.app = ending_quietly(self.app)
        self.crumbs = door.Crumbs(CRUMBS_PER_SECOND, CRUMBS_BURST)
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
        self._deaf = False

    # -- the door -----------------------------------------------------------------------------------------------------

    def take_place(self, place: door.Place | None) -> None:
        """The connection's place at the door; before `connection_made`."""
        self._place = place
        if place is not None:
            place.held = self
            # Known from a request before: this one has to show a key of its own, or it would pass for idle.
            place.become(door.State.UNKNOWN)
            place.known = door.State.WEBSOCKET
            place.due = self.loop.time() + RECOGNITION_SECONDS

    def overdue(self, now: float) -> None:  # noqa: ARG002
        """See `door.Held`: a client that was let in has all the time there is."""
        assert self._place is not None, "only who has a place is looked after"
        self._place.due = math.inf
        if self._place.state is door.State.UNKNOWN:
            self._reason = "silent"
            self.transport.abort()

    def make_way(self) -> None:
        """See `door.Held`."""
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
        self._turn_deaf()
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
        if self._deaf:
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
            self._turn_deaf()
            self.handshake_complete = self.close_sent = True
            self.transport.close()

    @property
    def _full(self) -> bool:
        return self.queue.qsize() >= MESSAGES_WAITING_MAX or self._waiting_bytes > WAITING_BYTES_MAX

    @property
    def _held_back(self) -> bool:
        """Whether the client, or what it sent, has to be attended to before more is parsed."""
        full = self._full or (self._is_stranger and not self.queue.empty())
        return not self.handshake_complete or not self.writable.is_set() or (full and not self.close_sent)

    @property
    def _is_stranger(self) -> bool:
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
            if (self.close_sent or is_crumb(self._inbox[0], size)) and not self.crumbs.take(self.loop.time()):
                self._flooded()
                return 0
            if self._is_stranger and not self.close_sent and not self._stranger_may_send(size):
                return 0
            self._frame_left = size
        size = min(self._frame_left, len(self._inbox))
        self._frame_left -= size
        return size

    def _stranger_may_send(self, size: int) -> bool:
        """Whether a frame may be gathered before its client has shown a key; if not, the connection fails."""
        if size + sum(map(len, self.frames)) <= STRANGERS_BYTES_MAX:
            return True
        self.conn.fail(CloseCode.TOO_BIG, "too large for a client that has shown no key")
        self.handle_parser_exception()
        return False

    def _flooded(self) -> None:
        """The session ends, and nothing more is listened to."""
        self._turn_deaf()
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

    def _turn_deaf(self) -> None:
        self._deaf = True
        self._inbox.clear()

    def _steer(self) -> None:
        """Read on, or parse on, or wait."""
        if self.disconnected or self.transport.is_closing():
            return
        held_back = self._held_back and not self._deaf
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
            self.turns.ask(self._feed, "" if self._place is None else self._place.party)

    def send_receive_event_to_app(self) -> None:
        """A message is whole. uvicorn's own stops reading here, and logs a traceback where one is no UTF-8."""
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
        """The connection has failed: say how, and let the peer read it."""
        assert self.conn.close_sent is not None, "a failure has its code"
        self.queue.put_nowait({"type": "websocket.disconnect", "code": self.conn.close_sent.code})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._leave()

    def _leave(self) -> None:
        """Everything is said; what still comes is thrown away for a while."""
        self._turn_deaf()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(LEAVING_SECONDS, self._cut)
        self.transport.write_eof()

    async def receive(self) -> ASGIReceiveEvent:
        """The next event; what comes after it may be parsed."""
        event = await self.queue.get()
        if event["type"] == "websocket.receive":
            self._waiting_bytes -= self._sizes.popleft()
        self._steer()
        return event

    def pause_writing(self) -> None:
        """The buffer is over its high mark: nothing is read that would have to be answered, pings included."""
        super().pause_writing()
        self._steer()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        """The buffer is below its low mark."""
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
        """A ping is answered."""
        if self._arrived is not None and bytes(event.data) == ARRIVAL:
            arrived, self._arrived = self._arrived, None
            arrived()
        super().handle_pong(event)

    @property
    def _heard(self) -> bool:
        """Whether the peer lives: something came since it was asked, or waits in front of its answer."""
        waits = self.writable.is_set() and (bool(self._inbox) or not self.queue.empty())
        return waits or self._heard_at > self.ping_sent_at

    def keepalive_timeout(self) -> None:
        """Nobody answers pings: what is buffered will never leave, so the connection is not left to wait for it."""
        if self.pongs_wanted and not self._heard:
            super().keepalive_timeout()
            self.let_go()
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        if not self.close_sent and not self.transport.is_closing():
            self.schedule_ping()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the endpoint wants; a handshake that it answered with a response of its own is complete then."""
        if self.transport.is_closing():
            # uvloop's transport would raise another error, before the protocol hears that the connection is over.
            self.handshake_complete = True
            raise ClientDisconnected
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True
        if self._deaf and self.close_sent and not self.transport.is_closing() and not self.conn.eof_sent:
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


def is_crumb(head: int, size: int) -> bool:
    """Whether a frame of `size` bytes, whose first is `head`, brings no whole message, and no large part of one."""
    opcode, fin = head & 0x0F, head & 0x80
    return opcode >= OPCODE_CLOSE or (size < CRUMB_BYTES and (opcode == OPCODE_CONTINUATION or not fin))


def ending_quietly(app: ASGI3Application) -> ASGI3Application:
    """The application, for which a client that leaves while it is told something is no error."""

    async def quiet(scope: Any, receive: Any, send: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await app(scope, receive, send)

    return quiet
