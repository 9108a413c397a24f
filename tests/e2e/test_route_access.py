"""Every route of a running server, with a key, a browser's token and nothing: what it accepts, what its errors show."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support.server import Host, serving
from voxwire_server.app import Application
from voxwire_server.config import load_config
from voxwire_server.engines.tone import create as create_tone
from voxwire_server.ops.auth import generate_key, hash_key

KEY = generate_key()
LOCKED = {"auth.keys": "agent=" + hash_key(KEY), "engines.enabled": "tone", "engines.default": "tone"}

PUBLIC = {"/", "/page/{name}", "/health", "/ready", "/openapi.json"}
FOR_PAGES = {"/v1/voices", "/v1/engines"}
STREAMS_FOR_PAGES = {"/v1/stream", "/tts/websocket", "/v1/speak", "/v2/speak"}
"""The native protocol's, and those of the vendors whose browser clients have tokens too: Cartesia's and Deepgram's."""


@dataclass(frozen=True)
class Endpoint:
    """A route's method and path, with something in the place of its parameters."""

    method: str
    path: str
    shown: str


def application_routes() -> list[Route | WebSocketRoute]:
    application = Application(load_config(flags=LOCKED), {"tone": create_tone()})
    return [route for route in application.asgi().routes if isinstance(route, Route | WebSocketRoute)]


def filled(path: str) -> str:
    for name in ("{voice_id:path}", "{model:path}", "{voice_id}", "{name}"):
        path = path.replace(name, "tone-low")
    assert "{" not in path, path
    return path


ROUTES = application_routes()
REQUESTS = [
    Endpoint(method, filled(route.path), route.path)
    for route in ROUTES
    if isinstance(route, Route)
    for method in sorted((route.methods or set()) - {"HEAD"})
]
SOCKETS = [Endpoint("WS", filled(route.path), route.path) for route in ROUTES if isinstance(route, WebSocketRoute)]


@pytest.fixture(scope="module")
def locked() -> Iterator[Host]:
    settings = [f"{name}={value}" for name, value in LOCKED.items()]
    with serving(*settings, "auth.failures_per_minute=100000") as host:
        yield host


@pytest.fixture(scope="module")
def token(locked: Host) -> str:
    return str(httpx.post(f"{locked.http}/v1/tokens", headers={"X-API-Key": KEY}).json()["token"])


def ask(host: Host, endpoint: Endpoint, headers: dict[str, str] | None = None, query: str = "") -> httpx.Response:
    address = f"{host.http}{endpoint.path}?{query}" if query else f"{host.http}{endpoint.path}"
    return httpx.request(endpoint.method, address, headers=headers, timeout=30)


def connect_and_collect(
    host: Host,
    endpoint: Endpoint,
    headers: dict[str, str] | None = None,
    query: str = "",
    first: str | None = None,
    **options,
) -> list[str]:
    """Connect, send `first`, and collect what comes within a second: an HTTP status, messages, a close code."""

    async def listen() -> list[str]:
        replies: list[str] = []
        address = f"ws://127.0.0.1:{host.port}{endpoint.path}?{query}"
        try:
            async with connect(address, additional_headers=headers, proxy=None, **options) as socket:
                if first is not None:
                    await socket.send(first)
                async with asyncio.timeout(1.0):
                    while True:
                        replies.append(str(await socket.recv()))
        except InvalidStatus as refused:
            return [f"status {refused.response.status_code}", (refused.response.body or b"").decode()]
        except ConnectionClosed as closed:
            return [
                *replies,
                f"close {closed.rcvd.code if closed.rcvd else None} {closed.rcvd.reason if closed.rcvd else ''}",
            ]
        except TimeoutError:
            return replies or ["open"]

    return asyncio.run(listen())


def refused(replies: list[str]) -> bool:
    """Whether a connection was refused because of its credentials."""
    whole = " ".join(replies)
    words = ("status 401", "status 403", "not_authenticated", "not_allowed", "invalid_api_key", "missing_permissions")
    return any(word in whole for word in words)


def test_every_route_is_looked_at() -> None:
    assert len(REQUESTS) > 35
    assert {each.shown for each in SOCKETS} == {
        "/v1/stream",
        "/tts/websocket",
        "/v1/speak",
        "/v2/speak",
        "/v1/text-to-speech/{voice_id}/stream-input",
        "/v1/text-to-speech/{voice_id}/multi-stream-input",
    }


@pytest.mark.parametrize("endpoint", REQUESTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.shown}")
def test_which_credentials_a_route_accepts(locked: Host, token: str, endpoint: Endpoint) -> None:
    nothing, key = ask(locked, endpoint), ask(locked, endpoint, {"Authorization": f"Bearer {KEY}"})
    with_token = ask(locked, endpoint, {"Authorization": f"Bearer {token}"})
    assert key.status_code not in (401,), "a key opens everything"
    if endpoint.shown in PUBLIC:
        assert nothing.status_code == key.status_code == with_token.status_code
        return
    assert nothing.status_code == 401
    if endpoint.shown in FOR_PAGES:
        assert with_token.status_code == 200
        assert ask(locked, endpoint, query=f"token={token}").status_code == 200
        return
    for answer in (
        with_token,
        ask(locked, endpoint, {"X-API-Key": token}),
        ask(locked, endpoint, query=f"token={token}"),
    ):
        assert answer.status_code == 403, answer.text
        assert "token" in answer.text


