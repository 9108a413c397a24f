"""Characters in time: they tile it, whatever the words and the chunks are."""

from __future__ import annotations

import random

from voxwire_protocol.messages import WordTiming
from voxwire_server.compat.elevenlabs.alignment import Aligner

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


def test_text_and_time_are_covered_without_a_gap_whatever_the_chunks_are() -> None:
    text = "It's easy, these days - a chicken leg is rare; isn't it? "
    for seed in range(200):
        rng = random.Random(seed)
        aligner = Aligner(RATE)
        aligner.add(text)
        words = words_of(text, rng)
        told = []
        pts, given = 0, 0
        total = words[-1].end_pts + rng.randrange(0, 5000)
        while pts < total:
            pts = min(total, pts + rng.randrange(200, 20_000))
            while given < len(words) and (words[given].pts < pts or rng.random() < 0.5):
                aligner.time([words[given]])
                given += 1
            told.append(aligner.told(pts))
        told.append(aligner.settle(len(text), total))
        told = [each for each in told if each is not None]
        assert "".join(char for each in told for char in each.chars) == text
        clock_ms = 0
        for each in told:
            shape = each.for_socket(cumulative=False)
            assert each.after_ms == clock_ms
            assert min(shape["charDurationsMs"]) >= 0
            clock_ms += shape["charStartTimesMs"][-1] + shape["charDurationsMs"][-1]
        assert clock_ms == total * 1000 // RATE


def test_a_word_begins_when_it_sounds() -> None:
    aligner = Aligner(RATE)
    aligner.add("One two")
    one = WordTiming(text="One", chars=(0, 3), pts=2400, end_pts=9600)
    aligner.time([one, WordTiming(text="two", chars=(4, 7), pts=12_000, end_pts=19_200)])
    told = aligner.settle(7, 24_000)
    assert told is not None
    assert told.starts_ms == (100, 200, 300, 400, 500, 600, 700)
    assert told.end_ms == 1000


def test_a_character_is_not_told_before_it_sounds() -> None:
    aligner = Aligner(RATE)
    aligner.add("One two")
    aligner.time([WordTiming(text="One", chars=(0, 3), pts=0, end_pts=7200)])
    aligner.time([WordTiming(text="two", chars=(4, 7), pts=24_000, end_pts=31_200)])
    told = aligner.told(24_000)
    assert told is not None
    assert told.chars == ("O", "n", "e", " ")
    assert aligner.told(24_000) is None


def test_text_that_is_not_spoken_is_told_with_what_was() -> None:
    aligner = Aligner(RATE)
    aligner.add("Hi 🙂. ")
    aligner.time([WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=2400)])
    told = aligner.settle(6, 4800)
    assert told is not None
    assert "".join(told.chars) == "Hi 🙂. "[:6]
    assert told.end_ms == 200


def test_a_flush_that_the_next_words_have_overtaken_tells_nothing_twice() -> None:
    aligner = Aligner(RATE)
    aligner.add("One. Two. ")
    aligner.time([WordTiming(text="One.", chars=(0, 4), pts=0, end_pts=4800)])
    aligner.time([WordTiming(text="Two.", chars=(5, 9), pts=7200, end_pts=9600)])
    assert aligner.settle(5, 7200) is None
    first, last = aligner.told(7200), aligner.settle(10, 12_000)
    assert first is not None
    assert last is not None
    assert "".join(first.chars + last.chars) == "One. Two. "
