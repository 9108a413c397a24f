"""Cues of captions: all that is said, once, in order, where it is heard, in lines that can be read."""

from __future__ import annotations

import html
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.caption_events import CONTEXT, RATE, audio, clause, cues_of, events_of, read_subtitles, word, words_of
from voxwire_client import Reconnected
from voxwire_client.captions import Captions, SrtFormat, VttFormat
from voxwire_client.captions.hidden_markup import HiddenMarkup
from voxwire_client.captions.line_breaks import columns
from voxwire_protocol import messages as m

WIDE = 42 / 16
PLAIN = (
    "When the sun goes down behind the hills and the last of the light has left the valley, the people who live "
    "along the river begin to gather on the old stone bridge. They talk. He paid $5 (in cash)!"
)


def shown(text: str, words=None, **facts) -> list[str]:
    return [cue.text for cue in cues_of(text, events_of(text, words_of(text) if words is None else words, **facts))]


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_the_text_is_shown_as_it_stands_in_lines_that_can_be_read():
    assert shown(PLAIN) == [
        "When the sun goes down behind the hills\nand the last of the light has left",
        "the valley, the people who live\nalong the river begin to gather",
        "on the old stone bridge.",
        "They talk. He paid $5 (in cash)!",
    ]


def test_tags_of_ssml_are_not_shown():
    text = (
        '<speak>Tom <emphasis level="strong">&amp;</emphasis> <sub alias="a > b">Ann</sub><!-- here --> pay'
        '<break time="1s"/> five<mark name="x"/>. &lt;So&gt; it <x>is</x>.</speak>'
    )
    words = [word(name, (text.index(name), text.index(name) + len(name)), i * 6000, i * 6000 + 6000)
             for i, name in enumerate(("Tom", "Ann", "pay", "five", "So", "it", "is"))]  # fmt: skip
    expected = "Tom & Ann pay five. <So> it is."
    assert " ".join(ssml_lines(text, events_of(text, words))) == expected
    untimed = [event for event in events_of(text, words) if not isinstance(event, m.Timing)]
    assert " ".join(" ".join(ssml_lines(text, untimed)).split()) == expected


def ssml_lines(text: str, events) -> list[str]:
    """The lines of a text that comes character by character before its events."""
    captions, cues = Captions(ssml=True), []
    for at in range(len(text)):
        cues += captions.take(m.WarningMessage(code="x", message=""), text[:at])
    for event in events:
        cues += captions.take(event, text)
    return [line for cue in cues + captions.finish(text) for line in cue.text.split("\n")]


def test_pauses_that_are_written_are_not_shown():
    text = "Well, [pause:1s] so <break time='2s'/>it is [not] <b>."
    said = ("Well", "so", "it", "is ", "not")
    words = [word(name.strip(), (text.index(name), text.index(name) + len(name.strip())), i * 6000, i * 6000 + 6000)
             for i, name in enumerate(said)]  # fmt: skip
    assert " ".join(shown(text, words)) == "Well, so it is [not] <b>."


@given(st.text(alphabet="a <>[]&;/!-\"'b", max_size=60), st.booleans())
def test_what_is_hidden_is_as_long_as_it_was(text: str, ssml: bool):
    grown = HiddenMarkup(ssml=ssml)
    for at in range(len(text)):
        assert len(grown.hide(text[:at])) == at
    assert len(HiddenMarkup(ssml=ssml).hide(text)) == len(text)


def test_several_spoken_words_on_one_stretch_show_it_once():
    text = "It costs $5 million today."
    said = [("it", 0, 2), ("costs", 3, 8), ("five", 9, 11), ("million", 12, 19), ("dollars", 9, 11), ("today", 20, 25)]
    words = [word(name, (a, b), i * 6000, i * 6000 + 6000) for i, (name, a, b) in enumerate(said)]
    (cue,) = cues_of(text, events_of(text, words))
    assert cue.text == text
    assert [each.text for each in cue.words] == [each[0] for each in said]


