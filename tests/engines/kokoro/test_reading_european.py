"""Spanish, French, Italian, Portuguese and Hindi: what is written, and what espeak-ng is given to say."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.regex_steps import StepCounter
from support.work_counter import Work, patterns_of
from voxwire_server.engines.common.g2p import _own_vocabulary as vocabulary
from voxwire_server.engines.common.pronunciations import split_links
from voxwire_server.text.reading import _normaliser, read_out
from voxwire_server.text.reading.european import engine, numbers

pytest.importorskip("espeakng_loader", reason="needs espeak-ng: make test")
pytest.importorskip("num2words", reason="needs num2words: make test")

from voxwire_server.engines.kokoro.g2p.espeak import EspeakReader

VOCABULARY = vocabulary()
CORPUS = Path(__file__).parents[2] / "text" / "corpus"
LANGUAGES = ("es", "fr", "it", "pt-br", "hi")
NOT_COMPARED = str.maketrans("", "", ' ;:,.!?—…"“”()ˈˌ')
"""Pauses, spaces and stress."""


@pytest.fixture(scope="module")
def readers() -> dict[str, EspeakReader]:
    return {language: EspeakReader(VOCABULARY, language) for language in LANGUAGES}


# -- pronunciations ---------------------------------------------------------------------------------------------------


def test_a_link_is_its_word_and_its_ipa():
    text = "Hola, [Ann](/ˈan/): [x](y)"
    assert [(text[start:end], ipa) for start, end, ipa in split_links(text)] == [
        ("Hola, ", None),
        ("Ann", "ˈan"),
        (": [x](y)", None),
    ]
    assert split_links("") == []


def test_a_given_pronunciation_is_spoken_in_its_sentence_and_its_range_is_the_word(readers):
    text = "Hola [Ann](/ˈd͡ʒa.n:/), ¿qué tal? Bien."
    first, second = readers["es"].read(text)
    assert first.symbols == "ˈola ˈʤanː, kˈe tˈal?"
    assert [text[start:end] for start, end in first.words] == ["Hola", "Ann", "qué", "tal"]
    assert [text[start:end] for start, end in second.words] == ["Bien"]


@pytest.mark.parametrize("text", ["[Ann](/ˈan/)", "[a](/a/)[b](/b/)", "[Ann](/ˈan/).", "l'[eau](/o/) ", "[x](/字/)"])
def test_links_alone_and_side_by_side_keep_their_ranges(readers, text):
    for sentence in readers["fr"].read(text):
        assert " " not in sentence.symbols
        assert all("[" not in text[start:end] and "/" not in text[start:end] for start, end in sentence.words)


# -- readings ---------------------------------------------------------------------------------------------------------


def phonemes(reader: EspeakReader, text: str) -> str:
    return "".join(sentence.symbols for sentence in reader.read(text)).translate(NOT_COMPARED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_sound_as_they_are_written_out(readers, language):
    lines = (CORPUS / f"{language.partition('-')[0]}.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    wrong = {}
    for case in cases:
        said = read_out(case["text"], language).text
        right = [phonemes(readers[language], reading) for reading in (case["reading"], *case.get("also", ()))]
        if phonemes(readers[language], said) not in right:
            wrong[case["text"]] = said
    assert len(cases) >= 45
    assert len(wrong) <= len(cases) * 0.02, wrong


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("es", "¡21!", "¡veintiuno!"),
        ("es", "La opción 1 es buena.", "La opción uno es buena."),
        ("es", "200.001 personas", "doscientas mil una personas"),
        ("es", "21 millones", "veintiún millones"),
        ("es", "1,234,567 y 1.234.567", "un millón doscientos treinta y cuatro mil quinientos sesenta y siete y " * 2),
        ("fr", "1 234 567,5", "un million deux cent trente-quatre mille cinq cent soixante-sept virgule cinq"),
        ("it", "1 ora", "un'ora"),
        ("it", "3 anni e 23 giorni", "tre anni e ventitré giorni"),
        ("pt-br", "202 mulheres", "duzentas e duas mulheres"),
        ("pt", "2 mil pessoas", "duas mil pessoas"),
        ("hi", "12,34,56,789", "बारह करोड़ चौंतीस लाख छप्पन हज़ार सात सौ नवासी"),
        ("es", "MP3, B2B y COVID-19", "MP tres, be dos be y COVID diecinueve"),
        ("es", "192.168.1.1", "ciento noventa y dos punto ciento sesenta y ocho punto uno punto uno"),
        ("es", "[21](/tɾˈes/) y 3", "[21](/tɾˈes/) y tres"),
    ],
)
def test_numbers_are_read_with_their_groups_and_agree(language, text, said):
    assert read_out(text, language).text == said.removesuffix(" y ")


def test_a_roman_numeral_is_read_by_the_name_said_before():
    assert read_out("XIV murió.", "es", before="Entonces Luis").text == "catorce murió."
    assert read_out("VI habló.", "es", before="El rey Felipe").text == "sexto habló."
    assert read_out("1 y 2", "es", before="la página").text == "uno y dos"


@pytest.mark.parametrize(
    ("language", "text", "kind", "detail", "said"),
    [
        ("es", "21", "cardinal", "", "veintiuno"),
        ("es", "2024", "digits", "", "dos cero dos cuatro"),
        ("es", "0042", "cardinal", "", "cuarenta y dos"),
        ("es", "3", "ordinal", "", "tercero"),
        ("es", "3ª", "ordinal", "", "tercera"),
        ("it", "XIV", "ordinal", "", "quattordicesimo"),
        ("fr", "AB1", "characters", "", "a bé un"),
        ("es", "11/21/2024", "date", "mdy", "veintiuno de noviembre de dos mil veinticuatro"),
        ("es", "2024-11", "date", "ym", "noviembre de dos mil veinticuatro"),
        ("fr", "14:30", "time", "hms24", "quatorze heures trente"),
        ("es", "612345678", "telephone", "", "seis uno dos, tres cuatro cinco, seis siete ocho"),
        ("pt", "R$ 2,50", "currency", "", "dois reais e cinquenta centavos"),
        ("es", "5 kg", "unit", "", "cinco kilos"),
        ("hi", "3/4", "fraction", "", "तीन बटा चार"),
        ("es", "hola", "cardinal", "", None),
        ("es", "99/99/2024", "date", "dmy", None),
        ("es", "21", "colour", "", None),
    ],
)
def test_text_is_said_as_it_is_asked(language, text, kind, detail, said):
    normaliser = _normaliser(language)
    assert normaliser is not None
    assert normaliser.say_as(text, kind, detail) == said


# -- any text ---------------------------------------------------------------------------------------------------------

KINDS = ("cardinal", "ordinal", "digits", "characters", "date", "time", "telephone", "currency", "unit", "fraction")
TEXTS = st.lists(
    st.sampled_from(
        "1 2 12 21 007 1.234 1,5 1 000 12:30 14h 1/2 21/11/2024 2024-11-21 € $ R$ US$ ₹ £ M k km m² °C ° º ª % ½ ² ①"
        " - – + ( ) . , ; : / # @ & XIV II V USB UE Sr. M. etc. e. nº p. mil de el hora personas Luis siglo a.b@c.es"
        " x.com १२ ٣ ५ व 5वां लाख ' ’ [a](/b/) \n é".split(" ")
    )
    | st.text(max_size=4),
    max_size=14,
).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda glue: glue.join(parts)))


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=200, deadline=None)
@given(text=TEXTS, before=st.sampled_from(["", "Luis ", "a las", "12"]))
@example(text="(12)", before="")
@example(text="-½", before="")
def test_every_rewriting_is_in_order_and_leaves_no_digit(language, text, before):
    normaliser = _normaliser(language)
    rewrites = normaliser.rewrites(text, before)
    assert all(0 <= rewrite.start < rewrite.end <= len(text) for rewrite in rewrites)
    assert all(a.end <= b.start for a, b in pairwise(rewrites))
    said = read_out(text, language, before).text
    links = "".join(text[start:end] for start, end, ipa in split_links(text) if ipa is not None)
    if "](/" not in text:
        assert not any(character.isdecimal() for character in said), (text, said, links)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=100, deadline=None)
@given(text=TEXTS, kind=st.sampled_from(KINDS), detail=st.sampled_from(["", "mdy", "dmy", "ymd", "my", "y", "hms12"]))
def test_any_text_can_be_asked_to_be_said_in_any_way(language, text, kind, detail):
    said = _normaliser(language).say_as(text, kind, detail)
    assert said is None or said.strip()


UNITS = ("1", "1 ", "1.", "1-", "1/", "123 456 ", "a", "a.", "a@", "A1", "A. ", "$1", "[a](/", "etc. ", "1 a ", "www.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", UNITS[:-1])
def test_the_lines_that_run_grow_with_the_length(language, unit):
    normaliser = _normaliser(language)

    def lines(length: int) -> int:
        work = Work(lambda file: "european" in file)
        before = sys.gettrace()
        sys.settrace(work.trace)
        try:
            normaliser.rewrites((unit * length)[:length], "")
        finally:
            sys.settrace(before)
        return work.lines

    assert lines(1600) <= 5 * lines(400) + 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_pattern_backtracks_more_than_its_text_is_long(language):
    normaliser = _normaliser(language)
    own = {name: value for name, value in vars(normaliser).items() if isinstance(value, re.Pattern)}
    patterns = patterns_of(engine) | patterns_of(numbers) | own
    patterns |= {"phone": normaliser._language.phone, "ordinals": normaliser._language.ordinals}
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    try:
        for name, pattern in patterns.items():
            counter, method = StepCounter(pattern), "search" if name == "_find" else "match"
            for unit in UNITS:
                steps = [counter.count((unit * chars)[:chars], method) for chars in (100, 200)]
                assert steps[1] <= 2.5 * steps[0] + 2000, (name, unit, steps)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_of_thousands_of_digits_is_said_digit_by_digit(language):
    said = read_out("1" * 5000 + " €", language).text
    assert len(said.split()) >= 5000
    assert "€" not in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sign_is_silent(readers, language):
    for sign in "&@%‰+=<>×÷±≈≤≥≠/*#_^|~§©®™°€$£¥₹√∞µπΩ½²":
        said = read_out(f"a {sign} b", language).text
        assert sign not in said
        assert phonemes(readers[language], said) != phonemes(readers[language], "a b")
        assert phonemes(readers[language], read_out(sign, language).text)
