"""CosyVoice's routes over HTTP, as its clients speak them: forms, with GET as often as with POST."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from support.server import serving
from support.vendor_checks import LONG_TURN, assert_heard, samples_of, settled

TEXT = "The juice of lemons makes fine punch. The box was thrown beside the parked truck."
VERY_LONG = " ".join([LONG_TURN] * 5)
"""Ten minutes."""

RECORDING = b"RIFF" + bytes(200_000)
FIRST, SECOND = 22_050, 24_000


@pytest.fixture(scope="module")
def aliased():
    """A server whose operator named a voice for a recording."""
    with serving("scheduling.utilisation_max=100", "aliases.voices=zero_shot_prompt=heart") as running:
        yield running


def ask(host, route: str, method: str = "POST", files=None, **fields) -> httpx.Response:
    """A form; `requests` sends one with GET too, as the vendor's own client does."""
    with httpx.Client(timeout=60) as client:
        request = client.build_request("POST", f"{host.http}/{route}", data=fields, files=files)
        request.method = method
        return client.send(request)


@pytest.mark.speech
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_speaker_of_the_first_model_speaks_at_its_rate(aliased, method):
    answer = ask(aliased, "inference_sft", method, tts_text=TEXT, spk_id="中文女")
    assert answer.status_code == 200
    assert answer.headers["x-sample-rate"] == str(FIRST)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert_heard(TEXT, samples_of(answer.content), FIRST)


@pytest.mark.speech
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("route", ["inference_zero_shot", "inference_cross_lingual", "inference_instruct2"])
def test_a_recording_named_after_a_voice_stands_for_it(aliased, route, method):
    files = {"prompt_wav": ("zero_shot_prompt.wav", RECORDING, "application/octet-stream")}
    extra = {"prompt_text": "希望你以后能够做的比我还好呦。", "instruct_text": "Whisper."}
    answer = ask(aliased, route, method, files, tts_text=TEXT, **extra)
    assert answer.status_code == 200
    assert answer.headers["x-sample-rate"] == str(SECOND)
    if method == "POST":
        assert_heard(TEXT, samples_of(answer.content), SECOND)


def test_an_instruction_is_taken(aliased):
    answer = ask(aliased, "inference_instruct", tts_text="Yes.", spk_id="英文女", instruct_text="A rebel leader.")
    assert answer.status_code == 200
    assert answer.headers["x-sample-rate"] == str(FIRST)


def test_a_query_will_do_for_a_form(aliased):
    answer = httpx.get(f"{aliased.http}/inference_sft", params={"tts_text": "Yes.", "spk_id": "heart"})
    assert answer.status_code == 200
    assert len(answer.content) > FIRST // 2


def test_speed_and_sample_rate_can_be_asked_for(aliased):
    usual = ask(aliased, "inference_sft", tts_text=TEXT, spk_id="heart", sample_rate="48000")
    assert usual.headers["x-sample-rate"] == "48000"
    fast = ask(aliased, "inference_sft", tts_text=TEXT, spk_id="heart", sample_rate="48000", speed="1.5")
    assert len(fast.content) < 0.8 * len(usual.content)


def test_a_recording_that_names_no_voice_is_refused_with_the_voices_there_are(aliased):
    answer = ask(aliased, "inference_zero_shot", files={"prompt_wav": ("me.wav", RECORDING)}, tts_text=TEXT)
    assert answer.status_code == 400
    told = answer.json()["detail"]
    assert told.startswith("prompt_wav: ")
    assert "'me'" in told
    assert "heart" in told


def test_the_error_for_an_unknown_speaker_names_those_there_are(aliased):
    answer = ask(aliased, "inference_sft", tts_text=TEXT, spk_id="nobody")
    assert (answer.status_code, answer.json()) == (400, {"detail": "there is no voice 'nobody'; there are heart"})


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"tts_text": ""}, 422),
        ({"tts_text": " "}, 400),
        ({"tts_text": "x", "speed": "9"}, 422),
        ({"tts_text": "x", "speed": "fast"}, 422),
        ({"tts_text": "x", "sample_rate": "32000"}, 400),
        ({"tts_text": "word " * 20_000}, 400),
        ({"tts_text": "word " * 400_000}, 400),
    ],
)
def test_a_mistake_is_reported_as_detail(aliased, fields, status):
    answer = ask(aliased, "inference_sft", **({"spk_id": "heart"} | fields))
    assert answer.status_code == status
    detail = answer.json()["detail"]
    if status == 422:
        assert {"loc", "msg", "type"} == set(detail[0])
    else:
        assert detail


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"tts_text=x"),
        ("multipart/form-data; boundary=x", b"tts_text=x"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="tts_text"\r\n\r\nhello'),
        ("application/json", b'{"tts_text": "x"}'),
        ("", b"\xff"),
    ],
)
def test_a_body_that_is_no_form_is_reported(aliased, kind, body):
    answer = httpx.post(f"{aliased.http}/inference_sft", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_an_upload_without_end_is_refused(aliased):
    answer = ask(aliased, "inference_zero_shot", files={"prompt_wav": ("a.wav", bytes(40 << 20))}, tts_text="x")
    assert answer.status_code == 400
    assert "bytes" in answer.json()["detail"]


def test_text_without_speech_is_a_fifth_of_a_second_of_silence(aliased):
    assert ask(aliased, "inference_instruct2", tts_text="🙂", spk_id="heart").content == bytes(2 * SECOND // 5)


def test_a_client_that_leaves_a_stream_cancels_its_requests(aliased):
    before = asyncio.run(settled(aliased))
    asked = {"tts_text": VERY_LONG, "spk_id": "heart"}
    with httpx.stream("POST", f"{aliased.http}/inference_sft", data=asked, timeout=60) as answer:
        parts = answer.iter_raw()
        next(parts)
    after = asyncio.run(settled(aliased))
    assert after.cancelled > before.cancelled
    assert after.audio_seconds - before.audio_seconds < 60
