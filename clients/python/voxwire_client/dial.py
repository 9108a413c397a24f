"""Opens connections to a server: one WebSocket with its `ready`, or what is in the way of it."""

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
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP answers of whoever stands before the server that may be others next time."""


class Door(NamedTuple):
    """A connection that the server has greeted."""

    socket: ClientConnection
    ready: m.Ready


class Dialer:
    """Knows the server's address and how to speak with it.

    Raises:
        ValueError: the URL is none, or there is no such encoding.
    """

    def __init__(self, url: str | None, api_key: str | None, encoding: Encoding, timeout: float) -> None:
        if encoding not in CODECS:
            raise ValueError(f"encoding is one of {', '.join(CODECS)}, not {encoding!r}")
        self.url = stream_url(url or os.environ.get("VOXWIRE_URL") or DEFAULT_URL)
        self.codec = CODECS[encoding]
        self.timeout = timeout
        key = api_key or os.environ.get("VOXWIRE_API_KEY")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def dial(self, resume: str | None = None, *, seconds_max: float | None = None) -> Door:
        """Connect; `resume` names the session that is to go on. `seconds_max` is for the whole; left out, `timeout`.

        Raises:
            VoxwireError: the server refused.
            ConnectionLost: there is no server, or it is not one of ours.
            ValueError: the URL is none.
        """
        url = self.url if resume is None else _resuming(self.url, resume)
        try:
            async with asyncio.timeout(self.timeout if seconds_max is None else seconds_max):
                return await self._greet(await self._open(url))
        except InvalidURI as error:
            raise ValueError(str(error)) from None
        except ConnectionClosed as error:
            raise connection_lost(error, None) from None
        except InvalidStatus as error:
            raise self._turned_away(error) from error
        except (OSError, EOFError, WebSocketException) as error:
            problem = str(error) or type(error).__name__
            raise ConnectionLost(ABNORMAL, f"{self.url}: {problem}") from error

    async def _open(self, url: str) -> ClientConnection:
        options: dict[str, Any] = {"proxy": None} if urlsplit(url).hostname in LOOPBACK else {}
        # `connect` awaited once does not try again by itself.
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

    async def _greet(self, socket: ClientConnection) -> Door:
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
        return Door(socket, first)

    def _turned_away(self, error: InvalidStatus) -> ConnectionLost:
        status = error.response.status_code
        problem = f"{self.url}: {error}"
        refusal = REFUSALS.get(status)
        if refusal is not None:
            return ConnectionLost(refusal_code(refusal), problem, VoxwireError(refusal, problem))
        asked = error.response.headers.get("Retry-After", "")
        retry_after_ms = int(asked) * 1000 if asked.isascii() and asked.isdecimal() and len(asked) < 6 else None
        code = ABNORMAL if status in PASSING else CloseCode.POLICY
        return ConnectionLost(code, problem, retry_after_ms=retry_after_ms)


def refusal_code(code: ErrorCode) -> int:
    """How the server would have closed the connection with an error."""
    return VoxwireError(code, "").close_code or CloseCode.POLICY


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


def _resuming(url: str, session: str) -> str:
    """The URL that tells a load balancer which session is to go on."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, f"resume={quote(session, safe='')}")))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def connection_lost(error: ConnectionClosed, said: VoxwireError | None) -> ConnectionLost:
    """Why a connection is gone; `said` is what the server said before."""
    if error.rcvd is None:
        return ConnectionLost(ABNORMAL, "", said)
    return ConnectionLost(error.rcvd.code, error.rcvd.reason, said)
