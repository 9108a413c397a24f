"""SSML in pieces: what each element does, and what holds for any document, whole or broken.

The chapters of the recommendation that are named are those of https://www.w3.org/TR/speech-synthesis11/.
"""

import html
import re
import time
import xml.parsers.expat

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.work_counter import counted
from voxwire_server.speech import Reading
from voxwire_server.text.controls import PLAIN, Style, VoiceWish, gain_of, linear, pitch_of, rate_of, seconds_of
from voxwire_server.text.intake import Boundary, ClauseText, IntakeWarning, TextIntake, Urgency
from voxwire_server.text.markup import Markup
from voxwire_server.text.speakable import MARKS_BETWEEN_MAX
from voxwire_server.text.ssml import TAG_CHARS_MAX, Ssml
from voxwire_server.text.ssml.output import READING_CHARS_MAX, WARNINGS_MAX
from voxwire_server.text.xsampa import to_ipa


def new_intake(opening: Markup | Ssml | None = None) -> TextIntake:
    return TextIntake(opening=opening or Ssml("en"))


def drain(intake: TextIntake, urgency: Urgency = Urgency.RELAXED) -> list[ClauseText]:
    taken = []
    while (clause := intake.take(urgency)) is not None:
        taken.append(clause)
    return taken


def read(*pieces: str, opening: Markup | Ssml | None = None) -> tuple[list[ClauseText], list[IntakeWarning]]:
    """The clauses of a text that came in these pieces and was flushed, and its warnings."""
    intake = new_intake(opening)
    clauses = []
    for piece in pieces:
        intake.feed(piece)
        clauses += drain(intake)
    intake.flush()
    clauses += drain(intake)
    return clauses, intake.drain_warnings()


def clauses_of(text: str) -> list[ClauseText]:
    return read(text)[0]


def said(text: str) -> list[str]:
    return [clause.text for clause in clauses_of(text) if clause.text]


def codes(text: str) -> list[str]:
    return [warning.code for warning in read(text)[1]]


def styles(text: str) -> list[tuple[str, Style]]:
    return [(clause.text, clause.style) for clause in clauses_of(text) if clause.text]


def pauses(text: str) -> list[tuple[str, float]]:
    return [(clause.text, clause.pause_after) for clause in clauses_of(text) if clause.text or clause.pause_after]


# -- documents and fragments (2, 3.1.1) -------------------------------------------------------------------------------


def test_a_document_is_read_as_its_text() -> None:
    document = """<?xml version="1.0"?>
    <speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">
      <!-- a greeting -->
      Good morning, <![CDATA[Ann & Bob]]>. It is 5 &lt; 6 &#x2014; na&#239;ve, isn't it&quest;
    </speak>"""
    clauses, warnings = read(document)
    assert " ".join(clause.text for clause in clauses) == "Good morning, Ann & Bob. It is 5 < 6 — naïve, isn't it? "
    assert {clause.style for clause in clauses if clause.text} == {Style(language="en-US")}
    assert not warnings


def test_a_fragment_needs_no_root() -> None:
    assert pauses('One. <break time="1s"/> Two.') == [("One.", 1.0), ("Two.", 0.0)]


def test_there_is_no_markdown_in_ssml() -> None:
    assert said("Two * three * four so _it_ `is`.") == ["Two * three * four so _it_ `is`."]


def test_an_emoji_is_left_out_with_one_warning() -> None:
    assert said("Hello 👋 there 🎉 now.") == ["Hello there now."]
    assert codes("Hello 👋 there 🎉 now.") == ["text_without_speech"]


def test_origins_point_to_the_characters_as_they_were_sent() -> None:
    text = "<s>Tom &amp; <emphasis>Ann</emphasis></s>"
    for clause in clauses_of(text):
        for char, origin in zip(clause.text, clause.origins, strict=True):
            assert text[origin] in (char, "&", "<", " ")
    assert clauses_of(text)[1].text == "Ann"
    assert text[clauses_of(text)[1].origins[0] :].startswith("Ann")


# -- p and s (3.1.8.1) ------------------------------------------------------------------------------------------------


