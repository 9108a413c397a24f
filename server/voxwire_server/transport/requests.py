"""uvicorn's httptools protocol for HTTP/1.1, with bounds to the size, the time and the work of requests.

    nothing came -> headers -> body -> response -> nothing came
          |            |        |         |
          +------------+--------+---------+--> leaving: refused, further input is discarded

Input is parsed in slices, a few milliseconds at a turn of the event loop, and a request only after the one before it
was answered. So a client that sends thousands at once delays only its own.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httptools
import orjson
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import http_body, http_headers
from voxwire_server.session.quotas import TokenBucket
from voxwire_server.transport.door import EXTENSION, State
from voxwire_server.transport.turns import SHARE_SECONDS

if TYPE_CHECKING:
    from voxwire_server.config import LimitsConfig
    from voxwire_server.transport.door import Door, Place

HEADER_BYTES_MAX = 16 * 1024
HEADER_LINES_MAX = 64
LINE_BYTES_MAX = 8 * 1024
"""Bounds of a request line and its headers. `websockets` parses the headers of a handshake again, and takes no less."""

HEADER_SECONDS = 10.0
"""Time for the headers, from the beginning of the connection or the end of the response before."""

IDLE_SECONDS = 5.0
"""How long a connection is kept on which no further request begins."""

BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 4096
"""Time for a body: BODY_SECONDS, and one second for each BODY_BYTES_PER_SECOND that have come."""

ENVELOPE_BYTES_MAX = 16 * 1024
ENVELOPE_BYTES_PER_BYTE = 8
"""Bytes that chunk headers, their extensions and trailers may have beside a body: a constant, and per byte of the body.

