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
from voxwire_server.transport.wire import (
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
    from voxwire_server.transport.loop_share import LoopShare
    from voxwire_server.transport.wire import WireProtocol

FAREWELLS = (CloseCode.NORMAL, CloseCode.NO_STATUS)
"""How a client closes a session that it does not want to resume."""

FIRST_MESSAGE_SECONDS = 2.0
"""How long a client that came to resume, and has no place of its own, may take to say `resume`."""

TOKEN_PREFIX = "voxwire.token."  # noqa: S105 - the name of a subprotocol, not a secret


class StreamHost(Protocol):
    """What the endpoint needs of the application."""

    services: SessionServices
    sessions: Sessions

    def authenticate(self, connection: HTTPConnection, *, tokens: bool) -> ClientIdentity:
        """Who asks, by key or (`tokens`) token, the Origin checked.

        Raises:
            VoxwireError: client.not_authenticated or client.not_allowed.
        """

    def admit_session(self, identity: ClientIdentity) -> None:
        """Let one more session of `identity` in.

        Raises:
            VoxwireError: server.not_ready, server.draining, server.too_many_sessions, server.overloaded or
                client.rate_limited.
        """

    def admit_returning(self, identity: ClientIdentity, session_id: str) -> bool:
        """Let a client in for a moment that says that it will resume a session; False: it is admitted like any other.

        `sessions.expect_no_more` is called once it has, or has not.
        """

    def new_driver(self, identity: ClientIdentity, sink: WebSocketSink) -> Driver:
        """A session with the configured limits, which the account of `identity` may resume."""

    def loop_share_of(self, identity: ClientIdentity) -> LoopShare:
        """The part of the loop's time that a connection of `identity` has."""

    @property
    def contexts_max(self) -> int:
        """How many contexts a session may have open."""

    @property
    def slow_reader_seconds(self) -> float:
        """How long a client may leave its socket full."""

    @property
    def outbox_bytes_max(self) -> int:
        """How many bytes may wait for a client to read them."""


class WebSocketSink:
    """Gathers messages and frames as WebSocket frames, and writes them at once."""

    def __init__(self, wire: WireProtocol, codec: Codec, observer: Observer) -> None:
        self._wire = wire
        self._observer = observer
        self._codec = codec
        self._gathered: list[bytes | memoryview] = []
        self._closing: tuple[int, str] | None = None
        self.closed = asyncio.Event()
        self.on_written: Callable[[], None] | None = None

    def message(self, message: ServerMessage) -> None:
        """Gather a message."""
        raw = self._codec.encode(message)
        if isinstance(raw, str):
            data = raw.encode("utf-8", "surrogatepass") if not raw.isascii() else raw.encode("ascii")
            self._gathered.append(message_prefix(FIN_TEXT, len(data)))
        else:
            data = raw
            self._gathered.append(message_prefix(FIN_BINARY, len(data)))
        self._gathered.append(data)

    def frames(self, block: FrameBlock, start: int, stop: int) -> None:
        """Gather audio frames; the block holds their WebSocket headers already."""
        self._gathered.append(block.wire(start, stop))

    def prefix(self, length: int) -> bytes:
        """The WebSocket header of an audio frame."""
        return binary_prefix(length)

    def close(self, code: int, reason: str) -> None:
        """Close after what was gathered."""
        self._closing = (code, reason)

    def flush(self) -> None:
        """Write everything in one go."""
        if self._gathered:
            data = b"".join(self._gathered)
            self._gathered.clear()
            self._wire.write_wire(data)
            self._observer.bytes_sent(len(data))
            if self.on_written is not None:
                self.on_written()
        if self._closing is not None:
            self.closed.set()
            if self._closing[0] == CloseCode.RESUMED_ELSEWHERE and self._wire.buffered_bytes > BUFFER_HIGH_BYTES:
                # The other connection is sent all of it again; each resume would leave that much behind.
                self._wire.abort()

    def on_arrival(self, arrived: Callable[[], None] | None) -> None:
        """Call `arrived` once the peer has shown that everything written so far has reached it; None: not any more."""
        self._wire.on_arrival(arrived)

    @property
    def close_reason(self) -> tuple[int, str]:
        """How the session was closed from this side."""
        return self._closing or (CloseCode.NORMAL, "")


def choose_codec(offered: list[str]) -> tuple[Codec, str | None] | None:
    """The codec and the subprotocol to answer with; None when none of those offered is ours."""
    ours = [name for name in offered if not name.startswith(TOKEN_PREFIX)]
    if not ours:
        return JSON, None
    for name in ours:
        codec = codec_for(name)
        if codec is not None:
            return codec, name
    return None


class StreamEndpoint:
    """Accepts connections and runs one session on each."""

    def __init__(self, host: StreamHost) -> None:
        self._host = host

    async def serve(self, socket: WebSocket) -> None:
        """One connection, from handshake to close."""
        wire: WireProtocol | None = socket.scope.get("extensions", {}).get(EXTENSION)
        assert wire is not None, "the server runs with ws=WireProtocol"
        chosen = choose_codec(socket.scope.get("subprotocols", []))
        codec, subprotocol = chosen or (JSON, None)
        await socket.accept(subprotocol)
        try:
            if chosen is None:
                raise VoxwireError(
                    ErrorCode.UNSUPPORTED_SUBPROTOCOL,
                    f"this server speaks {JSON.subprotocol} and {MSGPACK.subprotocol}",
                )
            identity = self._host.authenticate(socket, tokens=True)
            returns_to: str | None = socket.query_params.get("resume", "")
            if not self._host.admit_returning(identity, returns_to or ""):
                returns_to = None
                self._host.admit_session(identity)
        except VoxwireError as error:
            await self._refuse(socket, codec, error)
            return
        sink = WebSocketSink(wire, codec, self._host.services.observer)
        driver = self._host.new_driver(identity, sink)
        connection = Connection(
            socket,
            wire,
            NativeHandler(sink, driver, codec, self._host, returns_to),
            slow_reader_seconds=self._host.slow_reader_seconds,
            outbox_bytes_max=self._host.outbox_bytes_max,
            share=self._host.loop_share_of(identity),
        )
        sink.on_written = connection.written
        await connection.run()

    async def _refuse(self, socket: WebSocket, codec: Codec, error: VoxwireError) -> None:
        self._host.services.observer.refused(error.raw_code)
        raw = codec.encode(error_to_message(error))
        if isinstance(raw, str):
            await socket.send_text(raw)
        else:
            await socket.send_bytes(raw)
        await socket.close(error.close_code or CloseCode.POLICY, error.code.value)


class NativeHandler:
    """A native session as its connection sees it; which session that is changes when the client resumes another.

    A client that came to resume the session `returns_to` has no place of its own before its first message. If that
    resumes nothing, or does not come in time, the fresh session needs one like any other, or is refused.
    """

    def __init__(
        self,
        sink: WebSocketSink,
        driver: Driver,
        codec: Codec,
        host: StreamHost,
        returns_to: str | None = None,
    ) -> None:
        self._returns_to = returns_to
        self._patience: asyncio.TimerHandle | None = None
        self._sink = sink
        self._driver = driver
        self._codec = codec
        self._sessions = host.sessions
        self._host = host
        # A client that resumes names each context and how many texts it sent there.
        self._values_max = max(VALUES_MAX, 4 * host.contexts_max)
        self._first = True
        self._superseded = False
        self.closed = sink.closed

    @property
    def close_reason(self) -> tuple[int, str]:
        """See `Speaker`."""
        return self._sink.close_reason

    @property
    def over(self) -> bool:
        """See `Speaker`."""
        return self._superseded or self._driver.core.closed

    def open(self) -> None:
        """See `Speaker`."""
        if self._returns_to is None:
            self._sessions.add(self._driver)
        else:
            self._patience = asyncio.get_running_loop().call_later(FIRST_MESSAGE_SECONDS, self._take_a_place)
        self._driver.on_superseded = self._supersede
        self._driver.open()

    def take(self, raw: str | bytes) -> None:
        """See `Speaker`."""
        if self._superseded:
            return
        first, self._first = self._first, False
        try:
            message = self._codec.decode_client(raw, self._values_max)
        except VoxwireError as error:
            if self._take_a_place():
                self._driver.reject(error)
            return
        if first and isinstance(message, Resume) and self._driver.resumable is not None:
            self._resume(message)
        elif self._take_a_place():
            self._driver.receive(message)

    def _take_a_place(self) -> bool:
        """Give the fresh session a place, if it has none yet; False: it is refused."""
        if not self._expected_no_more():
            return True
        try:
            self._host.admit_session(self._driver.core.identity)
        except VoxwireError as error:
            self._host.services.observer.refused(error.raw_code)
            self._driver.fail(error)
            return False
        self._sessions.add(self._driver)
        return True

    def _expected_no_more(self) -> bool:
        """Note that the client has resumed, or has not, or is gone; True if that was open."""
        if self._returns_to is None:
            return False
        self._sessions.expect_no_more(self._returns_to)
        self._returns_to = None
        if self._patience is not None:
            self._patience.cancel()
        return True

    def _resume(self, message: Resume) -> None:
        """Let the old session go on here, in place of the fresh one."""
        fresh = self._driver
        assert fresh.resumable is not None
        found = self._sessions.claim(message, fresh.resumable.account)
        if isinstance(found, ResumeFailed):
            self._host.services.observer.resumed(found.reason)
            if self._take_a_place():
                self._sink.message(found)
                self._sink.flush()
            return
        self._expected_no_more()
        self._host.services.observer.resumed("resumed")
        fresh.on_superseded = None
        fresh.disconnected()
        self._sessions.remove(fresh)
        self._driver = found.driver
        self._driver.attach(self._sink, found.position, found.resumed, self._supersede)
        assert found.driver.resumable is not None
        self._sink.on_arrival(found.driver.resumable.resume_tokens.arrived)

    def _supersede(self) -> None:
        """The session goes on at another connection; nothing more is read from this one."""
        self._superseded = True
        self._sink.on_arrival(None)
        self._sink.close(CloseCode.RESUMED_ELSEWHERE, "resumed on another connection")
        self._sink.flush()

    def read_delay(self) -> float:
        """See `Speaker`."""
        return self._driver.core.read_delay()

    def writable(self, writable: bool) -> None:
        """See `Speaker`."""
        if not self._superseded:
            self._driver.writable(writable)

    def fail(self, error: VoxwireError) -> None:
        """See `Speaker`."""
        if error.code is ErrorCode.SLOW_READER and self._driver.resumable is not None:
            # Who does not read may be out of reach, and come back: the connection is lost, the session is not.
            self._host.services.observer.error_sent(error.raw_code)
        else:
            self._driver.fail(error)

    def disconnected(self, code: int) -> None:
        """See `Speaker`."""
        self._sink.on_written = None
        self._sink.on_arrival(None)
        self._expected_no_more()
        if self._superseded:
            return
        driver, sessions = self._driver, self._sessions
        if not driver.worth_keeping or code in FAREWELLS:
            driver.disconnected()
            sessions.remove(driver)
        else:
            driver.detach(lambda: sessions.remove(driver))


def routes(host: StreamHost) -> list[WebSocketRoute]:
    """The native protocol's route."""
    return [WebSocketRoute("/v1/stream", StreamEndpoint(host).serve)]
