"""Cartesia's endpoints over real sockets: keys, bad input, floods and clients that vanish."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from support.async_tests import on_loop
from support.server import serving
from support.vendor_checks import LONG_TURN, SECOND_TURN, settled
from voxwire_server.ops.auth import generate_key, hash_key

KEY = generate_key()
RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000}
ASKED = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "heart"}, "output_format": RAW}


@pytest.fixture(scope="module")
def locked():
    """A server that wants a key and takes long messages."""
    options = ("scheduling.utilisation_max=100", f"auth.keys=tests={hash_key(KEY)}", "limits.message_bytes_max=4194304")
    with serving(*options) as running:
        yield running


def socket(host, *, headers=None, **query):
    asked = "&".join(f"{name}={value}" for name, value in ({"cartesia_version": "2025-04-16"} | query).items())
    url = f"{host.http.replace('http', 'ws')}/tts/websocket?{asked}"
    return connect(url, additional_headers=headers, max_size=1 << 20)


async def say(ws, transcript: str, *, context: str = "a", more: bool = False, **fields) -> None:
    message = ASKED | {"transcript": transcript, "context_id": context, "continue": more} | fields
    await ws.send(json.dumps(message))


async def until(ws, kind: str, context: str | None = None) -> list[dict]:
    """Messages up to the first of a type, of one context where it matters."""
    messages = []
    while True:
        messages.append(json.loads(await ws.recv()))
        last = messages[-1]
        if last["type"] == kind and context in (None, last["context_id"]):
            return messages


def audio(messages, context: str = "a") -> bytes:
    own = (message for message in messages if message["type"] == "chunk" and message["context_id"] == context)
    return b"".join(base64.b64decode(message["data"]) for message in own)


async def speaks(ws, context: str) -> None:
    """A context on the connection speaks to its end."""
    await say(ws, "Hello there.", context=context)
    assert len(audio(await until(ws, "done", context), context)) > 16_000


async def error_and_close(ws) -> tuple[dict | None, ConnectionClosed]:
    """The last message before the server closes, and the close."""
    last = None
    try:
        while True:
            last = json.loads(await ws.recv())
    except ConnectionClosed as closed:
        return last, closed


# -- keys --------------------------------------------------------------------------------------------------------------


@on_loop
@pytest.mark.parametrize(
    ("headers", "query"),
    [({"X-API-Key": KEY}, {}), ({"Authorization": f"Bearer {KEY}"}, {}), ({}, {"api_key": KEY})],
)
async def test_a_key_lets_in_wherever_clients_put_it(locked, headers, query):
    async with socket(locked, headers=headers, **query) as ws:
        await speaks(ws, "a")


@on_loop
@pytest.mark.parametrize(("headers", "query"), [({}, {}), ({"X-API-Key": "wrong"}, {}), ({}, {"api_key": "wrong"})])
async def test_whoever_has_no_key_gets_no_connection(locked, headers, query):
    with pytest.raises(InvalidStatus) as refused:
        await socket(locked, headers=headers, **query)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error_code"] == "unauthorized"


# -- messages ----------------------------------------------------------------------------------------------------------


@on_loop
@pytest.mark.parametrize("bad", ["{", "[1]", '{"transcript": 3}', b"\xff\xfe", '{"context_id":"b","cancel":true}'])
async def test_a_bad_message_disturbs_nothing(host, bad):
    async with socket(host) as ws:
        await say(ws, SECOND_TURN, context="a")
        await ws.send(bad)
        messages = await until(ws, "done", "a")
        assert len(audio(messages)) > 2 * 16_000 * 3
        errors = [message for message in messages if message["type"] == "error"]
        assert [error["done"] for error in errors] == ([] if "cancel" in str(bad) else [False])
        await speaks(ws, "b")


@on_loop
@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"voice": {"mode": "id", "id": "nobody"}}, 404, "voice_not_found"),
        ({"voice": {"mode": "embedding", "embedding": [0.1]}}, 400, "bad_request"),
        ({"model_id": "gpt-5"}, 404, "model_not_found"),
        ({"language": "tlh"}, 400, "unsupported_language"),
        ({"output_format": RAW | {"encoding": "pcm_s24le"}}, 400, "unsupported_output_format"),
        ({"output_format": RAW | {"container": "mp3"}}, 400, "unsupported_output_format"),
        ({"generation_config": {"speed": 9}}, 400, "bad_request"),
    ],
)
async def test_what_can_not_be_had_is_reported_and_the_next_context_speaks(host, wrong, status, code):
    async with socket(host) as ws:
        await say(ws, "Hello there.", **wrong)
        (error,) = await until(ws, "error")
        assert (error["context_id"], error["status_code"], error["error_code"]) == ("a", status, code)
        assert error["done"] is False
        await speaks(ws, "b")


@on_loop
async def test_two_contexts_speak_at_once_and_each_gets_its_own(host):
    async with socket(host) as ws:
        for name, text in (("a", "One two three four."), ("b", "Five six seven eight.")):
            await say(ws, text, context=name, add_timestamps=True)
        messages = await until(ws, "done")
        messages += await until(ws, "done")
    for name, text in (("a", "One two three four."), ("b", "Five six seven eight.")):
        own = [message for message in messages if message["context_id"] == name]
        words = [
            word for message in own if "word_timestamps" in message for word in message["word_timestamps"]["words"]
        ]
        assert words == text.split()
        assert own[-1]["type"] == "done"


@on_loop
@pytest.mark.parametrize("text", ["", " "])
async def test_a_context_without_text_is_done_without_audio(host, text):
    async with socket(host) as ws:
        await say(ws, text)
        assert [message["type"] for message in await until(ws, "done")] == ["done"]


@on_loop
async def test_an_emoji_is_a_short_silence(host):
    async with socket(host) as ws:
        await say(ws, "🙂")
        assert 0 < len(audio(await until(ws, "done"))) < 16_000


@on_loop
@pytest.mark.parametrize("encoding", ["pcm_f32le", "pcm_s16le", "pcm_mulaw", "pcm_alaw"])
@pytest.mark.parametrize("rate", [8000, 44_100])
async def test_every_encoding_comes_at_every_rate(host, encoding, rate):
    sample_bytes = {"pcm_f32le": 4, "pcm_s16le": 2}.get(encoding, 1)
    async with socket(host) as ws:
        format = {"container": "raw", "encoding": encoding, "sample_rate": rate}
        await say(ws, "Hello there, my friend.", output_format=format)
        seconds = len(audio(await until(ws, "done"))) / sample_bytes / rate
    assert 1 < seconds < 4


@on_loop
async def test_a_million_characters_are_refused_and_leave_nothing(locked):
    async with socket(locked, api_key=KEY) as ws:
        await say(ws, "word " * 200_000)
        error = (await until(ws, "error"))[-1]
        assert (error["error_code"], error["context_id"]) == ("transcript_too_long", "a")
        await speaks(ws, "b")


@on_loop
async def test_a_message_that_is_too_big_ends_the_connection_alone(host):
    async with socket(host) as ws:
        await say(ws, "word " * 250_000)
        _, closed = await error_and_close(ws)
    assert closed.rcvd.code == 1009
    await settled(host)


@on_loop
@pytest.mark.parametrize("abruptly", [True, False])
async def test_a_client_that_leaves_in_the_middle_leaves_nothing(host, abruptly):
    before = await settled(host)
    ws = await socket(host)
    await say(ws, LONG_TURN)
    await until(ws, "chunk")
    if abruptly:
        ws.transport.abort()
    else:
        await ws.close()
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 30


@on_loop
async def test_a_cancelled_context_says_nothing_more_and_its_id_is_free(host):
    before = await settled(host)
    async with socket(host) as ws:
        await say(ws, LONG_TURN, add_timestamps=True)
        await until(ws, "chunk")
        await ws.send(json.dumps({"context_id": "a", "cancel": True}))
        await say(ws, "Hello there.", context="b")
        await until(ws, "done")
        after = await settled(host, sessions=1)
        assert after.cancelled > before.cancelled
        await speaks(ws, "a")


# -- HTTP --------------------------------------------------------------------------------------------------------------


def post(host, path: str, body: bytes, **headers) -> tuple[int, str, bytes]:
    request = urllib.request.Request(f"{host.http}{path}", body, {"content-type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers["content-type"], refused.read()


@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (json.dumps(ASKED | {"transcript": ""}).encode(), 400),
        (json.dumps(ASKED | {"transcript": "Hi.", "voice": "nobody"}).encode(), 404),
        (json.dumps(ASKED | {"transcript": "word " * 200_000}).encode(), 413),
    ],
)
def test_a_bad_body_is_refused_in_the_vendors_shape(host, path, body, status):
    code, kind, answer = post(host, path, body)
    assert (code, kind) == (status, "application/json")
    assert set(json.loads(answer)) == {"error_code", "title", "message", "status_code", "request_id"}


def test_events_have_names_and_the_last_is_done(host):
    body = json.dumps(ASKED | {"transcript": "Hello there.", "add_timestamps": True, "context_id": "mine"}).encode()
    code, kind, answer = post(host, "/tts/sse", body)
    assert (code, kind.partition(";")[0]) == (200, "text/event-stream")
    events = [event.partition("\ndata: ")[::2] for event in answer.decode().strip().split("\n\n")]
    found = [(name.removeprefix("event: "), json.loads(data)) for name, data in events]
    assert all(name == data["type"] and data["context_id"] == "mine" for name, data in found)
    assert found[0][0] == "timestamps"
    assert [name for name, data in found if data["done"]] == ["done"] == [found[-1][0]]


@on_loop
@pytest.mark.parametrize("path", ["/tts/bytes", "/tts/sse"])
async def test_a_request_that_vanishes_leaves_nothing(host, path):
    before = await settled(host)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    body = json.dumps(ASKED | {"transcript": LONG_TURN}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2000)
    writer.transport.abort()
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 60


def test_voices_come_in_pages(host):
    def page(query: str) -> dict:
        with urllib.request.urlopen(f"{host.http}/voices?{query}", timeout=10) as answer:
            return json.loads(answer.read())

    ids = [voice["id"] for voice in page("limit=100")["data"]]
    assert "heart" in ids
    first = page("limit=1")
    assert ([voice["id"] for voice in first["data"]], first["has_more"]) == (ids[:1], len(ids) > 1)
    after = page(f"starting_after={ids[0]}")
    assert [voice["id"] for voice in after["data"]] == ids[1:]
    assert page(f"ending_before={ids[0]}")["data"] == []
    assert [voice["id"] for voice in page("q=heart")["data"]] == ["heart"]
    assert page("is_owner=true")["data"] == []
