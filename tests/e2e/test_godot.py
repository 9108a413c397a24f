"""The Godot client, headless: golden vectors, and a real server beside the Python client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import urllib.request

import pytest

from support.godot import PROGRAM, VECTORS, of, play, script, told_python, vectors
from support.server import serving
from support.tcp_proxy import Proxy
from voxwire_client.wav import mulaw_sample
from voxwire_server.ops.auth import generate_key, hash_key

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Godot 3: apt-get install godot3-server")

TEXT = "Maybe you have met my puppy before. He is a very big dog, five feet from his nose to the tail!"
SETTINGS = ("engines.enabled=hibari,tone", "scheduling.utilisation_max=100")
# Sessions that were left behind are not waited for.
TONE = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100", "server.drain_seconds=0")


@pytest.fixture
def run(tmp_path):
    def action(name, **options):
        return play(lambda: script(name, tmp_path, **options))

    return action


@pytest.fixture(scope="module")
def server():
    with serving(*SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def other():
    with serving(*TONE) as running:
        yield running


# -- golden vectors ---------------------------------------------------------------------------------------------------


def test_every_message_of_the_server_is_understood(run):
    golden = [each for each in vectors("messages.json") if each["from"] == "server"]
    got = run("vectors", kind="messages", file=VECTORS / "messages.json")
    assert [(each["name"], each["error"], each["map"]) for each in got] == [(g["name"], 0, g["map"]) for g in golden]
    for line, each in zip(got, golden, strict=True):
        kind = each["map"]["type"]
        uncounted = kind in ("ready", "resumed", "resume_failed")
        handed_on = [] if uncounted or kind in ("state", "pong") else [each["map"]]
        assert [next(iter(signal.values())) for signal in line["signals"]] == [*handed_on, 0 if uncounted else 1]


def test_audio_frames_are_read_as_they_are_written(run):
    golden = vectors("audio_frames.json")
    got = {each["name"]: each["frame"] for each in run("vectors", kind="frames", file=VECTORS / "audio_frames.json")}
    for each in golden["valid"]:
        flags = each["flags"]
        assert got.pop(each["name"]) == {
            "first": bool(flags & 1),
            "last": bool(flags & 2),
            "replayed": bool(flags & 4),
            "number": each["context_number"],
            "seq": each["seq"],
            "pts": str(each["pts"]),
            "payload": each["payload"],
        }
    assert got == {each["name"]: None for each in golden["invalid"]}


def test_mulaw_is_decoded_to_its_table(run):
    (got,) = run("vectors", kind="mulaw")
    assert got["samples"] == [mulaw_sample(byte) for byte in range(256)]


def test_any_text_is_said_as_valid_json_of_the_same_length(run, tmp_path):
    texts = ['say "this" \\ and\tthat\r\n', "\x01\x0b\x1f bell\x07", "日本語 é 😀 </script>", "\u2028"]
    (tmp_path / "texts.json").write_text(json.dumps(texts, ensure_ascii=False).replace("\\u000b", "\\u000B"))
    got = [
        json.loads(base64.b64decode(each["raw"]))["text"]
        for each in run("vectors", kind="sent", file=tmp_path / "texts.json")
    ]
    assert [len(each) for each in got] == [len(each) for each in texts]
    assert got[0] == texts[0]
    assert got[1] == "    bell "
    assert got[2:] == texts[2:]


# -- a real server ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", ["heart", "tone-low"])
def test_godot_and_python_get_the_same_times_and_the_same_audio(server, run, voice):
    python = play(lambda: told_python(server.url, TEXT, voice=voice, seed=11))
    lines = run("speak", url=server.url, text=TEXT, voice=voice, seed=11, pieces=7)
    assert of(lines, "word") == python["words"]
    assert of(lines, "phoneme") == python["phonemes"]
    visemes = of(lines, "viseme")
    assert [(id, pts) for id, _, pts in visemes] == [(id, pts) for id, _, pts in python["visemes"]]
    assert [weight for _, weight, _ in visemes] == pytest.approx(
        [weight for _, weight, _ in python["visemes"]], abs=1e-6
    )
    assert visemes
    ((done,),) = of(lines, "finished")
    assert [done["frames"], done["samples"], done["chars"]] == python["done"]
    ((end,),) = of(lines, "end")
    assert end["bytes"] == len(python["audio"])
    assert end["digest"] == hashlib.sha256(python["audio"]).hexdigest()


def test_mulaw_sounds_as_python_decodes_it(other, run):
    python = play(lambda: told_python(other.url, TEXT, voice="tone-low", seed=11, codec="mulaw"))
    ((end,),) = of(run("speak", url=other.url, text=TEXT, voice="tone-low", seed=11, codec="mulaw"), "end")
    pcm = b"".join(mulaw_sample(byte).to_bytes(2, "little", signed=True) for byte in python["audio"])
    assert end["digest"] == hashlib.sha256(pcm).hexdigest()


def test_nothing_is_reported_before_it_is_heard(other, run):
    lines = run("speak", url=other.url, text=TEXT, voice="tone-low", step=700)
    place = {"word": 2, "viseme": 2, "phoneme": 1, "clause": 1}
    told = [line for line in lines if line["signal"] in place]
    assert len(told) > 50
    for line in told:
        assert 0 <= line["played"] - line["values"][place[line["signal"]]] <= 700 + 480
    assert [line["signal"] for line in lines].index("started_speaking") == 1


def test_godots_own_playback_moves_the_clock(other, run):
    """The dummy driver mixes as a sound card would."""
    lines = run("speak", url=other.url, text="Hello there, world.", voice="tone-low", sink="real", pacing="realtime")
    words = [line for line in lines if line["signal"] == "word"]
    assert [line["values"][0] for line in words] == ["Hello", "there,", "world."]
    assert all(line["played"] > line["values"][2] for line in words)
    assert of(lines, "finished")[0][0]["reason"] == "completed"


def test_utterances_are_heard_one_after_another(other, run):
    lines = run("speak", url=other.url, text="One. Two.", voice="tone-low", again=5)
    assert [word for word, _, _ in of(lines, "word")] == ["One.", "Two."] * 5
    assert [done["reason"] for (done,) in of(lines, "finished")] == ["completed"] * 5
    contexts = [done["context"] for (done,) in of(lines, "finished")]
    assert contexts == [context for (context,) in of(lines, "started_speaking")]
    assert len(set(contexts)) == 5


@pytest.mark.parametrize("pacing", ["realtime", "burst"])
def test_barge_in_tells_what_was_heard(other, run, pacing):
    """In burst the server has forgotten the context by then, and the client works it out."""
    text = "Hello there, big world. And more."
    lines = run("speak", url=other.url, text=text, voice="tone-low", pacing=pacing, interrupt_at="big", step=480)
    ((heard, unheard),) = of(lines, "interrupted")
    assert (heard["text"], heard["word"]) == ("Hello there,", "big")
    assert heard["text"] + unheard["text"] == text
    assert (heard["chars"], unheard["chars"]) == (len(heard["text"]), len(unheard["text"]))
    assert [word for word, _, _ in of(lines, "word")] == ["Hello", "there,", "big"]
    assert [done["reason"] for (done,) in of(lines, "finished")] == ["cancelled"]


def test_after_an_interruption_the_next_answer_is_heard_from_its_beginning(other, run):
    then = "Yes, you may."
    python = play(lambda: told_python(other.url, then, voice="tone-low", seed=5))
    lines = run(
        "speak", url=other.url, text=TEXT, voice="tone-low", seed=5, pacing="realtime", interrupt_at="have", then=then
    )
    words = of(lines, "word")
    assert [word for word, _, _ in words[:3]] == ["Maybe", "you", "have"]
    assert words[3:] == python["words"]
    assert [done["reason"] for (done,) in of(lines, "finished")] == ["cancelled", "completed"]


def test_hold_stops_the_clock_and_closes_the_mouth(other, run):
    lines = run("speak", url=other.url, text="Hello there, world.", voice="tone-low", hold_at="there,", step=480)
    ((held_pts, mouth),) = of(lines, "held")
    stopped = next(line["played"] for line in lines if line["values"][:1] == ["there,"])
    assert held_pts == stopped
    assert mouth == [1] + [0] * 14
    assert [word for word, _, _ in of(lines, "word")] == ["Hello", "there,", "world."]


# -- connections that fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pacing", ["realtime", "burst"])
def test_a_cut_connection_costs_no_frame(other, tmp_path, pacing):
    async def action():
        python = await told_python(other.url, TEXT, voice="tone-low", seed=5)
        async with Proxy(other.port) as proxy:
            proxy.cut_each((None, 700), (None, 30_000), (150, None), (None, 100_000))
            url = f"ws://127.0.0.1:{proxy.port}"
            # The very first connection is not tried again by itself: it carries the handshake and `ready`.
            lines = await script("speak", tmp_path, url=url, text=TEXT, voice="tone-low", seed=5, pacing=pacing)
            return python, lines, proxy.cuts

    python, lines, cuts = play(action)
    assert cuts == 4
    assert {resumed for (resumed,) in of(lines, "reconnected")} == {True}
    assert of(lines, "word") == python["words"]
    assert of(lines, "viseme") == [[id, pytest.approx(weight), pts] for id, weight, pts in python["visemes"]]
    ((end,),) = of(lines, "end")
    assert end["digest"] == hashlib.sha256(python["audio"]).hexdigest()
    assert not of(lines, "error")


def test_where_the_session_is_gone_the_rest_is_spoken_anew(other, tmp_path):
    """Another node answers, which knows nothing of the session."""

    async def action(gone):
        async with Proxy(gone.port) as proxy:
            proxy.cut_each((None, 60_000))
            task = asyncio.create_task(
                script("speak", tmp_path, url=f"ws://127.0.0.1:{proxy.port}", text=TEXT, voice="tone-low", seed=5)
            )
            await proxy.accepted()
            proxy.target_port = other.port
            return await task

    with serving(*TONE) as gone:
        lines = play(lambda: action(gone))
    assert of(lines, "reconnected") == [[False]]
    words = of(lines, "word")
    # A word in which the connection was lost is heard again from its beginning.
    whole = [word for word, after in zip(words, [*words[1:], None], strict=True) if not after or word[1] != after[1]]
    assert len(words) - len(whole) <= 1
    assert [word for word, _, _ in whole] == TEXT.split()
    assert all(TEXT[slice(*chars)] == word for word, chars, _ in words)
    assert [pts for _, _, pts in words] == sorted(pts for _, _, pts in words)
    ((done,),) = of(lines, "finished")
    assert (done["reason"], done["chars"]) == ("completed", len(TEXT))
    ((end,),) = of(lines, "end")
    assert end["bytes"] == done["frames"] * 960


def test_an_address_without_a_server_is_reported_as_an_error(run):
    lines = run("speak", url="ws://127.0.0.1:9", text=TEXT)
    ((code, _, retryable, hint),) = of(lines, "error")
    assert (code, retryable) == ("connection.refused", True)
    assert hint
    assert [done["reason"] for (done,) in of(lines, "finished")] == ["error"]


def test_a_server_that_stops_is_reported_as_an_error(tmp_path):
    """What had come is heard to its end first."""

    async def action(stopping):
        async with Proxy(stopping.port) as proxy:
            proxy.cut_each((None, 60_000))
            url = f"ws://127.0.0.1:{proxy.port}"
            return await script("speak", tmp_path, url=url, text=TEXT, voice="tone-low", reconnect=0)

    with serving(*TONE) as stopping:
        lines = play(lambda: action(stopping))
    assert [code for code, *_ in of(lines, "error")] == ["connection.lost"]
    ((done,),) = of(lines, "finished")
    assert done["reason"] == "error"
    ((end,),) = of(lines, "end")
    assert end["bytes"] == done["frames"] * 960 > 0


def test_a_draining_server_finishes_and_what_is_next_is_spoken_elsewhere(other, tmp_path):
    text = "Hello there. Nobody cuts this one off."

    async def action(stopping):
        async with Proxy(stopping.port) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}"
            task = asyncio.create_task(
                script("speak", tmp_path, url=url, text=text, voice="tone-low", pacing="realtime", again=3)
            )
            await proxy.accepted()
            while proxy.down.passed < 30_000:  # noqa: ASYNC110 - asked as a probe asks
                await asyncio.sleep(0.01)
            proxy.target_port = other.port
            stopping.stop()
            return await task

    with serving(*TONE[:-1]) as stopping:
        lines = play(lambda: action(stopping))
    assert ["server.draining", "the server is going away"] in of(lines, "warning")
    assert [word for word, _, _ in of(lines, "word")] == text.split() * 3
    assert [done["reason"] for (done,) in of(lines, "finished")] == ["completed"] * 3
    assert not of(lines, "error")


def test_a_slow_listener_makes_the_server_wait(other, run):
    """Minutes in a burst: from thirty seconds on the server is asked to wait; without being asked to go on it would."""
    text = " ".join(f"Number {i} of many." for i in range(100))
    lines = run("speak", url=other.url, text=text, voice="tone-low", step=8192)
    assert [word for word, _, _ in of(lines, "word")] == text.split()
    ((end,),) = of(lines, "end")
    assert end["bytes"] > 100 * 48_000
    assert (end["lead_ms_max"] > 30_000, end["held_back"]) == (True, True)


def test_a_key_or_a_token_lets_in(run):
    key = generate_key()
    with serving(*TONE, "auth.keys=alice=" + hash_key(key)) as host:
        asked = urllib.request.Request(f"{host.http}/v1/tokens", method="POST", headers={"X-API-Key": key})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            token = json.load(answer)["token"]
        for way in ({"key": key}, {"token": token}):
            lines = run("speak", url=host.url, text="Hello.", voice="tone-low", **way)
            assert [done["reason"] for (done,) in of(lines, "finished")] == ["completed"], lines
        lines = run("speak", url=host.url, text="Hello.", key="wrong")
    assert [(code, retryable) for code, _, retryable, _ in of(lines, "error")] == [("client.not_authenticated", False)]


def test_an_unknown_voice_is_reported_as_an_error(other, run):
    lines = run("speak", url=other.url, text=TEXT, voice="nobody", pieces=3)
    assert [(code, retryable) for code, _, retryable, _ in of(lines, "error")] == [("client.unknown_voice", False)]
    assert not of(lines, "word")


def test_a_server_that_has_fallen_silent_is_left_and_the_session_resumed(tmp_path):
    async def action(host):
        async with Proxy(host.port) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}"
            task = asyncio.create_task(
                script("speak", tmp_path, url=url, text=TEXT, voice="tone-low", pacing="realtime", step=480)
            )
            await proxy.accepted()
            while proxy.down.passed < 30_000:  # noqa: ASYNC110 - asked as a probe asks
                await asyncio.sleep(0.01)
            proxy.stall()
            await proxy.accepted()
            proxy.flow()
            return await task

    with serving(*TONE, "limits.heartbeat_ms=200") as host:
        lines = play(lambda: action(host))
    assert {resumed for (resumed,) in of(lines, "reconnected")} == {True}
    assert [word for word, _, _ in of(lines, "word")] == TEXT.split()
