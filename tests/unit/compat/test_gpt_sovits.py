"""GPT-SoVITS' parameters, errors and audio, and recordings that stand for voices."""

from __future__ import annotations

import io
import json
import wave

import pytest

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers.wav import wav_header
from voxwire_server.compat.gpt_sovits.audio import SAMPLE_RATE, whole
from voxwire_server.compat.gpt_sovits.errors import http_error
from voxwire_server.compat.gpt_sovits.messages import TtsRequest, check
from voxwire_server.compat.operation import checked
from voxwire_server.compat.reference import voice_of_recording
from voxwire_server.speech import Voice

HEART = Voice(name="heart", engine="hibari", languages=("en-us",))


class Engine:
    """As much of an engine as is asked about."""

    voices = (HEART,)


class Host:
    """A host with one voice, which has two other names."""

    def find_voice(self, name: str) -> Voice | None:
        return HEART if name in ("heart", "alloy", "refs/a.wav") else None

    def engines(self) -> list[type[Engine]]:
        return [Engine]


def wanted(**fields) -> TtsRequest:
    return checked(TtsRequest, {"text": "x"} | fields, "body")


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
def test_a_recordings_name_stands_for_a_voice(path, voice):
    assert voice_of_recording(Host(), "ref_audio_path", path) == voice


@pytest.mark.parametrize("path", ["a.wav", "heart/b.wav", ".wav", "/", "x" * 4096])
def test_a_recording_that_stands_for_none_is_refused(path):
    with pytest.raises(VoxwireError, match="there are heart") as told:
        voice_of_recording(Host(), "ref_audio_path", path)
    assert told.value.code is ErrorCode.UNKNOWN_VOICE
    assert len(told.value.message) < 300


@pytest.mark.parametrize("mode", [True, False, 0, 1, 2, 3, "true", "False", "0", "1", "2", "3"])
def test_every_streaming_mode_is_taken(mode):
    assert check(wanted(streaming_mode=mode)) == "wav"


@pytest.mark.parametrize(
    ("mode", "streams"), [("false", False), ("0", False), ("1", True), ("true", True), ("3", True)]
)
def test_a_mode_in_a_query_means_what_it_says(mode, streams):
    assert bool(wanted(streaming_mode=mode).streaming_mode) is streams


@pytest.mark.parametrize("method", ["cut0", "cut1", "cut2", "cut3", "cut4", "cut5"])
def test_every_way_to_split_is_taken(method):
    assert check(wanted(text_split_method=method)) == "wav"


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
def test_what_makes_no_sense_is_refused_by_name(fields):
    with pytest.raises(VoxwireError) as told:
        check(wanted(**fields))
    assert told.value.details["field"] == next(iter(fields))
    assert http_error(told.value).status_code == 400


@pytest.mark.parametrize(
    ("text_lang", "language"),
    [(None, None), ("", None), ("auto", None), ("auto_yue", None), ("EN", "en"), ("all_zh", "zh"), ("ja", "ja")],
)
def test_a_language_is_a_tag_or_left_to_the_voice(text_lang, language):
    assert wanted(text_lang=text_lang).language == language


def test_a_field_of_the_wrong_type_is_told_as_fastapi_does():
    with pytest.raises(VoxwireError) as told:
        wanted(top_k="many")
    answer = http_error(told.value)
    body = json.loads(answer.body)
    assert answer.status_code == 422
    assert body["detail"][0]["loc"] == ["body", "top_k"]
    assert body["message"]


def test_a_whole_wav_is_the_streamed_one_with_its_length():
    samples = bytes(range(200))
    with wave.open(io.BytesIO(whole("wav", wav_header("pcm_s16le", SAMPLE_RATE) + samples))) as file:
        assert file.getnframes() == 100
        assert file.getframerate() == SAMPLE_RATE
        assert file.readframes(100) == samples


def test_a_whole_body_of_another_type_is_the_streamed_one():
    assert whole("raw", b"1234") == b"1234"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.UNKNOWN_VOICE, 400),
        (ErrorCode.TEXT_TOO_LONG, 400),
        (ErrorCode.NOT_AUTHENTICATED, 401),
        (ErrorCode.ENGINE_OVERLOADED, 503),
    ],
)
def test_an_error_has_a_status_that_tells_whose_it_is(code, status):
    answer = http_error(VoxwireError(code, "so it is"))
    assert (answer.status_code, json.loads(answer.body)) == (status, {"message": "so it is"})