def test_sentences_end_where_their_elements_do() -> None:
    clauses = clauses_of("<p><s>This is the first one</s><s>And this is the second one here</s></p>")
    assert [clause.text for clause in clauses] == ["This is the first one.", "And this is the second one here."]


def test_there_is_a_pause_between_paragraphs_and_none_behind_the_last() -> None:
    assert pauses("<p>One here.</p>\n<p>Two here</p>") == [("One here.", 0.4), ("Two here.", 0.0)]


@pytest.mark.parametrize("before", ["", "\n ", '<?xml version="1.0"?>\n', '<speak xml:lang="en-US">\n  ', "<p> </p>\n"])
def test_there_is_no_pause_before_the_first_paragraph(before: str) -> None:
    assert pauses(f"{before}<p>One here.</p>\n<p>Two here</p>") == [("One here.", 0.4), ("Two here.", 0.0)]


# -- break (3.2.3) ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("", 0.5),
        ('time="250ms"', 0.25),
        ('time="2s"', 2.0),
        ('time="+0.5s"', 0.5),
        ("time='1.5S'", 1.5),
        ("time=3s", 3.0),
        ('time="60s"', 10.0),
        ('strength="x-weak"', 0.1),
        ('strength="weak"', 0.25),
        ('strength="medium"', 0.5),
        ('strength="strong"', 1.0),
        ('strength="x-strong"', 1.5),
        ('strength="strong" time="3s"', 3.0),
    ],
)
def test_breaks_are_pauses(attributes: str, seconds: float) -> None:
    assert pauses(f"Well <break {attributes}/> then") == [("Well", seconds), ("then", 0.0)]
    assert pauses(f"Well <break {attributes}></break> then") == [("Well", seconds), ("then", 0.0)]


@pytest.mark.parametrize("attributes", ['time="soon"', 'time="-1s"', 'strength="huge"', 'time=""'])
def test_a_break_that_says_nothing_known_is_no_pause(attributes: str) -> None:
    assert pauses(f"Well <break {attributes}/> then") == [("Well then", 0.0)]
    assert codes(f"Well <break {attributes}/> then") == ["ssml_malformed"]


def test_no_break_of_strength_none_ends_a_clause() -> None:
    assert pauses('Well <break strength="none"/> then') == [("Well then", 0.0)]


def test_pauses_come_where_there_is_no_text() -> None:
    assert pauses('<break time="1s"/><break time="2s"/>Hi.<break time="3s"/>') == [("", 1.0), ("", 2.0), ("Hi.", 3.0)]
    assert new_intake().has_speakable is False
    intake = new_intake()
    intake.feed('<break time="1s"/>')
    assert intake.has_speakable


def test_a_pause_ends_a_clause_before_the_rest_has_come() -> None:
    intake = new_intake()
    intake.feed('That is all<break time="1s"/>')
    (clause,) = drain(intake)
    assert (clause.text, clause.pause_after, clause.boundary) == ("That is all", 1.0, Boundary.SENTENCE)
    assert clause.chars == (0, 29)


def test_signs_behind_a_pause_are_not_said_by_themselves() -> None:
    assert said('Well<break time="1s"/>. And then <break/>, so it is.') == ["Well", "And then", "so it is."]


# -- mark (3.3.2) -----------------------------------------------------------------------------------------------------


def test_marks_stand_before_the_next_word() -> None:
    (clause,) = clauses_of(
        '<mark name="a"/>Go from <mark name="here"/>here to <mark name="there"/>there.<mark name="z"/>'
    )
    assert clause.text == "Go from here to there."
    assert [(name, clause.text[at:]) for name, at in clause.marks] == [
        ("a", "Go from here to there."),
        ("here", "here to there."),
        ("there", "there."),
        ("z", ""),
    ]


def test_marks_before_a_pause_belong_to_the_clause_before_it() -> None:
    first, second = clauses_of('One.<mark name="a"/><break/><mark name="b"/> Two.')
    assert first.marks == (("a", 4),)
    assert second.marks == (("b", 0),)


def test_a_mark_inside_a_word_cuts_nothing() -> None:
    (clause,) = clauses_of('un<mark name="m"/>believable')
    assert (clause.text, clause.marks) == ("unbelievable", (("m", 2),))


