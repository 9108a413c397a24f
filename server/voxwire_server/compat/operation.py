"""How a vendor's HTTP endpoint is declared: its route, its checks and its entry in the OpenAPI page (an *operation*).

Bodies and query parameters are Pydantic models. Errors, those of validation included, are answered in the vendor's own
shape, by the function `Operation.error`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.parsing import MULTIPART, json_value, read_body, read_form, validate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from voxwire_server.compat.host import CompatHost

log = logging.getLogger("voxwire.compat")


class NoFields(BaseModel):
    """The body or query of an operation that takes none."""


class BodyKind(Enum):
    """How a body is encoded."""

    NONE = "none"
    JSON = "application/json"
    FORM = MULTIPART
    """application/x-www-form-urlencoded is accepted, too; uploaded files are `UploadFile` values."""


BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """A validated request; `request.state.identity` is the authenticated client."""

    request: Request
    body: BodyT
    query: QueryT


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[BodyT, QueryT]):
    """One endpoint.

    `error` makes the response to an error; `key` finds an API key in a place where only this vendor's clients put it.
    With a `text_field`, a JSON endpoint accepts plain text, too, as the value of that field.
    """

    vendor: str
    method: str
    path: str
    summary: str
    handler: Callable[[CompatHost, Call[BodyT, QueryT]], Awaitable[Response]]
    error: Callable[[VoxwireError], Response]
    key: Callable[[Request], str | None] = field(default=lambda _: None)
    key_parameters: Sequence[str] = ()
    """Query parameters in which this vendor's clients put keys. They are refused: addresses end up in logs."""
    tokens: bool = False
    """Whether a browser's token is accepted in place of an API key."""
    body: type[BodyT] = field(default=NoFields)  # type: ignore[assignment]
    body_kind: BodyKind = BodyKind.NONE
    text_field: str = ""
    query: type[QueryT] = field(default=NoFields)  # type: ignore[assignment]
    answers: Sequence[str] = ("application/json",)
    """Media types of a successful response."""

    def route(self, host: CompatHost) -> Route:
        """The Starlette route."""

        async def endpoint(request: Request) -> Response:
            return await self._serve(host, request)

        return Route(self.path, endpoint, methods=[self.method], name=f"{self.vendor} {self.method} {self.path}")

    async def _serve(self, host: CompatHost, request: Request) -> Response:
        try:
            self._refuse_key_parameters(host, request)
            request.state.identity = host.authenticate(request, self.key(request), tokens=self.tokens)
            query = validate(self.query, dict(request.query_params), "query")
            body = await self._read(host, request)
            return await self.handler(host, Call(request, body, query))
        except VoxwireError as error:
            host.services.observer.error_sent(error.raw_code)
            return self.error(error)
        except ClientDisconnect:
            # This response reaches no client.
            return self.error(VoxwireError(ErrorCode.IDLE, "the client has gone"))
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            return self.error(VoxwireError(ErrorCode.INTERNAL, "the request failed"))

    def _refuse_key_parameters(self, host: CompatHost, request: Request) -> None:
        if host.config.auth.keys and any(name in request.query_params for name in self.key_parameters):
            raise VoxwireError(
                ErrorCode.NOT_AUTHENTICATED,
                "a key does not belong in the address of an HTTP request, which ends up in logs; send it in a header",
                hint="Replace this key, and send the new one in a header.",
            )

    async def _read(self, host: CompatHost, request: Request) -> BodyT:
        if self.body_kind is BodyKind.NONE:
            return validate(self.body, {}, "body")
        limit = host.config.limits.message_bytes_max
        if self.body_kind is BodyKind.FORM:
            return validate(self.body, await read_form(request, limit), "body")
        raw = await read_body(request, limit)
        if self.text_field and request.headers.get("content-type", "").lower().startswith("text/plain"):
            return validate(self.body, {self.text_field: raw.decode("utf-8", "replace")}, "body")
        return validate(self.body, json_value(raw, "body"), "body")
