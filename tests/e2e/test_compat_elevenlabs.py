"""ElevenLabs' endpoints over real sockets: keys, bad input, floods and clients that vanish."""

from __future__ import annotations

import asyncio
import base64
import contextlib
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


@pytest.fixture(scope="module")
def locked():
    """A server that wants a key, tells times from the start of a context, and takes long messages."""
    with serving(
        "scheduling.utilisation_max=100",
        f"auth.keys=tests={hash_key(KEY)}",
        "compat.elevenlabs_alignment=context",
        "limits.message_bytes_max=4194304",
    ) as running:
        yield running


def socket(host, path: str = "multi-stream-input", *, voice: str = "heart", headers=None, **query):
    asked = "&".join(f"{name}={value}" for name, value in ({"output_format": "pcm_16000"} | query).items())
    url = f"{host.http.replace('http', 'ws')}/v1/text-to-speech/{voice}/{path}?{asked}"
    return connect(url, additional_headers=headers, max_size=1 << 20)


async def send(ws, *messages) -> None:
    for message in messages:
        await ws.send(json.dumps(message))


async def until(ws, wanted) -> list[dict]:
    """Messages up to the first that has a field."""
    messages = []
    while True:
        messages.append(json.loads(await ws.recv()))
        if messages[-1].get(wanted):
            return messages


def audio(messages) -> bytes:
    return b"".join(base64.b64decode(message.get("audio") or "") for message in messages)


async def speaks(ws, context: str) -> None:
    """A context on the connection speaks to its end."""
    await send(ws, {"text": "Hello there. ", "context_id": context}, {"context_id": context, "flush": True})
    await send(ws, {"context_id": context, "close_context": True})
    messages = await until(ws, "isFinal")
    assert {message["contextId"] for message in messages} == {context}
    assert len(audio(messages)) > 16_000


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
@pytest.mark.parametrize("path", ["stream-input", "multi-stream-input"])
@pytest.mark.parametrize("fields", [{"xi-api-key": KEY}, {"xi_api_key": KEY}, {"authorization": f"Bearer {KEY}"}])
async def test_a_key_in_the_first_message_lets_in(locked, path, fields):
    async with socket(locked, path) as ws:
        await send(ws, {"text": " "} | fields, {"text": "Hello there. ", "flush": True})
        assert audio(await until(ws, "audio"))


@on_loop
@pytest.mark.parametrize("headers", [{"xi-api-key": KEY}, {"authorization": f"Bearer {KEY}"}])
async def test_a_key_in_the_header_lets_in_and_no_message_has_to_come_first(locked, headers):
    async with socket(locked, headers=headers) as ws:
        await send(ws, {"close_socket": True})
        _, closed = await error_and_close(ws)
    assert closed.rcvd.code == 1000


@on_loop
@pytest.mark.parametrize("path", ["stream-input", "multi-stream-input"])
@pytest.mark.parametrize("first", ['{"text": " "}', '{"text": " ", "xi-api-key": "wrong"}', "no json"])
async def test_a_client_without_a_key_in_the_first_message_gets_an_error_and_is_closed(locked, path, first):
    async with socket(locked, path) as ws:
        await ws.send(first)
        last, closed = await error_and_close(ws)
    assert (last["error"], last["code"]) == ("invalid_api_key", 1008)
    assert closed.rcvd.code == 1008
    assert closed.rcvd.reason.startswith("invalid_api_key")


@on_loop
async def test_a_wrong_key_in_the_header_opens_no_connection_of_contexts(locked):
    with pytest.raises(InvalidStatus) as refused:
        await socket(locked, headers={"xi-api-key": "wrong"})
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["detail"]["status"] == "invalid_api_key"


# -- addresses ---------------------------------------------------------------------------------------------------------


@on_loop
@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ({"output_format": "pcm_11025"}, 400, "invalid_output_format"),
        ({"model_id": "gpt-5"}, 400, "model_not_found"),
        ({"voice": "nobody"}, 404, "voice_not_found"),
    ],
)
async def test_what_can_not_be_had_opens_no_connection(host, options, status, word):
    with pytest.raises(InvalidStatus) as refused:
        await socket(host, **options)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["detail"]["status"] == word
    async with socket(host, "stream-input", **options) as ws:
        with contextlib.suppress(ConnectionClosed):
            await send(ws, {"text": "Hello. "})
        last, closed = await error_and_close(ws)
    assert (last["error"], closed.rcvd.code) == (word, 1008)


@on_loop
async def test_a_parameter_of_the_wrong_kind_opens_no_connection(host):
    with pytest.raises(InvalidStatus) as refused:
        await socket(host, seed="many")
    assert refused.value.response.status_code == 422


# -- messages ----------------------------------------------------------------------------------------------------------


