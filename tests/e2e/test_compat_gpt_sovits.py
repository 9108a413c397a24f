"""GPT-SoVITS' api_v2 over HTTP, as its clients speak it: every one sends reference audio, most of them JSON."""

from __future__ import annotations

import asyncio
import io
import wave

import av
import httpx
import numpy as np
import pytest

from support.server import serving
from support.vendor_checks import LONG_TURN, assert_heard, samples_of, settled

RATE = 32_000
TEXT = "The juice of lemons makes fine punch. The box was thrown beside the parked truck."
VERY_LONG = " ".join([LONG_TURN] * 5)
"""Ten minutes."""


CHAT_BOT = {
    "text": TEXT,
    "text_lang": "en",
    "ref_audio_path": "E:\\voices\\archive_jingyuan_1.wav",
    "prompt_text": "我是「罗浮」云骑将军景元。",
    "prompt_lang": "zh",
    "top_k": 15,
    "top_p": 1.0,
    "temperature": 1.0,
    "text_split_method": "cut5",
    "batch_size": 1,
    "speed_factor": 1.0,
    "seed": -1,
    "media_type": "wav",
    "streaming_mode": False,
}
"""What bots and readers post."""

AVATAR = CHAT_BOT | {"media_type": "raw", "streaming_mode": True, "ref_audio_path": "refs/heart.wav"}
"""What a talking head posts: it plays the bytes at 32 kHz as they come."""


@pytest.fixture(scope="module")
def aliased():
    """A server whose operator named voices for recordings."""
    with serving(
        "scheduling.utilisation_max=100", "aliases.voices=archive_jingyuan_1=heart,refs/any*=heart"
    ) as running:
        yield running


def post(host, base: dict = CHAT_BOT, **fields) -> httpx.Response:
    return httpx.post(host.http + "/tts", json=base | fields, timeout=60)


def samples_in_wav(data: bytes) -> tuple[wave._wave_params, np.ndarray]:
    with wave.open(io.BytesIO(data)) as file:
        return file.getparams(), samples_of(file.readframes(file.getnframes()))


@pytest.mark.speech
def test_a_whole_wav_tells_its_length(aliased):
    answer = post(aliased)
    assert answer.headers["content-type"] == "audio/wav"
    assert int(answer.headers["content-length"]) == len(answer.content)
    shape, samples = samples_in_wav(answer.content)
    assert (shape.nchannels, shape.sampwidth, shape.framerate, shape.nframes) == (1, 2, RATE, len(samples))
    assert_heard(TEXT, samples, RATE)


@pytest.mark.speech
def test_a_streamed_body_is_samples_at_32_khz(aliased):
    with httpx.stream("POST", aliased.http + "/tts", json=AVATAR, timeout=60) as answer:
        assert answer.headers["content-type"] == "audio/raw"
        assert answer.headers["transfer-encoding"] == "chunked"
        parts = list(answer.iter_raw())
    assert len(parts) > 1
    assert_heard(TEXT, samples_of(b"".join(parts)), RATE)


def test_a_streamed_wav_is_a_header_and_then_the_same_samples(aliased):
    streamed = post(aliased, streaming_mode=3, seed=7).content
    whole = post(aliased, seed=7).content
    assert streamed[:4] == b"RIFF"
    assert streamed[44:] == whole[44:]


@pytest.mark.parametrize("streaming_mode", [False, True, 0, 1, 2, 3])
@pytest.mark.parametrize(("media_type", "codec"), [("wav", "pcm_s16le"), ("ogg", "opus"), ("aac", "aac")])
def test_every_media_type_holds_the_whole_text(aliased, media_type, codec, streaming_mode):
    seconds = len(post(aliased, AVATAR).content) / 2 / RATE
    answer = post(aliased, media_type=media_type, streaming_mode=streaming_mode)
    assert answer.headers["content-type"] == f"audio/{media_type}"
    assert ("content-length" in answer.headers) is not bool(streaming_mode)
    with av.open(io.BytesIO(answer.content)) as file:
        assert file.streams.audio[0].codec_context.name in (codec, f"lib{codec}")
        heard = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
    assert abs(heard - seconds) < 0.2


def test_get_takes_the_same_parameters(aliased):
    query = CHAT_BOT | {"streaming_mode": "true", "text": "Yes.", "media_type": "raw"}
    answer = httpx.get(aliased.http + "/tts", params=query, timeout=30)
    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    assert len(answer.content) > RATE // 2


@pytest.mark.parametrize(
    "recording", ["heart", "x/heart.wav", "alloy.mp3", "archive_jingyuan_1.v2.wav", "refs/any-1.wav"]
)
def test_a_recording_named_after_a_voice_stands_for_it(aliased, recording):
    answer = post(aliased, AVATAR, text="Yes.", ref_audio_path=recording)
    if recording == "archive_jingyuan_1.v2.wav":
        assert answer.status_code == 400
    else:
        assert answer.status_code == 200


