"""Deepgram's endpoints over real HTTP and WebSocket, without its packages."""

from __future__ import annotations

import asyncio
import hashlib
import json
import urllib.error
import urllib.parse
import urllib.request

import pytest
import websockets

from support.server import serving
from support.vendor_checks import LONG_TURN, settled

KEY = "vw_a-key-that-only-these-tests-use"
PATIENT_SECONDS = 30


@pytest.fixture(scope="module")
def locked_host():
    """A server that wants `KEY`, has little patience with text, and an alias of the operator's."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    settings = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100")
    with serving(*settings, f"auth.keys=tests=sha256:{digest}", "aliases.voices=aura-2-*-es=tone/tone-low") as host:
        yield host


def connect(host, path: str = "/v1/speak", key: str = "", **options):
    headers = {"Authorization": f"Token {key}"} if key else {}
    return websockets.connect(f"ws://127.0.0.1:{host.port}{path}", additional_headers=headers, max_size=None, **options)


def say(type: str, **fields: object) -> str:
    return json.dumps({"type": type} | fields)


async def until(socket, kind: str) -> tuple[bytes, list[dict]]:
    """Audio and messages up to the first of a type, that one included."""
    audio, messages = b"", []
    async with asyncio.timeout(PATIENT_SECONDS):
        while not messages or messages[-1]["type"] != kind:
            message = await socket.recv()
            if isinstance(message, bytes):
                assert len(message) % 2 == 0
                audio += message
            else:
                messages.append(json.loads(message))
    return audio, messages


def post(host, query: str, body: bytes, *, kind: str = "application/json", key: str = "") -> tuple[int, dict, bytes]:
    headers = {"Content-Type": kind} | ({"Authorization": f"Token {key}"} if key else {})
    request = urllib.request.Request(f"{host.http}/v1/speak?{query}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENT_SECONDS) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


# -- POST -------------------------------------------------------------------------------------------------------------


def test_a_text_comes_as_json_or_plain(host):
    query = "model=tone/tone-low&encoding=linear16&container=none"
    status, headers, audio = post(host, query, b'{"text": "One two three."}')
    assert status == 200
    assert headers["dg-char-count"] == "14"
    assert headers["content-type"] == "audio/pcm"
    _, _, same = post(host, query, b"One two three.", kind="text/plain; charset=utf-8")
    assert len(same) == len(audio) > 0


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        ("", b"{", 400, "PAYLOAD_ERROR"),
        ("", b"\xff\xff", 400, "PAYLOAD_ERROR"),
        ("", b"[]", 400, "Bad Request"),
        ("", b"{}", 400, "Bad Request"),
        ("", b'{"text": 5}', 400, "Bad Request"),
        ("", b'{"text": ""}', 400, "Bad Request"),
        ("model=nobody", b'{"text": "x"}', 400, "Bad Request"),
        ("model=%F0%9F%99%82%0A", b'{"text": "x"}', 400, "Bad Request"),
        ("sample_rate=fast", b'{"text": "x"}', 400, "Bad Request"),
        ("speed=nan", b'{"text": "x"}', 400, "Bad Request"),
        ("encoding=mulaw&sample_rate=48000", b'{"text": "x"}', 400, "UNSUPPORTED_AUDIO_FORMAT"),
        ("encoding=mp3&container=wav", b'{"text": "x"}', 400, "UNSUPPORTED_AUDIO_FORMAT"),
        ("encoding=mp3&sample_rate=96000", b'{"text": "x"}', 400, "UNSUPPORTED_AUDIO_FORMAT"),
        ("", json.dumps({"text": "word " * 20_000}).encode(), 413, "PAYLOAD_TOO_LARGE"),
        ("", json.dumps({"text": "x" * (2 << 20)}).encode(), 413, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_what_can_not_be_done_is_reported_in_deepgrams_shape(host, query, body, status, code):
    found, headers, answer = post(host, query, body)
    fields = json.loads(answer)
    assert (found, fields["err_code"]) == (status, code)
    assert set(fields) == {"err_code", "err_msg", "request_id"}
    assert headers["dg-request-id"] == fields["request_id"]


def test_an_emoji_gives_a_little_silence(host):
    status, _, audio = post(host, "encoding=linear16&container=none&sample_rate=8000", '{"text": "🙂"}'.encode())
    assert (status, audio) == (200, bytes(3200))


# -- keys -------------------------------------------------------------------------------------------------------------


def test_a_key_goes_as_token_bearer_or_subprotocol(locked_host):
    assert post(locked_host, "encoding=linear16", b'{"text": "x"}', key=KEY)[0] == 200
    status, headers, body = post(locked_host, "", b'{"text": "x"}', key="wrong")
    assert (status, json.loads(body)["err_code"]) == (401, "INVALID_AUTH")
    assert "dg-error" in headers

    async def main() -> None:
        async with connect(locked_host, key=KEY) as socket:
            await until(socket, "Metadata")
        for scheme in ("token", "bearer"):
            async with connect(locked_host, subprotocols=[scheme, KEY]) as socket:
                assert socket.subprotocol == scheme
                assert KEY not in str(socket.response.headers)
                await until(socket, "Metadata")
        for options in ({"key": "wrong"}, {"subprotocols": ["token", "wrong"]}, {"subprotocols": ["token"]}, {}):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(locked_host, **options)
            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body)["err_code"] == "INVALID_AUTH"

    asyncio.run(main())


def test_an_alias_of_the_operators_comes_before_the_language_in_a_name(locked_host):
    async def main() -> None:
        async with connect(locked_host, "/v1/speak?model=aura-2-celeste-es", key=KEY) as socket:
            _, [metadata] = await until(socket, "Metadata")
            assert metadata["model_name"] == "aura-2-celeste-es"
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(locked_host, "/v1/speak?model=aura-2-viktoria-de", key=KEY)
        assert "language" in refused.value.response.headers["dg-error"]

    asyncio.run(main())


# -- WebSockets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["encoding=mp3", "sample_rate=1", "speed=9", "encoding=mulaw&sample_rate=24000"])
@pytest.mark.parametrize("path", ["/v1/speak", "/v2/speak"])
def test_a_handshake_that_asks_for_what_there_is_not_is_refused(host, path, query):
    async def main() -> None:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(host, f"{path}?{query}")
        assert refused.value.response.status_code == 400
        assert refused.value.response.headers["dg-error"]

    asyncio.run(main())


@pytest.mark.parametrize(("encoding", "rate", "size"), [("linear16", 16_000, 2), ("mulaw", 8000, 1), ("alaw", 8000, 1)])
def test_every_encoding_of_a_socket_has_the_bytes_it_should(host, encoding, rate, size):
    async def main() -> None:
        query = f"model=tone/tone-low&encoding={encoding}&sample_rate={rate}"
        async with connect(host, f"/v2/speak?{query}") as socket:
            await socket.send(say("Speak", text="One two three four five six."))
            await socket.send(say("Flush"))
            audio, messages = await until(socket, "SpeechMetadata")
        assert len(audio) == messages[-1]["audio_duration_ms"] * rate // 1000 * size

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/v1/speak", "/v2/speak"])
def test_what_is_no_message_is_an_error_and_speech_goes_on(host, path):
    async def main() -> None:
        async with connect(host, f"{path}?model=tone/tone-low") as socket:
            await socket.send(say("Speak", text="One two three. "))
            for wrong in ("{", "[]", say("Shout"), say("Speak"), b"\x00\x01", '{"type": "Speak", "text": "\\ud800"}'):
                await socket.send(wrong)
                await until(socket, "Error")
            await socket.send(say("Flush"))
            _, messages = await until(socket, "Flushed")
            assert "Error" not in [message["type"] for message in messages]

    asyncio.run(main())


def test_a_megabyte_of_text_is_an_error_and_leaves_nothing(host):
    async def main() -> None:
        async with connect(host) as socket:
            await socket.send(say("Speak", text="word " * 190_000))
            _, messages = await until(socket, "Error")
            assert messages[-1]["err_code"] == "PAYLOAD_TOO_LARGE"
            assert set(messages[-1]) == {"type", "err_code", "err_msg", "request_id"}
            await socket.send(say("Flush"))
            assert await until(socket, "Flushed") == (b"", [{"type": "Flushed", "sequence_id": 0}])
        await settled(host)

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/v1/speak", "/v2/speak"])
def test_a_client_that_vanishes_in_mid_speech_leaves_nothing(host, path):
    async def main() -> None:
        before = await settled(host)
        async with connect(host, path) as socket:
            await socket.send(say("Speak", text=LONG_TURN))
            while not isinstance(await socket.recv(), bytes):
                pass
            socket.transport.abort()
        after = await settled(host)
        assert after.audio_seconds - before.audio_seconds < 30

    asyncio.run(main())


def test_many_short_turns_in_a_row_are_all_answered(host):
    async def main() -> None:
        async with connect(host, "/v1/speak?model=tone/tone-low") as socket:
            await until(socket, "Metadata")
            for turn in range(80):
                await socket.send(say("Speak", text="One two three four."))
                await socket.send(say("Flush"))
                audio, messages = await until(socket, "Flushed")
                assert audio
                assert messages == [{"type": "Flushed", "sequence_id": turn}]
        await settled(host)

    asyncio.run(main())
