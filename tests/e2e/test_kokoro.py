"""Kokoro through a real server: words, languages, mixtures, speed, and a turn that is broken off."""

from __future__ import annotations

import asyncio
import importlib.util

import numpy as np
import pytest

from support import kokoro
from support.protocol_client import say, wire
from support.server import serving
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode
from voxwire_server.engines.base import mix_name, parse_mix
from voxwire_server.engines.kokoro.g2p import Languages

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="needs the Python package onnxruntime: make test"
)

BURST = m.PacingRequest(mode="burst")
RATE = 24000
PLANKS = "The birch canoe slid on the smooth planks."
ALL_TIMINGS = ("word", "phoneme", "viseme")


@pytest.fixture(scope="module")
def speaking():
    """A server whose only engine is Kokoro's int8 export, which every machine runs."""
    kokoro.weights()
    settings = ("engines.enabled=kokoro-onnx", "engines.default=kokoro-onnx")
    # A loaded machine must not turn a test away.
    admitting = ("scheduling.utilisation_max=100", "scheduling.queue_seconds_max=60")
    with serving(*settings, *admitting) as running:
        yield running


def needs(tag: str):
    known = Languages({}).known
    return pytest.mark.skipif(tag not in known, reason=f"needs readers of {tag}: make test")


def spoken(host, text: str, **start) -> Heard:
    return Heard(text, asyncio.run(say(host.url, text, pacing=BURST, timings=ALL_TIMINGS, **start)))


class Heard:
    """What one text became."""

    def __init__(self, text: str, client) -> None:
        self.text = text
        self.client = client
        (self.started,) = client.of(m.Started)
        (self.done,) = client.of(m.Done)
        timings = client.of(m.Timing)
        self.words = [word for timing in timings for word in timing.words]
        self.phonemes = [each for timing in timings for each in timing.phonemes]
        self.visemes = [each for timing in timings for each in timing.visemes]

    @property
    def seconds(self) -> float:
        return self.done.samples / RATE


def test_words_and_phonemes_stand_for_their_characters_and_samples(speaking):
    heard = spoken(speaking, PLANKS)
    assert heard.started.engine == "kokoro-onnx"
    assert heard.started.voice == "af_heart"
    assert [word.text for word in heard.words] == PLANKS.rstrip(".").split()
    assert all(PLANKS[slice(*word.chars)] == word.text for word in heard.words)
    assert [word.pts for word in heard.words] == sorted(word.pts for word in heard.words)
    assert len(heard.phonemes) > 25
    assert max(each.end_pts for each in heard.phonemes) <= heard.done.samples
    samples = heard.client.samples()
    sounding = [float(np.sqrt(np.mean(samples[word.pts : word.end_pts] ** 2))) for word in heard.words]
    assert min(sounding) > 0.005, "there is speech where words are said to be"


def test_visemes_lie_in_order_within_the_audio(speaking):
    heard = spoken(speaking, "Hello there.")
    assert heard.visemes
    assert [each.pts for each in heard.visemes] == sorted(each.pts for each in heard.visemes)
    assert all(0 <= each.pts <= heard.done.samples for each in heard.visemes)


@needs("zh")
def test_a_voice_speaks_the_other_languages_of_its_engine_within_a_text(speaking):
    text = "My friend said 你好世界 to me."
    heard = spoken(speaking, text, seed=3)
    assert [word.text for word in heard.words] == ["My", "friend", "said", "你好", "世界", "to", "me"]
    assert all(text[slice(*word.chars)] == word.text for word in heard.words)
    assert all(each.code == "underrun" for each in heard.client.of(m.WarningMessage))
    assert [each.chars for each in heard.client.of(m.ClauseStarted)] == [(0, 15), (15, 20), (20, len(text))]
    chinese = [word for word in heard.words if word.text in ("你好", "世界")]
    assert 0.3 < (chinese[-1].end_pts - chinese[0].pts) / RATE < 2.5
    assert heard.seconds > spoken(speaking, "My friend said to me.", seed=3).seconds + 0.4


