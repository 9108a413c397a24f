"""Finds a file in a Python package index, by the JSON or the HTML form of the simple repository API.

https://packaging.python.org/en/latest/specifications/simple-repository-api/. Mirrors often have the HTML form alone.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from voxwire_server.models.checksums import Checksum
from voxwire_server.models.errors import Refused, Unreachable
from voxwire_server.models.web import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_server.models.registries import Registry
    from voxwire_server.models.web import Page, Web

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


class Offer(NamedTuple):
    """Where a registry has a file, with the checksum that it says it has."""

    url: str
    checksum: Checksum | None
    authorization: str


def find(web: Web, indexes: Sequence[Registry], project: str, file_name: str) -> Offer:
    """Ask the indexes for a project's file, in order.

    Raises:
        Refused: none of them has it.
        Unreachable: one can't be reached, and the ones before it don't have the file.
    """
    problem: Refused | None = None
    for index in indexes:
        url = f"{index.url}/{project}/"
        try:
            page = web.page(url, _ACCEPT, index.authorization)
        except Refused as error:
            problem = problem or error
            continue
        for name, link, checksum in _files(page):
            if name == file_name:
                return Offer(link, checksum, index.authorization_for(link))
        problem = problem or Refused(
            f"{shown(url)} has no {file_name}", "Does the mirror hold this version? Another is named by PIP_INDEX_URL."
        )
    assert problem is not None, "there is at least one index"
    raise problem


def _files(page: Page) -> Iterator[tuple[str, str, Checksum | None]]:
    if "json" in page.content_type:
        yield from _of_json(page)
    else:
        parser = _Links()
        parser.feed(page.content.decode("utf-8", "replace"))
        for target in parser.targets:
            link, fragment = urldefrag(urljoin(page.url, target))
            algorithm, _, digits = fragment.partition("=")
            checksum = Checksum.sha256(digits) if algorithm == "sha256" else None
            yield unquote(urlsplit(link).path.rpartition("/")[2]), link, checksum


def _of_json(page: Page) -> Iterator[tuple[str, str, Checksum | None]]:
    try:
        for each in json.loads(page.content)["files"]:
            digits = (each.get("hashes") or {}).get("sha256")
            checksum = Checksum.sha256(digits) if digits else None
            yield each["filename"], urldefrag(urljoin(page.url, each["url"])).url, checksum
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(f"{shown(page.url)} answers with something that is no index", "Try again later.") from error


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attributes if name == "href" and value]
