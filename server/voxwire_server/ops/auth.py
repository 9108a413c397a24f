"""Authenticates requests: API keys, browser tokens, the Origin and Host headers. Does no I/O.

API keys are random and long, so a plain SHA-256 of them is safe to keep (they can't be guessed from a dictionary; NIST
SP 800-132 is about passwords). A browser token is `payload.signature`, both base64url: it names the key it was
minted with and when it ends, signed by HMAC-SHA256, so that any server with the same `auth.token_secret` takes it.

`Cors` answers browsers' preflight requests for the configured origins.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import HASH_PREFIX, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send

    from voxwire_server.config import AuthConfig, Config, ServerConfig

KEY_PREFIX = "vw_"
KEY_BYTES = 32
SUBPROTOCOL_TOKEN_PREFIX = "voxwire.token."  # noqa: S105 - the name of a subprotocol, not a secret
QUERY_TOKEN = "token"  # noqa: S105 - the name of a parameter
CREDENTIAL_CHARS_MAX = 512
SITES_WITHOUT_ORIGIN = ("", "none", "same-origin")
"""Values of Sec-Fetch-Site with which a request needs no Origin; "" stands for no such header."""

ANONYMOUS = "anonymous"
"""The account of every request where no key is configured."""

VENDORS_HEADERS = ("xi-api-key", "x-api-key", "authorization")
"""Headers in which vendors' clients send a key: the whole value, or its last word."""

PEERS_MAX = 1024
"""Addresses whose failures are remembered; beyond that the oldest is forgotten."""

FAILURE_WINDOW_SECONDS = 60.0


