from __future__ import annotations

import re
from pathlib import Path

import pytest

from voxwire_protocol import visemes as v

ARKIT = """
eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft eyeBlinkRight
eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight jawForward jawLeft jawRight
jawOpen mouthClose mouthFunnel mouthPucker mouthLeft mouthRight mouthSmileLeft mouthSmileRight mouthFrownLeft
mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower mouthRollUpper
mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft
mouthUpperUpRight browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight noseSneerLeft noseSneerRight tongueOut
""".split()
SPECIFICATION = (Path(__file__).parents[2] / "protocol" / "README.md").read_text(encoding="utf-8")


def one(id, weight=1.0):
    return [weight if each == id else 0.0 for each in range(v.COUNT)]


def test_the_shapes_are_the_ones_of_the_specification():
    rows = dict(re.findall(r"\| (\d+) \| `(\w+)` \|", SPECIFICATION))
    assert {shape.id: shape.name for shape in v.SHAPES} == {int(id): name for id, name in rows.items()}
    assert [shape.id for shape in v.SHAPES] == list(range(15))
    sounds = {int(id): text.strip() for id, text in re.findall(r"\| (\d+) \| `\w+` \| ([^|]+) ", SPECIFICATION)}
    assert all(shape.sounds == sounds[shape.id] for shape in v.SHAPES[1:])


def test_the_maps_name_what_their_systems_have():
    assert len(ARKIT) == 52
    for shape in v.SHAPES:
        assert set(shape.arkit) <= set(ARKIT)
        assert set(shape.vrm) <= {"aa", "ih", "ou", "ee", "oh"}
        assert shape.rhubarb in "ABCDEFGHX"
        assert 0 <= shape.azure <= 21
        assert all(0 < weight <= 1 for weight in (*shape.arkit.values(), *shape.vrm.values()))


def test_both_sides_of_the_face_move_alike():
    for shape in v.SHAPES:
        for name, weight in shape.arkit.items():
            if name.endswith("Left"):
                assert shape.arkit[name.removesuffix("Left") + "Right"] == weight


def test_a_closed_mouth_moves_nothing_and_lips_pressed_keep_the_jaw_shut():
    assert v.arkit(one(v.SIL)) == {}
    assert v.vrm(one(v.SIL)) == v.vrm(one(v.PP)) == {}
    assert "jawOpen" not in v.arkit(one(v.PP))


def test_weights_blend_and_never_pass_one():
    mixed = v.arkit([0.5 * a + 0.5 * b for a, b in zip(one(v.AA), one(v.O), strict=True)])
    assert mixed["jawOpen"] == pytest.approx((v.SHAPES[v.AA].arkit["jawOpen"] + v.SHAPES[v.O].arkit["jawOpen"]) / 2)
    assert v.vrm(one(v.E, 0.25)) == {"ee": 0.25}
    everything = v.vrm([1 / v.COUNT] * v.COUNT)
    assert all(0 < weight <= 1 for weight in everything.values())


def test_the_dominant_shape_is_the_heaviest_and_of_equals_the_first():
    assert v.dominant(one(v.KK, 0.3)).name == "kk"
    assert v.dominant([0.5, 0.5, *[0.0] * 13]).id == v.SIL
