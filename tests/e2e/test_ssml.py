"""SSML through a real server and a real voice: pauses, marks, and captions without tags."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.request

import pytest

from support.caption_events import read_subtitles
from support.protocol_client import say
from voxwire_client import Mark, Timing, connect
from voxwire_protocol import messages as m

BURST = m.PacingRequest(mode="burst")
PLAIN = "The table is booked. Shall I call you when it is ready?"
TEXT = (
    '<speak><p>The <mark name="table"/>table is booked.<break time="1500ms"/><mark name="offer"/> '
    'Shall I <emphasis>call</emphasis> you when it is <sub alias="ready">rdy</sub><mark name="end"/>?</p></speak>'
)


async def spoken(url: str, text: str, pieces: int = 3, **options) -> tuple[list, m.Done]:
    async with connect(url) as session:
        utterance = session.speak(
            (text[at : at + pieces] for at in range(0, len(text), pieces)), pacing="burst", seed=3, **options
        )
        events = [event async for event in utterance]
        assert utterance.done is not None
        return events, utterance.done


def test_breaks_are_as_long_as_they_are_written(host):
    """Clauses are the same with breaks of any length, so the audio differs by the breaks alone."""
    lengths = {}
    for time in ("100ms", "1s", "2500ms"):
        text = f'The table is booked.<break time="{time}"/> Shall I call you?'
        _, done = asyncio.run(spoken(host.url, text, format="ssml"))
        lengths[time] = done.samples
    assert lengths["1s"] - lengths["100ms"] == round(0.9 * 24000)
    assert lengths["2500ms"] - lengths["100ms"] == round(2.4 * 24000)


def test_marks_are_reached_within_the_audio_and_at_their_words(host):
    events, done = asyncio.run(spoken(host.url, TEXT, format="ssml"))
    words = [word for event in events if isinstance(event, Timing) for word in event.words]
    marks = {event.name: event.pts for event in events if isinstance(event, Mark)}
    by_text = {re.sub(r"\W", "", word.text): word for word in words}
    assert list(marks) == ["table", "offer", "end"]
    assert marks["table"] == by_text["table"].pts
    assert marks["offer"] == by_text["Shall"].pts
    assert marks["offer"] - by_text["booked"].end_pts >= 1.5 * 24000
    assert by_text["rdy"].end_pts <= marks["end"] <= done.samples
    assert "".join(word.text for word in words) == "ThetableisbookedShallIcallyouwhenitisrdy"


def test_captions_show_no_tags_and_the_record_names_the_marks(host, tmp_path):
    srt, record = tmp_path / "a.srt", tmp_path / "a.json"
    command = [sys.executable, "-m", "voxwire_server.cli", "say", "--ssml", TEXT, "--url", host.url, f"--srt={srt}"]
    command.append(f"--json={record}")
    came = subprocess.run(command, capture_output=True, timeout=120)
    assert came.returncode == 0, came.stderr
    shown = " ".join(" ".join(cue.text.split()) for cue in read_subtitles(srt.read_text("utf-8")))
    assert shown == "The table is booked. Shall I call you when it is rdy?"
    told = json.loads(record.read_text("utf-8"))
    assert [mark["name"] for mark in told["marks"]] == ["table", "offer", "end"]
    assert told["marks"][0]["pts"] == told["words"][1]["pts"]


def test_a_billion_laughs_are_a_warning(host):
    lols = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 12))
    heard = asyncio.run(
        say(
            host.url,
            f'<!DOCTYPE s [<!ENTITY lol0 "lol">{lols}]><speak>&lol11; Hello.</speak>',
            pacing=BURST,
            format="ssml",
        )
    )
    assert {"ssml_unsupported", "ssml_malformed"} == {each.code for each in heard.of(m.WarningMessage)}
    assert heard.of(m.Done)[0].samples < 5 * 24000


@pytest.mark.parametrize("where", ["query", "body"])
def test_elevenlabs_clients_ask_for_ssml(host, where):
    text = 'One.<break time="2s"/> <sub alias="two">2nd</sub>.'
    lengths = []
    for ssml in (True, False):
        asked = f"&enable_ssml_parsing={str(ssml).lower()}" if where == "query" else ""
        body = {"text": text} | ({"enable_ssml_parsing": ssml} if where == "body" else {})
        request = urllib.request.Request(
            f"{host.http}/v1/text-to-speech/heart?output_format=pcm_24000{asked}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            lengths.append(len(answer.read()) / 48000)
    assert min(lengths) > 2.5
    assert lengths[0] != lengths[1]


def test_cartesias_tags_are_followed(host):
    seconds = []
    for text in (
        "One two three four.",
        '<speed ratio="2"/>One two three four.',
        'One two three four.<break time="1s"/>',
    ):
        request = urllib.request.Request(
            f"{host.http}/tts/bytes",
            json.dumps(
                {
                    "model_id": "sonic-3",
                    "transcript": text,
                    "voice": {"mode": "id", "id": "heart"},
                    "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
                }
            ).encode(),
            {"content-type": "application/json", "cartesia-version": "2025-04-16"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            seconds.append(len(answer.read()) / 48000)
    plain, fast, paused = seconds
    assert fast < 0.7 * plain
    assert paused - plain == pytest.approx(1.0, abs=0.3)
