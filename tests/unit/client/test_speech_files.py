"""`voxwire say` with captions and times: what is written, when, and what is said where that goes wrong."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import wave

import pytest

from support.caption_events import read_subtitles, words_of
from support.scripted_server import FRAME_SAMPLES, TIMEOUT_SECONDS, Peer, done
from support.threaded_server import serving
from voxwire_client import backoff
from voxwire_client.commands import say
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode

TEXT = "It costs $5, said “Bob”. Really?"
WORDS = tuple(words_of(TEXT))
FRAMES = -(-WORDS[-1].end_pts // FRAME_SAMPLES)
MOUTH = (m.VisemeTiming(id=0, weight=1, pts=0), m.VisemeTiming(id=99, weight=0.5, pts=480))
SOUNDS = (m.PhonemeTiming(ipa="ɪ", pts=0, end_pts=3600),)


def command(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    say.add_arguments(parser)
    return say.run(parser.parse_args(argv))


def timing(context: str, words=WORDS, **others) -> m.Timing:
    return m.Timing(context=context, words=words, **others)


async def speaks(peer: Peer):
    start = await peer.start()
    context = start.context
    await peer.until(m.End)
    others = {"phonemes": SOUNDS, "visemes": MOUTH} if "viseme" in start.timings else {}
    await peer.send(m.ClauseStarted(context=context, chars=(0, len(TEXT)), pts=0), timing(context, **others))
    await peer.frames(0, FRAMES)
    await peer.send(done(context, frames=FRAMES, chars=len(TEXT)))


async def fails_in_the_middle(peer: Peer):
    context = (await peer.start()).context
    await peer.until(m.End)
    await peer.send(m.ClauseStarted(context=context, chars=(0, len(TEXT)), pts=0), timing(context, WORDS[:3]))
    await peer.frames(0, 10)
    await peer.refuse(ErrorCode.ENGINE_FAILED, context)
    await peer.send(done(context, m.DoneReason.ERROR, frames=10))


async def refuses(peer: Peer):
    start = await peer.expect(m.Start)
    await peer.refuse(ErrorCode.UNKNOWN_VOICE, start.context)


def asked(peer_script):
    """A script that keeps the `start` it was sent."""
    starts: list[m.Start] = []

    async def script(peer: Peer):
        await peer_script(peer)
        starts.extend(each for each in peer.received if isinstance(each, m.Start))

    return script, starts


def test_all_files_at_once(tmp_path, capsys):
    srt, vtt, record, sound = (tmp_path / name for name in ("a.srt", "a.vtt", "a.json", "a.wav"))
    script, starts = asked(speaks)
    with serving(script) as url:
        options = ["--srt", str(srt), "--vtt", str(vtt), "--vtt-words", "--json", str(record), "-o", str(sound)]
        assert command(TEXT, "--url", url, *options) == 0
    assert starts[0].timings == ("word", "phoneme", "viseme")
    assert [cue.text for cue in read_subtitles(srt.read_text("utf-8"))] == ["It costs $5, said “Bob”.", "Really?"]
    assert vtt.read_text("utf-8").startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert "<00:00:00.600><c>$5, </c><" in vtt.read_text("utf-8")
    told = json.loads(record.read_text("utf-8"))
    assert told["schema"] == "voxwire-speech-1"
    assert (told["complete"], told["reason"], told["text"]) == (True, "completed", TEXT)
    assert (told["voice"], told["engine"], told["sample_rate"]) == ("heart", "tone", 24000)
    assert (told["samples"], told["duration"]) == (FRAMES * FRAME_SAMPLES, FRAMES * 0.02)
    assert told["words"][2] == {
        "text": "$5", "chars": [9, 11], "start": 0.6, "end": 0.9, "pts": 14400, "end_pts": 21600
    }  # fmt: skip
    assert told["phonemes"] == [{"ipa": "ɪ", "start": 0.0, "end": 0.15, "pts": 0, "end_pts": 3600}]
    assert told["visemes"][0] == {"id": 0, "name": "sil", "weight": 1, "at": 0.0, "pts": 0}
    assert told["visemes"][1]["name"] is None
    assert [cue["lines"] for cue in told["cues"]] == [["It costs $5, said “Bob”."], ["Really?"]]
    assert told["clauses"][0]["end_pts"] == told["samples"]
    with wave.open(str(sound)) as file:
        assert file.getnframes() == FRAMES * FRAME_SAMPLES
    assert "s of speech" in capsys.readouterr().err


def test_captions_alone_write_no_sound(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    script, starts = asked(speaks)
    with serving(script) as url:
        assert command(TEXT, "--url", url, "--srt", "-", "--timings", "phoneme") == 0
    assert list(tmp_path.iterdir()) == []
    assert starts[0].timings == ("word", "phoneme"), "captions need words"
    written = capsysbinary.readouterr().out.decode()
    assert [cue.text for cue in read_subtitles(written)] == ["It costs $5, said “Bob”.", "Really?"]


def test_the_record_on_standard_output_has_a_line_for_every_entry(capsysbinary):
    with serving(speaks) as url:
        assert command(TEXT, "--url", url, "--json", "-") == 0
    out = capsysbinary.readouterr().out.decode()
    told = json.loads(out)
    for name in ("words", "phonemes", "visemes", "cues"):
        lines = out.split(f' "{name}": [\n')[1].split("\n ]")[0].split("\n")
        assert [json.loads(line.rstrip(",")) for line in lines] == told[name]


def test_captions_are_written_while_text_is_still_awaited(tmp_path, monkeypatch):
    path = tmp_path / "live.srt"
    seen = []

    async def script(peer: Peer):
        context = (await peer.start()).context
        await peer.expect(m.Text)
        await peer.send(m.ClauseStarted(context=context, chars=(0, len(TEXT)), pts=0), timing(context))
        await peer.frames(0, FRAMES)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not path.exists() or not path.read_text("utf-8"):
                await (await peer.socket.ping())
        seen.append(path.read_text("utf-8"))
        os.close(write_end)
        await peer.until(m.End)
        await peer.send(done(context, frames=FRAMES, chars=len(TEXT)))

    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as standard_input, serving(script) as url:
        monkeypatch.setattr("sys.stdin", standard_input)
        os.write(write_end, TEXT.encode())
        assert command("--stdin", "--url", url, "--srt", str(path)) == 0
    assert [cue.text for cue in read_subtitles(seen[0])] == ["It costs $5, said “Bob”."]
    assert [cue.text for cue in read_subtitles(path.read_text("utf-8"))][1:] == ["Really?"]


def test_text_that_a_fresh_session_speaks_again_is_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)
    path, record = tmp_path / "a.vtt", tmp_path / "a.json"
    whole = WORDS[1].end_pts // FRAME_SAMPLES

    async def first(peer: Peer):
        context = (await peer.start()).context
        await peer.until(m.End)
        await peer.send(m.ClauseStarted(context=context, chars=(0, len(TEXT)), pts=0), timing(context))
        await peer.frames(0, whole + 1)
        await peer.socket.ping()
        peer.drop()

    async def second(peer: Peer):
        context = (await peer.start()).context
        rest = (await peer.expect(m.Text)).text
        await peer.accept(m.Text(context=context, text=rest, seq=0), len(rest))
        await peer.until(m.End)
        anew = tuple(words_of(rest))
        await peer.send(m.ClauseStarted(context=context, chars=(0, len(rest)), pts=0), timing(context, anew))
        frames = -(-anew[-1].end_pts // FRAME_SAMPLES)
        await peer.frames(0, frames)
        await peer.send(done(context, frames=frames, chars=len(rest)))

    with serving(first, second) as url:
        assert command(TEXT, "--url", url, "--vtt", str(path), "--json", str(record)) == 0
    told = json.loads(record.read_text("utf-8"))
    assert [word["text"] for word in told["words"]] == [word.text for word in WORDS]
    assert [word["pts"] for word in told["words"]] == sorted(word["pts"] for word in told["words"])
    assert told["words"][2]["pts"] == (whole + 1) * FRAME_SAMPLES
    assert " ".join(cue.text for cue in read_subtitles(path.read_text("utf-8"))) == TEXT


def test_speech_that_breaks_off_leaves_whole_files_and_says_so(tmp_path, capsys):
    srt, record = tmp_path / "a.srt", tmp_path / "a.json"
    with serving(fails_in_the_middle) as url:
        assert command(TEXT, "--url", url, "--srt", str(srt), "--json", str(record)) == 1
    err = capsys.readouterr().err
    assert f"{srt} ends where the speech broke off" in err
    assert f"{record} ends where the speech broke off" in err
    assert "system.engine_failed" in err
    assert read_subtitles(srt.read_text("utf-8"))[0].text.startswith("It costs $5")
    told = json.loads(record.read_text("utf-8"))
    assert (told["complete"], told["text"]) == (False, TEXT)


def test_speech_that_is_refused_leaves_older_files_alone(tmp_path, capsys):
    path = tmp_path / "a.srt"
    path.write_text("older")
    with serving(refuses) as url:
        assert command(TEXT, "--url", url, "--srt", str(path), "--voice", "nobody") == 1
    assert path.read_text() == "older"
    assert "broke off" not in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_reported(capsys):
    async def starts(peer: Peer):
        await peer.start()

    with serving(starts) as url:
        assert command(TEXT, "--url", url, "--vtt", "/dev/full") == 1
    assert "No space left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--srt", "-", "--vtt", "-"], "--srt - and --vtt - would both go to standard output"),
        (["--json", "-", "-v"], "--json - and -v would both"),
        (["--srt", "x/../a", "--vtt", "a"], "--srt and --vtt name the same file"),
        (["-o", "a", "--json", "a"], "-o and --json name the same file"),
        (["--srt", "nowhere/a.srt"], "there is no directory nowhere"),
        (["--json", "."], "that is a directory"),
        (["--vtt-words"], "give --vtt FILE too"),
    ],
)
def test_contradictory_files_are_refused_before_anything_is_sent(argv, problem, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    assert command("Hi", *argv, "--url", "ws://127.0.0.1:9") == 2
    assert problem in capsys.readouterr().err