def test_spoken_words_within_one_written_word_are_not_separated():
    address = "https://example.com/a/very/long/address/that/does/not/fit/one/line"
    text = f"Look at {address} now."
    words = [
        word(each.group(), each.span(), each.start() * 900, each.end() * 900) for each in re.finditer(r"\w+", text)
    ]
    assert bare("".join(shown(text, words))) == bare(text)
    short = "See https://a.b/c, or else."
    words = [
        word(each.group(), each.span(), each.start() * 900, each.end() * 900) for each in re.finditer(r"\w+", short)
    ]
    assert shown(short, words) == [short]


def test_quotes_and_brackets_stay_with_their_word():
    text = "He said “come here (now)” — and “go away when you have had your very last bit of dinner”."
    for line in "\n".join(shown(text)).split("\n"):
        assert not line.startswith(("”", ")", "—", ",", "."))
        assert not line.endswith(("“", "("))


def test_a_long_stretch_that_is_not_spoken_is_an_ellipsis():
    code = "print(1)\n" * 20
    text = f"Run this:\n```\n{code}```\nThen look at the output."
    words = [each for each in words_of(text) if each.text not in ("print", "1")]
    assert shown(text, words) == ["Run this: …", "Then look at the output."]


def test_a_paragraph_begins_a_cue():
    assert shown("One\n\nTwo.") == ["One", "Two."]
    assert shown("Buy:\n\n- milk\n- eggs") == ["Buy:", "- milk - eggs"]


def test_a_sentence_ends_a_cue_but_an_abbreviation_does_not():
    text = "We met Mr. Hartley of Baker Street. He was well."
    words = words_of(text)
    # The speaker runs on after "Mr."
    late = words[2].end_pts - words[3].pts
    words = words[:3] + [word(w.text, w.chars, w.pts + late, w.end_pts + late) for w in words[3:]]
    assert shown(text, words) == ["We met Mr. Hartley of Baker Street.", "He was well."]


def test_short_sentences_share_a_cue():
    assert shown("Yes. No. Maybe.", words_of("Yes. No. Maybe.", seconds=0.2, pause=0.2)) == ["Yes. No. Maybe."]


def test_chinese_and_japanese_have_sixteen_characters_a_line_and_no_closing_mark_begins_one():
    text = "今日はとても天気が良いので、公園まで散歩に行きましょう。"
    text += "それから「美味しい」ラーメンを食べて、家に帰りたいと思います。"
    words = [word(each, (i, i + 1), i * 4800, i * 4800 + 4800) for i, each in enumerate(text) if each.isalnum()]
    cues = shown(text, words)
    assert "".join(cues).replace("\n", "") == text
    for line in "\n".join(cues).split("\n"):
        assert columns(line, WIDE) <= 42
        assert line[0] not in "、。」ょ"
        assert line[-1] != "「"


def test_white_space_and_control_characters_make_no_lines():
    assert shown("One\u2028two\r\n three\x00\tfour.") == ["One two three four."]


def test_without_speech_there_are_no_cues():
    assert shown("", []) == []
    assert shown("😀", []) == []


# -- when it is shown -------------------------------------------------------------------------------------------------


def test_cues_stand_with_their_words_linger_and_let_the_next_one_in():
    text = "This is the first sentence. And here comes another one."
    words = words_of(text, pause=2.0)
    first, second = cues_of(text, events_of(text, words))
    assert (first.start_pts, second.start_pts) == (words[0].pts, words[5].pts)
    assert first.end_pts == words[4].end_pts + RATE // 2
    assert second.end_pts == words[-1].end_pts + RATE // 2
    close = cues_of(text, events_of(text, words_of(text, pause=0.55)))
    assert close[0].end_pts == close[1].start_pts, "a gap of less than two frames is closed"


def test_a_short_cue_stays_for_a_second():
    (cue,) = cues_of("Hi.", events_of("Hi.", words_of("Hi.")))
    assert (cue.start_pts, cue.end_pts) == (0, RATE)


def test_words_without_times_share_the_time_of_their_clause():
    text = "Hello there, you. Now listen to me."
    events = events_of(text, [])
    events[1:2] = [clause(0, 17, 0), audio(0), clause(17, len(text), 48000)]
    events[-1] = m.Done(context=CONTEXT, reason=m.DoneReason.COMPLETED, frames=200, samples=96000, chars=len(text))
    cues = cues_of(text, events)
    assert [cue.text for cue in cues] == ["Hello there, you.", "Now listen to me."]
    assert cues[0].start_pts == 0
    assert 48000 <= cues[1].start_pts < 52000
    assert all(not cue.words for cue in cues)
    assert "<" not in VttFormat(word_times=True).cue(cues[0], RATE).split("\n", 1)[1]


