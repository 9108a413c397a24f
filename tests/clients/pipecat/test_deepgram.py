"""Pipecat's Deepgram services in a running pipeline: Aura over WebSocket and HTTP, Flux."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    TTSStoppedFrame,
)
from pipecat.services.deepgram.flux.tts import DeepgramFluxTTSService
from pipecat.services.deepgram.tts import DeepgramHttpTTSService, DeepgramTTSService

from support.pipecat_checks import (
    assert_a_cancelled_pipeline_leaves_nothing,
    assert_a_second_turn_uses_the_same_connection,
    assert_an_interruption_stops_generation,
    assert_audio_comes_before_the_text_ends,
    assert_what_can_not_be_spoken_is_no_failure,
    error_of,
)
from support.pipecat_pipeline import RATE, talking
from support.vendor_checks import SECOND_TURN, TURN, assert_heard, counters, samples_of

THREE_SENTENCES = f"{TURN} {SECOND_TURN} The hogs were fed chopped corn and garbage."
"""Some twenty seconds: several times what is sent ahead."""


def aura(host, *, key: str = "unused", voice: str = "aura-2-helena-en", **options) -> DeepgramTTSService:
    return DeepgramTTSService(
        api_key=key,
        base_url=host.http.replace("http", "ws"),
        settings=DeepgramTTSService.Settings(voice=voice),
        **options,
    )


def flux(host, *, key: str = "unused", voice: str = "flux-heather-en", **options) -> DeepgramFluxTTSService:
    return DeepgramFluxTTSService(
        api_key=key,
        url=host.http.replace("http", "ws") + "/v2/speak",
        settings=DeepgramFluxTTSService.Settings(voice=voice),
        **options,
    )


@contextlib.asynccontextmanager
async def over_http(host, *, key: str = "unused", voice: str = "aura-2-helena-en"):
    async with aiohttp.ClientSession() as session:
        yield DeepgramHttpTTSService(
            api_key=key,
            base_url=host.http,
            aiohttp_session=session,
            settings=DeepgramHttpTTSService.Settings(voice=voice),
        )


both = pytest.mark.parametrize("service", [aura, flux])


@both
@pytest.mark.asyncio
async def test_a_long_turn_is_spoken_to_its_end_in_one_piece(host, service):
    async with talking(service(host)) as talk:
        await talk.turn(THREE_SENTENCES)
        await talk.after.until(TTSStoppedFrame)
        pcm = talk.after.pcm
    assert len(talk.after.of(TTSStoppedFrame)) == 1
    assert_heard(THREE_SENTENCES, samples_of(pcm), RATE)
    assert not talk.before.of(ErrorFrame)


@both
@pytest.mark.asyncio
async def test_audio_comes_before_the_text_ends(host, service):
    await assert_audio_comes_before_the_text_ends(service(host))


@both
@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host, service):
    await assert_a_second_turn_uses_the_same_connection(host, service(host))


@both
@pytest.mark.asyncio
async def test_an_interruption_stops_generation_and_the_next_turn_speaks(host, service):
    await assert_an_interruption_stops_generation(host, service(host))


@both
@pytest.mark.asyncio
async def test_a_pipeline_that_is_cancelled_leaves_nothing_behind(host, service):
    await assert_a_cancelled_pipeline_leaves_nothing(host, service(host))


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_that_can_not_be_spoken_is_no_failure(host, service, text):
    await assert_what_can_not_be_spoken_is_no_failure(service(host), text)


@pytest.mark.asyncio
async def test_a_new_speed_is_heard_on_an_open_flux_connection(host):
    lengths = []
    async with talking(flux(host)) as talk:
        for turn, speed in enumerate((1.5, 0.7), 1):
            await talk.service._update_settings(DeepgramFluxTTSService.Settings(speed=speed))
            await talk.turn("The birch canoe slid on the smooth planks.")
            await talk.after.until(TTSStoppedFrame, turn)
            lengths.append(len(talk.after.pcm))
        assert (await asyncio.to_thread(counters, host)).sessions == 1
    assert lengths[0] < 0.7 * (lengths[1] - lengths[0])
    assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_a_whole_text_is_spoken_over_http(host):
    async with over_http(host) as service, talking(service) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(TURN, samples_of(talk.after.pcm), RATE)
    assert not talk.before.of(ErrorFrame)


@both
@pytest.mark.asyncio
async def test_the_right_key_is_let_in(locked_host, api_key, service):
    async with talking(service(locked_host, key=api_key)) as talk:
        await talk.turn("Hello there.")
        await talk.after.until(TTSStoppedFrame)
    assert len(talk.after.pcm) > RATE


@both
@pytest.mark.asyncio
async def test_a_wrong_key_is_an_error_frame(locked_host, service):
    async with talking(service(locked_host, key="wrong")) as talk:
        await talk.before.until(ErrorFrame)
    assert "(HTTP 401): the API key is not known here" in talk.before.of(ErrorFrame)[0].error


@both
@pytest.mark.asyncio
async def test_an_unknown_voice_is_an_error_frame_that_names_the_known(host, service):
    async with talking(service(host, voice="nobody")) as talk:
        await talk.before.until(ErrorFrame)
    error = talk.before.of(ErrorFrame)[0].error
    assert "(HTTP 400)" in error
    assert "heart" in error


@pytest.mark.asyncio
@pytest.mark.parametrize(("options", "told"), [({"key": "wrong"}, "INVALID_AUTH"), ({"voice": "nobody"}, "heart")])
async def test_what_is_wrong_over_http_is_an_error_frame(locked_host, api_key, options, told):
    async with over_http(locked_host, **({"key": api_key} | options)) as service:
        assert told in await error_of(service)
