"""The synchronous session and the commands, against a scripted server in a thread."""

from __future__ import annotations

import argparse
import contextlib
import http.server
import io
import json
import os
import threading
import wave

import pytest

from support.ports import free_port
from support.scripted_server import Peer, done
from support.threaded_server import serving
from voxwire_client import Audio, VoxwireError, sync
from voxwire_client.commands import say, voices
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode

HI = m.WordTiming(text="Hi", chars=(0, 2), pts=240, end_pts=480)


async def says_hi(peer: Peer):
    """Speak two frames of whatever comes."""
    start = await peer.start()
    await peer.until(m.End)
    await peer.send(m.ClauseStarted(context=start.context, chars=(0, 2), pts=0))
    await peer.send(m.Timing(context=start.context, words=(HI,)))
    await peer.frames(0, 2)
    await peer.send(done(start.context, frames=2, chars=2))


async def speaks_until_cancelled(peer: Peer):
    start = await peer.start()
    await peer.frames(0, 1)
    await peer.until(m.Cancel)
    await peer.cancelled(start.context, "H", "i")


async def refuses(peer: Peer):
    start = await peer.expect(m.Start)
    await peer.refuse(ErrorCode.UNKNOWN_VOICE, start.context)


def test_events_come_without_asyncio():
    with serving(says_hi) as url, sync.connect(url) as session:
        utterance = session.speak(iter(["H", None, "i"]))
        kinds = [type(event) for event in utterance]
        assert kinds == [m.Started, m.ClauseStarted, m.Timing, Audio, Audio, m.Done]
        assert utterance.done.frames == 2
        assert utterance.started.voice == "heart"
        assert utterance.ttfa_client_ms > 0
        assert utterance.cancel(played_pts=480).heard.text == "Hi"


def test_another_thread_can_interrupt():
    with serving(speaks_until_cancelled) as url, sync.connect(url, encoding="json") as session:
        spoken, reports = session.context(), []
        interrupter = threading.Thread(target=lambda: reports.append(spoken.cancel()))
        kinds = []
        for event in spoken:
            kinds.append(type(event))
            if isinstance(event, Audio):
                interrupter.start()
        interrupter.join()
        assert kinds == [m.Started, Audio, m.Cancelled, m.Done]
        assert reports[0].unheard.text == "i"


def test_leaving_the_loop_cancels():
    async def script(peer: Peer):
        await speaks_until_cancelled(peer)
        cancelled.set()

    cancelled = threading.Event()
    with serving(script) as url, sync.connect(url) as session:
        for event in session.speak("Hi"):
            if isinstance(event, Audio):
                break
        assert cancelled.wait(10)


def test_text_written_by_hand():
    async def script(peer: Peer):
        await peer.start()
        assert (await peer.expect(m.Text)).text == "Hi."
        await peer.expect(m.Flush)
        await peer.expect(m.Hold)
        await peer.expect(m.Release)
        await peer.expect(m.Cancel)

    with serving(script) as url, sync.connect(url) as session:
        with session.context(context="a") as spoken:
            assert spoken.context == "a"
            spoken.text("Hi.", flush=True)
            spoken.hold()
            spoken.release()
            spoken.configure()
        session.ping()


def test_errors_are_raised_without_asyncio():
    with serving(refuses) as url, sync.connect(url) as session, pytest.raises(VoxwireError):
        list(session.context(voice="nobody"))


def test_a_failed_connection_leaves_no_thread():
    before = threading.active_count()
    with pytest.raises(sync.asynchronous.ConnectionLost):
        sync.connect(f"ws://127.0.0.1:{free_port()}")
    assert threading.active_count() == before


def test_a_session_that_is_closed_says_so():
    async def script(peer: Peer):
        pass

    with serving(script) as url:
        session = sync.connect(url)
        session.close()
        session.close()
        with pytest.raises(RuntimeError, match="closed"):
            session.ping()


# -- the commands -----------------------------------------------------------------------------------------------------


def command(module, *argv: str) -> int:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args(argv))


def test_say_writes_a_file_and_tells_the_times(tmp_path, capsys):
    path = tmp_path / "hi.wav"
    with serving(says_hi) as url:
        assert command(say, "Hi", "-o", str(path), "--url", url, "--verbose") == 0
    out = capsys.readouterr()
    assert out.out.split() == ["0.010", "0.020", "Hi"]
    assert f"0.0 s of speech to {path}; first audio after" in out.err
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnframes()) == (24000, 960)


