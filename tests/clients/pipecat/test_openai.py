"""Pipecat's OpenAI service in a running pipeline."""

from __future__ import annotations

import contextlib

import openai
import pytest
from pipecat.frames.frames import ErrorFrame, TTSSpeakFrame, TTSStoppedFrame
from pipecat.services.openai.tts import VALID_VOICES, OpenAITTSService

from support.pipecat_checks import (
    assert_a_cancelled_pipeline_leaves_nothing,
    assert_an_interruption_stops_generation,
    assert_audio_comes_before_the_text_ends,
    assert_what_can_not_be_spoken_is_no_failure,
    error_of,
)
from support.pipecat_pipeline import RATE, at_once, talking
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, samples_of, settled

TEN_MINUTES = " ".join([LONG_TURN] * 5)


@contextlib.asynccontextmanager
async def over_http(host, *, key: str = "unused", **settings):
    async with openai.DefaultAsyncHttpxClient() as connections:
        yield OpenAITTSService(
            api_key=key,
            base_url=f"{host.http}/v1",
            http_client=connections,
            settings=OpenAITTSService.Settings(**settings),
        )


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end(host):
    async with over_http(host) as service, talking(service) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(TURN, samples_of(talk.after.pcm), RATE)
    assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_audio_comes_before_the_text_ends(host):
    async with over_http(host) as service:
        await assert_audio_comes_before_the_text_ends(service)


@pytest.mark.asyncio
async def test_a_second_turn_is_spoken_too(host):
    async with over_http(host) as service, talking(service) as talk:
        await talk.turn("The first turn is short.")
        await talk.after.until(TTSStoppedFrame)
        first = len(talk.after.pcm)
        await talk.turn(SECOND_TURN)
        await talk.after.until(TTSStoppedFrame, 2)
    assert_heard(SECOND_TURN, samples_of(talk.after.pcm[first:]), RATE)
    await settled(host)


@pytest.mark.asyncio
async def test_an_interruption_stops_generation_and_the_next_turn_speaks(host):
    async with over_http(host) as service:
        cancelled = await assert_an_interruption_stops_generation(
            host, service, TEN_MINUTES, given=at_once, sessions=0, audio_seconds_max=60
        )
    assert cancelled


@pytest.mark.asyncio
async def test_a_pipeline_that_is_cancelled_leaves_nothing_behind(host):
    async with over_http(host) as service:
        await assert_a_cancelled_pipeline_leaves_nothing(
            host, service, TEN_MINUTES, given=at_once, audio_seconds_max=60
        )


@pytest.mark.asyncio
async def test_every_voice_that_the_service_knows_speaks(host):
    for voice in VALID_VOICES:
        async with over_http(host, voice=voice) as service, talking(service) as talk:
            await talk.send(TTSSpeakFrame("Yes."))
            await talk.after.until(TTSStoppedFrame)
        assert talk.after.pcm
        assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_speed_and_instructions_are_taken(host):
    lengths = []
    for speed in (1.0, 2.0):
        async with over_http(host, speed=speed, instructions="Cheerful.") as service, talking(service) as talk:
            await talk.send(TTSSpeakFrame("The box was thrown beside the parked truck."))
            await talk.after.until(TTSStoppedFrame)
        lengths.append(len(talk.after.pcm))
    assert lengths[1] < 0.7 * lengths[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    async with over_http(host) as service:
        await assert_what_can_not_be_spoken_is_no_failure(service, text)


@pytest.mark.asyncio
async def test_the_right_key_is_let_in_and_a_wrong_one_is_an_error_frame(locked_host, api_key):
    async with over_http(locked_host, key=api_key) as service, talking(service) as talk:
        await talk.turn("Hello there.")
        await talk.after.until(TTSStoppedFrame)
    assert len(talk.after.pcm) > RATE
    async with over_http(locked_host, key="vw_wrong") as service:
        assert "401" in await error_of(service)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("settings", "told"), [({"model": "no-such-model"}, "no-such-model"), ({"speed": 9.0}, "less than or equal to 4")]
)
async def test_a_mistake_is_an_error_frame(host, settings, told):
    async with over_http(host, **settings) as service:
        assert told in await error_of(service)
    await settled(host)
