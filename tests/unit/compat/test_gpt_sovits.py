"""GPT-SoVITS' parameters, errors and audio, and voices by the names of recordings."""

from __future__ import annotations

import io
import json
import wave

import pytest

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers.plain import wav_header
from voxwire_server.compat.gpt_sovits.formats import SAMPLE_RATE, whole_body
from voxwire_server.compat.gpt_sovits.http import TtsRequest, check_request, http_error
from voxwire_server.compat.host import voice_of_recording
from voxwire_server.compat.parsing import validate
from voxwire_server.speech import Voice

HEART = Voice(name="heart", engine="hibari", languages=("en-us",))


class Engine:
    """The parts of an engine that are used here."""

    voices = (HEART,)


class Host:
    """A host with one voice, which has two aliases."""

    def find_voice(self, name: str) -> Voice | None:
        return HEART if name in ("heart", "alloy", "refs/a.wav") else None

    def engines(self) -> list[type[Engine]]:
        return [Engine]


def request_with(**fields) -> TtsRequest:
    return validate(TtsRequest, {"text": "x"} | fields, "body")


@pytest.mark.parametrize(
    ("path", "voice"),
    [
        ("heart", "heart"),
        ("heart.wav", "heart"),
        ("/srv/voices/alloy.mp3", "alloy"),
        ("E:\\voices\\heart.flac", "heart"),
        ("refs/a.wav", "refs/a.wav"),
    ],
)
def test_a_recording_can_name_a_voice(path, voice):
    assert voice_of_recording(Host(), "ref_audio_path", path) == voice


@pytest.mark.parametrize("path", ["a.wav", "heart/b.wav", ".wav", "/", "x" * 4096])
def test_a_recording_that_names_no_voice_is_refused(path):
    with pytest.raises(VoxwireError, match="there are heart") as refused:
        voice_of_recording(Host(), "ref_audio_path", path)
    assert refused.value.code is ErrorCode.UNKNOWN_VOICE
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("mode", [True, False, 0, 1, 2, 3, "true", "False", "0", "1", "2", "3"])
def test_every_streaming_mode_is_accepted(mode):
    assert check_request(request_with(streaming_mode=mode)) == "wav"


@pytest.mark.parametrize(
    ("mode", "streams"), [("false", False), ("0", False), ("1", True), ("true", True), ("3", True)]
)
def test_a_mode_in_a_query_is_parsed(mode, streams):
    assert bool(request_with(streaming_mode=mode).streaming_mode) is streams


@pytest.mark.parametrize("method", ["cut0", "cut1", "cut2", "cut3", "cut4", "cut5"])
def test_every_split_method_is_accepted(method):
    assert check_request(request_with(text_split_method=method)) == "wav"


@pytest.mark.parametrize(
    "fields",
    [
        {"text": ""},
        {"text": None},
        {"text": "\n"},
        {"text_split_method": "cut6"},
        {"text_split_method": ""},
        {"media_type": "flac"},
        {"streaming_mode": -1},
        {"streaming_mode": 4},
    ],
)
def test_an_invalid_parameter_is_refused_by_name(fields):
    with pytest.raises(VoxwireError) as refused:
        check_request(request_with(**fields))
    assert refused.value.details["field"] == next(iter(fields))
    assert http_error(refused.value).status_code == 400


@pytest.mark.parametrize(
    ("text_lang", "language"),
    [(None, None), ("", None), ("auto", None), ("auto_yue", None), ("EN", "en"), ("all_zh", "zh"), ("ja", "ja")],
)
def test_a_language_is_a_tag_or_the_voices_own(text_lang, language):
    assert request_with(text_lang=text_lang).language == language


def test_a_field_of_the_wrong_type_is_reported_as_fastapi_does():
    with pytest.raises(VoxwireError) as refused:
        request_with(top_k="many")
    answer = http_error(refused.value)
    body = json.loads(answer.body)
    assert answer.status_code == 422
    assert body["detail"][0]["loc"] == ["body", "top_k"]
    assert body["message"]


def test_a_whole_wav_is_the_streamed_one_with_its_length():
    samples = bytes(range(200))
    with wave.open(io.BytesIO(whole_body("wav", wav_header("pcm_s16le", SAMPLE_RATE) + samples))) as file:
        assert file.getnframes() == 100
        assert file.getframerate() == SAMPLE_RATE
        assert file.readframes(100) == samples


def test_a_whole_body_of_another_type_is_the_streamed_one():
    assert whole_body("raw", b"1234") == b"1234"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.UNKNOWN_VOICE, 400),
        (ErrorCode.TEXT_TOO_LONG, 400),
        (ErrorCode.NOT_AUTHENTICATED, 401),
        (ErrorCode.ENGINE_OVERLOADED, 503),
    ],
)
def test_an_error_of_the_client_has_another_status_than_one_of_the_server(code, status):
    answer = http_error(VoxwireError(code, "so it is"))
    assert (answer.status_code, json.loads(answer.body)) == (status, {"message": "so it is"})
