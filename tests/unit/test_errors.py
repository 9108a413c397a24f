"""How errors look outside a session."""

from __future__ import annotations

import pytest

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import http_body, http_headers, http_status


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_has_a_status_of_its_class(code: ErrorCode) -> None:
    error = VoxwireError(code, "x")
    assert (400 <= http_status(error) < 500) == code.value.startswith("client.")
    assert http_status(error) < 600


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.NOT_AUTHENTICATED, 401),
        (ErrorCode.NOT_ALLOWED, 403),
        (ErrorCode.UNKNOWN_VOICE, 404),
        (ErrorCode.MESSAGE_TOO_BIG, 413),
        (ErrorCode.RATE_LIMITED, 429),
        (ErrorCode.INVALID_FIELD, 400),
        (ErrorCode.INTERNAL, 500),
        (ErrorCode.NOT_READY, 503),
        (ErrorCode.ENGINE_OVERLOADED, 503),
    ],
)
def test_statuses_are_those_that_http_clients_know(code: ErrorCode, status: int) -> None:
    assert http_status(VoxwireError(code, "x")) == status


def test_the_body_has_the_fields_of_the_error_message_without_those_that_are_none() -> None:
    error = VoxwireError(ErrorCode.UNKNOWN_VOICE, "no such voice", hint="list them", details={"voices": ["a"]})
    assert http_body(error) == {
        "error": {
            "code": "client.unknown_voice",
            "message": "no such voice",
            "retryable": False,
            "details": {"voices": ["a"]},
            "hint": "list them",
        }
    }


@pytest.mark.parametrize(("wait_ms", "header"), [(1, "1"), (1000, "1"), (1001, "2")])
def test_retry_after_is_whole_seconds_rounded_up(wait_ms: int, header: str) -> None:
    error = VoxwireError(ErrorCode.RATE_LIMITED, "x", retryable=True, retry_after_ms=wait_ms)
    assert http_headers(error) == {"Retry-After": header}


def test_an_error_that_retrying_does_not_help_has_no_retry_after() -> None:
    assert http_headers(VoxwireError(ErrorCode.UNKNOWN_VOICE, "x", retryable=False)) == {}
