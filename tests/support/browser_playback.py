"""What a page heard: utterances played in Chromium in front of a tape, compared with what the server sent."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from support.browser import CLIENT, built_client, serve_files
from support.tcp_proxy import Proxy
from voxwire_client import Audio, connect

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.async_api import Page

    from support.browser import Chromium
    from support.server import Host

LAB = CLIENT / "test" / "playback" / "lab.html"
SEED = 7
TIMED = ("word", "phoneme", "viseme", "clause")


@dataclass(frozen=True)
class PlaybackEvent:
    """An event that a playback raised: `frame` is what the AudioContext was just putting out."""

    type: str
    detail: dict[str, Any]
    frame: float
    played_pts: int
    mouth: list[float]
    pause_ms: float
    """How long at a stretch the page could not run, shortly before."""


class Account:
    """All that a playback did. `tape` starts at the AudioContext's frame `tape_start`."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.rate: int = raw["rate"]
        self.tape_start: int = raw["tapeStart"]
        self.tape = np.frombuffer(base64.b64decode(raw["tape"]), "<f4")
        self.payloads = base64.b64decode(raw["pcm"])
        self.events = [
            PlaybackEvent(x["type"], x["detail"], x["frame"], x["playedPts"], x["mouth"], x["pauseMs"])
            for x in raw["events"]
        ]
        self.positions: list[int] = [pts for pts, _ in raw["positions"]]
        self.leads_ms: list[float] = [lead for _, lead in raw["positions"]]

    @property
    def pcm(self) -> NDArray[np.float32]:
        """What the server sent as 16-bit PCM, as floating point."""
        return np.frombuffer(self.payloads, "<i2").astype(np.float32) / 32768

    def of(self, *types: str) -> list[PlaybackEvent]:
        """The events of these types."""
        return [each for each in self.events if each.type in types]

    def first_frame(self, wanted: NDArray[np.float32]) -> int:
        """The AudioContext's frame at which sample 0 of `wanted`, of the AudioContext's rate, is on the tape."""
        return self.tape_start + placed(self.tape, wanted)

    def late_ms(self, first_frame: int, *types: str) -> NDArray[np.float64]:
        """How long after its own sample each event was raised, by the samples put out."""
        rate = self.raw["audio"]["sample_rate"]
        due = [first_frame + each.detail["pts"] * self.rate / rate for each in self.of(*types)]
        raised = [each.frame for each in self.of(*types)]
        return (np.array(raised) - np.array(due)) / self.rate * 1000


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled client."""
    return built_client(tmp_path_factory.mktemp("client"))


@pytest.fixture
def lab(chromium: Chromium, host: Host, built: Path) -> Callable[..., Any]:
    """`lab(action, speaker=…)` runs `action(page)` on a page that has a session and a speaker."""

    def run(action: Callable[[Page], Awaitable[Any]], *, http: str | None = None, **options: Any) -> Any:
        async def visit(page: Page) -> Any:
            async with laboratory(page, http or host.http, built, **options):
                return await action(page)

        return chromium.play(visit)

    return run


@pytest.fixture
def far_lab(chromium: Chromium, built: Path) -> Callable[..., Any]:
    """`far_lab(server, action, speaker=…)` runs `action(page, proxy)`: the page and its session come by the proxy."""

    def run(server: Host, action: Callable[[Page, Proxy], Awaitable[Any]], **options: Any) -> Any:
        async def visit(page: Page) -> Any:
            async with (
                Proxy(server.port) as proxy,
                laboratory(page, f"http://127.0.0.1:{proxy.port}", built, **options),
            ):
                return await action(page, proxy)

        return chromium.play(visit)

    return run


def spoken(host: Host, text: str, **options: Any) -> NDArray[np.float32]:
    """What the Python client gets of a text with the same seed as `say`, as floating point."""

    async def run() -> bytes:
        async with connect(host.url) as session:
            speech = session.speak(text, seed=SEED, pacing="burst", **options)
            return b"".join([event.payload async for event in speech if isinstance(event, Audio)])

    return np.frombuffer(asyncio.run(run()), "<i2").astype(np.float32) / 32768


@contextlib.asynccontextmanager
async def laboratory(
    page: Page, http: str, built: Path, *, url: str | None = None, head: str = "", **options: Any
) -> AsyncIterator[Page]:
    """A page at the server `http` with a session to `url`, a speaker and a tape; `options` are of lab.html's `open`."""
    await serve_files(page, http, built, head + LAB.read_text())
    await page.wait_for_function("window.lab")
    url = url or http.replace("http", "ws", 1) + "/v1/stream"
    await page.evaluate("options => lab.open(options)", {"url": url, **options})
    yield page
    await page.evaluate("async () => { await lab.session.close(); await lab.speaker.close(); }")


async def say(page: Page, text: str, **options: Any) -> None:
    """Begin to play a text; `options` are the client's own. With `gather`, when all of it has come."""
    options = {"timings": ["word", "phoneme", "viseme"], "seed": SEED, **options}
    await page.evaluate("([text, options]) => { lab.say(text, options); }", [text, options])


async def account(page: Page, **options: Any) -> Account:
    """What the newest playback did so far."""
    return Account(await page.evaluate("options => lab.account(options)", options))


async def heard(page: Page, text: str, **options: Any) -> Account:
    """Play a text to its end."""
    await say(page, text, **options)
    await page.evaluate("lab.finished()")
    return await account(page)


def assert_events_in_time(played: Account, first_frame: int, ms_max: float) -> None:
    """The event of every word and viseme was raised when its sample was heard, and the clock never went back."""
    late = played.late_ms(first_frame, *TIMED)
    assert len(late) > 20
    # A page that could not run for a while could raise no event; 10 ms is what it always takes.
    excused = [max(0.0, each.pause_ms - 10) for each in played.of(*TIMED)]
    assert np.max(late - excused) < ms_max, late
    assert np.min(late) > -ms_max, late
    assert played.positions == sorted(played.positions)
    for each in played.of(*TIMED):
        assert each.played_pts >= each.detail["pts"]


def placed(tape: NDArray[np.float32], wanted: NDArray[np.float32]) -> int:
    """Where `wanted` begins on a tape, by cross-correlation."""
    size = 1 << (len(tape) + len(wanted)).bit_length()
    product = np.fft.rfft(tape, size) * np.conj(np.fft.rfft(wanted, size))
    return int(np.argmax(np.fft.irfft(product, size)[: len(tape)]))


def without_gaps(tape: NDArray[np.float32], wanted: NDArray[np.float32]) -> int:
    """How many samples of `wanted` are on the tape in their order, exact to the bit, whatever stands between them."""
    at, values = 0, wanted.tolist()
    for sample in tape.tolist():
        if at < len(values) and sample == values[at]:
            at += 1
    return at


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """How alike two pieces are, of the same length: 1 at best."""
    return float(np.dot(one, other) / np.sqrt(np.dot(one, one) * np.dot(other, other)))


def rms(samples: NDArray[np.float32]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples**2)))
