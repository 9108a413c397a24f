"""The OpenAPI page: every HTTP endpoint of the server, and of the vendors that are enabled.

A vendor's entries are made of its operations: fields of their Pydantic models; statuses and bodies of errors of what
`Operation.error` returns for the errors that can occur. So the page and the server can't differ.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.operation import BodyKind, NoFields
from voxwire_server.errors import http_body, http_headers, http_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic_core import core_schema
    from starlette.requests import Request

    from voxwire_server.compat.operation import Operation

PATH = "/openapi.json"

_SECURITY: Mapping[str, Mapping[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "xi-api-key": {"type": "apiKey", "in": "header", "name": "xi-api-key"},
    "deepgram": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token`, a space, and the key.",
    },
}
_OWN_KEYS = ("bearer", "x-api-key")
_VENDOR_KEYS: Mapping[str, Sequence[str]] = {"elevenlabs": ("xi-api-key",), "deepgram": ("deepgram",)}
"""Where a vendor's clients may put their key, in addition to _OWN_KEYS."""

_FIELD_ERRORS = [{"loc": ["body", "field"], "msg": "Field required", "type": "missing"}]
_ANYWHERE = (
    VoxwireError(ErrorCode.NOT_AUTHENTICATED, "the API key is missing or unknown"),
    VoxwireError(ErrorCode.NOT_ALLOWED, "the address or origin is not allowed"),
    VoxwireError(ErrorCode.RATE_LIMITED, "too many requests", retry_after_ms=1000),
    VoxwireError(ErrorCode.INTERNAL, "the request failed"),
)
_OF_FIELDS = (
    VoxwireError(ErrorCode.MISSING_FIELD, "field: Field required", details={"field": "field", "errors": _FIELD_ERRORS}),
    VoxwireError(ErrorCode.INVALID_FIELD, "field: it is wrong", details={"field": "field", "errors": _FIELD_ERRORS}),
    VoxwireError(ErrorCode.INVALID_FIELD, "the text is empty", details={"field": "text"}),
    VoxwireError(ErrorCode.INVALID_FIELD, "there is no such model", details={"field": "model", "models": ["hibari"]}),
    VoxwireError(ErrorCode.UNKNOWN_VOICE, "there is no such voice", details={"voices": ["heart"]}),
)
_OF_BODIES = (
    VoxwireError(ErrorCode.MALFORMED_MESSAGE, "the body is no JSON"),
    VoxwireError(ErrorCode.MESSAGE_TOO_BIG, "the body is too big", details={"message_bytes_max": 65536}),
)
_OF_SPEECH = (
    VoxwireError(ErrorCode.UNSUPPORTED_LANGUAGE, "the voice does not speak that language"),
    VoxwireError(ErrorCode.UNSUPPORTED_AUDIO, "there is no such output format"),
    VoxwireError(ErrorCode.TEXT_TOO_LONG, "the text is too long"),
    VoxwireError(ErrorCode.NOT_READY, "the engines are warming up", retry_after_ms=1000),
    VoxwireError(ErrorCode.DRAINING, "the server is going away", retry_after_ms=2000),
    VoxwireError(ErrorCode.TOO_MANY_SESSIONS, "too many sessions are open", retry_after_ms=5000),
    VoxwireError(ErrorCode.ENGINE_OVERLOADED, "the engine has too much to do", retry_after_ms=1000),
    VoxwireError(ErrorCode.ENGINE_FAILED, "the text could not be spoken to its end"),
)
"""The errors that can occur, by what an endpoint accepts and does."""


def route(operations: Sequence[Operation[Any, Any]]) -> Route:
    """GET /openapi.json, without a key; the page is made at the first request."""
    page = functools.cache(lambda: document(operations))

    async def endpoint(_: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(page))

    return Route(PATH, endpoint, methods=["GET"], name="openapi")


def document(operations: Sequence[Operation[Any, Any]]) -> dict[str, Any]:
    """The page, OpenAPI 3.1.0. Of two operations with the same path and method the first counts, as in the router."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(_path(operation.path), {}).setdefault(
            operation.method.lower(), _vendor_entry(operation, schemas)
        )
    for method, path, entry in _own_entries():
        paths.setdefault(path, {}).setdefault(method, entry)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "voxwire",
            "version": version("voxwire"),
            "description": "The HTTP endpoints. Speech while its text is still being written goes over WebSockets: "
            "the native protocol at /v1/stream, and those of the vendors beside their HTTP endpoints.",
        },
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": _SECURITY},
    }


# -- a vendor's ---------------------------------------------------------------------------------------------------


class _JsonSchema(GenerateJsonSchema):
    """Describes uploaded files as binary strings."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> dict[str, Any]:
        del schema
        return {"type": "string", "contentMediaType": "application/octet-stream"}


