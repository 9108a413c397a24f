"""Lexicons: which words of a text are found, in which case and language, and what files may hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.work_counter import counted
from voxwire_server.text import lexicon as matching
from voxwire_server.text.lexicon import Lexicon, LexiconError, make_entry
from voxwire_server.text.lexicon_files import parse_pls, parse_toml, read_lexicon
from voxwire_server.text.reading import read_out
from voxwire_server.text.source_map import rewritten

EXAMPLE = Path(__file__).parents[3] / "examples" / "lexicon.toml"


def lexicon_of(*words: str, **more) -> Lexicon:
    """Each word is said in angle brackets."""
    return Lexicon(make_entry(word, alias=f"<{word}>", **more) for word in words)


def toml(text: str) -> Lexicon:
    return Lexicon(parse_toml(text.encode()))


def pls(body: str, language: str = "en-US", alphabet: str = "ipa") -> Lexicon:
    return Lexicon(parse_pls(document(body, language, alphabet)))


def document(body: str, language: str = "en-US", alphabet: str = "ipa") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
      xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
      alphabet="{alphabet}" xml:lang="{language}">
{body}
</lexicon>""".encode()


def said(lexicon: Lexicon, text: str, language: str = "en-us") -> str:
    return rewritten(text, lexicon.aliases(text, language)).text


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "text", "expected"),
    [
        ("cat", "A cat concatenates cats, cat.", "A <cat> concatenates cats, <cat>."),
        ("cat", "the cat's (cat) cat-like 'cat'", "the <cat>'s (<cat>) <cat>-like '<cat>'"),
        ("don", "Don't don", "Don't <don>"),
        ("San Jose", "San Jose, San\u00a0Jose; San Josef San-Jose", "<San Jose>, <San Jose>; San Josef San-Jose"),
        ("C++", "C++ and C, C++11, C+", "<C++> and C, <C++>11, C+"),
        (".NET", ".NET, ASP.NET, .NETwork", "<.NET>, ASP<.NET>, .NETwork"),
        ("Node.js", "Node.js. Node js", "<Node.js>. Node js"),
        ("kubectl", "kubectl. kubectl.exe my.kubectl kubectl_x", "<kubectl>. kubectl.exe my.kubectl kubectl_x"),
        ("O'Brien", "O’Brien and O'Brien", "<O'Brien> and <O'Brien>"),
        ("Nguyễn", "Nguye\u0302\u0303n Nguyễn Nguyễna", "<Nguyễn> <Nguyễn> Nguyễna"),
        ("हिन्दी", "हिन्दी हिन्दीक", "<हिन्दी> हिन्दीक"),
        ("重庆", "我在重庆市。重", "我在<重庆>市。重"),
        ("서울", "서울에서", "<서울>에서"),
        ("東京", "東京タワー", "<東京>タワー"),
        ("kubectl", "我用kubectl吧", "我用<kubectl>吧"),
        ("→", "a→b", "a<→>b"),
    ],
)
def test_a_word_is_found_where_it_stands_alone(word: str, text: str, expected: str) -> None:
    assert said(lexicon_of(word), text) == expected


def test_the_longest_of_several_words_is_taken_and_not_looked_at_again() -> None:
    lexicon = toml('a = "b c"\n"b c" = "x"\n"a b" = "ab"\n"a b c d" = "abcd"\nb = "y"\n')
    assert said(lexicon, "a b c d") == "abcd"
    assert said(lexicon, "a b c e") == "ab c e"
    assert said(lexicon, "a c b") == "b c c y"


def test_words_keep_apart_from_what_is_beside_them() -> None:
    lexicon = toml('"C++" = "see plus plus"\n".NET" = "dot net"\n"+" = { ipa = "plʌs" }')
    assert said(lexicon, "C++11 ASP.NET, 1+1") == "see plus plus 11 ASP dot net, 1 [+](/plʌs/) 1"


def test_a_pronunciation_carries_the_word_as_it_is_written() -> None:
    lexicon = toml('nguyen = { ipa = "/wɪn/" }')
    assert said(lexicon, "NGUYEN's") == "[NGUYEN](/wɪn/)'s"
    assert lexicon.aliases("a Nguyen", "en") == [(2, 8, "[Nguyen](/wɪn/)")]


