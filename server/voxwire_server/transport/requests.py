"""The HTTP protocol that uvicorn runs for us: its httptools one, within bounds of size, time and work.

    nothing came -> headers -> body -> response -> nothing came
          |            |        |         |
          +------------+--------+---------+--> leaving: answered, what still comes is thrown away

What comes is parsed in slices, a few milliseconds at a turn, and no request before the one in front of it is answered.
So a client that sends thousands of them at once waits for itself alone.
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
from voxwire_server.transport.door import EXTENSION, Crumbs, State
from voxwire_server.transport.turns import SHARE_SECONDS

if TYPE_CHECKING:
    from voxwire_server.config import LimitsConfig
    from voxwire_server.transport.door import Door, Place

HEADER_BYTES_MAX = 16 * 1024
HEADER_LINES_MAX = 64
LINE_BYTES_MAX = 8 * 1024
"""No more than what `websockets` takes, which parses the headers of a handshake once more."""

HEADER_SECONDS = 10.0
"""From the connection's beginning, or the end of the response before, to the end of the headers."""

IDLE_SECONDS = 5.0
"""How long a connection is kept on which no further request begins."""

BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 4096
"""How long a body may be waited for: so many seconds, and one more for each so many bytes of it that came."""

ENVELOPE_BYTES_MAX = 16 * 1024
ENVELOPE_BYTES_PER_BYTE = 8
"""What chunks, their extensions and trailers may take beside a body. A chunk of one byte has five besides."""

LATE_SECONDS = 5.0
"""How long the rest of a request is read whose response was sent before it came."""

LEAVING_SECONDS = 2.0
"""How long what still comes is thrown away after a refusal, so that no reset takes it from the client."""

CHECK_SECONDS = 1.0

HEADER_SLICE_BYTES = 1024
BODY_SLICE_BYTES = 4096

REASONS = {408: "timeout", 431: "headers", 414: "headers", 400: "malformed", 413: "body", 503: "full"}
"""What the door counts a refusal as."""


class RequestProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol at our door. The deadlines are the door's sweeper's: it has no timer of its own."""

    def __init__(self, *args: Any, door: Door, limits: LimitsConfig, **options: Any) -> None:
        super().__init__(*args, **options)
        self._door = door
        self._limits = limits
        self._place: Place | None = None
        self._inbox = bytearray()
        self._waiting = False
        self._reading = True
        self._refusal: tuple[int, VoxwireError] | None = None
        self._last_words: bytes | None = None
        self._deaf = False
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
            self._deaf = self.leaving = True
            transport.write(response(503, error))
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Keep what came, and parse as much as may be parsed now."""
        if self._deaf or self.transport.is_closing():
            return
        self._inbox += data
        if not self._waiting and (self._door.turns.free or len(data) <= HEADER_SLICE_BYTES):
            self._feed()
        else:
            self.steer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        super().connection_lost(exc)
        self._turn_deaf()
        if self._place is not None:
            self._place.leave(self._reason)

    # -- what the door calls ------------------------------------------------------------------------------------------

    def overdue(self, now: float) -> None:
        """A deadline may have passed."""
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

    def make_way(self) -> None:
        """The place is given to another connection."""
        self._turn_deaf()
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
        """A request is being answered: see that its body comes and its response is read."""
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
        """Whether what is there has to be worked on before more is parsed."""
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
        """Read on, or parse on, or wait."""
        if self._deaf or self.transport.is_closing():
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
            self._door.turns.ask(self._feed, "" if self._place is None else self._place.party)

    def _parse(self, piece: bytes) -> bool:
        """Parse a piece; False when the connection is another protocol's, or over."""
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
        """Something of a request came: it has its time from now on, however little it was."""
        if not self._begun and not self._in_body:
            self._begun = True
            if self._place is not None and not self._unanswered:
                self._place.due = self._since + HEADER_SECONDS

    def _upgrade(self, rest: bytes) -> bool:
        if not self._should_upgrade():
            # A client that offers another protocol takes an answer in this one (RFC 9110, section 7.8).
            self.cycle.keep_alive = False
            self._turn_deaf()
            return False
        if self._unanswered:
            error = VoxwireError(ErrorCode.MALFORMED_MESSAGE, "a handshake waits for the answers before it")
            self._refuse(400, error)
            return False
        rest += bytes(self._inbox)
        self._turn_deaf()
        self.connections.discard(self)
        head = [self.scope["method"].encode(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.scope["headers"]:
            head += [name, b": ", value, b"\r\n"]
        make: Any = self.ws_protocol_class
        protocol = make(config=self.config, server_state=self.server_state, app_state=self.app_state)
        protocol.take_place(self._place)
        protocol.turns = self._door.turns
        protocol.crumbs = Crumbs(self._limits.messages_per_second, self._limits.messages_burst)
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
        """Some of the request's target."""
        super().on_url(url)
        if len(self.url) + len(" HTTP/1.1\r\n") + len("UNSUBSCRIBE ") > LINE_BYTES_MAX:
            self._reject(414, too_large(f"the request line has more than {LINE_BYTES_MAX} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is thrown away."""
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
        """The headers are there; the application begins, unless other requests are in front."""
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
            self.cycle.transport = _GentleTransport(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there, to its end."""
        self._in_body = self._begun = False
        self._raw_bytes = 0
        super().on_message_complete()
        if not self._unanswered:
            self._wait()

    def on_response_complete(self) -> None:
        """The next request has its turn. uvicorn's own would set a timer for each connection."""
        self.server_state.total_requests += 1
        self._unanswered -= 1
        if self.leaving or self.transport.is_closing():
            return
        self.flow.read_paused = False
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._last_words is not None:
            self._say(self._last_words)
        elif not self._unanswered:
            self._wait()
        self.steer()

    def _wait(self) -> None:
        """Nothing is being answered: the next request has its time from now on."""
        self._since = self.loop.time()
        if self._place is not None:
            if self._place.state is State.REQUEST:
                self._place.become(State.IDLE)
            waiting = LATE_SECONDS if self._in_body else HEADER_SECONDS if self._begun else IDLE_SECONDS
            self._place.due = self._since + waiting

    def _check_host(self) -> None:
        """One Host, and no other in the target (RFC 9112, section 3.2): what is checked must be what is meant."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            self._reject(400, VoxwireError(ErrorCode.MALFORMED_MESSAGE, "a request names one Host"))
        if not self.url.startswith((b"/", b"*")):
            authority = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
            if [authority.lower()] != [host.lower() for host in hosts]:
                self._reject(400, VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the target names another host"))

    # -- endings ------------------------------------------------------------------------------------------------------

    def _reject(self, status: int, error: VoxwireError) -> None:
        """Stop the parser, which calls this, with an answer."""
        self._refusal = (status, error)
        raise error

    def _refuse(self, status: int, error: VoxwireError) -> None:
        """Answer, once the requests in front are answered, and close."""
        self._turn_deaf()
        self._reason = REASONS[status]
        words = response(status, error)
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
            self._last_words = words
            return
        self._say(words)

    def close_gently(self) -> None:
        """Close, but read the rest of a request first: what is left unread turns the end into a reset."""
        if not self._in_body or self.transport.is_closing():
            self.transport.close()
            return
        self._turn_deaf()
        self._say(b"")

    def _say(self, words: bytes) -> None:
        """Send the last that is said, and leave: whatever comes after it is thrown away."""
        self.leaving = True
        self._set_due(LEAVING_SECONDS)
        if self.transport.is_closing():
            return
        self.transport.write(words)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if not self._reading:
            self.transport.resume_reading()

    def _close(self, reason: str) -> None:
        self._turn_deaf()
        self.leaving = True
        self._reason = reason
        self._set_due(LEAVING_SECONDS)
        self.transport.close()

    def _turn_deaf(self) -> None:
        """Nothing more is listened to."""
        self._deaf = True
        self._inbox.clear()

    def _set_due(self, seconds: float) -> None:
        if self._place is not None:
            self._place.due = self.loop.time() + seconds


class _GentleTransport:
    """The transport as a response has it."""

    def __init__(self, protocol: RequestProtocol) -> None:
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send, unless the connection is over: uvloop's transport raises then, before the protocol hears of it."""
        if not self._protocol.leaving and not self.is_closing():
            self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """The response is the last one."""
        self._protocol.close_gently()


class _Flow(FlowControl):
    """uvicorn's wish to read, of which the protocol makes what it can."""

    def __init__(self, transport: asyncio.Transport, protocol: RequestProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def pause_reading(self) -> None:
        """Enough was read for now."""
        self.read_paused = True
        self._protocol.steer()

    def resume_reading(self) -> None:
        """More may be read."""
        self.read_paused = False
        self._protocol.steer()


def too_large(message: str) -> VoxwireError:
    """The error of a request that is too large before its body."""
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
