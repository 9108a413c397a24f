"""The JavaScript client: its own tests, and what it hears at real servers beside what the Python client hears."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import urllib.request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.browser import serve_files
from support.javascript import CLIENT, Driver, javascript
from support.server import serving
from support.tcp_proxy import Proxy
from voxwire_client import Audio, Done, Flushed, Timing, connect
from voxwire_server.ops.auth import generate_key, hash_key

__all__ = ["javascript"]

TEXT = "Hello there, listener. This is the second sentence, and it is a bit longer than the first one was."
EMOJI = "🎉 A party; “quoted” words… 👩‍👩‍👧 and on."
SETTINGS = ("engines.enabled=tone,tone-frames", "engines.default=tone", "scheduling.utilisation_max=100")
BURST = {"voice": "tone-low", "pacing": "burst", "seed": 7}
SESSION = (
    {"text": TEXT, "options": BURST},
    {"flushes": [["And this is another utterance.", "first"], [" It is short 🎉.", "second"]], "options": BURST},
)
"""Two speeches, one after the other: in one piece, and written by hand."""


@pytest.fixture(scope="module")
def server():
    # Sessions that were left behind are not waited for.
    with serving(*SETTINGS, "server.drain_seconds=0") as running:
        yield running


def play(action):
    async def run():
        async with asyncio.timeout(120):
            return await action()

    return asyncio.run(run())


def driven(package, job):
    """What `job(driver)` returns."""

    async def run():
        async with Driver(package) as driver:
            return await job(driver)

    return play(run)


async def heard_by_python(url, speech):
    """What the Python client hears, as the driver of the JavaScript client tells it."""
    async with connect(url) as session:
        context = session.context(**speech["options"])
        if "text" in speech:
            await context.text(speech["text"])
        for text, id in speech.get("flushes", []):
            await context.text(text)
            await context.flush(id)
        await context.end()
        return told([event async for event in context])


def told(events):
    audio = [event for event in events if isinstance(event, Audio)]
    timings = [event for event in events if isinstance(event, Timing)]
    done = events[-1]
    assert isinstance(done, Done)
    return {
        "seqs": [event.seq for event in audio],
        "pts": [event.pts for event in audio],
        "sha256": hashlib.sha256(b"".join(event.payload for event in audio)).hexdigest(),
        "words": [[w.text, *w.chars, w.pts, w.end_pts] for timing in timings for w in timing.words],
        "visemes": [[v.id, v.weight, v.pts] for timing in timings for v in timing.visemes],
        "flushed": [[event.id, event.seq] for event in events if isinstance(event, Flushed)],
        "done": [done.reason.value, done.frames, done.samples, done.chars],
    }


def same(speech):
    """The part of what the driver tells that must not depend on the client, nor on what the line did."""
    assert speech["error"] is None, speech["error"]
    done = speech["done"]
    facts = ("seqs", "pts", "sha256", "words", "visemes", "flushed")
    return {fact: speech[fact] for fact in facts} | {
        "done": [done["reason"], done["frames"], done["samples"], done["chars"]]
    }


# -- its own tests --------------------------------------------------------------------------------------------------


def test_its_own_tests_pass(javascript):
    files = sorted(path.name for path in (javascript.root / "test").glob("*.test.mjs"))
    assert "protocol.test.mjs" in files
    said = javascript.run("node", "--test", *(f"test/{name}" for name in files if name != "server.test.mjs"))
    assert said.returncode == 0, said.stdout[-6000:]


def test_its_tests_at_a_real_server_pass(javascript, host):
    said = javascript.run("node", "--test", "test/server.test.mjs", env={"VOXWIRE_URL": host.url})
    assert said.returncode == 0, said.stdout[-6000:]
    assert "# skipped 0" in said.stdout


# -- the same as the Python client ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_the_same_seed_sounds_the_same_as_in_python(javascript, host, encoding):
    options = {"voice": "heart", "pacing": "burst", "seed": 11, "timings": ["word", "viseme"]}
    speeches = [{"text": text, "options": options} for text in (TEXT, EMOJI)]

    async def job(driver):
        return await driver.speak(host.url, *speeches, connection={"encoding": encoding})

    came = driven(javascript, job)
    for speech, told in zip(speeches, came["speeches"], strict=True):
        expected = play(lambda speech=speech: heard_by_python(host.url, speech))
        assert len(expected["seqs"]) > 20
        assert expected["visemes"]
        assert same(told) == expected


# -- connections that are cut ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(server):
    async def all_of_it():
        return [await heard_by_python(server.url, speech) for speech in SESSION]

    return play(all_of_it)


CUT = st.one_of(
    st.tuples(st.integers(0, 2500), st.none()),
    st.tuples(st.none(), st.integers(0, 2500)),
    st.tuples(st.none(), st.integers(0, 600_000)),
    st.tuples(st.integers(0, 2500), st.integers(0, 100_000)),
)
"""After so many bytes (up, down) of a connection: in handshakes, in frames, between any two bytes."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=st.lists(CUT, max_size=10), encoding=st.sampled_from(["json", "msgpack"]))
def test_whatever_is_cut_the_stream_is_the_undisturbed_one(javascript, server, undisturbed, schedule, encoding):
    async def job(driver):
        async with Proxy(server.port) as proxy:
            proxy.cut_each(*schedule)
            url = f"ws://127.0.0.1:{proxy.port}"
            while True:
                # The first connection is tried once: where it was cut, another session is begun.
                came = await driver.speak(url, *SESSION, connection={"encoding": encoding})
                if came["error"] is None:
                    return came
                assert came["error"]["name"] == "ConnectionLost"

    came = driven(javascript, job)
    assert [same(speech) for speech in came["speeches"]] == undisturbed