def test_the_texts_own_pronunciations_come_first() -> None:
    lexicon = lexicon_of("Nguyen", "b")
    assert said(lexicon, "[Nguyen](/a b/) b Nguyen [x](/b/)") == "[Nguyen](/a b/) <b> <Nguyen> [x](/b/)"


def test_lexicons_come_before_what_a_language_reads() -> None:
    lexicon = toml('"10 GB" = "ten gigs"')
    assert read_out("A 10 GB disk", "xx", aliases=lexicon.aliases("A 10 GB disk", "xx")).text == "A ten gigs disk"


# -- case and language ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "text", "expected"),
    [
        ('sql = "x"', "sql SQL Sql", "x x x"),
        ('SQL = "x"', "sql SQL Sql", "sql x Sql"),
        ('SQL = { alias = "x", case = "any" }', "sql SQL Sql", "x x x"),
        ('sql = { alias = "x", case = "exact" }', "sql SQL Sql", "x SQL Sql"),
        ('us = "us"\nUS = "you ess"', "us US Us", "us you ess us"),
        ('"straße" = "x"', "STRASSE Straße", "x x"),
    ],
)
def test_capitals_count_where_the_entry_has_some(entry: str, text: str, expected: str) -> None:
    assert said(toml(entry), text) == expected


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en-gb", "british"), ("en-us", "english"), ("EN_GB", "british"), ("de", "any"), ("", "any")],
)
def test_the_most_exact_language_is_used(language: str, expected: str) -> None:
    lexicon = toml('word = "any"\n[en]\nword = "english"\n[en-GB]\nword = "british"')
    assert said(lexicon, "word", language) == expected


def test_a_voice_without_a_region_takes_the_entries_of_any() -> None:
    assert said(lexicon_of("a", language="en-US"), "a", "en") == "<a>"
    assert said(lexicon_of("a", language="en-US"), "a", "en-gb") == "a"


# -- layers -----------------------------------------------------------------------------------------------------------


def test_later_layers_win_and_the_longest_word_counts_over_all_of_them() -> None:
    first, second = parse_toml(b'a = "1"\nb = "1"\n"c d" = "1"\nE = "1"'), parse_toml(b'b = "2"\nc = "2"\ne = "2"')
    for lexicon in (Lexicon(first, second), Lexicon(first).under(Lexicon(second))):
        assert said(lexicon, "a b c d c E") == "1 2 1 2 2"
        assert lexicon.size == 7


# -- work -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["a ", "a b ", "x", "我", "a.", "[a](/", "e\u0301", "'s ", "[a](/b/) ", "\u0301"])
def test_finding_takes_work_in_proportion_to_the_text(unit: str) -> None:
    words = ["a", "a b a b a b a c", "我我我", "[", *(" ".join(["a"] * n) for n in range(2, 32))]
    lexicon, works = lexicon_of(*words), []
    lexicon.warm_up()
    for count in (500, 1000):
        with counted() as work:
            lexicon.aliases(unit * count, "en")
        works.append(work.total)
    assert works[1] <= 2.2 * works[0] + 200


def test_many_entries_cost_no_more_to_look_up() -> None:
    works = []
    for count in (100, 10_000):
        lexicon = lexicon_of(*(f"word{i}" for i in range(count)))
        lexicon.warm_up()
        with counted() as work:
            lexicon.aliases("a word7 is in this text and word9 is, too. " * 20, "en")
        works.append(work.total)
    assert works[1] == works[0]


WORDS = st.text(alphabet="ab AB.'+我\u0301é-[]/", min_size=1, max_size=6).filter(str.strip)


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, st.sampled_from(["alias", "ipa"]))), st.text(alphabet="ab AB.'+我\u0301é-[]()/ "))
def test_rewrites_are_in_order_and_of_words_of_the_lexicon(words: list[tuple[str, str]], text: str) -> None:
    lexicon = Lexicon(make_entry(word, **{kind: "said"}) for word, kind in words)
    known = {matching._tokens(matching._normal(word))[0].__str__() for word, _ in words}
    at = 0
    for start, end, spoken in lexicon.aliases(text, "en"):
        assert at <= start < end <= len(text)
        assert "said" in spoken
        assert str(matching._tokens(text[start:end])[0]) in known
        at = end


