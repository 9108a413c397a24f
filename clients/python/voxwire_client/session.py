"""A session over one WebSocket: connects, sorts what comes by context, acknowledges, notices a dead server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
from typing import TYPE_CHECKING, Any, Literal, Unpack
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed, InvalidURI, WebSocketException

from voxwire_client import options as o
from voxwire_client.context import Context, Utterance
from voxwire_client.errors import ABNORMAL, ConnectionLost
from voxwire_client.events import Audio, Event
from voxwire_protocol import messages as m
from voxwire_protocol.audio import is_audio_frame, unpack_frame
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_protocol.errors import CloseCode, ErrorCode, ProtocolError, VoxwireError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import TracebackType

    from websockets.asyncio.client import ClientConnection

    from voxwire_client.tokens import Tokens
    from voxwire_protocol.codec import Codec

__all__ = ["Audio", "ConnectionLost", "Context", "Event", "Session", "Utterance", "connect"]

log = logging.getLogger("voxwire.client")

DEFAULT_URL = "ws://127.0.0.1:8765/v1/stream"
STREAM_PATH = "/v1/stream"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

ACK_SECONDS = 0.2
CONNECT_SECONDS_MAX = 10.0
CLOSE_SECONDS_MAX = 2.0
SILENT_HEARTBEATS_MAX = 3
MESSAGE_BYTES_MAX = 32 << 20
"""`cancelled` may repeat a context's whole text."""

Encoding = Literal["msgpack", "json"]
CODECS: dict[str, Codec] = {"msgpack": MSGPACK, "json": JSON}