# -- while it is spoken -----------------------------------------------------------------------------------------------


def test_a_cue_is_given_out_when_its_audio_has_come_and_the_next_word_is_known():
    text = "This is the first sentence. And here comes another one."
    captions, words = Captions(), words_of(text)
    events = events_of(text, words, clauses=2)
    came = [(event, captions.take(event, text)) for event in events]
    event, cues = next(each for each in came if each[1])
    assert len(cues) == 1
    assert event.pts < cues[0].end_pts <= event.end_pts
    assert [cue.text for cue in captions.finish(text)] == []


def test_text_that_a_fresh_session_speaks_again_is_shown_once():
    text = "One two three four five."
    words = words_of(text)
    captions = Captions()
    got = []
    events = events_of(text, words, with_audio=False)[:-1]
    again = words[3].pts + 300
    # The connection is lost in the middle of "four", which is said anew.
    for event in (*events, audio(0), Reconnected(False, 1.0, pts=again, chars=words[3].chars[0])):
        got += captions.take(event, text)
    anew = tuple(word(w.text, w.chars, again + i * 8000, again + i * 8000 + 8000) for i, w in enumerate(words[3:]))
    got += captions.take(clause(words[3].chars[0], len(text), again), text)
    got += captions.take(m.Timing(context=CONTEXT, words=anew), text) + captions.finish(text)
    (cue,) = got
    assert cue.text == text
    assert cue.words == (*words[:3], *anew)


def test_cancelled_speech_is_shown_as_far_as_it_was_heard():
    text = "One two three four five."
    words = words_of(text)
    captions = Captions()
    heard = m.Cancelled(
        context=CONTEXT,
        heard=m.Heard(pts=words[2].end_pts, chars=13, text=text[:13]),
        unheard=m.Unheard(chars=11, text=text[13:]),
    )
    events = [*events_of(text, words, with_audio=False)[:-1], heard]
    assert [cue.text for cue in cues_of(text, events, captions)] == ["One two three"]


def test_a_flush_ends_a_cue_before_the_next_utterance_can_begin():
    text = "Wait. And go."
    captions, words = Captions(), words_of("Wait.")
    events = [*events_of(text, words)[:-1], m.Flushed(context=CONTEXT)]
    (cue,) = [cue for event in events for cue in captions.take(event, text[:5])]
    assert cue.text == "Wait."
    assert cue.end_pts == 480 * 15


# -- whatever comes ---------------------------------------------------------------------------------------------------

PIECES = (
    'a the Mr. hello wonderful $5 $12.50 end. really? yes, (so) "quote" 😀 — & <b> -- don\'t 日本語です。 1 Été 👩‍👩‍👧 '
    + "x" * 50
).split()
PIECE = st.sampled_from([*PIECES, "\n", "\n\n"])
WRITTEN = (st.lists(PIECE, max_size=10) | st.lists(PIECE, min_size=50, max_size=100)).map(" ".join)
PACES = st.tuples(st.floats(0.02, 3.0), st.floats(0, 3.0), st.integers(1, 6))


@settings(deadline=None)
@given(WRITTEN, PACES)
def test_every_word_stands_in_one_cue_in_order_and_no_cues_overlap(text, paces):
    seconds, pause, clauses = paces
    words = words_of(text, seconds=seconds, pause=pause)
    cues = cues_of(text, events_of(text, words, clauses=clauses))
    assert [each for cue in cues for each in cue.words] == words
    for cue, following in itertools.pairwise(cues):
        assert cue.end_pts <= following.start_pts
        assert cue.chars[1] <= following.chars[0]
    for cue in cues:
        assert cue.start_pts < cue.end_pts
        assert cue.chars[0] <= min(each.chars[0] for each in cue.words)
        assert cue.chars[1] >= max(each.chars[1] for each in cue.words)
    if words and not re.search(r"(?:[^\w$]\s*){30}", text):
        assert bare("".join(cue.text for cue in cues)) == bare(text)


