"""Reads request bodies, forms and JSON messages, within limits, and validates their fields.

Forms are parsed in slices, each in an iteration of the event loop of its own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote_to_bytes

import orjson
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from voxwire_protocol.bounds import check_json
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.schema import shown

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.requests import Request

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"

UPLOAD_BYTES_MAX = 32 << 20
"""Bytes that a form may have beside its largest field: a minute of reference audio in studio quality is 17 MB."""

FILES_MAX = 8
FIELDS_MAX = 64
SLICE_BYTES = 4096
"""Bytes parsed in one iteration of the event loop; the parsers take up to a microsecond for each."""

# It logs a warning for every malformed form, so clients could fill the log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        VoxwireError: client.message_too_big; it has more than `limit` bytes.
        ClientDisconnect: the client has gone.
    """
    return b"".join([part async for part in _bounded(request.stream(), limit)])


async def read_form(request: Request, limit: int) -> dict[str, Any]:
    """The fields of a form, uploaded files as `UploadFile`. Of a repeated field the last one counts.

    Raises:
        VoxwireError: the form is malformed, a field has more than `limit` bytes, or the body too many.
        ClientDisconnect: the client has gone.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await _multipart(request, limit)
    if kind == URLENCODED:
        return await _urlencoded(await read_body(request, limit))
    return {}


async def _multipart(request: Request, limit: int) -> dict[str, Any]:
    body = _slices(_bounded(request.stream(), limit + UPLOAD_BYTES_MAX))
    parser = MultiPartParser(request.headers, body, max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=limit)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, f"the body is no form: {str(error)[:200]}") from error
    return {name: value if isinstance(value, UploadFile) else _encodable(value) for name, value in form.multi_items()}


async def _urlencoded(body: bytes) -> dict[str, Any]:
    if body.count(b"&") >= FIELDS_MAX:
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, f"the body is no form: it has more than {FIELDS_MAX} fields")
    found: dict[str, Any] = {}
    for part in body.split(b"&"):
        name, _, value = part.partition(b"=")
        if part:
            found[await _unquoted(name)] = await _unquoted(value)
    return found


async def _unquoted(raw: bytes) -> str:
    """A name or a value as text (WHATWG URL, section 5.1)."""
    raw = raw.replace(b"+", b" ")
    pieces = []
    at = 0
    while at < len(raw):
        end = at + SLICE_BYTES
        cut = raw.rfind(b"%", end - 2, end)
        end = cut if cut >= 0 else end
        pieces.append(unquote_to_bytes(raw[at:end]))
        at = end
        await asyncio.sleep(0)
    return b"".join(pieces).decode("utf-8", "replace")


def _encodable(text: str) -> str:
    """A text without lone surrogates: some charsets decode to them, and they can't be encoded in an answer."""
    return text.encode("utf-8", "replace").decode("utf-8")


async def _bounded(stream: AsyncGenerator[bytes, None], limit: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for part in stream:
        size += len(part)
        if size > limit:
            raise VoxwireError(
                ErrorCode.MESSAGE_TOO_BIG,
                f"the body has more than {limit} bytes",
                details={"message_bytes_max": limit},
                hint=f"Send at most {limit} bytes.",
            )
        yield part


async def _slices(stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async for part in stream:
        for at in range(0, len(part), SLICE_BYTES):
            yield part[at : at + SLICE_BYTES]
            await asyncio.sleep(0)


PROBLEMS_MAX = 20
"""How many mistakes of one body are reported."""

VALUES_MAX = 1000
"""Values in one message or body: Pydantic collects every error of every value."""


def json_value(raw: str | bytes, what: str) -> Any:
    """The value of a JSON text; `what` names the text in an error.

    Raises:
        VoxwireError: client.malformed_message; it is not JSON, or has too many values.
    """
    check_json(raw, VALUES_MAX)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise VoxwireError(
            ErrorCode.MALFORMED_MESSAGE, f"the {what} is no JSON: {error}", hint="Send a JSON object."
        ) from error


def json_object(raw: str | bytes) -> dict[str, Any]:
    """The fields of a message.

    Raises:
        VoxwireError: client.malformed_message; it is not JSON, has too many values, or is not an object.
    """
    fields = json_value(raw, "message")
    if not isinstance(fields, dict):
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the message is no JSON object")
    return fields


ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(model: type[ModelT], fields: Any, where: str) -> ModelT:
    """An instance of `model` made of `fields`; `where` is what an error says they came from, such as "body".

    Raises:
        VoxwireError: client.missing_field or client.invalid_field; `details["errors"]` has the shape of FastAPI's 422.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as invalid:
        problems = [
            {"loc": [where, *map(_shown, problem["loc"])], "msg": problem["msg"][:200], "type": problem["type"]}
            for problem in invalid.errors(include_url=False, include_context=False, include_input=False)[:PROBLEMS_MAX]
        ]
        first = problems[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or where
        missing = first["type"] == "missing"
        raise VoxwireError(
            ErrorCode.MISSING_FIELD if missing else ErrorCode.INVALID_FIELD,
            f"{name}: {first['msg']}",
            details={"field": name, "errors": problems},
        ) from invalid


def _shown(part: int | str) -> int | str:
    return part if isinstance(part, int) else shown(part)