A chunk of one byte has five bytes around it."""

LATE_SECONDS = 5.0
"""How long the rest of a request is read whose response was sent before its body had come."""

LEAVING_SECONDS = 2.0
"""How long input is discarded after a refusal: closing a socket with unread data resets it, and the client would lose
the refusal."""

CHECK_SECONDS = 1.0

HEADER_SLICE_BYTES = 1024
BODY_SLICE_BYTES = 4096

REASONS = {408: "timeout", 431: "headers", 414: "headers", 400: "malformed", 413: "body", 503: "full"}
"""The `reason` under which `Door.closed` counts a refusal, by HTTP status."""


class RequestProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a place at the door, whose sweeper checks its deadlines: it sets no timers."""

    def __init__(self, *args: Any, door: Door, limits: LimitsConfig, **options: Any) -> None:
        super().__init__(*args, **options)
        self._door = door
        self._limits = limits
        self._place: Place | None = None
        self._inbox = bytearray()
        self._waiting = False
        self._reading = True
        self._refusal: tuple[int, VoxwireError] | None = None
        self._last_response: bytes | None = None
        self._discarding = False
        self.leaving = False
        self._reason = "gone"
        self._requests = self._unanswered = 0
        self._since = self.loop.time()
        self._begun = False
        self._in_headers = False
        self._in_body = False
        self._header_bytes = self._header_lines = 0
        self._raw_bytes = self._body_bytes = 0
        self._waited = self._unread = 0.0
        self._checked = 0.0

    # -- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or turn the client away."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self)
        now = self._since = self.loop.time()
        address = self.client[0] if self.client else ""
        self._place = self._door.arrive(self, address, now + HEADER_SECONDS, now)
        if self._place is None:
            error = VoxwireError(ErrorCode.OVERLOADED, "every connection is taken", retry_after_ms=2000)
            self._discarding = self.leaving = True
            transport.write(response(503, error))
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Gather input, and parse as much of it as may be parsed now."""
        if self._discarding or self.transport.is_closing():
            return
        self._inbox += data
        if not self._waiting and (self._door.turns.free or len(data) <= HEADER_SLICE_BYTES):
            self._feed()
        else:
            self.steer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._discard_input()
        if self._place is not None:
            self._place.leave(self._reason)

    # -- what the door calls ------------------------------------------------------------------------------------------

    def overdue(self, now: float) -> None:
        """See `door.Connection`."""
        assert self._place is not None, "only who has a place is looked after"
        if self.leaving or self.transport.is_closing():
            self.transport.abort()
        elif self._unanswered:
            self._check_request(now)
        elif self._in_body:
            self._close("body")
        elif self._begun or self._in_headers:
            self._refuse(408, VoxwireError(ErrorCode.IDLE, f"the headers did not come within {HEADER_SECONDS:g} s"))
        else:
            self._close("idle" if self._requests else "silent")

    def evict(self) -> None:
        """See `door.Connection`."""
        self._discard_input()
        if self.transport.is_closing():
            return
        if self._begun and not self.leaving and not self._unanswered:
            error = VoxwireError(ErrorCode.OVERLOADED, "too many connections wait", retry_after_ms=1000)
            self.transport.write(response(503, error))
        self.leaving = True
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _check_request(self, now: float) -> None:
        """While a request is being answered: end it if its body comes or its response is read too slowly."""
        assert self._place is not None, "only who has a place is looked after"
        elapsed, self._checked = now - self._checked, now
        self._waited += elapsed if self._in_body and self._reading else 0.0
        self._unread = self._unread + elapsed if self.flow.write_paused else 0.0
        if self._waited > BODY_SECONDS + self._body_bytes / BODY_BYTES_PER_SECOND:
            self._refuse(408, VoxwireError(ErrorCode.IDLE, "the body comes too slowly"))
        elif self._unread > self._limits.slow_reader_seconds:
            self._reason = "slow_reader"
            self.transport.abort()
        else:
            self._place.due = now + CHECK_SECONDS

    # -- parsing ------------------------------------------------------------------------------------------------------

    @property
    def _held_back(self) -> bool:
        """Whether more is parsed only after requests in front were answered, or the application has read the body."""
        return self.flow.read_paused or bool(self.pipeline)

    def _feed(self) -> None:
        self._waiting = False
        began = perf_counter()
        while self._inbox and not self.transport.is_closing() and not self._held_back:
            size = BODY_SLICE_BYTES if self._in_body else HEADER_SLICE_BYTES
            piece = bytes(self._inbox[:size])
            del self._inbox[:size]
            if not self._parse(piece) or perf_counter() - began > SHARE_SECONDS:
                break
        self._door.turns.spend(perf_counter() - began)
        self.steer()

    def steer(self) -> None:
        """Resume or pause reading from the socket, and queue parsing for a turn if input is there."""
        if self._discarding or self.transport.is_closing():
            return
        ready = not self._held_back
        reading = ready and not self._inbox
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
        if ready and self._inbox and not self._waiting:
            self._waiting = True
            self._door.turns.ask(self._feed, "" if self._place is None else self._place.principal)

    def _parse(self, piece: bytes) -> bool:
        """Parse a slice; False once the connection belongs to the WebSocket protocol, or is over."""
        self._begin()
        self._raw_bytes += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as upgrade:
            return self._upgrade(piece[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(*(self._refusal or (400, VoxwireError(ErrorCode.MALFORMED_MESSAGE, "this is no HTTP/1.1"))))
            return False
        if not self._in_body and self._raw_bytes > HEADER_BYTES_MAX:
            self._refuse(431, too_large(f"the headers have more than {HEADER_BYTES_MAX} bytes"))
            return False
        if self._in_body and self._raw_bytes > ENVELOPE_BYTES_MAX + ENVELOPE_BYTES_PER_BYTE * self._body_bytes:
            self._refuse(413, too_large("the body is mostly envelope"))
            return False
        return True

    def _begin(self) -> None:
        """The first bytes of a request came: from now on the deadline for headers counts."""
        if not self._begun and not self._in_body:
            self._begun = True
            if self._place is not None and not self._unanswered:
                self._place.due = self._since + HEADER_SECONDS

    def _upgrade(self, rest: bytes) -> bool:
        if not self._should_upgrade():
            # A client that asks for another protocol accepts an answer in this one (RFC 9110, section 7.8).
            self.cycle.keep_alive = False
            self._discard_input()
            return False
        if self._unanswered:
            error = VoxwireError(ErrorCode.MALFORMED_MESSAGE, "a handshake waits for the answers before it")
            self._refuse(400, error)
            return False
        rest += bytes(self._inbox)
        self._discard_input()
        self.connections.discard(self)
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.scope["headers"]:
            head += [name, b": ", value, b"\r\n"]
        make: Any = self.ws_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        protocol.take_place(self._place)
        protocol.turns = self._door.turns
        burst = self._limits.messages_burst
        protocol.small_frames = TokenBucket(self._limits.messages_per_second, burst, burst, at=0.0)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(b"".join([*head, b"\r\n"]))
        if rest:
            protocol.data_received(rest)
        return False

    # -- what the parser calls ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_headers = self._begun = True
        self._header_bytes = self._header_lines = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        super().on_url(url)
        if len(self.url) + len(" HTTP/1.1\r\n") + len("UNSUBSCRIBE ") > LINE_BYTES_MAX:
            self._reject(414, too_large(f"the request line has more than {LINE_BYTES_MAX} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is discarded."""
        size = len(name) + len(value) + len(": \r\n")
        self._header_bytes += size
        self._header_lines += 1
        if size > LINE_BYTES_MAX:
            self._reject(431, too_large(f"a header has more than {LINE_BYTES_MAX} bytes"))
        if self._header_lines > HEADER_LINES_MAX:
            self._reject(431, too_large(f"there are more than {HEADER_LINES_MAX} headers"))
        if self._header_bytes + len(self.url) > HEADER_BYTES_MAX:
            self._reject(431, too_large(f"the headers have more than {HEADER_BYTES_MAX} bytes"))
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are complete: the application begins, unless requests in front are not answered yet."""
        self._in_headers = False
        self._check_host()
        self._in_body = True
        self._requests += 1
        self._raw_bytes = self._body_bytes = 0
        self._waited = self._unread = 0.0
        self._checked = self.loop.time()
        if self._place is not None:
            self.scope["extensions"] = {EXTENSION: self._place}  # type: ignore[dict-item]
            self._place.due = self._checked + CHECK_SECONDS
            if self._place.state is State.IDLE:
                self._place.become(State.REQUEST)
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self._unanswered += 1
            self.cycle.transport = _ResponseTransport(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._in_body = self._begun = False
        self._raw_bytes = 0
        super().on_message_complete()
        if not self._unanswered:
            self._wait()

    def on_response_complete(self) -> None:
        """Begin with the next request. uvicorn's own method would set a timer for each connection."""
        self.server_state.total_requests += 1
        self._unanswered -= 1
        if self.leaving or self.transport.is_closing():
            return
        self.flow.read_paused = False
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_response is not None:
            self._send_last(self._last_response)
        elif not self._unanswered:
            self._wait()
        self.steer()

    def _wait(self) -> None:
        """No request is being answered: set the deadline of the next one."""
        self._since = self.loop.time()
        if self._place is not None:
            if self._place.state is State.REQUEST:
                self._place.become(State.IDLE)
            waiting = LATE_SECONDS if self._in_body else HEADER_SECONDS if self._begun else IDLE_SECONDS
            self._place.due = self._since + waiting

    def _check_host(self) -> None:
        """Refuse several Hosts, or another in the target (RFC 9112, section 3.2): authentication checks the Host."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._reject(400, VoxwireError(ErrorCode.MALFORMED_MESSAGE, "a request names one Host"))
        if not self.url.startswith((b"/", b"*")):
            authority = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
            if [authority.lower()] != [host.lower() for host in hosts]:
                self._reject(400, VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the target names another host"))

    # -- endings ------------------------------------------------------------------------------------------------------

    def _reject(self, status: int, error: VoxwireError) -> None:
        """Refuse a request from within a callback of the parser, which raises what is raised here to `_parse`."""
        self._refusal = (status, error)
        raise error

    def _refuse(self, status: int, error: VoxwireError) -> None:
        """Answer with an error, once the requests in front are answered, and close."""
        self._discard_input()
        self._reason = REASONS[status]
        answer = response(status, error)
        if self._in_body and self._unanswered and not self.pipeline:
            # The newest request is at fault, and its application waits for the rest of it.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        elif self._unanswered:
            if self._in_body:
                self.pipeline.popleft()
                self._unanswered -= 1
            self._last_response = answer
            return
        self._send_last(answer)

    def close_after_request(self) -> None:
        """Close, but discard the rest of a request first: closing a socket with unread data resets it."""
        if not self._in_body or self.transport.is_closing():
            self.transport.close()
            return
        self._discard_input()
        self._send_last(b"")

    def _send_last(self, answer: bytes) -> None:
        """Send the connection's last bytes, and discard input for LEAVING_SECONDS before it is closed."""
        self.leaving = True
        self._set_due(LEAVING_SECONDS)
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if not self._reading:
            self.transport.resume_reading()

    def _close(self, reason: str) -> None:
        self._discard_input()
        self.leaving = True
        self._reason = reason
        self._set_due(LEAVING_SECONDS)
        self.transport.close()

    def _discard_input(self) -> None:
        """Discard what has come and what comes from now on."""
        self._discarding = True
        self._inbox.clear()

    def _set_due(self, seconds: float) -> None:
        if self._place is not None:
            self._place.due = self.loop.time() + seconds