@settings(deadline=None)
@given(WRITTEN, PACES)
def test_cues_keep_to_their_limits_unless_a_single_word_does_not(text, paces):
    seconds, pause, clauses = paces
    cues = cues_of(text, events_of(text, words_of(text, seconds=seconds, pause=pause), clauses=clauses))
    for cue in cues:
        assert all(line.strip() for line in cue.text.split("\n"))
        if len(cue.words) > 1:
            assert (cue.words[-1].end_pts - cue.words[0].pts) / RATE <= 7
            assert (cue.end_pts - cue.start_pts) / RATE <= 7 + 2 / 24 + 0.001
            assert len(cue.lines) <= 2
            assert all(columns(line, WIDE) <= 42 for line in cue.text.split("\n"))
    for cue, following in itertools.pairwise(cues):
        assert (cue.end_pts - cue.start_pts) / RATE >= 0.999 or cue.end_pts == following.start_pts


@settings(deadline=None)
@given(WRITTEN, PACES)
def test_cues_are_the_same_however_early_they_are_given_out(text, paces):
    seconds, pause, clauses = paces
    words = words_of(text, seconds=min(seconds, 0.5), pause=min(pause, 0.5))
    early, late = (cues_of(text, events_of(text, words, clauses=clauses, with_audio=each)) for each in (True, False))
    assert early == late


PLACES = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted).map(tuple)
MOMENTS = st.tuples(st.integers(0, 90000), st.integers(0, 9000))


@settings(deadline=None)
@given(st.text(max_size=30), st.lists(st.tuples(PLACES, MOMENTS), max_size=20), st.integers(1, 5))
def test_words_that_make_no_sense_still_make_files_that_do(text, entries, clauses):
    words = [word("w", chars, pts, pts + length) for chars, (pts, length) in entries]
    cues = cues_of(text, events_of(text, words, clauses=clauses))
    said = [each for cue in cues for each in cue.words]
    assert len(said) <= len(words)
    for format in (SrtFormat(), VttFormat(word_times=True)):
        read = read_subtitles(format.header + "".join(format.cue(cue, RATE) for cue in cues))
        assert len(read) == len(cues)
        assert all(cue.start_ms < cue.end_ms for cue in read)
        assert all(cue.end_ms <= following.start_ms for cue, following in itertools.pairwise(read))


# -- files ------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(WRITTEN, PACES, st.sampled_from([8000, 22050, 24000, 44100, 48000]))
def test_subtitles_read_back_as_they_were(text, paces, rate):
    seconds, pause, clauses = paces
    cues = cues_of(text, events_of(text, words_of(text, seconds=seconds, pause=pause), clauses=clauses))
    srt, vtt, karaoke = SrtFormat(), VttFormat(), VttFormat(word_times=True)
    for format in (srt, vtt, karaoke):
        read = read_subtitles(format.header + "".join(format.cue(cue, rate) for cue in cues))
        texts = [cue.text for cue in read]
        if format is not srt:
            texts = [html.unescape(re.sub(r"<(?:/?c|[\d:.]+)>", "", each)) for each in texts]
        assert texts == [cue.text for cue in cues]
        for got, cue in zip(read, cues, strict=True):
            assert got.start_ms == pytest.approx(cue.start_pts * 1000 / rate, abs=0.51)
            assert got.end_ms == pytest.approx(cue.end_pts * 1000 / rate, abs=0.51)


def test_the_files_are_as_players_want_them():
    text = 'One <b> & "two" -->'
    (cue,) = cues_of(text, events_of(text, words_of(text)))
    assert SrtFormat().cue(cue, RATE) == f"1\n00:00:00,000 --> 00:00:01,400\n{text}\n\n"
    vtt = VttFormat(word_times=True)
    assert vtt.header + vtt.cue(cue, RATE) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.400\n<c>One </c>"
        '<00:00:00.300><c>&lt;b&gt; &amp; </c><00:00:00.600><c>"two" --&gt;</c>\n\n'
    )


def test_a_long_film_has_hours():
    text = "Late."
    (cue,) = cues_of(text, events_of(text, words_of(text, pts=RATE * 100 * 3600), with_audio=False))
    assert SrtFormat().cue(cue, RATE).split("\n")[1] == "100:00:00,000 --> 100:00:01,000"
