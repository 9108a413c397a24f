"""The vendor of docs/vendors.md: its code is taken from there, tested as the page tests it, and served."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from support.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "vendors.md"

# The configuration knows the project's vendors by name, so the page's stands in for one of them.
SERVE = """
import sys
import acme
from voxwire_server.cli import main
from voxwire_server.compat import vendors
vendors.VENDORS["cosyvoice"] = acme
sys.exit(main())
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The folder that holds the files of the page."""
    folder = tmp_path_factory.mktemp("site")
    text = PAGE.read_text(encoding="utf-8")
    for path, code in re.findall(r"^```python\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(code, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def address(package) -> Iterator[str]:
    """Where a server serves the vendor: host and port."""
    port = free_port()
    settings = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100")
    command = [sys.executable, "-c", SERVE, "serve", "--port", str(port), "--log-level", "warning"]
    command += [part for setting in settings for part in ("--set", setting)]
    server = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join([str(package), *sys.path])})
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ready", server)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        assert server.poll() is None, "the server did not start"
        assert time.monotonic() < until, "the server is not ready"
        time.sleep(0.05)


def test_its_own_test_passes(package):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env["PYTHONPATH"] = os.pathsep.join([str(package), *sys.path])
    said = subprocess.run(command, cwd=package, env=env, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize(
    ("format", "media_type", "size"),
    [("pcm", "audio/pcm", 2 * 24000), ("wav", "audio/wav", 2 * 24000), ("ulaw", "audio/basic", 8000)],
)
def test_a_text_is_answered_with_its_audio(address, format, media_type, size):
    answer = httpx.post(f"http://{address}/acme/speak", json={"text": "Hello there.", "format": format})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    # The tone engine takes 60 ms for each of twelve characters.
    assert len(answer.content) == pytest.approx(0.72 * size, rel=0.1)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "client.missing_field"),
        ({"text": "x", "rate": 9}, 400, "client.invalid_field"),
        ({"text": "x", "voice": "nobody"}, 404, "client.unknown_voice"),
    ],
)
def test_a_mistake_has_the_vendors_shape(address, body, status, kind):
    answer = httpx.post(f"http://{address}/acme/speak", json=body)
    assert (answer.status_code, answer.json()["fault"]["kind"]) == (status, kind)


def test_it_is_in_the_openapi_page(address):
    entry = httpx.get(f"http://{address}/openapi.json").json()["paths"]["/acme/speak"]["post"]
    assert set(entry["responses"]["200"]["content"]) == {"audio/pcm", "audio/wav", "audio/basic"}


def test_a_turn_is_spoken_over_its_websocket(address):
    with connect(f"ws://{address}/acme/stream") as socket:
        socket.send(json.dumps({"hello": 1}))
        assert json.loads(socket.recv(20))["fault"]["kind"] == "client.unknown_type"
        socket.send(json.dumps({"say": "Hello there."}))
        audio = b""
        while isinstance(item := socket.recv(20), bytes):
            audio += item
        assert json.loads(item) == {"over": "completed"}
        assert any(audio)
        assert len(audio) >= 2 * 1440 * 12


def test_a_turn_that_is_stopped_is_over(address):
    with connect(f"ws://{address}/acme/stream") as socket:
        socket.send(json.dumps({"say": "A text that is longer than it will be heard. " * 20}))
        assert isinstance(socket.recv(20), bytes)
        socket.send(json.dumps({"stop": True}))
        while isinstance(item := socket.recv(20), bytes):
            pass
        assert json.loads(item) == {"over": "cancelled"}