class _ResponseTransport:
    """The transport as uvicorn's response sees it."""

    def __init__(self, protocol: RequestProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send, unless the connection is over: uvloop's transport would raise, before `connection_lost` is called."""
        if not self._protocol.leaving and not self.is_closing():
            self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """The response is the last one."""
        self._protocol.close_after_request()


class _Flow(FlowControl):
    """uvicorn's flow control; whether the socket is read is decided in `RequestProtocol.steer`."""

    def __init__(self, transport: asyncio.Transport, protocol: RequestProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def pause_reading(self) -> None:
        """The application has enough of the body for now."""
        self.read_paused = True
        self._protocol.steer()

    def resume_reading(self) -> None:
        """The application wants more of the body."""
        self.read_paused = False
        self._protocol.steer()


def too_large(message: str) -> VoxwireError:
    """The error of a request line or headers that are too large."""
    return VoxwireError(ErrorCode.MESSAGE_TOO_BIG, message, hint="Send fewer and shorter headers.")


def response(status: int, error: VoxwireError) -> bytes:
    """A whole HTTP response that closes the connection."""
    body = orjson.dumps(http_body(error))
    named = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **{name.lower(): value for name, value in http_headers(error).items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return b"".join((STATUS_LINE[status], head.encode("latin-1"), b"\r\n", body))
