"""The deepgram SDK: speak.v1 and speak.v2, over HTTP and WebSocket, sync and async."""

from __future__ import annotations

import asyncio
import io
import wave

import pytest
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.errors import BadRequestError
from deepgram.speak.v1.types import SpeakV1Flushed, SpeakV1Metadata, SpeakV1Text
from deepgram.speak.v2.types import (
    SpeakV2Configure,
    SpeakV2Connected,
    SpeakV2Flushed,
    SpeakV2Interrupt,
    SpeakV2InterruptPlaybackOffset,
    SpeakV2Speak,
    SpeakV2SpeechMetadata,
    SpeakV2SpeechStarted,
)
from websockets.exceptions import InvalidStatus

from support.decoding import decoded
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, samples_of, settled, tokens

MODEL = "aura-2-thalia-en"
FLUX = "flux-alexis-en"
RATE = 24_000
PATIENT_SECONDS = 60


def environment(host) -> DeepgramClientEnvironment:
    sockets = host.http.replace("http", "ws")
    return DeepgramClientEnvironment(base=host.http, production=sockets, agent=sockets, agent_rest=host.http)


def client(host, key: str = "unused") -> DeepgramClient:
    return DeepgramClient(api_key=key, environment=environment(host), timeout=PATIENT_SECONDS)


def async_client(host, key: str = "unused") -> AsyncDeepgramClient:
    return AsyncDeepgramClient(api_key=key, environment=environment(host), timeout=PATIENT_SECONDS)


async def until(connection, kind: str) -> tuple[bytes, list]:
    """Audio and messages up to the first of a type, that one included. (A Cleared comes as a `SpeakV1Flushed`.)"""
    pcm, messages = b"", []
    async with asyncio.timeout(PATIENT_SECONDS):
        async for message in connection:
            if isinstance(message, bytes):
                pcm += message
                continue
            messages.append(message)
            if message.type == kind:
                return pcm, messages
    raise AssertionError(f"closed after {messages}")


# -- HTTP -------------------------------------------------------------------------------------------------------------


def test_the_default_is_mp3(host):
    samples, rate = decoded(b"".join(client(host).speak.v1.audio.generate(text=SECOND_TURN, model=MODEL)))
    assert rate == 22_050
    assert_heard(SECOND_TURN, samples, rate)


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({"encoding": "mp3", "bit_rate": 32_000}, 22_050),
        ({"encoding": "opus"}, 48_000),
        ({"encoding": "opus", "container": "ogg", "bit_rate": 24_000}, 48_000),
        ({"encoding": "aac"}, 22_050),
        ({"encoding": "flac", "sample_rate": 16_000}, 16_000),
        ({"encoding": "linear16", "sample_rate": 48_000}, 48_000),
        ({"encoding": "mulaw", "container": "wav"}, 8000),
    ],
)
def test_every_encoding_holds_the_whole_text(host, options, rate):
    audio = client(host).speak.v1.audio.generate(text="Hello there, my friend.", model=MODEL, **options)
    samples, found = decoded(b"".join(audio))
    assert found == rate
    assert 1 < len(samples) / rate < 3


def test_linear16_comes_in_wav_unless_told_otherwise(host):
    speech = client(host).speak.v1.audio
    whole = b"".join(speech.generate(text="Hello there.", encoding="linear16", sample_rate=16_000.0))
    with wave.open(io.BytesIO(whole)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
    raw = b"".join(speech.generate(text="Hello there.", encoding="linear16", container="none"))
    assert not raw.startswith(b"RIFF")
    assert 0.4 < len(raw) / 48_000 < 3


def test_headers_tell_of_the_request(host):
    with client(host).speak.v1.audio.with_raw_response.generate(text="Hello there.", model=MODEL) as response:
        assert b"".join(response.data)
        assert response.headers["dg-model-name"] == MODEL
        assert response.headers["dg-char-count"] == "12"
        assert len(response.headers["dg-request-id"]) == 36


@pytest.mark.asyncio
async def test_the_async_client_gets_audio_piece_by_piece(host):
    pieces = [
        piece
        async for piece in async_client(host).speak.v2.audio.generate(
            text=TURN, model=FLUX, encoding="linear16", container="none"
        )
    ]
    assert len(pieces) > 1
    assert_heard(TURN, samples_of(b"".join(pieces)), RATE)


@pytest.mark.asyncio
async def test_a_reader_that_goes_away_stops_generation(host):
    before = await settled(host)
    stream = async_client(host).speak.v1.audio.generate(
        text=LONG_TURN, model=MODEL, encoding="linear16", container="none"
    )
    await anext(stream)
    await stream.aclose()
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 60


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "nobody"}, "heart"),
        ({"model": "aura-2-celeste-es"}, "language"),
        ({"encoding": "wma"}, "linear16"),
        ({"encoding": "linear16", "sample_rate": 12_345}, "12345"),
        ({"encoding": "linear16", "container": "ogg"}, "wav"),
        ({"encoding": "mp3", "bit_rate": 1}, "bit_rate"),
        ({"speed": 3.0}, "speed"),
        ({"text": "   "}, "empty"),
        ({"callback": "http://127.0.0.1/"}, "callback"),
    ],
)
def test_what_can_not_be_done_is_a_bad_request_that_says_why(host, options, told):
    with pytest.raises(BadRequestError) as refused:
        list(client(host).speak.v1.audio.generate(**({"text": "Hello."} | options)))
    assert told in refused.value.body["err_msg"]
    assert set(refused.value.body) == {"err_code", "err_msg", "request_id"}