@pytest.mark.parametrize("endpoint", SOCKETS, ids=lambda endpoint: endpoint.shown)
def test_which_credentials_a_websocket_accepts(locked: Host, token: str, endpoint: Endpoint) -> None:
    assert not refused(connect_and_collect(locked, endpoint, {"Authorization": f"Bearer {KEY}"}))
    with_token = connect_and_collect(locked, endpoint, query=f"token={token}")
    if endpoint.shown in STREAMS_FOR_PAGES:
        assert not refused(with_token), with_token
    else:
        assert refused(with_token), with_token
        assert refused(connect_and_collect(locked, endpoint, {"xi-api-key": token})), "wherever it stands"
        assert refused(connect_and_collect(locked, endpoint, first=json.dumps({"text": " ", "xi_api_key": token})))


def test_a_browser_s_token_stands_where_each_vendor_s_clients_put_it(locked: Host, token: str) -> None:
    cartesia, deepgram = (
        next(each for each in SOCKETS if each.shown == path) for path in ("/tts/websocket", "/v1/speak")
    )
    assert not refused(connect_and_collect(locked, cartesia, query=f"access_token={token}"))
    assert not refused(connect_and_collect(locked, deepgram, subprotocols=["bearer", token]))


@pytest.mark.parametrize(
    "endpoint", [each for each in REQUESTS if each.shown.startswith(("/tts/", "/voices"))], ids=str
)
@pytest.mark.parametrize("name", ["api_key", "access_token"])
def test_cartesia_s_key_in_the_address_of_an_http_request_is_refused(
    locked: Host, endpoint: Endpoint, name: str
) -> None:
    for headers in ({}, {"X-API-Key": KEY}):
        answer = ask(locked, endpoint, headers, query=f"{name}={KEY}")
        assert answer.status_code == 401
        assert answer.json()["error_code"] == "unauthorized"
        assert "header" in answer.json()["message"]
        assert KEY not in answer.text


# -- what strangers learn -----------------------------------------------------------------------------------------


INFO = create_tone().info
NAMES = re.compile("|".join(rf"\b{name}\b" for name in (INFO.name, *(voice.name for voice in INFO.voices))))
"""The engine and its voices: what there is, which is not a stranger's business."""

WRONG = re.compile("voice_not_found|model_not_found|unsupported|invalid_output_format|unknown_voice")
"""Whether something is there."""

CURIOUS = (
    "",
    "model_id=nothing",
    "model=nothing",
    "output_format=nothing",
    "voice=nobody&encoding=nothing",
    "sample_rate=1",
    "language_code=tlh",
)


@pytest.mark.parametrize("credential", [{}, {"Authorization": "Bearer wrong"}, {"xi-api-key": "wrong"}])
@pytest.mark.parametrize("endpoint", SOCKETS, ids=lambda endpoint: endpoint.shown)
def test_a_stranger_learns_nothing_over_a_websocket(
    locked: Host, endpoint: Endpoint, credential: dict[str, str]
) -> None:
    stranger = Endpoint(endpoint.method, endpoint.path.replace("tone-low", "nobody"), endpoint.shown)
    for query in CURIOUS:
        for first in (None, "no json", '{"text": " "}', '{"text": " ", "xi_api_key": "wrong"}'):
            if first is None and not credential and "text-to-speech" in endpoint.path:
                continue  # its key may come later: nothing is answered before
            replies = connect_and_collect(locked, stranger, credential, query, first)
            assert refused(replies), (query, first, replies)
            assert not NAMES.search(" ".join(replies)), (query, first, replies)
            assert not WRONG.search(" ".join(replies)), (query, first, replies)


@pytest.mark.parametrize("endpoint", REQUESTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.shown}")
def test_a_stranger_learns_nothing_over_http(locked: Host, endpoint: Endpoint) -> None:
    stranger = Endpoint(endpoint.method, endpoint.path.replace("tone-low", "nobody"), endpoint.shown)
    for query in CURIOUS:
        answer = ask(locked, stranger, query=query)
        if endpoint.shown not in ("/", "/page/{name}"):
            assert not NAMES.search(answer.text)
        if endpoint.shown not in PUBLIC:
            assert answer.status_code == 401
            assert not WRONG.search(answer.text)


@pytest.mark.parametrize("path", ["stream-input", "multi-stream-input"])
def test_a_first_message_of_a_stranger_has_a_bound(locked: Host, path: str) -> None:
    endpoint = Endpoint("WS", f"/v1/text-to-speech/nobody/{path}", path)
    replies = connect_and_collect(locked, endpoint, first=json.dumps({"text": "x" * 100_000, "xi_api_key": KEY}))
    assert refused(replies)


@pytest.mark.parametrize("path", ["stream-input", "multi-stream-input"])
def test_whoever_has_a_key_learns_what_is_wrong_with_the_address(locked: Host, path: str) -> None:
    wrong = Endpoint("WS", f"/v1/text-to-speech/tone-low/{path}", path)
    first = json.dumps({"text": " ", "xi_api_key": KEY})
    for headers, message in (({"xi-api-key": KEY}, None), ({}, first)):
        replies = " ".join(connect_and_collect(locked, wrong, headers, "model_id=nothing", message))
        assert "model_not_found" in replies
