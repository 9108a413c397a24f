"""The programs of examples/, each as its README says to run it, against a server with the tone engine."""

from __future__ import annotations

import ast
import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from support.browser import chromium  # noqa: F401 - a fixture
from support.ports import free_port
from support.server import serving
from voxwire_server.ops.auth import generate_key, hash_key

EXAMPLES = Path(__file__).parents[2] / "examples"
TONE = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100")
CHAR_SECONDS = 0.06
"""The tone engine takes 60 ms for each character."""


@pytest.fixture(scope="module")
def tone_host():
    with serving(*TONE) as running:
        yield running


@pytest.fixture(scope="module")
def backend() -> Iterator[tuple[str, str]]:
    """The addresses of examples/browser_tokens and of its server, which wants keys."""
    key, port = generate_key(), free_port()
    page_address = f"http://127.0.0.1:{port}"
    with serving(*TONE, f"auth.keys=web={hash_key(key)}", f"server.origins={page_address}") as host:
        command = [sys.executable, EXAMPLES / "browser_tokens/backend.py", "--voxwire", host.http, "--port", str(port)]
        process = subprocess.Popen(command, env=os.environ | {"VOXWIRE_API_KEY": key})
        try:
            wait_until_served(page_address, process)
            yield page_address, host.url
        finally:
            process.terminate()
            process.wait(10)


