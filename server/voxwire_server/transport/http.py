"""The plain HTTP endpoints: health, readiness, voices, engines, metrics, and tokens for browsers. None for speech.

Errors are JSON in the shape of the protocol's errors: `{"error": {code, message, retryable, hint, …}}`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any, Protocol

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import default_voice
from voxwire_server.errors import http_body, http_headers, http_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from starlette.requests import HTTPConnection, Request

    from voxwire_server.config import Config
    from voxwire_server.engines.base import EngineInfo, EngineUnavailable
    from voxwire_server.speech import Voice

    Endpoint = Callable[["ServerState", Request], Awaitable[Response]]

log = logging.getLogger("voxwire.http")

DRAINING_RETRY_MS = 2000
WARMING_RETRY_MS = 1000


class Authentication(Protocol):
    """Checks keys and tokens."""

    def authenticate(self, connection: HTTPConnection, *, tokens: bool = False) -> object:
        """Identify the client; `tokens`: a browser's token is accepted, too.

        Raises:
            VoxwireError: client.not_allowed, client.not_authenticated or client.rate_limited.
        """

    def mint(self, connection: HTTPConnection) -> tuple[str, int, int]:
        """A browser token for the client: its text, its expiry in seconds since the epoch, and seconds until then.

        Raises:
            VoxwireError: as `authenticate`.
        """


class Exposition(Protocol):
    """The metrics."""

    def refused(self, code: str) -> None:
        """Count a request that was refused."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, and its content type."""


class ServerState(Protocol):
    """What these endpoints need of the application."""

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def auth(self) -> Authentication:
        """Checks keys and tokens."""

    @property
    def metrics(self) -> Exposition:
        """The metrics."""

    @property
    def ready(self) -> bool:
        """True when every engine is warm and new sessions are accepted."""

    @property
    def draining(self) -> bool:
        """True once the server has begun to shut down."""

    @property
    def reason(self) -> str:
        """Why the server is not ready, for a person; empty when it is."""

    @property
    def overloaded_ms(self) -> int | None:
        """Retry-after in milliseconds while the server has been overloaded for seconds; None while it is not."""

    @property
    def full_ms(self) -> int | None:
        """Retry-after in milliseconds while a new client would get no session; None while it would."""

    def engines(self) -> Sequence[EngineInfo]:
        """The engines that are loaded, the default first."""

    def unavailable_engines(self) -> Mapping[str, EngineUnavailable]:
        """The configured engines that can't be loaded, by name."""

    def engine_problems(self) -> Mapping[str, str]:
        """Problems of loaded engines, by name: a step hangs, or none has succeeded since one hung."""


@contextlib.contextmanager
def counting_refusals(state: ServerState) -> Iterator[None]:
    """Count the errors that are raised inside as refusals."""
    try:
        yield
    except VoxwireError as error:
        state.metrics.refused(error.raw_code)
        raise


def authenticate(state: ServerState, connection: HTTPConnection, *, tokens: bool = False) -> None:
    """Authenticate a request; `tokens`: a browser's token is accepted, too.

    Raises:
        VoxwireError: client.not_allowed, client.not_authenticated or client.rate_limited.
    """
    with counting_refusals(state):
        state.auth.authenticate(connection, tokens=tokens)


def routes(state: ServerState) -> list[Route]:
    """The routes, in order."""

    def route(path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        return Route(path, functools.partial(endpoint, state), methods=[method])

    return [
        route("/health", health),
        route("/ready", ready),
        route("/metrics", metrics),
        route("/v1/voices", voices),
        route("/v1/engines", engines),
        route("/v1/tokens", mint_token, "POST"),
    ]


# -- endpoints ----------------------------------------------------------------------------------------------------


async def health(_state: ServerState, _request: Request) -> Response:
    """200 for as long as the event loop runs."""
    return JSONResponse({"status": "ok", "server": "voxwire"})


async def ready(state: ServerState, request: Request) -> Response:
    """200 when a session would be admitted, else 503 with the reason. Authenticated clients get the engines, too."""
    if state.draining:
        raise VoxwireError(
            ErrorCode.DRAINING, state.reason or "the server is going away", retry_after_ms=DRAINING_RETRY_MS
        )
    if not state.ready:
        raise VoxwireError(
            ErrorCode.NOT_READY,
            state.reason or "the engines are warming up",
            retry_after_ms=WARMING_RETRY_MS,
        )
    if state.overloaded_ms is not None:
        raise VoxwireError(
            ErrorCode.OVERLOADED, "no engine has room for one more listener", retry_after_ms=state.overloaded_ms
        )
    if state.full_ms is not None:
        raise VoxwireError(ErrorCode.TOO_MANY_SESSIONS, "all sessions are taken", retry_after_ms=state.full_ms)
    body: dict[str, Any] = {"status": "ready"}
    with contextlib.suppress(VoxwireError):
        state.auth.authenticate(request, tokens=True)
        body["engines"] = [engine.name for engine in state.engines()]
    return JSONResponse(body)


async def metrics(state: ServerState, request: Request) -> Response:
    """Prometheus' exposition."""
    if not state.config.server.metrics_public:
        authenticate(state, request)
    body, content_type = state.metrics.render(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type})


