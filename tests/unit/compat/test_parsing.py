"""Forms are read within limits, one slice in each iteration of the event loop."""

from __future__ import annotations

import asyncio
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.parsing import FIELDS_MAX, SLICE_BYTES, read_form

URLENCODED = "application/x-www-form-urlencoded"
LIMIT = 1 << 20
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


async def parsed(kind: str, body: bytes) -> dict[str, object]:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await read_form(Request({"type": "http", "headers": [(b"content-type", kind.encode())]}, receive), LIMIT)


def form(kind: str, body: bytes) -> dict[str, object]:
    return asyncio.run(parsed(kind, body))


@given(st.dictionaries(st.text(min_size=1, max_size=9), st.text(max_size=60), max_size=9))
def test_fields_are_decoded_as_they_were_encoded(fields: dict[str, str]) -> None:
    pairs = [f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields.items()]
    assert form(URLENCODED, "&".join(pairs).encode()) == fields


@pytest.mark.parametrize("shift", range(4))
def test_no_escape_is_split_between_slices(shift: int) -> None:
    text = "x" * shift + "語" * SLICE_BYTES
    assert form(URLENCODED, b"text=" + quote_plus(text).encode()) == {"text": text}


def test_more_fields_than_allowed_are_refused() -> None:
    for kind, body in (
        (URLENCODED, b"&" * LIMIT),
        (URLENCODED, b"a=1&" * FIELDS_MAX),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 65),
    ):
        with pytest.raises(VoxwireError) as caught:
            form(kind, body)
        assert caught.value.code is ErrorCode.MALFORMED_MESSAGE


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (URLENCODED, b"a=" + b"%41" * 300_000),
        ("multipart/form-data; boundary=b", b"\r" * LIMIT),
        (
            "multipart/form-data; boundary=b",
            PART + b"\r" * 900_000,
        ),
    ],
)
def test_other_tasks_run_while_a_form_is_read(kind: str, body: bytes) -> None:
    async def main() -> int:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(others())
        await parsed(kind, body)
        other.cancel()
        return turns

    assert asyncio.run(main()) >= len(body) // SLICE_BYTES
