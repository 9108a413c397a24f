"""The elevenlabs SDK."""

from __future__ import annotations

import asyncio
import base64
import itertools

import pytest
from elevenlabs import VoiceSettings
from elevenlabs.client import AsyncElevenLabs, ElevenLabs
from elevenlabs.core.api_error import ApiError

from support.decoding import decoded
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, samples_of, settled, tokens

PATIENT_SECONDS = 30


def client(host, key: str = "unused") -> ElevenLabs:
    found = ElevenLabs(base_url=host.http, api_key=key, timeout=PATIENT_SECONDS)
    # The SDK always asks for wss; there is no certificate on loopback.
    found.text_to_speech._ws_base_url = host.http.replace("http", "ws")
    return found


def test_convert_speaks_a_whole_text_in_the_default_format(host):
    samples, rate = decoded(b"".join(client(host).text_to_speech.convert("heart", text=SECOND_TURN)))
    assert rate == 44_100
    assert_heard(SECOND_TURN, samples, rate)


def test_the_voice_and_model_of_its_examples_work(host):
    audio = client(host).text_to_speech.convert(
        "JBFqnCBsd6RMkjVDRZzb",
        text="Hello there, my friend.",
        model_id="eleven_multilingual_v2",
        output_format="mp3_44100_128",
        voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.7, style=0.1, use_speaker_boost=True),
    )
    samples, rate = decoded(b"".join(audio))
    assert 1 < len(samples) / rate < 5


def test_stream_gives_audio_piece_by_piece(host):
    pieces = list(client(host).text_to_speech.stream("heart", text=TURN, output_format="pcm_16000"))
    assert len(pieces) > 1
    assert_heard(TURN, samples_of(b"".join(pieces)), 16_000)


@pytest.mark.parametrize(
    ("format", "bytes_per_second"),
    [("pcm_8000", 16_000), ("ulaw_8000", 8000), ("alaw_8000", 8000), ("pcm_48000", 96_000)],
)
def test_raw_formats_have_the_bytes_they_should(host, format, bytes_per_second):
    audio = b"".join(client(host).text_to_speech.convert("heart", text="Hello there, my friend.", output_format=format))
    assert 1 < len(audio) / bytes_per_second < 5


@pytest.mark.parametrize("format", ["mp3_22050_32", "opus_48000_64", "wav_24000"])
def test_containers_hold_the_same_speech(host, format):
    speech = client(host).text_to_speech
    raw = b"".join(speech.convert("heart", text="Hello there, my friend.", output_format="pcm_24000", seed=3))
    samples, rate = decoded(
        b"".join(speech.convert("heart", text="Hello there, my friend.", output_format=format, seed=3))
    )
    assert len(samples) / rate == pytest.approx(len(raw) / 48_000, abs=0.15)


def test_the_same_seed_gives_the_same_speech(host):
    speech = client(host).text_to_speech
    one, other = (
        b"".join(speech.convert("heart", text="Hello there.", output_format="pcm_24000", seed=5)) for _ in range(2)
    )
    assert one == other


def test_convert_with_timestamps_times_every_character(host):
    answer = client(host).text_to_speech.convert_with_timestamps("heart", text=TURN, output_format="pcm_24000")
    seconds = len(base64.b64decode(answer.audio_base_64)) / 48_000
    times = answer.alignment
    assert "".join(times.characters) == TURN
    assert times.character_end_times_seconds[-1] == pytest.approx(seconds, abs=0.01)
    starts = times.character_start_times_seconds
    assert all(a <= b for a, b in itertools.pairwise(starts))
    assert answer.normalized_alignment == times


def test_stream_with_timestamps_times_what_it_gives(host):
    chunks = list(client(host).text_to_speech.stream_with_timestamps("heart", text=TURN, output_format="pcm_24000"))
    assert len(chunks) > 2
    assert "".join(char for chunk in chunks if chunk.alignment for char in chunk.alignment.characters) == TURN
    audio = b"".join(base64.b64decode(chunk.audio_base_64) for chunk in chunks)
    ends = [chunk.alignment.character_end_times_seconds[-1] for chunk in chunks if chunk.alignment]
    assert ends[-1] == pytest.approx(len(audio) / 48_000, abs=0.01)


def test_convert_realtime_speaks_while_text_still_comes(host):
    heard = []
    typed_after_audio = []

    def text():
        # The SDK reads at most one message a token, so the second half comes when the first is being heard.
        yield from tokens(TURN)
        for token in tokens(" " + SECOND_TURN):
            typed_after_audio.append(bool(heard))
            yield token

    for piece in client(host).text_to_speech.convert_realtime(
        "heart", text=text(), model_id="eleven_flash_v2_5", output_format="pcm_24000"
    ):
        heard.append(piece)
    assert any(typed_after_audio)
    assert_heard(f"{TURN} {SECOND_TURN}", samples_of(b"".join(heard)), 24_000)


