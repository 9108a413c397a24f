"""A visit to the server's page: what it drew, what its AudioContext put out, what went over its WebSockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.async_api import Page, WebSocket

TAPE = """
registerProcessor("tape", class extends AudioWorkletProcessor {
  constructor() { super(); this.blocks = []; }
  process([[input]]) {
    this.blocks.push(input ? input.slice() : new Float32Array(128));
    if (this.blocks.length < 8) return true;
    this.port.postMessage({ frame: currentFrame + 128, blocks: this.blocks });
    this.blocks = [];
    return true;
  }
});
"""

WATCH = """
window.watched = { words: [], mouths: [], tape: [], tapeEnd: 0, tapeStart: null };
(() => {
  const { watched } = window;
  const note = () => {
    const now = document.querySelector("#caption .now");
    if (!now || now.textContent === "") return;
    const chars = now.dataset.chars;
    if (watched.words.at(-1)?.chars === chars) return;
    const audio = watched.audio;
    const frame = audio === undefined ? null : (audio.currentTime - audio.outputLatency) * audio.sampleRate;
    watched.words.push({ chars, text: now.textContent, frame, playedPts: window.voxwire.playback.playedPts });
  };
  document.addEventListener("DOMContentLoaded", () =>
    new MutationObserver(note).observe(document.querySelector("#caption"), {
      subtree: true,
      childList: true,
      attributes: true,
    }));
  const look = () => {
    const page = window.voxwire;
    if (page?.playback) {
      const [weights, gap] = [[...page.weights], Number(document.querySelector("#face").dataset.lipGap)];
      watched.mouths.push({ pts: page.playback.playedPts, weights, gap });
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""

RECORD = """
async (program) => {
  const { watched } = window;
  const speaker = await window.voxwire.loudspeaker();
  await speaker.resume();
  const audio = (watched.audio = speaker.audioContext);
  await audio.audioWorklet.addModule(URL.createObjectURL(new Blob([program], { type: "text/javascript" })));
  const node = new AudioWorkletNode(audio, "tape", { channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => {
    watched.tapeStart ??= data.frame - data.blocks.length * 128;
    watched.tapeEnd = data.frame;
    watched.tape.push(...data.blocks);
  };
  speaker.volume.connect(node).connect(audio.destination);
  return audio.sampleRate;
}
"""

PLAY_BACK = """
async () => {
  const { watched } = window;
  const until = watched.audio.currentTime * watched.audio.sampleRate;
  while (watched.tapeEnd < until) await new Promise((resolve) => setTimeout(resolve, 10));
  const bytes = new Uint8Array(await new Blob(watched.tape).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { start: watched.tapeStart, samples: btoa(text) };
}
"""


@dataclass
class Visit:
    """The page in a browser, and all that it asked for."""

    page: Page
    http: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    urls: list[str] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    rate: int = 0

    async def record(self) -> None:
        """Put a tape behind the loudspeaker. Its program is no file of the server's: the profile wants `bypass_csp`."""
        self.rate = int(await self.page.evaluate(RECORD, TAPE))

    async def tape(self) -> tuple[int, NDArray[np.float32]]:
        """The AudioContext's first frame on the tape, and everything put out from there on."""
        played = await self.page.evaluate(PLAY_BACK)
        return int(played["start"]), np.frombuffer(base64.b64decode(played["samples"]), np.float32)

    def messages(self, kind: str) -> list[dict[str, Any]]:
        """What the server said of one type, in JSON, in order."""
        return [message for message in self.received if message["type"] == kind]

    async def until(self, condition: str, seconds: float = 60) -> None:
        """Wait for a JavaScript expression."""
        # Playwright's own waiting evaluates text within the page, which its policy forbids.
        waiting = f"async () => {{ while (!({condition})) await new Promise((resolve) => setTimeout(resolve, 10)); }}"
        async with asyncio.timeout(seconds):
            await self.page.evaluate(waiting)

    async def finished(self) -> None:
        """Wait until an answer has been heard to its end."""
        await self.until("document.querySelector('#status').textContent === 'Finished.'")

    async def choose(self, **controls: str) -> None:
        """Set controls, by the names of their elements; opens "More settings"."""
        await self.page.evaluate("document.querySelector('.more').open = true")
        for name, value in controls.items():
            if await self.page.evaluate("(id) => document.getElementById(id).tagName", name) == "SELECT":
                await self.page.select_option(f"#{name}", value)
            else:
                await self.page.fill(f"#{name}", value)

    async def say(self, text: str) -> None:
        """Type a text and press Speak."""
        await self.page.fill("#text", text)
        await self.page.click("#speak")


@asynccontextmanager
async def visiting(page: Page, http: str, *, connected: bool = True) -> AsyncIterator[Visit]:
    """The page of the server at `http`. Afterwards nobody may have complained, and no other host have been asked."""
    visit = Visit(page, http)
    page.on("console", lambda said: visit.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on("request", lambda request: _asked(visit, request.url))
    page.on("websocket", lambda socket: _opened(visit, socket))
    await page.add_init_script(WATCH)
    await page.goto(f"{http}/")
    if connected:
        await page.wait_for_selector("#connection[data-state=connected]")
    yield visit
    assert visit.complaints == []
    visit.hosts.discard("")  # blob: and data:
    assert visit.hosts == {urlsplit(http).netloc}


def _asked(visit: Visit, url: str) -> None:
    visit.urls.append(url)
    visit.hosts.add(urlsplit(url).netloc)


def _opened(visit: Visit, socket: WebSocket) -> None:
    _asked(visit, socket.url)
    visit.sockets.append(socket)

    def take(into: list[dict[str, Any]], payload: str | bytes) -> None:
        if isinstance(payload, str):
            into.append(json.loads(payload))

    socket.on("framereceived", lambda payload: take(visit.received, payload))
    socket.on("framesent", lambda payload: take(visit.sent, payload))