class _Schemas:
    """The schemas of all operations' models, under unique names."""

    def __init__(self, operations: Iterable[Operation[Any, Any]]) -> None:
        models = {model: None for operation in operations for model in (operation.body, operation.query)}
        self._of, described = models_json_schema(
            [(model, "validation") for model in models],
            ref_template="#/components/schemas/{model}",
            schema_generator=_JsonSchema,
        )
        definitions = described.get("$defs", {})
        queries = {operation.query for operation in operations} - {operation.body for operation in operations}
        self._fields = {model: self._resolved(model, definitions) for model in models}
        unused = {self._name(model) for model in queries | {NoFields} if model in models}
        self.definitions = {name: schema for name, schema in definitions.items() if name not in unused}

    def ref(self, model: type[BaseModel]) -> dict[str, Any]:
        """The reference to a model's schema."""
        return self._of[model, "validation"]

    def parameters(self, model: type[BaseModel]) -> list[dict[str, Any]]:
        """A model's fields as query parameters."""
        schema = self._fields[model]
        required = schema.get("required", [])
        return [
            _parameter(name, "query", field, required=name in required)
            for name, field in schema.get("properties", {}).items()
        ]

    def _name(self, model: type[BaseModel]) -> str:
        return str(self.ref(model)["$ref"].rpartition("/")[2])

    def _resolved(self, model: type[BaseModel], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = definitions[self._name(model)]
        return found


def _vendor_entry(operation: Operation[Any, Any], schemas: _Schemas) -> dict[str, Any]:
    keys = (*_OWN_KEYS, *_VENDOR_KEYS.get(operation.vendor, ()))
    entry: dict[str, Any] = {
        "operationId": _identifier(operation.vendor, operation.method, operation.path),
        "tags": [operation.vendor],
        "summary": operation.summary,
        "parameters": _path_parameters(operation.path) + schemas.parameters(operation.query),
        "security": [{}, *({key: []} for key in keys)],
        "responses": {"200": _answer("The answer", operation.answers)} | _errors(operation.error, _possible(operation)),
    }
    kinds = _body_kinds(operation)
    if kinds:
        content = {
            kind: {"schema": {"type": "string"} if kind == "text/plain" else schemas.ref(operation.body)}
            for kind in kinds
        }
        entry["requestBody"] = {"required": operation.query is not operation.body, "content": content}
    return entry


def _body_kinds(operation: Operation[Any, Any]) -> list[str]:
    match operation.body_kind:
        case BodyKind.NONE:
            return []
        case BodyKind.FORM:
            return [BodyKind.FORM.value, "application/x-www-form-urlencoded"]
        case BodyKind.JSON:
            return [BodyKind.JSON.value, *(["text/plain"] if operation.text_field else [])]


def _possible(operation: Operation[Any, Any]) -> list[VoxwireError]:
    """The errors that an operation can return."""
    found = list(_ANYWHERE)
    speaks = any(answer.startswith("audio/") for answer in operation.answers)
    takes = operation.body is not NoFields or operation.query is not NoFields or "{" in operation.path
    if speaks or takes or operation.method != "GET":
        found += _OF_FIELDS
    if operation.body_kind is not BodyKind.NONE:
        found += _OF_BODIES
    if speaks:
        found += _OF_SPEECH
    return found


def _errors(shaped: Callable[[VoxwireError], Response], errors: Iterable[VoxwireError]) -> dict[str, Any]:
    """The responses to errors, by status, in ascending order."""
    found: dict[int, list[tuple[VoxwireError, Response]]] = {}
    for error in errors:
        response = shaped(error)
        found.setdefault(response.status_code, []).append((error, response))
    return {str(status): _error_response(found[status]) for status in sorted(found)}


def _error_response(responses: Sequence[tuple[VoxwireError, Response]]) -> dict[str, Any]:
    by_type: dict[str, list[bytes]] = {}
    for _, response in responses:
        by_type.setdefault(response.media_type or "application/json", []).append(bytes(response.body))
    content: dict[str, Any] = {}
    for media_type, bodies in by_type.items():
        if media_type == "application/json":
            values = [json.loads(body) for body in bodies]
            content[media_type] = {"schema": shape(values), "example": values[0]}
        else:
            content[media_type] = {"schema": {"type": "string"}}
    messages = dict.fromkeys(error.message for error, _ in responses)
    return {"description": "; ".join(messages), "content": content}


def shape(values: Sequence[Any]) -> dict[str, Any]:
    """A JSON Schema that fits all of `values`: the fields of objects, which of them are always there, and strings.

    A value that is null in all of them may be anything.
    """
    schema: dict[str, Any] = {}
    kinds = {type(value) for value in values}
    objects = [value for value in values if isinstance(value, dict)]
    if kinds == {dict}:
        schema["type"] = "object"
    elif kinds == {str}:
        schema["type"] = "string"
    elif kinds == {list}:
        schema["type"] = "array"
    if objects:
        names = list(dict.fromkeys(name for value in objects for name in value))
        schema["properties"] = {name: shape([value[name] for value in objects if name in value]) for name in names}
        if "type" in schema:
            schema["required"] = [name for name in names if all(name in value for value in objects)]
    return schema


# -- the server's own ---------------------------------------------------------------------------------------------


def _own_entries() -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and entry of the endpoints that need no vendor (see `voxwire_server.transport.http`)."""
    key = _ANYWHERE[:3]
    ready = (_OF_SPEECH[3], _OF_SPEECH[4])
    voices = [
        _parameter("language", "query", {"type": "string"}, note="A BCP 47 tag: voices that speak it."),
        _parameter("engine", "query", {"type": "string"}, note="The voices of one engine."),
    ]
    return [
        ("get", "/health", _own_entry("/health", "Whether the event loop runs", ())),
        ("get", "/ready", _own_entry("/ready", "Whether new sessions are taken", ready)),
        ("get", "/metrics", _own_entry("/metrics", "Prometheus' exposition", key, answers=_EXPOSITION)),
        ("get", "/v1/voices", _own_entry("/v1/voices", "Every voice", key, parameters=voices)),
        ("get", "/v1/engines", _own_entry("/v1/engines", "Every engine", key)),
        ("post", "/v1/tokens", _own_entry("/v1/tokens", "A short-lived token for a browser", key, status="201")),
        ("get", PATH, _own_entry(PATH, "This page", ())),
    ]


_EXPOSITION = ("text/plain", "application/openmetrics-text")


def _own_entry(
    path: str,
    summary: str,
    errors: Sequence[VoxwireError],
    *,
    answers: Sequence[str] = ("application/json",),
    parameters: Sequence[dict[str, Any]] = (),
    status: str = "200",
) -> dict[str, Any]:
    method = "POST" if status == "201" else "GET"
    return {
        "operationId": _identifier("voxwire", method, path),
        "tags": ["voxwire"],
        "summary": summary,
        "parameters": list(parameters),
        "security": [{}, *({key: []} for key in _OWN_KEYS)] if errors else [],
        "responses": {status: _answer(summary, answers)} | _errors(_own_error, errors),
    }


def _own_error(error: VoxwireError) -> Response:
    return JSONResponse(http_body(error), http_status(error), http_headers(error))


# -- parts ---------------------------------------------------------------------------------------------------------

_NAME_IN_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")


def _path(path: str) -> str:
    """A Starlette path without the kinds of its parameters."""
    return _NAME_IN_PATH.sub(r"{\1}", path)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [_parameter(name, "path", {"type": "string"}, required=True) for name in _NAME_IN_PATH.findall(path)]


def _parameter(
    name: str, where: str, schema: Mapping[str, Any], *, required: bool = False, note: str = ""
) -> dict[str, Any]:
    description = note or schema.get("description", "")
    entry = {"name": name, "in": where, "required": required, "schema": dict(schema)}
    return entry | ({"description": description} if description else {})


def _answer(description: str, media_types: Sequence[str]) -> dict[str, Any]:
    structured = ("application/json", "text/event-stream")
    content = {kind: {"schema": {} if kind in structured else {"type": "string"}} for kind in media_types}
    return {"description": description, "content": content}


def _identifier(vendor: str, method: str, path: str) -> str:
    words = re.findall(r"\w+", _path(path))
    return "_".join([vendor.replace("-", "_"), method.lower(), *(word.replace("-", "_") for word in words)])
