"""OpenAI's errors, fields and events, and speech that ends with its response."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import inspect
import json

import pytest
from starlette.requests import ClientDisconnect, Request

from support.asgi import http_scope
from support.in_process_app import running
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.http import SpeechStream, audio_response, read_all
from voxwire_server.compat.openai import OPERATIONS, http
from voxwire_server.compat.openai.errors import error_body, http_error
from voxwire_server.compat.openai.http import FORMATS, SAMPLE_RATE, SpeechBody
from voxwire_server.compat.parsing import validate
from voxwire_server.compat.session import OutputFormat
from voxwire_server.session.quotas import ClientIdentity

TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."


def status_and_error(error: VoxwireError) -> tuple[int, dict]:
    answer = http_error(error)
    return answer.status_code, json.loads(answer.body)["error"]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (ErrorCode.NOT_AUTHENTICATED, 401, "invalid_request_error"),
        (ErrorCode.NOT_ALLOWED, 403, "permission_error"),
        (ErrorCode.UNKNOWN_VOICE, 400, "invalid_request_error"),
        (ErrorCode.UNSUPPORTED_AUDIO, 400, "invalid_request_error"),
        (ErrorCode.MESSAGE_TOO_BIG, 400, "invalid_request_error"),
        (ErrorCode.RATE_LIMITED, 429, "rate_limit_error"),
        (ErrorCode.INTERNAL, 500, "server_error"),
        (ErrorCode.ENGINE_OVERLOADED, 503, "server_error"),
        (ErrorCode.DRAINING, 503, "server_error"),
    ],
)
def test_every_error_has_the_status_that_the_sdk_expects(code, status, kind):
    found, error = status_and_error(VoxwireError(code, "so it is"))
    assert (found, error["type"], error["message"]) == (status, kind, "so it is")


def test_every_error_code_has_a_status_and_a_code():
    for code in ErrorCode:
        status, error = status_and_error(VoxwireError(code, "so it is"))
        assert 400 <= status < 600
        assert error["code"]


def test_an_error_has_a_retry_after_header():
    answer = http_error(VoxwireError(ErrorCode.ENGINE_OVERLOADED, "full", retry_after_ms=1500))
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-request-id"] != http_error(VoxwireError(ErrorCode.INTERNAL, "x")).headers["x-request-id"]


def test_known_names_are_listed_in_the_message():
    error = VoxwireError(ErrorCode.UNKNOWN_VOICE, "no voice 'x'", details={"voices": ["heart", "tone"]})
    assert error_body(error)["error"]["message"] == "no voice 'x'; there are heart, tone"
    status, body = status_and_error(VoxwireError(ErrorCode.INVALID_FIELD, "no model 'x'", details={"models": ["a"]}))
    assert (status, body["code"], body["message"]) == (404, "model_not_found", "no model 'x'; there are a")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, None),
        ({"voice": ""}, None),
        ({"voice": "alloy"}, "alloy"),
        ({"voice": {"id": "voice_12"}}, "voice_12"),
    ],
)
def test_a_voice_is_a_name_an_object_or_left_open(fields, name):
    assert validate(SpeechBody, {"input": "x"} | fields, "body").voice_name == name


def test_speed_is_accepted_in_the_vendors_range():
    for speed in (0.25, 1, 4.0):
        assert validate(SpeechBody, {"input": "x", "speed": speed}, "body").speed == speed
    for speed in (0.24, 4.01, float("nan"), float("inf")):
        with pytest.raises(VoxwireError) as refused:
            validate(SpeechBody, {"input": "x", "speed": speed}, "body")
        assert error_body(refused.value)["error"]["param"] == "speed"


def test_pcm_is_s16le_at_24_khz_and_all_formats_have_that_rate():
    assert FORMATS["pcm"] == OutputFormat(codec="pcm_s16le", sample_rate=24_000)
    assert {format.sample_rate for format in FORMATS.values()} == {SAMPLE_RATE}


def test_every_media_type_is_declared():
    declared = next(operation for operation in OPERATIONS if operation.path == "/v1/audio/speech").answers
    assert {format.media_type for format in FORMATS.values()} < set(declared)


class Client:
    """The receiving end of a request: connected until `gone` is set, and what was sent to it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.sent: list[dict] = []
        self.request = Request(http_scope("POST", "/v1/audio/speech", {}) | {"asgi": {}}, self.receive)
        self.request.state.identity = ClientIdentity()

    async def receive(self) -> dict:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: dict) -> None:
        self.sent.append(event)

    async def refuse(self, event: dict) -> None:
        raise OSError(f"nobody takes {event['type']}")


def begin(app, client: Client, text: str = TEXT):
    return SpeechStream.open(app, client.request, text, m.Start(timings=()), OutputFormat())


def on_app(test):
    """Run an async test with an application that speaks with tones."""

    @functools.wraps(test)
    def run(**given):
        async def bounded():
            async with asyncio.timeout(30), running() as app:
                await test(app, **given)
                assert len(app.sessions) == 0

        asyncio.run(bounded())

    given = list(inspect.signature(test).parameters.values())[1:]
    run.__signature__ = inspect.Signature(given)
    return run


@on_app
@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
async def test_a_client_that_disconnects_before_the_first_byte_leaves_no_session(app, spec_version):
    client = Client()
    response = audio_response(await begin(app, client), "audio/pcm")
    client.gone.set()
    scope = client.request.scope | {"asgi": {"spec_version": spec_version}}
    with contextlib.suppress(ClientDisconnect, OSError):
        await response(scope, client.receive, client.refuse)
    assert not client.sent


@on_app
async def test_a_client_that_disconnects_while_it_waits_for_a_whole_body_leaves_no_session(app):
    client = Client()
    spoken = await begin(app, client, " ".join([TEXT] * 100))
    client.gone.set()
    with pytest.raises(VoxwireError) as refused:
        await read_all(client.request, spoken, spoken.audio())
    assert refused.value.code is ErrorCode.IDLE


@on_app
async def test_a_whole_body_equals_the_streamed_one(app):
    client = Client()
    streamed = b"".join([part async for part in (await begin(app, client)).audio()])
    spoken = await begin(app, client)
    assert len(await read_all(client.request, spoken, spoken.audio())) == len(streamed)


@on_app
async def test_events_carry_the_audio_and_then_the_usage(app):
    spoken = await begin(app, Client())
    lines = b"".join([part async for part in http._server_sent(spoken, len(TEXT))]).decode().split("\n\n")
    assert lines.pop() == ""
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    pcm = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    usage = events[-1]["usage"]
    assert events[-1]["type"] == "speech.audio.done"
    assert usage["output_tokens"] == len(pcm) // 2 // 480
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]


@on_app
async def test_a_failure_on_the_way_is_an_error_event_and_the_response_breaks_off(app):
    spoken = await begin(app, Client(), " ".join([TEXT] * 100))
    parts = http._server_sent(spoken, 1)
    await anext(parts)
    spoken.close()
    last = json.loads((await anext(parts)).decode().removeprefix("data: "))
    assert last["type"] == "error"
    assert set(last["error"]) == {"message", "type", "param", "code"}
    with pytest.raises(VoxwireError):
        await anext(parts)
