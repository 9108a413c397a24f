"""The plain HTTP side, called in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from support.asgi import Answer, request
from voxwire_server.config import ApiKey, AuthConfig, Config, EnginesConfig, ServerConfig
from voxwire_server.engines.base import EngineInfo, EngineUnavailable, StageInfo
from voxwire_server.ops.auth import Authenticator, Cors, hash_key
from voxwire_server.ops.metrics import Metrics
from voxwire_server.speech import Voice
from voxwire_server.transport import http

KEY = "vw_" + "k" * 43
WITH_KEY = {"x-api-key": KEY}


def engine(name: str, *voices: tuple[str, str]) -> EngineInfo:
    spoken = tuple(Voice(voice, name, (language,)) for voice, language in voices)
    return EngineInfo(name, 24_000, spoken, (StageInfo("speak"),), timing="phoneme")


HIBARI = engine("hibari", ("heart", "en-US"), ("emma", "en-GB"))
TONE = engine("tone", ("sine", "de"))


@dataclass
class State:
    config: Config
    ready: bool = True
    draining: bool = False
    reason: str = ""
    overloaded_ms: int | None = None
    full_ms: int | None = None
    metrics: Metrics = field(default_factory=Metrics)
    unavailable: dict[str, EngineUnavailable] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.auth = Authenticator(self.config)

    def engines(self) -> list[EngineInfo]:
        return [HIBARI, TONE]

    def unavailable_engines(self) -> dict[str, EngineUnavailable]:
        return self.unavailable

    def engine_problems(self) -> dict[str, str]:
        return self.problems


def configured(*, keys: bool = True, public: bool = False, origins: tuple[str, ...] = (), voice: str = "") -> Config:
    return Config(
        server=ServerConfig(metrics_public=public, origins=origins),
        auth=AuthConfig(keys=(ApiKey("agent", hash_key(KEY)),) if keys else (), token_ttl_seconds=60),
        engines=EnginesConfig(default_voice=voice),
    )


def call(
    state: State, url: str, headers: dict[str, str] | None = None, *, method: str = "GET", app: Starlette | None = None
) -> Answer:
    return request(app or application(state), method, url, headers)


def application(state: State) -> Starlette:
    return Starlette(
        routes=http.routes(state),
        middleware=[Middleware(Cors, origins=lambda: state.config.server.origins)],
        exception_handlers=http.EXCEPTION_HANDLERS,
    )


def code(answer: Answer) -> str:
    return str(answer.json["error"]["code"])


def test_health_says_who_it_is_to_anybody() -> None:
    answer = call(State(configured(), ready=False), "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok", "server": "voxwire"})


def test_ready_is_200_once_the_engines_are_warm() -> None:
    answer = call(State(configured()), "/ready", WITH_KEY)
    assert (answer.status, answer.json["engines"]) == (200, ["hibari", "tone"])


def test_ready_tells_a_stranger_no_engines() -> None:
    answer = call(State(configured()), "/ready")
    assert (answer.status, answer.json) == (200, {"status": "ready"})


def test_not_ready_is_503_with_the_reason_and_when_to_ask_again() -> None:
    answer = call(State(configured(), ready=False, reason="hibari is warming up"), "/ready")
    assert (answer.status, code(answer)) == (503, "server.not_ready")
    assert answer.json["error"]["message"] == "hibari is warming up"
    assert answer.json["error"]["retryable"] is True
    assert answer.headers["retry-after"] == "1"


def test_a_server_that_has_been_full_for_seconds_is_not_ready_and_says_when_to_ask_again() -> None:
    answer = call(State(configured(), full_ms=5000), "/ready")
    assert (answer.status, code(answer)) == (503, "server.too_many_sessions")
    assert answer.headers["retry-after"] == "5"
    answer = call(State(configured(), overloaded_ms=7200), "/ready")
    assert (answer.status, code(answer)) == (503, "server.overloaded")
    assert answer.headers["retry-after"] == "8"


def test_draining_is_not_ready() -> None:
    answer = call(State(configured(), draining=True), "/ready")
    assert (answer.status, code(answer)) == (503, "server.draining")


@pytest.mark.parametrize(
    ("method", "url"),
    [("GET", "/v1/voices"), ("GET", "/v1/engines"), ("GET", "/metrics"), ("POST", "/v1/tokens")],
)
def test_everything_else_needs_a_key(method: str, url: str) -> None:
    state = State(configured())
    answer = call(state, url, method=method)
    assert (answer.status, code(answer)) == (401, "client.not_authenticated")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json["error"]["hint"]
    assert call(state, url, WITH_KEY, method=method).status < 300
    assert b'voxwire_refusals_total{code="client.not_authenticated"} 1.0' in state.metrics.render()[0]


def test_a_page_of_another_origin_is_refused() -> None:
    answer = call(State(configured()), "/v1/voices", {**WITH_KEY, "origin": "https://evil.example"})
    assert (answer.status, code(answer)) == (403, "client.not_allowed")


def test_without_keys_another_host_name_is_refused() -> None:
    state = State(configured(keys=False))
    assert call(state, "/v1/voices").status == 200
    assert call(state, "/v1/voices", {"host": "evil.example"}).status == 403


def test_voices_are_listed_with_the_default() -> None:
    listed = call(State(configured()), "/v1/voices", WITH_KEY).json
    assert [voice["name"] for voice in listed["voices"]] == ["heart", "emma", "sine"]
    assert listed["default"] == "heart"
    assert listed["voices"][0] == {
        "name": "heart",
        "engine": "hibari",
        "languages": ["en-US"],
        "description": "",
        "gender": "",
        "sample_rate": 24_000,
        "timing": "phoneme",
    }


@pytest.mark.parametrize("name", ["emma", "hibari/emma"])
def test_the_configured_default_voice_is_the_default(name: str) -> None:
    assert call(State(configured(voice=name)), "/v1/voices", WITH_KEY).json["default"] == "emma"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("language=en", ["heart", "emma"]),
        ("language=EN-gb", ["emma"]),
        ("language=e", []),
        ("engine=tone", ["sine"]),
        ("engine=hibari&language=de", []),
        ("engine=none", []),
    ],
)
def test_voices_are_narrowed_by_language_and_engine(query: str, names: list[str]) -> None:
    listed = call(State(configured()), f"/v1/voices?{query}", WITH_KEY).json["voices"]
    assert [voice["name"] for voice in listed] == names


def test_engines_are_listed_with_what_the_missing_ones_lack() -> None:
    unavailable = {"kokoro": EngineUnavailable("no weights", "pip install them")}
    listed = call(State(configured(), unavailable=unavailable), "/v1/engines", WITH_KEY).json
    assert [each["name"] for each in listed["engines"]] == ["hibari", "tone"]
    assert listed["engines"][0]["languages"] == ["en-GB", "en-US"]
    assert listed["unavailable"] == [{"name": "kokoro", "message": "no weights", "hint": "pip install them"}]


def test_a_minted_token_lists_voices_and_engines_and_opens_nothing_else() -> None:
    state = State(configured())
    app = application(state)
    minted = call(state, "/v1/tokens", WITH_KEY, method="POST", app=app)
    assert minted.status == 201
    assert minted.headers["cache-control"] == "no-store"
    assert minted.json["expires_in"] == 60
    token = minted.json["token"]
    assert call(state, f"/v1/voices?token={token}", app=app).status == 200
    assert call(state, f"/v1/engines?token={token}", app=app).status == 200
    assert call(state, f"/v1/tokens?token={token}", method="POST", app=app).status == 403
    refused = call(state, "/metrics", {"authorization": f"Bearer {token}"}, app=app)
    assert (refused.status, code(refused)) == (403, "client.not_allowed")
    assert refused.json["error"]["hint"] == "Ask with an API key."


def test_metrics_are_public_only_where_configured() -> None:
    answer = call(State(configured(public=True)), "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    assert b"voxwire_contexts 0.0" in answer.body


@pytest.mark.parametrize(
    ("method", "url", "status", "expected"),
    [("GET", "/nowhere", 404, "client.not_found"), ("POST", "/health", 405, "client.method_not_allowed")],
)
def test_the_router_s_own_refusals_have_the_same_shape(method: str, url: str, status: int, expected: str) -> None:
    answer = call(State(configured()), url, method=method)
    assert (answer.status, code(answer)) == (status, expected)


def test_a_mistake_of_the_server_s_own_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    state = State(configured(keys=False))
    state.metrics.read("voxwire_broken", "Broken.", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        # Starlette answers, then lets the server see the exception too.
        call(state, "/metrics")
    assert "GET /metrics failed" in caplog.text


def test_pages_of_listed_origins_may_read_the_answers() -> None:
    state = State(configured(origins=("https://App.example.com:443",)))
    answer = call(state, "/v1/voices", {**WITH_KEY, "origin": "https://app.example.com"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    preflight = {
        "origin": "https://app.example.com",
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }
    assert call(state, "/v1/voices", preflight, method="OPTIONS").status == 200


def test_origins_may_change_while_the_server_runs() -> None:
    state = State(configured())
    app = application(state)
    origin = {**WITH_KEY, "origin": "https://app.example.com"}
    assert "access-control-allow-origin" not in call(state, "/health", origin, app=app).headers
    state.config = configured(origins=("https://app.example.com",))
    assert call(state, "/health", origin, app=app).headers["access-control-allow-origin"] == "https://app.example.com"
    state.config = configured()
    assert "access-control-allow-origin" not in call(state, "/health", origin, app=app).headers
