"""The mouth's weights at a moment: the protocol's vectors, what counts no more, and what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.keyframes import weight_at
from voxwire_client.mouth_track import MouthTrack, closed_mouth
from voxwire_protocol import messages as m
from voxwire_protocol.visemes import AA, COUNT, PP, SIL

VECTORS = json.loads((Path(__file__).parents[2] / "protocol/vectors/visemes.json").read_text(encoding="utf-8"))


def keyframes(*entries: tuple[int, float, int]) -> m.Timing:
    visemes = tuple(m.VisemeTiming(id=id, weight=weight, pts=pts) for id, weight, pts in entries)
    return m.Timing(context="a", visemes=visemes)


def track(*entries: tuple[int, float, int]) -> MouthTrack:
    mouth = MouthTrack()
    mouth.add(keyframes(*entries))
    return mouth


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
@pytest.mark.parametrize("whole", [True, False])
def test_weights_are_those_of_the_vectors(vector, whole):
    mouth = MouthTrack()
    entries = [(each["id"], each["weight"], each["pts"]) for each in vector["visemes"]]
    for part in [entries] if whole else [[each] for each in entries]:
        mouth.add(keyframes(*part))
    for sample in vector["samples"]:
        assert mouth.weights(sample["pts"]) == pytest.approx(sample["weights"], abs=1e-5), sample["pts"]


ENTRIES = st.lists(st.tuples(st.integers(0, 16), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 60)))


@settings(deadline=None)
@given(ENTRIES, st.integers(0, 70))
def test_a_channel_interpolates_as_the_protocol_specifies(entries, pts):
    entries.sort(key=lambda entry: entry[2])
    expected = [weight_at(entries, id, pts) for id in range(COUNT)]
    assert track(*entries).weights(pts) == pytest.approx(expected)


@settings(deadline=None)
@given(ENTRIES, st.integers(0, 70))
def test_forgetting_leaves_the_past_as_it_was_and_closes_the_mouth(entries, from_pts):
    entries.sort(key=lambda entry: entry[2])
    mouth, whole = track(*entries), track(*entries)
    mouth.forget(from_pts)
    for pts in range(from_pts):
        assert mouth.weights(pts) == pytest.approx(whole.weights(pts)), pts
    for pts in (from_pts, from_pts + 1, 1000):
        assert mouth.weights(pts) == closed_mouth(), pts


def test_after_a_fresh_session_the_new_keyframes_alone_count():
    mouth = track((SIL, 1, 0), (AA, 0, 0), (SIL, 0, 100), (AA, 1, 100), (PP, 0, 200), (PP, 1, 300))
    mouth.forget(150)
    mouth.add(keyframes((SIL, 1, 150), (PP, 0, 150), (SIL, 0, 250), (PP, 1, 250)))
    assert mouth.weights(120)[AA] == 1
    at = mouth.weights(200)
    assert (at[SIL], at[PP], at[AA]) == (0.5, 0.5, 0)


@settings(deadline=None)
@given(ENTRIES, st.lists(st.integers(0, 70), min_size=1))
def test_the_future_is_the_same_when_the_past_is_given_up(entries, floors):
    entries.sort(key=lambda entry: entry[2])
    mouth, whole = track(*entries), track(*entries)
    for floor in sorted(floors):
        mouth.drop(floor)
        for pts in range(floor, 75, 5):
            assert mouth.weights(pts) == whole.weights(pts)


def test_a_mouth_that_gives_up_the_past_stays_small():
    mouth, most = MouthTrack(), 0
    for pts in range(0, 3_000_000, 100):
        mouth.add(keyframes((SIL, pts % 200 / 100, pts), (AA, 1 - pts % 200 / 100, pts)))
        mouth.drop(pts - 10_000)
        most = max(most, len(mouth))
    assert most < 1000
