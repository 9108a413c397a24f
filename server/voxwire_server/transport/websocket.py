"""`GET /v1/stream`: the native protocol's bytes on a WebSocket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from starlette.routing import WebSocketRoute

from voxwire_protocol.bounds import VALUES_MAX
from voxwire_protocol.codec import JSON, MSGPACK, codec_for
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_protocol.messages import Resume, ResumeFailed, error_to_message
from voxwire_server.transport.connection import Connection
from voxwire_server.transport.websocket_protocol import (
    BUFFER_HIGH_BYTES,
    EXTENSION,
    FIN_BINARY,
    FIN_TEXT,
    binary_prefix,
    message_prefix,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from voxwire_protocol.codec import Codec
    from voxwire_protocol.messages import ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.session.driver import Driver
    from voxwire_server.session.ports import Observer, SessionServices
    from voxwire_server.session.quotas import ClientIdentity
    from voxwire_server.session.registry import Sessions
    from voxwire_server.transport.fair_share import FairShare
    from voxwire_server.transport.websocket_protocol import WebSocketProtocol

FINAL_CLOSE_CODES = (CloseCode.NORMAL, CloseCode.NO_STATUS)
"""The close codes of clients that do not want to resume their session."""

FIRST_MESSAGE_SECONDS = 2.0
"""How long a client that announced a resume, and is not admitted yet, may take to send `resume`."""

TOKEN_PREFIX = "voxwire.token."  # noqa: S105 - the name of a subprotocol, not a secret


class StreamHost(Protocol):
    """What the endpoint needs of the application."""

    services: SessionServices
    sessions: Sessions

    def authenticate(self, connection: HTTPConnection, *, tokens: bool) -> ClientIdentity:
        """Identify a client by its key or (`tokens`) a browser's token, and check the Origin.

        Raises:
            VoxwireError: client.not_authenticated or client.not_allowed.
        """

    def admit_session(self, identity: ClientIdentity) -> None:
        """Admit one more session of `identity`.

        Raises:
            VoxwireError: server.not_ready, server.draining, server.too_many_sessions, server.overloaded or
                client.rate_limited.
        """

    def admit_returning(self, identity: ClientIdentity, session_id: str) -> bool:
        """Admit a client that announces a resume of `session_id`, without a session; False: admit it normally.

        `sessions.expect_no_more` is called once it has resumed, or has not.
        """

    def new_driver(self, identity: ClientIdentity, sink: WebSocketSink) -> Driver:
        """A new session with the configured limits, which the account of `identity` may resume."""

    def fair_share_of(self, identity: ClientIdentity) -> FairShare:
        """The share of the event loop's time that a connection of `identity` counts towards."""

    @property
    def contexts_max(self) -> int:
        """How many contexts a session may have open."""

    @property
    def slow_reader_seconds(self) -> float:
        """How long a client may leave its write buffer full."""

    @property
    def outbox_bytes_max(self) -> int:
        """How many bytes may wait to be sent to one client."""


class WebSocketSink:
    """The native protocol's `Sink`: buffers messages and audio as WebSocket frames, and writes them in one go."""

    def __init__(self, protocol: WebSocketProtocol, codec: Codec, observer: Observer) -> None:
        self._protocol = protocol
        self._observer = observer
        self._codec = codec
        self._buffered: list[bytes | memoryview] = []
        self._closing: tuple[int, str] | None = None
        self.closed = asyncio.Event()
        self.on_written: Callable[[], None] | None = None

    def message(self, message: ServerMessage) -> None:
        """Buffer a message."""
        raw = self._codec.encode(message)
        if isinstance(raw, str):
            data = raw.encode("utf-8", "surrogatepass") if not raw.isascii() else raw.encode("ascii")
            self._buffered.append(message_prefix(FIN_TEXT, len(data)))
        else:
            data = raw
            self._buffered.append(message_prefix(FIN_BINARY, len(data)))
        self._buffered.append(data)

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """Buffer audio frames; the block holds their WebSocket headers already."""
        self._buffered.append(block.wire(start, stop))

    def prefix(self, length: int) -> bytes:
        """The WebSocket header of an audio frame."""
        return binary_prefix(length)

    def close(self, code: int, reason: str) -> None:
        """Close the connection after what is buffered."""
        self._closing = (code, reason)

    def flush(self) -> None:
        """Write what is buffered, in one go."""
        if self._buffered:
            data = b"".join(self._buffered)
            self._buffered.clear()
            self._protocol.write_frames(data)
            self._observer.bytes_sent(len(data))
            if self.on_written is not None:
                self.on_written()
        if self._closing is not None:
            self.closed.set()
            if self._closing[0] == CloseCode.RESUMED_ELSEWHERE and self._protocol.buffered_bytes > BUFFER_HIGH_BYTES:
                # The other connection is sent all of it again, and each resume would leave such a buffer behind.
                self._protocol.abort()

    def on_arrival(self, arrived: Callable[[], None] | None) -> None:
        """Call `arrived` once the peer has received everything written so far; None: cancel that."""
        self._protocol.on_arrival(arrived)

    @property
    def close_reason(self) -> tuple[int, str]:
        """The close code and reason of this side."""
        return self._closing or (CloseCode.NORMAL, "")


