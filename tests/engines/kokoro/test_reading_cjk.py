"""Chinese and Japanese: whatever the text, what is read out is valid, and given pronunciations are spoken."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.work_counter import Work
from voxwire_server.engines.common.g2p import _own_vocabulary as vocabulary
from voxwire_server.text.reading import _normaliser, read_out

pytest.importorskip("wetext", reason="needs Kokoro's readers: make test")

from voxwire_server.engines.kokoro.g2p import Languages

ALPHABET = (
    "一二三月日年点第元円時分人百千万亿あア。，、0123456789０９%％$¥￥€:：-－~～/.．@+×÷=<>°℃kmgABab 　²½①한٣"
)
TEXTS = st.text(ALPHABET, max_size=60) | st.text(max_size=30)


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages(vocabulary())


@settings(max_examples=400, deadline=None)
@given(TEXTS, st.sampled_from(["zh", "ja"]))
@example("한국 12", "zh")
@example('他说"hello"', "zh")
@example("请看example.com。", "zh")
def test_rewrites_are_in_order_and_of_something(text: str, language: str) -> None:
    normaliser = _normaliser(language)
    assert normaliser is not None
    rewrites = normaliser.rewrites(text, "")
    assert all(0 <= each.start < each.end <= len(text) for each in rewrites)
    assert all(first.end <= second.start for first, second in pairwise(rewrites))


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_no_digit_is_left_in_chinese(text: str) -> None:
    assert not any(character.isdecimal() and character.isascii() for character in read_out(text, "zh").text)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.sampled_from(["zh", "ja"]))
def test_readers_take_whatever_was_read_out(languages: Languages, text: str, language: str) -> None:
    said = read_out(text, language).text
    for sentence in languages.read(said, language):
        assert all(0 <= start < end <= len(said) for start, end in sentence.words)


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_a_given_pronunciation_is_spoken_and_its_range_is_the_word(languages: Languages, language: str) -> None:
    text = "这是[Ann](/ˈan/)。" if language == "zh" else "これは[Ann](/ˈan/)です。"
    (sentence,) = languages.read(text, language)
    assert "ˈan" in sentence.symbols
    assert "Ann" in [text[start:end] for start, end in sentence.words]


@pytest.mark.parametrize("language", ["zh", "ja"])
@pytest.mark.parametrize("piece", ["1", "1/", "1,", "2024-", "$1", "第", "1:", "a.", "百", "٣", "1月"])
def test_four_times_the_text_takes_no_more_than_four_times_the_lines(language: str, piece: str) -> None:
    def lines(count: int) -> int:
        work = Work(lambda file: "/text/reading/" in file)
        sys.settrace(work.trace)
        try:
            read_out(piece * count, language)
        finally:
            sys.settrace(None)
        return work.lines

    lines(10)
    assert lines(1600) <= 5 * lines(400) + 100
