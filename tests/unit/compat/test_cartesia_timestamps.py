"""Which words of a context are reported to Cartesia's clients, and with which times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.messages import WordTiming
from voxwire_server.compat.cartesia.translator import WordTracker


def timed(text: str, *, of: str, at: int = 0) -> WordTiming:
    """A word where it first stands in a text, heard from `at` for 100 samples."""
    start = of.index(text)
    return WordTiming(text=text, chars=(start, start + len(text)), pts=at, end_pts=at + 100)


def reported(tracker: WordTracker, *words: WordTiming) -> list[str]:
    return [word.text for word in tracker.add_timings(words)]


def tracker(text: str) -> WordTracker:
    found = WordTracker()
    found.add(text)
    return found


def test_a_word_includes_the_punctuation_around_it():
    text = '"Well," he said (twice).'
    found = tracker(text)
    assert reported(found, timed("Well", of=text), timed("he", of=text, at=100)) == ['"Well,"', "he"]
    assert reported(found, timed("said", of=text, at=200), timed("twice", of=text, at=300)) == ["said", "(twice)."]


def test_parts_of_one_word_are_reported_once_with_their_whole_duration():
    text = "well-known things"
    (word,) = tracker(text).add_timings((timed("well", of=text), timed("known", of=text, at=150)))
    assert (word.text, word.pts, word.end_pts) == ("well-known", 0, 250)


def test_text_without_sound_is_reported_with_the_next_word():
    text = "One — two"
    found = tracker(text)
    assert reported(found, timed("One", of=text)) == ["One"]
    assert reported(found, timed("two", of=text, at=200)) == ["—", "two"]


def test_text_without_sound_at_the_end_is_reported_when_all_has_been_spoken():
    text = "One 🙂"
    found = tracker(text)
    reported(found, timed("One", of=text))
    (last,) = found.complete(len(text), 500)
    assert (last.text, last.pts, last.end_pts) == ("🙂", 100, 500)
    assert not found.complete(len(text), 500)


def test_text_after_a_flush_is_not_reported_with_that_flush():
    found = tracker("🙂 ")
    found.add("Two.")
    assert [word.text for word in found.complete(2, 100)] == ["🙂"]
    assert [word.text for word in found.complete(6, 200)] == ["Two."]


def test_in_scripts_without_spaces_each_timed_part_is_a_word():
    text = "你好，世界。"
    found = tracker(text)
    heard = reported(found, timed("你", of=text), timed("好", of=text, at=100), timed("世", of=text, at=200))
    assert heard == ["你", "好，", "世"]


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,6}[.,!?]?", fullmatch=True), st.booleans()), min_size=1, max_size=20))
def test_every_word_is_reported_once_and_in_order(words):
    found, heard = WordTracker(), []
    for text, sounds in words:
        start = found.chars
        found.add(f"{text} ")
        if sounds:
            letters = text.rstrip(".,!?")
            span = (start, start + len(letters))
            heard += found.add_timings(
                [WordTiming(text=letters, chars=span, pts=100 * start, end_pts=100 * start + 50)]
            )
    heard += found.complete(found.chars, 100 * found.chars)
    assert [word.text for word in heard] == [text for text, _ in words]
    assert all(word.pts <= word.end_pts for word in heard)
    assert [word.pts for word in heard] == sorted(word.pts for word in heard)