def choose_codec(offered: list[str]) -> tuple[Codec, str | None] | None:
    """The codec and the subprotocol to answer with; None if none of those offered is supported."""
    supported = [name for name in offered if not name.startswith(TOKEN_PREFIX)]
    if not supported:
        return JSON, None
    for name in supported:
        codec = codec_for(name)
        if codec is not None:
            return codec, name
    return None


class StreamEndpoint:
    """Accepts WebSockets and runs one session on each."""

    def __init__(self, host: StreamHost) -> None:
        self._host = host

    async def serve(self, websocket: WebSocket) -> None:
        """One connection, from handshake to close."""
        protocol: WebSocketProtocol | None = websocket.scope.get("extensions", {}).get(EXTENSION)
        assert protocol is not None, "the server runs with ws=WebSocketProtocol"
        chosen = choose_codec(websocket.scope.get("subprotocols", []))
        codec, subprotocol = chosen or (JSON, None)
        await websocket.accept(subprotocol)
        try:
            if chosen is None:
                raise VoxwireError(
                    ErrorCode.UNSUPPORTED_SUBPROTOCOL,
                    f"this server speaks {JSON.subprotocol} and {MSGPACK.subprotocol}",
                )
            identity = self._host.authenticate(websocket, tokens=True)
            resumed_session_id: str | None = websocket.query_params.get("resume", "")
            if not self._host.admit_returning(identity, resumed_session_id or ""):
                resumed_session_id = None
                self._host.admit_session(identity)
        except VoxwireError as error:
            await self._refuse(websocket, codec, error)
            return
        sink = WebSocketSink(protocol, codec, self._host.services.observer)
        driver = self._host.new_driver(identity, sink)
        connection = Connection(
            websocket,
            protocol,
            NativeHandler(sink, driver, codec, self._host, resumed_session_id),
            slow_reader_seconds=self._host.slow_reader_seconds,
            outbox_bytes_max=self._host.outbox_bytes_max,
            share=self._host.fair_share_of(identity),
        )
        sink.on_written = connection.written
        await connection.run()

    async def _refuse(self, websocket: WebSocket, codec: Codec, error: VoxwireError) -> None:
        self._host.services.observer.refused(error.raw_code)
        raw = codec.encode(error_to_message(error))
        if isinstance(raw, str):
            await websocket.send_text(raw)
        else:
            await websocket.send_bytes(raw)
        await websocket.close(error.close_code or CloseCode.POLICY, error.code.value)