def wait_until_served(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            assert process.poll() is None, "the program ended"
            assert time.monotonic() < until, f"nothing answers at {address}"
            time.sleep(0.05)


def run(name: str, *arguments: object, **env: str) -> str:
    """Run an example; its output."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def seconds_of(path: Path) -> float:
    with wave.open(str(path)) as wav:
        assert any(wav.readframes(wav.getnframes()))
        return wav.getnframes() / wav.getframerate()


def test_every_program_is_in_the_list():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for program in EXAMPLES.rglob("*.py"):
        assert f"]({program.relative_to(EXAMPLES)})" in listed


def test_a_scripted_answer_is_spoken_before_it_is_written(tone_host, tmp_path):
    said = run("llm_to_speech.py", "--url", tone_host.url, "-o", tmp_path / "a.wav", "--tokens-per-second", 25)
    answer = said.partition("said: ")[2].strip()
    assert len(answer) > 150
    first = re.search(r"first audio after (\d+) characters", said)
    assert first is not None
    assert int(first[1]) < len(answer) / 2
    assert seconds_of(tmp_path / "a.wav") > 0.8 * CHAR_SECONDS * len(answer)


SOUND_CARD = """
import threading, time

class SampleFormat:
    SIGNED16 = 1

class MiniaudioError(Exception):
    pass

class PlaybackDevice:
    def __init__(self, sample_rate, **_):
        self.rate, self.open, self.heard = sample_rate, True, 0

    def start(self, source):
        threading.Thread(target=self._run, args=(source,), daemon=True).start()

    def _run(self, source):
        while self.open:
            self.heard += len(source.send(self.rate // 10).strip(bytes(1)))
            time.sleep(0.01)

    def close(self):
        self.open = False
        print(f"sound card: {self.heard} bytes")
"""


class ChatServer(http.server.BaseHTTPRequestHandler):
    """OpenAI's chat completions, streamed as server-sent events."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, asked["stream"], asked["model"]) == ("/v1/chat/completions", True, "echo")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in (None, "You asked: ", asked["messages"][-1]["content"]):
            chunk = {"choices": [{"delta": {"content": piece}}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b'data: {"choices": []}\n\ndata: [DONE]\n\n')

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def chat_server() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ChatServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_a_models_answer_is_spoken_as_it_streams(tone_host, tmp_path):
    with chat_server() as base_url:
        options = ("--model", "echo", "--base-url", base_url, "--url", tone_host.url, "-o", tmp_path / "a.wav")
        said = run("llm_to_speech.py", "How late is it?", *options)
    assert "said: You asked: How late is it?" in said
    assert seconds_of(tmp_path / "a.wav") > 1


def test_an_answer_can_be_played(tone_host, tmp_path):
    (tmp_path / "miniaudio.py").write_text(SOUND_CARD)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with chat_server() as base_url:
        options = ("--model", "echo", "--base-url", base_url, "--url", tone_host.url, "--play")
        said = run("llm_to_speech.py", "Why?", *options, PYTHONPATH=path)
    heard = re.search(r"sound card: (\d+) bytes", said)
    assert heard is not None
    assert int(heard[1]) > 0.5 * 2 * 24000 * CHAR_SECONDS * len("You asked: Why?")


def test_an_interruption_tells_what_was_heard(tone_host):
    said = run("barge_in.py", "--url", tone_host.url, "--after", 1.5)
    heard, unheard = (
        ast.literal_eval(line.partition(": ")[2])
        for line in said.splitlines()
        if line.startswith(("heard: ", "not heard: "))
    )
    assert "done: cancelled" in said
    assert heard.startswith("Your table is")
    assert len(heard) < 1.5 / CHAR_SECONDS + 25
    assert unheard.endswith("quarter past eleven.")


@pytest.mark.parametrize(("name", "mark"), [("tea.vtt", "WEBVTT"), ("tea.srt", "1\n00:00:00,")])
def test_captions_show_the_text_as_it_was_sent(tone_host, tmp_path, name, mark):
    text = "Tea costs $5. It is hot."
    files = ("-o", tmp_path / "tea.wav", "--captions", tmp_path / name)
    said = run("captions.py", text, "--url", tone_host.url, *files)
    assert [line.split(" s  ")[1] for line in said.splitlines()][-3:] == ["It", "is", "hot."]
    written = (tmp_path / name).read_text(encoding="utf-8")
    assert written.startswith(mark)
    assert "$5" in re.sub(r"<.*?>", "", written)
    assert seconds_of(tmp_path / "tea.wav") > 1


@pytest.mark.parametrize("encoding", [(), ("--msgpack",)])
def test_a_client_of_the_specification_alone_speaks(tone_host, tmp_path, encoding):
    text = "Hello there, all of you."
    said = run("raw_client.py", text, "--url", tone_host.url, "-o", tmp_path / "hello.wav", *encoding)
    assert "completed: " in said
    assert "Hello" in said
    assert seconds_of(tmp_path / "hello.wav") == pytest.approx(CHAR_SECONDS * len(text), abs=0.2)


def test_the_raw_client_imports_nothing_of_voxwires():
    tree = ast.parse((EXAMPLES / "raw_client.py").read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names
    assert not [name for name in names if name.startswith("voxwire")]


def test_what_the_server_refuses_is_reported(backend, tmp_path):
    command = [sys.executable, EXAMPLES / "raw_client.py", "--url", backend[1], "-o", tmp_path / "a.wav"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith("client.not_authenticated: ")


def ask_for_token(address: str, **headers: str) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(f"{address}/speech-token", method="POST", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_backends_token_opens_a_session(backend):
    page, stream_url = backend
    status, answer = ask_for_token(page, **{"X-Requested-With": "fetch"})
    assert (status, answer["url"]) == (200, stream_url)
    offered = ["voxwire.v1.json", f"voxwire.token.{answer['token']}"]
    with connect(answer["url"], subprotocols=offered, origin=page) as socket:
        assert json.loads(socket.recv(20))["type"] == "ready"


def test_a_backend_gives_no_token_to_others(backend):
    assert ask_for_token(backend[0]) == (403, {"detail": "not signed in"})


def test_the_page_speaks_and_is_interrupted(backend, chromium):  # noqa: F811
    async def action(page):
        status = page.get_by_role("status")
        await page.goto(backend[0])
        await page.get_by_label("Text").fill("Short.")
        await page.get_by_role("button", name="Speak").click()
        await status.get_by_text("Done").wait_for()
        done = await status.inner_text()
        await page.get_by_label("Text").fill("A text that takes longer than anybody will wait for in a test. " * 4)
        await page.get_by_role("button", name="Speak").click()
        await status.get_by_text("Speaking").wait_for()
        await page.wait_for_timeout(1200)
        await page.get_by_role("button", name="Stop").click()
        await status.get_by_text("Heard").wait_for()
        return done, await status.inner_text()

    done, heard = chromium.play(action)
    assert re.fullmatch(r"Done: \d+ frames", done)
    assert heard.startswith("Heard: “A text that")
    assert len(heard) < 100
