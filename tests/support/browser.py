"""Debian's Chromium, driven by Playwright: the fixture `chromium`, and pages that are made of files of this repository.

def test_a_title(chromium):
    async def action(page):
        await page.goto("http://127.0.0.1:8765/")
        return await page.title()

    assert chromium.play(action) == "voxwire"

A test module imports the fixture (`from support.browser import chromium`), or its conftest does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import mimetypes
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from support.javascript import install_packages

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright, Route

PROGRAM = shutil.which("chromium")
CLIENT = Path(__file__).parents[2] / "clients" / "js"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # A host that is not loopback by its name: pages there have no secure context.
    "--host-resolver-rules=MAP plain.test 127.0.0.1",
]
SECONDS_MAX = 120
WAIT_SECONDS_MAX = 60
"""How long a page may take for one step: a bound for broken runs, far more than it takes."""

T = TypeVar("T")


class Chromium:
    """One browser, and the event loop that it lives on. Each `play` has a page and a profile of its own."""

    def __init__(self, runner: asyncio.Runner, browser: Browser) -> None:
        self._runner = runner
        self.browser = browser

    def play(
        self,
        action: Callable[[Page], Awaitable[T]],
        *,
        seconds: float = SECONDS_MAX,
        quiet: bool = True,
        **profile: Any,
    ) -> T:
        """Run `action(page)` on a new page; `profile`: options of Playwright's contexts (`viewport`, …).

        With `quiet`, an exception that nobody caught in the page fails the test.
        """

        async def run() -> T:
            context = await self.browser.new_context(**profile)
            try:
                page = await context.new_page()
                page.set_default_timeout(WAIT_SECONDS_MAX * 1000)
                wrong: list[str] = []
                page.on("pageerror", lambda error: wrong.append(str(error)))
                async with asyncio.timeout(seconds):
                    result = await action(page)
                assert not (quiet and wrong), wrong
                return result
            finally:
                await context.close()

        return self._runner.run(run())


@contextlib.contextmanager
def browsing(*arguments: str) -> Iterator[Chromium]:
    """Run a Chromium without a window; `arguments` are added to its command line."""
    from playwright.async_api import async_playwright

    async def launch() -> tuple[Playwright, Browser]:
        driver = await async_playwright().start()
        return driver, await driver.chromium.launch(executable_path=PROGRAM, args=[*ARGUMENTS, *arguments])

    with asyncio.Runner() as runner:
        driver, browser = runner.run(launch())
        try:
            yield Chromium(runner, browser)
        finally:
            runner.run(browser.close())
            runner.run(driver.stop())


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A running Chromium for all tests."""
    if PROGRAM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    pytest.importorskip("playwright")
    with browsing() as running:
        yield running


@functools.lru_cache(maxsize=1)
def built_client(directory: Path) -> Path:
    """The JavaScript client, compiled into `directory`; skips where npm or its packages can't be had."""
    install_packages()
    compiler = [str(CLIENT / "node_modules" / ".bin" / "tsc"), "-p", "tsconfig.json", "--outDir", str(directory)]
    said = subprocess.run(compiler, cwd=CLIENT, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout
    return directory


@functools.lru_cache(maxsize=1)
def _import_map() -> str:
    """Where a page finds the packages that the client imports by name."""
    files = {
        "@msgpack/msgpack": "@msgpack/msgpack/dist.esm/index.mjs",
        "opus-decoder": "opus-decoder/index.js",
        "@wasm-audio-decoders/common": "@wasm-audio-decoders/common/index.js",
        "@eshaz/web-worker": "@eshaz/web-worker/browser.js",
        "simple-yenc": "simple-yenc/dist/esm.js",
    }
    return json.dumps({"imports": {name: f"/files/node_modules/{path}" for name, path in files.items()}})


async def serve_files(page: Page, origin: str, built: Path, body: str = "") -> None:
    """Make a page of `body` at a voxwire server; it can import the compiled client as `/files/dist/…`."""
    roots = {"dist": built, "node_modules": CLIENT / "node_modules", "test": CLIENT / "test"}

    async def answer(route: Route) -> None:
        path = route.request.url.split("/files/", 1)[1].split("?")[0]
        top, _, rest = path.partition("/")
        file = roots[top] / rest if top in roots else None
        if file is None or not file.is_file():
            await route.fulfill(status=404, body=path)
            return
        kind = "text/javascript" if file.suffix in (".js", ".mjs") else mimetypes.guess_type(file.name)[0]
        await route.fulfill(body=file.read_bytes(), content_type=kind or "application/octet-stream")

    await page.route(f"{origin}/files/**", answer)
    # The server's own answer makes the page one of loopback: another may not open WebSockets there.
    await page.goto(f"{origin}/health")
    start = f'<!doctype html><meta charset="utf-8"><script type="importmap">{_import_map()}</script>'
    await page.set_content(start + body)