# -- emphasis, prosody (3.2.2, 3.2.4) ---------------------------------------------------------------------------------


def test_emphasis_changes_speed_and_volume() -> None:
    strong = Style(rate=0.9, gain=linear(3.0))
    assert styles('That is a <emphasis level="strong">huge</emphasis>, old tree.') == [
        ("That is a", PLAIN),
        ("huge,", strong),
        ("old tree.", PLAIN),
    ]
    assert styles("<emphasis>so</emphasis>")[0][1] == Style(rate=0.95, gain=linear(1.5))
    assert styles('<emphasis level="none">so</emphasis>')[0][1] == PLAIN
    assert styles('<emphasis level="reduced">so</emphasis>')[0][1] == Style(rate=1.05, gain=linear(-3.0))


@pytest.mark.parametrize(
    ("rate", "factor"),
    [
        ("x-slow", 0.5),
        ("slow", 0.75),
        ("medium", 1.0),
        ("fast", 1.25),
        ("x-fast", 1.5),
        ("default", 1.0),
        ("80%", 0.8),
        ("0.8", 0.8),
        ("150%", 1.5),
        ("+10%", 1.1),
        ("-10%", 0.9),
        ("9000%", 4.0),
    ],
)
def test_rates(rate: str, factor: float) -> None:
    assert rate_of(rate, 1.0) == pytest.approx(factor)
    assert styles(f'<prosody rate="{rate}">so</prosody>')[0][1].rate == pytest.approx(factor)


def test_a_relative_rate_is_of_the_one_around_it() -> None:
    inner = '<prosody rate="+20%">two <prosody rate="fast">three</prosody></prosody>'
    text = f'<prosody rate="slow">one {inner} four</prosody> five'
    assert [round(style.rate, 3) for _, style in styles(text)] == [0.75, 0.9, 1.25, 0.75, 1.0]


@pytest.mark.parametrize(
    ("volume", "gain"),
    [
        ("silent", 0.0),
        ("x-soft", linear(-12)),
        ("soft", linear(-6)),
        ("medium", 1.0),
        ("loud", linear(6)),
        ("x-loud", linear(12)),
        ("+6dB", linear(6)),
        ("-6dB", linear(-6)),
        ("50", 0.5),
        ("100", 1.0),
        ("+90dB", linear(12)),
    ],
)
def test_volumes(volume: str, gain: float) -> None:
    assert gain_of(volume, 1.0) == pytest.approx(gain)
    assert styles(f'<prosody volume="{volume}">so</prosody>')[0][1].gain == pytest.approx(gain)


def test_pitch_is_warned_of_once() -> None:
    text = '<prosody pitch="high" range="low">a</prosody> <prosody pitch="+2st" contour="(0%,+20Hz)">b</prosody>'
    assert codes(text) == ["ssml_unsupported"] * 3
    assert [pitch_of(each, 0.0) for each in ("x-low", "+2st", "-3ST", "+100%", "200Hz", "2st")] == [
        -6,
        2,
        -3,
        12,
        None,
        None,
    ]


def test_the_same_style_again_ends_no_clause() -> None:
    assert said('One <prosody rate="medium">two</prosody> three.') == ["One two three."]


def test_a_style_lasts_over_a_flush() -> None:
    intake = new_intake()
    intake.feed('<prosody rate="slow">One.')
    intake.flush()
    intake.feed(" Two.</prosody> Three.")
    intake.flush()
    assert [(each.text, each.style.rate) for each in drain(intake) if each.text] == [
        ("One.", 0.75),
        ("Two.", 0.75),
        ("Three.", 1.0),
    ]
    assert not intake.drain_warnings()


# -- voice, lang (3.2.1, 3.1.13) --------------------------------------------------------------------------------------


def test_voices_are_wished_for() -> None:
    assert styles('A <voice name="Ann Bea" gender="female">b</voice> <voice languages="fr:fr-FR de">c</voice>') == [
        ("A", PLAIN),
        ("b", Style(voice=VoiceWish(("Ann", "Bea"), "female"))),
        ("c", Style(language="fr")),
    ]