@on_loop
@pytest.mark.parametrize("bad", ["{", "[1]", '{"text": 3}', b"\xff\xfe", '{"text":"a","voice_settings":{"speed":9}}'])
async def test_a_bad_message_is_reported_and_disturbs_nothing(host, bad):
    async with socket(host) as ws:
        await send(ws, {"text": SECOND_TURN + " ", "context_id": "a"}, {"context_id": "a", "flush": True})
        await ws.send(bad)
        messages = await until(ws, "error")
        assert messages[-1]["code"] == 1008
        await send(ws, {"context_id": "a", "close_context": True})
        messages += await until(ws, "isFinal")
        assert len(audio(messages)) > 2 * 16_000 * 3
        await speaks(ws, "b")


@on_loop
async def test_two_contexts_speak_at_once_and_each_gets_its_own(host):
    async with socket(host) as ws:
        for name, text in (("a", "One two three four. "), ("b", "Five six seven eight. ")):
            await send(ws, {"text": text, "context_id": name}, {"context_id": name, "flush": True})
            await send(ws, {"context_id": name, "close_context": True})
        messages = await until(ws, "isFinal")
        messages += await until(ws, "isFinal")
    for name, text in (("a", "One two three four. "), ("b", "Five six seven eight. ")):
        own = [message for message in messages if message["contextId"] == name]
        chars = [char for message in own for char in (message.get("alignment") or {}).get("chars", ())]
        assert "".join(chars) == text
        assert own[-1]["isFinal"]


@on_loop
async def test_a_single_stream_ends_with_its_last_message_and_a_normal_close(host):
    async with socket(host, "stream-input") as ws:
        await send(ws, {"text": " "}, {"text": "Hello there. "}, {"text": ""})
        last, closed = await error_and_close(ws)
    assert last == {"audio": None, "isFinal": True}
    assert closed.rcvd.code == 1000
    await settled(host)


@on_loop
async def test_times_count_from_the_start_of_the_context_where_that_is_configured(locked):
    async with socket(locked, headers={"xi-api-key": KEY}, auto_mode="true") as ws:
        for text in ("One two three.", "Four five six."):
            await send(ws, {"text": text, "context_id": "a"})
        await send(ws, {"context_id": "a", "flush": True}, {"context_id": "a", "close_context": True})
        messages = await until(ws, "isFinal")
    told_alignments = [message["alignment"] for message in messages if message.get("alignment")]
    starts = [start for each in told_alignments for start in each["charStartTimesMs"]]
    assert starts == sorted(starts)
    end_ms = starts[-1] + told_alignments[-1]["charDurationsMs"][-1]
    assert end_ms == pytest.approx(len(audio(messages)) / 32, abs=1)


@on_loop
async def test_a_million_characters_are_refused_and_leave_nothing(locked):
    async with socket(locked, headers={"xi-api-key": KEY}) as ws:
        await send(ws, {"text": "word " * 200_000, "context_id": "a"})
        last, closed = await error_and_close(ws)
    assert (last["error"], last["contextId"]) == ("max_character_limit_exceeded", "a")
    assert closed.rcvd.code == 1008
    async with socket(locked, headers={"xi-api-key": KEY}) as ws:
        await speaks(ws, "a")


@on_loop
async def test_a_message_that_is_too_big_ends_the_connection_alone(host):
    async with socket(host) as ws:
        await send(ws, {"text": "word " * 250_000, "context_id": "a"})
        _, closed = await error_and_close(ws)
    assert closed.rcvd.code == 1009
    await settled(host)


@on_loop
@pytest.mark.parametrize("path", ["stream-input", "multi-stream-input"])
async def test_a_client_that_vanishes_leaves_nothing(host, path):
    before = await settled(host)
    ws = await socket(host, path)
    await send(ws, {"text": LONG_TURN + " ", "flush": True})
    await until(ws, "audio")
    ws.transport.abort()
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 30


@on_loop
async def test_a_silent_connection_is_closed_after_the_time_it_asked_for(host):
    async with socket(host, inactivity_timeout="0.2") as ws:
        last, closed = await error_and_close(ws)
    assert (last["error"], closed.rcvd.code) == ("input_timeout_exceeded", 1008)


@on_loop
@pytest.mark.parametrize("format", ["mp3_22050_32", "opus_48000_64", "ulaw_8000", "alaw_8000", "pcm_8000", "pcm_44100"])
async def test_every_kind_of_format_is_spoken_over_a_socket(host, format):
    async with socket(host, output_format=format) as ws:
        await send(ws, {"text": SECOND_TURN + " ", "context_id": "a"}, {"context_id": "a", "flush": True})
        await send(ws, {"context_id": "a", "close_context": True})
        assert len(audio(await until(ws, "isFinal"))) > 8000


