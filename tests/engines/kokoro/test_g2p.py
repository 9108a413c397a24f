"""G2P for Kokoro's languages: the reference's phonemes, and the characters that each word came from."""

from __future__ import annotations

import pytest

from voxwire_server.engines.common.g2p import Sentence
from voxwire_server.engines.common.g2p import _own_vocabulary as vocabulary
from voxwire_server.engines.kokoro.g2p import Languages
from voxwire_server.text.reading import read_out

VOCABULARY = vocabulary()


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages(VOCABULARY)


def needs(*tags: str):
    missing = [tag for tag in tags if tag not in Languages(VOCABULARY).known]
    return pytest.mark.skipif(bool(missing), reason=f"needs readers of {', '.join(missing)}: make test")


def words(text: str, sentences: list[Sentence]) -> list[str]:
    return [text[start:end] for sentence in sentences for start, end in sentence.words]


def spoken(languages: Languages, text: str, language: str) -> tuple[list[str], str]:
    """The words, as they are written, and the phonemes of a text that is read out first."""
    said = read_out(text, language)
    sentences = languages.read(said.text, language)
    spans: list[tuple[int, int]] = []
    for start, end in (said.span(*word) for sentence in sentences for word in sentence.words):
        if spans and start < spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return [text[start:end] for start, end in spans], symbols(sentences)


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
    written, sound = spoken(languages, text, "zh")
    assert written == ["今天", "是", "2026年", "11月", "21日", "价格", "是", "￥1,234.56", "涨", "了", "12%"]
    assert "i→ʨʰjɛ→n" in sound, "one thousand, not one and two hundred"


@needs("zh")
def test_english_in_mandarin_is_read_as_english(languages: Languages):
    text = "他说：“Machine learning很有意思！”"
    read = languages.read(text, "zh")
    assert "məʃˈin lˈɜɹnɪŋ" in symbols(read)
    assert words(text, read) == ["他", "说", "Machine", "learning", "很", "有意思"]
    assert "sˈi plˈʌs plˈʌs" in symbols(languages.read("我学C++。", "zh"))


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


@needs("ja")
@pytest.mark.parametrize(
    ("text", "sound", "expected"),
    [
        ("気温は-5℃。", "mainasɨ ɡo do", ["気温", "は", "-5℃"]),
        ("−３度", "mainasɨ saɴ do", ["−３", "度"]),
        ("今日は$100を払った。", "çakɯ doɾɯ o", ["今日", "は", "$100", "を", "払った"]),
        ("€1,200.50と￥500", "jɯːɾo to ɡoçakɯ eɴ", ["€1,200.50", "と", "￥500"]),
        ("1/2の確率", "ɲibɯɴ no iʨi", ["1/2", "の", "確率"]),
        ("2026-11-21に", "neɴ ʥɨːiʨiɡaʦɨ ɲiʥɨːiʨi ɲiʨi ɲi", ["2026-11-21", "に"]),
        ("3:45に会う", "saɲʥi joɲʥɨː ɡo ɸɯɴ", ["3:45", "に", "会う"]),
        ("F-16だ", "eɸɯ ʥɨːɾokɯ", ["F", "-16", "だ"]),
    ],
)
def test_japanese_signs_dates_and_money_are_read_and_keep_their_place(
    languages: Languages, text: str, sound: str, expected: list[str]
):
    written, phonemes = spoken(languages, text, "ja")
    assert sound in phonemes
    assert written == expected


@needs("ja")
def test_telephone_numbers_in_japanese_are_read_digit_by_digit(languages: Languages):
    written, phonemes = spoken(languages, "0120-444-444", "ja")
    assert written == ["0120-444-444"]
    assert phonemes.replace(" ", "") == "ʣeɾoiʨiɲiːʣeɾonojoɴjoɴjonnojoɴjoɴjoɴ"


@needs("ja")
def test_latin_words_unknown_in_japanese_are_read_as_english_and_others_as_borrowed(languages: Languages):
    text = "GitHubとNHKとiPhone"
    read = languages.read(text, "ja")
    assert symbols(read) == "ɡˌɪthˈʌb to enɯeiʨikei to aiɸoɴ"
    assert words(text, read) == ["GitHub", "と", "NHK", "と", "iPhone"]


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
        assert len(sentence.symbols) == len(sentence.word_indices) == len(sentence.ids) - 2
        assert all(0 <= start < end <= len(text) for start, end in sentence.words)
        assert list(sentence.words) == sorted(sentence.words)
        assert max(sentence.word_indices) < len(sentence.words)
