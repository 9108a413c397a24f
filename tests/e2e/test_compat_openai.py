"""OpenAI's endpoints over HTTP: what the vendor's SDK never sends, and who leaves without a word."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct

import httpx
import pytest

from support.server import serving
from support.vendor_checks import LONG_TURN, counters, settled

SPEECH = "/v1/audio/speech"
VERY_LONG = " ".join([LONG_TURN] * 5)
"""Ten minutes."""


def post(host, **fields) -> httpx.Response:
    return httpx.post(host.http + SPEECH, json={"response_format": "pcm"} | fields, timeout=30)


def fault(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and parameter of an error, which has the vendor's shape."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return answer.status_code, error["code"], error["param"]


def test_only_the_text_is_needed(host):
    answer = post(host, input="Yes.")
    assert answer.status_code == 200
    assert len(answer.content) > 12_000


def test_what_is_null_is_left_open(host):
    answer = post(host, input="Yes.", model=None, voice=None, speed=None, instructions=None, unheard_of=1)
    assert answer.status_code == 200


@pytest.mark.parametrize("text", ["🙂", "..."])
def test_text_without_speech_is_a_fifth_of_a_second_of_silence(host, text):
    assert post(host, input=text).content == bytes(2 * 4800)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", b'{"input": "\\ud800"}'])
def test_a_body_that_is_no_json_or_no_text_is_reported(host, body):
    answer = httpx.post(host.http + SPEECH, content=body)
    assert fault(answer)[0] == 400


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, (400, "missing_required_parameter", "input")),
        ({"input": None}, (400, "invalid_value", "input")),
        ({"input": 5}, (400, "invalid_value", "input")),
        ({"input": "x", "voice": []}, (400, "invalid_value", "voice")),
        ({"input": "x", "voice": {"name": "heart"}}, (400, "invalid_value", "voice")),
        ({"input": "x", "voice": "x" * 10_000}, (400, "voice_not_found", "voice")),
        ({"input": "x", "voice": "heart\u0000"}, (400, "voice_not_found", "voice")),
        ({"input": "x", "model": "x" * 10_000}, (400, "invalid_value", "model")),
        ({"input": "x", "model": ""}, (404, "model_not_found", "model")),
        ({"input": "x", "speed": "fast"}, (400, "invalid_value", "speed")),
        ({"input": "x", "speed": 0.1}, (400, "invalid_value", "speed")),
        ({"input": "x", "response_format": ""}, (400, "invalid_value", "response_format")),
        ({"input": "x" * 60_000}, (400, "string_above_max_length", "input")),
    ],
)
def test_a_mistake_is_named(host, fields, told):
    assert fault(post(host, **fields)) == told


def test_numbers_that_are_none_are_refused(host):
    for value in ("NaN", "Infinity", "-Infinity", "1e999"):
        answer = httpx.post(host.http + SPEECH, content=f'{{"input": "x", "speed": {value}}}')
        assert fault(answer)[:2] == (400, "malformed_message")


def test_a_megabyte_of_text_is_refused(host):
    assert fault(post(host, input="word " * 200_000))[:2] == (400, "string_above_max_length")
    asyncio.run(settled(host))


def test_an_engine_is_a_model_and_its_voices_come_first(host):
    heard = {
        name: post(host, input="Hello there.", model=name, voice="tone-low", seed=1).content
        for name in ("tone", "tone-frames")
    }
    assert all(heard.values())
    assert fault(post(host, input="Hello.", model="nothing"))[:2] == (404, "model_not_found")


def test_the_default_model_and_engines_are_listed(host):
    names = [model["id"] for model in httpx.get(host.http + "/v1/models").json()["data"]]
    assert names[0] == "hibari"
    assert {"tone", "tone-frames", "tts-1"} <= set(names)
    assert [model["id"] for model in httpx.get(host.http + "/v1/audio/models").json()["models"]] == names


def test_elevenlabs_clients_get_the_models_in_their_shape(host):
    models = httpx.get(host.http + "/v1/models", headers={"xi-api-key": "any"}).json()
    by_id = {model["model_id"]: model for model in models}
    assert {"hibari", "eleven_flash_v2_5"} <= set(by_id)
    assert by_id["eleven_flash_v2_5"]["can_do_text_to_speech"] is True
    assert by_id["hibari"]["languages"] == [{"language_id": "en", "name": "en"}]


def test_voices_and_their_aliases_are_listed(host):
    voices = {voice["id"]: voice for voice in httpx.get(host.http + "/v1/audio/voices").json()["voices"]}
    assert voices["heart"]["engine"] == "hibari"
    assert voices["alloy"]["voice"] == "heart"
    assert {"tone-low", "marin", "cedar"} <= set(voices)


def test_the_operators_aliases_are_voices_and_models():
    with serving("aliases.voices=narrator=heart", "aliases.models=house=hibari", "server.sessions_max=1") as host:
        assert post(host, input="Yes.", voice="narrator", model="house").status_code == 200
        assert "narrator" in httpx.get(host.http + "/v1/audio/voices").text
        assert "house" in httpx.get(host.http + "/v1/models").text
        asked = {"input": VERY_LONG, "response_format": "pcm"}
        with httpx.stream("POST", host.http + SPEECH, json=asked, timeout=30) as answer:
            parts = answer.iter_raw()
            next(parts)
            busy = post(host, input="Yes.")
        assert fault(busy)[:2] == (503, "too_many_sessions")
        assert int(busy.headers["retry-after"]) > 0
        asyncio.run(settled(host))
        assert post(host, input="Yes.").status_code == 200


def raw_request(host, *, receive_buffer: int | None = None, **fields) -> socket.socket:
    """A request on a bare socket."""
    body = json.dumps({"response_format": "pcm"} | fields).encode()
    bare = socket.socket()
    if receive_buffer is not None:
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    bare.settimeout(30)
    bare.connect(("127.0.0.1", host.port))
    head = f"POST {SPEECH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
    bare.sendall(head.encode() + body)
    return bare


@pytest.mark.parametrize("bytes_read", [0, 1, 5000])
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
def test_a_connection_that_breaks_cancels_its_requests(host, bytes_read, stream_format):
    before = asyncio.run(settled(host))
    bare = raw_request(host, input=VERY_LONG, stream_format=stream_format)
    if bytes_read:
        bare.recv(bytes_read, socket.MSG_WAITALL)
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    bare.close()
    after = asyncio.run(settled(host))
    assert after.audio_seconds - before.audio_seconds < 60


def test_a_body_that_never_ends_takes_nothing_with_it(host):
    bare = socket.create_connection(("127.0.0.1", host.port), timeout=30)
    bare.sendall(f"POST {SPEECH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n".encode() + b'{"input":')
    bare.close()
    asyncio.run(settled(host))
    assert post(host, input="Yes.").status_code == 200


def test_a_client_that_does_not_read_holds_generation_back(host):
    async def at_rest() -> float:
        """Seconds of audio made once no more is made, though not all is."""
        made, same = -1.0, 0
        async with asyncio.timeout(60):
            while same < 10:
                now = await asyncio.to_thread(counters, host)
                assert now.contexts, "all was made and sent"
                same = same + 1 if now.audio_seconds == made else 0
                made = now.audio_seconds
                await asyncio.sleep(0.05)
        return made

    before = asyncio.run(settled(host))
    with contextlib.closing(raw_request(host, receive_buffer=8192, input=VERY_LONG)) as bare:
        bare.recv(1)
        made = asyncio.run(at_rest()) - before.audio_seconds
    assert made < 300
    asyncio.run(settled(host))
