"""Chinese and Japanese: what is written, what is read out of it, and what Kokoro's readers make of that."""

from __future__ import annotations

import re
import sys
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.reading_corpus import cases, is_right, missing, read_pieces, read_whole
from support.work_counter import Work
from voxwire_server.engines.common.g2p import Sentence
from voxwire_server.engines.common.g2p import _own_vocabulary as vocabulary
from voxwire_server.engines.kokoro.g2p import Languages
from voxwire_server.text.reading import _normaliser, read_out

RIGHT_MIN = 0.98
LANGUAGES = ("zh", "ja")
PARTS = """3 12 2024 14:30 1,234 ３ ００ ¥ $ € % ° ℃ kg km/h m² ½ ① Ⅲ ㏠ - – ~ 〜 ～ / : ： . , ， 。 、
年 月 日 时 時 分 点 个 個 人 元 円
第 号 两 万 亿 億 千葉 三 〇 十 A4 iPhone v1.2 COVID-19 example.com a@b.co http:// + × ÷ = < > & @ # [ ] ( ) （ ）
[重](/tʂʊŋ/) 한국어 Привет ٣ ۴ ४ 😀 ﾃﾞ ㌔ か さん ー っ ン " “ ” \\ | _ * 的 電話 比分 𠮷 𠜚 é ² 𝟙""".split()
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from([*PARTS, " ", "\n"]), max_size=14).map("".join))
UNITS = "1 1- 1. 1: 1/ 1, 1x 1月 2024- 0-0- a a. a@ - ~ [a]( $1 ¥1~ 第 百 ٣ 价格200元，".split()
LINK = re.compile(r"\[[^\[\]\n]{1,300}\]\(/[^/\n]{1,300}/\)")
SAY_AS = (
    "cardinal ordinal digits characters spell-out date time telephone currency unit fraction address expletive".split()
)
# Where Open JTalk's words end, "ん" has another sound than within a word, and kana has other long vowels.
KANA_ALIKE = (("[mnŋɲ](?=[bpmntdkɡʨʥɲɾz])", "ɴ"), ("oɯ", "oː"), ("ei", "eː"), ("ii", "iː"), ("oo", "oː"), (r"\s", ""))


@pytest.fixture(scope="module")
def languages() -> Languages:
    languages = Languages(vocabulary())
    for language in LANGUAGES:
        if language not in languages.known:
            pytest.skip(f"needs the reader of {language}: make test")
    return languages


def said(text: str, language: str, before: str = "") -> str:
    return read_out(text, language, before).text


# -- the corpora ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_nearly_all_of_a_corpus_is_read_right(language: str):
    if missing(language):
        pytest.skip(f"needs {missing(language)}: make test")
    for read in (read_whole, lambda case: read_pieces(case, 1)):
        every = [(case, read(case)) for case in cases(language)]
        wrong = [(case.text, each.shown, case.reading) for case, each in every if not is_right(case, each)]
        assert len(wrong) <= (1 - RIGHT_MIN) * len(every), wrong


@pytest.mark.parametrize(
    ("text", "kana"),
    [
        *(("3本", "さんぼん"), ("1本", "いっぽん"), ("6本", "ろっぽん"), ("3匹", "さんびき"), ("1人", "ひとり")),
        *(("2人", "ふたり"), ("4人", "よにん"), ("14人", "じゅうよにん"), ("20日", "はつか"), ("14日", "じゅうよっか")),
        *(("8日", "ようか"), ("4月1日", "しがつついたち"), ("7つ", "ななつ"), ("8個", "はっこ"), ("3階", "さんがい")),
        *(
            ("10分", "じゅっぷん"),
            ("4時", "よじ"),
            ("9時", "くじ"),
            ("300円", "さんびゃくえん"),
            ("8000円", "はっせんえん"),
        ),
        *(
            ("3杯", "さんばい"),
            ("2/3", "さんぶんのに"),
            ("600", "ろっぴゃく"),
            ("10歳", "じゅっさい"),
            ("1冊", "いっさつ"),
        ),
    ],
)
def test_what_japanese_counts_is_read_with_its_counter(languages: Languages, text: str, kana: str):
    assert alike(languages.read(said(text, "ja"), "ja")) == alike(languages.read(kana, "ja"))


def alike(sentences: list[Sentence]) -> str:
    sound = " ".join(sentence.symbols for sentence in sentences)
    for pattern, other in KANA_ALIKE[::-1]:
        sound = re.sub(pattern, other, sound)
    return sound