# -- HTTP --------------------------------------------------------------------------------------------------------------


def post(host, path: str, body: bytes, **headers) -> tuple[int, dict]:
    request = urllib.request.Request(f"{host.http}/v1/{path}", body, {"content-type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


@pytest.mark.parametrize("path", ["", "/stream", "/with-timestamps", "/stream/with-timestamps"])
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"text":""}', 400), (b'{"text":"x","seed":-1}', 422)],
)
def test_a_bad_body_is_refused_in_the_vendors_shape(host, path, body, status):
    code, answer = post(host, f"text-to-speech/heart{path}", body)
    assert code == status
    detail = answer["detail"]
    assert isinstance(detail, list) if status == 422 else set(detail) == {"status", "message"}


def test_a_body_of_a_million_characters_is_refused(host):
    body = json.dumps({"text": "word " * 200_000}).encode()
    code, answer = post(host, "text-to-speech/heart", body)
    assert (code, answer["detail"]["status"]) == (413, "max_character_limit_exceeded")


@on_loop
async def test_a_request_that_vanishes_leaves_nothing(host):
    before = await settled(host)
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    body = json.dumps({"text": LONG_TURN}).encode()
    path = "/v1/text-to-speech/heart/stream/with-timestamps?output_format=pcm_24000"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.readuntil(b"audio_base64")
    writer.transport.abort()
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 60


def test_voices_have_the_native_shape_and_the_vendors(host):
    with urllib.request.urlopen(f"{host.http}/v1/voices", timeout=10) as answer:
        listed = json.loads(answer.read())
    assert listed["default"] == "heart"
    heart = next(voice for voice in listed["voices"] if voice["name"] == "heart")
    assert (heart["voice_id"], heart["engine"], heart["sample_rate"]) == ("heart", "hibari", 24_000)
    with urllib.request.urlopen(f"{host.http}/v1/voices?engine=tone", timeout=10) as answer:
        assert {voice["engine"] for voice in json.loads(answer.read())["voices"]} == {"tone"}


def test_voices_are_refused_in_both_shapes(locked):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{locked.http}/v1/voices", timeout=10)
    with refused.value as answer:
        body = json.loads(answer.read())
    assert body["error"]["code"] == "client.not_authenticated"
    assert body["detail"]["status"] == "invalid_api_key"


# -- pronunciation dictionaries ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lexicons(tmp_path_factory):
    """A server with a lexicon that is used where a client names it."""
    folder = tmp_path_factory.mktemp("lexicons")
    (folder / "names.toml").write_text('kubectl = "one two three four five six seven eight"')
    (folder / "voxwire.toml").write_text('[text]\nlexicons = [{ path = "names.toml", default = false }]')
    with serving("scheduling.utilisation_max=100", env={"VOXWIRE_CONFIG": str(folder / "voxwire.toml")}) as running:
        yield running


def dictionaries(*names: str) -> dict:
    located = [{"pronunciation_dictionary_id": name, "version_id": "1"} for name in names]
    return {"pronunciation_dictionary_locators": located}


def speech_of(host, **fields) -> bytes:
    body = json.dumps({"text": "This is kubectl.", "seed": 1} | fields).encode()
    request = urllib.request.Request(
        f"{host.http}/v1/text-to-speech/heart?output_format=pcm_16000", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def test_a_pronunciation_dictionary_is_a_lexicon_of_the_server(lexicons):
    assert len(speech_of(lexicons, **dictionaries("names"))) > 1.5 * len(speech_of(lexicons))


def test_an_unknown_pronunciation_dictionary_is_refused_over_http(lexicons):
    with pytest.raises(urllib.error.HTTPError) as refused:
        speech_of(lexicons, **dictionaries("missing"))
    detail = json.loads(refused.value.read())["detail"]
    assert (refused.value.code, detail["status"]) == (400, "pronunciation_dictionary_not_found")
    assert "'missing'" in detail["message"]


@on_loop
@pytest.mark.parametrize("path", ["stream-input", "multi-stream-input"])
async def test_pronunciation_dictionaries_come_with_the_first_message(lexicons, path):
    async def spoken(**fields) -> int:
        async with socket(lexicons, path) as ws:
            await send(
                ws, {"text": " ", **fields}, {"text": "This is kubectl. ", "flush": True}, {"close_socket": True}
            )
            return len(audio(await until(ws, "isFinal")))

    assert await spoken(**dictionaries("names")) > 1.5 * await spoken()
    async with socket(lexicons, path) as ws:
        with contextlib.suppress(ConnectionClosed):
            await send(ws, {"text": "Hello. ", **dictionaries("missing")})
        last, closed = await error_and_close(ws)
    assert (last["error"], closed.rcvd.code) == ("pronunciation_dictionary_not_found", 1008)