class Session:
    """One connection; `connect` makes it. Many utterances can be spoken on it, one after another or at once.

    `ready` is the server's greeting with its limits; `states` what each open context is doing, as the server last said;
    `draining` is set once the server is going away: open the next session elsewhere.
    """

    def __init__(self, socket: ClientConnection, codec: Codec, ready: m.Ready) -> None:
        self.ready = ready
        self.draining: m.Draining | None = None
        self.states: dict[str, m.ContextState] = {}
        self._socket = socket
        self._codec = codec
        self._lost: ConnectionLost | None = None
        self._said: VoxwireError | None = None
        self._names = itertools.count(1)
        self._pings = itertools.count(1)
        self._pongs: dict[int, asyncio.Future[None]] = {}
        self._contexts: dict[str, Context] = {}
        self._numbers: dict[int, Context] = {}
        self._vacated = asyncio.Event()
        self._occupied = asyncio.Event()
        self._alive = True
        self._background: set[asyncio.Task[None]] = set()
        self._reader = asyncio.create_task(self._read(), name="voxwire-read")
        self._tasks = [
            asyncio.create_task(self._acknowledge(), name="voxwire-acknowledge"),
            asyncio.create_task(self._watch(), name="voxwire-watch"),
        ]

    # -- speaking -------------------------------------------------------------------------------------------------

    def speak(self, text: Tokens, **options: Unpack[o.SpeakOptions]) -> Utterance:
        """Speak a text, or pieces of text as they are written. Iterate over the result for its events.

        `text` is a string, an iterable or an asynchronous iterable of strings, such as a language model's tokens.
        Nothing is sent before the first step of the iteration (or `open`).

        Raises:
            TypeError, ValueError: an option that there is not, or a name that can't be.
        """
        return Utterance(self, o.start(options, self._fresh_name()), text)

    def context(self, **options: Unpack[o.SpeakOptions]) -> Context:
        """A context whose text you write yourself: `text`, `flush`, `end`. Options as in `speak`."""
        return Context(self, o.start(options, self._fresh_name()))

    def utterance(self, **options: Unpack[o.SpeakOptions]) -> Context:
        """Another name of `context`."""
        return self.context(**options)

    def _fresh_name(self) -> str:
        return f"u{next(self._names)}"

    # -- the connection -------------------------------------------------------------------------------------------

    @property
    def limits(self) -> m.Limits:
        """The session's bounds."""
        return self.ready.limits

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._lost is not None

    async def send(self, message: m.ClientMessage) -> None:
        """Send any message of the protocol as it is; `speak` and `context` send theirs themselves.

        Raises:
            ConnectionLost: there is nobody to send it to.
            ProtocolError: the message can't be encoded.
        """
        if self._lost is not None:
            raise self._lost
        raw = self._codec.encode(message)
        try:
            await self._socket.send(raw)
        except ConnectionClosed as error:
            raise _connection_lost(error, self._said) from None

    async def ping(self) -> float:
        """Ask the server for an answer; returns the milliseconds it took.

        Raises:
            ConnectionLost: it does not answer any more.
        """
        t = next(self._pings)
        pong = self._pongs[t] = asyncio.get_running_loop().create_future()
        asked_at = time.monotonic()
        try:
            await self.send(m.Ping(t=t))
            await pong
        finally:
            del self._pongs[t]
        return (time.monotonic() - asked_at) * 1000

    async def wait_closed(self) -> ConnectionLost:
        """Wait until the connection is gone; returns why."""
        await asyncio.wait([self._reader])
        assert self._lost is not None, "the reader says why it ends"
        return self._lost

    async def close(self) -> None:
        """Close the connection; what is still being spoken is dropped."""
        self._lose(ConnectionLost(CloseCode.NORMAL, "closed by this side"))
        await self._socket.close()
        tasks = [self._reader, *self._tasks, *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- what contexts want of it -----------------------------------------------------------------------------------

    async def attach(self, context: Context) -> None:
        """See `Link`."""
        while (former := self._contexts.get(context.context)) is not None:
            if not former.leaving:
                raise ValueError(f"context {context.context!r} is in use")
            self._vacated.clear()
            await self._vacated.wait()
        if self._lost is not None:
            raise self._lost
        self._contexts[context.context] = context
        self._occupied.set()

    def detach(self, context: Context) -> None:
        """See `Link`."""
        if self._contexts.get(context.context) is context:
            del self._contexts[context.context]
        if context.started is not None and self._numbers.get(context.started.number) is context:
            del self._numbers[context.started.number]
        self._vacated.set()

    def later(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[None]:
        """See `Link`."""
        task = asyncio.create_task(_quietly(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    # -- the reader -----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        lost = ConnectionLost(CloseCode.INTERNAL, "the reader failed")
        try:
            while True:
                raw = await self._socket.recv()
                self._alive = True
                self._take(raw, time.monotonic())
        except ConnectionClosed as error:
            lost = _connection_lost(error, self._said)
        except ProtocolError as error:
            lost = ConnectionLost(CloseCode.INVALID_DATA, "the server sent what is no message", error)
            with contextlib.suppress(ConnectionClosed):
                await self._socket.close(CloseCode.INVALID_DATA, error.raw_code)
        finally:
            self._lose(lost)

    def _take(self, raw: str | bytes, now: float) -> None:
        if isinstance(raw, bytes) and is_audio_frame(raw):
            self._take_frame(raw, now)
            return
        if isinstance(raw, bytes) and not (self._codec.binary and _is_map(raw)):
            return  # Version 1 may get new kinds of binary message.
        try:
            message = self._codec.decode_server(raw)
        except ProtocolError as error:
            if error.code is not ErrorCode.UNKNOWN_TYPE:
                raise
            return
        self._take_message(message, now)

    def _take_frame(self, raw: bytes, now: float) -> None:
        frame = unpack_frame(raw)
        context = self._numbers.get(frame.context_number)
        if context is None or context.started is None:
            return
        audio = context.started.audio
        context.take(
            Audio(
                frame.payload, frame.pts, frame.seq, frame.flags, audio.codec, audio.sample_rate, audio.frame_samples
            ),
            now,
        )

    def _take_message(self, message: m.ServerMessage, now: float) -> None:
        match message:
            case m.Pong():
                pong = self._pongs.get(int(message.t))
                if pong is not None and not pong.done():
                    pong.set_result(None)
            case m.State():
                self.states = dict(message.contexts)
            case m.Draining():
                self.draining = message
            case m.Ready() | m.Resumed() | m.ResumeFailed():
                pass
            case m.ErrorMessage() | m.WarningMessage() if message.context is None:
                self._take_notice(message)
            case _:
                self._take_of_context(message, now)

    def _take_notice(self, message: m.ErrorMessage | m.WarningMessage) -> None:
        if isinstance(message, m.ErrorMessage):
            self._said = VoxwireError.from_message(message)
        log.warning("the server says: %s (%s)", message.message, message.code)

    def _take_of_context(self, message: Any, now: float) -> None:
        context = self._contexts.get(message.context)
        if context is None:
            return
        context.take(message, now)
        if isinstance(message, m.Started) and context.started is message:
            self._numbers[message.number] = context

    def _lose(self, lost: ConnectionLost) -> None:
        if self._lost is not None:
            return
        self._lost = lost
        for task in self._tasks:
            task.cancel()
        for context in list(self._contexts.values()):
            context.lost(lost)
        for pong in self._pongs.values():
            if not pong.done():
                pong.set_exception(lost)
        self._vacated.set()

    # -- acknowledging, watching ------------------------------------------------------------------------------------

    async def _acknowledge(self) -> None:
        while True:
            await self._occupied.wait()
            while self._contexts:
                await asyncio.sleep(ACK_SECONDS)
                for context in list(self._contexts.values()):
                    ack = context.acknowledgement(time.monotonic())
                    if ack is not None:
                        with contextlib.suppress(ConnectionLost):
                            await self.send(ack)
            self._occupied.clear()

    async def _watch(self) -> None:
        """Beats are counted, not seconds: a program that was busy itself has not lost its server."""
        beat_seconds, silent = self.ready.heartbeat_ms / 1000, 0
        while silent < SILENT_HEARTBEATS_MAX:
            self._alive = False
            await asyncio.sleep(beat_seconds)
            silent = 0 if self._alive else silent + 1
            if silent:
                self.later(self.send(m.Ping(t=0)))
        self._lose(ConnectionLost(ABNORMAL, "the server does not answer"))
        self._socket.transport.abort()


class connect:  # noqa: N801 - used like a function
    """Connect to a server: `async with connect(url) as session`, or `session = await connect(url)` and `close`.

    `url` may leave out the path, and may begin with http or https; left out altogether, the environment variable
    VOXWIRE_URL counts, then a server on this machine. `api_key` (or VOXWIRE_API_KEY) is an API key or a token.
    `timeout` is in seconds, for the whole of connecting.

    Raises:
        VoxwireError: the server refused (client.not_authenticated, server.too_many_sessions, …).
        ConnectionLost: there is no server, or it is not one of ours.
        ValueError: the URL is none, or there is no such encoding.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        encoding: Encoding = "msgpack",
        timeout: float = CONNECT_SECONDS_MAX,
    ) -> None:
        if encoding not in CODECS:
            raise ValueError(f"encoding is one of {', '.join(CODECS)}, not {encoding!r}")
        self.url = stream_url(url or os.environ.get("VOXWIRE_URL") or DEFAULT_URL)
        key = api_key or os.environ.get("VOXWIRE_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._codec = CODECS[encoding]
        self._timeout = timeout
        self._session: Session | None = None

    def __await__(self) -> Generator[Any, None, Session]:
        return self._connect().__await__()

    async def __aenter__(self) -> Session:
        self._session = await self._connect()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def _connect(self) -> Session:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._greet(await self._open())
        except InvalidURI as error:
            raise ValueError(str(error)) from None
        except ConnectionClosed as error:
            raise _connection_lost(error, None) from None
        except (OSError, EOFError, WebSocketException) as error:
            problem = str(error) or type(error).__name__
            raise ConnectionLost(ABNORMAL, f"{self.url}: {problem}") from error

    async def _open(self) -> ClientConnection:
        options: dict[str, Any] = {"proxy": None} if urlsplit(self.url).hostname in LOOPBACK else {}
        return await connect_socket(
            self.url,
            subprotocols=[self._codec.subprotocol],  # type: ignore[list-item]
            additional_headers=self._headers,
            compression=None,
            max_size=MESSAGE_BYTES_MAX,
            open_timeout=None,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS_MAX,
            **options,
        )

    async def _greet(self, socket: ClientConnection) -> Session:
        try:
            if socket.subprotocol != self._codec.subprotocol:
                raise ConnectionLost(CloseCode.POLICY, f"{self.url} does not speak {self._codec.subprotocol}")
            first = self._codec.decode_server(await socket.recv())
            if isinstance(first, m.ErrorMessage):
                raise VoxwireError.from_message(first)
            if not isinstance(first, m.Ready):
                raise ConnectionLost(CloseCode.POLICY, f"the server began with {first.type}, not with ready")
        except BaseException:
            await socket.close()
            raise
        return Session(socket, self._codec, first)


def stream_url(url: str) -> str:
    """The URL of a server's stream: `http` becomes `ws`, and a missing path `/v1/stream`.

    Raises:
        ValueError: this is no such URL.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ValueError(f"{url!r} is no URL of a server; one looks like {DEFAULT_URL}")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") or STREAM_PATH, parts.query, ""))


def _is_map(raw: bytes) -> bool:
    """Whether a binary message is a MessagePack map (fixmap, map 16, map 32)."""
    return len(raw) > 0 and (raw[0] & 0xF0 == 0x80 or raw[0] in (0xDE, 0xDF))


def _connection_lost(error: ConnectionClosed, said: VoxwireError | None) -> ConnectionLost:
    if error.rcvd is None:
        return ConnectionLost(ABNORMAL, "", said)
    return ConnectionLost(error.rcvd.code, error.rcvd.reason, said)


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(ConnectionLost):
        await work
