from __future__ import annotations

import pytest

from voxwire_protocol import JSON, MSGPACK, CloseCode, ErrorCode, ProtocolError, VoxwireError
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ERRORS, ErrorClass


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_its_class_before_the_dot_and_a_hint_that_is_a_sentence(code: ErrorCode) -> None:
    assert code.error_class.value == code.value.split(".")[0]
    assert ERRORS[code].hint.endswith(".")


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_survives_its_message_in_both_encodings(code: ErrorCode) -> None:
    error = VoxwireError(code, "what", retry_after_ms=3, context="a", details={"field": "x", "n": [1, {"y": None}]})
    for codec in (JSON, MSGPACK):
        message = codec.decode_server(codec.encode(m.error_to_message(error)))
        assert isinstance(message, m.ErrorMessage)
        back = m.error_from_message(message)
        assert vars(back) == vars(error)
        assert back.close_code == error.close_code


def test_the_tables_facts_hold_unless_the_error_overrides_them() -> None:
    facts = ERRORS[ErrorCode.INTERNAL]
    assert VoxwireError(ErrorCode.INTERNAL, "x").retryable is facts.retryable
    assert VoxwireError(ErrorCode.INTERNAL, "x").hint == facts.hint
    other = VoxwireError(ErrorCode.INTERNAL, "x", retryable=not facts.retryable, hint="Do not.")
    assert (other.retryable, other.hint) == (not facts.retryable, "Do not.")


def test_an_error_takes_the_context_it_is_given_unless_it_has_its_own() -> None:
    assert m.error_to_message(VoxwireError(ErrorCode.INTERNAL, "x"), context="a").context == "a"
    assert m.error_to_message(VoxwireError(ErrorCode.INTERNAL, "x", context="b"), context="a").context == "b"


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("client.from_the_future", ErrorClass.CLIENT),
        ("server.from_the_future", ErrorClass.SERVER),
        ("system.from_the_future", ErrorClass.SYSTEM),
        ("nothing like it", ErrorClass.SERVER),
    ],
)
def test_a_code_that_is_not_known_counts_by_its_class_and_keeps_its_name(code: str, error_class: ErrorClass) -> None:
    error = m.error_from_message(m.ErrorMessage(code=code, message="x", retryable=True, hint="Wait."))
    assert error.error_class is error_class
    assert str(error) == f"{code}: x"
    assert m.error_to_message(error).code == code


def test_only_errors_that_end_a_session_have_a_close_code() -> None:
    closing = {code for code, facts in ERRORS.items() if facts.close_code is not None}
    assert ErrorCode.ABUSE in closing
    assert not closing & {ErrorCode.MALFORMED_MESSAGE, ErrorCode.INVALID_FIELD, ErrorCode.ENGINE_OVERLOADED}


def test_the_application_s_close_codes_are_in_the_range_kept_for_it() -> None:
    assert all(1000 <= code <= 1013 or 4000 <= code <= 4999 for code in CloseCode)


def test_a_protocol_error_is_a_voxwire_error() -> None:
    assert issubclass(ProtocolError, VoxwireError)
