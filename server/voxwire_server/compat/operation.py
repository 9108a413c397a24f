"""An HTTP endpoint of a vendor's, declared once: its route, its checks and its entry in the OpenAPI page.

Bodies and parameters are Pydantic models; what they refuse is told in the vendor's own error shape, like every other
error: an `Operation` names the function that shapes them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_protocol.schema import shown
from voxwire_server.compat.forms import MULTIPART, read_body, read_form
from voxwire_server.compat.json_objects import json_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from voxwire_server.compat.host import CompatHost

log = logging.getLogger("voxwire.compat")


PROBLEMS_MAX = 20
"""How many mistakes of a body are told."""


class NoFields(BaseModel):
    """For an operation that takes nothing."""


class BodyKind(Enum):
    """How a body comes."""

    NONE = "none"
    JSON = "application/json"
    FORM = MULTIPART
    """Also takes application/x-www-form-urlencoded; an uploaded file arrives as the field's `UploadFile`."""


BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """A checked request: `request.path_params` hold what the path names, `request.state.identity` who asks."""

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
            request.state.identity = host.authenticate(request, self.key(request), tokens=self.tokens)
            query = checked(self.query, dict(request.query_params), "query")
            body = await self._read(host, request)
            return await self.handler(host, Call(request, body, query))
        except VoxwireError as error:
            host.services.observer.error_sent(error.raw_code)
            return self.error(error)
        except ClientDisconnect:
            # What is returned goes nowhere.
            return self.error(VoxwireError(ErrorCode.IDLE, "the client has gone"))
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
        return checked(self.body, json_value(raw, "body"), "body")


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
