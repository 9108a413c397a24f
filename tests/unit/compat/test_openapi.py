"""The OpenAPI page describes every endpoint: its parameters, its responses, and errors in the vendor's shape."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat import openapi, vendors
from voxwire_server.compat.operation import BodyKind, Operation
from voxwire_server.config import CompatConfig
from voxwire_server.transport import http

METHODS = ("get", "post", "put", "delete")


def all_operations() -> list[Operation[Any, Any]]:
    return [operation for vendor in vendors.VENDORS.values() for operation in vendor.OPERATIONS]


def entries(page: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in page["paths"].items():
        assert set(item) <= set(METHODS)
        for method, entry in item.items():
            yield method, path, entry


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return openapi.document(all_operations())


def test_every_operation_is_on_the_page(page: dict[str, Any]) -> None:
    for operation in all_operations():
        path = re.sub(r":\w+\}", "}", operation.path)
        assert operation.method.lower() in page["paths"][path], operation.path


def test_every_endpoint_of_the_servers_own_is_on_the_page(page: dict[str, Any]) -> None:
    for route in http.routes(SimpleNamespace()):  # type: ignore[arg-type]
        for method in (route.methods or set()) - {"HEAD"}:
            assert method.lower() in page["paths"][route.path], route.path


def test_the_page_is_json_and_all_its_references_exist(page: dict[str, Any]) -> None:
    read = json.loads(json.dumps(page))
    for reference in references(read):
        assert reference.startswith("#/components/schemas/")
        assert reference.rpartition("/")[2] in read["components"]["schemas"]


def test_names_of_endpoints_are_unique_and_plain(page: dict[str, Any]) -> None:
    names = [entry["operationId"] for _, _, entry in entries(page)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"\w+", name) for name in names)


def test_paths_and_their_parameters_agree(page: dict[str, Any]) -> None:
    for _, path, entry in entries(page):
        named = [parameter["name"] for parameter in entry["parameters"] if parameter["in"] == "path"]
        assert re.findall(r"\{(.*?)\}", path) == named
        assert len({(p["in"], p["name"]) for p in entry["parameters"]}) == len(entry["parameters"])


def test_security_names_existing_schemes(page: dict[str, Any]) -> None:
    known = page["components"]["securitySchemes"]
    for _, _, entry in entries(page):
        for either in entry["security"]:
            assert set(either) <= set(known)


def test_every_vendors_endpoint_describes_its_errors(page: dict[str, Any]) -> None:
    for _, path, entry in entries(page):
        statuses = set(entry["responses"])
        if entry["tags"] == ["voxwire"]:
            continue
        assert len({"401", "403", "429", "500"} & statuses) >= 3, (path, statuses)
        for status, response in entry["responses"].items():
            assert response["description"], (path, status)
            assert response["content"], (path, status)


# -- one operation of our own making ------------------------------------------------------------------------------


class Body(BaseModel):
    """What is said."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    text: str
    sample: UploadFile | None = None


class Query(BaseModel):
    """How."""

    speed: float = Field(1.0, ge=0.5, description="How fast.")
    kind: str


def refuse(error: VoxwireError) -> Response:
    if error.code is ErrorCode.INTERNAL:
        return PlainTextResponse("oops", 500)
    return JSONResponse({"why": error.message, **error.details}, 418 if "errors" in error.details else 400)


async def never(*_: Any) -> Response:
    raise AssertionError


def described(**fields: Any) -> dict[str, Any]:
    operation: Operation[Any, Any] = Operation(
        vendor="tester", method="POST", path="/say/{name}", summary="Say", handler=never, error=refuse, **fields
    )
    return openapi.document([operation])


def test_fields_of_a_query_are_parameters() -> None:
    page = described(query=Query)
    parameters = {p["name"]: p for p in page["paths"]["/say/{name}"]["post"]["parameters"]}
    assert parameters["name"] == {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    assert parameters["speed"]["schema"]["minimum"] == 0.5
    assert parameters["speed"]["description"] == "How fast."
    assert [parameters[name]["required"] for name in ("speed", "kind")] == [False, True]
    assert page["components"]["schemas"] == {}, "nothing refers to the query as a whole"


def test_a_form_has_two_encodings_and_may_hold_files() -> None:
    page = described(body=Body, body_kind=BodyKind.FORM)
    content = page["paths"]["/say/{name}"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/x-www-form-urlencoded"}
    sample = page["components"]["schemas"]["Body"]["properties"]["sample"]
    assert {"type": "string", "contentMediaType": "application/octet-stream"} in sample["anyOf"]


def test_a_body_may_be_plain_text() -> None:
    page = described(body=Body, body_kind=BodyKind.JSON, text_field="text")
    assert set(page["paths"]["/say/{name}"]["post"]["requestBody"]["content"]) == {"application/json", "text/plain"}


def test_errors_have_the_vendors_statuses_and_shape() -> None:
    responses = described(body=Body, body_kind=BodyKind.JSON)["paths"]["/say/{name}"]["post"]["responses"]
    assert set(responses) == {"200", "400", "418", "500"}
    schema = responses["418"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"why", "field", "errors"}
    assert responses["400"]["content"]["application/json"]["schema"]["required"] == ["why"]
    assert responses["500"]["content"] == {"text/plain": {"schema": {"type": "string"}}}


def test_of_two_operations_with_one_path_the_first_is_described() -> None:
    first, second = (
        Operation(vendor=v, method="GET", path="/v1/voices", summary=v, handler=never, error=refuse) for v in "ab"
    )
    assert openapi.document([first, second])["paths"]["/v1/voices"]["get"]["summary"] == "a"


@pytest.mark.parametrize(
    ("values", "fits", "unfit"),
    [
        (["a", "b"], {"type": "string"}, None),
        (["a", None], {}, None),
        ([{"a": 1}, {"a": "x", "b": []}], {"type": "object", "required": ["a"]}, None),
        ([[1], ["x"]], {"type": "array"}, None),
        ([{"a": 1}, []], {"properties": {"a": {}}}, "type"),
    ],
)
def test_a_shape_fits_all_its_values(values: list[Any], fits: dict[str, Any], unfit: str | None) -> None:
    shape = openapi.shape(values)
    assert fits.items() <= shape.items()
    assert unfit is None or unfit not in shape


def test_the_page_needs_no_key_and_describes_the_enabled_vendors() -> None:
    host = SimpleNamespace(config=SimpleNamespace(compat=CompatConfig(enabled=("openai",))))
    route = vendors.routes(host)[-1]  # type: ignore[arg-type]
    response = asyncio.run(route.endpoint(Request({"type": "http"})))  # type: ignore[attr-defined]
    page = json.loads(response.body)
    assert page["openapi"] == "3.1.0"
    assert {tag for _, _, entry in entries(page) for tag in entry["tags"]} == {"voxwire", "openai"}
