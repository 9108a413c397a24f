"""`voxwire say` with captions and times against a real server: real speech, real players' parsers."""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import re
import subprocess
import sys
import time
import wave
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from support.browser import chromium  # noqa: F401 - a fixture
from support.caption_events import read_subtitles
from support.tcp_proxy import Proxy
from voxwire_client import Timing, WordTiming, connect
from voxwire_client.captions.line_breaks import columns
from voxwire_client.mouth_track import closed_mouth
from voxwire_protocol.visemes import PP

TEXT = (
    'Dr. Smith said: "It costs $5, 😀 or £12.50" — at 7:45, e.g. in the **New-York** office. '
    "See https://a.b/c & <b>!\n\n"
    "When the sun goes down behind the hills and the last of the light has left the valley the people who live along "
    "the river begin to gather on the old stone bridge to talk about the day and about the weather that is going to "
    "come tomorrow. Yes. No. “Really?” she asked, and waited; nobody answered."
)


def say(host, *arguments: str, text: str = TEXT, url: str | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    command = [sys.executable, "-m", "voxwire_server.cli", "say", text, "--url", url or host.url, *arguments]
    return subprocess.run(command, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def files(host, tmp_path_factory) -> Path:
    """Everything that can be written of one speech."""
    folder = tmp_path_factory.mktemp("captions")
    options = [f"--{kind}={folder / f'a.{kind}'}" for kind in ("srt", "vtt", "json")]
    came = say(host, *options, "--vtt-words", "-o", str(folder / "a.wav"), "--seed", "7", "--voice", "heart")
    assert came.returncode == 0, came.stderr
    return folder


@pytest.fixture(scope="module")
def record(files):
    return json.loads((files / "a.json").read_text("utf-8"))


def test_words_stand_in_the_text_as_it_was_sent_and_in_one_cue_each(record):
    assert record["complete"]
    assert record["text"] == TEXT
    written = [TEXT[slice(*word["chars"])] for word in record["words"]]
    assert [word for word in ("$5", "£12.50", "7:45", "e.g.", "Really") if word not in written] == []
    for word in record["words"]:
        inside = [cue for cue in record["cues"] if cue["chars"][0] <= word["chars"][0] < cue["chars"][1]]
        assert len(inside) == 1
        assert inside[0]["pts"] <= word["pts"]
        assert word["end_pts"] <= inside[0]["end_pts"]


def test_cues_show_the_text_as_it_stands_and_can_be_read(record):
    shown = " ".join(line for cue in record["cues"] for line in cue["lines"])
    assert shown == " ".join(TEXT.split())
    for cue in record["cues"]:
        assert len(cue["lines"]) <= 2
        assert all(columns(line, 42 / 16) <= 42 for line in cue["lines"])
        assert cue["end"] - cue["start"] <= 7.1
    for cue, following in itertools.pairwise(record["cues"]):
        assert cue["end_pts"] <= following["pts"]
    begins = [cue["lines"][0].split()[0] for cue in record["cues"]]
    assert {"When", "Yes."} <= set(begins), "a paragraph and a sentence begin a cue"


def test_times_are_those_of_the_sound(record, files):
    with wave.open(str(files / "a.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
        assert file.getframerate() == record["sample_rate"]
    assert 0 <= len(samples) - record["samples"] < 480, "the last frame is filled up"
    loud = np.sqrt(np.mean(samples**2))
    for word in record["words"]:
        assert np.sqrt(np.mean(samples[word["pts"] : word["end_pts"]] ** 2)) > loud / 20, word
    pauses = [
        samples[before["end_pts"] + 1200 : after["pts"] - 1200]
        for before, after in itertools.pairwise(record["words"])
        if after["start"] - before["end"] > 0.2
    ]
    assert len(pauses) >= 3
    rest = [np.sqrt(np.mean(pause**2)) for pause in pauses]
    assert np.median(rest) < loud / 10, "pauses are quiet"
    assert max(rest) < loud / 2, "a word's end may ring on"


def test_visemes_are_reported_and_the_mouth_closes_at_the_end(record):
    assert {each["name"] for each in record["visemes"]} >= {"sil", "PP", "SS", "aa"}
    assert [each["pts"] for each in record["visemes"]] == sorted(each["pts"] for each in record["visemes"])
    assert [each for each in record["visemes"] if each["name"] == "sil"][-1]["weight"] == 1
    assert record["visemes"][-1]["pts"] <= record["samples"]


def test_the_same_seed_tells_the_same_to_the_byte(host, files):
    again = say(host, "--json", "-", "--seed", "7", "--voice", "heart")
    assert again.stdout == (files / "a.json").read_bytes()


def test_ffmpeg_reads_the_files(record, files):
    av = pytest.importorskip("av")
    for name in ("a.srt", "a.vtt"):
        with av.open(str(files / name)) as container:
            packets = [packet for packet in container.demux() if packet.size]
            read = [(packet.pts, packet.pts + packet.duration, bytes(packet).decode()) for packet in packets]
        assert len(read) == len(record["cues"])
        for (start, end, text), cue in zip(read, record["cues"], strict=True):
            assert (start, end) == (round(cue["start"] * 1000), round(cue["end"] * 1000))
            assert html.unescape(re.sub(r"<(?:/?c|[\d:.]+)>", "", text)) == "\n".join(cue["lines"]) or name == "a.srt"


def test_a_browser_shows_the_captions(record, files, chromium):  # noqa: F811
    vtt = f"data:text/vtt;charset=utf-8,{quote((files / 'a.vtt').read_text('utf-8'))}"

    async def action(page):
        await page.set_content(f'<video><track default kind="captions" src="{vtt}"></video>')
        await page.wait_for_function("document.querySelector('track').readyState >= 2")
        return await page.evaluate(
            """() => [...document.querySelector('track').track.cues].map((cue) => {
                const shown = cue.getCueAsHTML();
                const marks = [...shown.childNodes].filter((node) => node.nodeType === 7).length;
                return {start: cue.startTime, end: cue.endTime, text: shown.textContent, marks};
            })"""
        )

    cues = chromium.play(action)
    assert [cue["text"].split("\n") for cue in cues] == [cue["lines"] for cue in record["cues"]]
    for got, cue in zip(cues, record["cues"], strict=True):
        assert got["start"] == pytest.approx(cue["start"], abs=0.0006)
        assert got["end"] == pytest.approx(cue["end"], abs=0.0006)
    marks = (files / "a.vtt").read_text("utf-8").count("<00:")
    assert sum(cue["marks"] for cue in cues) == marks
    assert marks > len(record["words"]) / 2


def test_without_word_times_captions_stand_with_their_clauses(host, tmp_path, record):
    path = tmp_path / "a.json"
    assert say(host, "--json", str(path), "--timings", "none", "--seed", "7", "--voice", "heart").returncode == 0
    told = json.loads(path.read_text("utf-8"))
    assert told["words"] == told["phonemes"] == told["visemes"] == []
    assert " ".join(line for cue in told["cues"] for line in cue["lines"]) == " ".join(TEXT.split())
    begins = {
        clause["pts"] for clause in told["clauses"] if TEXT[slice(*clause["chars"])].lstrip()[:4] in ("Dr. ", "When")
    }
    assert len(begins) == 2
    assert begins <= {cue["pts"] for cue in told["cues"]}
    assert told["cues"][-1]["end"] <= record["duration"] + 1


def test_captions_of_any_writing(host, tmp_path):
    texts = [
        "今日はとても天気が良いので、公園まで散歩に行きましょう。それから帰ります。",
        "Ça va? Très bien… 👩‍👩‍👧 oui!",
        "١٢٣ مرحبا",
    ]
    for number, text in enumerate(texts):
        path = tmp_path / f"{number}.srt"
        assert say(host, "--srt", str(path), "--voice", "tone-low", text=text).returncode == 0
        read = read_subtitles(path.read_text("utf-8"))
        assert re.sub(r"\s", "", "".join(cue.text for cue in read)) == re.sub(r"\s", "", text)


def test_a_connection_that_is_cut_leaves_no_trace_in_the_captions(host, tmp_path, record):
    async def cut() -> subprocess.CompletedProcess[bytes]:
        async with Proxy(host.port) as proxy:
            proxy.cut_after(bytes_down=300_000)
            url = f"ws://127.0.0.1:{proxy.port}/v1/stream"
            options = ["--json", str(tmp_path / "a.json"), "--seed", "7", "--voice", "heart"]
            came = await asyncio.to_thread(say, host, *options, url=url)
            assert proxy.cuts >= 1
            return came

    came = asyncio.run(cut())
    assert came.returncode == 0, came.stderr
    told = json.loads((tmp_path / "a.json").read_text("utf-8"))
    for kind in ("words", "phonemes", "visemes", "cues"):
        assert told[kind] == record[kind]


@pytest.mark.parametrize("interrupted", [False, True])
def test_words_and_visemes_are_reported_when_they_are_heard(host, interrupted):
    text = "Bob may be happy. Mum is, too."

    async def listen():
        async with connect(host.url) as session:
            utterance = session.speak(text, voice="heart", seed=7, timings=("word", "viseme"))
            heard, closures = [], 0

            async def follow():
                nonlocal closures
                async for moment in utterance.moments():
                    assert moment.pts <= utterance.playout.estimate(time.monotonic()), "not before it is heard"
                    weights = utterance.mouth()
                    assert sum(weights) == pytest.approx(1, abs=0.01)
                    closures += weights[PP] > 0.9
                    if isinstance(moment, WordTiming):
                        heard.append(moment.text)
                        if interrupted and len(heard) == 3:
                            await utterance.cancel()

            following = asyncio.create_task(follow())
            told = [word.text async for event in utterance if isinstance(event, Timing) for word in event.words]
            await asyncio.wait_for(following, 30)
            assert utterance.mouth() == closed_mouth()
            return told, heard, closures

    told, heard, closures = asyncio.run(listen())
    assert closures
    assert heard == (["Bob", "may", "be"] if interrupted else told)
    assert " ".join(told) == "Bob may be happy Mum is too" or interrupted