class NativeHandler:
    """The `SessionHandler` of a native session; its session changes when the client resumes another one.

    A client that announced a resume of `resumed_session_id` is not admitted with a session of its own before its first
    message. If that resumes nothing, or does not come in time, the new session is admitted like any other, or refused.
    """

    def __init__(
        self,
        sink: WebSocketSink,
        driver: Driver,
        codec: Codec,
        host: StreamHost,
        resumed_session_id: str | None = None,
    ) -> None:
        self._resumed_session_id = resumed_session_id
        self._first_message_timer: asyncio.TimerHandle | None = None
        self._sink = sink
        self._driver = driver
        self._codec = codec
        self._sessions = host.sessions
        self._host = host
        # A `resume` names each context and how many texts the client sent there.
        self._values_max = max(VALUES_MAX, 4 * host.contexts_max)
        self._is_first_message = True
        self._superseded = False
        self.closed = sink.closed

    @property
    def close_reason(self) -> tuple[int, str]:
        """See `SessionHandler`."""
        return self._sink.close_reason

    @property
    def ended(self) -> bool:
        """See `SessionHandler`."""
        return self._superseded or self._driver.core.closed

    def open(self) -> None:
        """See `SessionHandler`."""
        if self._resumed_session_id is None:
            self._sessions.add(self._driver)
        else:
            self._first_message_timer = asyncio.get_running_loop().call_later(FIRST_MESSAGE_SECONDS, self._admit)
        self._driver.on_superseded = self._supersede
        self._driver.open()

    def receive(self, raw: str | bytes) -> None:
        """See `SessionHandler`."""
        if self._superseded:
            return
        first, self._is_first_message = self._is_first_message, False
        try:
            message = self._codec.decode_client(raw, self._values_max)
        except VoxwireError as error:
            if self._admit():
                self._driver.reject(error)
            return
        if first and isinstance(message, Resume) and self._driver.resumable is not None:
            self._resume(message)
        elif self._admit():
            self._driver.receive(message)

    def _admit(self) -> bool:
        """Admit the new session, if it is not admitted yet; False: it is refused."""
        if not self._end_reservation():
            return True
        try:
            self._host.admit_session(self._driver.core.identity)
        except VoxwireError as error:
            self._host.services.observer.refused(error.raw_code)
            self._driver.fail(error)
            return False
        self._sessions.add(self._driver)
        return True

    def _end_reservation(self) -> bool:
        """Stop waiting for the client to resume: it has, or has not, or is gone. False if it was not awaited."""
        if self._resumed_session_id is None:
            return False
        self._sessions.expect_no_more(self._resumed_session_id)
        self._resumed_session_id = None
        if self._first_message_timer is not None:
            self._first_message_timer.cancel()
        return True

    def _resume(self, message: Resume) -> None:
        """Continue the old session on this connection, in place of the new one."""
        new = self._driver
        assert new.resumable is not None
        found = self._sessions.claim(message, new.resumable.account)
        if isinstance(found, ResumeFailed):
            self._host.services.observer.resumed(found.reason)
            if self._admit():
                self._sink.message(found)
                self._sink.flush()
            return
        self._end_reservation()
        self._host.services.observer.resumed("resumed")
        new.on_superseded = None
        new.disconnected()
        self._sessions.remove(new)
        self._driver = found.driver
        self._driver.attach(self._sink, found.position, found.resumed, self._supersede)
        assert found.driver.resumable is not None
        self._sink.on_arrival(found.driver.resumable.resume_tokens.arrived)

    def _supersede(self) -> None:
        """The session continues on another connection; nothing more is read from this one."""
        self._superseded = True
        self._sink.on_arrival(None)
        self._sink.close(CloseCode.RESUMED_ELSEWHERE, "resumed on another connection")
        self._sink.flush()

    def read_delay(self) -> float:
        """See `SessionHandler`."""
        return self._driver.core.read_delay()

    def writable(self, writable: bool) -> None:
        """See `SessionHandler`."""
        if not self._superseded:
            self._driver.writable(writable)

    def fail(self, error: VoxwireError) -> None:
        """See `SessionHandler`."""
        if error.code is ErrorCode.SLOW_READER and self._driver.resumable is not None:
            # A client that does not read may have lost its network and come back: only the connection is lost.
            self._host.services.observer.error_sent(error.raw_code)
        else:
            self._driver.fail(error)

    def disconnected(self, code: int) -> None:
        """See `SessionHandler`."""
        self._sink.on_written = None
        self._sink.on_arrival(None)
        self._end_reservation()
        if self._superseded:
            return
        driver, sessions = self._driver, self._sessions
        if not driver.worth_keeping or code in FINAL_CLOSE_CODES:
            driver.disconnected()
            sessions.remove(driver)
        else:
            driver.detach(lambda: sessions.remove(driver))


def routes(host: StreamHost) -> list[WebSocketRoute]:
    """The native protocol's route."""
    return [WebSocketRoute("/v1/stream", StreamEndpoint(host).serve)]