def test_too_much_text_is_an_api_error(host):
    with pytest.raises(ApiError) as refused:
        list(client(host).speak.v1.audio.generate(text="word " * 200_000))
    assert refused.value.status_code == 413
    assert refused.value.body["err_code"] == "PAYLOAD_TOO_LARGE"


def test_a_wrong_key_is_an_api_error(locked_host):
    with pytest.raises(ApiError) as refused:
        list(client(locked_host, "wrong").speak.v1.audio.generate(text="Hello."))
    assert refused.value.status_code == 401
    assert refused.value.body["err_code"] == "INVALID_AUTH"


def test_a_right_key_is_let_in_as_token_and_as_bearer(locked_host, api_key):
    assert b"".join(client(locked_host, api_key).speak.v1.audio.generate(text="Hello."))
    bearer = DeepgramClient(access_token=api_key, environment=environment(locked_host))
    assert b"".join(bearer.speak.v1.audio.generate(text="Hello."))


# -- /v1/speak ---------------------------------------------------------------------------------------------------------


def test_the_sync_client_says_all_it_has_and_then_listens(host):
    pcm, messages = [], []
    with client(host).speak.v1.connect(model=MODEL, encoding="linear16", sample_rate=24_000) as connection:
        connection.on(EventType.MESSAGE, lambda m: (pcm if isinstance(m, bytes) else messages).append(m))
        for token in tokens(TURN):
            connection.send_text(SpeakV1Text(text=token))
        connection.send_flush()
        connection.send_close()
        connection.start_listening()
    assert_heard(TURN, samples_of(b"".join(pcm)), RATE)
    assert [type(m) for m in messages] == [SpeakV1Metadata, SpeakV1Flushed]
    assert messages[0].model_name == MODEL


@pytest.mark.asyncio
async def test_audio_comes_before_the_flush_and_two_turns_go_over_one_connection(host):
    async with async_client(host).speak.v1.connect(model=MODEL, encoding="linear16") as connection:
        await connection.send_text(SpeakV1Text(text="The box was thrown beside the parked truck. The hogs were fed "))
        early = b""
        while not early:
            message = await connection.recv()
            early = message if isinstance(message, bytes) else b""
        await connection.send_text(SpeakV1Text(text="chopped corn and garbage."))
        await connection.send_flush()
        pcm, messages = await until(connection, "Flushed")
        whole = "The box was thrown beside the parked truck. The hogs were fed chopped corn and garbage."
        assert_heard(whole, samples_of(early + pcm), RATE)
        assert messages[-1].sequence_id == 0
        await connection.send_text(SpeakV1Text(text=SECOND_TURN))
        await connection.send_flush()
        pcm, messages = await until(connection, "Flushed")
        assert_heard(SECOND_TURN, samples_of(pcm), RATE)
        assert messages[-1].sequence_id == 1


@pytest.mark.asyncio
async def test_a_clear_stops_generation_and_nothing_stale_follows(host):
    before = await settled(host)
    async with async_client(host).speak.v1.connect(model=MODEL, encoding="linear16") as connection:
        await connection.send_text(SpeakV1Text(text=LONG_TURN))
        await connection.send_flush()
        while not isinstance(await connection.recv(), bytes):
            pass
        await connection.send_clear()
        _, messages = await until(connection, "Cleared")
        assert [m.type for m in messages] == ["Cleared"]
        after = await settled(host, sessions=1)
        assert after.cancelled > before.cancelled or after.submitted - before.submitted <= 3
        assert after.audio_seconds - before.audio_seconds < 30
        await connection.send_text(SpeakV1Text(text="Now something else entirely."))
        await connection.send_flush()
        pcm, messages = await until(connection, "Flushed")
        assert [m.type for m in messages] == ["Flushed"]
    assert_heard("Now something else entirely.", samples_of(pcm), RATE, word_errors_max=0.3)


