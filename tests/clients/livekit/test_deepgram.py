"""livekit-plugins-deepgram as LiveKit's agents use it: TTS on `/v1/speak`, TTSv2 on `/v2/speak`."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest
from livekit.agents import APIError, APIStatusError
from livekit.plugins import deepgram

from support.livekit_turns import ONCE, assert_a_second_turn_uses_the_same_connection, closing, hear, say
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, settled, tokens

KINDS = {"v1": deepgram.TTS, "v2": deepgram.TTSv2}

both = pytest.mark.parametrize("version", KINDS)


@contextlib.asynccontextmanager
async def speaker(host, version: str = "v1", *, key: str = "unused", **options):
    """The plugin, pointed at a server."""
    async with aiohttp.ClientSession() as session:
        found = KINDS[version](base_url=f"{host.http}/{version}/speak", api_key=key, http_session=session, **options)
        async with closing(found):
            yield found


@both
@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end_and_begins_before_the_text_ends(host, version):
    first, _, rest = TURN.partition(". ")
    async with speaker(host, version) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, first + ". ", rest=rest)
    assert heard.sample_rate == 24_000
    heard.assert_says(TURN)


@both
@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host, version):
    async with speaker(host, version) as speech:
        await assert_a_second_turn_uses_the_same_connection(host, speech)


@both
@pytest.mark.asyncio
async def test_an_interruption_stops_generation(host, version):
    before = await settled(host)
    async with speaker(host, version) as speech:
        stream = speech.stream(conn_options=ONCE)
        for token in tokens(LONG_TURN):
            stream.push_text(token)
        await anext(stream)
        await stream.aclose()
        # The plugin says nothing now; it closes the connection when it wants the next.
        async with speech.stream(conn_options=ONCE) as again:
            heard = await say(again, "Now something else entirely.")
            assert not again._connection_reused
        after = await settled(host, sessions=1)
    assert after.audio_seconds - before.audio_seconds < 30
    heard.assert_says("Now something else entirely.", word_errors_max=0.3)


@both
@pytest.mark.asyncio
async def test_a_text_at_once_is_spoken_over_http(host, version):
    async with speaker(host, version) as speech:
        heard = await hear(speech.synthesize(SECOND_TURN, conn_options=ONCE))
    heard.assert_says(SECOND_TURN)


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["mp3", "aac", "flac", "opus"])
async def test_encodings_of_the_second_version_are_decoded(host, encoding):
    async with speaker(host, "v2", encoding=encoding) as speech:
        heard = await hear(speech.synthesize(SECOND_TURN, conn_options=ONCE))
    assert heard.sample_rate == 24_000
    assert 4 < heard.seconds < 6.5


@both
@pytest.mark.asyncio
async def test_speed_and_rate_are_taken(host, version):
    lengths = []
    for speed in (1.5, 0.7):
        options = {"speed": speed, "sample_rate": 16_000}
        async with speaker(host, version, **options) as speech, speech.stream(conn_options=ONCE) as stream:
            heard = await say(stream, "The birch canoe slid on the smooth planks.")
        assert heard.sample_rate == 16_000
        lengths.append(heard.seconds)
    assert lengths[0] < 0.7 * lengths[1]


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_without_speech_is_no_error(host, version, text):
    async with speaker(host, version) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, text)
    assert 0 < heard.seconds <= 1


@both
@pytest.mark.asyncio
async def test_a_right_key_is_let_in(locked_host, api_key, version):
    async with speaker(locked_host, version, key=api_key) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, "Hello there.")
    assert heard.pcm


@both
@pytest.mark.asyncio
async def test_a_wrong_key_is_the_plugins_own_error(locked_host, version):
    async with speaker(locked_host, version, key="wrong") as speech:
        async with speech.stream(conn_options=ONCE) as stream:
            with pytest.raises(APIStatusError) as streaming:
                await say(stream, "Hello there.")
        async with speech.synthesize("Hello there.", conn_options=ONCE) as whole:
            with pytest.raises(APIStatusError) as at_once:
                await whole.collect()
    assert streaming.value.status_code == at_once.value.status_code == 401
    assert not streaming.value.retryable


@both
@pytest.mark.asyncio
@pytest.mark.parametrize("options", [{"model": "nobody"}, {"model": "aura-2-celeste-es"}, {"sample_rate": 12_345}])
async def test_what_there_is_not_is_the_plugins_own_error(host, version, options):
    async with speaker(host, version, **options) as speech, speech.stream(conn_options=ONCE) as stream:
        with pytest.raises(APIStatusError) as refused:
            await say(stream, "Hello there.")
    assert refused.value.status_code == 400
    await settled(host)


@both
@pytest.mark.asyncio
async def test_too_much_text_is_the_plugins_own_error_and_leaves_nothing(host, version):
    async with speaker(host, version) as speech, speech.stream(conn_options=ONCE) as stream:
        stream.push_text(("word" * 2000 + " ") * 10)
        stream.end_input()
        with pytest.raises(APIError):
            async for _ in stream:
                pass
    await settled(host)
