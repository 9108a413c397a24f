"""The C# client for Unity, compiled by mcs and run by mono: against the golden vectors, and against a real server."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support import json_cases, mono
from support.ports import free_port
from support.server import serving
from support.threaded_proxy import Lines
from voxwire_client import connect
from voxwire_client.events import Audio
from voxwire_protocol import messages as m

pytestmark = pytest.mark.skipif(mono.MCS is None or mono.MONO is None, reason=mono.MISSING)

VECTORS = Path(__file__).parents[1] / "protocol" / "vectors"
TEXT = "Bob puts five maps on my van. “Naïve?”, asks Eve 🎉 and laughs. Then the boat leaves for Rome."
LONG = " ".join(f"This is sentence {number}, and it is being spoken while the line drops." for number in range(8))
SEED = 20


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory):
    """The program that speaks with a server."""
    program = tmp_path_factory.mktemp("unity") / "scenarios.exe"
    return mono.build(program, [*mono.PACKAGE, mono.STUBS, *mono.SCENARIOS])


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The program with the tests that need no server."""
    program = tmp_path_factory.mktemp("unity") / "units.exe"
    return mono.build(program, [*mono.PACKAGE, mono.STUBS, *mono.UNITS])


@pytest.fixture(scope="module")
def unit_results(units):
    """What each of those tests found wrong; None: nothing."""
    return json.loads(mono.run(units, "run", str(VECTORS)))


def python_says(url: str, text: str, **options: Any) -> dict[str, Any]:
    """What the Python client gets of the same text."""
    found: dict[str, Any] = {"words": [], "phonemes": [], "visemes": [], "seqs": []}
    pcm = hashlib.sha256()

    async def listen() -> None:
        async with connect(url) as session:
            async for event in session.speak(text, timings=["word", "phoneme", "viseme"], **options):
                match event:
                    case Audio():
                        found["seqs"].append([event.seq, event.pts])
                        pcm.update(event.payload)
                    case m.Timing():
                        found["words"] += [[w.text, *w.chars, w.pts, w.end_pts] for w in event.words]
                        found["phonemes"] += [[p.ipa, p.pts, p.end_pts] for p in event.phonemes]
                        found["visemes"] += [[v.id, pytest.approx(v.weight, abs=1e-6), v.pts] for v in event.visemes]
                    case _:
                        pass

    asyncio.run(listen())
    return {**found, "pcm": pcm.hexdigest()}


# -- without a server -------------------------------------------------------------------------------------------------


def test_every_unit_test_was_run(unit_results):
    assert sorted(unit_results) == sorted(mono.UNIT_TESTS)


@pytest.mark.parametrize("name", mono.UNIT_TESTS)
def test_units(unit_results, name):
    assert unit_results[name] is None, unit_results[name]


def test_json_reads_and_refuses_what_python_does(units, tmp_path):
    cases = [*json_cases.valid(400), *json_cases.spoiled(1600)]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases), encoding="utf-8")
    mono.run(units, "json", str(path))
    written = json.loads(path.read_text(encoding="utf-8"))
    refused = 0
    for text, found in zip(cases, written, strict=True):
        try:
            expected = json.loads(
                text, parse_constant=json_cases.refuse, parse_int=json_cases.whole, parse_float=json_cases.finite
            )
            json.dumps(expected, ensure_ascii=False).encode()
        except (ValueError, UnicodeEncodeError):
            refused += 1
            assert found is None, text
        else:
            assert found is not None, text
            assert json.loads(found, parse_int=json_cases.whole) == expected, text
    assert 300 < refused < len(cases) - 400