def test_a_recording_that_names_no_voice_is_refused_with_the_voices_there_are(aliased):
    answer = post(aliased, ref_audio_path="somebody.wav")
    assert answer.status_code == 400
    told = answer.json()["message"]
    assert told.startswith("ref_audio_path: ")
    assert "'somebody'" in told
    assert "heart" in told
    assert "aliases.voices" in told


def test_a_named_voice_wins_over_a_recording(aliased):
    assert post(aliased, AVATAR, text="Yes.", voice="heart", ref_audio_path="somebody.wav").status_code == 200
    refused = post(aliased, voice="nobody")
    assert refused.status_code == 400
    assert "there are heart" in refused.json()["message"]


def test_a_seed_makes_the_same_audio_twice_and_speed_shortens_it(aliased):
    usual, again = (post(aliased, AVATAR, seed=3).content for _ in range(2))
    assert usual == again
    assert len(post(aliased, AVATAR, seed=3, speed_factor=1.5).content) < 0.8 * len(usual)


@pytest.mark.parametrize(
    ("fields", "status", "about"),
    [
        ({"text": ""}, 400, "text is required"),
        ({"text": None}, 400, "text is required"),
        ({"text": " \n"}, 400, "text is required"),
        ({"text_lang": "zh"}, 400, "'zh'"),
        ({"text_lang": "all_ja"}, 400, "'ja'"),
        ({"media_type": "mp3"}, 400, "wav, raw, ogg, aac"),
        ({"text_split_method": "cut6"}, 400, "cut0, cut1, cut2, cut3, cut4, cut5"),
        ({"streaming_mode": 4}, 400, "streaming_mode"),
        ({"speed_factor": 9}, 422, "speed_factor"),
        ({"top_k": "many"}, 422, "top_k"),
        ({"seed": -2}, 422, "seed"),
        ({"text": "word " * 20_000}, 400, "50000"),
        ({"text": "word " * 400_000}, 400, "bytes"),
    ],
)
def test_a_mistake_is_reported_as_a_message(aliased, fields, status, about):
    answer = post(aliased, **fields)
    assert answer.status_code == status
    assert about in answer.json()["message"]


@pytest.mark.parametrize("language", ["en", "EN", "auto", "all_en", "auto_yue"])
def test_a_language_that_the_voice_speaks_is_taken(aliased, language):
    assert post(aliased, AVATAR, text="Yes.", text_lang=language).status_code == 200


def test_a_body_that_is_no_json_is_reported(aliased):
    answer = httpx.post(aliased.http + "/tts", content=b"text=hello")
    assert answer.status_code == 400
    assert "JSON" in answer.json()["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/control?command=restart",
        "/control?command=exit",
        "/set_gpt_weights?weights_path=a.ckpt",
        "/set_sovits_weights?weights_path=b.pth",
        "/set_refer_audio?refer_audio_path=c.wav",
    ],
)
def test_commands_are_refused_and_change_nothing(aliased, path):
    answer = httpx.get(aliased.http + path)
    assert answer.status_code == 400
    assert answer.json()["message"]
    assert httpx.post(aliased.http + "/control", json={"command": "exit"}).status_code == 400
    assert httpx.get(aliased.http + "/ready").status_code == 200


def test_text_without_speech_is_a_fifth_of_a_second_of_silence(aliased):
    shape, samples = samples_in_wav(post(aliased, text="🙂").content)
    assert shape.nframes == RATE // 5
    assert not samples.any()


def test_a_client_that_leaves_while_it_waits_for_a_whole_body_cancels_its_requests(aliased):
    before = asyncio.run(settled(aliased))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            aliased.http + "/tts", json=CHAT_BOT | {"text": (LONG_TURN * 2)[:4900]}, timeout=httpx.Timeout(10, read=0.2)
        )
    after = asyncio.run(settled(aliased))
    assert after.audio_seconds - before.audio_seconds < 100


@pytest.mark.parametrize("media_type", ["wav", "raw", "aac"])
def test_a_client_that_leaves_a_stream_cancels_its_requests(aliased, media_type):
    before = asyncio.run(settled(aliased))
    asked = AVATAR | {"text": VERY_LONG, "media_type": media_type}
    with httpx.stream("POST", aliased.http + "/tts", json=asked, timeout=60) as answer:
        parts = answer.iter_raw()
        next(parts)
    after = asyncio.run(settled(aliased))
    assert after.cancelled > before.cancelled
    assert after.audio_seconds - before.audio_seconds < 60


def test_a_very_long_text_is_streamed_even_to_who_wants_it_whole(aliased):
    text = "word " * 1100
    with httpx.stream("POST", aliased.http + "/tts", json=CHAT_BOT | {"text": text}, timeout=60) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
    asyncio.run(settled(aliased))
