from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.visemes import AA, CH, COUNT, FF, KK, NN, PP, RR, SHAPES, SIL, SS, TH, E, I, O, U
from voxwire_server.speech import CLOSED
from voxwire_server.text.phoneme_visemes import blend, visemes_of


def main(ipa):
    """The shapes of most weight, pose by pose."""
    return [max(pose, key=lambda part: part[1])[0] for pose in visemes_of(ipa).poses]


@pytest.mark.parametrize("ipa", ["p", "b", "m", "pʰ", "bʲ", "mː", "p̚", "m̩", "ˈm"])
def test_lips_meet(ipa):
    assert visemes_of(ipa).closure
    assert visemes_of(ipa).poses == (((PP, 1.0),),)


@pytest.mark.parametrize("ipa", ["f", "v", "ɱ", "fː"])
def test_lip_meets_teeth(ipa):
    assert visemes_of(ipa).closure
    assert visemes_of(ipa).poses == (((FF, 1.0),),)


@pytest.mark.parametrize(
    ("ipa", "shapes"),
    [
        ("eɪ", [E, I]), ("ˈaɪ", [AA, I]), ("oʊ", [O, U]), ("aʊ", [AA, U]), ("ɔɪ", [O, I]),
        # misaki's letters for them
        ("A", [E, I]), ("ˈI", [AA, I]), ("O", [O, U]), ("W", [AA, U]), ("Y", [O, I]), ("ˌQ", [AA, U]),
        ("ᵻ", [I]), ("ʤ", [CH]), ("ʧ", [CH]), ("T", main("ɾ")), ("ᵊ", main("ə")),
        ("t͡ʃ", [CH]), ("dʒ", [CH]), ("ts", [SS]), ("θ", [TH]), ("ŋ", [KK]), ("ɹ", [RR]),
        ("l", [NN]), ("ɜː", [E]), ("ɝ", [RR]),
        # Japanese
        ("ɴ", [KK]), ("ɸ", [U]), ("β", [PP]), ("ɕ", [CH]), ("ʑ", [CH]), ("ɯ", [I]), ("ʥ", [CH]),
        # Mandarin, with tones
        ("ʈʂ", [CH]), ("tɕʰ", [CH]), ("tsʰ", [SS]), ("ɤ", [E]), ("ɥ", [U]), ("iau˥˩", [I, AA, U]),
        ("y↗", [U]), ("ʂ", [CH]),
        # French, Hindi, Portuguese, Italian
        ("ɑ̃", [AA]), ("œ̃", [E]), ("ʁ", [KK]), ("ʋ", [FF]), ("ɲ", [NN]), ("ʎ", [NN]), ("bʱ", [PP]),
        ("ɐ̃w̃", [AA, U]), ("ʃː", [CH]),
    ],
)  # fmt: skip
def test_phonemes_have_the_expected_shapes(ipa, shapes):
    assert main(ipa) == shapes


def test_h_takes_the_shape_of_its_neighbour():
    assert visemes_of("h").share <= 0.1


@pytest.mark.parametrize("ipa", ["", " ", "ˈ", "ː", ",", "—", "˥"])
def test_marks_and_spaces_have_no_pose(ipa):
    assert visemes_of(ipa).poses == ()


@given(st.text(max_size=6))
def test_any_text_has_poses_that_add_up(ipa):
    for pose in visemes_of(ipa).poses:
        assert abs(sum(weight for _, weight in pose) - 1) < 1e-9
        assert [id for id, _ in pose] == sorted({id for id, _ in pose})
        assert all(0 <= id < COUNT and 0 < weight <= 1 for id, weight in pose)


def test_letters_of_any_script_open_the_mouth_a_little():
    for letter in ("字", "ж", "ㄅ", "7"):
        ((pose,),) = (visemes_of(letter).poses,)
        assert dict(pose)[AA] > 0.2
        assert dict(pose)[SIL] > 0


@given(st.lists(st.tuples(st.sampled_from([visemes_of(c).poses[0] for c in "pasuɹəɔ"]), st.integers(1, 9)), min_size=1))
def test_a_blend_of_poses_is_a_pose(parts):
    total = sum(share for _, share in parts)
    pose = blend([(each, share / total) for each, share in parts])
    assert sum(round(weight * 100) for _, weight in pose) == 100


def test_every_letter_of_the_shapes_own_examples_has_that_shape():
    for shape in SHAPES[1:]:
        for ipa in shape.sounds.split():
            if ipa != "h":
                assert main(ipa)[0] == shape.id, ipa


def test_at_rest_the_mouth_is_closed():
    assert CLOSED == ((SIL, 1.0),)
    assert {O, U} == {main("o")[0], main("u")[0]}