def test_languages_of_stretches() -> None:
    text = '<speak xml:lang="en">A <lang xml:lang="fr-FR">vin</lang> <s xml:lang="de">Wein</s> b</speak>'
    assert [style.language for _, style in styles(text)] == ["en", "fr-FR", "de", "en"]


# -- sub, phoneme, say-as (3.1.9, 3.1.10, 3.1.11) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "text", "reading"),
    [
        ('<sub alias="World Wide Web">W3C</sub>', "W3C", Reading(4, 7, "alias", "World Wide Web")),
        ('<phoneme alphabet="ipa" ph="təˈmɑːtoʊ">tomato</phoneme>', "tomato", Reading(4, 10, "ipa", "təˈmɑːtoʊ")),
        ('<phoneme ph="pɪˈkɑːn">pecan</phoneme>', "pecan", Reading(4, 9, "ipa", "pɪˈkɑːn")),
        ("<phoneme alphabet='x-sampa' ph='pI\"kA:n'>pecan</phoneme>", "pecan", Reading(4, 9, "ipa", "pɪˈkɑːn")),
        (
            '<say-as interpret-as="date" format="mdy">1/2/2024</say-as>',
            "1/2/2024",
            Reading(4, 12, "say-as", "date", "mdy"),
        ),
        ('<say-as interpret-as="characters"> A  B </say-as>', "A B", Reading(4, 7, "say-as", "characters")),
        ('<phoneme ph="ha"/>', "ha", Reading(4, 6, "ipa", "ha")),
    ],
)
def test_readings(element: str, text: str, reading: Reading) -> None:
    (clause,) = clauses_of(f"The  {element} is.")
    assert clause.text == f"The {text} is."
    assert clause.readings == (reading,)


def test_what_has_no_letter_is_said_as_its_alias() -> None:
    (clause,) = clauses_of('I <sub alias="love">♥</sub> it.')
    assert (clause.text, clause.readings) == ("I love it.", ())


def test_a_reading_is_never_cut() -> None:
    written = "我們在這裡說的話很長很長很長很長很長很長很長很長很長很長很長"
    for clause in read(f'<sub alias="short">{written}</sub>' * 12, opening=Ssml("zh"))[0]:
        assert not clause.text or (clause.text.replace(written, "") == "" and clause.readings)


def test_text_that_is_too_long_for_a_reading_is_read_as_it_stands() -> None:
    long = "so it is " * READING_CHARS_MAX
    clauses, warnings = read(f'<sub alias="x">{long}</sub>')
    assert " ".join(clause.text for clause in clauses).split() == long.split()
    assert not any(clause.readings for clause in clauses)
    assert [warning.code for warning in warnings] == ["ssml_unsupported"]


def test_x_sampa_is_read_as_ipa() -> None:
    assert to_ipa("tS_hi:z") == "tʃʰiːz"
    assert to_ipa('"hE.l@U') == "ˈhɛ.ləʊ"
    assert to_ipa("r\\`E~") == "ɻɛ\u0303"
    with pytest.raises(ValueError, match="Ж"):
        to_ipa("aЖ")
    assert codes('<phoneme alphabet="x-sampa" ph="Ж">a</phoneme>') == ["ssml_malformed"]
    assert codes('<phoneme alphabet="pinyin" ph="ma3">a</phoneme>') == ["ssml_unsupported"]


# -- what is not followed (3.3.1, 3.1.4) ------------------------------------------------------------------------------


def test_a_sound_is_replaced_by_its_text() -> None:
    text = 'Listen: <audio src="a.wav"><desc>a bell</desc>ding dong</audio>, that was it.'
    assert " ".join(said(text)) == "Listen: ding dong, that was it."
    assert codes(text) == ["ssml_unsupported"]


def test_metadata_and_lexicons_are_not_read() -> None:
    assert said("<metadata><x>no</x></metadata><lexicon uri='a'/><meta name='n'/>Yes.") == ["Yes."]


def test_elements_that_are_not_known_are_warned_of_once_and_read() -> None:
    text = "<speak><google:style name='lively'>Good <x>day</x> <x>all</x></google:style></speak>"
    assert said(text) == ["Good day all"]
    assert codes(text) == ["ssml_unsupported"] * 2