def test_a_session_of_many_drops_loses_and_repeats_nothing(javascript, server):
    """Realtime pacing, a drop a little after each return, while it speaks."""
    speech = {"text": TEXT, "options": {"voice": "tone-low", "seed": 7}}

    async def job(driver):
        async with Proxy(server.port) as proxy:

            async def cut_often():
                while True:
                    await proxy.accepted()
                    proxy.cut_after(bytes_down=6000)

            cutter = asyncio.create_task(cut_often())
            try:
                return await driver.speak(f"ws://127.0.0.1:{proxy.port}", speech), proxy.cuts
            finally:
                cutter.cancel()

    came, cuts = driven(javascript, job)
    assert cuts >= 5
    # The last cut may come when everything has been said.
    assert came["speeches"][0]["resumed"] in ([True] * cuts, [True] * (cuts - 1))
    assert same(came["speeches"][0]) == play(lambda: heard_by_python(server.url, speech))


def test_a_server_that_forgot_the_session_costs_no_word(javascript, server):
    speech = {"text": TEXT, "options": {"voice": "tone-low", "seed": 7}}

    async def job(driver):
        with serving(*SETTINGS, "server.drain_seconds=0") as other:
            async with Proxy(server.port) as proxy:
                proxy.cut_each((None, 90_000))
                speaking = asyncio.create_task(driver.speak(f"ws://127.0.0.1:{proxy.port}", speech))
                await proxy.accepted()
                proxy.target_port = other.port
                return await speaking

    (came,) = driven(javascript, job)["speeches"]
    assert came["resumed"] == [False]
    assert came["seqs"] == list(range(came["done"]["frames"]))
    assert came["pts"] == [seq * 480 for seq in came["seqs"]]
    assert [word for word, *_ in came["words"]] == TEXT.split()
    assert all(TEXT[start:end] == word for word, start, end, *_ in came["words"])


# -- who may come in ------------------------------------------------------------------------------------------------