@settings(deadline=None)
@given(st.text(), WORDS)
def test_a_word_among_spaces_is_found_in_any_text(text: str, word: str) -> None:
    whole = f"{text} \n {word}"
    found = lexicon_of(word, case="any").aliases(whole, "en")
    assert found or "](/" in whole or word.strip()[0] in ".'"


# -- entries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "fields", "problem"),
    [
        (" ", {"alias": "a"}, "empty"),
        ("a", {}, "needs"),
        ("a", {"alias": " "}, "needs"),
        ("a", {"alias": "b", "ipa": "b"}, "not both"),
        ("a" * 257, {"alias": "b"}, "longer"),
        ("a", {"alias": "b" * 1025}, "longer"),
        ("a", {"ipa": "a)b"}, "spoken"),
        ("a", {"alias": "a\x00b"}, "spoken"),
        ("a", {"alias": "b", "language": "klingon"}, "language"),
    ],
)
def test_what_can_not_be_used_is_refused(word: str, fields: dict[str, str], problem: str) -> None:
    with pytest.raises(LexiconError, match=problem):
        make_entry(word, **fields)


# -- TOML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('a = "b"\nb = ', 2, "TOML"),
        ('a = "b"\na = "c"', 2, "TOML"),
        ('a = "b"\n\nc = 3', 3, "other words"),
        ('a = { ipa = "b", alias = "c" }', 1, "not both"),
        ('a = { ipa = "b", x-sampa = "c" }', 1, "two"),
        ('a = { ipa = "b", case = "lower" }', 1, "case"),
        ('a = { ipa = ["b"] }', 1, "other words"),
        ('[en]\na = "b"\n"C++" = ""', 3, "needs"),
        ('x = "y"\nNode.js = "node"', 2, "quotes"),
        ("a = []", 1, "other words"),
    ],
)
def test_a_mistake_in_toml_has_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(LexiconError, match=problem) as refused:
        parse_toml(text.encode())
    assert refused.value.line == line


def test_a_file_that_is_not_utf_8_has_its_line() -> None:
    with pytest.raises(LexiconError, match="UTF-8") as refused:
        parse_toml(b'a = "b"\nc = "\xe9"')
    assert refused.value.line == 2


def test_the_example_is_a_lexicon() -> None:
    lexicon = Lexicon(read_lexicon(EXAMPLE))
    assert said(lexicon, "Kubectl in c++, says Nguyen") == "kube control in see plus plus, says [Nguyen](/wɪn/)"


def test_x_sampa_is_read_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader:
        @staticmethod
        def to_ipa(text: str) -> str:
            if "{" not in text:
                raise ValueError("odd")
            return text.replace("{", "æ")

    monkeypatch.setattr("voxwire_server.text.lexicon_files.importlib.import_module", lambda _: Reader)
    assert said(toml('San = { x-sampa = "s{n" }'), "San") == "[San](/sæn/)"
    body = "<lexeme><grapheme>San</grapheme><phoneme>s{n</phoneme></lexeme>"
    assert said(pls(body, alphabet="x-sampa"), "San") == "[San](/sæn/)"
    with pytest.raises(LexiconError, match="odd"):
        toml('San = { x-sampa = "sn" }')


# -- PLS: examples after those of the recommendation ------------------------------------------------------------------


def test_graphemes_share_a_pronunciation() -> None:
    lexicon = pls(
        """<lexeme>
             <grapheme>theater</grapheme>
             <grapheme>theatre</grapheme>
             <phoneme>ˈθɪətər</phoneme>
             <example>We went to the theatre.</example>
           </lexeme>"""
    )
    assert said(lexicon, "theater Theatre") == "[theater](/ˈθɪətər/) [Theatre](/ˈθɪətər/)"
    assert lexicon.size == 2