# -- single readings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2个人、第2个、2月2日", "两个人、第二个、二月二日"),
        ("-10℃~-5℃", "零下十摄氏度到零下五摄氏度"),
        ("1920x1080", "一千九百二十乘一千零八十"),
        ("100+家", "一百多家"),
        ("2000年前，2000年", "两千年前，二零零零年"),
        ("2020202个", "两百零二万零二百零二个"),
        ("步骤1：30分钟", "步骤一：三十分钟"),
        ("时间是14：30", "时间是十四点三十分"),
        ("10086条记录，请拨打10086", "一万零八十六条记录，请拨打幺零零八六"),
        ('他说"hello"', '他说"hello"'),
        ("[重庆](/ʈʂʰʊŋ/)的3个[5](/u/)", "[重庆](/ʈʂʰʊŋ/)的三个[5](/u/)"),
        ("한국어 12개", "한국어 十二개"),
    ],
)
def test_chinese_is_read_out(text: str, words: str):
    assert said(text, "zh") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3本と20日", "3本と20日"),
        ("-5℃～3℃", "マイナス5度から3度"),
        ("はい〜、東京〜大阪", "はい〜、東京から大阪"),
        ("$3 million", "3000000ドル"),
        ("〒100-0001", "郵便番号イチゼロゼロノゼロゼロゼロイチ"),
        ("192.168.1.1", "イチキューニーテンイチロクハチテンイチテンイチ"),
        ("4/1(月)、1/4カップ", "4月1日(月)、四分の一カップ"),
        ("[東京](/toːkʲoː/)に¥300", "[東京](/toːkʲoː/)に300円"),
        ("한국어 ٣개", "한국어 3개"),
    ],
)
def test_japanese_is_read_out(text: str, words: str):
    assert said(text, "ja") == words


@pytest.mark.parametrize(
    ("language", "text", "kind", "detail", "words"),
    [
        ("zh", "102", "digits", "", "一零二"),
        ("zh", "13812345678", "telephone", "", "幺三八，幺二三四，五六七八"),
        ("zh", "03/08/2025", "date", "dmy", "二零二五年八月三日"),
        ("zh", "2:05", "time", "hms24", "两点零五分"),
        ("zh", "3", "ordinal", "", "第三"),
        ("zh", "A4", "characters", "", "A 四"),
        ("zh", "5/8", "fraction", "", "八分之五"),
        ("zh", "$5", "currency", "", "五美元"),
        ("ja", "102", "digits", "", "イチゼロニー"),
        ("ja", "03/08/2025", "date", "mdy", "2025年3月8日"),
        ("ja", "9:30", "time", "", "9時30分"),
        ("ja", "-3", "cardinal", "", "マイナス3"),
        ("ja", "5kg", "unit", "", "5キログラム"),
        ("zh", "水", "cardinal", "", None),
        ("ja", "水", "no-such-kind", "", None),
    ],
)
def test_text_is_said_as_asked(language: str, text: str, kind: str, detail: str, words: str | None):
    normaliser = _normaliser(language)
    assert normaliser is not None
    assert normaliser.say_as(text, kind, detail) == words


# -- given pronunciations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("zh", "我在[重庆](/ʈʂʰʊŋ.ʨʰiŋ/)。是的。", ["我", "在", "重庆", "是", "的"]),
        ("ja", "[東京](/toːkʲoː/)に行く", ["東京", "に", "行く"]),
        ("zh", "这是[Ann](/ˈan/)。", ["这是", "Ann"]),
        ("ja", "これは[Ann](/ˈan/)です。", ["これ", "は", "Ann", "です"]),
    ],
)
def test_a_given_pronunciation_is_spoken_and_its_range_is_the_word(
    languages: Languages, language: str, text: str, spoken: list[str]
):
    read = languages.read(text, language)
    assert [text[start:end] for sentence in read for start, end in sentence.words] == spoken
    assert any(ipa in read[0].symbols for ipa in ("ʈʂʰʊŋʨʰiŋ", "toːkʲoː", "ˈan"))


def test_a_letter_alone_is_its_name(languages: Languages):
    assert "ˈA" in languages.read("A四纸", "zh")[0].symbols


# -- any text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=300, deadline=None)
@given(text=TEXTS, before=TEXTS)
@example(text="한국 12", before="")
@example(text='他说"hello"', before="")
@example(text="请看example.com。", before="")
def test_any_text_is_read_out_without_a_fault(language: str, text: str, before: str):
    normaliser = _normaliser(language)
    assert normaliser is not None
    at = 0
    for start, end, _ in normaliser.rewrites(text, before):
        assert at <= start < end <= len(text)
        at = end
    for kind in SAY_AS:
        normaliser.say_as(text, kind, "ymd")
    if language == "zh":
        assert not any(char.isdecimal() for char in LINK.sub("", said(text, language, before)))


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_any_text_has_words_in_its_order(languages: Languages, language: str, text: str):
    for given_text in (text, said(text, language)):
        ranges = [span for sentence in languages.read(given_text, language) for span in sentence.words]
        assert all(0 <= start < end <= len(given_text) for start, end in ranges)
        for sentence in languages.read(given_text, language):
            assert all(first[1] <= second[0] for first, second in pairwise(sentence.words))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", UNITS)
def test_reading_out_takes_linear_time(language: str, unit: str):
    lines_run(language, unit * 10)
    small, large = (lines_run(language, unit * count) for count in (400, 1600))
    assert large <= 5 * small + 100


@pytest.mark.parametrize("unit", ["1", "a", "あ", "三本", "-", "3本"])
def test_aligning_japanese_takes_linear_time(languages: Languages, unit: str):
    small, large = (lines_run("ja", (unit * 400)[:size], languages) for size in (200, 400))
    assert large <= 2.3 * small + 100


def lines_run(language: str, text: str, languages: Languages | None = None) -> int:
    """How many lines of the server run for a text: by its reader if that is given, else to read it out."""
    work = Work(lambda file: "/voxwire_server/" in file)
    known = sys.gettrace()
    sys.settrace(work.trace)
    try:
        if languages is None:
            read_out(text, language)
        else:
            languages.read(text, language)
    finally:
        sys.settrace(known)
    return work.lines