# -- what is broken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said_of_it", "at"),
    [
        ("Tom & Ann are here.", "Tom & Ann are here.", 4),
        ("AT&T is here.", "AT&T is here.", 2),
        ("It is 3 < 4 here.", "It is 3 < 4 here.", 8),
        ("I <3 you.", "I <3 you.", 2),
        ("One <b and two.", "One <b and two.", 4),
        ("One </s> two.", "One two.", 4),
        ("One <sub>two</sub> three.", "One two three.", 9),
        ("Some &nope; here.", "Some here.", 5),
        ("Half a <break tim", "Half a", 7),
    ],
)
def test_broken_ssml_is_read_as_well_as_can_be(text: str, said_of_it: str, at: int) -> None:
    clauses, warnings = read(text)
    assert " ".join(clause.text for clause in clauses if clause.text) == said_of_it
    assert [warning.code for warning in warnings] == ["ssml_malformed"]
    assert f"character {at} " in warnings[0].message


def test_elements_that_close_in_a_wrong_order_end_together() -> None:
    text = '<prosody rate="slow">One <emphasis>two</prosody> three.'
    assert [style.rate for _, style in styles(text)] == pytest.approx([0.75, 0.75 * 0.95, 1.0])
    assert codes(text) == ["ssml_malformed"]


def test_faults_are_told_a_bounded_number_of_times() -> None:
    assert codes("a & b " * 100) == ["ssml_malformed"] * WARNINGS_MAX


def test_a_tag_without_end_is_no_tag() -> None:
    text = "<break " + "a='b' " * (TAG_CHARS_MAX // 6) + "/> so."
    assert codes(text) == ["ssml_malformed"]


def test_no_entity_that_a_document_declares_is_known() -> None:
    lols = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 20))
    bomb = f'<!DOCTYPE lolz [<!ENTITY lol0 "lol"> {lols}]><speak>&lol19; Hello. <x>Bye</x></speak>'
    began = time.perf_counter()
    clauses, warnings = read(bomb)
    assert time.perf_counter() - began < 0.5
    assert [clause.text for clause in clauses] == ["Hello.", "Bye"]
    assert [warning.code for warning in warnings] == ["ssml_unsupported", "ssml_malformed", "ssml_unsupported"]


def test_external_entities_are_never_read() -> None:
    assert said('<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><speak>&x; Hi.</speak>') == ["Hi."]


# -- any document, any split ------------------------------------------------------------------------------------------

PARTS = [
    *("Hello", "there", "Dr.", "3.14", "你好。", " ", " ", " ", ". ", "! ", ", ", "\n", '"', "(", ")", "😀", "\u200d"),
    *("<p>", "</p>", "<s>", "</s>", "<speak>", "</speak>", "<x>", "</x>", "<emphasis>", "</emphasis>"),
    *('<break time="1s"/>', "<break/>", '<mark name="m"/>', '<prosody rate="slow">', "</prosody>"),
    *('<prosody volume="loud" pitch="high">', '<voice name="a">', "</voice>", '<lang xml:lang="fr">', "</lang>"),
    *(
        '<sub alias="b c">',
        "</sub>",
        '<say-as interpret-as="date">',
        "</say-as>",
        '<phoneme ph="a"/>',
        "<desc>",
        "</desc>",
    ),
    *(
        "&amp;",
        "&#65;",
        "&no;",
        "&",
        "<",
        ">",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!DOCTYPE a [",
        "]>",
        "<br",
    ),
]
DOCUMENTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=40).map("".join)
PROSE = st.lists(st.sampled_from(PARTS[:45] + ["and so it went on for a while"] * 20), max_size=40).map("".join)


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS | PROSE, st.lists(st.integers(0, 400), max_size=12))
@example("<p>One</p>  <p>“Two</p>", [3, 9])
def test_any_split_gives_the_same_clauses(text: str, cuts: list[int]) -> None:
    whole = read(text)
    at = 0
    for clause in whole[0]:
        assert clause.chars[0] == at
        assert at <= clause.chars[1]
        assert all(clause.chars[0] <= origin < clause.chars[1] for origin in clause.origins)
        assert all(0 <= reading.start < reading.end <= len(clause.text) for reading in clause.readings)
        at = clause.chars[1]
    assert at == len(text)
    assert read(*pieces_of(text, cuts))[0] == whole[0]
    assert read(*text) == whole


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS | PROSE, st.sampled_from([Urgency.SOON, Urgency.DRY]), st.lists(st.integers(0, 400), max_size=6))
def test_nothing_is_lost_at_any_urgency(text: str, urgency: Urgency, cuts: list[int]) -> None:
    intake = new_intake()
    clauses = []
    for piece in pieces_of(text, cuts):
        intake.feed(piece)
        clauses += drain(intake, urgency)
    intake.flush()
    clauses += drain(intake, urgency)
    whole = clauses_of(text)
    assert sum(each.pause_after for each in clauses) == pytest.approx(sum(each.pause_after for each in whole))
    assert [name for each in clauses for name, _ in each.marks] == [name for each in whole for name, _ in each.marks]


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS | PROSE, st.integers(0, 300), DOCUMENTS)
def test_text_retracted_before_it_was_taken_was_never_there(text: str, at: int, more: str) -> None:
    intake = new_intake()
    intake.feed(text)
    kept = intake.retract(at)
    intake.feed(more)
    intake.flush()
    assert drain(intake) == clauses_of(text[:kept] + more)