def mint(host, key):
    """A token of a server's, for its API key."""
    request = urllib.request.Request(f"{host.http}/v1/tokens", method="POST", data=b"{}")
    request.add_header("Authorization", f"Bearer {key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["token"]


def test_only_tokens_and_keys_are_accepted(javascript):
    key = generate_key()
    speech = {"text": "Hello.", "options": BURST}

    with serving(*SETTINGS, f"auth.keys=tests={hash_key(key)}") as host:
        token = mint(host, key)

        async def job(driver):
            return [
                await driver.speak(host.url, speech, token=token),
                await driver.speak(host.url, speech, connection={"apiKey": key, "encoding": "msgpack"}),
                await driver.speak(host.url, speech),
                await driver.speak(host.url, speech, token="wrong"),
                await driver.speak(host.url, speech, token=key),
            ]

        let_in, by_key, *refused = driven(javascript, job)
    assert [each["speeches"][0]["done"]["reason"] for each in (let_in, by_key)] == ["completed"] * 2
    assert [each["error"]["code"] for each in refused] == ["client.not_authenticated"] * 3


# -- the package ----------------------------------------------------------------------------------------------------


def test_strict_programs_compile_against_the_published_types(javascript, tmp_path):
    shutil.copy(javascript.root / "test" / "types" / "consumer.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "voxwire").symlink_to(javascript.root)
    options = {"target": "ES2022", "strict": True, "exactOptionalPropertyTypes": True, "noEmit": True}
    # No types of Node's: what a browser's program has.
    libraries = {"lib": ["ES2023", "DOM"], "types": [], "skipLibCheck": False}
    modules = {"module": "ESNext", "moduleResolution": "Bundler"}
    config = {"compilerOptions": options | libraries | modules, "include": ["consumer.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    said = javascript.run("node_modules/.bin/tsc", "-p", str(tmp_path / "tsconfig.json"))
    assert said.returncode == 0, said.stdout


def test_public_types_say_any_nowhere(javascript):
    for path in (javascript.root / "dist").rglob("*.d.ts"):
        code = [line for line in path.read_text().splitlines() if not line.lstrip().startswith(("*", "/"))]
        assert not [line for line in code if ": any" in line or "<any" in line or "any[" in line], path


def test_the_package_holds_what_it_needs_and_no_more(javascript):
    said = javascript.run("npm", "pack", "--dry-run", "--json", "--ignore-scripts")
    assert said.returncode == 0, said.stderr
    (packed,) = json.loads(said.stdout)
    files = {each["path"] for each in packed["files"]}
    beside = {path for path in files if not path.startswith("dist/")}
    assert beside == {"package.json", "README.md", "LICENSE"}
    assert {"dist/index.js", "dist/index.d.ts", "dist/protocol/messages.d.ts"} <= files
    assert all(path.endswith((".js", ".d.ts", ".js.map")) for path in files - beside)
    assert packed["size"] < 400_000
    for entry in json.loads((javascript.root / "package.json").read_text())["exports"].values():
        assert {path.removeprefix("./") for path in entry.values()} <= files
    assert (CLIENT / "LICENSE").read_text() == (CLIENT.parents[1] / "LICENSE").read_text()


def test_what_a_program_does_not_use_is_left_out_of_its_bundle(javascript, tmp_path):
    sizes = []
    for name in ("MouthTrack", "connect"):
        entry, bundle = javascript.root / f"{name}.entry.js", tmp_path / f"{name}.js"
        entry.write_text(f'export {{ {name} }} from "./dist/index.js";')
        said = javascript.run(
            "node_modules/.bin/esbuild", entry.name, "--bundle", "--minify", "--format=esm", f"--outfile={bundle}"
        )
        assert said.returncode == 0, said.stderr
        assert "warning" not in said.stderr
        sizes.append(bundle.stat().st_size)
    assert sizes[0] < 3_000 < sizes[1]


PROBE = """
    const before = Object.keys(globalThis).length;
    const { connect } = await import("./dist/index.js");
    const told = { globals: Object.keys(globalThis).length - before };
    class Silent { protocol = ""; close() {} }
    const why = (options) => connect("ws://127.0.0.1:9", options).then(() => "connected", (error) => error.message);
    told.alone = await why({});
    told.withKey = await why({ apiKey: "k" });
    told.given = await why({ WebSocket: Silent, timeoutMs: 50 });
    told.msgpack = await why({ WebSocket: Silent, timeoutMs: 50, encoding: "msgpack" });
    console.log(JSON.stringify(told));
"""


def test_without_optional_packages_only_what_needs_them_fails_and_says_so(javascript, tmp_path):
    (tmp_path / "node_modules" / "@msgpack").mkdir(parents=True)
    (tmp_path / "node_modules" / "@msgpack" / "msgpack").symlink_to(CLIENT / "node_modules" / "@msgpack" / "msgpack")
    shutil.copytree(javascript.root / "dist", tmp_path / "dist")
    shutil.copy(javascript.root / "package.json", tmp_path)
    # Newer Nodes have a WebSocket of their own.
    without = "delete globalThis.WebSocket;" + PROBE
    said = type(javascript)(tmp_path).node(without)
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["globals"] == 0
    assert "npm install ws" in told["alone"]
    assert "token" in told["withKey"]
    assert "npm install ws" in told["withKey"]
    assert "does not answer" in told["given"]
    assert "does not answer" in told["msgpack"]


def test_nothing_of_node_is_touched_when_it_is_imported(javascript):
    """As in a page: no `Buffer`, no `process`, and no package beside the client's own files."""
    program = """
        for (const name of ["Buffer", "process", "require", "setImmediate", "global"]) delete globalThis[name];
        const { connect, MouthTrack } = await import("./dist/index.js");
        class Silent { protocol = ""; close() {} }
        const error = await connect("ws://h", { WebSocket: Silent, timeoutMs: 20 }).catch((error) => error);
        console.log(error.name, new MouthTrack().weights(0)[0]);
    """
    said = javascript.node(program)
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == ["ConnectionLost", "1"]


# -- browsers -------------------------------------------------------------------------------------------------------

PAGE = """
async ({ text, encoding, token }) => {
    const { connect } = await import("/files/dist/index.js");
    const options = { encoding, ...(token && { token }) };
    const session = await connect("/", options).catch((error) => error);
    if (session instanceof Error) return { code: session.code };
    const told = { seqs: [], bytes: 0, came: [] };
    for await (const event of session.speak(text, { voice: "tone-low", pacing: "burst", seed: 7 })) {
        if (event.type !== "audio") { told.came.push(event.type); continue; }
        told.seqs.push(event.seq);
        told.bytes += event.payload.length;
    }
    await session.close();
    return told;
}
"""


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_page_speaks_and_comes_back_where_it_is_cut(javascript, chromium, server, encoding):
    async def action(page):
        async with Proxy(server.port) as proxy:
            # The page is the proxy's, so that it is of the same origin as the server behind it.
            await serve_files(page, f"http://127.0.0.1:{proxy.port}", javascript.root / "dist")
            proxy.cut_after(bytes_down=60_000)
            return await page.evaluate(PAGE, {"text": TEXT, "encoding": encoding})

    told = chromium.play(action)
    expected = play(lambda: heard_by_python(server.url, SESSION[0]))
    assert told["seqs"] == expected["seqs"]
    assert told["bytes"] == 960 * len(expected["seqs"])
    assert [kind for kind in told["came"] if kind in ("interrupted", "reconnected")] == ["interrupted", "reconnected"]


def test_a_page_brings_a_token_and_gets_an_error_when_it_is_wrong(javascript, chromium):
    key = generate_key()

    async def action(page):
        await serve_files(page, host.http, javascript.root / "dist")
        job = {"text": "Hello.", "encoding": "json"}
        return [await page.evaluate(PAGE, job | {"token": token}) for token in (mint(host, key), "wrong")]

    with serving(*SETTINGS, f"auth.keys=tests={hash_key(key)}") as host:
        let_in, refused = chromium.play(action)
    assert let_in["came"][-1] == "done"
    assert refused == {"code": "client.not_authenticated"}
