"""Which language a stretch of text is in, by its script."""

from __future__ import annotations

import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.work_counter import counted
from voxwire_server.text.scripts import foreign_letters, scripts_of, stretches

LANGUAGES = ("en-us", "de", "zh", "ja", "ko", "ru", "el", "hi", "ar", "th")

TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("aé你好のカ한Жαβ़नमع٣ä 。.,“”「」(12½🙂\u0301\u200d\U0001d400µＡ")),
    max_size=60,
)


def parts(text: str, language: str = "en-us") -> list[tuple[str, str]]:
    return [(text[each.start : each.end], each.language) for each in stretches(text, language)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello world, it's 7:30!", [("Hello world, it's 7:30!", "en-us")]),
        ("café naïve Zürich Łódź İstanbul Nguyễn", [("café naïve Zürich Łódź İstanbul Nguyễn", "en-us")]),
        ("Hello 你好 world", [("Hello ", "en-us"), ("你好", "zh"), (" world", "en-us")]),
        ("안녕 means hi", [("안녕", "ko"), (" means hi", "en-us")]),
        ("Привет, мир!", [("Привет, мир!", "ru")]),
        ("नमस्ते दुनिया", [("नमस्ते दुनिया", "hi")]),
        ("שלום hello مرحبا", [("שלום", "he"), (" hello ", "en-us"), ("مرحبا", "ar")]),
        ("สวัสดี", [("สวัสดี", "th")]),
        ("বাংলা தமிழ்", [("বাংলা ", "bn"), ("தமிழ்", "ta")]),
        ("𐌰𐌱 is Gothic", [("𐌰𐌱", "und"), (" is Gothic", "en-us")]),
        ("ＡＢＣ １２ 🙂 ½", [("ＡＢＣ １２ 🙂 ½", "en-us")]),
        ("", [("", "en-us")]),
    ],
)
def test_a_script_stands_for_its_usual_language(text: str, found: list[tuple[str, str]]) -> None:
    assert parts(text) == found


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("Привіт", "uk", ["uk"]),
        ("Привет", "sr-RS", ["sr-RS"]),
        ("東京", "ja", ["ja"]),
        ("東京", "en", ["zh"]),
        ("東京、明日に", "en", ["ja"]),
        ("東京", "zh-TW", ["zh-TW"]),
        ("漢字 한국어", "ko", ["ko"]),
        ("दुनिया", "mr", ["mr"]),
        ("سلام", "fa", ["fa"]),
        ("hello", "ru", ["en"]),
        ("hola", "es", ["es"]),
    ],
)
def test_a_script_that_the_contexts_language_is_written_in_is_in_that_language(
    text: str, language: str, found: list[str]
) -> None:
    assert [each.language for each in stretches(text, language)] == found


def test_in_chinese_only_what_touches_kana_is_japanese() -> None:
    assert parts("他说：「ありがとう」，然后走了。", "zh") == [
        ("他说：", "zh"),
        ("「ありがとう」，", "ja"),
        ("然后走了。", "zh"),
    ]


@pytest.mark.parametrize("text", ["我用 Python 写的。", "GitHubのPull Requestです。", "OK"])
def test_a_few_english_words_are_left_to_readers_of_chinese_and_japanese(text: str) -> None:
    language = "ja" if "の" in text else "zh"
    assert parts(text, language) == [(text, language)]


def test_an_english_sentence_in_chinese_is_english() -> None:
    text = "他说 the weather is very nice today 对吗"
    assert [language for _, language in parts(text, "zh")] == ["zh", "en", "zh"]


@pytest.mark.parametrize("text", ["the α particle", "Δx = 2π", "αβ and β", "5 µm, 3 Ω", "𝛼 + 𝛽"])
def test_greek_signs_stay_with_the_text_around_them(text: str) -> None:
    assert parts(text) == [(text, "en-us")]


def test_greek_words_are_greek_with_the_short_ones_between_them() -> None:
    assert parts("so η θάλασσα is sea") == [("so ", "en-us"), ("η θάλασσα", "el"), (" is sea", "en-us")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I paid 20 рублей 30 times", ["I paid 20 ", "рублей", " 30 times"]),
        ("He said “дом”, then (大) left.", ["He said ", "“дом”,", " then ", "(大)", " left."]),
        ("в 2024 году", ["в 2024 году"]),
        ("你好。World", ["你好。", "World"]),
        ("e\u0301 Ж\u0301 e", ["e\u0301 ", "Ж\u0301", " e"]),
    ],
)
def test_digits_and_marks_go_with_what_they_belong_to(text: str, found: list[str]) -> None:
    assert [part for part, _ in parts(text)] == found


@given(TEXT, st.sampled_from(LANGUAGES))
def test_stretches_cover_the_text_and_neighbours_differ(text: str, language: str) -> None:
    found = stretches(text, language)
    assert [found[0].start, found[-1].end] == [0, len(text)]
    for before, after in pairwise(found):
        assert before.end == after.start
        assert before.language != after.language
    assert all(each.start < each.end for each in found) or not text


@given(TEXT, st.sampled_from(LANGUAGES))
def test_no_mark_is_parted_from_its_letter(text: str, language: str) -> None:
    for each in stretches(text, language)[1:]:
        marked = each.start and text[each.start - 1].isalpha() and unicodedata.combining(text[each.start])
        assert not marked or text[each.start] not in map(chr, range(0x300, 0x370))


def test_every_letter_has_a_language_or_is_one_of_no_script() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalpha()]
    neutral = [letter for letter in letters if len(parts(f"Жук{letter * 3}", "en")) == 1]
    others = [letter for letter in neutral if "CYRILLIC" not in unicodedata.name(letter)]
    for letter in others:
        # Modifiers, and other forms of letters that have a script.
        assert unicodedata.category(letter) == "Lm" or unicodedata.normalize("NFKC", letter) != letter, letter


def test_foreign_letters_are_those_that_a_reader_of_the_language_can_not_know() -> None:
    assert foreign_letters("Zürich, the α 你", "en") == [(12, 13), (14, 15)]
    assert foreign_letters("你好 hello", "zh") == []
    assert foreign_letters("plain", "en") == []


def test_what_a_language_is_written_in() -> None:
    assert scripts_of("en-GB") == ("latin",)
    assert scripts_of("ja") == ("han", "kana")
    assert scripts_of("uk") == ("cyrillic",)


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["aЖ", "你a", "の你。", "α ", "Ж\u0301", "a\u0301", "“”(", "カ、"])
def test_the_work_grows_with_the_text(piece: str) -> None:
    with counted() as short:
        stretches("α" + piece * 500, "zh")
    with counted() as long:
        stretches("α" + piece * 1000, "zh")
    assert short.total > 100
    assert long.total <= 2.3 * short.total
