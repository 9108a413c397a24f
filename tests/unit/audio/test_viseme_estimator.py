from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxwire_protocol.visemes import AA, CH, COUNT, SIL, SS, E, I, O, U
from voxwire_server.audio.viseme_estimator import Spectrum, VisemeEstimator, pose_of
from voxwire_server.speech import CLOSED

RATES = [16000, 22050, 24000, 32000, 44100, 48000]


def moves_of(samples, rate, cuts=()):
    """The moves of an utterance whose audio is cut at `cuts`."""
    estimator, moves = VisemeEstimator(rate), []
    bounds = [0, *sorted(cuts), len(samples)]
    for k in range(len(bounds) - 1):
        moves += estimator.push(samples[bounds[k] : bounds[k + 1]], ends_utterance=k == len(bounds) - 2)
    return moves


def silence(rate, seconds):
    return np.zeros(int(rate * seconds), np.float32)


def voiced(rate, seconds, formants):
    """A pulse train of 120 Hz through resonances (Hz), as a vowel is (Fant, Acoustic Theory of Speech Production)."""
    count = int(rate * seconds)
    out = np.zeros(count)
    for k in range(1, int(min(rate / 2, 7000) / 120)):
        hz = 120.0 * k
        gain = sum(
            weight / (1 + ((hz - centre) / 80) ** 2) for centre, weight in zip(formants, (1, 0.5, 0.2), strict=True)
        )
        out += (gain + 0.002) * np.sin(2 * np.pi * hz * np.arange(count) / rate + k * k)
    return (0.2 * out / np.abs(out).max()).astype(np.float32)


def hiss(rate, seconds, least_hz):
    """Noise above a frequency."""
    count = int(rate * seconds)
    spectrum = np.fft.rfft(np.random.default_rng(1).normal(0, 1, count))
    spectrum[np.fft.rfftfreq(count, 1 / rate) < least_hz] = 0
    wave = np.fft.irfft(spectrum, count)
    return (0.05 * wave / np.abs(wave).max()).astype(np.float32)


def weight_while(moves, start, end, ids):
    """The mean weight of some shapes over samples [start, end), as the poses have been reached."""
    at = np.linspace(start, end, 50, endpoint=False)
    poses = [next((pose for _, reach, pose in reversed(moves) if reach <= each), CLOSED) for each in at]
    return float(np.mean([sum(dict(pose).get(id, 0.0) for id in ids) for pose in poses]))


@pytest.mark.parametrize("rate", RATES)
def test_silence_moves_nothing(rate):
    assert moves_of(silence(rate, 1.0), rate) == []


@pytest.mark.parametrize("rate", RATES)
def test_speech_opens_the_mouth_and_silence_closes_it(rate):
    ah = voiced(rate, 0.4, (750, 1200, 2500))
    moves = moves_of(np.concatenate([silence(rate, 0.3), ah, silence(rate, 0.5), ah]), rate)
    assert weight_while(moves, 0.0, 0.28 * rate, [SIL]) > 0.95
    assert weight_while(moves, 0.4 * rate, 0.65 * rate, [AA, E, I, O, U]) > 0.4
    assert weight_while(moves, 0.8 * rate, 1.15 * rate, [SIL]) > 0.95
    assert moves[-1].pose == CLOSED


@pytest.mark.parametrize("rate", RATES)
def test_a_hiss_is_a_fricative(rate):
    ah = voiced(rate, 0.3, (750, 1200, 2500))
    moves = moves_of(np.concatenate([ah, hiss(rate, 0.2, 4500), ah]), rate)
    assert weight_while(moves, 0.34 * rate, 0.48 * rate, [SS, CH]) > 0.4


def test_where_the_audio_is_cut_changes_little():
    rate = 24000
    speech = np.concatenate(
        [voiced(rate, 0.2, (300, 2200, 3000)), hiss(rate, 0.1, 4000), voiced(rate, 0.3, (500, 900, 2400))]
    )
    whole = moves_of(speech, rate)
    cut = moves_of(speech, rate, range(0, len(speech), 1920))
    assert [move.pose for move in cut] == [move.pose for move in whole]
    assert max(abs(a.reach - b.reach) for a, b in zip(whole, cut, strict=True)) <= 0.04 * rate


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9000), st.floats(0, 1)), max_size=8), st.sampled_from(RATES), st.integers(0, 99)
)
def test_moves_never_overlap_for_any_audio(parts, rate, seed):
    draw = np.random.default_rng(seed)
    estimator, start, before, moves = VisemeEstimator(rate), 0, 0, []
    for k, (count, loudness) in enumerate(parts):
        noise = (draw.normal(0, 0.3, count) * loudness).astype(np.float32)
        moves = estimator.push(noise, ends_utterance=k == len(parts) - 1)
        for leave, reach, pose in moves:
            assert max(start, before) <= leave <= reach
            assert abs(sum(weight for _, weight in pose) - 1) < 1e-9
            before = reach
        start += count
    assert moves[-1:] == [] or moves[-1].pose == CLOSED


def test_a_new_utterance_begins_with_a_closed_mouth_at_sample_0():
    rate = 24000
    ah = voiced(rate, 0.4, (750, 1200, 2500))
    estimator = VisemeEstimator(rate)
    first = estimator.push(ah, ends_utterance=True)
    second = estimator.push(ah, ends_utterance=True)
    assert first[-1].reach <= len(ah)
    assert second[-1].reach <= len(ah)
    assert second[0].leave < 0.1 * rate


@given(st.lists(st.floats(0, 1), min_size=COUNT, max_size=COUNT).filter(sum))
def test_a_pose_adds_up(shares):
    pose = pose_of([share / sum(shares) for share in shares])
    assert abs(sum(weight for _, weight in pose) - 1) < 1e-9
    assert all(weight > 0 for _, weight in pose)
    assert [id for id, _ in pose] == sorted(id for id, _ in pose)


def test_frames_last_as_long_at_every_rate():
    for rate in RATES:
        assert Spectrum(rate).frame_samples / rate == pytest.approx(0.02, rel=0.01)