def generate_key() -> str:
    """A new API key: 256 random bits, safe in a header and a URL."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def hash_key(key: str) -> str:
    """What the configuration keeps of a key."""
    return HASH_PREFIX + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Via(Enum):
    """How a request was authenticated."""

    KEY = "key"
    TOKEN = "token"  # noqa: S105
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated request: the name of the key (behind the token), or "anonymous" where no key is configured."""

    name: str
    via: Via


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request presents. `headers` must find names in lower case; `peer` is the address it was sent from.

    `key` is an API key that was found where only another vendor's clients put it.
    """

    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    peer: str = ""
    key: str | None = None


class Token(NamedTuple):
    """A minted browser token, when it ends in seconds since the epoch, and how long that is from now."""

    text: str
    expires_at: int
    expires_in: int


class _Credential(NamedTuple):
    text: str
    key_allowed: bool


class Gate:
    """Authenticates requests or says why not. `now` is in seconds since the epoch. Not thread-safe."""

    def __init__(self, auth: AuthConfig, server: ServerConfig, before: Gate | None = None) -> None:
        """`before`: the gate that this one replaces; its tokens stay valid, its failure counts are kept."""
        self._keys = [(key.name, key.hash) for key in auth.keys]
        self._ttl = auth.token_ttl_seconds
        self._own_secret: bytes = secrets.token_bytes(32) if before is None else before._own_secret
        self._secret = auth.token_secret.encode() or self._own_secret
        self._origins = {origin if origin == "*" else canonical_origin(origin) for origin in server.origins}
        self._insecure = server.insecure
        self._failures: FailureCounts = FailureCounts(0) if before is None else before._failures
        self._failures.per_minute = auth.failures_per_minute

    def admit(self, presented: Presented, now: float, *, tokens: bool = True) -> Identity:
        """Check the Host, the Origin, and the key or token of a request; `tokens`: whether a token is accepted.

        Raises:
            VoxwireError: client.not_allowed, client.not_authenticated or client.rate_limited.
        """
        self._check_host(presented.headers)
        self._check_origin(presented.headers)
        self._check_site(presented.headers)
        identity = self._identify(presented, now)
        if identity.via is Via.TOKEN and not tokens:
            raise VoxwireError(
                ErrorCode.NOT_ALLOWED,
                "a browser's token opens sessions and lists voices and engines, and nothing else",
                hint="Ask with an API key.",
            )
        return identity

    def name_of(self, presented: Presented, now: float) -> str | None:
        """See `Authenticator.name_of`."""
        if not self._keys:
            return ANONYMOUS
        credential = _credential(presented)
        identity = None if credential is None else self._recognise(credential, now)[0]
        return None if identity is None else identity.name

    def mint(self, identity: Identity, now: float) -> Token:
        """A browser token in the name of `identity`.

        Raises:
            VoxwireError: client.not_allowed when `identity` itself came with a token.
        """
        if identity.via is Via.TOKEN:
            raise VoxwireError(
                ErrorCode.NOT_ALLOWED, "a token can't be used to make another", hint="Ask with an API key."
            )
        expires_at = int(now) + self._ttl
        fields = [identity.name, expires_at, secrets.token_urlsafe(9), self._fingerprint(identity.name)]
        payload = _base64url(json.dumps(fields).encode())
        return Token(f"{payload}.{self._sign(payload)}", expires_at, self._ttl)

    # -- identity -------------------------------------------------------------------------------------------------

    def _identify(self, presented: Presented, now: float) -> Identity:
        if not self._keys:
            return Identity(ANONYMOUS, Via.OPEN)
        credential = _credential(presented)
        if credential is None:
            raise VoxwireError(
                ErrorCode.NOT_AUTHENTICATED,
                "an API key is needed",
                hint="Send `Authorization: Bearer KEY`; browsers use a token from POST /v1/tokens.",
            )
        identity, problem = self._recognise(credential, now)
        if identity is not None:
            return identity
        wait = self._failures.add(presented.peer, now)
        if wait > 0:
            raise VoxwireError(
                ErrorCode.RATE_LIMITED, "too many wrong API keys or tokens", retry_after_ms=int(wait * 1000) + 1
            )
        raise VoxwireError(ErrorCode.NOT_AUTHENTICATED, problem)

    def _recognise(self, credential: _Credential, now: float) -> tuple[Identity | None, str]:
        text, key_allowed = credential
        if len(text) > CREDENTIAL_CHARS_MAX:
            return None, "the API key or token is too long"
        if key_allowed:
            name = self._key_name(text)
            if name is not None:
                return Identity(name, Via.KEY), ""
        elif text.startswith(KEY_PREFIX):
            return None, "an API key does not belong in a URL or a subprotocol; get a token from POST /v1/tokens"
        if "." not in text:
            return None, "the API key is not known here"
        return self._token_identity(text, now)

    def _key_name(self, text: str) -> str | None:
        """Compares with every key, so that the time taken does not show which key is similar."""
        digest, found = hash_key(text), None
        for name, known in self._keys:
            if hmac.compare_digest(digest, known):
                found = name
        return found

    def _token_identity(self, text: str, now: float) -> tuple[Identity | None, str]:
        payload, _, signature = text.rpartition(".")
        if not hmac.compare_digest(_bytes(signature), _bytes(self._sign(payload))):
            return None, "the token is not one of this server's"
        name, expires_at, fingerprint = _token_payload(payload)
        if expires_at <= now:
            return None, "the token has expired"
        if not fingerprint or fingerprint != self._fingerprint(name):
            return None, "the API key behind the token is gone"
        return Identity(name, Via.TOKEN), ""

    def _fingerprint(self, name: str) -> str:
        """Identifies the key that has this name now; "" where there is none. Tokens of an earlier key of the name do
        not match it."""
        digest = next((known for key, known in self._keys if key == name), "")
        return _base64url(hashlib.sha256(digest.encode()).digest()[:9]) if digest else ""

    def _sign(self, payload: str) -> str:
        return _base64url(hmac.new(self._secret, _bytes(payload), hashlib.sha256).digest())

    # -- origin and host ------------------------------------------------------------------------------------------

    def _check_host(self, headers: Mapping[str, str]) -> None:
        """Without keys only loopback is served; a page whose own name points here (DNS rebinding) is refused."""
        host = headers.get("host", "")
        if self._keys or self._insecure or not host:
            return
        name = split_host(host)[0]
        if not is_loopback(name) and name not in {urlsplit(origin).hostname for origin in self._origins}:
            raise VoxwireError(
                ErrorCode.NOT_ALLOWED,
                "without API keys this server answers only to localhost",
                hint="Configure a key, or list the origin this name belongs to in server.origins.",
            )

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None or "*" in self._origins:
            return
        if canonical_origin(origin) not in self._origins and not same_host(origin, headers.get("host", "")):
            raise VoxwireError(
                ErrorCode.NOT_ALLOWED,
                "pages of this origin may not connect",
                hint="List it in server.origins.",
                details={"origin": origin[:200]},
            )

    def _check_site(self, headers: Mapping[str, str]) -> None:
        """Without keys, other sites' pages could have this machine speak by a mere `<audio src>`, which sends no Origin
        (Fetch Metadata, section 2.4). Requests of other programs, the address bar and the server's own page pass."""
        site = headers.get("sec-fetch-site", "").strip().lower()
        if self._keys or "origin" in headers or site in SITES_WITHOUT_ORIGIN or "*" in self._origins:
            return
        raise VoxwireError(
            ErrorCode.NOT_ALLOWED,
            "without API keys, pages of other sites may not ask for this",
            hint="List the page's origin in server.origins, and have it sent: by fetch(), or with `crossorigin`.",
        )


