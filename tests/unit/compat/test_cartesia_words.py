"""Which words of a context Cartesia's clients are told, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.messages import WordTiming
from voxwire_server.compat.cartesia.words import Wording


def timed(text: str, *, of: str, at: int = 0) -> WordTiming:
    """A word where it first stands in a text, sounding from `at` for 100 samples."""
    start = of.index(text)
    return WordTiming(text=text, chars=(start, start + len(text)), pts=at, end_pts=at + 100)


def told(wording: Wording, *words: WordTiming) -> list[str]:
    return [word.text for word in wording.time(words)]


def wording(text: str) -> Wording:
    found = Wording()
    found.add(text)
    return found


def test_a_word_has_the_marks_around_it():
    text = '"Well," he said (twice).'
    found = wording(text)
    assert told(found, timed("Well", of=text), timed("he", of=text, at=100)) == ['"Well,"', "he"]
    assert told(found, timed("said", of=text, at=200), timed("twice", of=text, at=300)) == ["said", "(twice)."]


def test_parts_of_one_word_are_told_once_and_last_as_long_as_all():
    text = "well-known things"
    (word,) = wording(text).time((timed("well", of=text), timed("known", of=text, at=150)))
    assert (word.text, word.pts, word.end_pts) == ("well-known", 0, 250)


def test_what_has_no_sound_is_told_with_the_word_after_it():
    text = "One — two"
    found = wording(text)
    assert told(found, timed("One", of=text)) == ["One"]
    assert told(found, timed("two", of=text, at=200)) == ["—", "two"]


def test_what_has_no_sound_at_the_end_is_told_when_all_has_been_spoken():
    text = "One 🙂"
    found = wording(text)
    told(found, timed("One", of=text))
    (last,) = found.settle(len(text), 500)
    assert (last.text, last.pts, last.end_pts) == ("🙂", 100, 500)
    assert not found.settle(len(text), 500)


def test_text_after_a_flush_waits_for_its_own():
    found = wording("🙂 ")
    found.add("Two.")
    assert [word.text for word in found.settle(2, 100)] == ["🙂"]
    assert [word.text for word in found.settle(6, 200)] == ["Two."]


def test_where_there_are_no_spaces_a_word_is_what_is_spoken_as_one():
    text = "你好，世界。"
    found = wording(text)
    heard = told(found, timed("你", of=text), timed("好", of=text, at=100), timed("世", of=text, at=200))
    assert heard == ["你", "好，", "世"]


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,6}[.,!?]?", fullmatch=True), st.booleans()), min_size=1, max_size=20))
def test_every_word_is_told_once_and_in_order(words):
    found, heard = Wording(), []
    for text, sounds in words:
        start = found.chars
        found.add(f"{text} ")
        if sounds:
            letters = text.rstrip(".,!?")
            span = (start, start + len(letters))
            heard += found.time([WordTiming(text=letters, chars=span, pts=100 * start, end_pts=100 * start + 50)])
    heard += found.settle(found.chars, 100 * found.chars)
    assert [word.text for word in heard] == [text for text, _ in words]
    assert all(word.pts <= word.end_pts for word in heard)
    assert [word.pts for word in heard] == sorted(word.pts for word in heard)