@settings(max_examples=150, deadline=None)
@given(PROSE, st.integers(0, 600), PROSE, st.sampled_from(Urgency))
def test_retracting_keeps_marks_pauses_and_styles(text: str, at: int, more: str, urgency: Urgency) -> None:
    # The pause between paragraphs is there once text follows; it stays when that text is taken back.
    text, more = (re.sub("</?p>", "", each) for each in (text, more))
    intake = new_intake()
    intake.feed(text)
    first = drain(intake, urgency)
    kept = intake.retract(at)
    intake.feed(more)
    intake.flush()
    rest = drain(intake)
    assert [each.chars[0] for each in rest] == [
        each.chars[1] for each in [*first, *rest][len(first) - 1 : -1]
    ] or not first
    whole = clauses_of(text[:kept] + more)
    assert sum(each.pause_after for each in first + rest) == pytest.approx(sum(each.pause_after for each in whole))


WORDS = st.text(alphabet="abc é<&>\"'\n你.", max_size=12)
TREES = st.recursive(
    WORDS.map(html.escape),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["speak", "lang", "w", "emphasis"]), st.lists(inner, max_size=4)).map(
            lambda made: f"<{made[0]} a='{html.escape('<x>')}'>{''.join(made[1])}</{made[0]} >"
        ),
        WORDS.filter(lambda text: "--" not in text).map(lambda text: f"<!-- {html.escape(text)} -->"),
        WORDS.map(lambda text: f"<![CDATA[{text}]]>"),
        st.integers(32, 0x4FF).map(lambda code: f"&#{code};"),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(TREES, max_size=4).map("".join))
def test_what_is_well_formed_is_read_as_expat_reads_it(inside: str) -> None:
    document = f"<speak>{inside}</speak>"
    heard: list[str] = []
    parser = xml.parsers.expat.ParserCreate()
    parser.CharacterDataHandler = heard.append
    parser.Parse(document, True)
    ours = Ssml("en")
    ours.feed(document)
    ours.finish()
    assert not ours.skipped
    letters = re.compile(r"[^\W_]")
    assert letters.findall(ours.text) == letters.findall("".join(heard))