@needs("zh")
def test_a_mandarin_voice_reads_mandarin_numbers_and_the_english_in_it(speaking):
    text = "我有3个iPhone，价格是￥99。"
    heard = spoken(speaking, text, voice="zf_xiaoxiao")
    assert "iPhone" in [word.text for word in heard.words]
    assert {"我", "￥99"} <= {word.text for word in heard.words}
    assert all(text[slice(*word.chars)] == word.text for word in heard.words)
    assert 1.5 < heard.seconds < 8


@needs("zh")
def test_the_language_of_start_decides_how_an_american_voice_reads(speaking):
    chinese = spoken(speaking, "你好，世界。", voice="af_heart", language="zh")
    assert [word.text for word in chinese.words] == ["你好", "世界"]


def test_english_of_two_countries_sounds_different(speaking):
    american, british = (spoken(speaking, "The bath is hot.", language=tag) for tag in ("en-us", "en-gb"))
    assert [each.ipa for each in american.phonemes] != [each.ipa for each in british.phonemes]


def test_speed_changes_the_length(speaking):
    slow, plain, fast = (spoken(speaking, PLANKS, speed=speed).seconds for speed in (0.5, 1.0, 2.0))
    assert slow > 1.6 * plain
    assert fast < 0.65 * plain


def test_a_mixture_is_one_voice_however_it_is_spelled(speaking):
    name = "af_heart:0.6+am_adam:0.4"
    first = spoken(speaking, "Hello there.", voice=name, seed=1)
    again = spoken(speaking, "Hello there.", voice="am_adam:2 + af_heart:3", seed=1)
    alone = spoken(speaking, "Hello there.", voice="af_heart", seed=1)
    assert first.started.voice == mix_name(parse_mix(name) or ())
    assert first.client.pcm() == again.client.pcm()
    assert first.client.pcm() != alone.client.pcm()


@pytest.mark.parametrize("voice", ["af_heart:0.5+nobody:0.5", "nobody", "af_heart:0", "af_heart+af_heart"])
def test_a_voice_that_is_not_there_is_named(speaking, voice):
    async def refused() -> m.ErrorMessage:
        async with wire(speaking.url) as client:
            await client.send(m.Start(voice=voice))
            return await client.until(m.ErrorMessage, m.Started)

    answer = asyncio.run(refused())
    assert isinstance(answer, m.ErrorMessage)
    assert answer.code in (ErrorCode.UNKNOWN_VOICE.value, ErrorCode.INVALID_FIELD.value)
    assert answer.details["field"] == "voice"


def test_after_cancel_nothing_more_is_made_and_the_session_speaks_on(speaking):
    async def conversation() -> tuple[list, bytes]:
        async with wire(speaking.url) as client:
            await client.send(m.Start(context="a", pacing=BURST), m.Text(context="a", text=f"{PLANKS} " * 6))
            await client.send(m.End(context="a"))
            await client.until(m.ClauseStarted, context="a")
            before = speaking.metrics()
            await client.send(m.Cancel(context="a"))
            await client.until(m.Cancelled, context="a")
            kept = len(client.frames("a"))
            await client.send(m.Start(context="b", pacing=BURST), m.Text(context="b", text="Yes."), m.End(context="b"))
            await client.until(m.Done, context="b")
            after = speaking.metrics()
            assert len(client.frames("a")) == kept
            return steps_between(before, after), client.pcm("b")

    steps, speech = asyncio.run(conversation())
    assert len(speech) > RATE // 2
    assert steps <= 3, "the step that ran, the new clause, and at most one that was chosen meanwhile"


def steps_between(before: dict[str, float], after: dict[str, float]) -> float:
    """Steps of the model that were made between two readings of the metrics."""
    names = [name for name in after if name.startswith("voxwire_stage_steps_total") and 'stage="speak"' in name]
    assert names, sorted(after)
    return sum(after[name] - before.get(name, 0.0) for name in names)


def test_the_list_of_voices_has_their_languages(speaking):
    import json
    import urllib.request

    with urllib.request.urlopen(f"{speaking.http}/v1/voices", timeout=10) as answer:
        listed = json.load(answer)
    voices = {each["name"]: each for each in listed["voices"]}
    assert {"af_heart", "bf_emma"} <= set(voices)
    assert voices["bf_emma"]["languages"][0] == "en-gb"
