"""livekit-plugins-elevenlabs as LiveKit's agents use it."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest
from livekit.agents import APIError, APIStatusError
from livekit.plugins import elevenlabs

from support.livekit_turns import ONCE, assert_a_second_turn_uses_the_same_connection, closing, hear, say
from support.server import serving
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, settled, tokens


@contextlib.asynccontextmanager
async def default(host, **options):
    """The plugin, pointed at a server."""
    async with aiohttp.ClientSession() as session:
        plugin = elevenlabs.TTS(base_url=f"{host.http}/v1", http_session=session, **({"api_key": "unused"} | options))
        async with closing(plugin):
            yield plugin


def speaker(host, **options):
    """The plugin with a voice and an encoding."""
    return default(host, **({"voice_id": "heart", "encoding": "pcm_24000"} | options))


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end_and_begins_before_the_text_ends(host):
    async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
        first, _, rest = TURN.partition(". ")
        heard = await say(stream, first + ". Glue the sheet. ", rest=" " + rest)
    assert heard.sample_rate == 24_000
    heard.assert_says(f"{first}. Glue the sheet. {rest}")
    assert "".join(heard.words).split() == f"{first}. Glue the sheet. {rest}".split()


@pytest.mark.asyncio
async def test_words_are_timed_where_they_sound_once_times_count_from_the_start_of_the_context():
    with serving("scheduling.utilisation_max=100", "compat.elevenlabs_alignment=context") as host:
        async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
            heard = await say(stream, SECOND_TURN)
    times = [(word.start_time, word.end_time) for word in heard.words if word.strip()]
    assert times == sorted(times)
    assert heard.seconds - 1.0 < times[-1][1] <= heard.seconds + 0.05


@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host):
    async with speaker(host) as speech:
        await assert_a_second_turn_uses_the_same_connection(host, speech)


@pytest.mark.asyncio
@pytest.mark.parametrize("auto_mode", [True, False])
async def test_an_interruption_stops_generation(host, auto_mode):
    before = await settled(host)
    async with speaker(host, auto_mode=auto_mode) as speech:
        stream = speech.stream(conn_options=ONCE)
        for token in tokens(LONG_TURN):
            stream.push_text(token)
        await anext(stream)
        await stream.aclose()
        after = await settled(host, sessions=1)
        assert after.audio_seconds - before.audio_seconds < 30
        async with speech.stream(conn_options=ONCE) as again:
            heard = await say(again, "Now something else entirely.")
    heard.assert_says("Now something else entirely.", word_errors_max=0.3)


@pytest.mark.asyncio
async def test_word_tokens_without_auto_mode_are_spoken_whole(host):
    options = {"auto_mode": False, "chunk_length_schedule": [50, 120]}
    async with speaker(host, **options) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, SECOND_TURN)
    heard.assert_says(SECOND_TURN)


@pytest.mark.asyncio
async def test_the_default_voice_model_and_encoding_work(host):
    async with default(host) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, SECOND_TURN)
    assert heard.sample_rate == 22_050
    heard.assert_says(SECOND_TURN)


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["pcm_22050", "mp3_44100_128", "opus_48000_64"])
async def test_a_whole_text_is_spoken_over_http(host, encoding):
    async with speaker(host, encoding=encoding) as speech, speech.synthesize(SECOND_TURN, conn_options=ONCE) as stream:
        heard = await hear(stream)
    heard.assert_says(SECOND_TURN)


@pytest.mark.asyncio
async def test_speed_is_heard(host):
    lengths = []
    for speed in (0.8, 1.2):
        settings = elevenlabs.VoiceSettings(stability=0.5, similarity_boost=0.5, speed=speed)
        async with speaker(host, voice_settings=settings) as speech, speech.stream(conn_options=ONCE) as stream:
            lengths.append((await say(stream, SECOND_TURN)).seconds)
    assert lengths[0] > 1.2 * lengths[1]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "...", "🙂 🎉"])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, text)
    assert 0 < heard.seconds < 1


@pytest.mark.asyncio
async def test_voices_are_listed(host):
    async with speaker(host) as speech:
        voices = await speech.list_voices()
    assert ("heart", "heart") in [(voice.id, voice.name) for voice in voices]


async def refusal(speech: elevenlabs.TTS) -> APIStatusError:
    """The error of a text at once; a stream fails too."""
    with pytest.raises(APIError):
        async with speech.stream(conn_options=ONCE) as stream:
            await say(stream, "Hello there.")
    with pytest.raises(APIStatusError) as refused:
        async with speech.synthesize("Hello there.", conn_options=ONCE) as stream:
            await hear(stream)
    return refused.value


@pytest.mark.asyncio
async def test_a_wrong_key_is_the_clients_own_error(locked_host):
    async with speaker(locked_host, api_key="vw_wrong") as speech:
        assert (await refusal(speech)).status_code == 401


@pytest.mark.asyncio
async def test_the_right_key_is_let_in(locked_host, api_key):
    async with speaker(locked_host, api_key=api_key) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, "Hello there.")
    assert heard.seconds > 0.5


@pytest.mark.asyncio
async def test_an_unknown_voice_is_the_clients_own_error(host):
    async with speaker(host, voice_id="nobody") as speech:
        assert (await refusal(speech)).status_code == 404
    await settled(host)