def test_what_is_generated_is_what_the_protocol_says():
    spec = importlib.util.spec_from_file_location("generate", mono.TESTS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    wanted = generate.generated()
    outdated = [
        path.name for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert outdated == [], "run clients/unity/Tests~/generate.py"
    orphans = set(mono.UNITY.rglob("*.meta")) - set(wanted)
    assert orphans == set()
    guids = [line for path in wanted if path.suffix == ".meta" for line in wanted[path].splitlines() if "guid" in line]
    assert len(set(guids)) == len(guids) > 40


# -- speaking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("voice", [None, "tone/tone-low"])
def test_it_gets_the_same_times_and_samples_as_the_python_client(scenarios, host, voice):
    heard = mono.play(scenarios, "say", url=host.url, text=TEXT, seed=SEED, pacing="burst", voice=voice)
    expected = python_says(host.url, TEXT, seed=SEED, pacing="burst", voice=voice)
    assert {key: heard[key] for key in expected} == expected
    assert (heard["error"], heard["reason"]) == (None, "completed")
    assert expected["words"]
    if voice is None:
        assert expected["visemes"]


def test_pieces_that_cut_surrogate_pairs_are_the_same_text(scenarios, host):
    whole = mono.play(scenarios, "say", url=host.url, text=TEXT, seed=SEED, pacing="burst")
    pieces = mono.play(scenarios, "pieces", url=host.url, text=TEXT, seed=SEED, pacing="burst")
    assert pieces["text"] == TEXT
    assert (pieces["pcm"], pieces["words"], pieces["chars"]) == (whole["pcm"], whole["words"], len(TEXT))


def test_two_utterances_at_once_stay_apart(scenarios, host):
    both = mono.play(scenarios, "both", url=host.url, text=TEXT, other="A second voice.", seed=SEED, pacing="burst")
    alone = [
        mono.play(scenarios, "say", url=host.url, text=text, seed=SEED, pacing="burst")
        for text in (TEXT, "A second voice.")
    ]
    assert [both[name]["pcm"] for name in ("one", "other")] == [each["pcm"] for each in alone]
    assert [both[name]["words"] for name in ("one", "other")] == [each["words"] for each in alone]


def test_retracted_text_is_not_spoken(scenarios, host):
    kept = "This stays. "
    found = mono.play(
        scenarios,
        "retract",
        url=host.url,
        text=kept + "🎉 And",
        from_char=len(kept),
        other="So does this.",
        pacing="burst",
    )
    assert found["left"] == len(kept)
    assert found["text"] == kept + "So does this."
    assert [word[0] for word in found["words"]] == ["This", "stays", "So", "does", "this"]
    assert found["types"][-2:] == ["Flushed", "Done"]


# -- playing ----------------------------------------------------------------------------------------------------------


def test_every_sample_is_played_and_every_timed_event_raised_in_the_frame_in_which_it_is_heard(scenarios, host):
    said = mono.play(scenarios, "say", url=host.url, text=TEXT, seed=SEED, pacing="burst")
    played = mono.play(scenarios, "play", url=host.url, text=TEXT, seed=SEED, pacing="burst", rate=24000)
    assert played["pcm"] == said["pcm"]
    assert played["played"] == played["heard"] == said["seqs"][-1][1] + said["seqs"][1][1]
    events = [event for event in played["events"] if event[0] != "event"]
    assert [(what, pts) for kind, what, pts, *_ in events if kind == "word"] == [(w[0], w[3]) for w in said["words"]]
    assert [pts for kind, _, pts, *_ in events if kind == "viseme"] == [viseme[2] for viseme in said["visemes"]]
    timed = [event for event in events if event[0] in ("clause", "word", "phoneme", "viseme")]
    assert [event[2] for event in timed] == sorted(event[2] for event in timed)
    for _, _, pts, before, heard in timed:
        assert before <= pts < heard
    assert (events[0][0], events[-1][:2]) == ("start", ["end", "completed"])
    assert played["frames with an open mouth"] > 50
    assert played["closed at the end"]


def test_timed_events_are_in_time_at_the_sound_cards_own_rate(scenarios, host):
    played = mono.play(scenarios, "play", url=host.url, text="Papa Bob laughs.", seed=SEED, rate=48000)
    words = [event for event in played["events"] if event[0] == "word"]
    assert [word[1] for word in words] == ["Papa", "Bob", "laughs"]
    for _, _, pts, before, heard in words:
        assert before <= pts < heard


@pytest.mark.parametrize("codec", ["mulaw", "alaw"])
def test_telephone_codecs_are_played(scenarios, host, codec):
    played = mono.play(scenarios, "play", url=host.url, text="Hello.", codec=codec, pacing="burst", rate=48000)
    assert played["events"][-1][:2] == ["end", "completed"]
    assert [event[1] for event in played["events"] if event[0] == "word"] == ["Hello"]


def test_what_cannot_be_played_is_an_error(scenarios, host):
    played = mono.play(scenarios, "play", url=host.url, text="Hello.", codec="opus", pacing="burst", rate=48000)
    assert played["events"][-1][:2] == ["end", "this voice can't play opus at 24000"]


def test_barge_in_of_a_voice_closes_the_mouth_and_tells_nothing_more(scenarios, host):
    found = mono.play(scenarios, "play and interrupt", url=host.url, text=TEXT, seed=SEED, rate=48000, until_pts=24000)
    assert found["closed at once"]
    assert found["heard_pts"] == found["voice's"] >= 24000
    assert found["heard"] + found["unheard"] == TEXT
    assert found["heard"]
    assert [event[:2] for event in found["raised after"]] == [["event", "Cancelled"], ["end", "cancelled"]]


def test_a_stubbed_game_object_speaks_and_moves_its_lips(scenarios, host):
    found = mono.play(scenarios, "face", url=host.url, text="Papa Bob.")
    assert (found["words"], found["end"]) == (["Papa", "Bob"], "completed")
    assert found["loudest"] > 0.05
    assert found["lips"] == 100
    assert found["jaw"] > 50
    assert found["after"] == 0


# -- barge-in ---------------------------------------------------------------------------------------------------------


def test_barge_in_tells_what_was_heard_and_reads_no_audio_after_it(scenarios, host):
    found = mono.play(scenarios, "interrupt", url=host.url, text=TEXT, frames=40, played_pts=19200, seed=SEED)
    assert found["seqs"] == []
    assert found["types"] == ["Cancelled", "Done"]
    assert found["reason"] == "cancelled"
    assert found["heard"] + found["unheard"] == TEXT
    assert found["heard"].startswith("Bob")
    assert found["heard_pts"] == 19200
    assert found["same report"]


def test_barge_in_after_everything_was_sent_is_worked_out_here(scenarios, host):
    text = "Bob puts five maps on my van."
    whole = mono.play(scenarios, "say", url=host.url, text=text, seed=SEED, pacing="burst")
    middle = whole["words"][2][4]
    found = mono.play(
        scenarios,
        "interrupt",
        url=host.url,
        text=text,
        frames=len(whole["seqs"]),
        played_pts=middle,
        seed=SEED,
        pacing="burst",
    )
    assert (found["heard"], found["unheard"]) == ("Bob puts five", " maps on my van.")


def test_a_cancelled_token_cancels_the_speech(scenarios, host):
    found = mono.play(scenarios, "cancel token", url=host.url, text=LONG)
    assert (found["types"][-2:], found["reason"], found["error"]) == (["Cancelled", "Done"], "cancelled", None)


def test_nothing_comes_while_it_is_held_and_everything_after(scenarios, host):
    found = mono.play(scenarios, "hold", url=host.url, text=TEXT, seed=SEED, other="Meanwhile somebody else speaks.")
    assert found["while held"] == 0
    assert found["pcm"] == mono.play(scenarios, "say", url=host.url, text=TEXT, seed=SEED, pacing="burst")["pcm"]


# -- connections that drop --------------------------------------------------------------------------------------------


def test_a_session_resumes_over_a_connection_that_is_cut_and_no_frame_is_lost_or_repeated(scenarios, host):
    whole = mono.play(scenarios, "say", url=host.url, text=TEXT, seed=SEED, pacing="burst")
    with Lines(host.port) as proxy:
        proxy.cut_each((None, 9_000), (None, 60_001), (None, 200), (300, None), (None, 40_000), (None, 70_000))
        url = f"ws://127.0.0.1:{proxy.port}"
        cut = mono.play(scenarios, "say", url=url, text=TEXT, seed=SEED, pacing="burst")
        assert proxy.cuts >= 4
    assert cut["error"] is None
    assert [change["resumed"] for change in cut["changes"]] == [True] * len(cut["changes"])
    assert cut["changes"]
    assert cut["replayed"] > 0
    for field in ("seqs", "pcm", "words", "visemes", "clauses", "frames", "chars"):
        assert cut[field] == whole[field], field


def test_what_was_not_heard_is_spoken_anew_where_the_session_is_gone(scenarios):
    with serving("engines.enabled=hibari", "resume.window_seconds=0") as host, Lines(host.port) as proxy:
        proxy.cut_each((None, 120_000))
        url = f"ws://127.0.0.1:{proxy.port}"
        found = mono.play(scenarios, "say", url=url, text=LONG, seed=SEED, pacing="burst")
    assert (found["error"], found["reason"]) == (None, "completed")
    (change,) = found["changes"]
    assert change["resumed"] is False
    assert 0 < change["chars"] < len(LONG)
    assert found["chars"] == len(LONG)
    assert [seq for seq, _ in found["seqs"]] == list(range(found["frames"]))
    samples = found["seqs"][1][1]
    assert [pts for _, pts in found["seqs"]] == [samples * seq for seq, _ in found["seqs"]]
    told, anew = found["words"][: change["words before"]], found["words"][change["words before"] :]
    before = [word for word in told if word[2] <= change["chars"]]
    after = [word for word in anew if word[3] >= change["pts"] and word[1] >= change["chars"]]
    assert len(after) == len(anew)
    spoken = " ".join(word[0].strip(",.") for word in [*before, *after])
    assert spoken.split() == LONG.replace(",", "").replace(".", "").split()


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_with_a_code_and_a_hint(scenarios, tmp_path):
    from voxwire_server.ops.auth import generate_key, hash_key

    key = generate_key()
    with serving(f"auth.keys=tests={hash_key(key)}") as host:
        wrong = mono.play(scenarios, "say", url=host.url, text=TEXT, key=generate_key())["error"]
        right = mono.play(scenarios, "say", url=host.url, text="Hello.", key=key, pacing="burst")
    assert (wrong["code"], wrong["retryable"]) == ("client.not_authenticated", False)
    assert wrong["hint"]
    assert right["reason"] == "completed"


def test_no_server_is_an_error_that_can_be_retried(scenarios):
    error = mono.play(scenarios, "say", url=f"ws://127.0.0.1:{free_port()}", text=TEXT)["error"]
    assert (error["type"], error["code"], error["retryable"]) == (
        "ConnectionLostException",
        "system.connection_lost",
        True,
    )


def test_a_server_that_goes_away_for_good_ends_the_speech_with_an_error(scenarios, host):
    with Lines(host.port) as proxy:
        proxy.cut_after(bytes_down=30_000)
        url = f"ws://127.0.0.1:{proxy.port}"
        found = mono.play(scenarios, "say", url=url, text=TEXT, once=True)
    assert found["seqs"]
    assert found["error"]["type"] == "ConnectionLostException"


def test_a_voice_that_there_is_not_is_an_error_of_the_speech_alone(scenarios, host):
    found = mono.play(scenarios, "say", url=host.url, text=TEXT, voice="nobody")
    assert (found["error"]["code"], found["error"]["retryable"]) == ("client.unknown_voice", False)


def test_fifty_utterances_leave_no_thread_and_no_socket_behind(scenarios, host):
    found = mono.play(scenarios, "many", url=host.url, text="Hello there.", count=50, pacing="burst")
    assert found["all done"]
    warm, last = found["counts"][9], found["counts"][-1]
    # The pool of threads breathes by a few; a leak would be one an utterance.
    assert last[0] - warm[0] < 10, found["counts"]
    assert last[1] - warm[1] < 5, found["counts"]


def test_a_speech_that_nobody_reads_holds_nothing_back_and_loses_nothing(scenarios, host):
    # The embedded voice makes audio more slowly than a connection carries it: half of it is still to come at `hold`.
    text = LONG * 2
    found = mono.play(scenarios, "slow", url=host.url, text=text, other="Hello.", pacing="burst")
    assert found["other's reason"] == "completed"
    assert 1500 <= found["waiting"] < found["frames"]
    assert found["still waiting"] == found["waiting"]
    assert [seq for seq, _ in found["seqs"]] == list(range(found["frames"]))
    assert (found["reason"], found["chars"]) == ("completed", len(text))


def test_text_waits_while_the_server_takes_no_more(scenarios, host):
    text = LONG[:220]
    whole = mono.play(scenarios, "say", url=host.url, text=text, voice="tone/tone-low", pacing="burst", seed=SEED)
    limits = (
        "limits.text_chars_max=50",
        "limits.unspoken_chars_max=120",
        "engines.enabled=tone",
        "engines.default=tone",
    )
    with serving(*limits) as narrow:
        found = mono.play(scenarios, "say", url=narrow.url, text=text, pacing="burst", voice="tone/tone-low", seed=SEED)
    assert (found["error"], found["reason"], found["chars"]) == (None, "completed", len(text))
    assert [word[0] for word in found["words"]] == [word[0] for word in whole["words"]]


def test_a_server_that_drains_finishes_its_speech_and_the_next_one_goes_elsewhere(scenarios, host):
    with serving("engines.enabled=hibari") as draining, Lines(draining.port) as proxy, ThreadPoolExecutor(1) as pool:
        wish = {"url": f"ws://127.0.0.1:{proxy.port}", "text": TEXT, "other": "Hello there.", "seed": SEED}
        playing = pool.submit(mono.play, scenarios, "drain", **wish)
        until = time.monotonic() + 30
        while draining.metrics()["voxwire_contexts"] == 0:
            assert time.monotonic() < until, "nobody speaks"
        proxy.target_port = host.port
        draining.stop()
        found = playing.result()
    for name, text in (("one", TEXT), ("other", "Hello there.")):
        assert (found[name]["error"], found[name]["changes"]) == (None, [])
        expected = mono.play(scenarios, "say", url=host.url, text=text, seed=SEED, pacing="burst")
        assert found[name]["pcm"] == expected["pcm"]
