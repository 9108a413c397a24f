"""`GET /v1/stream`: the native protocol's bytes on a WebSocket."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Any, Protocol

from starlette.routing import WebSocketRoute

from voxwire_protocol.codec import JSON, MSGPACK, codec_for
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.session.driver import Driver
from voxwire_server.transport.wire import EXTENSION, FIN_BINARY, FIN_TEXT, binary_prefix, message_prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from voxwire_protocol.codec import Codec
    from voxwire_protocol.messages import ServerMessage
    from voxwire_server.audio.framing import FrameBlock
    from voxwire_server.session.core import SessionCore
    from voxwire_server.session.driver import Observer, Sessions, Studio
    from voxwire_server.transport.wire import WireProtocol

log = logging.getLogger("voxwire.stream")

TOKEN_PREFIX = "voxwire.token."  # noqa: S105 - the name of a subprotocol, not a secret


class StreamHost(Protocol):
    """What the endpoint needs of the application."""

    studio: Studio
    sessions: Sessions

    def authenticate_socket(self, socket: WebSocket) -> str:
        """The identity behind a request, by key or token, its Origin checked.

        Raises:
            VoxwireError: client.not_authenticated or client.not_allowed.
        """

    def admit_session(self) -> None:
        """Let one more session in.

        Raises:
            VoxwireError: server.not_ready, server.draining or server.too_many_sessions.
        """

    def new_core(self, session_id: str, token: str) -> SessionCore:
        """A session core with the configured limits."""

    @property
    def slow_reader_seconds(self) -> float:
        """How long a client may leave its socket full."""

    @property
    def outbox_bytes_max(self) -> int:
        """How many bytes may wait for a client to read them."""


class WebSocketOutlet:
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
            self._host.authenticate_socket(socket)
            self._host.admit_session()
        except VoxwireError as error:
            await self._refuse(socket, codec, error)
            return
        session_id = secrets.token_urlsafe(9)
        core = self._host.new_core(session_id, secrets.token_urlsafe(24))
        outlet = WebSocketOutlet(wire, codec, self._host.studio.observer)
        driver = Driver(core, outlet, self._host.studio)
        await Conversation(socket, wire, outlet, driver, codec, self._host).run()

    async def _refuse(self, socket: WebSocket, codec: Codec, error: VoxwireError) -> None:
        self._host.studio.observer.refused(error.raw_code)
        raw = codec.encode(error.to_message())
        if isinstance(raw, str):
            await socket.send_text(raw)
        else:
            await socket.send_bytes(raw)
        await socket.close(error.close_code or CloseCode.POLICY, error.code.value)


class Conversation:
    """The life of one accepted connection: reads until it ends, and sees that a slow or dead peer is let go."""

    def __init__(
        self,
        socket: WebSocket,
        wire: WireProtocol,
        outlet: WebSocketOutlet,
        driver: Driver,
        codec: Codec,
        host: StreamHost,
    ) -> None:
        self._socket = socket
        self._wire = wire
        self._outlet = outlet
        self._driver = driver
        self._codec = codec
        self._host = host
        self._slow: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serve the connection; returns when it is over."""
        driver, sessions = self._driver, self._host.sessions
        sessions.add(driver)
        self._outlet.on_written = self._written
        self._wire.on_writable = self._writable
        reader = asyncio.create_task(self._read(), name="voxwire-read")
        closed = asyncio.create_task(self._outlet.closed.wait(), name="voxwire-closed")
        try:
            driver.open()
            await asyncio.wait((reader, closed), return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                code, reason = self._outlet.close_reason
                await self._close(code, reason)
            elif reader.exception() is not None:
                log.error("a session failed", exc_info=reader.exception())
                driver.fail(VoxwireError(ErrorCode.INTERNAL, "the session failed"))
                await self._close(*self._outlet.close_reason)
        finally:
            self._wire.on_writable = None
            self._outlet.on_written = None
            if self._slow is not None:
                self._slow.cancel()
            closed.cancel()
            reader.cancel()
            await asyncio.gather(reader, closed, return_exceptions=True)
            driver.disconnected()
            sessions.remove(driver)
            self._wire.let_go()

    async def _read(self) -> None:
        socket, driver = self._socket, self._driver
        while True:
            # A client that asks without reading the answers is not listened to until it reads.
            await self._wire.writable.wait()
            if self._wire.disconnected:
                # Whoever is gone has no use for what they still wanted; a flood would be read for minutes.
                return
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            self._take(event)
            delay = driver.core.read_delay()
            if delay > 0:
                await asyncio.sleep(delay)

    def _take(self, event: Any) -> None:
        raw: str | bytes | None = event.get("text")
        if raw is None:
            raw = event["bytes"]
        try:
            message = self._codec.decode_client(raw)
        except VoxwireError as error:
            self._driver.reject(error)
        else:
            self._driver.receive(message)

    def _writable(self, writable: bool) -> None:
        self._driver.writable(writable)
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None
        if not writable:
            loop = asyncio.get_running_loop()
            self._slow = loop.call_later(self._host.slow_reader_seconds, self._too_slow)

    def _written(self) -> None:
        if self._wire.buffered_bytes > self._host.outbox_bytes_max and not self._driver.core.closed:
            self._too_slow()

    def _too_slow(self) -> None:
        """What is buffered would have to leave before a close frame could: the connection is cut instead."""
        self._slow = None
        self._driver.fail(VoxwireError(ErrorCode.SLOW_READER, "the client does not read what it is sent"))
        self._wire.abort()

    async def _close(self, code: int, reason: str) -> None:
        if self._wire.is_open:
            await self._socket.close(code, reason)


def routes(host: StreamHost) -> list[WebSocketRoute]:
    """The native protocol's route."""
    return [WebSocketRoute("/v1/stream", StreamEndpoint(host).serve)]