async def voices(state: ServerState, request: Request) -> Response:
    """Every voice; `?language=en` and `?engine=hibari` filter them."""
    authenticate(state, request, tokens=True)
    found = [voice_fields(voice, engine) for voice, engine in filter_voices(state.engines(), request.query_params)]
    return JSONResponse({"voices": found, "default": default_voice_name(state)})


async def engines(state: ServerState, request: Request) -> Response:
    """Every engine that is loaded, and those that could not be, with the reason."""
    authenticate(state, request, tokens=True)
    missing = [
        {"name": name, "message": str(problem), "hint": problem.hint}
        for name, problem in state.unavailable_engines().items()
    ]
    problems = state.engine_problems()
    found = [engine_fields(engine) | {"problem": problems.get(engine.name)} for engine in state.engines()]
    return JSONResponse({"engines": found, "unavailable": missing})


async def mint_token(state: ServerState, request: Request) -> Response:
    """A short-lived token that a browser can put into `?token=` or the subprotocol `voxwire.token.…`."""
    with counting_refusals(state):
        token, expires_at, expires_in = state.auth.mint(request)
    return JSONResponse(
        {"token": token, "expires_at": expires_at, "expires_in": expires_in},
        status_code=201,
        headers={"Cache-Control": "no-store"},
    )


def filter_voices(engines: Sequence[EngineInfo], query: Mapping[str, str]) -> list[tuple[Voice, EngineInfo]]:
    """The voices that match a query's `language` and `engine`."""
    language = query.get("language", "").lower()
    wanted = query.get("engine")
    return [
        (voice, engine)
        for engine in engines
        if wanted in (None, engine.name)
        for voice in engine.voices
        if not language or any(_speaks(tag, language) for tag in voice.languages)
    ]


def voice_fields(voice: Voice, engine: EngineInfo) -> dict[str, Any]:
    """A voice as `/v1/voices` shows it."""
    return {
        "name": voice.name,
        "engine": voice.engine,
        "languages": list(voice.languages),
        "description": voice.description,
        "gender": voice.gender,
        "sample_rate": engine.sample_rate,
        "timing": engine.timing,
    }


def engine_fields(engine: EngineInfo) -> dict[str, Any]:
    """An engine as `/v1/engines` shows it."""
    return {
        "name": engine.name,
        "description": engine.description,
        "sample_rate": engine.sample_rate,
        "unit": engine.unit,
        "timing": engine.timing,
        # The key's name is older than "executor" and part of the API.
        "lane": engine.executor,
        "clause_chars_max": engine.clause_chars_max,
        "languages": sorted({tag for voice in engine.voices for tag in voice.languages}),
        "voices": [voice.name for voice in engine.voices],
    }


def default_voice_name(state: ServerState) -> str | None:
    """The voice for clients that name none; None where the default engine is not loaded."""
    configured = state.config.engines
    for engine in state.engines():
        if engine.name == configured.default:
            return default_voice(configured, [voice.name for voice in engine.voices])
    return None


def _speaks(tag: str, language: str) -> bool:
    """Whether a BCP 47 tag matches `language` (RFC 4647, basic filtering)."""
    tag = tag.lower()
    return tag == language or tag.startswith(f"{language}-")


# -- errors -------------------------------------------------------------------------------------------------------


async def voxwire_error(_request: Request, error: Exception) -> Response:
    """The JSON response for a `VoxwireError`."""
    assert isinstance(error, VoxwireError)
    return JSONResponse(http_body(error), http_status(error), http_headers(error))


async def http_exception(_request: Request, error: Exception) -> Response:
    """The JSON response for errors of the router: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = "client.not_found" if error.status_code == 404 else "client.method_not_allowed"
    if error.status_code not in (404, 405):
        code = ErrorCode.INTERNAL.value if error.status_code >= 500 else ErrorCode.MALFORMED_MESSAGE.value
    body = {"error": {"code": code, "message": error.detail, "retryable": False}}
    return JSONResponse(body, error.status_code, error.headers)


async def unexpected(request: Request, error: Exception) -> Response:
    """The JSON response for an unexpected exception: it is logged, and the client gets no details."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return await voxwire_error(request, VoxwireError(ErrorCode.INTERNAL, "the request failed"))


EXCEPTION_HANDLERS: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    VoxwireError: voxwire_error,
    HTTPException: http_exception,
    Exception: unexpected,
}
"""For Starlette's `exception_handlers`."""
