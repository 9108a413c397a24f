"""The page at `/` for everybody: with keys, by keyboard, on a phone, in the dark, when the server is full."""

from __future__ import annotations

import asyncio

import pytest

from support.browser import CLIENT, chromium  # noqa: F401 - a fixture
from support.javascript import install_packages
from support.nodes import Node
from support.page import visiting
from support.server import serving
from voxwire_client import connect
from voxwire_server.ops.auth import generate_key, hash_key

TEXT = "Hello there. A bumble bee maps the way to a blooming plum, and Peter picks up a big purple pebble."
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


MUTED = """
  // As browsers do it before a person has touched the page: contexts stay suspended, and resume() stays unanswered.
  const resume = AudioContext.prototype.resume;
  window.AudioContext = class extends AudioContext {
    constructor(options) { super(options); this.suspend(); }
    get state() { return window.touched ? super.state : "suspended"; }
    resume() { return window.touched ? resume.call(this) : new Promise(() => {}); }
  };
  addEventListener("pointerdown", (event) => { window.touched ||= event.target.closest("#tap") !== null; }, true);
"""


def test_a_page_that_may_not_be_heard_yet_asks_for_a_tap(chromium, host):  # noqa: F811
    async def action(page):
        await page.add_init_script(MUTED)
        async with visiting(page, host.http) as visit:
            await visit.choose(voice="tone-low")
            await visit.say("Hello there.")
            await page.wait_for_selector("#tap:not([hidden])")
            silent = await page.evaluate("watched.words.length")
            await page.click("#tap")
            await visit.finished()
            return silent, await page.is_hidden("#tap")

    assert chromium.play(action) == (0, True)


def test_a_full_server_is_asked_again_when_it_said(chromium):  # noqa: F811
    async def action(page):
        other = connect(running.url)
        await other.__aenter__()
        async with visiting(page, running.http, connected=False) as visit:
            await page.wait_for_selector("#notice[data-code='server.too_many_sessions']:not([hidden])")
            told = await page.inner_text("#notice")
            await other.__aexit__(None, None, None)
            await page.wait_for_selector("#notice-action:not([disabled])")
            await page.click("#notice-action")
            await page.wait_for_selector("#connection[data-state=connected]")
            await visit.say("Hello.")
            await visit.finished()
            return told

    with serving("engines.enabled=tone", "engines.default=tone", "server.sessions_max=1") as running:
        told = chromium.play(action)
    assert "busy" in told
    assert "Try again in" in told


def test_a_server_with_keys_is_spoken_with_by_token(chromium):  # noqa: F811
    key = generate_key()

    async def action(page):
        async with visiting(page, running.http, connected=False) as visit:
            await page.wait_for_selector("#key-field:not([hidden])")
            await page.fill("#key", "vw_wrong")
            await page.click("#key-use")
            await page.wait_for_selector("#notice[data-code='client.not_authenticated']:not([hidden])")
            await page.fill("#key", key)
            await page.press("#key", "Enter")
            await page.wait_for_selector("#connection[data-state=connected]")
            hidden = await page.is_hidden("#key-field")
            await visit.say("Hello.")
            await visit.finished()
            stored = await page.evaluate("JSON.stringify([{ ...sessionStorage }, { ...localStorage }])")
            # The browser itself complains of an answer 401: that is what was asked for here.
            visit.complaints = [each for each in visit.complaints if "401" not in each]
            return hidden, stored, visit.urls

    with serving("engines.enabled=tone", "engines.default=tone", f"auth.keys=me={hash_key(key)}") as running:
        hidden, stored, urls = chromium.play(action)
    assert hidden
    assert key not in stored
    assert not any(key in url or "token=" in url for url in urls)


def test_a_server_that_restarts_is_found_again(chromium):  # noqa: F811
    node = Node("n1", ("engines.enabled=tone", "engines.default=tone", "resume.window_seconds=1"))

    async def action(page):
        node.start()
        await node.until_ready()
        async with visiting(page, f"http://127.0.0.1:{node.port}") as visit:
            node.drain()
            assert await node.until_gone() == 0
            await page.wait_for_selector("#connection:not([data-state=connected])")
            node.start()
            await node.until_ready()
            await visit.say("Hello again.")
            await visit.finished()
            await page.wait_for_selector("#connection[data-state=connected], #connection[data-state=resumed]")
            # Browsers report a refused connection by themselves.
            visit.complaints = [each for each in visit.complaints if "ERR_CONNECTION" not in each]
            return await page.inner_text("#caption .heard")

    try:
        assert chromium.play(action) == "Hello again."
    finally:
        node.kill()
        asyncio.run(node.until_gone())


def test_refusals_are_reported_kindly_and_the_next_text_is_spoken(chromium, host):  # noqa: F811
    async def action(page):
        async with visiting(page, host.http) as visit:
            await page.evaluate("document.querySelector('#voice').append(new Option('nobody', 'nobody'))")
            await visit.choose(voice="nobody")
            await visit.say("Hello.")
            await page.wait_for_selector("#notice[data-code='client.unknown_voice']:not([hidden])")
            told = await page.inner_text("#notice")
            await visit.choose(voice="heart")
            await visit.say("Hello.")
            await visit.finished()
            return told, await page.is_hidden("#notice")

    told, hidden = chromium.play(action)
    assert "no such voice" in told
    assert hidden


