"""Texts in several languages through a real server, with the embedded English voice."""

from __future__ import annotations

import asyncio

import pytest

from support.protocol_client import say
from voxwire_protocol import messages as m

BURST = m.PacingRequest(mode="burst")


def spoken(host, text: str, **start: object):
    heard = asyncio.run(say(host.url, text, voice="heart", pacing=BURST, **start))
    words = [word for each in heard.of(m.Timing) for word in each.words]
    assert all(text[slice(*word.chars)] == word.text for word in words)
    return heard, [word.text for word in words]


def left_out(heard) -> list[m.WarningMessage]:
    return [each for each in heard.of(m.WarningMessage) if each.code == "unreadable_text"]


def test_chinese_in_english_is_left_out_with_a_warning(host):
    text = "Hello 你好 world"
    heard, words = spoken(host, text)
    assert words == ["Hello", "world"]
    (warning,) = left_out(heard)
    assert warning.details["chars"] == [6, 8]
    assert warning.details["language"] == "zh"
    assert warning.details["languages"] == ["en-us"]
    assert warning.details["reader"].startswith("tone/")
    assert [each.chars for each in heard.of(m.ClauseStarted)] == [(0, len(text))]
    assert heard.of(m.Done)[0].reason is m.DoneReason.COMPLETED


@pytest.mark.parametrize("text", ["Привет, мир! Как дела?", "नमस्ते", "안녕하세요.", "مرحبا", "𐌰𐌱"])
def test_a_text_that_the_voice_does_not_read_is_silent_with_a_warning(host, text):
    heard, words = spoken(host, text)
    assert not words
    assert len(left_out(heard)) == 1
    assert heard.of(m.Done)[0].reason is m.DoneReason.NO_SPEAKABLE_TEXT


def test_accented_latin_words_are_spoken(host):
    text = "A café in Zürich, a naïve straße, Łódź, İstanbul, Nguyễn, cafe\u0301s and Þór."
    heard, words = spoken(host, text)
    assert words == "A café in Zürich a naïve straße Łódź İstanbul Nguyễn cafe\u0301s and Þór".split()
    assert not left_out(heard)


def test_emoji_and_ornaments_are_silent_without_that_warning(host):
    heard, words = spoken(host, "Stars ☭ ✦ 🙂 shine.")
    assert words == ["Stars", "shine"]
    assert not left_out(heard)


def test_language_auto_of_a_voice_with_one_language_is_that_language(host):
    pytest.importorskip("py3langid")
    _, words = spoken(host, "Hello world.", language="auto")
    assert words == ["Hello", "world"]


def test_chinese_in_english_is_spoken_by_a_voice_that_reads_both(host):
    heard = asyncio.run(say(host.url, "Hello 你好 world", voice="tone-low", pacing=BURST))
    assert not left_out(heard)
    assert len(heard.of(m.ClauseStarted)) == 3
    assert [word.text for each in heard.of(m.Timing) for word in each.words] == ["Hello", "你好", "world"]
