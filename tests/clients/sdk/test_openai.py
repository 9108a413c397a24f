"""OpenAI's SDK."""

from __future__ import annotations

import asyncio
import base64
import json

import openai
import pytest
from elevenlabs.client import ElevenLabs

from support.decoding import decoded
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, counters, samples_of, settled

RATE = 24_000
VERY_LONG = " ".join([LONG_TURN] * 5)
"""Ten minutes."""

BOX = "The box was thrown beside the parked truck."
FORMATS = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}


def client(host, key: str = "unused") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{host.http}/v1", api_key=key, max_retries=0, timeout=30)


def async_client(host) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{host.http}/v1", api_key="unused", max_retries=0, timeout=30)


def events(response) -> list[dict]:
    """The server-sent events of a response."""
    return [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]


def test_a_turn_is_spoken_to_its_end(host):
    with client(host) as sdk:
        answer = sdk.audio.speech.create(model="tts-1", voice="alloy", input=TURN, response_format="pcm")
        assert_heard(TURN, samples_of(answer.content), RATE)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_whole_text(host, name, tmp_path):
    asked = {"model": "gpt-4o-mini-tts", "voice": "nova", "input": SECOND_TURN}
    with client(host) as sdk:
        plain = sdk.audio.speech.create(**asked, response_format="pcm").content
        with sdk.audio.speech.with_streaming_response.create(**asked, response_format=name) as answer:
            assert answer.headers["content-type"] == FORMATS[name]
            assert answer.headers["transfer-encoding"] == "chunked"
            answer.stream_to_file(tmp_path / "speech")
    data = (tmp_path / "speech").read_bytes()
    samples = samples_of(data) if name == "pcm" else decoded(data, RATE)[0]
    assert abs(len(samples) - len(plain) / 2) < 0.15 * RATE
    assert_heard(SECOND_TURN, samples, RATE)


def test_mp3_is_what_comes_without_a_format(host):
    with client(host) as sdk:
        answer = sdk.audio.speech.create(model="tts-1", voice="alloy", input=SECOND_TURN)
        assert answer.response.headers["content-type"] == "audio/mpeg"
        assert_heard(SECOND_TURN, *decoded(answer.content, RATE))


def test_audio_comes_as_events_that_end_with_the_usage(host):
    with (
        client(host) as sdk,
        sdk.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice="alloy", input=TURN, response_format="pcm", stream_format="sse"
        ) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        *deltas, done = events(answer)
    assert len(deltas) > 1
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    pcm = b"".join(base64.b64decode(delta["audio"]) for delta in deltas)
    spoken = len(pcm) // 2 * 50 // RATE
    assert done == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": len(TURN), "output_tokens": spoken, "total_tokens": len(TURN) + spoken},
    }
    assert_heard(TURN, samples_of(pcm), RATE)


@pytest.mark.asyncio
async def test_the_first_bytes_come_long_before_the_last_are_made(host):
    before = await settled(host)
    async with (
        async_client(host) as sdk,
        sdk.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=VERY_LONG, response_format="pcm"
        ) as answer,
    ):
        async for _ in answer.iter_bytes(960):
            now = await asyncio.to_thread(counters, host)
            break
        assert now.unfinished
    after = await settled(host)
    assert after.cancelled > before.cancelled
    assert after.audio_seconds - before.audio_seconds < 60


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["pcm", "mp3", "opus"])
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_leaving_in_mid_stream_stops_generation_and_a_second_turn_is_spoken(host, name, stream_format):
    before = await settled(host)
    asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": name, "stream_format": stream_format}
    async with async_client(host) as sdk:
        async with sdk.audio.speech.with_streaming_response.create(**asked, input=VERY_LONG) as answer:
            async for _ in answer.iter_bytes(256):
                break
        after = await settled(host)
        assert after.audio_seconds - before.audio_seconds < 60
        again = await sdk.audio.speech.create(model="tts-1", voice="alloy", input=BOX, response_format="pcm")
        assert len(again.content) > RATE


@pytest.mark.asyncio
async def test_nothing_is_generated_that_is_not_heard(host):
    before = await settled(host)
    async with (
        async_client(host) as sdk,
        sdk.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=LONG_TURN, response_format="pcm"
        ) as answer,
    ):
        heard = b"".join([part async for part in answer.iter_bytes()])
    after = await settled(host)
    assert len(heard) / 2 / RATE == pytest.approx(after.audio_seconds - before.audio_seconds, rel=0.05)


