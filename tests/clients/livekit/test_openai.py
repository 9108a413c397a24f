"""livekit-plugins-openai as LiveKit's agents use it."""

from __future__ import annotations

import pytest
from livekit.agents import APIConnectionError, APIStatusError, tts
from livekit.plugins import openai

from support.livekit_turns import ONCE, closing, hear, say
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, counters, samples_of, settled

RATE = 24_000
VERY_LONG = " ".join([LONG_TURN] * 5)
"""Ten minutes."""


def speaker(host, *, key: str = "unused", **options):
    """The plugin, pointed at a server."""
    return closing(openai.TTS(base_url=f"{host.http}/v1", api_key=key, **options))


async def synthesize(speech: openai.TTS, text: str) -> bytes:
    """The PCM of a text."""
    heard = await hear(speech.synthesize(text, conn_options=ONCE))
    assert heard.sample_rate == RATE
    return heard.pcm


@pytest.mark.asyncio
async def test_the_default_model_voice_and_format_speak_a_turn_to_its_end(host):
    async with speaker(host) as speech:
        pcm = await synthesize(speech, TURN)
    assert_heard(TURN, samples_of(pcm), RATE)


@pytest.mark.asyncio
@pytest.mark.parametrize("model", ["gpt-4o-mini-tts", "tts-1"])
@pytest.mark.parametrize("response_format", ["pcm", "wav", "mp3", "opus", "aac", "flac"])
async def test_every_format_arrives_whole_as_bytes_and_as_events(host, model, response_format):
    async with speaker(host, model=model, response_format="pcm") as speech:
        plain = await synthesize(speech, "The box was thrown beside the parked truck.")
    async with speaker(host, model=model, response_format=response_format) as speech:
        pcm = await synthesize(speech, "The box was thrown beside the parked truck.")
    assert abs(len(pcm) - len(plain)) / 2 / RATE < 0.15


@pytest.mark.asyncio
async def test_the_usage_that_ends_the_events_arrives(host):
    metrics = []
    async with speaker(host, response_format="pcm") as speech:
        speech.on("metrics_collected", metrics.append)
        pcm = await synthesize(speech, "The usage is told.")
    assert metrics[0].input_tokens == len("The usage is told.")
    assert metrics[0].output_tokens == len(pcm) // 2 * 50 // RATE
    assert metrics[0].request_id


@pytest.mark.asyncio
async def test_a_turn_typed_by_a_language_model_begins_before_its_text_ends(host):
    first, _, rest = TURN.partition(". ")
    async with speaker(host) as speech:
        adapter = tts.StreamAdapter(tts=speech)
        async with adapter.stream(conn_options=ONCE) as stream:
            heard = await say(stream, f"{first}. Glue the sheet to the dark blue background. ", rest=rest)
    heard.assert_says(f"{first}. Glue the sheet to the dark blue background. {rest}")


@pytest.mark.asyncio
@pytest.mark.parametrize("model", ["gpt-4o-mini-tts", "tts-1"])
async def test_an_interruption_stops_generation_and_a_second_turn_is_spoken(host, model):
    before = await settled(host)
    async with speaker(host, model=model, response_format="pcm") as speech:
        stream = speech.synthesize(VERY_LONG, conn_options=ONCE)
        await anext(stream)
        await stream.aclose()
        after = await settled(host)
        assert after.cancelled > before.cancelled
        assert after.audio_seconds - before.audio_seconds < 60
        pcm = await synthesize(speech, SECOND_TURN)
    assert_heard(SECOND_TURN, samples_of(pcm), RATE)


@pytest.mark.asyncio
async def test_a_faster_voice_says_the_same_in_less_time(host):
    async with speaker(host, response_format="pcm") as speech:
        usual = await synthesize(speech, SECOND_TURN)
        speech.update_options(speed=1.3)
        fast = await synthesize(speech, SECOND_TURN)
    assert len(fast) < 0.9 * len(usual)
    assert_heard(SECOND_TURN, samples_of(fast), RATE, word_errors_max=0.25)


@pytest.mark.asyncio
async def test_text_without_speech_still_gives_audio(host):
    async with speaker(host) as speech:
        assert await synthesize(speech, "🙂")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "status"),
    [({"voice": "nobody"}, 400), ({"model": "no-such-model"}, 404), ({"speed": 9.0}, 400)],
)
async def test_a_mistake_is_the_plugins_own_error(host, options, status):
    async with speaker(host, **options) as speech:
        with pytest.raises(APIStatusError) as told:
            await synthesize(speech, "Nothing of this is spoken.")
    assert told.value.status_code == status
    assert not told.value.retryable
    assert counters(host).contexts == 0


@pytest.mark.asyncio
async def test_a_wrong_key_is_the_plugins_own_error_and_the_right_one_speaks(locked_host, api_key):
    async with speaker(locked_host, key="wrong") as speech:
        with pytest.raises(APIStatusError) as told:
            await synthesize(speech, "Nothing of this is spoken.")
    assert told.value.status_code == 401
    async with speaker(locked_host, key=api_key) as speech:
        assert await synthesize(speech, "Spoken.")


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_a_connection_error(host):
    async with speaker(host) as speech:
        speech._client.base_url = "http://127.0.0.1:9/v1"
        with pytest.raises(APIConnectionError):
            await synthesize(speech, "Nobody is there.")
