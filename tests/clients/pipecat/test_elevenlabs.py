"""Pipecat's ElevenLabs services in a running pipeline."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest
from pipecat.frames.frames import TTSStoppedFrame
from pipecat.services.elevenlabs.tts import ElevenLabsHttpTTSService, ElevenLabsTTSService
from pipecat.services.tts_service import TextAggregationMode

from support.pipecat_checks import (
    assert_a_cancelled_pipeline_leaves_nothing,
    assert_a_second_turn_uses_the_same_connection,
    assert_an_interruption_stops_generation,
    assert_audio_comes_before_the_text_ends,
    assert_every_word_is_spoken_and_reported,
    assert_what_can_not_be_spoken_is_no_failure,
    assert_words_are_timed_where_they_sound,
    error_of,
)
from support.pipecat_pipeline import RATE, talking
from support.vendor_checks import SECOND_TURN, TURN, settled


def over_socket(host, *, voice: str = "heart", key: str = "unused", **options) -> ElevenLabsTTSService:
    return ElevenLabsTTSService(
        api_key=key,
        url=host.http.replace("http", "ws"),
        settings=ElevenLabsTTSService.Settings(voice=voice),
        **options,
    )


@contextlib.asynccontextmanager
async def over_http(host, *, voice: str = "heart", key: str = "unused"):
    async with aiohttp.ClientSession() as session:
        yield ElevenLabsHttpTTSService(
            api_key=key,
            base_url=host.http,
            aiohttp_session=session,
            settings=ElevenLabsHttpTTSService.Settings(voice=voice),
        )


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end_with_every_word(host):
    await assert_every_word_is_spoken_and_reported(over_socket(host), TURN)


@pytest.mark.asyncio
async def test_audio_comes_before_the_text_ends(host):
    await assert_audio_comes_before_the_text_ends(over_socket(host))


@pytest.mark.asyncio
async def test_words_are_timed_where_they_sound(host):
    await assert_words_are_timed_where_they_sound(over_socket(host))


@pytest.mark.asyncio
async def test_tokens_are_spoken_as_they_come(host):
    service = over_socket(host, text_aggregation_mode=TextAggregationMode.TOKEN)
    await assert_every_word_is_spoken_and_reported(service, SECOND_TURN)


@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host):
    await assert_a_second_turn_uses_the_same_connection(host, over_socket(host))


@pytest.mark.asyncio
async def test_an_interruption_stops_generation_and_the_next_turn_speaks(host):
    await assert_an_interruption_stops_generation(host, over_socket(host))


@pytest.mark.asyncio
async def test_a_pipeline_that_is_cancelled_leaves_nothing_behind(host):
    await assert_a_cancelled_pipeline_leaves_nothing(host, over_socket(host))


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    await assert_what_can_not_be_spoken_is_no_failure(over_socket(host), text)


@pytest.mark.asyncio
async def test_a_whole_text_is_spoken_over_http_with_every_word(host):
    async with over_http(host) as service:
        await assert_every_word_is_spoken_and_reported(service, TURN)


@pytest.mark.asyncio
async def test_the_right_key_is_let_in(locked_host, api_key):
    async with talking(over_socket(locked_host, key=api_key)) as talk:
        await talk.turn("Hello there.")
        await talk.after.until(TTSStoppedFrame)
    assert len(talk.after.pcm) > RATE


@pytest.mark.asyncio
async def test_a_wrong_key_is_an_error_frame(locked_host):
    assert "401" in await error_of(over_socket(locked_host, key="vw_wrong"))
    async with over_http(locked_host, key="vw_wrong") as service:
        assert "invalid_api_key" in await error_of(service)


@pytest.mark.asyncio
async def test_an_unknown_voice_is_an_error_frame(host):
    assert "404" in await error_of(over_socket(host, voice="nobody"))
    async with over_http(host, voice="nobody") as service:
        assert "voice_not_found" in await error_of(service)
    await settled(host)