class Authenticator:
    """Applies the gate to requests and WebSocket handshakes. Not thread-safe."""

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float] = time.time,
        admitted: Callable[[HTTPConnection, str], None] = lambda *_: None,
    ) -> None:
        """`clock` gives seconds since the epoch. `admitted` is called for each authenticated request, with its key's
        name; the request is refused with what it raises."""
        self._gate = Gate(config.auth, config.server)
        self._clock = clock
        self._admitted = admitted

    def reload(self, config: Config) -> None:
        """Use another configuration from now on."""
        self._gate = Gate(config.auth, config.server, self._gate)

    def authenticate(self, connection: HTTPConnection, key: str | None = None, *, tokens: bool = False) -> Identity:
        """The identity of a request; `key` as in `Presented`, `tokens`: whether a browser's token is accepted.

        Raises:
            VoxwireError: client.not_allowed, client.not_authenticated or client.rate_limited.
        """
        identity = self._gate.admit(presented(connection, key), self._clock(), tokens=tokens)
        self._admitted(connection, identity.name)
        return identity

    def name_of(self, connection: HTTPConnection) -> str | None:
        """The name of the key behind a request's key or token; None where it is unknown. Nothing else is checked."""
        vendors = next((connection.headers[name] for name in VENDORS_HEADERS if name in connection.headers), "")
        return self._gate.name_of(presented(connection, vendors.rpartition(" ")[2] or None), self._clock())

    def mint(self, connection: HTTPConnection) -> Token:
        """A browser token in the name of the request's key.

        Raises:
            VoxwireError: as `authenticate`; client.not_allowed too when the request itself came with a token.
        """
        return self._gate.mint(self.authenticate(connection, tokens=True), self._clock())


def presented(connection: HTTPConnection, key: str | None = None) -> Presented:
    """What a request or a WebSocket handshake presents."""
    return Presented(
        headers=connection.headers,
        query=connection.query_params,
        subprotocols=connection.scope.get("subprotocols", ()),
        peer=connection.client.host if connection.client else "",
        key=key,
    )