def test_say_asks_for_what_its_options_name(tmp_path):
    starts = []

    async def script(peer: Peer):
        await says_hi(peer)
        starts.append(next(each for each in peer.received if isinstance(each, m.Start)))

    options = ["--voice", "v", "--speed", "1.5", "--rate", "8000", "--codec", "mulaw", "--seed", "3"]
    with serving(script) as url:
        file = str(tmp_path / "x.wav")
        assert command(say, "Hi", "-o", file, "--url", url, *options, "--timings", "word,phoneme") == 0
    (start,) = starts
    assert (start.voice, start.speed, start.seed, start.timings) == ("v", 1.5, 3, ("word", "phoneme"))
    assert start.audio == m.AudioRequest(codec="mulaw", sample_rate=8000)
    assert start.pacing.mode == "burst"


def test_say_speaks_standard_input_as_it_comes(tmp_path, monkeypatch):
    texts = []

    async def script(peer: Peer):
        start = await peer.start()
        texts.append((await peer.expect(m.Text)).text)
        # Half a character has been written too: it waits for its other half.
        os.write(write_end, "ß.".encode()[1:])
        os.close(write_end)
        await peer.until(m.End)
        texts.extend(each.text for each in peer.received[2:] if isinstance(each, m.Text))
        await peer.frames(0, 1)
        await peer.send(done(start.context, frames=1))

    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as standard_input, serving(script) as url:
        monkeypatch.setattr("sys.stdin", standard_input)
        os.write(write_end, b"Gru" + "ß".encode()[:1])
        assert command(say, "--stdin", "-o", str(tmp_path / "x.wav"), "--url", url) == 0
    assert texts == ["Gru", "ß."]


def test_say_ends_though_standard_input_does_not(tmp_path, monkeypatch, capsys):
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as standard_input, serving(refuses) as url:
        monkeypatch.setattr("sys.stdin", standard_input)
        assert command(say, "--stdin", "-o", str(tmp_path / "x.wav"), "--url", url, "--voice", "nobody") == 1
        os.close(write_end)
    assert "client.unknown_voice" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["Hi", "--stdin"], ["Hi", "--play", "--codec", "alaw"]])
def test_say_refuses_contradictory_options(argv, capsys):
    assert command(say, *argv) == 2
    assert capsys.readouterr().err


def test_say_tells_when_there_is_nothing_to_say(tmp_path, capsys):
    async def script(peer: Peer):
        start = await peer.start()
        await peer.until(m.End)
        await peer.send(done(start.context, m.DoneReason.NO_SPEAKABLE_TEXT))

    with serving(script) as url:
        assert command(say, "***", "-o", str(tmp_path / "x.wav"), "--url", url) == 1
    assert "nothing to say" in capsys.readouterr().err


def test_say_tells_how_to_get_a_server(capsys):
    assert command(say, "Hi", "--url", f"ws://127.0.0.1:{free_port()}") == 1
    assert "voxwire serve" in capsys.readouterr().err


def test_keys_are_not_shown_in_the_help(monkeypatch, capsys):
    monkeypatch.setenv("VOXWIRE_API_KEY", "very-secret")
    with pytest.raises(SystemExit):
        command(say, "--help")
    assert "very-secret" not in capsys.readouterr().out


@contextlib.contextmanager
def web(status: int, body: object):
    """One answer to every GET; yields the URL and the requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append((self.path, self.headers.get("Authorization")))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


VOICES = {
    "voices": [
        {"name": "heart", "engine": "hibari", "languages": ["en-US"], "description": "warm"},
        {"name": "tone-low", "engine": "tone", "languages": ["en"], "description": "a tone"},
    ],
    "default": "heart",
}


def test_voices_are_listed(capsys):
    with web(200, VOICES) as (url, requests):
        assert command(voices, "--url", url, "--api-key", "k") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("* heart")
    assert lines[1].startswith("  tone-low")
    assert requests == [("/v1/voices", "Bearer k")]


def test_voices_as_json(capsys):
    with web(200, VOICES) as (url, _):
        assert command(voices, "--url", url, "--json") == 0
    assert json.load(io.StringIO(capsys.readouterr().out)) == VOICES


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"error": {"code": "client.not_authenticated", "message": "no key"}}, "client.not_authenticated: no key"),
        (502, "oops", "502"),
        (200, {"something": "else"}, "no list of voices"),
    ],
)
def test_a_failed_list_of_voices_is_explained(status, body, told, capsys):
    with web(status, body) as (url, _):
        assert command(voices, "--url", url) == 1
    assert told in capsys.readouterr().err
