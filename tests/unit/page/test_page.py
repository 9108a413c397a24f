"""The page's files as they are served, called in memory."""

from __future__ import annotations

import dataclasses
import re

import pytest
from starlette.applications import Starlette

from support.asgi import Answer, request
from voxwire_server.config import Config, ServerConfig
from voxwire_server.page import CONTENT_TYPES, load_assets, make_asset, routes
from voxwire_server.transport import http


def call(url: str, headers: dict[str, str] | None = None, *, method: str = "GET", page: bool = True) -> Answer:
    config = dataclasses.replace(Config(), server=ServerConfig(page=page))
    app = Starlette(routes=routes(config), exception_handlers=http.EXCEPTION_HANDLERS)
    return request(app, method, url, headers)


def test_the_page_is_html_at_the_root() -> None:
    answer = call("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.body.lower().startswith(b"<!doctype html>")


def test_every_file_that_the_page_names_is_served_with_its_type() -> None:
    named = set(re.findall(r'(?:src|href)="(/page/[^"]+)"', call("/").body.decode()))
    assert named
    for path in named:
        answer = call(path)
        assert answer.status == 200, path
        assert answer.headers["content-type"] == CONTENT_TYPES[path[path.rindex(".") :]]


def test_nothing_but_the_servers_own_files_may_run() -> None:
    for path in ("/", "/page/page.js"):
        headers = call(path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"


def test_a_browser_that_has_a_file_is_not_sent_it_again() -> None:
    first = call("/")
    again = call("/", {"if-none-match": first.headers["etag"]})
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    weak = call("/", {"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert weak.status == 304
    assert call("/", {"if-none-match": '"other"'}).status == 200
    assert first.headers["cache-control"] == "no-cache"


def test_another_content_has_another_tag() -> None:
    assert make_asset("a.js", b"1").headers["ETag"] != make_asset("a.js", b"2").headers["ETag"]


def test_a_kind_of_file_without_a_type_is_not_guessed() -> None:
    with pytest.raises(KeyError):
        make_asset("a.bin", b"")
    assert all(asset.body for asset in load_assets().values())


@pytest.mark.parametrize("path", ["/page/nothing.js", "/page/..%2fsite.py", "/page/", "/page/index.html/x"])
def test_there_is_nothing_beside_the_files(path: str) -> None:
    assert call(path).status == 404


def test_head_is_answered_and_post_is_not() -> None:
    assert call("/", method="HEAD").status == 200
    assert call("/", method="POST").status == 405


def test_a_page_that_is_switched_off_is_not_there() -> None:
    assert call("/", page=False).status == 404
    assert call("/page/page.js", page=False).status == 404
