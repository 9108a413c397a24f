"""Spanish, French, Italian, Portuguese and Hindi: what is written, and what espeak-ng is given to say."""

from __future__ import annotations

import pytest

from voxwire_server.engines.common.g2p import _own_vocabulary as vocabulary
from voxwire_server.engines.common.pronunciations import split_links

pytest.importorskip("espeakng_loader", reason="needs espeak-ng: make test")

from voxwire_server.engines.kokoro.g2p.espeak import EspeakReader

VOCABULARY = vocabulary()
LANGUAGES = ("es", "fr", "it", "pt-br", "hi")


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
