"""An HTTP endpoint of a vendor's, declared once: its route, its checks and its entry in the OpenAPI page.

Bodies and parameters are Pydantic models; what they refuse is told in the vendor's own error shape, like every other
error: an `Operation` names the function that shapes them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.routing import Route

from voxwire_protocol.errors import ErrorCode, VoxwireError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from voxwire_server.compat.host import CompatHost

log = logging.getLogger("voxwire.compat")


UPLOAD_BYTES_MAX = 32 << 20
"""How much a form may bring beside its largest field: a minute of reference audio in studio quality is 17 MB."""


class NoFields(BaseModel):
    """For an operation that takes nothing."""


class BodyKind(Enum):
    """How a body comes."""

    NONE = "none"
    JSON = "application/json"
    FORM = "multipart/form-data"
    """Also takes application/x-www-form-urlencoded; an uploaded file arrives as the field's `UploadFile`."""


BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """A checked request: `request.path_params` hold what the path names, `request.state.caller` who asks."""

    request: Request
    body: BodyT
    query: QueryT


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[BodyT, QueryT]):
    """One endpoint.

    `error` makes a response of any error; `key` finds an API key where only this vendor's clients put it. Where there
    is a `text_field`, a JSON endpoint takes plain text too, as that field.
    """

    vendor: str
    method: str
    path: str
    summary: str
    handler: Callable[[CompatHost, Call[BodyT, QueryT]], Awaitable[Response]]
    error: Callable[[VoxwireError], Response]
    key: Callable[[Request], str | None] = field(default=lambda _: None)
    address_keys: Sequence[str] = ()
    """Parameters in which this vendor's clients put keys. Addresses end up in logs, so there they are refused."""
    tokens: bool = False
    """Whether a browser's token will do in place of an API key."""
    body: type[BodyT] = field(default=NoFields)  # type: ignore[assignment]
    body_kind: BodyKind = BodyKind.NONE
    text_field: str = ""
    query: type[QueryT] = field(default=NoFields)  # type: ignore[assignment]
    answers: Sequence[str] = ("application/json",)
    """Media types of a success."""

    def route(self, host: CompatHost) -> Route:
        """The Starlette route."""

        async def endpoint(request: Request) -> Response:
            return await self._serve(host, request)

        return Route(self.path, endpoint, methods=[self.method], name=f"{self.vendor} {self.method} {self.path}")

    async def _serve(self, host: CompatHost, request: Request) -> Response:
        try:
            self._refuse_address_keys(host, request)
            request.state.caller = host.authenticate(request, self.key(request), tokens=self.tokens)
            query = checked(self.query, dict(request.query_params), "query")
            body = await self._read(host, request)
            return await self.handler(host, Call(request, body, query))
        except VoxwireError as error:
            host.studio.observer.error_sent(error.raw_code)
            return self.error(error)
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return self.error(VoxwireError(ErrorCode.INTERNAL, "the request failed"))

    def _refuse_address_keys(self, host: CompatHost, request: Request) -> None:
        if host.config.auth.keys and any(name in request.query_params for name in self.address_keys):
            raise VoxwireError(
                ErrorCode.NOT_AUTHENTICATED,
                "a key does not belong in the address of an HTTP request, which ends up in logs; send it in a header",
                hint="Replace this key, and send the new one in a header.",
            )

    async def _read(self, host: CompatHost, request: Request) -> BodyT:
        if self.body_kind is BodyKind.NONE:
            return checked(self.body, {}, "body")
        limit = host.config.limits.message_bytes_max
        if self.body_kind is BodyKind.FORM:
            return checked(self.body, await read_form(request, limit), "body")
        raw = await read_body(request, limit)
        if self.text_field and request.headers.get("content-type", "").lower().startswith("text/plain"):
            return checked(self.body, {self.text_field: raw.decode("utf-8", "replace")}, "body")
        try:
            fields = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise VoxwireError(
                ErrorCode.MALFORMED_MESSAGE, f"the body is no JSON: {error}", hint="Send a JSON object."
            ) from error
        return checked(self.body, fields, "body")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body.

    Raises:
        VoxwireError: client.message_too_big; it has more than `limit` bytes.
    """
    return b"".join([part async for part in _bounded(request.stream(), limit)])


async def read_form(request: Request, limit: int) -> dict[str, Any]:
    """The fields of a form, the last where one comes twice; uploaded files as `UploadFile`.

    Raises:
        VoxwireError: it is no form, a field has more than `limit` bytes, or all of it too many.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == BodyKind.FORM.value:
            body = _bounded(request.stream(), limit + UPLOAD_BYTES_MAX)
            form = await MultiPartParser(request.headers, body, max_files=8, max_fields=64, max_part_size=limit).parse()
        elif kind == "application/x-www-form-urlencoded":
            form = await FormParser(request.headers, _bounded(request.stream(), limit)).parse()
        else:
            return {}
    except (MultiPartException, KeyError, ValueError) as error:
        raise VoxwireError(ErrorCode.MALFORMED_MESSAGE, f"the body is no form: {error}") from error
    return {name: value if isinstance(value, UploadFile) else _encodable(value) for name, value in form.multi_items()}


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


ModelT = TypeVar("ModelT", bound=BaseModel)


def checked(model: type[ModelT], fields: Any, where: str) -> ModelT:
    """Fields as a model.

    Raises:
        VoxwireError: client.missing_field or client.invalid_field; `details["errors"]` has the shape of FastAPI's 422.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as invalid:
        problems = [
            {"loc": [where, *problem["loc"]], "msg": problem["msg"], "type": problem["type"]}
            for problem in invalid.errors(include_url=False, include_context=False, include_input=False)
        ]
        first = problems[0]
        name = ".".join(str(part) for part in first["loc"][1:]) or where
        missing = first["type"] == "missing"
        raise VoxwireError(
            ErrorCode.MISSING_FIELD if missing else ErrorCode.INVALID_FIELD,
            f"{name}: {first['msg']}",
            details={"field": name, "errors": problems},
        ) from invalid