def test_an_acronym_is_said_as_other_words() -> None:
    lexicon = pls("<lexeme><grapheme>W3C</grapheme><alias>World Wide Web\n Consortium</alias></lexeme>")
    assert said(lexicon, "the W3C") == "the World Wide Web Consortium"


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ("<phoneme>a</phoneme><phoneme>b</phoneme>", "[Newton](/a/)"),
        ('<phoneme>a</phoneme><phoneme prefer="true">b</phoneme>', "[Newton](/b/)"),
        ('<alias>a</alias><phoneme prefer="true">b</phoneme><phoneme prefer="true">c</phoneme>', "[Newton](/b/)"),
        ('<phoneme>a</phoneme><alias prefer="true">Sir Isaac</alias>', "Sir Isaac"),
        ('<phoneme alphabet="ipa">a</phoneme>', "[Newton](/a/)"),
    ],
)
def test_the_preferred_pronunciation_is_used_else_the_first(ways: str, expected: str) -> None:
    assert said(pls(f"<lexeme><grapheme>Newton</grapheme>{ways}</lexeme>"), "Newton") == expected


def test_of_homographs_the_first_is_used_and_roles_are_passed_over() -> None:
    lexicon = pls(
        """<meta name="x" content="y"/><metadata><rdf:RDF xmlns:rdf="http://x"><rdf:lexeme/></rdf:RDF></metadata>
           <lexeme role="claws:VVI" xmlns:claws="http://x"><grapheme>read</grapheme><phoneme>ɹiːd</phoneme></lexeme>
           <lexeme role="claws:VVD" xmlns:claws="http://x"><grapheme>read</grapheme><phoneme>ɹɛd</phoneme></lexeme>"""
    )
    assert said(lexicon, "read") == "[read](/ɹiːd/)"


def test_a_document_is_for_its_language() -> None:
    lexicon = pls("<lexeme><grapheme>東京</grapheme><phoneme>toːkjoː</phoneme></lexeme>", language="ja")
    assert said(lexicon, "東京", "ja") == "[東京](/toːkjoː/)"
    assert said(lexicon, "東京", "zh") == "東京"


@pytest.mark.parametrize(
    ("raw", "line", "problem"),
    [
        (b"<lexicon>\n<lexeme>", 2, "XML"),
        (b"<speak/>", 1, "must be lexicon"),
        (b'<!DOCTYPE lexicon [\n<!ENTITY a "b">\n]>\n<lexicon/>', 1, "DTD"),
        (b"<lexicon><lexeme>&a;</lexeme></lexicon>", 1, "XML"),
        (b'<?xml version="1.0" encoding="klingon"?><lexicon/>', 1, "encoding"),
        (document("<lexeme><phoneme>a</phoneme></lexeme>"), 5, "no grapheme"),
        (document("\n<lexeme><grapheme>a</grapheme></lexeme>"), 6, "neither"),
        (document("<lexeme><grapheme>a</grapheme><phoneme/></lexeme>"), 5, "needs"),
        (document("<lexeme><grapheme>a</grapheme><phoneme alphabet='x-arpabet'>b</phoneme></lexeme>"), 5, "alphabet"),
        (document("<lexeme><grapheme>a</grapheme><alias>b</alias></lexeme>", language="English"), 5, "language"),
        (b"", 1, "XML"),
    ],
)
def test_a_mistake_in_pls_has_its_line(raw: bytes, line: int, problem: str) -> None:
    with pytest.raises(LexiconError, match=problem) as refused:
        parse_pls(raw)
    assert refused.value.line == line


def test_entities_are_not_expanded() -> None:
    lines = ['<!ENTITY a0 "ha">', *(f'<!ENTITY a{i} "&a{i - 1};&a{i - 1};">' for i in range(1, 60))]
    bomb = f"<!DOCTYPE lexicon [{''.join(lines)}]><lexicon><lexeme>&a59;</lexeme></lexicon>"
    with pytest.raises(LexiconError, match="DTD"):
        parse_pls(bomb.encode())


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_read_by_its_ending(tmp_path: Path) -> None:
    for name, raw in (("a.toml", b'\xef\xbb\xbfa = "b"'), ("a.PLS", document("")), ("a.xml", document(""))):
        (tmp_path / name).write_bytes(raw)
        assert len(read_lexicon(tmp_path / name)) == (name == "a.toml")
    (tmp_path / "a.csv").write_bytes(b"a,b")
    with pytest.raises(LexiconError, match="must end in"):
        read_lexicon(tmp_path / "a.csv")
    with pytest.raises(LexiconError, match="can't be read"):
        read_lexicon(tmp_path / "none.toml")
    with pytest.raises(LexiconError, match="can't be read"):
        read_lexicon(tmp_path)
