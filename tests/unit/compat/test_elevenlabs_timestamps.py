"""When each character is heard: the characters cover the whole time line, whatever words and chunks are."""

from __future__ import annotations

import random

from voxwire_protocol.messages import WordTiming
from voxwire_server.compat.elevenlabs.timestamps import Aligner

RATE = 24_000


def words_of(text: str, rng: random.Random, pts: int = 0) -> list[WordTiming]:
    """Words with times of any length and pauses between them."""
    words, at = [], 0
    for each in text.split():
        start = text.index(each, at)
        at = start + len(each)
        pts += rng.randrange(0, 9000)
        end = pts + rng.randrange(0, 12_000)
        words.append(WordTiming(text=each, chars=(start, at), pts=pts, end_pts=end))
        pts = end
    return words


def test_characters_cover_text_and_time_without_a_gap() -> None:
    text = "It's easy, these days - a chicken leg is rare; isn't it? "
    for seed in range(200):
        rng = random.Random(seed)
        aligner = Aligner(RATE)
        aligner.add(text)
        words = words_of(text, rng)
        found = []
        pts, given = 0, 0
        total = words[-1].end_pts + rng.randrange(0, 5000)
        while pts < total:
            pts = min(total, pts + rng.randrange(200, 20_000))
            while given < len(words) and (words[given].pts < pts or rng.random() < 0.5):
                aligner.add_timings([words[given]])
                given += 1
            found.append(aligner.take_until(pts))
        found.append(aligner.complete(len(text), total))
        found = [each for each in found if each is not None]
        assert "".join(char for each in found for char in each.chars) == text
        clock_ms = 0
        for each in found:
            shape = each.for_websocket(cumulative=False)
            assert each.after_ms == clock_ms
            assert min(shape["charDurationsMs"]) >= 0
            clock_ms += shape["charStartTimesMs"][-1] + shape["charDurationsMs"][-1]
        assert clock_ms == total * 1000 // RATE


def test_a_word_begins_when_it_is_heard() -> None:
    aligner = Aligner(RATE)
    aligner.add("One two")
    one = WordTiming(text="One", chars=(0, 3), pts=2400, end_pts=9600)
    aligner.add_timings([one, WordTiming(text="two", chars=(4, 7), pts=12_000, end_pts=19_200)])
    found = aligner.complete(7, 24_000)
    assert found is not None
    assert found.starts_ms == (100, 200, 300, 400, 500, 600, 700)
    assert found.end_ms == 1000


def test_a_character_is_not_returned_before_it_is_heard() -> None:
    aligner = Aligner(RATE)
    aligner.add("One two")
    aligner.add_timings([WordTiming(text="One", chars=(0, 3), pts=0, end_pts=7200)])
    aligner.add_timings([WordTiming(text="two", chars=(4, 7), pts=24_000, end_pts=31_200)])
    found = aligner.take_until(24_000)
    assert found is not None
    assert found.chars == ("O", "n", "e", " ")
    assert aligner.take_until(24_000) is None


def test_text_without_sound_is_returned_with_the_spoken_text() -> None:
    aligner = Aligner(RATE)
    aligner.add("Hi 🙂. ")
    aligner.add_timings([WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=2400)])
    found = aligner.complete(6, 4800)
    assert found is not None
    assert "".join(found.chars) == "Hi 🙂. "[:6]
    assert found.end_ms == 200


def test_a_flush_after_later_words_returns_no_character_twice() -> None:
    aligner = Aligner(RATE)
    aligner.add("One. Two. ")
    aligner.add_timings([WordTiming(text="One.", chars=(0, 4), pts=0, end_pts=4800)])
    aligner.add_timings([WordTiming(text="Two.", chars=(5, 9), pts=7200, end_pts=9600)])
    assert aligner.complete(5, 7200) is None
    first, last = aligner.take_until(7200), aligner.complete(10, 12_000)
    assert first is not None
    assert last is not None
    assert "".join(first.chars + last.chars) == "One. Two. "