def test_everything_works_by_keyboard(chromium, host):  # noqa: F811
    async def action(page):
        async with visiting(page, host.http) as visit:
            reached = []
            for _ in range(24):
                await page.keyboard.press("Tab")
                reached.append(await page.evaluate("document.activeElement.id || document.activeElement.className"))
            ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            await page.focus("#text")
            await page.keyboard.press("Control+a")
            await page.keyboard.type(TEXT)
            await page.keyboard.press("Control+Enter")
            await visit.until("watched.words.length > 2")
            await page.keyboard.press("Escape")
            await page.wait_for_selector("#report:not([hidden])")
            await page.keyboard.press("Alt+l")
            await visit.until("document.querySelector('#question').textContent !== ''")
            await page.focus("#tabs [aria-selected=true]")
            await page.keyboard.press("ArrowRight")
            snippet = await page.inner_text("#snippet-code")
            return reached, ring, snippet

    reached, ring, snippet = chromium.play(action)
    assert reached[0] == "skip"
    assert {"theme", "text", "speak", "simulate", "voice", "codec", "speed", "drop", "copy"} <= set(reached)
    assert ring != "none"
    assert "voxwire_client" in snippet
    assert host.http.removeprefix("http") in snippet


def test_snippets_follow_the_voice_and_can_be_copied(chromium, host):  # noqa: F811
    async def action(page):
        async with visiting(page, host.http):
            await page.select_option("#voice", "tone-high")
            await page.click("#tabs button:has-text('curl')")
            code = await page.inner_text("#snippet-code")
            await page.click("#copy")
            await page.wait_for_selector("#copy:has-text('Copied')")
            return code, await page.evaluate("navigator.clipboard.readText()")

    code, copied = chromium.play(action, permissions=["clipboard-read", "clipboard-write"])
    assert code == copied
    assert "tone-high" in code
    assert f"{host.http}/v1/audio/speech" in code


def test_the_toggle_changes_the_colours_and_is_remembered(chromium, host):  # noqa: F811
    async def action(page):
        async with visiting(page, host.http):
            seen = []
            for _ in range(3):
                await page.click("#theme")
                seen.append(await page.evaluate("document.documentElement.dataset.theme"))
                if len(seen) == 1:
                    await page.reload()
                    await page.wait_for_selector("#connection[data-state=connected]")
                    seen.append(await page.evaluate("document.documentElement.dataset.theme"))
            return seen

    assert chromium.play(action, color_scheme="light") == ["dark", "dark", "light", "light"]


def test_who_wants_stillness_gets_a_mouth_and_nothing_else(chromium, host):  # noqa: F811
    async def action(page):
        async with visiting(page, host.http) as visit:
            await visit.say("Hello there, my dear.")
            await visit.finished()
            moved = await page.evaluate("document.querySelector('[data-part=head]').getAttribute('transform')")
            return moved, await page.evaluate("Math.max(...watched.mouths.map((mouth) => mouth.gap))")

    moved, widest = chromium.play(action, reduced_motion="reduce")
    assert moved is None
    assert widest > 5


def test_over_plain_http_from_elsewhere_it_plays_all_the_same(chromium):  # noqa: F811
    async def action(page):
        async with visiting(page, f"http://plain.test:{running.port}") as visit:
            await visit.choose(codec="opus")
            await visit.say("Hello there.")
            await visit.finished()
            secure = await page.evaluate("isSecureContext")
            return secure, await page.inner_text("#decoder"), await page.inner_text("#caption .heard")

    with serving("engines.enabled=tone", "engines.default=tone", "server.insecure=true") as running:
        secure, decoder, heard = chromium.play(action)
    assert not secure
    assert decoder == "WebAssembly"
    assert heard == "Hello there."


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("profile", [{"viewport": {"width": 1280, "height": 900}}, PHONE], ids=["desktop", "phone"])
def test_it_fits_and_anybody_can_use_it(chromium, host, scheme, profile):  # noqa: F811
    install_packages()
    program = (CLIENT / "node_modules" / "axe-core" / "axe.min.js").read_text()

    async def action(page):
        async with visiting(page, host.http) as visit:
            await page.evaluate(program)
            found = [await page.evaluate("axe.run()")]
            await page.evaluate("document.querySelector('#shapes').open = true")
            await page.click(".more summary")
            await visit.say(TEXT)
            await visit.until("watched.words.length > 4")
            found.append(await page.evaluate("axe.run()"))
            await page.keyboard.press("Escape")
            await page.wait_for_selector("#report:not([hidden])")
            found.append(await page.evaluate("axe.run()"))
            width = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            small = await page.evaluate(
                """[...document.querySelectorAll("button, select, textarea, summary, input, label.check")]
                  .filter((each) => each.offsetParent !== null && each.type !== "checkbox")
                  .filter((each) => each.getBoundingClientRect().height < 43.5)
                  .map((each) => each.id || each.textContent)"""
            )
            theme = await page.evaluate("document.documentElement.dataset.theme")
            return [violation for each in found for violation in each["violations"]], width, small, theme

    violations, width, small, theme = chromium.play(action, color_scheme=scheme, **profile)
    assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in violations] == []
    assert width[0] <= width[1]
    assert small == []
    assert theme == scheme
