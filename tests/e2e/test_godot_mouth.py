"""The Godot client's mouth, headless: weights, the mesh of the example in speech, avatars of others."""

from __future__ import annotations

import json

import pytest

from support.godot import PROGRAM, SHAPES, SHAPES_SOURCE, VECTORS, play, script, shapes_source, told_python, vectors
from voxwire_protocol import visemes

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs Godot 3: apt-get install godot3-server")


@pytest.fixture
def run(tmp_path):
    def action(name, **options):
        return play(lambda: script(name, tmp_path, **options))

    return action


@pytest.mark.parametrize("kind", ["visemes", "visemes_forgetting"])
def test_mouth_tracks_have_the_weights_of_the_vectors(run, kind):
    golden = {(g["name"], sample["pts"]): sample["weights"] for g in vectors("visemes.json") for sample in g["samples"]}
    got = run("vectors", kind=kind, file=VECTORS / "visemes.json")
    assert {(each["name"], each["pts"]) for each in got} == set(golden)
    for each in got:
        assert each["weights"] == pytest.approx(golden[each["name"], each["pts"]], abs=1e-6)


def test_a_mouth_is_closed_where_speech_comes_anew(run):
    for each in run("vectors", kind="visemes_restarted", file=VECTORS / "visemes.json"):
        assert each["weights"] == each["later"] == [1.0] + [0.0] * (len(visemes.SHAPES) - 1)


def test_shapes_are_those_of_the_protocol(run):
    assert SHAPES.read_text(encoding="utf-8") == shapes_source()
    (got,) = run("vectors", kind="shapes")
    assert got["shapes"] == json.loads(SHAPES_SOURCE.read_text(encoding="utf-8"))["shapes"]


WITH_CLOSURES = "My puppy may be big, but Bob's mummy has a map."


def test_the_examples_mouth_follows_the_speech(host, run):
    python = play(lambda: told_python(host.url, WITH_CLOSURES, voice="heart"))
    mesh, *moments = run("scene", url=host.url, text=WITH_CLOSURES, voice="heart")
    assert mesh["shapes"] == [shape.name for shape in visemes.SHAPES]
    assert mesh["surfaces"] == ["skin", "lips", "teeth", "tongue", "hollow"]
    for each in moments:
        assert each["shown"] == pytest.approx(each["track"], abs=1e-5)
        assert sum(each["shown"]) == pytest.approx(1, abs=0.01)
    closed = [each for each in moments if each["shown"][visemes.PP] > 0.99]
    opened = [each for each in moments if each["shown"][visemes.AA] > 0.5]
    assert len(closed) > 10
    assert opened
    assert max(each["gap"] for each in closed) < 0.01 < 0.1 < min(each["gap"] for each in opened)
    lips = [(pts, end) for ipa, pts, end in python["phonemes"] if ipa in "pbm"]
    for start, end in lips:
        assert any(start <= each["pts"] < end for each in closed), f"open at {start}"
    assert moments[-1]["caption"] == WITH_CLOSURES


def arkit(shape):
    return dict(shape.arkit)


@pytest.mark.parametrize(
    ("names", "found", "wanted"),
    [
        ([f"viseme_{shape.name}" for shape in visemes.SHAPES], "shapes", lambda shape: {f"viseme_{shape.name}": 1}),
        (sorted({name for shape in visemes.SHAPES for name in shape.arkit} | {"eyeBlinkLeft"}), "arkit", arkit),
        (["aa", "ih", "ou", "ee", "oh", "blink"], "vrm", lambda shape: dict(shape.vrm)),
        ([f"Face.M_F00_000_00_Fcl_MTH_{vowel}" for vowel in "AIUEO"], "vrm", None),
        (["blink", "smile", "o"], "", lambda shape: {}),
    ],
)
def test_avatars_are_driven_by_the_names_of_their_blend_shapes(run, names, found, wanted):
    first, *shown = run("scene", avatar=",".join(names))
    assert first["found"] == found
    for shape, each in zip(visemes.SHAPES, shown, strict=True):
        if wanted is None:
            assert each["values"][names[0]] == pytest.approx(shape.vrm.get("aa", 0), abs=1e-6)
        else:
            assert each["values"] == pytest.approx({name: wanted(shape).get(name, 0) for name in names}, abs=1e-6)
