"""What Kokoro reads of other languages: the reference's phonemes, and the characters that each word came from."""

from __future__ import annotations

import pytest

from voxwire_server.engines.hibari.reading import Sentence
from voxwire_server.engines.hibari.reading import _own_vocabulary as vocabulary
from voxwire_server.engines.kokoro.reading.languages import Languages

VOCABULARY = vocabulary()


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages(VOCABULARY)


def needs(*tags: str):
    missing = [tag for tag in tags if tag not in Languages(VOCABULARY).known]
    return pytest.mark.skipif(bool(missing), reason=f"nothing is installed that reads {missing}")


def words(text: str, sentences: list[Sentence]) -> list[str]:
    return [text[start:end] for sentence in sentences for start, end in sentence.words]


def symbols(sentences: list[Sentence]) -> str:
    return " ".join(sentence.symbols for sentence in sentences)


def test_british_english_is_not_american(languages: Languages):
    text = "The bath is hot."
    british, american = languages.read(text, "en-gb"), languages.read(text, "en-us")
    assert "bˈɑːθ" in symbols(british)
    assert "bˈæθ" in symbols(american)
    assert words(text, british) == ["The", "bath", "is", "hot"]


@needs("zh")
@pytest.mark.parametrize("text", ["我喜欢编程，你呢？", "《红楼梦》是一部小说。", "今天天气很好，我们去公园散步吧。"])
def test_mandarin_is_read_as_by_misaki(languages: Languages, text: str):
    from misaki.zh import ZHG2P

    assert symbols(languages.read(text, "zh")) == ZHG2P()(text)[0]


@needs("zh")
def test_numbers_dates_and_money_are_read_and_keep_their_place(languages: Languages):
    text = "今天是2026年11月21日，价格是￥1,234.56，涨了12%。"
    read = languages.read(text, "zh")
    assert words(text, read) == ["今天", "是", "2026年", "11月", "21日", "价格", "是", "￥1,234.56", "涨", "了", "12%"]
    assert "i→ʨʰjɛ→n" in symbols(read), "one thousand, not one and two hundred"


@needs("zh")
def test_english_in_mandarin_is_read_as_english(languages: Languages):
    text = "他说：“Machine learning很有意思！”"
    read = languages.read(text, "zh")
    assert "məʃˈin lˈɜɹnɪŋ" in symbols(read)
    assert words(text, read) == ["他", "说", "Machine", "learning", "很", "有意思"]


@needs("ja")
def test_japanese_numbers_and_latin_letters_are_read_and_keep_their_place(languages: Languages):
    text = "東京は２０２６年、晴れです。ちょっとAIについて話しましょう。"
    read = languages.read(text, "ja")
    assert words(text, read) == [
        *("東京", "は", "２０２６", "年", "晴れ", "です"),
        *("ちょっと", "AI", "に", "ついて", "話し", "ましょう"),
    ]
    assert symbols(read).startswith("toːkʲoː βa ɲi seɴ")
    assert "eːai" in symbols(read)


@needs("fr", "es", "hi")
@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("fr", "Les amis sont arrivés à 8 heures.", ["Les", "amis", "sont", "arrivés", "à", "8", "heures"]),
        ("es", "Hola, ¿cómo estás?", ["Hola", "cómo", "estás"]),
        ("hi", "नमस्ते, आप कैसे हैं?", ["नमस्ते", "आप", "कैसे", "हैं"]),
    ],
)
def test_languages_of_espeak_keep_their_words(languages: Languages, language: str, text: str, spoken: list[str]):
    assert words(text, languages.read(text, language)) == spoken


@pytest.mark.parametrize("language", list(Languages(VOCABULARY).known))
@pytest.mark.parametrize("text", ["", " ", "…", "。", "?!", "\n\n", "😀", "\u200b"])
def test_what_cannot_be_spoken_gives_nothing(languages: Languages, language: str, text: str):
    assert languages.read(text, language) == []


@pytest.mark.parametrize("language", list(Languages(VOCABULARY).known))
@pytest.mark.parametrize(
    "text", ["A b c 1 2 3.", "你好 world 42", "ｶﾅ ㌔ ﷽", "a" * 700, "１２３４５６７８９０" * 20, "x\u0301y"]
)
def test_every_symbol_has_a_word_inside_the_text(languages: Languages, language: str, text: str):
    for sentence in languages.read(text, language):
        assert len(sentence.ids) <= 512
        assert len(sentence.symbols) == len(sentence.owners) == len(sentence.ids) - 2
        assert all(0 <= start < end <= len(text) for start, end in sentence.words)
        assert list(sentence.words) == sorted(sentence.words)
        assert max(sentence.owners) < len(sentence.words)
