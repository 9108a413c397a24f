"""A resampled stream has the right length, the right place, and no seam."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_server.audio.samples import Resampler, quality_for, rescaled

RATES = (8000, 12000, 16000, 22050, 24000, 44100, 48000)
ENGINE_RATES = (16000, 22050, 24000, 44100)


def chirp(rate: int, seconds: float, top_hz: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A sine that rises from 0 to `top_hz`, faded in and out so that its ends hold nothing above the band."""
    t = np.arange(round(rate * seconds)) / rate
    return 0.5 * np.sin(np.pi * top_hz / seconds * t * t) * np.sin(np.pi * t / seconds)


def resample(samples: np.ndarray, resampler: Resampler, cuts: list[int]) -> np.ndarray:
    edges = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    parts = [resampler.push(samples[a:b]) for a, b in pairwise(edges)]
    return np.concatenate([*parts, resampler.finish()])


@given(st.integers(0, 10**12), st.sampled_from(RATES), st.sampled_from(RATES))
def test_a_position_is_rescaled_exactly(samples: int, from_rate: int, to_rate: int) -> None:
    error = Fraction(samples * to_rate, from_rate) - rescaled(samples, from_rate, to_rate)
    assert -Fraction(1, 2) <= error < Fraction(1, 2)


@pytest.mark.parametrize("to_rate", RATES)
@pytest.mark.parametrize("from_rate", ENGINE_RATES)
def test_a_chirp_stays_where_and_what_it_was(from_rate: int, to_rate: int) -> None:
    top_hz = 0.35 * min(from_rate, to_rate)
    out = resample(chirp(from_rate, 0.5, top_hz).astype(np.float32), Resampler(from_rate, to_rate), [])
    expected = chirp(to_rate, 0.5, top_hz)
    assert len(out) == rescaled(round(from_rate * 0.5), from_rate, to_rate)
    assert np.abs(out[: len(expected)] - expected[: len(out)]).max() < 1e-3


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ENGINE_RATES),
    st.sampled_from(RATES),
    st.integers(0, 9000),
    st.lists(st.integers(0, 9000), max_size=8),
)
def test_a_split_changes_no_sample_and_no_length(from_rate: int, to_rate: int, length: int, cuts: list[int]) -> None:
    samples = np.random.default_rng(length).uniform(-0.5, 0.5, length).astype(np.float32)
    whole = resample(samples, Resampler(from_rate, to_rate), [])
    split = resample(samples, Resampler(from_rate, to_rate), cuts)
    assert len(whole) == rescaled(length, from_rate, to_rate)
    assert whole.tobytes() == split.tobytes()


def test_an_utterance_leaves_nothing_behind_for_the_next() -> None:
    resampler = Resampler(24000, 16000)
    samples = chirp(24000, 0.2, 7000).astype(np.float32)
    first = resample(samples, resampler, [100])
    assert resample(samples, resampler, [4000]).tobytes() == first.tobytes()


def test_equal_rates_change_nothing() -> None:
    samples = np.array([0.1, -3.0], np.float32)
    resampler = Resampler(24000, 24000)
    assert resampler.push(samples) is samples
    assert len(resampler.finish()) == 0


def test_finishing_without_samples_gives_none() -> None:
    resampler = Resampler(24000, 8000)
    assert len(resampler.finish()) == 0
    assert len(resampler.finish()) == 0


def test_frequencies_above_the_band_do_not_alias() -> None:
    t = np.arange(24000) / 24000
    out = resample(np.sin(2 * np.pi * 5200 * t).astype(np.float32), Resampler(24000, 8000), [])
    assert np.abs(out[400:-400]).max() < 1e-3


def test_8_khz_has_a_short_delay() -> None:
    held = {}
    for quality in ("MQ", "HQ"):
        resampler = Resampler(24000, 8000, quality)
        ready = sum(len(resampler.push(np.zeros(480, np.float32))) for _ in range(50))
        held[quality] = 8000 - ready
    assert quality_for(8000) == "MQ"
    assert quality_for(16000) == "HQ"
    assert held["MQ"] < held["HQ"]
    assert held["MQ"] <= 8000 * 0.040
