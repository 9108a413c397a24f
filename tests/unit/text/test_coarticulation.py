from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.visemes import AA, FF, PP, E, I, U
from voxwire_server.speech import CLOSED
from voxwire_server.text.coarticulation import Articulator
from voxwire_server.text.phoneme_visemes import visemes_of

RATE = 24000
MS = RATE // 1000
MAX = 1 << 40


def marks(*timed):
    """(IPA, ms, ms) in samples."""
    return [(ipa, first * MS, last * MS) for ipa, first, last in timed]


def moved(*timed, end_ms, start_ms=0, finished=True, ends_utterance=True):
    return Articulator(RATE).push(
        marks(*timed), start_ms * MS, end_ms * MS, finished=finished, ends_utterance=ends_utterance
    )


def pose_at(moves, pts):
    """(id -> weight) by straight lines between moves."""
    pose = CLOSED
    for leave, reach, target in moves:
        if pts >= reach:
            pose = target
        elif pts > leave:
            share = (pts - leave) / (reach - leave)
            parts = {id: weight * (1 - share) for id, weight in pose}
            for id, weight in target:
                parts[id] = parts.get(id, 0) + weight * share
            return parts
    return dict(pose)


def test_a_closure_lasts_from_its_first_sample_to_nearly_its_last():
    moves = moved(("ɑ", 100, 200), ("p", 200, 280), ("ɑ", 280, 400), end_ms=600)
    for ms in (200, 220, 264):
        assert pose_at(moves, ms * MS) == {PP: 1.0}
    assert PP not in pose_at(moves, 199 * MS - MS // 2) or pose_at(moves, 199 * MS)[PP] < 1
    assert pose_at(moves, 330 * MS).get(PP, 0) == 0


def test_two_closures_in_a_row_are_both_reached():
    moves = moved(("p", 100, 150), ("f", 150, 200), ("m", 200, 225), end_ms=600)
    assert pose_at(moves, 100 * MS) == {PP: 1.0}
    assert pose_at(moves, 150 * MS) == {FF: 1.0}
    assert pose_at(moves, 200 * MS) == {PP: 1.0}


@pytest.mark.parametrize(("ipa", "least", "most"), [("ɑ", 50, 120), ("u", 80, 120), ("b", 50, 120), ("s", 50, 120)])
def test_the_move_to_a_pose_begins_before_its_phoneme(ipa, least, most):
    first, *_ = moved((ipa, 500, 600), end_ms=900)
    assert first.reach == 500 * MS
    assert least <= (first.reach - first.leave) / MS <= most


def test_nothing_moves_before_the_clauses_first_sample():
    first, *_ = moved(("ɑ", 30, 100), start_ms=0, end_ms=300)
    assert first.leave == 0


def test_nothing_moves_before_what_may_have_been_sent():
    articulator = Articulator(RATE)
    before = articulator.push(marks(("ɑ", 0, 80)), 0, 80 * MS, finished=False, ends_utterance=False)
    after = articulator.push(
        marks(("b", 80, 130), ("i", 130, 160)), 80 * MS, 160 * MS, finished=False, ends_utterance=False
    )
    assert max(move.reach for move in before) <= 80 * MS
    assert min(move.leave for move in after) >= 80 * MS
    assert pose_at([*before, *after], 80 * MS) == {PP: 1.0}


def test_a_tongue_consonant_is_mixed_with_the_vowel_after_it():
    before_u = pose_at(moved(("t", 100, 150), ("u", 150, 300), end_ms=500), 100 * MS)
    before_i = pose_at(moved(("t", 100, 150), ("i", 150, 300), end_ms=500), 100 * MS)
    assert before_u[U] > 0.2
    assert before_i[I] > 0.2
    assert U not in before_i


def test_a_diphthong_moves():
    moves = moved(("ˈaɪ", 100, 300), end_ms=500)
    assert pose_at(moves, 110 * MS)[AA] == 1.0
    assert pose_at(moves, 260 * MS)[I] > 0.5


def test_a_long_silence_closes_the_mouth_and_a_very_short_one_does_not():
    long = moved(("ɑ", 0, 200), ("i", 600, 800), end_ms=1000)
    assert pose_at(long, 400 * MS) == dict(CLOSED)
    short = moved(("ɑ", 0, 200), ("i", 280, 400), end_ms=1000)
    assert all(pose_at(short, ms * MS).get(0, 0) < 0.5 for ms in range(60, 400, 10))


def test_a_phoneme_that_includes_a_pause_does_not_keep_the_mouth_open():
    moves = moved(("s", 100, 700), ("i", 700, 800), end_ms=1000)
    assert pose_at(moves, 500 * MS) == dict(CLOSED)
    assert pose_at(moves, 700 * MS)[I] == 1.0


def test_clauses_that_join_without_a_pause_do_not_close_the_mouth():
    articulator = Articulator(RATE)
    moves = articulator.push(marks(("ɛ", 0, 200)), 0, 220 * MS, finished=True, ends_utterance=False)
    moves += articulator.push(marks(("ɛ", 260, 400)), 220 * MS, 600 * MS, finished=True, ends_utterance=True)
    assert all(pose_at(moves, ms * MS).get(E, 0) > 0.5 for ms in range(40, 400, 10))


def test_the_mouth_closes_by_the_end_of_the_utterance():
    for end in (300, 310, 350, 1000):
        moves = moved(("ɑ", 100, 300), end_ms=end)
        assert moves[-1].pose == CLOSED
        assert moves[-1].reach <= end * MS


def test_an_end_that_comes_later_closes_the_mouth_at_once():
    articulator = Articulator(RATE)
    articulator.push(marks(("ɑ", 100, 300)), 0, 300 * MS, finished=True, ends_utterance=False)
    (close,) = articulator.push([], 300 * MS, 300 * MS, finished=True, ends_utterance=True)
    assert close == (300 * MS, 300 * MS, CLOSED)


def test_a_pause_within_a_clause_closes_the_mouth():
    articulator = Articulator(RATE)
    articulator.push(marks(("ɑ", 0, 80)), 0, 80 * MS, finished=False, ends_utterance=False)
    assert articulator.push([], 80 * MS, 160 * MS, finished=False, ends_utterance=False) == []
    (close,) = articulator.push([], 160 * MS, 400 * MS, finished=False, ends_utterance=False)
    assert close.pose == CLOSED
    assert close.leave >= 160 * MS


def test_marks_and_spaces_have_no_moves():
    assert moved(("ˈ", 0, 50), (" ", 50, 100), end_ms=200) == []


IPA = st.one_of(st.sampled_from("p b m f v t d s ʃ k n l ɹ w j h ə ˈɑ i u eɪ aɪ tʃ ".split(" ")), st.text(max_size=2))


@st.composite
def streams(draw):
    """Pieces of an utterance: (phonemes, start, end, finished); phonemes may lie beyond their piece, or before it."""
    pieces, pts = [], 0
    first = 0
    for _ in range(draw(st.integers(1, 6))):
        end = pts + draw(st.integers(0, 12000))
        phonemes = []
        for _ in range(draw(st.integers(0, 6))):
            first += draw(st.sampled_from([0, 0, 0, 1200, 1800, 6000]))
            last = first + draw(st.integers(0, 4000))
            phonemes.append((draw(IPA), first, last))
            first = last
        pieces.append((phonemes, pts, end, draw(st.booleans())))
        pts = end
        first = max(first, pts - draw(st.integers(0, 2000)))
    return pieces


@given(streams())
def test_moves_never_overlap_for_any_phonemes(pieces):
    articulator, before = Articulator(RATE), 0
    for k, (phonemes, start, end, finished) in enumerate(pieces):
        last = k == len(pieces) - 1
        moves = articulator.push(phonemes, start, end, finished=finished or last, ends_utterance=last)
        for leave, reach, _ in moves:
            assert max(before, start) <= leave <= reach
            before = reach
    assert moves[-1:] == [] or moves[-1].pose == CLOSED


@given(streams())
def test_every_closure_is_reached_at_its_first_sample_unless_that_was_sent(pieces):
    articulator, moves, due = Articulator(RATE), [], []
    for phonemes, start, end, finished in pieces:
        floor = max([start, *(move.reach for move in moves)])
        moves += articulator.push(phonemes, start, end, finished=finished, ends_utterance=False)
        due += [
            (ipa, first) for ipa, first, last in phonemes if first >= floor and last > first and visemes_of(ipa).closure
        ]
    for (ipa, first), _ in pairwise([*due, ("", 0)]):
        assert pose_at(moves, first) == dict(visemes_of(ipa).poses[0])
