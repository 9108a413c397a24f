"""Names of mixed voices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.engines.base import mix_name, parse_mix


@pytest.mark.parametrize("name", ["af_heart", "heart", "", "a b"])
def test_a_single_voice_is_no_mixture(name: str):
    assert parse_mix(name) is None


def test_shares_add_up_to_one():
    assert parse_mix("af_heart:0.6+am_adam:0.4") == (("af_heart", pytest.approx(0.6)), ("am_adam", pytest.approx(0.4)))
    assert parse_mix("b:3 + a:1") == (("a", 0.25), ("b", 0.75))
    assert parse_mix("a+b") == (("a", 0.5), ("b", 0.5))


@pytest.mark.parametrize(
    "name", ["a:0+b", "a:-1", "a:x", "a:", "a+a", "+", "a+", ":1", "a:nan", "a:inf", "+".join("abcdefghi")]
)
def test_an_invalid_mixture_is_refused(name: str):
    with pytest.raises(ValueError, match=r"\w"):
        parse_mix(name)


@given(st.dictionaries(st.text("abcxyz_", min_size=1, max_size=8), st.floats(0.01, 100), min_size=1, max_size=8))
def test_a_mixture_s_canonical_name_is_the_same_mixture(weights: dict[str, float]):
    parts = parse_mix("+".join(f"{voice}:{weight}" for voice, weight in weights.items()))
    assert parts is not None
    again = parse_mix(mix_name(parts))
    assert again is not None
    assert [voice for voice, _ in again] == [voice for voice, _ in parts] == sorted(weights)
    assert [share for _, share in again] == pytest.approx([share for _, share in parts], rel=2e-3)
