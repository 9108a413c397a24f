"""CosyVoice's fields, errors and routes."""

from __future__ import annotations

import json

import pytest

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cosyvoice import OPERATIONS
from voxwire_server.compat.cosyvoice.http import Fields, http_error, merged_fields


def status_and_detail(error: VoxwireError) -> tuple[int, object]:
    answer = http_error(error)
    return answer.status_code, json.loads(answer.body)["detail"]


def test_every_route_takes_get_and_post():
    routes = {(operation.method, operation.path) for operation in OPERATIONS}
    assert {path for _, path in routes} == {
        "/inference_sft",
        "/inference_instruct",
        "/inference_zero_shot",
        "/inference_cross_lingual",
        "/inference_instruct2",
    }
    assert len(routes) == 10


def test_a_form_takes_precedence_over_a_query():
    found = merged_fields(Fields(tts_text="form"), Fields(tts_text="query", spk_id="heart", speed=2))
    assert (found.tts_text, found.spk_id, found.speed) == ("form", "heart", 2)


@pytest.mark.parametrize("fields", [Fields(), Fields(tts_text=""), Fields(spk_id="heart")])
def test_a_request_without_text_is_refused_as_fastapi_does(fields):
    with pytest.raises(VoxwireError) as missing:
        merged_fields(fields, Fields())
    status, detail = status_and_detail(missing.value)
    assert status == 422
    assert detail[0]["loc"] == ["body", "tts_text"]


def test_the_error_for_an_unknown_voice_lists_the_known_ones():
    error = VoxwireError(ErrorCode.UNKNOWN_VOICE, "no voice 'x'", details={"voices": ["heart", "tone"]})
    assert status_and_detail(error) == (400, "no voice 'x'; there are heart, tone")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.TEXT_TOO_LONG, 400),
        (ErrorCode.MESSAGE_TOO_BIG, 400),
        (ErrorCode.NOT_AUTHENTICATED, 401),
        (ErrorCode.RATE_LIMITED, 429),
        (ErrorCode.ENGINE_OVERLOADED, 503),
    ],
)
def test_an_error_of_the_client_has_another_status_than_one_of_the_server(code, status):
    assert status_and_detail(VoxwireError(code, "so it is")) == (status, "so it is")