def test_a_voice_is_a_name_or_an_object(host):
    with client(host) as sdk:
        for voice in ("heart", "hibari/heart", "marin", {"id": "heart"}, {"id": "verse"}):
            asked = {"model": "hibari", "input": "Yes.", "response_format": "pcm"}
            assert len(sdk.audio.speech.create(**asked, voice=voice).content) > RATE // 2


def test_speed_changes_how_long_it_takes(host):
    with client(host) as sdk:
        asked = {"model": "tts-1", "voice": "alloy", "input": SECOND_TURN, "response_format": "pcm"}
        lengths = [len(sdk.audio.speech.create(**asked, speed=speed).content) for speed in (0.25, 1.0, 4.0)]
    assert lengths[0] > 2 * lengths[1] > 2.5 * lengths[2]


def test_instructions_are_taken(host):
    with client(host) as sdk:
        asked = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "Yes.", "response_format": "pcm"}
        assert sdk.audio.speech.create(**asked, instructions="Speak like a pirate.").content


def test_the_models_are_listed_and_found(host):
    with client(host) as sdk:
        names = {model.id for model in sdk.models.list()}
        assert {"hibari", "tts-1", "tts-1-hd", "gpt-4o-mini-tts"} <= names
        found = sdk.models.retrieve("gpt-4o-mini-tts")
        assert (found.id, found.object, found.owned_by) == ("gpt-4o-mini-tts", "model", "voxwire")
        with pytest.raises(openai.NotFoundError) as told:
            sdk.models.retrieve("no-such-model")
    assert told.value.code == "model_not_found"


def test_elevenlabs_sdk_lists_its_models_at_the_same_path(locked_host, api_key):
    models = ElevenLabs(base_url=locked_host.http, api_key=api_key).models.list()
    found = {model.model_id: model for model in models}
    assert found["eleven_flash_v2_5"].can_do_text_to_speech
    assert found["hibari"].languages[0].language_id == "en"


@pytest.mark.parametrize(
    ("wrong", "kind", "code", "param"),
    [
        ({"voice": "nobody"}, openai.BadRequestError, "voice_not_found", "voice"),
        ({"voice": {"id": "nobody"}}, openai.BadRequestError, "voice_not_found", "voice"),
        ({"model": "no-such-model"}, openai.NotFoundError, "model_not_found", "model"),
        ({"response_format": "midi"}, openai.BadRequestError, "invalid_value", "response_format"),
        ({"stream_format": "morse"}, openai.BadRequestError, "invalid_value", "stream_format"),
        ({"speed": 4.5}, openai.BadRequestError, "invalid_value", "speed"),
        ({"input": ""}, openai.BadRequestError, "invalid_value", "input"),
        ({"input": " \n"}, openai.BadRequestError, "invalid_value", "input"),
        ({"input": "a " * 500_000}, openai.BadRequestError, "string_above_max_length", "input"),
        ({"input": "a " * 50_000}, openai.BadRequestError, "string_above_max_length", "input"),
    ],
)
def test_a_mistake_raises_the_sdks_own_error(host, wrong, kind, code, param):
    asked = {"model": "tts-1", "voice": "alloy", "input": "Never spoken."} | wrong
    with client(host) as sdk, pytest.raises(kind) as told:
        sdk.audio.speech.create(**asked)
    assert (told.value.code, told.value.param, told.value.type) == (code, param, "invalid_request_error")
    assert told.value.request_id


def test_the_error_for_an_unknown_voice_names_those_there_are(host):
    with client(host) as sdk, pytest.raises(openai.BadRequestError, match="there are heart"):
        sdk.audio.speech.create(model="tts-1", voice="nobody", input="Never spoken.")


def test_a_wrong_key_is_an_authentication_error_and_the_right_one_is_let_in(locked_host, api_key):
    with client(locked_host, "wrong") as sdk:
        for ask in (sdk.models.list, lambda: sdk.audio.speech.create(model="tts-1", voice="alloy", input="No.")):
            with pytest.raises(openai.AuthenticationError) as told:
                ask()
            assert told.value.code == "invalid_api_key"
    with client(locked_host, api_key) as sdk:
        assert sdk.audio.speech.create(model="tts-1", voice="alloy", input="Yes.").content


@pytest.mark.asyncio
async def test_many_at_once_all_speak_to_their_ends(host):
    async with async_client(host) as sdk:
        asked = {"model": "tts-1", "voice": "alloy", "input": BOX, "response_format": "pcm"}
        answers = await asyncio.gather(*(sdk.audio.speech.create(**asked) for _ in range(12)))
    assert len({round(len(answer.content) / 2 / RATE, 1) for answer in answers}) <= 3
    assert (await settled(host)).contexts == 0
