"""Which language a sentence is in, by py3langid."""

from __future__ import annotations

import pytest

from voxwire_server.text.identify import LanguageIdentifier, is_installed

TAGS = ("en-us", "es", "fr", "it", "pt-br")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="needs py3langid: pip install 'voxwire[languages]'"),
]


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    made = LanguageIdentifier([*TAGS, "en-gb", "de", "xx-unheard"])
    made.load()
    return made


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The weather is nice in the city today.", "en-us"),
        ("Bonjour tout le monde, comment allez-vous ?", "fr"),
        ("Vamos a comer en la playa mañana por la tarde.", "es"),
        ("Domani andremo tutti insieme al mare.", "it"),
        ("Amanhã vamos todos juntos para a praia.", "pt-br"),
        ("PLEASE OPEN THE README FILE NOW", "en-us"),
    ],
)
def test_sentences_are_told_apart(identifier: LanguageIdentifier, text: str, language: str) -> None:
    assert identifier.identify(text, TAGS) == language


@pytest.mark.parametrize("text", ["Restaurant Café Central Berlin", "Anthropic Claude Kubernetes", "x" * 30])
def test_names_are_not_certain(identifier: LanguageIdentifier, text: str) -> None:
    assert identifier.identify(text, TAGS) is None


def test_only_the_candidates_are_chosen_from(identifier: LanguageIdentifier) -> None:
    assert identifier.identify("Das Wetter ist heute schön in der Stadt.", ("en-us", "de")) == "de"
    assert identifier.identify("The weather is nice in the city.", ("en-gb", "en-us", "fr")) == "en-gb"
    assert identifier.identify("The weather is nice in the city.", ("fr",)) == "fr"


def test_nothing_is_loaded_for_languages_that_their_scripts_tell() -> None:
    alone = LanguageIdentifier(["en-us", "en-gb", "zh", "ja", "ru"])
    alone.load()
    assert alone._model is None
    assert alone.identify("The weather is nice.", ("en-us", "fr")) is None
    assert alone.identify("The weather is nice.", ("en-us", "en-gb")) == "en-us"
