"""livekit-plugins-elevenlabs as LiveKit's agents use it."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from livekit.agents import APIConnectOptions, APIError, APIStatusError, tts
from livekit.plugins import elevenlabs

from support.clients import (
    LONG_TURN,
    SECOND_TURN,
    TURN,
    assert_heard,
    counters,
    samples_of,
    settled,
    tokens,
    typed,
)
from support.server import serving

ONCE = APIConnectOptions(max_retry=0, timeout=10)
PATIENT = 60.0


@contextlib.asynccontextmanager
async def speaker(host, *, key: str = "unused", **options):
    """The plugin, pointed at a server."""
    async with aiohttp.ClientSession() as session:
        found = elevenlabs.TTS(
            base_url=f"{host.http}/v1",
            api_key=key,
            http_session=session,
            **({"voice_id": "heart", "encoding": "pcm_24000"} | options),
        )
        try:
            async with asyncio.timeout(PATIENT):
                yield found
        finally:
            await found.aclose()


async def say(stream: tts.SynthesizeStream, text: str, *, rest: str = "") -> tuple[bytes, int, list]:
    """A turn typed into a stream: its PCM, its rate, and its timed words. `rest` is typed once audio has come."""
    heard = asyncio.Event()

    async def type_it() -> None:
        async for token in typed(text):
            stream.push_text(token)
        if rest:
            await heard.wait()
            async for token in typed(rest):
                stream.push_text(token)
        stream.end_input()

    typing = asyncio.create_task(type_it())
    pcm, rate, words = b"", 0, []
    async for event in stream:
        heard.set()
        pcm += bytes(event.frame.data)
        rate = event.frame.sample_rate
        words += event.frame.userdata.get("lk.timed_transcripts", [])
    await typing
    return pcm, rate, words


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end_and_begins_before_the_text_ends(host):
    async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
        first, _, rest = TURN.partition(". ")
        pcm, rate, words = await say(stream, first + ". Glue the sheet. ", rest=" " + rest)
    assert rate == 24_000
    assert_heard(f"{first}. Glue the sheet. {rest}", samples_of(pcm), rate)
    assert "".join(words).split() == f"{first}. Glue the sheet. {rest}".split()


@pytest.mark.asyncio
async def test_words_are_timed_where_they_sound_once_times_count_from_the_start_of_the_context():
    with serving("scheduling.utilisation_max=100", "compat.elevenlabs_alignment=context") as host:
        async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
            pcm, rate, words = await say(stream, SECOND_TURN)
    times = [(word.start_time, word.end_time) for word in words if word.strip()]
    assert times == sorted(times)
    seconds = len(pcm) / 2 / rate
    assert seconds - 1.0 < times[-1][1] <= seconds + 0.05


@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host):
    async with speaker(host) as speech:
        async with speech.stream(conn_options=ONCE) as stream:
            await say(stream, "The first turn is short.")
        async with speech.stream(conn_options=ONCE) as stream:
            pcm, rate, _ = await say(stream, SECOND_TURN)
            assert stream._connection_reused
        assert (await asyncio.to_thread(counters, host)).sessions == 1
    assert_heard(SECOND_TURN, samples_of(pcm), rate)


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
            pcm, rate, _ = await say(again, "Now something else entirely.")
    assert_heard("Now something else entirely.", samples_of(pcm), rate, word_errors_max=0.3)


@pytest.mark.asyncio
async def test_word_tokens_without_auto_mode_are_spoken_whole(host):
    options = {"auto_mode": False, "chunk_length_schedule": [50, 120]}
    async with speaker(host, **options) as speech, speech.stream(conn_options=ONCE) as stream:
        pcm, rate, _ = await say(stream, SECOND_TURN)
    assert_heard(SECOND_TURN, samples_of(pcm), rate)


@pytest.mark.asyncio
async def test_the_default_voice_model_and_encoding_work(host):
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENT):
        speech = elevenlabs.TTS(base_url=f"{host.http}/v1", api_key="unused", http_session=session)
        try:
            async with speech.stream(conn_options=ONCE) as stream:
                pcm, rate, _ = await say(stream, SECOND_TURN)
        finally:
            await speech.aclose()
    assert rate == 22_050
    assert_heard(SECOND_TURN, samples_of(pcm), rate)


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["pcm_22050", "mp3_44100_128", "opus_48000_64"])
async def test_a_whole_text_is_spoken_over_http(host, encoding):
    async with speaker(host, encoding=encoding) as speech, speech.synthesize(SECOND_TURN, conn_options=ONCE) as stream:
        frame = await stream.collect()
    assert_heard(SECOND_TURN, samples_of(bytes(frame.data)), frame.sample_rate)


@pytest.mark.asyncio
async def test_speed_is_heard(host):
    lengths = []
    for speed in (0.8, 1.2):
        settings = elevenlabs.VoiceSettings(stability=0.5, similarity_boost=0.5, speed=speed)
        async with speaker(host, voice_settings=settings) as speech, speech.stream(conn_options=ONCE) as stream:
            pcm, _, _ = await say(stream, SECOND_TURN)
        lengths.append(len(pcm))
    assert lengths[0] > 1.2 * lengths[1]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "...", "🙂 🎉"])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    async with speaker(host) as speech, speech.stream(conn_options=ONCE) as stream:
        pcm, _, _ = await say(stream, text)
    assert 0 < len(pcm) < 48_000


@pytest.mark.asyncio
async def test_voices_are_listed(host):
    async with speaker(host) as speech:
        voices = await speech.list_voices()
    assert ("heart", "heart") in [(voice.id, voice.name) for voice in voices]


@pytest.mark.asyncio
async def test_a_wrong_key_is_the_clients_own_error(locked_host):
    async with speaker(locked_host, key="vw_wrong") as speech:
        with pytest.raises(APIError):
            async with speech.stream(conn_options=ONCE) as stream:
                await say(stream, "Hello there.")
        with pytest.raises(APIStatusError) as refused:
            async with speech.synthesize("Hello there.", conn_options=ONCE) as stream:
                await stream.collect()
    assert refused.value.status_code == 401


@pytest.mark.asyncio
async def test_the_right_key_is_let_in(locked_host, api_key):
    async with speaker(locked_host, key=api_key) as speech, speech.stream(conn_options=ONCE) as stream:
        pcm, _, _ = await say(stream, "Hello there.")
    assert len(pcm) > 24_000


@pytest.mark.asyncio
async def test_an_unknown_voice_is_the_clients_own_error(host):
    async with speaker(host, voice_id="nobody") as speech:
        with pytest.raises(APIError):
            async with speech.stream(conn_options=ONCE) as stream:
                await say(stream, "Hello there.")
        with pytest.raises(APIStatusError) as refused:
            async with speech.synthesize("Hello there.", conn_options=ONCE) as stream:
                await stream.collect()
    assert refused.value.status_code == 404
    await settled(host)
