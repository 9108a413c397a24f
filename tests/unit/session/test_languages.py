"""A text in several languages: what is spoken by whom, what is left out, and that the client is told so."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.core_harness import ENGINE, CoreHarness, FakeDirectory
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode
from voxwire_server.session import effects as fx
from voxwire_server.session.ports import ResolvedVoice
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings
from voxwire_server.session.stretches import SAMPLE_CHARS_MAX, best_speaker, tag_for
from voxwire_server.speech import Voice
from voxwire_server.text.scripts import stretches

MING = ResolvedVoice(ENGINE, Voice("ming", "harness", ("zh", "ja")), "zh")
AKI = ResolvedVoice(ENGINE, Voice("aki", "harness", ("ja",)), "ja")
FAR = ResolvedVoice(replace(ENGINE, name="far", clause_chars_max=10), Voice("far", "far", ("ru", "zh")), "ru")


def spoken(text: str, *others: ResolvedVoice, start: m.Start | None = None, identify=None) -> CoreHarness:
    harness = CoreHarness(auto=False, directory=FakeDirectory(others=others, identify=identify))
    harness.send(start or m.Start(pacing=m.PacingRequest(mode="burst")))
    harness.text(text)
    harness.send(m.End())
    return finished(harness)


def finished(harness: CoreHarness) -> CoreHarness:
    """The harness after all that it was given is spoken."""
    while True:
        while harness.pending:
            harness.speak_next()
        harness.run(600)
        if not harness.pending:
            return harness


def clauses(harness: CoreHarness) -> list[tuple[str, str, str]]:
    """Text, voice and language of each clause that was synthesised."""
    found = [each.spec.clause for each in harness.effects if isinstance(each, fx.Synthesise)]
    return [(clause.text, clause.voice, clause.language) for clause in found]


def left_out(harness: CoreHarness) -> list[m.WarningMessage]:
    return [each for each in harness.of(m.WarningMessage) if each.code == "unreadable_text"]


def test_a_part_in_another_language_is_spoken_by_a_voice_that_reads_it():
    text = "Hello 你好 world, and ありがとう!"
    harness = spoken(text, MING, AKI)
    assert clauses(harness) == [
        ("Hello", "anna", "en-us"),
        ("你好", "ming", "zh"),
        ("world,", "anna", "en-us"),
        ("and", "anna", "en-us"),
        ("ありがとう!", "aki", "ja"),
    ]
    assert not left_out(harness)
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_the_ranges_of_parts_touch_and_words_stand_where_they_were_written():
    text = "Say “你好” — or привет — to the world. And go."
    harness = spoken(text, MING)
    ranges = [each.chars for each in harness.of(m.ClauseStarted)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(text)
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    words = [word for each in harness.of(m.Timing) for word in each.words]
    assert [text[slice(*word.chars)] for word in words] == [word.text for word in words]
    assert "".join(word.text for word in words).replace("—", "") == "Say“你好”ortotheworld.Andgo."


def test_only_the_last_part_ends_the_utterance():
    harness = CoreHarness(directory=FakeDirectory(others=(MING,)))
    harness.text("Hello 你好 world 你好")
    harness.send(m.Flush(id="a"))
    harness.run(60)
    assert [frame.flags & 2 for frame in harness.frames].count(2) == 1
    assert harness.frames[-1].flags & 2
    assert [each.id for each in harness.of(m.Flushed)] == ["a"]


def test_parts_are_asked_for_a_few_at_a_time():
    harness = CoreHarness(auto=False, directory=FakeDirectory(others=(MING,)))
    harness.send(m.Start(pacing=m.PacingRequest(mode="burst")))
    harness.text("a 你 b 好 c 你 d 好 e 你 f 好")
    harness.send(m.End())
    said = []
    while harness.pending:
        assert len(harness.pending) <= 2
        said.append(harness.pending[0].spec.clause.text)
        harness.speak_next()
        harness.run(0.1)
    harness.run(60)
    assert said == ["a", "你", "b", "好", "c", "你", "d", "好", "e", "你", "f", "好"]
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_a_cancel_between_parts_speaks_none_of_the_rest():
    harness = CoreHarness(auto=False, directory=FakeDirectory(others=(MING,)))
    harness.text("Hello 你好 world 你好 again.", flush=True)
    harness.speak_next()
    harness.send(m.Cancel())
    assert not harness.pending
    assert harness.last(m.Done).reason is m.DoneReason.CANCELLED
    assert (
        harness.last(m.Cancelled).heard.text + harness.last(m.Cancelled).unheard.text == "Hello 你好 world 你好 again."
    )


def test_what_no_voice_reads_is_left_out_with_a_warning():
    text = "Hello Привет, мир! And world."
    harness = spoken(text)
    assert harness.spoken == ["Hello,", "And world."]
    (warning,) = left_out(harness)
    assert warning.context == "0"
    start, end = warning.details["chars"]
    assert text[start:end] == warning.details["sample"] == "Привет"
    assert warning.details | {"chars": 0, "sample": ""} == {
        "chars": 0,
        "sample": "",
        "language": "ru",
        "voice": "anna",
        "languages": ["en-us"],
    }


def test_words_of_the_contexts_lexicon_are_spoken_whatever_they_are_written_in():
    start = m.Start(lexicon={"Привет": "privyet"}, pacing=m.PacingRequest(mode="burst"))
    harness = spoken("He says Привет to мир.", start=start)
    assert " ".join(harness.spoken) == "He says Привет to."
    assert [each.details["sample"] for each in left_out(harness)] == ["мир"]


SSML = m.Start(format="ssml", pacing=m.PacingRequest(mode="burst"))


def test_what_ssml_says_how_to_read_is_in_the_clauses_own_language():
    harness = spoken('They say <sub alias="nee how">你好</sub> and 你好.', MING, start=SSML)
    assert clauses(harness) == [("They say 你好 and", "anna", "en-us"), ("你好.", "ming", "zh")]
    (first, second) = [each.spec.clause for each in harness.effects if isinstance(each, fx.Synthesise)]
    assert [(first.text[each.start : each.end], each.value) for each in first.readings] == [("你好", "nee how")]
    assert not second.readings


def test_readings_behind_what_is_left_out_stay_where_they_were():
    harness = spoken('Мир and <sub alias="doctor">Dr</sub> and мир.', start=SSML)
    (clause,) = [each.spec.clause for each in harness.effects if isinstance(each, fx.Synthesise)]
    assert clause.text == "and Dr and."
    assert [clause.text[each.start : each.end] for each in clause.readings] == ["Dr"]


def test_marks_and_pauses_stay_with_their_parts():
    text = 'So 你好<mark name="a"/> and <mark name="b"/>well мир<mark name="c"/> there.<break time="2s"/>Then.'
    harness = spoken(text, MING, start=SSML)
    marks = {each.name: each.pts for each in harness.of(m.Mark)}
    words = {word.text: word for each in harness.of(m.Timing) for word in each.words}
    assert [marks[name] for name in "abc"] == [words[word].pts for word in ("and", "well", "there.")]
    assert pauses(harness) == [("So", 0), ("你好", 0), ("and well there.", 2), ("Then.", 0)]


def pauses(harness: CoreHarness) -> list[tuple[str, float]]:
    """The text of each clause, and the seconds of silence behind it; of silence alone, ""."""
    found = []
    for effect in harness.effects:
        if isinstance(effect, fx.Synthesise):
            found.append((effect.spec.clause.text, effect.spec.clause.pause_after))
        elif isinstance(effect, fx.Silence):
            found.append(("", effect.spec.clause.pause_after))
    return found


def test_a_pause_after_what_is_left_out_is_kept():
    harness = spoken('Hello.<break time="1s"/>Мир.<break time="2s"/>Then.', start=SSML)
    assert pauses(harness) == [("Hello.", 1), ("", 2), ("Then.", 0)]
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_a_language_that_ssml_names_may_be_spoken_by_a_voice_that_stands_in():
    harness = spoken('Hello <lang xml:lang="ja">東京</lang> there.', MING, AKI, start=SSML)
    assert ("東京", "aki", "ja") in clauses(harness)
    assert not harness.of(m.WarningMessage)


def test_the_warning_names_a_voice_that_reads_it():
    class Elsewhere(FakeDirectory):
        def reader_of(self, language):
            return FAR.voice if language == "ru" else None

    harness = CoreHarness(directory=Elsewhere())
    harness.text("Hello Привет.", flush=True)
    (warning,) = left_out(harness)
    assert warning.details["reader"] == "far/far"
    assert "far/far" in warning.message


def test_there_is_one_warning_for_each_language_of_a_context():
    harness = CoreHarness()
    for context in ("a", "b"):
        harness.text("Hello Привет, then 你好. Again Привет, then 你好. " * 5, context=context, flush=True)
    harness.run(60)
    found = [(each.context, each.details["language"]) for each in left_out(harness)]
    assert found == [("a", "ru"), ("a", "zh"), ("b", "ru"), ("b", "zh")]


def test_a_text_of_which_nothing_is_spoken_is_done_without_speech():
    harness = spoken("Привет, мир! Как дела? " * 30)
    assert not harness.spoken
    assert len(left_out(harness)) == 1
    assert len(left_out(harness)[0].details["sample"]) <= SAMPLE_CHARS_MAX
    assert harness.last(m.Done).reason is m.DoneReason.NO_SPEAKABLE_TEXT


def test_a_clause_of_which_nothing_is_left_is_passed_over_within_an_utterance():
    text = "Привет, мир! Как дела? This sentence is read, and so is the next. Ещё немного. That is all."
    harness = spoken(text)
    assert "This sentence is read, and so is the next. That is all." in " ".join(harness.spoken)
    ranges = [each.chars for each in harness.of(m.ClauseStarted)]
    assert [ranges[0][0], ranges[-1][1]] == [0, len(text)]
    assert all(before[1] == after[0] for before, after in pairwise(ranges))


def test_flushes_of_what_is_left_out_are_answered():
    harness = CoreHarness()
    for name in ("a", "b"):
        harness.text("Привет.")
        harness.send(m.Flush(id=name))
    harness.text("Hello.")
    harness.send(m.Flush(id="c"))
    harness.run(60)
    assert [each.id for each in harness.of(m.Flushed)] == ["a", "b", "c"]
    assert harness.spoken == ["Hello."]


def test_clauses_for_another_engine_are_no_longer_than_it_takes():
    harness = spoken("Hello Привет мир как дела сегодня утром and bye.", FAR)
    russian = [text for text, voice, _ in clauses(harness) if voice == "far"]
    assert len(russian) > 2
    assert all(len(text) <= 10 for text in russian)
    assert " ".join(russian) == "Привет мир как дела сегодня утром"


def test_long_texts_of_languages_that_take_longer_to_say_are_cut_at_their_marks():
    text = "He said: " + "今天天气很好，我们一起去公园散步。" * 12 + " So we went."
    harness = spoken(text, MING)
    chinese = [each for each, voice, _ in clauses(harness) if voice == "ming"]
    assert "".join(chinese) == text[9:-12]
    assert max(map(len, chinese)) <= 100
    assert all(each[-1] in "，。" for each in chinese)


def test_accented_latin_letters_are_the_voices_own():
    harness = spoken("A café in Zürich, Łódź or İstanbul.")
    assert " ".join(harness.spoken) == "A café in Zürich, Łódź or İstanbul."
    assert not left_out(harness)


def test_the_client_is_told_of_a_clause_in_which_nothing_could_be_pronounced():
    harness = CoreHarness(auto=False)
    for _ in range(2):
        harness.text("Hmpf.", flush=True)
        effect = harness.pending.pop()
        chunks = harness.pipelines[effect.serial].skip(effect.spec.index, ends_utterance=True)
        unspoken = ((0, 4),)
        harness.apply(harness.core.produced(effect.serial, effect.spec.index, chunks, harness.now, unspoken=unspoken))
    (warning,) = left_out(harness)
    assert warning.details["chars"] == [0, 4]
    assert warning.details["sample"] == "Hmpf"
    assert warning.details["language"] == "en-us"


# -- the language of each sentence --------------------------------------------------------------------------------

GERMAN = ResolvedVoice(ENGINE, Voice("ute", "harness", ("de",)), "de")
AUTO = m.Start(language="auto", pacing=m.PacingRequest(mode="burst"))


def by_words(text: str, candidates) -> str | None:
    """German where there is an "ist" or "und", English where there is an "is" or "and"."""
    words = set(text.lower().split())
    german, english = words & {"ist", "und"}, words & {"is", "and"}
    found = "de" if german and not english else "en-us" if english and not german else None
    return found if found in candidates else None


def test_with_language_auto_sentences_are_identified():
    text = "The weather is nice in the city. Das Wetter ist schön in der Stadt. And that is all there is to say."
    harness = spoken(text, GERMAN, start=AUTO, identify=by_words)
    assert (
        "".join(part for part, voice, _ in clauses(harness) if voice == "ute") == "Das Wetter ist schön in der Stadt."
    )
    assert {language for _, voice, language in clauses(harness) if voice == "anna"} == {"en-us"}


def test_with_language_auto_a_short_or_doubtful_text_is_in_the_voices_language():
    for text in ("Ist und.", "Restaurant Zentrale Berlin Friedrichstrasse."):
        harness = spoken(text, GERMAN, start=AUTO, identify=by_words)
        assert {voice for _, voice, _ in clauses(harness)} == {"anna"}


def test_with_language_auto_a_sentence_keeps_its_language_over_clauses():
    text = "Das Wetter ist heute wirklich sehr schön in Berlin, ja, " + "auch hier in Potsdam, " * 5 + "ja."
    harness = spoken(text, GERMAN, start=AUTO, identify=by_words)
    assert len(clauses(harness)) > 1
    assert {voice for _, voice, _ in clauses(harness)} == {"ute"}


def test_language_auto_is_refused_where_languages_can_not_be_told_apart():
    harness = CoreHarness()
    harness.send(m.Start(language="auto"))
    assert harness.last(m.ErrorMessage).code == ErrorCode.UNSUPPORTED_LANGUAGE.value


# -- choosing a voice ----------------------------------------------------------------------------------------------


def test_a_voices_own_language_comes_before_one_that_it_also_reads():
    beside = ResolvedVoice(ENGINE, ENGINE.voices[0], "en-us")
    assert best_speaker([beside, MING, AKI], "ja", beside) == AKI
    assert best_speaker([beside, FAR, MING], "zh-CN", beside) == MING
    assert best_speaker([beside, MING], "ru", beside) is None


@pytest.mark.parametrize(("language", "tag"), [("en", "en-gb"), ("en-US", "en-us"), ("en-AU", "en-gb"), ("fr", None)])
def test_a_tag_stands_for_its_language(language: str, tag: str | None):
    assert tag_for(("en-gb", "en-us", "de"), language) == tag


# -- nothing is silent without a warning ---------------------------------------------------------------------------

MIXED = st.text(st.sampled_from("aé你好のカ한ЖαβωΩ𐌰नمע٣ä 。.,“”「」(12🙂\u0301Ａ\n"), max_size=80)


@settings(deadline=None)
@given(MIXED)
def test_every_letter_is_spoken_in_its_language_or_warned_of(text: str):
    quiet = SessionSettings(policy=PlayoutPolicy(text_idle=1e9))
    harness = CoreHarness(auto=False, directory=FakeDirectory(others=(MING,)), settings=quiet)
    harness.send(m.Start(pacing=m.PacingRequest(mode="burst")))
    harness.text(text)
    harness.send(m.End())
    finished(harness)
    said: dict[int, str] = {}
    for effect in harness.effects:
        if isinstance(effect, fx.Synthesise):
            clause = effect.spec.clause
            said |= dict.fromkeys(clause.origins, clause.language)
            assert all(stretch.language == clause.language for stretch in stretches(clause.text, clause.language))
    first = {each.details["language"]: each.details["chars"][0] for each in left_out(harness)}
    for at, character in enumerate(text):
        if character.isalpha() and at not in said:
            assert any(at >= start for start in first.values()), (at, character)
    assert harness.of(m.Done)
