"""uvicorn's httptools protocol for HTTP/1.1, with limits to the size, the time and the CPU time of requests.

    idle -> headers -> body -> response -> idle
     |         |        |         |
     +---------+--------+---------+--> lingering close: refused, further input is discarded

Input is parsed in slices, for a few milliseconds in each iteration of the event loop, and a request only after the one
before it was answered. So a client that sends thousands of requests at once delays only its own.
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
from voxwire_server.transport.connection_limiter import EXTENSION, ConnectionState
from voxwire_server.transport.input_scheduler import SLICE_SECONDS

if TYPE_CHECKING:
    from voxwire_server.config import LimitsConfig
    from voxwire_server.transport.connection_limiter import ConnectionLimiter, ConnectionSlot

HEADER_BYTES_MAX = 16 * 1024
HEADER_LINES_MAX = 64
LINE_BYTES_MAX = 8 * 1024
"""Limits of a request line and its headers. `websockets` parses a handshake's headers again, with no lower limits."""

HEADER_SECONDS = 10.0
"""Time for the headers, from the beginning of the connection or the end of the previous response."""

IDLE_SECONDS = 5.0
"""How long a connection is kept open without a further request (keep-alive)."""

BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 4096
"""Time for a body: BODY_SECONDS, and one second for each BODY_BYTES_PER_SECOND received."""

FRAMING_BYTES_MAX = 16 * 1024
FRAMING_BYTES_PER_BYTE = 8
"""Bytes of chunk headers, their extensions and trailers: so many, and so many more for each byte of the body.

A chunk of one byte has five bytes of framing."""

UNREAD_BODY_SECONDS = 5.0
"""How long the rest of a request's body is awaited after its response was sent."""

LINGER_SECONDS = 2.0
"""How long input is discarded after a refusal (lingering close): closing a socket with unread data resets it, and the
client would lose the refusal."""

CHECK_SECONDS = 1.0

HEADER_SLICE_BYTES = 1024
BODY_SLICE_BYTES = 4096

