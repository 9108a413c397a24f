"""A web server that imitates PyPI, npm and the hub, and whatever can go wrong on the way to them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Resource:
    """What lies at a path.

    `trouble`: what happens to the first requests, one each, before all is well: the number of bytes after which the
    connection breaks, a status with a minus before it, or "silent". `ranges`: whether parts can be had.
    `headers` are sent as well. `pieces`: how many it is sent in, with `pause_seconds` after each.
    """

    content: bytes
    content_type: str = "application/octet-stream"
    trouble: list[int | str] = field(default_factory=list)
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    pieces: int = 1
    pause_seconds: float = 0.0


@dataclass
class Registry:
    """The server: `resources` by path. `url` has no slash at its end."""

    url: str
    resources: dict[str, Resource] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, content: bytes, **options) -> str:
        """Lay something at a path; its URL."""
        self.resources[path] = Resource(content, **options)
        return f"{self.url}{path}"

    def ranges(self, path: str) -> list[str]:
        """The Range header of each request for a path, "" where there was none."""
        return [each.headers.get("range", "") for each in self.seen if each.path == path]

    # -- registries -------------------------------------------------------------------------------------------------

    def wheel(self, project: str, file_name: str, content: bytes, *, html: bool = False, sha256: str = "", **options):
        """A project of a Python index at /simple with one file, its link relative."""
        self.put(f"/files/{file_name}", content, **options)
        digits = sha256 or hashlib.sha256(content).hexdigest()
        if html:
            page = f'<!DOCTYPE html><a href="../../files/{file_name}#sha256={digits}" data-x="&gt;">{file_name}</a>'
            self.put(f"/simple/{project}/", page.encode(), content_type="text/html; charset=utf-8")
        else:
            files = [{"filename": file_name, "url": f"../../files/{file_name}", "hashes": {"sha256": digits}}]
            document = json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": files}).encode()
            self.put(f"/simple/{project}/", document, content_type="application/vnd.pypi.simple.v1+json")

    def tarball(self, package: str, version: str, content: bytes, *, host: str = "", integrity: str = "", **options):
        """A version of an npm package at /npm."""
        path = f"/{package}/-/{package}-{version}.tgz"
        self.put(f"/npm{path}", content, **options)
        dist = {
            "tarball": f"{host or self.url + '/npm'}{path}",
            "integrity": integrity or "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode(),
        }
        self.put(f"/npm/{package}", json.dumps({"versions": {version: {"dist": dist}}}).encode())

    def environment(self, **more: str) -> dict[str, str]:
        """What points pip and npm here, and nothing of this machine's own."""
        return {"PIP_INDEX_URL": f"{self.url}/simple", "npm_config_registry": f"{self.url}/npm", **bare(**more)}


def bare(**more: str) -> dict[str, str]:
    """An environment without settings of pip or npm."""
    nowhere = "/nonexistent"
    return {
        "HOME": nowhere,
        "PIP_CONFIG_FILE": "/dev/null",
        "npm_config_globalconfig": f"{nowhere}/npmrc",
        "NETRC": f"{nowhere}/netrc",
        **more,
    }


@contextlib.contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Registry]:
    """A registry on a free port."""

    class Handler(_Handler):
        registry: Registry

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = False
    Handler.registry = registry = Registry(f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        registry.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        path = urlsplit(self.path).path
        self.registry.seen.append(
            Seen(self.command, path, {name.lower(): value for name, value in self.headers.items()})
        )
        resource = self.registry.resources.get(path)
        if resource is None:
            self._send(404, b"nothing here", {"Content-Type": "text/plain"})
            return
        trouble = resource.trouble.pop(0) if resource.trouble else None
        if trouble == "silent":
            self.registry.released.wait(10)
            self.close_connection = True
        elif isinstance(trouble, int) and trouble < 0:
            self._send(-trouble, b"", {})
        else:
            status, content, headers = self._part(resource)
            headers |= {"Content-Type": resource.content_type, **resource.headers}
            content_sent = content if trouble is None else content[: int(trouble)]
            headers |= {"Content-Length": str(len(content))}
            self._send(status, content_sent if body else b"", headers, resource)

    def _part(self, resource: Resource) -> tuple[int, bytes, dict[str, str]]:
        wanted = self.headers.get("Range", "")
        if not wanted or not resource.ranges:
            return resource.status, resource.content, {}
        start, _, last = wanted.removeprefix("bytes=").partition("-")
        begin, end = int(start), int(last or len(resource.content) - 1) + 1
        if begin >= len(resource.content):
            return 416, b"", {"Content-Range": f"bytes */{len(resource.content)}"}
        part = resource.content[begin:end]
        return 206, part, {"Content-Range": f"bytes {begin}-{begin + len(part) - 1}/{len(resource.content)}"}

    def _send(self, status: int, content: bytes, headers: dict[str, str], pace: Resource | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        size = -(-len(content) // (pace.pieces if pace else 1)) or 1
        # The other side may have gone by now.
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(content), size):
                self.wfile.write(content[start : start + size])
                if pace and pace.pause_seconds:
                    time.sleep(pace.pause_seconds)