@pytest.mark.asyncio
async def test_a_wrong_key_at_the_handshake_is_an_api_error(locked_host):
    for connect in (async_client(locked_host, "wrong").speak.v1, async_client(locked_host, "wrong").speak.v2):
        with pytest.raises(ApiError) as refused:
            async with connect.connect(model=MODEL):
                pass
        assert refused.value.status_code == 401


def test_a_wrong_key_at_the_sync_handshake_is_what_websockets_raises(locked_host):
    with pytest.raises(InvalidStatus) as refused, client(locked_host, "wrong").speak.v1.connect(model=MODEL):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.asyncio
async def test_an_unknown_model_at_the_handshake_is_an_api_error(host):
    with pytest.raises(ApiError) as refused:
        async with async_client(host).speak.v1.connect(model="nobody"):
            pass
    assert refused.value.status_code == 400


# -- /v2/speak ---------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_turns_are_distinguished_and_spoken_one_after_the_other(host):
    async with async_client(host).speak.v2.connect(model=FLUX, encoding="linear16") as connection:
        for text in (SECOND_TURN, "And a second turn."):
            for token in tokens(text):
                await connection.send_speak(SpeakV2Speak(text=token))
            await connection.send_flush()
        pcm, messages = await until(connection, "Flushed")
        assert [type(m) for m in messages] == [
            SpeakV2Connected,
            SpeakV2SpeechStarted,
            SpeakV2SpeechMetadata,
            SpeakV2Flushed,
        ]
        assert len({m.speech_id for m in messages[1:]}) == 1
        assert messages[2].input_character_count == len(SECOND_TURN)
        assert messages[2].audio_duration_ms == len(pcm) // 48
        assert_heard(SECOND_TURN, samples_of(pcm), RATE)
        second, messages = await until(connection, "Flushed")
        assert [type(m) for m in messages] == [SpeakV2SpeechStarted, SpeakV2SpeechMetadata, SpeakV2Flushed]
        await connection.send_close()
        _, messages = await until(connection, "SessionMetadata")
        assert messages[-1].total_audio_duration_ms == len(pcm + second) // 48
        with pytest.raises(Exception, match="1000"):
            await connection.recv()


@pytest.mark.asyncio
async def test_an_interrupt_tells_what_was_heard_and_stops_generation(host):
    before = await settled(host)
    async with async_client(host).speak.v2.connect(model=FLUX, encoding="linear16") as connection:
        await connection.send_speak(SpeakV2Speak(text="A short turn first."))
        await connection.send_flush()
        first, _ = await until(connection, "Flushed")
        await connection.send_speak(SpeakV2Speak(text=LONG_TURN))
        pcm = b""
        while len(pcm) < 48 * 2500:
            message = await connection.recv()
            pcm += message if isinstance(message, bytes) else b""
        offset_ms = len(first) // 48 + 2000
        offset = SpeakV2InterruptPlaybackOffset(value=offset_ms)
        await connection.send_interrupt(SpeakV2Interrupt(playback_offset=offset))
        _, messages = await until(connection, "SpeechInterrupted")
        report = messages[-1]
        assert report.audio_played_ms == offset_ms
        assert report.text_spoken + report.text_remaining == LONG_TURN
        assert "birch canoe".split() == report.text_spoken.split()[1:3]
        assert "background" in report.text_remaining.split(".")[0] + report.text_remaining
        after = await settled(host, sessions=1)
        assert after.audio_seconds - before.audio_seconds < 30
        await connection.send_interrupt()
        _, messages = await until(connection, "Warning")
        assert messages[-1].code == "NO_ACTIVE_SPEECH"
        await connection.send_speak(SpeakV2Speak(text="Now something else entirely."))
        await connection.send_flush()
        pcm, messages = await until(connection, "Flushed")
    assert_heard("Now something else entirely.", samples_of(pcm), RATE, word_errors_max=0.3)


@pytest.mark.asyncio
async def test_a_new_speed_holds_from_the_next_turn_on(host):
    lengths = []
    async with async_client(host).speak.v2.connect(model=FLUX, encoding="linear16") as connection:
        for speed in (1.5, 0.7):
            await connection.send_configure(SpeakV2Configure(speed=speed))
            _, messages = await until(connection, "ConfigureSuccess")
            assert messages[-1].applied.speed == speed
            await connection.send_speak(SpeakV2Speak(text="The birch canoe slid on the smooth planks."))
            await connection.send_flush()
            pcm, _ = await until(connection, "Flushed")
            lengths.append(len(pcm))
    assert lengths[0] < 0.7 * lengths[1]
