"""Reads the bodies and forms of requests, within bounds of size, and one slice at a turn of the event loop."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from voxwire_protocol.errors import ErrorCode, VoxwireError

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
"""Bytes parsed at one turn of the event loop; the parsers take up to a microsecond for each."""

# It logs a warning for every body that is no form, so clients could fill the log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        VoxwireError: client.message_too_big; it has more than `limit` bytes.
        ClientDisconnect: the client has gone.
    """
    return b"".join([part async for part in _bounded(request.stream(), limit)])


async def read_form(request: Request, limit: int) -> dict[str, Any]:
    """The fields of a form, the last where one comes twice; uploaded files as `UploadFile`.

    Raises:
        VoxwireError: it is no form, a field has more than `limit` bytes, or all of it too many.
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
    """A text without lone surrogates, which some charsets bring along and no answer could repeat."""
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
