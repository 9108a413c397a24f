"""livekit-plugins-cartesia as LiveKit's agents use it."""

from __future__ import annotations

import contextlib
import itertools

import aiohttp
import pytest
from livekit.agents import APIError, APIStatusError
from livekit.plugins import cartesia

from support.livekit_turns import ONCE, assert_a_second_turn_uses_the_same_connection, closing, hear, say
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, settled, tokens


@contextlib.asynccontextmanager
async def default(host, **options):
    """The plugin, pointed at a server."""
    async with aiohttp.ClientSession() as session:
        plugin = cartesia.TTS(base_url=host.http, http_session=session, **({"api_key": "unused"} | options))
        async with closing(plugin):
            yield plugin


def speaker(host, **options):
    """The plugin with a voice."""
    return default(host, **({"voice": "heart"} | options))


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end_and_begins_before_the_text_ends(host):
    async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
        first, _, rest = TURN.partition(". ")
        heard = await say(stream, first + ". Glue the sheet. ", rest=" " + rest)
    assert heard.sample_rate == 24_000
    text = f"{first}. Glue the sheet. {rest}"
    heard.assert_says(text)
    # The plugin loses the space after a sentence whose times come before the next sentence has been sent.
    assert "".join("".join(heard.words).split()) == "".join(text.split())


@pytest.mark.asyncio
async def test_words_are_timed_where_they_sound(host):
    async with speaker(host, add_phoneme_timestamps=True) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, SECOND_TURN)
    times = [(word.start_time, word.end_time) for word in heard.words]
    assert len(times) == len(SECOND_TURN.split())
    assert all(end <= start + 0.001 for (_, end), (start, _) in itertools.pairwise(times))
    assert heard.seconds - 1.0 < times[-1][1] <= heard.seconds + 0.05


@pytest.mark.asyncio
async def test_without_word_times_none_come(host):
    async with speaker(host, word_timestamps=False) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, "Hello there.")
    assert heard.pcm
    assert not heard.words


@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host):
    async with speaker(host) as speech:
        await assert_a_second_turn_uses_the_same_connection(host, speech)


@pytest.mark.asyncio
async def test_an_interruption_stops_generation(host):
    before = await settled(host)
    async with speaker(host) as speech:
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


@pytest.mark.asyncio
async def test_the_default_voice_and_model_work(host):
    async with default(host) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, SECOND_TURN)
    heard.assert_says(SECOND_TURN)


@pytest.mark.asyncio
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
async def test_a_whole_text_is_spoken_over_http(host, sample_rate):
    async with (
        speaker(host, sample_rate=sample_rate) as speech,
        speech.synthesize(SECOND_TURN, conn_options=ONCE) as stream,
    ):
        heard = await hear(stream)
    assert heard.sample_rate == sample_rate
    heard.assert_says(SECOND_TURN)


@pytest.mark.asyncio
async def test_speed_is_heard(host):
    lengths = []
    for speed in (0.8, 1.2):
        async with speaker(host, speed=speed) as speech, speech.stream(conn_options=ONCE) as stream:
            lengths.append((await say(stream, SECOND_TURN)).seconds)
    assert lengths[0] > 1.2 * lengths[1]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "...", "🙂 🎉"])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, text)
    assert 0 < heard.seconds < 1


@pytest.mark.asyncio
async def test_a_wrong_key_is_the_clients_own_error(locked_host):
    async with speaker(locked_host, api_key="vw_wrong") as speech:
        with pytest.raises(APIStatusError) as refused:
            async with speech.stream(conn_options=ONCE) as stream:
                await say(stream, "Hello there.")
        assert refused.value.status_code == 401
        with pytest.raises(APIStatusError) as refused:
            async with speech.synthesize("Hello there.", conn_options=ONCE) as stream:
                await hear(stream)
        assert refused.value.status_code == 401


@pytest.mark.asyncio
async def test_the_right_key_is_let_in(locked_host, api_key):
    async with speaker(locked_host, api_key=api_key) as speech, speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, "Hello there.")
    assert heard.seconds > 0.5


@pytest.mark.asyncio
@pytest.mark.parametrize("options", [{"voice": "nobody"}, {"voice": [0.5] * 192}, {"model": "no-such-model"}])
async def test_what_is_not_there_is_the_clients_own_error(host, options):
    async with speaker(host, **options) as speech:
        with pytest.raises(APIError, match="Cartesia returned error"):
            async with speech.stream(conn_options=ONCE) as stream:
                await say(stream, "Hello there.")
        with pytest.raises(APIStatusError) as refused:
            async with speech.synthesize("Hello there.", conn_options=ONCE) as stream:
                await hear(stream)
    assert refused.value.status_code in (400, 404)
    await settled(host)