def test_convert_realtime_in_its_default_format(host):
    speech = client(host).text_to_speech
    audio = b"".join(
        speech.convert_realtime("heart", text=iter(tokens(SECOND_TURN)), voice_settings=VoiceSettings(speed=1.1))
    )
    assert_heard(SECOND_TURN, *decoded(audio))


@pytest.mark.asyncio
async def test_whoever_stops_listening_stops_generation(host):
    before = await settled(host)

    def hear_a_little() -> None:
        stream = client(host).text_to_speech.convert_realtime(
            "heart", text=iter([LONG_TURN + " "]), output_format="pcm_24000"
        )
        next(stream)
        stream.close()

    await asyncio.to_thread(hear_a_little)
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 30


@pytest.mark.asyncio
async def test_a_request_that_is_dropped_stops_generation(host):
    before = await settled(host)
    speech = AsyncElevenLabs(base_url=host.http, api_key="unused").text_to_speech
    stream = speech.stream("heart", text=LONG_TURN, output_format="pcm_24000")
    await anext(stream)
    await stream.aclose()
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 60


@pytest.mark.asyncio
async def test_the_async_client_speaks_too(host):
    speech = AsyncElevenLabs(base_url=host.http, api_key="unused").text_to_speech
    audio = b"".join([piece async for piece in speech.convert("heart", text="Hello there.", output_format="pcm_24000")])
    assert 0.5 < len(audio) / 48_000 < 4


def test_voices_are_listed_searched_and_found(host):
    voices = client(host).voices
    assert "heart" in [voice.voice_id for voice in voices.get_all().voices]
    found = voices.search(search="hea")
    assert [voice.name for voice in found.voices] == ["heart"]
    assert not found.has_more
    assert voices.get("heart").labels["gender"] == "female"


# -- errors ------------------------------------------------------------------------------------------------------------


def refused(call) -> ApiError:
    with pytest.raises(ApiError) as error:
        call()
    return error.value


def test_a_wrong_key_is_an_api_error(locked_host):
    wrong = client(locked_host, "vw_wrong")
    error = refused(lambda: b"".join(wrong.text_to_speech.convert("heart", text="Hello.")))
    assert (error.status_code, error.body["detail"]["status"]) == (401, "invalid_api_key")
    assert refused(wrong.voices.get_all).status_code == 401
    error = refused(lambda: list(wrong.text_to_speech.convert_realtime("heart", text=iter(["Hello there."]))))
    assert error.status_code == 1008


def test_the_right_key_is_let_in(locked_host, api_key):
    right = client(locked_host, api_key)
    assert right.voices.get_all().voices
    speech = right.text_to_speech
    assert b"".join(speech.convert_realtime("heart", text=iter(["Hello there."]), output_format="pcm_24000"))


def test_an_unknown_voice_is_an_api_error(host):
    error = refused(lambda: b"".join(client(host).text_to_speech.convert("nobody", text="Hello.")))
    assert (error.status_code, error.body["detail"]["status"]) == (404, "voice_not_found")
    assert "heart" in error.body["detail"]["message"]
    error = refused(lambda: list(client(host).text_to_speech.convert_realtime("nobody", text=iter(["Hello there."]))))
    assert error.status_code == 1008
    assert refused(lambda: client(host).voices.get("nobody")).status_code == 404


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ({"output_format": "pcm_11025"}, 400, "invalid_output_format"),
        ({"model_id": "gpt-5"}, 400, "model_not_found"),
        ({"text": ""}, 400, "input_text_empty"),
        ({"text": " \n"}, 400, "input_text_empty"),
        ({"language_code": "ja"}, 400, "unsupported_language"),
        ({"text": "word " * 12_000}, 413, "max_character_limit_exceeded"),
    ],
)
def test_what_can_not_be_had_is_an_api_error(host, options, status, word):
    wanted = {"text": "Hello.", "output_format": "pcm_24000"} | options
    error = refused(lambda: b"".join(client(host).text_to_speech.convert("heart", **wanted)))
    assert (error.status_code, error.body["detail"]["status"]) == (status, word)


def test_a_field_of_the_wrong_kind_is_unprocessable(host):
    settings = VoiceSettings(speed=9.0)
    error = refused(lambda: b"".join(client(host).text_to_speech.convert("heart", text="Hi.", voice_settings=settings)))
    assert error.status_code == 422
    assert error.body["detail"][0]["loc"] == ["body", "voice_settings", "speed"]


def test_text_that_can_not_be_spoken_gives_a_little_audio(host):
    for text in ("🙂", "..."):
        audio = b"".join(client(host).text_to_speech.convert("heart", text=text, output_format="pcm_24000"))
        assert 0 < len(audio) < 48_000
        audio = list(
            client(host).text_to_speech.convert_realtime("heart", text=iter([text]), output_format="pcm_24000")
        )
        assert audio
