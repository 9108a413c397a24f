"""Opens connections to a server: a WebSocket on which the server has sent `ready`, or the reason why there is none."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from websockets.asyncio.client import connect as connect_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from voxwire_client.errors import ABNORMAL, ConnectionLost
from voxwire_protocol import messages as m
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from voxwire_protocol.codec import Codec

DEFAULT_URL = "ws://127.0.0.1:8765/v1/stream"
STREAM_PATH = "/v1/stream"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

CLOSE_SECONDS_MAX = 2.0
MESSAGE_BYTES_MAX = 32 << 20
"""`cancelled` may repeat a context's whole text."""

Encoding = Literal["msgpack", "json"]
CODECS: dict[str, Codec] = {"msgpack": MSGPACK, "json": JSON}

REFUSALS = {401: ErrorCode.NOT_AUTHENTICATED, 403: ErrorCode.NOT_ALLOWED}
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses, of the server or of a proxy before it, after which another attempt may succeed."""


class OpenSocket(NamedTuple):
    """A WebSocket on which the server has opened a session."""

    socket: ClientConnection
    ready: m.Ready


class Dialer:
    """Connects to one server, by its address, API key and encoding.

    Raises:
        ValueError: the URL is not valid, or there is no such encoding.
    """

    def __init__(self, url: str | None, api_key: str | None, encoding: Encoding, timeout: float) -> None:
        if encoding not in CODECS:
            raise ValueError(f"encoding is one of {', '.join(CODECS)}, not {encoding!r}")
        self.url = stream_url(url or os.environ.get("VOXWIRE_URL") or DEFAULT_URL)
        self.codec = CODECS[encoding]
        self.timeout = timeout
        key = api_key or os.environ.get("VOXWIRE_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def dial(self, resume: str | None = None, *, seconds_max: float | None = None) -> OpenSocket:
        """Connect; `resume` is the id of a session to resume, for load balancers. `seconds_max`: by default `timeout`.

        Raises:
            VoxwireError: the server refused.
            ConnectionLost: there is no server, or it does not speak this protocol.
            ValueError: the URL is not valid.
        """
        url = self.url if resume is None else _resume_url(self.url, resume)
        try:
            async with asyncio.timeout(self.timeout if seconds_max is None else seconds_max):
                return await self._read_ready(await self._open(url))
        except InvalidURI as error:
            raise ValueError(str(error)) from None
        except ConnectionClosed as error:
            raise connection_lost(error, None) from None
        except InvalidStatus as error:
            raise self._http_refusal(error) from error
        except (OSError, EOFError, WebSocketException) as error:
            problem = str(error) or type(error).__name__
            raise ConnectionLost(ABNORMAL, f"{self.url}: {problem}") from error

    async def _open(self, url: str) -> ClientConnection:
        options: dict[str, Any] = {"proxy": None} if urlsplit(url).hostname in LOOPBACK else {}
        # `connect` does not retry by itself when it is awaited (only when it is iterated over).
        return await connect_socket(
            url,
            subprotocols=[self.codec.subprotocol],  # type: ignore[list-item]
            additional_headers=self._headers,
            compression=None,
            max_size=MESSAGE_BYTES_MAX,
            open_timeout=None,
            ping_interval=None,
            close_timeout=CLOSE_SECONDS_MAX,
            **options,
        )

    async def _read_ready(self, socket: ClientConnection) -> OpenSocket:
        try:
            if socket.subprotocol != self.codec.subprotocol:
                raise ConnectionLost(CloseCode.POLICY, f"{self.url} does not speak {self.codec.subprotocol}")
            first = self.codec.decode_server(await socket.recv())
            if isinstance(first, m.ErrorMessage):
                raise m.error_from_message(first)
            if not isinstance(first, m.Ready):
                raise ConnectionLost(CloseCode.POLICY, f"the server began with {first.type}, not with ready")
        except BaseException:
            socket.transport.abort()
            raise
        return OpenSocket(socket, first)

    def _http_refusal(self, error: InvalidStatus) -> ConnectionLost:
        status = error.response.status_code
        problem = f"{self.url}: {error}"
        refusal = REFUSALS.get(status)
        if refusal is not None:
            return ConnectionLost(refusal_code(refusal), problem, VoxwireError(refusal, problem))
        asked = error.response.headers.get("Retry-After", "")
        retry_after_ms = int(asked) * 1000 if asked.isascii() and asked.isdecimal() and len(asked) < 6 else None
        code = ABNORMAL if status in TRANSIENT_STATUSES else CloseCode.POLICY
        return ConnectionLost(code, problem, retry_after_ms=retry_after_ms)


def refusal_code(code: ErrorCode) -> int:
    """The close code that the server uses for an error."""
    return VoxwireError(code, "").close_code or CloseCode.POLICY


def stream_url(url: str) -> str:
    """The URL of a server's stream: `http` becomes `ws`, and a missing path `/v1/stream`.

    Raises:
        ValueError: it is not the URL of a server.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ValueError(f"{url!r} is no URL of a server; one looks like {DEFAULT_URL}")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") or STREAM_PATH, parts.query, ""))


def _resume_url(url: str, session: str) -> str:
    """The URL with the session's id, by which a load balancer finds the server that has the session."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, f"resume={quote(session, safe='')}")))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def connection_lost(error: ConnectionClosed, session_error: VoxwireError | None) -> ConnectionLost:
    """Why a connection is gone; `session_error` is the error about the session that the server sent before, if any."""
    if error.rcvd is None:
        return ConnectionLost(ABNORMAL, "", session_error)
    return ConnectionLost(error.rcvd.code, error.rcvd.reason, session_error)