class FailureCounts:
    """Counts failures by address in fixed windows of a minute; remembers at most PEERS_MAX addresses."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def add(self, peer: str, now: float) -> float:
        """Count one failure; returns the seconds to wait, 0 while the address is within its allowance."""
        start, count = self._windows.pop(peer, (now, 0))
        if not start <= now < start + FAILURE_WINDOW_SECONDS:
            start, count = now, 0
        self._windows[peer] = (start, count + 1)
        if len(self._windows) > PEERS_MAX:
            self._windows.popitem(last=False)
        return start + FAILURE_WINDOW_SECONDS - now if count >= self.per_minute else 0.0

    def __len__(self) -> int:
        return len(self._windows)


def _credential(presented: Presented) -> _Credential | None:
    """A request's credential, the first of: a vendor's own header, Authorization, X-API-Key, `?token=`, the subprotocol
    `voxwire.token.…`."""
    if presented.key:
        return _Credential(presented.key, key_allowed=True)
    scheme, _, bearer = presented.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return _Credential(bearer.strip(), key_allowed=True)
    key = presented.headers.get("x-api-key", "").strip()
    if key:
        return _Credential(key, key_allowed=True)
    token = presented.query.get(QUERY_TOKEN, "")
    if token:
        return _Credential(token, key_allowed=False)
    for name in presented.subprotocols:
        if name.startswith(SUBPROTOCOL_TOKEN_PREFIX):
            return _Credential(name.removeprefix(SUBPROTOCOL_TOKEN_PREFIX), key_allowed=False)
    return None


def _token_payload(payload: str) -> tuple[str, float, str]:
    """Name, expiry and key's fingerprint of a token whose signature was checked; ("", 0, "") for another format."""
    try:
        name, expires_at, _, fingerprint = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, TypeError, binascii.Error):
        return "", 0.0, ""
    if not isinstance(name, str) or not isinstance(expires_at, int) or not isinstance(fingerprint, str):
        return "", 0.0, ""
    return name, float(expires_at), fingerprint


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def canonical_origin(origin: str) -> str:
    """Scheme, host and port, lower case, the port always written; "" for what is no origin ("null")."""
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{_bracketed(parts.hostname)}:{port}" if parts.hostname else ""


def browser_origin(origin: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.2): lower case, without the scheme's default port."""
    canonical = canonical_origin(origin)
    scheme = canonical.partition(":")[0]
    return canonical.removesuffix(f":{DEFAULT_PORTS.get(scheme)}")


def same_host(origin: str, host: str) -> bool:
    """True when a page's origin and the Host it asks for are one; the Host may leave out its scheme's default port."""
    canonical = canonical_origin(origin)
    if not canonical or not host:
        return False
    parts = urlsplit(canonical)
    name, port = split_host(host)
    return parts.hostname == name and parts.port == (port if port is not None else DEFAULT_PORTS.get(parts.scheme))


def split_host(host: str) -> tuple[str, int | None]:
    """Name (lower case, without brackets) and port of a Host header; ("", None) for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


class Cors:
    """ASGI middleware: lets pages of the configured origins read HTTP answers. Without origins it changes nothing."""

    def __init__(self, app: ASGIApp, origins: Callable[[], Sequence[str]]) -> None:
        """`origins` is called at each request, so that a reload of the configuration counts."""
        self._app = app
        self._origins = origins
        self._current_origins: Sequence[str] = ()
        self._current: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. WebSockets pass through untouched."""
        origins = self._origins()
        if origins != self._current_origins:
            self._current_origins, self._current = origins, self._app_for(origins)
        await self._current(scope, receive, send)

    def _app_for(self, origins: Sequence[str]) -> ASGIApp:
        if not origins:
            return self._app
        # Here, because `voxwire key` imports this module in a client-only install, which has no Starlette.
        from starlette.middleware.cors import CORSMiddleware

        return CORSMiddleware(
            self._app,
            allow_origins=["*"] if "*" in origins else [browser_origin(origin) for origin in origins],
            allow_methods=["GET", "POST"],
            # Vendors' browser clients send headers of their own; none of them is trusted for more than its value.
            allow_headers=["*"],
            max_age=3600,
        )


def _bracketed(name: str | None) -> str:
    return f"[{name}]" if name and ":" in name else name or ""
