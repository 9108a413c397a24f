"""The JavaScript client, built once for all tests: the fixture `javascript`, and programs that are run with it.

A test module imports the fixture (`from support.javascript import javascript`), or its conftest does.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from support.locking import one_at_a_time

CLIENT = Path(__file__).parents[2] / "clients" / "js"
VECTORS = Path(__file__).parents[1] / "protocol" / "vectors"
NPM_DONE = CLIENT / "node_modules" / ".package-lock.json"
"""What npm writes when it has installed everything."""
LOCK = CLIENT / "package-lock.json"
NODE_MIN = 20
SECONDS_MAX = 300


@dataclass(frozen=True)
class Package:
    """A folder like `clients/js`, with `dist` built and the tests beside it."""

    root: Path

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in the folder; its output is text."""
        wanted = {**os.environ, "VOXWIRE_VECTORS": str(VECTORS), **(env or {})}
        return subprocess.run(
            command, cwd=self.root, env=wanted, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )

    def node(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the text of a module in Node."""
        return self.run("node", "--input-type=module", "--eval", program, *arguments)


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The client, built; skips where Node, npm or its packages can't be had."""
    root = tmp_path_factory.mktemp("javascript")
    install()
    for name in ("package.json", "tsconfig.json", "README.md", "LICENSE"):
        shutil.copy(CLIENT / name, root / name)
    for name in ("src", "test"):
        shutil.copytree(CLIENT / name, root / name)
    (root / "node_modules").symlink_to(CLIENT / "node_modules")
    package = Package(root)
    said = package.run("node_modules/.bin/tsc", "-p", "tsconfig.json")
    assert said.returncode == 0, said.stdout
    return package


def install() -> None:
    """Let the client's npm packages be there, as its lock file names them; skips where they can't be had."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("needs Node.js and npm: apt-get install nodejs npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(re.sub(r"^v(\d+).*", r"\1", version)) < NODE_MIN:
        pytest.skip(f"needs Node.js {NODE_MIN} or newer: this one is {version}")
    install_packages()


def install_packages() -> None:
    """As `install`, with whatever Node is there."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm: apt-get install nodejs npm")
    with one_at_a_time("npm"):
        if NPM_DONE.is_file() and NPM_DONE.stat().st_mtime >= LOCK.stat().st_mtime:
            return
        came = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=CLIENT, capture_output=True, text=True)
    if came.returncode != 0:
        pytest.skip(f"needs the client's npm packages: cd clients/js && npm ci ({came.stderr.strip()[-200:]})")


class Driver:
    """A Node that speaks what it is told to (`test/support/drive.mjs`), job after job."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        program = self._package.root / "test" / "support" / "drive.mjs"
        pipe = asyncio.subprocess.PIPE
        # A line holds all that was said of a job.
        self._process = await asyncio.create_subprocess_exec(
            "node", str(program), stdin=pipe, stdout=pipe, limit=1 << 24, cwd=self._package.root
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "it is entered first"
        return self._process

    async def speak(self, url: str, *speeches: Mapping[str, Any], **job: Any) -> dict[str, Any]:
        """Speak on one session; returns what `drive.mjs` tells of it."""
        process = self._running
        assert process.stdin is not None
        assert process.stdout is not None
        line = json.dumps({"url": url, "speeches": speeches, **job})
        process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(60):
            answer = await process.stdout.readline()
        assert answer, "the driver is gone"
        result: dict[str, Any] = json.loads(answer)
        return result
