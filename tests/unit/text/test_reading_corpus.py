"""The corpora of right readings: how much of them is read right, whatever pieces the text comes in and wherever it
stalls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import reading_corpus
from support.reading_corpus import Case, Read, boundaries, cases, is_right, read_pieces, read_stalled, read_whole

RIGHT_MIN = 0.98
WAYS: dict[str, Callable[[Case], Read]] = {
    "whole": read_whole,
    "characters": lambda case: read_pieces(case, 1),
    "threes": lambda case: read_pieces(case, 3),
}
STALLS = 600
ENGLISH = cases("en")
ALL = [case for language in reading_corpus.corpora() for case in cases(language)]


def assert_right(read: Iterable[tuple[Case, Read]]) -> None:
    """All but a few are read right; says which are not, one below the other."""
    every = list(read)
    wrong = [(case, each) for case, each in every if not is_right(case, each)]
    share = 1 - len(wrong) / len(every)
    assert share >= RIGHT_MIN, f"{share:.1%} of {len(every)} are read right; these are not:\n{listed(wrong)}"


def listed(wrong: Iterable[tuple[Case, Read]]) -> str:
    """The text, what was said for it and its reading, by category."""
    by_category = sorted(wrong, key=lambda pair: pair[0].category)
    return "\n".join(
        f"{case.category}\n    text {case.text!r}\n    said {read.shown!r}\n    not  {case.reading!r}"
        for case, read in by_category
    )


@pytest.fixture(params=reading_corpus.corpora())
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def pronounced(language: str) -> list[Case]:
    """The cases of a language that can be pronounced here."""
    corpus = cases(language)
    wanting = {case.language: reading_corpus.missing(case.language) for case in corpus}
    for what in filter(None, wanting.values()):
        pytest.skip(f"needs {what}: make test")
    return corpus


@pytest.mark.parametrize("way", WAYS)
def test_nearly_all_of_a_corpus_is_read_right(pronounced: list[Case], way: str) -> None:
    assert_right((case, WAYS[way](case)) for case in pronounced)


def test_nearly_all_of_english_is_read_right_wherever_the_text_stalls() -> None:
    read: list[tuple[Case, Read]] = []
    stalling = [case for case in ENGLISH if boundaries(case.text)]

    @settings(max_examples=STALLS, deadline=None, database=None, derandomize=True)
    @given(st.data())
    def stall(data: st.DataObject) -> None:
        case = data.draw(st.sampled_from(stalling))
        read.append((case, read_stalled(case, data.draw(st.sampled_from(boundaries(case.text))))))

    stall()
    assert_right(read)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_split_of_a_text_is_read_alike(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(ALL))
    cuts = data.draw(st.sets(st.integers(1, len(case.text) - 1))) if len(case.text) > 1 else set()
    edges = [0, *sorted(cuts), len(case.text)]
    split = reading_corpus.read_split(case, [case.text[start:end] for start, end in pairwise(edges)])
    whole = read_whole(case)
    assert split == whole


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_is_said_keeps_its_place_in_the_text(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(ALL))
    places = boundaries(case.text)
    read = read_stalled(case, data.draw(st.sampled_from(places))) if places else read_whole(case)
    last = 0
    for clause, said in zip(read.clauses, read.said, strict=True):
        assert len(clause.origins) == len(clause.text)
        assert len(said.starts) == len(said.ends) == len(said.text)
        assert all(0 <= start < end <= len(clause.text) for start, end in zip(said.starts, said.ends, strict=True))
        origins = [clause.origins[start] for start in said.starts]
        assert all(before <= after for before, after in pairwise([last, *origins]))
        assert all(before <= after for before, after in pairwise(said.ends))
        assert all(clause.chars[0] <= origin < clause.chars[1] for origin in origins)
        last = clause.chars[1]


def test_every_case_is_written_out_and_there_once() -> None:
    texts = [(case.text, case.language) for case in ALL]
    assert len(set(texts)) == len(texts)
    digits = [reading for case in ENGLISH for reading in case.readings if any(each.isdigit() for each in reading)]
    assert not digits
    assert len(ENGLISH) >= 600


# -- the harness itself -----------------------------------------------------------------------------------------


def test_a_reading_is_compared_by_its_sounds_alone() -> None:
    case = Case("It's 5, really.", "It's five, really.", "cardinal", "en-us")
    assert is_right(case, read_whole(Case("It's five — really", "", "", "en-us")))
    assert not is_right(case, read_whole(Case("It's fifteen, really.", "", "", "en-us")))


def test_a_capital_a_within_a_sentence_is_the_letter() -> None:
    letter = reading_corpus.phonemes("[A](/ˈA/)", "en-us")
    assert reading_corpus.spoken("It opens at nine A M.", "en-us").startswith("ɪtOpᵊnzætnIn" + letter)
    assert not reading_corpus.spoken("A cat sat.", "en-us").startswith(letter)


def test_a_stall_gives_out_what_there_is_before_the_rest_comes() -> None:
    case = Case("We would like to come in soon.", "", "", "en-us")
    assert read_stalled(case, 17).shown == "We would like | to come in soon."
    assert boundaries("Call example.org by 10:30.") == [4, 12, 13, 16, 19, 22, 23, 25]