UNITS = (
    "<", "&", "<a ", "</s>", "<s>", "<p>a", '<prosody rate="slow">a', '<a b="', "<!--", "<sub alias='x'>a", "&#",
    '<break time="1s"/>', '<mark name="m"/>', "a", "<x>b</x> ", "&amp;", "<sub alias='x'>a</sub> ", "<![CDATA[",
    "<prosody rate='slow'><prosody rate='fast'>", "<emphasis>a</emphasis>",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_reading_takes_work_in_proportion_to_the_text(unit: str) -> None:
    works = []
    for chars in (2000, 4000, 8000):
        text = (unit * chars)[:chars]
        with counted() as work:
            read(text)
        works.append(work.total)
    assert works[1] <= max(2.5 * works[0] + 500, 20 * 4000), works
    assert works[2] <= max(2.5 * works[1] + 500, 20 * 8000), works


# -- pauses and tags in other text ------------------------------------------------------------------------------------


def plain(text: str, *tags: str) -> list[tuple[str, float]]:
    clauses, _ = read(text, opening=Markup("en", tags=frozenset(tags)))
    pieces, _ = read(*text, opening=Markup("en", tags=frozenset(tags)))
    assert pieces == clauses
    return [(clause.text, clause.pause_after) for clause in clauses if clause.text or clause.pause_after]


def test_pauses_are_written_in_plain_text() -> None:
    text = 'Well,<break time="2s"/> **so** it [pause:500ms] is [pause: 1.5 s].'
    assert plain(text, "break", "pause") == [("Well,", 2.0), ("so it", 0.5), ("is", 1.5)]
    assert plain("One\n\n[pause:1s]\n\nTwo", "pause") == [("One.", 1.0), ("Two", 0.0)]


def test_pauses_that_are_not_configured_are_none() -> None:
    assert plain('Well,<break time="2s"/> so [pause:1s] it is.') == [("Well, so [pause:1s] it is.", 0.0)]
    assert plain('Well,<break time="2s"/> so [pause:1s] it is.', "pause") == [("Well, so", 1.0), ("it is.", 0.0)]


def test_what_is_no_pause_is_text() -> None:
    assert plain("So [pause:long] it [pause] is.", "pause") == [("So [pause:long] it [pause] is.", 0.0)]


def test_tags_of_a_vendor_hold_from_there_on() -> None:
    text = 'One <speed ratio="1.5"/>two <volume ratio="0.5"/>three <speed ratio="1"/>four <spell>AB 1</spell> five.'
    clauses, _ = read(text, opening=Markup("en", tags=frozenset(("speed", "volume", "spell"))))
    assert [(each.text, each.style) for each in clauses] == [
        ("One", PLAIN),
        ("two", Style(rate=1.5)),
        ("three", Style(rate=1.5, gain=0.5)),
        ("four AB 1 five.", Style(gain=0.5)),
    ]
    assert clauses[-1].readings == (Reading(5, 9, "say-as", "characters"),)


def test_durations() -> None:
    assert [seconds_of(text) for text in ("1s", "500ms", "+.5s", "1e3s", "1", "s", "99999s")] == [
        1,
        0.5,
        0.5,
        None,
        None,
        None,
        10,
    ]


@pytest.mark.parametrize("pause", ["<break time='10s'/>", "<break time='10s'/> . ", "<p><break time='9s'/></p>"])
def test_a_flood_of_pauses_is_a_minute_of_silence(pause: str) -> None:
    clauses, warnings = read("One. " + 10_000 * pause + " Two. <break time='2s'/> Three.")
    assert [clause.text for clause in clauses if clause.text][-2:] == ["Two.", "Three."]
    between = clauses[: [clause.text for clause in clauses].index("Two.")]
    assert sum(clause.pause_after for clause in between) == pytest.approx(60.0)
    assert clauses[-2].pause_after or clauses[-3].pause_after, "the words after it have pauses of their own"
    assert len(clauses) < 150
    assert [warning.code for warning in warnings].count("ssml_unsupported") == 1


def test_a_flood_of_pauses_in_other_text_is_a_minute_of_silence() -> None:
    clauses, warnings = read("One. " + 1000 * "[pause:10s] " + " Two.", opening=Markup("en", tags=frozenset({"pause"})))
    assert sum(clause.pause_after for clause in clauses) == pytest.approx(60.0)
    assert [warning.code for warning in warnings] == ["ssml_unsupported"]


@pytest.mark.parametrize("mark", ["<mark name='a'/>", "<mark name='a'/>.", "<mark name='a'/> "])
def test_of_a_flood_of_marks_the_first_are_told(mark: str) -> None:
    clauses, warnings = read("One " + 10_000 * mark + "two <mark name='last'/>three.")
    names = [name for clause in clauses for name, _ in clause.marks]
    assert names == ["a"] * MARKS_BETWEEN_MAX + ["last"]
    assert [warning.code for warning in warnings].count("ssml_unsupported") == 1