CLOSE_REASONS = {408: "timeout", 431: "headers", 414: "headers", 400: "malformed", 413: "body", 503: "full"}
"""The reason under which `ConnectionLimiter.closed` counts a refusal, by HTTP status."""


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a slot of the connection limiter, whose sweep checks its deadlines."""

    def __init__(self, *args: Any, connection_limiter: ConnectionLimiter, limits: LimitsConfig, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limiter = connection_limiter
        self._limits = limits
        self._slot: ConnectionSlot | None = None
        self._input_buffer = bytearray()
        self._parse_scheduled = False
        self._reading = True
        self._refusal: tuple[int, VoxwireError] | None = None
        self._last_response: bytes | None = None
        self._discarding = False
        self.lingering = False
        self._close_reason = "gone"
        self._requests = self._unanswered = 0
        self._idle_since = self.loop.time()
        self._request_begun = False
        self._in_headers = False
        self._in_body = False
        self._header_bytes = self._header_lines = 0
        self._raw_bytes = self._body_bytes = 0
        self._body_wait_seconds = self._unread_seconds = 0.0
        self._checked_at = 0.0

    # -- what the transport calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Acquire a slot, or refuse the client."""
        super().connection_made(transport)
        self.flow = _InputFlow(transport, self)
        now = self._idle_since = self.loop.time()
        address = self.client[0] if self.client else ""
        self._slot = self._limiter.acquire(self, address, now + HEADER_SECONDS, now)
        if self._slot is None:
            error = VoxwireError(ErrorCode.OVERLOADED, "every connection is taken", retry_after_ms=2000)
            self._discarding = self.lingering = True
            transport.write(response(503, error))
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Buffer input, and parse as much of it as may be parsed now."""
        if self._discarding or self.transport.is_closing():
            return
        self._input_buffer += data
        if not self._parse_scheduled and (self._limiter.input_scheduler.can_run_now or len(data) <= HEADER_SLICE_BYTES):
            self._parse_buffered()
        else:
            self.update_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the slot."""
        super().connection_lost(exc)
        self._discard_input()
        if self._slot is not None:
            self._slot.release(self._close_reason)

    # -- what the connection limiter calls ----------------------------------------------------------------------------

    def deadline_passed(self, now: float) -> None:
        """See `LimitedConnection`."""
        assert self._slot is not None, "only connections with a slot are swept"
        if self.lingering or self.transport.is_closing():
            self.transport.abort()
        elif self._unanswered:
            self._check_request(now)
        elif self._in_body:
            self._close("body")
        elif self._request_begun or self._in_headers:
            self._refuse(408, VoxwireError(ErrorCode.IDLE, f"the headers did not come within {HEADER_SECONDS:g} s"))
        else:
            self._close("idle" if self._requests else "silent")

    def evict(self) -> None:
        """See `LimitedConnection`."""
        self._discard_input()
        if self.transport.is_closing():
            return
        if self._request_begun and not self.lingering and not self._unanswered:
            error = VoxwireError(ErrorCode.OVERLOADED, "too many connections wait", retry_after_ms=1000)
            self.transport.write(response(503, error))
        self.lingering = True
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _check_request(self, now: float) -> None:
        """While a request is being answered: end it if its body arrives, or its response is read, too slowly."""
        assert self._slot is not None, "only connections with a slot are swept"
        elapsed, self._checked_at = now - self._checked_at, now
        self._body_wait_seconds += elapsed if self._in_body and self._reading else 0.0
        self._unread_seconds = self._unread_seconds + elapsed if self.flow.write_paused else 0.0
        if self._body_wait_seconds > BODY_SECONDS + self._body_bytes / BODY_BYTES_PER_SECOND:
            self._refuse(408, VoxwireError(ErrorCode.IDLE, "the body comes too slowly"))
        elif self._unread_seconds > self._limits.slow_reader_seconds:
            self._close_reason = "slow_reader"
            self.transport.abort()
        else:
            self._slot.deadline = now + CHECK_SECONDS

    # -- parsing ------------------------------------------------------------------------------------------------------

    @property
    def _parsing_blocked(self) -> bool:
        """Whether more is parsed only after earlier requests were answered, or the application has read the body."""
        return self.flow.read_paused or bool(self.pipeline)

    def _parse_buffered(self) -> None:
        self._parse_scheduled = False
        began = perf_counter()
        while self._input_buffer and not self.transport.is_closing() and not self._parsing_blocked:
            size = BODY_SLICE_BYTES if self._in_body else HEADER_SLICE_BYTES
            piece = bytes(self._input_buffer[:size])
            del self._input_buffer[:size]
            if not self._parse(piece) or perf_counter() - began > SLICE_SECONDS:
                break
        self._limiter.input_scheduler.add_time(perf_counter() - began)
        self.update_reading()

    def update_reading(self) -> None:
        """Resume or pause reading from the socket, and schedule parsing if input is buffered."""
        if self._discarding or self.transport.is_closing():
            return
        ready = not self._parsing_blocked
        reading = ready and not self._input_buffer
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
        if ready and self._input_buffer and not self._parse_scheduled:
            self._parse_scheduled = True
            principal = "" if self._slot is None else self._slot.principal
            self._limiter.input_scheduler.schedule(self._parse_buffered, principal)

    def _parse(self, piece: bytes) -> bool:
        """Parse a slice; False once the connection belongs to the WebSocket protocol, or is to be closed."""
        self._begin_request()
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
        if self._in_body and self._raw_bytes > FRAMING_BYTES_MAX + FRAMING_BYTES_PER_BYTE * self._body_bytes:
            self._refuse(413, too_large("the body is mostly envelope"))
            return False
        return True

    def _begin_request(self) -> None:
        """The first bytes of a request came: set the deadline of its headers."""
        if not self._request_begun and not self._in_body:
            self._request_begun = True
            if self._slot is not None and not self._unanswered:
                self._slot.deadline = self._idle_since + HEADER_SECONDS

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
        rest += bytes(self._input_buffer)
        self._discard_input()
        self.connections.discard(self)
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.scope["headers"]:
            head += [name, b": ", value, b"\r\n"]
        make: Any = self.ws_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        protocol.take_over_slot(self._slot)
        protocol.input_scheduler = self._limiter.input_scheduler
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
        self._in_headers = self._request_begun = True
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
        """The headers are complete: call the application, unless earlier requests are not answered yet."""
        self._in_headers = False
        self._check_host()
        self._in_body = True
        self._requests += 1
        self._raw_bytes = self._body_bytes = 0
        self._body_wait_seconds = self._unread_seconds = 0.0
        self._checked_at = self.loop.time()
        if self._slot is not None:
            self.scope["extensions"] = {EXTENSION: self._slot}  # type: ignore[dict-item]
            self._slot.deadline = self._checked_at + CHECK_SECONDS
            if self._slot.state is ConnectionState.IDLE:
                self._slot.set_state(ConnectionState.REQUEST)
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
        self._in_body = self._request_begun = False
        self._raw_bytes = 0
        super().on_message_complete()
        if not self._unanswered:
            self._await_request()

    def on_response_complete(self) -> None:
        """Begin the next request. uvicorn's own method would set a timer for each connection."""
        self.server_state.total_requests += 1
        self._unanswered -= 1
        if self.lingering or self.transport.is_closing():
            return
        self.flow.read_paused = False
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_response is not None:
            self._send_last(self._last_response)
        elif not self._unanswered:
            self._await_request()
        self.update_reading()

    def _await_request(self) -> None:
        """No request is being answered: set the deadline of the next one."""
        self._idle_since = self.loop.time()
        if self._slot is not None:
            if self._slot.state is ConnectionState.REQUEST:
                self._slot.set_state(ConnectionState.IDLE)
            waiting = UNREAD_BODY_SECONDS if self._in_body else HEADER_SECONDS if self._request_begun else IDLE_SECONDS
            self._slot.deadline = self._idle_since + waiting

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
        """Refuse a request from within a callback of the parser, which passes the exception on to `_parse`."""
        self._refusal = (status, error)
        raise error

    def _refuse(self, status: int, error: VoxwireError) -> None:
        """Answer with an error, once earlier requests are answered, and close."""
        self._discard_input()
        self._close_reason = CLOSE_REASONS[status]
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
        """Send the connection's last bytes, and discard input for LINGER_SECONDS before it is closed."""
        self.lingering = True
        self._set_deadline(LINGER_SECONDS)
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if not self._reading:
            self.transport.resume_reading()

    def _close(self, reason: str) -> None:
        self._discard_input()
        self.lingering = True
        self._close_reason = reason
        self._set_deadline(LINGER_SECONDS)
        self.transport.close()

    def _discard_input(self) -> None:
        """Discard buffered and future input."""
        self._discarding = True
        self._input_buffer.clear()

    def _set_deadline(self, seconds: float) -> None:
        if self._slot is not None:
            self._slot.deadline = self.loop.time() + seconds


class _ResponseTransport:
    """The transport that uvicorn's response writes to."""

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send, unless the connection is closing: uvloop's transport would raise before `connection_lost` is called."""
        if not self._protocol.lingering and not self.is_closing():
            self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """The response is the last one."""
        self._protocol.close_after_request()


class _InputFlow(FlowControl):
    """uvicorn's flow control; `HttpProtocol.update_reading` decides whether the socket is read."""

    def __init__(self, transport: asyncio.Transport, protocol: HttpProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def pause_reading(self) -> None:
        """The application wants no more of the body for now."""
        self.read_paused = True
        self._protocol.update_reading()

    def resume_reading(self) -> None:
        """The application wants more of the body."""
        self.read_paused = False
        self._protocol.update_reading()


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
