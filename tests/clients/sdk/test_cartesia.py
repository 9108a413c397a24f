"""The cartesia SDK."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import numpy as np
import pytest
import websockets
from cartesia import AsyncCartesia, AuthenticationError, BadRequestError, Cartesia, NotFoundError

from support.decoding import decoded
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, samples_of, settled, tokens

PATIENT_SECONDS = 30
HEART = {"mode": "id", "id": "heart"}
RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000}
ASKED = {"model_id": "sonic-3", "voice": HEART, "output_format": RAW}
SHORT = "Hello there, my friend."


def options(host, key: str = "unused") -> dict:
    return {
        "api_key": key,
        "base_url": host.http,
        "websocket_base_url": host.http.replace("http", "ws"),
        "timeout": PATIENT_SECONDS,
        "max_retries": 0,
    }


def client(host, key: str = "unused") -> Cartesia:
    return Cartesia(**options(host, key))


@contextlib.asynccontextmanager
async def async_connection(host):
    async with (
        asyncio.timeout(2 * PATIENT_SECONDS),
        AsyncCartesia(**options(host)) as found,
        found.tts.websocket_connect() as connection,
    ):
        yield connection


def pcm_of(events) -> bytes:
    return b"".join(event.audio for event in events if event.type == "chunk")


def words_of(events) -> list[str]:
    return [word for event in events if event.type == "timestamps" for word in event.word_timestamps.words]


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_bytes_are_a_whole_text(host):
    audio = client(host).tts.generate(transcript=SECOND_TURN, **ASKED).read()
    assert_heard(SECOND_TURN, samples_of(audio), 24_000)


@pytest.mark.parametrize(
    "format",
    [
        {"container": "wav", "encoding": "pcm_f32le", "sample_rate": 44_100},
        {"container": "wav", "encoding": "pcm_s16le", "sample_rate": 16_000},
        {"container": "wav", "encoding": "pcm_mulaw", "sample_rate": 8_000},
        {"container": "mp3", "bit_rate": 128_000, "sample_rate": 44_100},
    ],
)
def test_containers_hold_the_same_speech(host, format):
    speech = client(host).tts
    raw = speech.generate(transcript=SHORT, **ASKED).read()
    samples, rate = decoded(speech.generate(transcript=SHORT, **(ASKED | {"output_format": format})).read())
    assert rate == format["sample_rate"]
    assert len(samples) / rate == pytest.approx(len(raw) / 48_000, abs=0.3)
    assert 0.05 < np.abs(samples).max() <= 1


@pytest.mark.parametrize(
    ("encoding", "rate", "sample_bytes"),
    [("pcm_f32le", 44_100, 4), ("pcm_mulaw", 8000, 1), ("pcm_alaw", 16_000, 1), ("pcm_s16le", 8000, 2)],
)
def test_raw_formats_have_the_bytes_they_should(host, encoding, rate, sample_bytes):
    format = {"container": "raw", "encoding": encoding, "sample_rate": rate}
    audio = client(host).tts.generate(transcript=SHORT, **(ASKED | {"output_format": format})).read()
    assert 1 < len(audio) / (rate * sample_bytes) < 5
    assert len(audio) % sample_bytes == 0


def test_the_voice_of_its_examples_works_by_its_id_alone(host):
    asked = ASKED | {"voice": "6ccbfb76-1fc6-48f7-b71d-91ac6298247b", "model_id": "sonic-latest"}
    assert len(client(host).tts.generate(transcript=SHORT, language="en", **asked).read()) > 24_000


def test_speed_is_heard(host):
    speech = client(host).tts
    slow = speech.generate(transcript=SECOND_TURN, generation_config={"speed": 0.8}, **ASKED).read()
    fast = speech.generate(transcript=SECOND_TURN, speed="fast", **ASKED).read()
    assert len(slow) > 1.2 * len(fast)


@pytest.mark.asyncio
async def test_whoever_stops_reading_stops_generation(host):
    before = await settled(host)
    async with (
        AsyncCartesia(**options(host)) as found,
        found.tts.with_streaming_response.generate(transcript=LONG_TURN, **ASKED) as response,
    ):
        assert await anext(aiter(response.iter_bytes()))
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 40


# -- server-sent events -----------------------------------------------------------------------------------------------


def test_events_hold_audio_and_times(host):
    events = list(
        client(host).tts.generate_sse(
            transcript=SECOND_TURN, add_timestamps=True, add_phoneme_timestamps=True, context_id="mine", **ASKED
        )
    )
    assert events[-1].type == "done"
    assert all(event.context_id == "mine" for event in events)
    assert words_of(events) == SECOND_TURN.split()
    assert any(event.type == "phoneme_timestamps" and event.phoneme_timestamps.phonemes for event in events)
    assert_heard(SECOND_TURN, samples_of(pcm_of(events)), 24_000)


@pytest.mark.asyncio
async def test_events_come_to_the_async_client_too(host):
    async with AsyncCartesia(**options(host)) as found:
        events = [event async for event in await found.tts.generate_sse(transcript=SHORT, **ASKED)]
    assert {event.type for event in events} == {"chunk", "done"}


# -- WebSocket --------------------------------------------------------------------------------------------------------


def test_a_context_speaks_while_text_still_comes(host):
    with client(host).tts.websocket_connect() as connection:
        context = connection.context(timeout=PATIENT_SECONDS, add_timestamps=True, **ASKED)
        for token in tokens(TURN):
            context.push(token)
        received = context.receive()
        events = [next(event for event in received if event.type == "chunk")]
        for token in tokens(" " + SECOND_TURN):
            context.push(token)
        context.no_more_inputs()
        events += received
    assert events[-1].type == "done"
    assert_heard(f"{TURN} {SECOND_TURN}", samples_of(pcm_of(events)), 24_000)
    starts = [at for event in events if event.type == "timestamps" for at in event.word_timestamps.start]
    assert starts == sorted(starts)
    assert starts[-1] < len(pcm_of(events)) / 48_000


def test_one_connection_speaks_one_turn_after_another_in_the_default_format(host):
    with client(host).tts.websocket_connect() as connection:
        for text in (SHORT, SECOND_TURN):
            context = connection.context(timeout=PATIENT_SECONDS)
            context.send(transcript=text, voice=HEART, continue_=False)
            audio = pcm_of(context.receive())
    assert_heard(SECOND_TURN, np.frombuffer(audio, "<f4"), 44_100)


def test_flushes_part_the_audio(host):
    with client(host).tts.websocket_connect() as connection:
        context = connection.context(timeout=PATIENT_SECONDS, add_timestamps=True, **ASKED)
        context.push("The first one.", flush=True)
        context.push("The second one.", flush=True)
        context.no_more_inputs()
        events = list(context.receive())
    assert [event.flush_id for event in events if event.type == "flush_done"] == [1, 2]
    assert words_of(events) == ["The", "first", "one.", "The", "second", "one."]
    parts = [[e for e in events if e.type == "chunk" and e.flush_id == number] for number in (1, 2)]
    assert all(len(pcm_of(part)) > 24_000 for part in parts)


@pytest.mark.asyncio
async def test_contexts_speak_side_by_side(host):
    async with async_connection(host) as connection:
        contexts = [connection.context(timeout=PATIENT_SECONDS, **ASKED) for _ in range(3)]
        connection._dispatch_listener()
        for context in contexts:
            await context.push(SHORT, continue_=False)

        async def heard(context) -> bytes:
            return pcm_of([event async for event in context.receive()])

        found = await asyncio.gather(*map(heard, contexts))
    assert all(48_000 < len(pcm) < 240_000 for pcm in found)


@pytest.mark.asyncio
async def test_a_cancelled_context_stops_and_the_next_one_speaks(host):
    before = await settled(host)
    async with async_connection(host) as connection:
        connection._dispatch_listener()
        context = connection.context(timeout=PATIENT_SECONDS, **ASKED)
        await context.push(LONG_TURN, continue_=False)
        async for event in context.receive():
            assert event.type == "chunk"
            break
        await context.cancel()
        after = await settled(host, sessions=1)
        assert after.cancelled > before.cancelled
        assert after.audio_seconds - before.audio_seconds < 30
        again = connection.context(timeout=PATIENT_SECONDS, **ASKED)
        await again.push(SECOND_TURN, continue_=False)
        pcm = pcm_of([event async for event in again.receive()])
    assert_heard(SECOND_TURN, samples_of(pcm), 24_000)
    await settled(host)


def test_a_cancelled_context_does_not_end_the_next(host):
    with client(host).tts.websocket_connect() as connection:
        context = connection.context(timeout=PATIENT_SECONDS, **ASKED)
        context.push(LONG_TURN, continue_=False)
        next(context.receive())
        context.cancel()
        again = connection.context(timeout=PATIENT_SECONDS, **ASKED)
        again.push(SHORT, continue_=False)
        mine = [event for event in again.receive() if event.context_id == again._context_id]
    assert mine[-1].type == "done"
    assert len(pcm_of(mine)) > 48_000


@pytest.mark.asyncio
async def test_a_connection_that_is_left_stops_generation(host):
    before = await settled(host)
    async with async_connection(host) as connection:
        connection._dispatch_listener()
        context = connection.context(timeout=PATIENT_SECONDS, **ASKED)
        await context.push(LONG_TURN, continue_=False)
        await anext(context.receive())
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 30


# -- voices and errors ------------------------------------------------------------------------------------------------


def test_voices_are_listed_page_by_page_and_found(host):
    voices = client(host).voices
    listed = [voice.id for voice in itertools.islice(voices.list(limit=1), 50)]
    assert len(listed) == len(set(listed))
    assert "heart" in listed
    assert voices.get("heart").name == "heart"
    with pytest.raises(NotFoundError):
        voices.get("nobody")


def test_a_wrong_key_is_the_clients_own_error(locked_host, api_key):
    assert len(client(locked_host, api_key).tts.generate(transcript=SHORT, **ASKED).read()) > 24_000
    wrong = client(locked_host, "vw_wrong")
    with pytest.raises(AuthenticationError):
        wrong.tts.generate(transcript=SHORT, **ASKED)
    with pytest.raises(websockets.InvalidStatus) as refused, wrong.tts.websocket_connect():
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"voice": {"mode": "id", "id": "nobody"}}, NotFoundError),
        ({"model_id": "no-such-model"}, NotFoundError),
        ({"output_format": RAW | {"encoding": "pcm_s24le"}}, BadRequestError),
        ({"transcript": " "}, BadRequestError),
        ({"transcript": "x" * 900_000}, Exception),
    ],
)
def test_mistakes_are_the_clients_own_errors(host, wrong, error):
    with pytest.raises(error) as refused:
        client(host).tts.generate(**({"transcript": SHORT} | ASKED | wrong))
    assert refused.value.body["error_code"]
    with pytest.raises(error):
        list(client(host).tts.generate_sse(**({"transcript": SHORT} | ASKED | wrong)))


def test_a_mistake_on_the_connection_is_an_event_and_the_next_context_speaks(host):
    with client(host).tts.websocket_connect() as connection:
        context = connection.context(timeout=PATIENT_SECONDS, **(ASKED | {"voice": "nobody"}))
        context.push(SHORT)
        (event,) = context.receive()
        assert (event.type, event.done, event.status_code) == ("error", False, 404)
        assert "heart" in event.message
        again = connection.context(timeout=PATIENT_SECONDS, **ASKED)
        again.push(SHORT, continue_=False)
        assert len(pcm_of(again.receive())) > 48_000
