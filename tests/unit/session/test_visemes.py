"""Viseme keyframes keep the protocol's promises for any alignment, any cut of the audio and any rate."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.keyframes import SHAPES, weight_at
from support.visemes import Mouth
from voxwire_protocol.messages import AudioFormat
from voxwire_protocol.visemes import PP, SIL
from voxwire_server.audio.framing import no_prefix
from voxwire_server.audio.pipeline import AudioPipeline
from voxwire_server.engines.base import EngineInfo
from voxwire_server.session.visemes import viseme_track_for
from voxwire_server.speech import Alignment, PhonemeMark
from voxwire_server.text.phoneme_visemes import visemes_of

SYMBOLS = [*"pbmfvtdszʃknlɹwjhθəɑiuɔ", "ˈæ", "eɪ", "aɪ", "oʊ", "tʃ", "ɴ", "ɯ", "", "字"]
RATES = [8000, 16000, 22050, 24000, 48000]


def pipeline(timing, rate, *, engine_rate=24000, frame_ms=20):
    engine = EngineInfo("e", engine_rate, (), (), timing=timing)
    audio = AudioFormat(sample_rate=rate, frame_ms=frame_ms)
    return AudioPipeline(engine_rate, audio, 0, no_prefix, viseme_track_for(engine, audio))


def alignment(durations, *, start=0):
    """(IPA, samples before, samples) one after another."""
    marks = []
    for ipa, gap, length in durations:
        marks.append(PhonemeMark(ipa, start + gap, start + gap + length, (0, 0)))
        start += gap + length
    return Alignment((), tuple(marks))


DURATIONS = st.lists(
    st.tuples(st.sampled_from(SYMBOLS), st.sampled_from([0, 0, 0, 600, 1800, 9600]), st.integers(1, 7200)), max_size=8
)


@st.composite
def clauses(draw):
    """(alignment, samples, cuts, ends the utterance): the alignment comes whole, or each mark with the cut it is in."""
    durations = draw(DURATIONS)
    samples = sum(gap + length for _, gap, length in durations) + draw(st.sampled_from([0, 1, 600, 12000]))
    cuts = sorted(draw(st.lists(st.integers(0, samples), max_size=4)))
    return alignment(durations), samples, cuts, draw(st.booleans()), draw(st.booleans())


def spoken(track, clauses_said):
    """All chunks of some clauses, as they leave the pipeline."""
    for index, (marks, samples, cuts, whole, ends) in enumerate(clauses_said):
        bounds = [0, *cuts, samples]
        for k, (start, end) in enumerate(pairwise(bounds)):
            last = k == len(bounds) - 2
            if whole:
                given_marks = marks if k == 0 else None
            else:
                given_marks = Alignment(
                    (), tuple(p for p in marks.phonemes if start <= p.start < end or (last and p.start >= end))
                )
            yield from track.push(
                index,
                np.zeros(end - start, np.float32),
                finished=last,
                ends_utterance=ends or index == len(clauses_said) - 1,
                alignment=given_marks,
            )


@settings(max_examples=60, deadline=None)
@given(st.lists(clauses(), min_size=1, max_size=3), st.sampled_from(RATES))
def test_keyframes_keep_the_protocols_promises(said, rate):
    sent: list[tuple[int, float, int]] = []
    for chunk in spoken(pipeline("phoneme", rate), said):
        assert_joins(sent, chunk)
    assert_closed(sent)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20000), st.sampled_from(["silence", "noise", "tone", "murmur"])), max_size=8),
    st.sampled_from(RATES),
    st.sampled_from([16000, 24000, 44100]),
    st.integers(0, 5),
)
def test_keyframes_estimated_from_the_audio_keep_them_too(parts, rate, engine_rate, seed):
    track = pipeline("none", rate, engine_rate=engine_rate)
    sent: list[tuple[int, float, int]] = []
    for samples, kind in parts:
        for chunk in track.push(0, sounding(kind, samples, engine_rate, seed), finished=False, ends_utterance=False):
            assert_joins(sent, chunk)
    for chunk in track.skip(0, ends_utterance=True):
        assert_joins(sent, chunk)
    assert_closed(sent)


def sounding(kind, samples, rate, seed):
    t = np.arange(samples) / rate
    match kind:
        case "silence":
            return np.zeros(samples, np.float32)
        case "noise":
            return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)
        case "tone":
            return (0.3 * np.sin(2 * np.pi * 200 * t) + 0.2 * np.sin(2 * np.pi * 900 * t)).astype(np.float32)
        case _:
            return (0.05 * np.sin(2 * np.pi * 180 * t)).astype(np.float32)


def assert_joins(sent, chunk):
    """A chunk's keyframes are in order, from its first sample on, join on to `sent`, and add up to 1."""
    frames = [(v.id, v.weight, v.pts) for v in chunk.visemes]
    pts = [each[2] for each in frames]
    assert pts == sorted(pts)
    if not frames:
        return
    assert pts[0] >= chunk.end_pts - chunk.samples
    assert pts[0] >= max((each[2] for each in sent), default=0)
    for id in range(SHAPES):
        own = [each for each in frames if each[0] == id]
        if own:
            before = [weight for channel, weight, _ in sent if channel == id]
            here = before[-1] if before else float(id == SIL)
            assert own[0][1] == here, "the first keyframe of a channel repeats what it has"
    sent += frames
    for at in {moment for each in pts for moment in (max(0, each - 1), each, each + 1, (each + pts[-1]) // 2)}:
        weights = [weight_at(sent, id, at) for id in range(SHAPES)]
        assert abs(sum(weights) - 1) < 1e-6, at
        assert min(weights) >= 0
        assert max(weights) <= 1


def assert_closed(sent):
    if sent:
        assert weight_at(sent, SIL, sent[-1][2]) == 1.0


@settings(max_examples=50, deadline=None)
@given(DURATIONS, st.sampled_from(RATES))
def test_every_closure_is_there_from_its_first_sample_to_nearly_its_last(durations, rate):
    marks = alignment(durations)
    total = sum(gap + length for _, gap, length in durations) + 2400
    track = pipeline("phoneme", rate)
    (chunk,) = track.push(0, np.zeros(total, np.float32), finished=True, ends_utterance=True, alignment=marks)
    frames = [(v.id, v.weight, v.pts) for v in chunk.visemes]
    for mark in marks.phonemes:
        if visemes_of(mark.ipa).closure:
            ((shape, _),) = visemes_of(mark.ipa).poses[0]
            start, end = (round(s * rate / 24000) for s in (mark.start, mark.end))
            for at in {start, start + max(0, (end - start) * 3 // 4)}:
                if end > start:
                    assert weight_at(frames, shape, at) == 1.0


def test_a_clause_that_begins_within_anothers_breath_does_not_flick_the_mouth_shut():
    track = pipeline("phoneme", 24000)
    said = [
        (alignment([("ˈɑ", 0, 4800)]), 5400, [], True, False),
        (alignment([("ˈɑ", 600, 4800)]), 9600, [], True, True),
    ]
    mouth = Mouth()
    for chunk in spoken(track, said):
        mouth.add(chunk.visemes)
    assert max(mouth.weights(at)[SIL] for at in range(1200, 10800, 120)) == 0.0


def test_keyframes_are_as_few_as_the_moves_need():
    track = pipeline("phoneme", 24000)
    said = [(alignment([("p", 4800, 2400), ("p", 0, 2400), ("p", 0, 2400)]), 24000, [], True, True)]
    (chunk,) = spoken(track, said)
    assert [(v.id, v.weight) for v in chunk.visemes] == [
        (SIL, 1.0), (PP, 0.0), (SIL, 0.0), (PP, 1.0), (SIL, 0.0), (PP, 1.0), (SIL, 1.0), (PP, 0.0)
    ]  # fmt: skip


@pytest.mark.parametrize("timing", ["phoneme", "none"])
def test_an_utterance_without_audio_moves_nothing(timing):
    (chunk,) = pipeline(timing, 24000).skip(0, ends_utterance=True)
    assert chunk.visemes == ()
